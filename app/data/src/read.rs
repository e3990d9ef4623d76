//! Any file into its parts.

use std::path::{Path, PathBuf};

use crate::sniff::{Format, sniff, unpack, utf8};
use crate::{Error, Part, Result, Table, spectrum_layouts};

/// One table of a file, as a path names it: `stars.fits[2]`, `stars.fits[CATALOG]`, `stars.fits[CATALOG,2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The n-th table of the file, from 1.
    Number(usize),
    /// The n-th part of this name (any case), from 1.
    Name(String, usize),
}

impl Which {
    /// A path's file and what is chosen of it. A file that has brackets in its own name is that file.
    pub fn split(path: &Path) -> (PathBuf, Option<Self>) {
        let whole = (path.to_owned(), None);
        let Some(text) = path.to_str().filter(|t| t.ends_with(']')) else { return whole };
        let Some((file, chosen)) = text[..text.len() - 1].rsplit_once('[') else { return whole };
        let chosen = chosen.trim();
        if chosen.is_empty() || path.exists() || !Path::new(file).exists() {
            return whole;
        }
        let which = match (chosen.parse::<usize>(), chosen.rsplit_once(',')) {
            (Ok(n), _) => Self::Number(n),
            (_, Some((name, n))) if n.trim().parse::<usize>().is_ok() => {
                Self::Name(name.trim().to_owned(), n.trim().parse().unwrap_or(1))
            }
            _ => Self::Name(chosen.to_owned(), 1),
        };
        (file.into(), Some(which))
    }

    /// The place among `names`, those of the tables of a file.
    pub fn among<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> Option<usize> {
        match self {
            Self::Number(n) => n.checked_sub(1).filter(|n| names.nth(*n).is_some()),
            Self::Name(name, n) => {
                let same = names.enumerate().filter(|(_, other)| other.trim().eq_ignore_ascii_case(name));
                same.map(|(i, _)| i).nth(n.checked_sub(1)?)
            }
        }
    }
}

/// What a file's tables are called in a path, in their order: by name, or by number where they have none or share it.
pub fn names_in_path(tables: &[Table]) -> Vec<String> {
    let plain = |name: &str| !name.trim().is_empty() && !name.contains(['[', ']', ',']) && name.trim().parse::<usize>().is_err();
    let alone = |name: &str| tables.iter().filter(|t| t.name.trim().eq_ignore_ascii_case(name.trim())).count() == 1;
    let name = |(i, t): (usize, &Table)| {
        if plain(&t.name) && alone(&t.name) { t.name.trim().to_owned() } else { (i + 1).to_string() }
    };
    tables.iter().enumerate().map(name).collect()
}

/// The chosen part of a file; an image or spectrum only by its name.
///
/// # Errors
/// [`Error::Format`] with the tables that there are.
pub fn chosen(path: &Path, which: &Which, parts: Vec<Part>) -> Result<Vec<Part>> {
    let tables: Vec<Table> = parts.iter().filter_map(|p| if let Part::Table(t) = p { Some(t.clone()) } else { None }).collect();
    if let Some(at) = which.among(tables.iter().map(|t| t.name.as_str())) {
        return Ok(tables.into_iter().nth(at).map(Part::Table).into_iter().collect());
    }
    let name = |p: &Part| match p {
        Part::Table(t) => t.name.clone(),
        Part::Image(i) => i.name.clone(),
        Part::Spectrum(s) => s.name.clone(),
        Part::LightCurve(l) => l.name.clone(),
    };
    let others: Vec<String> = parts.iter().map(name).collect();
    if let (Which::Name(..), Some(at)) = (which, which.among(others.iter().map(String::as_str))) {
        return Ok(parts.into_iter().nth(at).into_iter().collect());
    }
    let have = match names_in_path(&tables) {
        names if names.is_empty() => "it holds no table".to_owned(),
        names => format!("its tables are {}", names.join(", ")),
    };
    let what = match which {
        Which::Number(n) => format!("has no table {n}"),
        Which::Name(name, 1) => format!("has no part named '{name}'"),
        Which::Name(name, n) => format!("has no part {n} named '{name}'"),
    };
    Err(Error::format(path.display().to_string(), format!("{what}: {have}")))
}

