//! Any file into its parts.

use std::path::Path;

use crate::sniff::{Format, sniff, unpack, utf8};
use crate::{Error, Part, Result, Table, spectrum_layouts};

/// Every part of a file: tables, images, spectra, light curves. By content first, by file ending
/// second; gzip and bzip2 are taken off. A folder is read when it is a HATS catalogue
/// ([`hats`](crate::hats) reads parts of one).
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] that says what the file is and what to do.
///
/// # Examples
/// ```no_run
/// for part in asterism_data::read(std::path::Path::new("stars.vot"))? {
///     if let asterism_data::Part::Table(table) = part {
///         println!("{}: {} rows", table.name, table.rows());
///     }
/// }
/// # Ok::<(), asterism_data::Error>(())
/// ```
pub fn read(path: &Path) -> Result<Vec<Part>> {
    read_with_warnings(path).map(|(parts, _)| parts)
}

/// As [`read`], and what is wrong with the file as a whole: images and spectra have no list of warnings of their own, as a
/// table has.
///
/// # Errors
/// As [`read`].
pub fn read_with_warnings(path: &Path) -> Result<(Vec<Part>, Vec<String>)> {
    if path.is_dir() {
        if crate::hats::is_catalogue(path) {
            let catalogue = crate::hats::Catalogue::open_folder(path)?;
            let table = catalogue.read(&crate::hats::Part::default(), &crate::hats::local, &|_, _, _| true)?;
            return Ok((vec![Part::Table(table)], Vec::new()));
        }
        return Err(Error::format(path.display().to_string(), "is a folder, and no HATS catalogue; open a file in it"));
    }
    if let Some(found) = crate::image_rows::read_large(path)? {
        return Ok(found);
    }
    if let Some(tables) = read_streamed(path)? {
        return Ok((tables, Vec::new()));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    read_named(path, bytes, path.parent())
}

/// Files larger than this are read as they come where the format allows it, without holding their bytes as well.
const STREAMED: u64 = 16 << 20;

/// The tables of a large plain VOTable or the table of a large plain text; `None` for every other file.
fn read_streamed(path: &Path) -> Result<Option<Vec<Part>>> {
    use std::io::{Read, Seek};
    let mut file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    if file.metadata().map_or(0, |m| m.len()) < STREAMED {
        return Ok(None);
    }
    let mut head = Vec::new();
    (&mut file).take(4096).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
    let name = path.display().to_string();
    let separator = match sniff(&name, &head) {
        Ok(Format::Csv) => Some(None),
        Ok(Format::Tsv) => Some(Some(b'\t')),
        _ => None,
    };
    if let Some(separator) = separator.filter(|_| !crate::sniff::is_packed(&head)) {
        let Some(table) = crate::csv::read_csv_pieces(&mut file, separator, crate::csv_pieces::PIECE)? else { return Ok(None) };
        let mut tables = [table];
        fill_names(&mut tables, path);
        return Ok(Some(tables.into_iter().map(Part::Table).collect()));
    }
    // UTF-16 and a mark of UTF-8 are taken off elsewhere.
    if !head.trim_ascii_start().starts_with(b"<") || !matches!(sniff(&name, &head), Ok(Format::Votable)) {
        return Ok(None);
    }
    file.rewind().map_err(|e| Error::io(path, e))?;
    let reader = std::io::BufReader::with_capacity(1 << 20, file);
    let mut tables = crate::votable::read_votable(reader, &name, path.parent())?;
    if tables.is_empty() {
        return Err(Error::format(name, "is a VOTable without a table in it"));
    }
    fill_names(&mut tables, path);
    Ok(Some(with_spectra(tables)))
}

/// The tables of a VOTable, after the spectra that they are tables of samples of.
fn with_spectra(tables: Vec<Table>) -> Vec<Part> {
    let spectra: Vec<Part> = tables.iter().filter_map(spectrum_layouts::of_samples).map(Part::Spectrum).collect();
    spectra.into_iter().chain(tables.into_iter().map(Part::Table)).collect()
}

/// As [`read`], from bytes; `name` is for messages and the file ending, `beside` the folder that
/// files the document refers to may lie in.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &str, bytes: Vec<u8>, beside: Option<&Path>) -> Result<Vec<Part>> {
    read_named(Path::new(name), bytes, beside).map(|(parts, _)| parts)
}

