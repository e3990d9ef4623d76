//! The samples inside the program. Each answers like a service: it can be searched, narrowed by a
//! rule and searched again, with no network.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use asterism_data::{ColumnMeta, LightCurve, Param, Part, Spectrum, Table};
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
    let axis =
        |s: &Spectrum| if s.wavelength_m.is_empty() { s.axis.clone() } else { s.wavelength_m.iter().map(|w| w * 1e10).collect() };
    table.with_list_column(
        "wavelength",
        spectra.iter().map(axis).collect(),
        ColumnMeta { unit: Some("Angstrom".into()), ucd: Some("em.wl".into()), ..ColumnMeta::default() },
    )?;
    let flux = |s: &Spectrum| s.flux.iter().zip(&s.good).map(|(f, g)| if *g { *f } else { f64::NAN }).collect();
    table.with_list_column(
        "flux",
        spectra.iter().map(flux).collect(),
        ColumnMeta { unit: flux_unit, ucd: Some("phot.flux".into()), ..ColumnMeta::default() },
    )?;
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
        ColumnMeta { unit, ucd: Some("phot.flux;time.series".into()), ..ColumnMeta::default() },
    )?;
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
