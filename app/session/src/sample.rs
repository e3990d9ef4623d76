//! The samples inside the program. Each answers like a service: it can be searched, narrowed by a
//! rule and searched again, with no network.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use asterism_data::{ColumnMeta, LightCurve, Medium, Param, Part, Spectrum, Table};
use serde::Deserialize;

use crate::document::{ImageLayer, Layer};
use crate::error::{Error, Result};

/// One sample, as `assets/samples.json` describes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Sample {
    /// `a478`, `spex`, `ogle3`, `hdf`.
    pub name: String,
    /// For a person.
    pub title: String,
    /// What it is and what to try, one or two sentences.
    pub description: String,
    /// Whom to thank.
    pub credit: String,
    /// Licence.
    pub licence: String,
    /// File of the table.
    pub table: String,
    /// Files of images.
    #[serde(default)]
    pub images: Vec<SampleImage>,
    /// A predicate for the group that is lassoed on the first start.
    #[serde(default)]
    pub highlight: String,
    /// Its name.
    #[serde(default)]
    pub highlight_name: String,
}

/// An image of a sample.
#[derive(Clone, Debug, Deserialize)]
pub struct SampleImage {
    /// File.
    pub file: String,
    /// `fits` or `picture`.
    pub kind: String,
    /// For a person.
    pub title: String,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../../../assets/samples/", $name)))),*];
    };
}
files!("a478.parquet", "a478-hst.fits", "spex.parquet", "ogle3.parquet", "hdf.parquet", "hdf.jpg");

/// The samples, in the order of the start page.
pub fn list() -> &'static [Sample] {
    static LIST: OnceLock<Vec<Sample>> = OnceLock::new();
    LIST.get_or_init(|| serde_json::from_str(include_str!("../../../assets/samples.json")).unwrap_or_default())
}

/// The sample named so.
pub fn by_name(name: &str) -> Option<&'static Sample> {
    list().iter().find(|s| s.name == name)
}

/// Their names, for a message.
pub fn names() -> String {
    list().iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Bytes of a file of the samples.
pub fn bytes(file: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes)
}

/// The rows of a sample.
///
/// # Errors
/// When the program was built without the file.
pub fn table(sample: &Sample) -> Result<Table> {
    let bytes = bytes(&sample.table).ok_or_else(|| Error::said(format!("the program holds no file {}", sample.table)))?;
    let parts = asterism_data::read_bytes(&sample.table, bytes.to_vec(), None)?;
    let mut table = parts
        .into_iter()
        .find_map(|p| if let Part::Table(t) = p { Some(t) } else { None })
        .ok_or_else(|| Error::said(format!("{} holds no table", sample.table)))?;
    table.name = sample.name.clone();
    Ok(table)
}

/// The images of a sample.
///
/// # Errors
/// When one cannot be read.
pub fn images(sample: &Sample) -> Result<Vec<Arc<ImageLayer>>> {
    let mut layers = Vec::new();
    for image in &sample.images {
        let Some(bytes) = bytes(&image.file) else { continue };
        let source = format!("sample:{}/{}", sample.name, image.file);
        let pixels = if image.kind == "fits" {
            let part = asterism_data::read_bytes(&image.file, bytes.to_vec(), None)?
                .into_iter()
                .find_map(|p| if let Part::Image(i) = p { Some(i) } else { None });
            Layer::Fits(Arc::new(part.ok_or_else(|| Error::said(format!("{} holds no image", image.file)))?))
        } else {
            Layer::Picture(Arc::new(asterism_data::Picture::decode(&image.file, bytes)?))
        };
        layers.push(Arc::new(ImageLayer { title: image.title.clone(), pixels, source }));
    }
    Ok(layers)
}