/// The first table of a file.
///
/// # Errors
/// As [`read`], and [`Error::Format`] when there is no table in it.
pub fn read_table(path: &Path) -> Result<Table> {
    let parts = read(path)?;
    let mut others = Vec::new();
    for part in parts {
        match part {
            Part::Table(table) => return Ok(table),
            Part::Image(_) => others.push("an image"),
            Part::Spectrum(_) => others.push("a spectrum"),
            Part::LightCurve(_) => others.push("a light curve"),
        }
    }
    others.dedup();
    let have = if others.is_empty() { String::new() } else { format!("; it holds {}", others.join(", ")) };
    Err(Error::format(path.display().to_string(), format!("holds no table{have}")))
}

fn read_named(path: &Path, bytes: Vec<u8>, beside: Option<&Path>) -> Result<(Vec<Part>, Vec<String>)> {
    let name = path.display().to_string();
    let bytes = unpack(&name, bytes)?;
    if crate::sniff::is_tar(&bytes)
        && let Some(found) = read_archive(&name, &bytes, beside)
    {
        return Ok(found);
    }
    let format = sniff(&name, &bytes)?;
    let mut tables = match format {
        Format::Votable => {
            let bytes = utf8(bytes);
            let tables = crate::votable::read_votable(bytes.as_slice(), &name, beside)?;
            if tables.is_empty() {
                return Err(Error::format(name, "is a VOTable without a table in it"));
            }
            tables
        }
        Format::Fits => {
            let (parts, warnings) = crate::fits_products::products_with_warnings(&name, &bytes)?;
            if parts.is_empty() {
                return Err(Error::format(name, "is a FITS file of headers alone: no table, image or spectrum in it"));
            }
            return Ok((parts, warnings));
        }
        Format::Parquet => vec![crate::parquet::read_parquet(&name, bytes)?],
        Format::Arrow => vec![crate::parquet::read_arrow(&name, bytes)?],
        Format::Csv => vec![crate::csv::read_csv(&name, utf8(bytes), None)?],
        Format::Tsv => vec![crate::csv::read_csv(&name, utf8(bytes), Some(b'\t'))?],
        Format::Ecsv => vec![crate::ecsv::read_ecsv(&name, utf8(bytes))?],
        Format::Npy => vec![crate::npy::read_npy_table(&name, &bytes)?],
    };
    fill_names(&mut tables, path);
    let parts = match format {
        Format::Votable => with_spectra(tables),
        _ => tables.into_iter().map(Part::Table).collect(),
    };
    Ok((parts, Vec::new()))
}

/// The parts of all members of a tar archive; nothing when none can be read.
fn read_archive(name: &str, bytes: &[u8], beside: Option<&Path>) -> Option<(Vec<Part>, Vec<String>)> {
    let (mut parts, mut warnings) = (Vec::new(), Vec::new());
    for member in crate::tar::members(bytes) {
        // An archive in an archive is not opened.
        if crate::sniff::is_tar(member.bytes) {
            warnings.push(format!("{name}: {} is an archive itself and was not opened", member.name));
            continue;
        }
        match read_named(Path::new(&member.name), member.bytes.to_vec(), beside) {
            Ok((more, said)) => {
                parts.extend(more);
                warnings.extend(said);
            }
            Err(e) => warnings.push(format!("{name}: {e}")),
        }
    }
    if let Some(Part::Table(first)) = parts.iter_mut().find(|p| matches!(p, Part::Table(_))) {
        first.warnings.extend(warnings.iter().cloned());
    }
    (!parts.is_empty()).then_some((parts, warnings))
}

/// Tables without a name of their own are called as the file.
fn fill_names(tables: &mut [Table], path: &Path) {
    let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = file.trim_end_matches(".gz").trim_end_matches(".bz2").trim_end_matches(".Z");
    let stem = stem.rsplit_once('.').map_or(stem, |(s, _)| s);
    let many = tables.len() > 1;
    for (i, table) in tables.iter_mut().enumerate() {
        if table.name.is_empty() {
            table.name = if many { format!("{stem} {}", i + 1) } else { stem.to_owned() };
        }
    }
}
