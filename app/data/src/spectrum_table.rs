//! A spectrum as a table, one row a sample, by the names of the IVOA Spectrum data model 1.1 (2.3, utypes), which is what SSA
//! services hand out and what other programs expect to be sent.

use polars::prelude::{Column, DataFrame};

use crate::error::{Error, Result};
use crate::spectrum::{Medium, Spectrum};
use crate::table::{ColumnMeta, Param, Table};

impl Spectrum {
    /// The samples as rows: the axis as the file gave it (in metres where that is unknown), the flux, its error and
    /// quality where there are any. Samples that are not good have no flux where nothing else says so (no quality).
    ///
    /// # Errors
    /// [`Error::Format`] when there is no sample, or axis and flux differ in length.
    pub fn table(&self) -> Result<Table> {
        let own = self.axis.len() == self.len() && !self.axis_unit.is_empty();
        let (axis, unit) = if own { (&self.axis, self.axis_unit.as_str()) } else { (&self.wavelength_m, "m") };
        if self.is_empty() || axis.len() != self.len() {
            return Err(Error::format(self.name.clone(), "it has no samples with wavelengths"));
        }
        let ucd = match crate::spectrum::metres_in(unit) {
            Some(_) => "em.wl",
            None if unit.contains("/s") => "spect.dopplerVeloc",
            None => "em",
        };
        let flux: Vec<f64> = match &self.quality {
            Some(_) => self.flux.clone(),
            None => self.flux.iter().zip(&self.good).map(|(f, good)| if *good { *f } else { f64::NAN }).collect(),
        };
        let unit_of = |unit: &str| Some(unit.to_owned()).filter(|u| !u.is_empty());
        let meta = |name: &str, unit: Option<String>, ucd: &str, utype: &str, text: &str| ColumnMeta {
            name: name.into(),
            unit,
            ucd: Some(ucd.into()),
            utype: Some(format!("spec:Spectrum.Data.{utype}")),
            description: Some(text.into()),
            ..ColumnMeta::default()
        };
        let mut columns = vec![Column::new("spectral".into(), axis), Column::new("flux".into(), flux)];
        let mut metas = vec![
            meta("spectral", unit_of(unit), ucd, "SpectralAxis.Value", "spectral axis, as in the source"),
            meta("flux", unit_of(&self.flux_unit), "phot.flux.density;em.wl", "FluxAxis.Value", "flux"),
        ];
        if let Some(error) = self.error.as_ref().filter(|e| e.len() == self.len()) {
            columns.push(Column::new("error".into(), error));
            let unit = unit_of(&self.flux_unit);
            let utype = "FluxAxis.Accuracy.StatError";
            metas.push(meta("error", unit, "stat.error;phot.flux.density;em.wl", utype, "one standard deviation of the flux"));
        }
        if let Some(quality) = self.quality.as_ref().filter(|q| q.len() == self.len()) {
            columns.push(Column::new("quality".into(), quality));
            metas.push(meta("quality", None, "meta.code.qual", "FluxAxis.Quality", "quality of the sample, 0 is good"));
        }
        let frame = DataFrame::new(self.len(), columns)?;
        let mut table = Table::new(self.name.clone(), frame, metas)?;
        let mut say = |name: &str, value: &str, text: &str| {
            table.params.push(Param { name: name.into(), value: value.into(), unit: None, description: Some(text.into()) });
        };
        say("DataModel", "Spectrum-1.1", "IVOA Spectrum data model");
        say("Title", &self.name, "the spectrum's name");
        match self.medium {
            Medium::Vacuum => say("AIRORVAC", "VACUUM", "what wavelengths are measured in"),
            Medium::Air => say("AIRORVAC", "AIR", "what wavelengths are measured in"),
            Medium::Unknown => {}
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_spectrum_is_read_back_as_it_was() {
        let mut spectrum = Spectrum {
            name: "M 31 <core> & more".into(),
            axis: (0..9).map(|i| 4000.0 + 2.0 * f64::from(i)).collect(),
            wavelength_m: (0..9).map(|i| 4e-7 + 2e-10 * f64::from(i)).collect(),
            axis_unit: "Angstrom".into(),
            flux: (0..9).map(|i| 1.5 + f64::from(i)).collect(),
            error: Some((1..10).map(|i| 0.1 * f64::from(i)).collect()),
            good: (0..9).map(|i| i != 1).collect(),
            medium: Medium::Air,
            flux_unit: "Jy".into(),
            ..Spectrum::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.vot");
        crate::write_table(&spectrum.table().unwrap(), None, &path).unwrap();
        let parts = crate::read(&path).unwrap();
        let back = parts.iter().find_map(|p| if let crate::Part::Spectrum(s) = p { Some(s) } else { None });
        let back = back.expect("a spectrum");
        assert_eq!((&back.axis, back.axis_unit.as_str()), (&spectrum.axis, "Angstrom"));
        assert_eq!((back.flux[0], back.flux[2], back.flux_unit.as_str()), (1.5, 3.5, "Jy"));
        assert_eq!((&back.good, &back.error, back.medium), (&spectrum.good, &spectrum.error, Medium::Air));
        assert_eq!(back.name, spectrum.name);
        // Its rows are there as well, for whoever wants a table.
        assert_eq!(crate::read_table(&path).unwrap().rows(), 9);
        // One that is read as it comes, since it is large, is a spectrum too.
        let n = 400_000;
        let large = Spectrum {
            axis: (0..n).map(|i| 1000.0 + 0.1 * f64::from(i)).collect(),
            wavelength_m: (0..n).map(|i| 1e-7 + 1e-11 * f64::from(i)).collect(),
            flux: (0..n).map(|i| f64::from(i % 1000) + 0.123_456_789).collect(),
            error: None,
            good: vec![true; n as usize],
            ..spectrum.clone()
        };
        let path = folder.path().join("large.vot");
        crate::write_table_as(&large.table().unwrap(), None, &path, crate::Serialization::TableData).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > 16 << 20);
        let parts = crate::read(&path).unwrap();
        let crate::Part::Spectrum(back) = &parts[0] else { panic!("a spectrum") };
        assert_eq!((back.flux.len(), back.flux[7], back.name.as_str()), (400_000, 7.123_456_789, "M 31 <core> & more"));
        spectrum.axis.pop();
        spectrum.wavelength_m.pop();
        assert!(spectrum.table().is_err());
    }
}