/// Every part of a file: tables, images, spectra, light curves. By content first, by file ending
/// second; gzip and bzip2 are taken off. A path may name one table of a file ([`Which`]). A folder is read when it is a HATS catalogue
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
    if let (file, Some(which)) = Which::split(path) {
        let (parts, warnings) = read_with_warnings(&file)?;
        return Ok((chosen(&file, &which, parts)?, warnings));
    }
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
    if bytes.starts_with(b"PK\x03\x04") {
        return read_zip(&name, &bytes, beside);
    }
    // Also taken off before the format is looked for: in UTF-16 nothing looks like itself.
    let bytes = utf8(bytes);
    let format = sniff(&name, &bytes)?;
    let mut tables = match format {
        Format::Votable => {
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
        Format::Csv => vec![crate::csv::read_csv(&name, bytes, None)?],
        Format::Tsv => vec![crate::csv::read_csv(&name, bytes, Some(b'\t'))?],
        Format::Ecsv => vec![crate::ecsv::read_ecsv(&name, bytes)?],
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
    let members = crate::tar::members(bytes).into_iter().map(|m| Ok((m.name, m.bytes.to_vec())));
    let (mut parts, said) = read_members(members, beside);
    let warnings = of_members(name, said, &mut parts);
    (!parts.is_empty()).then_some((parts, warnings))
}

/// Bytes that a member of a zip archive may unpack to.
const MEMBER: u64 = 4 << 30;

/// The parts of all members of a zip archive, such as TESScut sends.
///
/// # Errors
/// [`Error::Format`] where nothing in it can be read.
fn read_zip(name: &str, bytes: &[u8], beside: Option<&Path>) -> Result<(Vec<Part>, Vec<String>)> {
    use std::io::Read;
    let broken =
        |e: &dyn std::fmt::Display| Error::format(name, format!("is a zip archive that cannot be read: {e}; fetch it again"));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let members = (0..archive.len()).filter_map(|i| {
        let file = match archive.by_index(i) {
            Ok(file) => file,
            Err(e) => return Some(Err(e.to_string())),
        };
        let member = file.name().map_or_else(|_| format!("member {}", i + 1), |n| n.into_owned());
        if file.is_dir() || member.starts_with("__MACOSX/") {
            return None;
        }
        let mut unpacked = Vec::new();
        match file.take(MEMBER).read_to_end(&mut unpacked) {
            Ok(n) if n as u64 == MEMBER => Some(Err(format!("{member} is larger than 4 GB: unpack it by hand"))),
            Ok(_) => Some(Ok((member, unpacked))),
            Err(e) => Some(Err(format!("{member}: {e}"))),
        }
    });
    let (mut parts, said) = read_members(members, beside);
    if parts.is_empty() {
        let more = if said.len() > 3 { format!("; and {} more", said.len() - 3) } else { String::new() };
        let why = if said.is_empty() { "it is empty".to_owned() } else { said[..said.len().min(3)].join("; ") };
        return Err(Error::format(name, format!("is a zip archive in which nothing can be read: {why}{more}")));
    }
    let warnings = of_members(name, said, &mut parts);
    Ok((parts, warnings))
}

/// The parts of the members of an archive, and what is wrong with some.
fn read_members(
    members: impl Iterator<Item = std::result::Result<(String, Vec<u8>), String>>,
    beside: Option<&Path>,
) -> (Vec<Part>, Vec<String>) {
    let (mut parts, mut warnings) = (Vec::new(), Vec::new());
    for member in members {
        let (member, bytes) = match member {
            Ok(member) => member,
            Err(e) => {
                warnings.push(e);
                continue;
            }
        };
        // An archive in an archive is not opened.
        if crate::sniff::is_tar(&bytes) || bytes.starts_with(b"PK\x03\x04") {
            warnings.push(format!("{member} is an archive itself and was not opened"));
            continue;
        }
        match read_named(Path::new(&member), bytes, beside) {
            Ok((more, said)) => {
                parts.extend(more);
                warnings.extend(said);
            }
            Err(e) => warnings.push(e.to_string()),
        }
    }
    (parts, warnings)
}

/// What is wrong with members, with the archive's name; the first table says it too.
fn of_members(name: &str, said: Vec<String>, parts: &mut [Part]) -> Vec<String> {
    let warnings: Vec<String> = said.into_iter().map(|w| format!("{name}: {w}")).collect();
    if let Some(Part::Table(first)) = parts.iter_mut().find(|p| matches!(p, Part::Table(_))) {
        first.warnings.extend(warnings.iter().cloned());
    }
    warnings
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