/// A table with a row for each spectrum of a file: name, range, and array cells.
///
/// # Errors
/// When the columns cannot be put together.
pub fn table_of_spectra(path: &Path, spectra: &[Spectrum]) -> Result<Table> {
    let mut table = named(path);
    let text = |f: &dyn Fn(&Spectrum) -> String| spectra.iter().map(f).collect::<Vec<_>>();
    table.with_string_column(
        "name",
        text(&|s| s.name.clone()),
        ColumnMeta { ucd: Some("meta.id;meta.main".into()), ..ColumnMeta::default() },
    )?;
    table.with_f64_column("samples", spectra.iter().map(|s| s.flux.len() as f64).collect(), ColumnMeta::default())?;
    let median = |s: &Spectrum| {
        let mut v: Vec<f64> = s.flux.iter().zip(&s.good).filter(|(_, g)| **g).map(|(f, _)| *f).collect();
        v.sort_by(f64::total_cmp);
        v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let flux_unit = spectra.first().map(|s| s.flux_unit.clone()).filter(|u| !u.is_empty());
    table.with_f64_column(
        "median_flux",
        spectra.iter().map(median).collect(),
        ColumnMeta { unit: flux_unit.clone(), ..ColumnMeta::default() },
    )?;
    // Radio spectra on an axis of velocities are shown as what they are, and not as spectra by wavelength.
    let velocities = spectra.iter().find(|s| s.wavelength_m.is_empty());
    let (axis, unit, ucd) = match velocities {
        None => ("wavelength", "Angstrom".to_owned(), "em.wl"),
        Some(s) => ("axis", s.axis_unit.clone(), "spect.dopplerVeloc"),
    };
    let medium = spectra.first().map(|s| s.medium).filter(|m| spectra.iter().all(|s| s.medium == *m));
    let description = match medium {
        Some(Medium::Air) => Some("air".to_owned()),
        Some(Medium::Vacuum) => Some("vacuum".to_owned()),
        _ => None,
    };
    let values = |s: &Spectrum| match velocities {
        None => s.wavelength_m.iter().map(|w| w * 1e10).collect(),
        Some(_) => s.axis.clone(),
    };
    table.with_list_column(
        axis,
        spectra.iter().map(values).collect(),
        ColumnMeta { unit: Some(unit.clone()), ucd: Some(ucd.into()), description, ..ColumnMeta::default() },
    )?;
    let flux = |s: &Spectrum| s.flux.iter().zip(&s.good).map(|(f, g)| if *g { *f } else { f64::NAN }).collect();
    table.with_list_column(
        "flux",
        spectra.iter().map(flux).collect(),
        ColumnMeta { unit: flux_unit.clone(), ucd: Some("phot.flux".into()), ..ColumnMeta::default() },
    )?;
    if spectra.iter().any(|s| s.error.is_some()) {
        let error = |s: &Spectrum| s.error.clone().unwrap_or_else(|| vec![f64::NAN; s.flux.len()]);
        table.with_list_column(
            "flux_error",
            spectra.iter().map(error).collect(),
            ColumnMeta { unit: flux_unit, ucd: Some("stat.error;phot.flux".into()), ..ColumnMeta::default() },
        )?;
    }
    if velocities.is_some() {
        table
            .warnings
            .push(format!("the axis of these spectra ({unit}) is no wavelength: they are listed, and not drawn as spectra"));
    }
    if let Some(first) = spectra.first() {
        table.params.push(Param { name: "layout".into(), value: first.rule.clone(), ..Param::default() });
        if first.units_assumed {
            table.warnings.push("the file does not say the units of its spectra: they are assumed".into());
        }
    }
    Ok(table)
}

/// A table with a row for each light curve of a file.
///
/// # Errors
/// When the columns cannot be put together.
pub fn table_of_light_curves(path: &Path, curves: &[LightCurve]) -> Result<Table> {
    let mut table = named(path);
    table.with_string_column(
        "name",
        curves.iter().map(|c| c.name.clone()).collect(),
        ColumnMeta { ucd: Some("meta.id;meta.main".into()), ..ColumnMeta::default() },
    )?;
    table.with_f64_column(
        "kept",
        curves.iter().map(|c| c.kept.iter().filter(|k| **k).count() as f64).collect(),
        ColumnMeta::default(),
    )?;
    let kept = |c: &LightCurve, v: &[f64]| v.iter().zip(&c.kept).filter(|(_, k)| **k).map(|(v, _)| *v).collect::<Vec<f64>>();
    let time_unit = ColumnMeta {
        unit: Some("d".into()),
        ucd: Some("time.epoch".into()),
        description: curves.first().map(|c| c.time_system.clone()),
        ..ColumnMeta::default()
    };
    table.with_list_column("time", curves.iter().map(|c| kept(c, &c.time_bjd)).collect(), time_unit)?;
    let unit = curves.first().map(|c| c.flux_unit.clone()).filter(|u| !u.is_empty());
    table.with_list_column(
        "lc_flux",
        curves.iter().map(|c| kept(c, &c.flux)).collect(),
        ColumnMeta { unit: unit.clone(), ucd: Some("phot.flux;time.series".into()), ..ColumnMeta::default() },
    )?;
    if curves.iter().any(|c| c.error.is_some()) {
        let none = |c: &LightCurve| vec![f64::NAN; c.flux.len()];
        table.with_list_column(
            "lc_error",
            curves.iter().map(|c| kept(c, &c.error.clone().unwrap_or_else(|| none(c)))).collect(),
            ColumnMeta { unit, ucd: Some("stat.error;phot.flux".into()), ..ColumnMeta::default() },
        )?;
    }
    Ok(table)
}

/// A table with a row for each image of a file.
///
/// # Errors
/// When the columns cannot be put together.
pub fn table_of_images(path: &Path, images: &[Arc<ImageLayer>]) -> Result<Table> {
    let mut table = named(path);
    table.with_string_column("image", images.iter().map(|i| i.title.clone()).collect(), ColumnMeta::default())?;
    let fits = |f: &dyn Fn(&asterism_data::Image) -> f64| {
        images.iter().map(|i| if let Layer::Fits(image) = &i.pixels { f(image) } else { f64::NAN }).collect::<Vec<_>>()
    };
    table.with_f64_column(
        "width",
        fits(&|i| i.shape[1] as f64),
        ColumnMeta { unit: Some("pixel".into()), ..ColumnMeta::default() },
    )?;
    table.with_f64_column(
        "height",
        fits(&|i| i.shape[0] as f64),
        ColumnMeta { unit: Some("pixel".into()), ..ColumnMeta::default() },
    )?;
    table.with_f64_column("mean", fits(&|i| i.mean), ColumnMeta::default())?;
    Ok(table)
}

fn named(path: &Path) -> Table {
    let mut table = Table::default();
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default().clone_into(&mut table.name);
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use asterism_data::SpectraColumn;

    fn spectrum(wavelength_m: Vec<f64>, axis_unit: &str) -> Spectrum {
        let n = 12;
        Spectrum {
            name: "one".into(),
            axis: (0..n).map(f64::from).collect(),
            wavelength_m,
            axis_unit: axis_unit.into(),
            flux: vec![2.0; n as usize],
            error: Some(vec![0.5; n as usize]),
            good: vec![true; n as usize],
            flux_unit: "Jy".into(),
            medium: Medium::Air,
            ..Spectrum::default()
        }
    }

    #[test]
    fn an_opened_spectrum_keeps_its_errors_and_its_medium() {
        let waves: Vec<f64> = (0..12).map(|i| 5e-7 + 1e-10 * f64::from(i)).collect();
        let table = table_of_spectra(Path::new("a.fits"), &[spectrum(waves.clone(), "nm")]).unwrap();
        let column = SpectraColumn::find(&table).unwrap();
        let s = column.spectrum(&table, 0);
        assert_eq!((s.error, s.medium, s.flux_unit.as_str()), (Some(vec![0.5; 12]), Medium::Air, "Jy"));
        assert!(s.wavelength_m.iter().zip(&waves).all(|(a, b)| (a / b - 1.0).abs() < 1e-12));
        let kept = [true, true, false];
        let curve = LightCurve {
            time_bjd: vec![1.0, 2.0, 3.0],
            flux: vec![5.0, 6.0, 7.0],
            error: Some(vec![0.1, 0.2, 0.3]),
            kept: kept.to_vec(),
            ..LightCurve::default()
        };
        let curves = table_of_light_curves(Path::new("c.fits"), &[curve]).unwrap();
        let found = crate::curves::CurveColumns::find(&curves).unwrap();
        assert_eq!(found.error.map(|e| curves.array(e, 0)), Some(vec![0.1, 0.2]));
        // Velocities are no wavelengths.
        let table = table_of_spectra(Path::new("b.fits"), &[spectrum(Vec::new(), "km/s")]).unwrap();
        assert!(SpectraColumn::find(&table).is_none() && table.warnings[0].contains("km/s"), "{:?}", table.warnings);
        assert_eq!(table.columns()[table.column_index("axis").unwrap()].unit.as_deref(), Some("km/s"));
    }
}
