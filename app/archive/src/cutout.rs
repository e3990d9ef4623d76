//! Cut-outs and single images: TESScut, Zcut, Pan-STARRS, Hubble's images and spectra.
//!
//! Functions that only make an address cost nothing and fail at nothing; the others ask a service for what there is at a place.
//! TESScut and Zcut answer with a zip archive of files, which is unpacked beside others: names from the archive never leave the
//! chosen folder, links are passed over, and sizes are counted as they come out, not as the archive claims. A cut-out is addressed
//! and downloaded like any other product; pixels are read by the readers of FITS and pictures.
//!
//! Protocols: TESScut, Zcut documentation; "PS1 Image Cutout Service"; HLA "fitscut.cgi interface"; STScI MAST API documentation
//! (Mast.HscSpectra.Db.All).

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use asterism_data::ColumnMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::download::{safe_name, unused};

use crate::http::Call;
use crate::text::{describe_other, json_message};
use crate::{Client, Error, Event, Result, check_position};

/// Unpacked bytes of one archive at most, and files in it.
const ZIP_BYTES: u64 = 50_000_000_000;
const ZIP_FILES: usize = 10_000;
/// Arcseconds of a pixel of the Pan-STARRS images.
const PS1_PIXEL_ARCSEC: f64 = 0.25;

/// An observation of a place by TESS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TessSector {
    /// `tess-s0001-1-3`
    pub name: String,
    /// Sector.
    pub sector: u32,
    /// Camera, 1 to 4.
    pub camera: u32,
    /// CCD, 1 to 4.
    pub ccd: u32,
}

/// A stacked image of Pan-STARRS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ps1Image {
    /// g, r, i, z or y.
    pub filter: String,
    /// Path on the server, for addresses of cut-outs.
    pub file: String,
    /// Name for a person.
    pub short_name: String,
    /// Middle of the stack (MJD).
    pub mjd: Option<f64>,
}

/// The form of a cut-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutoutFormat {
    /// Values.
    Fits,
    /// A picture.
    Jpg,
    /// A picture.
    Png,
}

impl CutoutFormat {
    fn word(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Jpg => "jpg",
            Self::Png => "png",
        }
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|v| u32::try_from(v).ok()).or_else(|| value.as_str()?.trim().parse().ok())
}

impl Client {
    fn mast_path(&self, path: &str) -> String {
        format!("{}/{path}", self.services().mast.trim_end_matches('/'))
    }

    pub(crate) fn small_json(&self, url: &str, cancelled: &dyn Fn() -> bool) -> Result<(Value, String, Vec<u8>)> {
        let url = self.http.url(url)?;
        let response = self.http.send(&Call::get(url).accept("application/json"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 8 << 20, cancelled)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok((value, service, bytes)),
            Err(e) if e.is_eof() && !bytes.is_empty() => Err(Error::CutOff { service, rows: 0 }),
            Err(_) => Err(Error::not_a_table(&service, describe_other(&bytes))),
        }
    }

    /// When TESS looked at a place.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn tess_sectors(
        &self,
        ra_deg: f64,
        dec_deg: f64,
        radius_deg: f64,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<TessSector>> {
        if radius_deg != 0.0 {
            check_position(ra_deg, dec_deg, radius_deg)?;
        }
        let query = format!("tesscut/api/v0.1/sector?ra={ra_deg}&dec={dec_deg}&radius={radius_deg}");
        let (value, service, bytes) = self.small_json(&self.mast_path(&query), cancelled)?;
        let Some(list) = value["results"].as_array() else {
            return Err(match json_message(&String::from_utf8_lossy(&bytes)) {
                Some(message) => Error::service(&service, message),
                None => Error::not_a_table(&service, describe_other(&bytes)),
            });
        };
        let read = |v: &Value| {
            let name = v["sectorName"].as_str()?.to_owned();
            Some(TessSector { name, sector: number(&v["sector"])?, camera: number(&v["camera"])?, ccd: number(&v["ccd"])? })
        };
        Ok(list.iter().filter_map(read).collect())
    }

    /// Where TESScut cuts target pixel files: `size` columns and rows of pixels (21 arcsec each), of one sector or of all. A zip.
    pub fn tess_cutout_url(&self, ra_deg: f64, dec_deg: f64, size: (u32, u32), sector: Option<u32>) -> String {
        let sector = sector.map_or_else(String::new, |s| format!("&sector={s}"));
        let query = format!("tesscut/api/v0.1/astrocut?ra={ra_deg}&dec={dec_deg}&x={}&y={}&units=px{sector}", size.0, size.1);
        self.mast_path(&query)
    }

    /// The deep fields that Zcut can cut at a place.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn zcut_surveys(&self, ra_deg: f64, dec_deg: f64, radius_deg: f64, cancelled: &dyn Fn() -> bool) -> Result<Vec<String>> {
        if radius_deg != 0.0 {
            check_position(ra_deg, dec_deg, radius_deg)?;
        }
        let query = format!("zcut/api/v0.1/survey?ra={ra_deg}&dec={dec_deg}&radius={radius_deg}");
        let (value, service, bytes) = self.small_json(&self.mast_path(&query), cancelled)?;
        let Some(list) = value["surveys"].as_array() else {
            return Err(match json_message(&String::from_utf8_lossy(&bytes)) {
                Some(message) => Error::service(&service, message),
                None => Error::not_a_table(&service, describe_other(&bytes)),
            });
        };
        Ok(list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
    }

    /// Where Zcut cuts a deep field: `size` columns and rows of pixels, of one survey or of all. A zip.
    pub fn zcut_url(&self, ra_deg: f64, dec_deg: f64, size: (u32, u32), survey: Option<&str>, format: CutoutFormat) -> String {
        let survey = survey.map_or_else(String::new, |s| format!("&survey={}", crate::http::percent(s, "")));
        let query = format!(
            "zcut/api/v0.1/astrocut?ra={ra_deg}&dec={dec_deg}&y={}&x={}&units=px{survey}&cutout_format={}",
            size.1,
            size.0,
            format.word()
        );
        self.mast_path(&query)
    }

    /// The stacked images of Pan-STARRS at a place, in these filters (letters of `grizy`), bluest first.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub fn ps1_images(&self, ra_deg: f64, dec_deg: f64, filters: &str, cancelled: &dyn Fn() -> bool) -> Result<Vec<Ps1Image>> {
        check_position(ra_deg, dec_deg, 1.0)?;
        let base = self.services().ps1_images.trim_end_matches('/');
        let wanted: String = filters.chars().filter(|c| "grizy".contains(*c)).collect();
        let url = self.http.url(&format!("{base}/ps1filenames.py?ra={ra_deg}&dec={dec_deg}&filters={wanted}&type=stack"))?;
        let response = self.http.send(&Call::get(url).accept("text/plain, */*"), cancelled)?;
        let service = response.service.clone();
        let bytes = self.http.read_all(response, 8 << 20, cancelled)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().filter(|l| !l.trim().is_empty());
        let names: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
        let at = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        let (Some(filter), Some(file)) = (at("filter"), at("filename")) else {
            return Err(Error::not_a_table(&service, describe_other(&bytes)));
        };
        let (short, mjd) = (at("shortname"), at("mjd"));
        let mut images: Vec<Ps1Image> = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.len() < names.len() {
                return Err(Error::CutOff { service, rows: images.len() });
            }
            images.push(Ps1Image {
                filter: words[filter].into(),
                file: words[file].into(),
                short_name: short.map_or_else(String::new, |i| words[i].into()),
                mjd: mjd.and_then(|i| words[i].parse().ok()),
            });
        }
        images.sort_by_key(|i| "grizy".find(&i.filter));
        Ok(images)
    }

    /// Where Pan-STARRS cuts `size_deg` degrees around a place: one image, or a picture in colour of two or three (the reddest in red).
    /// Values of FITS stacks are scaled by asinh (`BOFFSET`, `BSOFTEN`).
    pub fn ps1_cutout_url(&self, images: &[&Ps1Image], ra_deg: f64, dec_deg: f64, size_deg: f64, format: CutoutFormat) -> String {
        let base = self.services().ps1_images.trim_end_matches('/');
        let pixels = (size_deg * 3600.0 / PS1_PIXEL_ARCSEC).round().clamp(1.0, 10_000.0) as u32;
        let mut sorted: Vec<&&Ps1Image> = images.iter().collect();
        sorted.sort_by_key(|i| std::cmp::Reverse("grizy".find(&i.filter)));
        let colours: String = match sorted.as_slice() {
            [] => String::new(),
            [one] => format!("&red={}", one.file),
            [red, blue] => format!("&red={}&blue={}", red.file, blue.file),
            [red, middle @ .., blue] => format!("&red={}&green={}&blue={}", red.file, middle[middle.len() / 2].file, blue.file),
        };
        let stretch = if format == CutoutFormat::Fits { "" } else { "&autoscale=99.5&asinh=1" };
        format!("{base}/fitscut.cgi?ra={ra_deg}&dec={dec_deg}&size={pixels}&format={}{stretch}{colours}", format.word())
    }

    /// Where the Hubble Legacy Archive cuts an image of the Hubble Source Catalog (`dataset` as in its rows), `pixels` wide.
    pub fn hsc_image_url(&self, dataset: &str, ra_deg: f64, dec_deg: f64, pixels: u32, format: CutoutFormat) -> String {
        let base = self.services().hla.trim_end_matches('/');
        let name = crate::http::percent(dataset, "");
        format!("{base}/fitscut.cgi?red={name}&ra={ra_deg}&dec={dec_deg}&size={pixels}&format={}", format.word())
    }

    /// Where a spectrum of the Hubble Source Catalog is, by `DatasetName` and `SpectrumType` of its row.
    pub fn hsc_spectrum_url(&self, dataset: &str, spectrum_type: i64) -> String {
        let base = self.services().hla.trim_end_matches('/');
        let name = crate::http::percent(dataset, "");
        if spectrum_type < 2 {
            format!("{base}/getdata.cgi?config=ops&dataset={name}")
        } else {
            format!("{base}/ecfproxy?file_id={name}.fits")
        }
    }

    /// All spectra of the Hubble Source Catalog (grism spectra), with the address of each in `dataURI`.
    ///
    /// # Errors
    /// As [`Client::search`]; rows that came before go to `on`.
    pub fn hsc_spectra(&self, max_rows: Option<usize>, cancelled: &dyn Fn() -> bool, on: &mut dyn FnMut(Event)) -> Result<usize> {
        let (mut rows, mut number, breaker) = (0, 1, crate::mast::cache_breaker());
        let size = self.services().page_size.clamp(1, 50_000);
        let most = max_rows.unwrap_or(usize::MAX);
        loop {
            let text = Self::invoke_text("Mast.HscSpectra.Db.All", &json!({}), number, size, &breaker);
            let page = self.invoke(&text, cancelled, None, &|_| Ok(()), &|_| None)?;
            let (came, pages) = (page.rows(), page.paging("pagesFiltered").unwrap_or(1));
            let mut table = page.table("HscSpectra", &|_| crate::json::ColumnRule::default())?;
            if table.column_index("DatasetName").is_some() && table.column_index("SpectrumType").is_some() {
                let addresses = table.strings("DatasetName")?.into_iter().zip(table.f64s("SpectrumType")?);
                let addresses: Vec<Option<String>> =
                    addresses.map(|(name, kind)| name.map(|n| self.hsc_spectrum_url(n.trim(), kind as i64))).collect();
                let ucd = Some("meta.ref.url".to_owned());
                table.with_nullable_string("dataURI", addresses, ColumnMeta { ucd, ..ColumnMeta::default() })?;
            }
            let left = most - rows;
            let table = if came > left { table.take(&asterism_data::RowSet::from_fn(came, |r| r < left))? } else { table };
            rows += table.rows();
            on(Event::Rows(table));
            if number >= pages || came == 0 || rows >= most {
                return Ok(rows);
            }
            number += 1;
        }
    }

    /// Fetches a zip of cut-outs and unpacks it into `folder`; gives the files.
    ///
    /// # Errors
    /// As [`Client::fetch`] and [`unpack_zip`]; the service's own words where it sent a message in the place of an archive.
    pub fn cutouts(
        &self,
        url: &str,
        folder: &Path,
        cancelled: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Vec<PathBuf>> {
        let archive = self.fetch_named(url, "cutouts.zip", cancelled, progress)?;
        unpack_zip(&archive, folder, cancelled)
    }
}

/// Unpacks the files of a zip archive into a folder, each under its own last name (`-2`, `-3`, ... where that is taken). Folders in
/// the archive are left out, links are passed over.
///
/// # Errors
/// [`Error::Io`]; [`Error::NotATable`] for a file that is no zip archive or is broken; [`Error::TooLarge`] for one that unpacks to
/// more than 50 GB. What was unpacked before stays; a file that was under way does not.
pub fn unpack_zip(path: &Path, folder: &Path, cancelled: &dyn Fn() -> bool) -> Result<Vec<PathBuf>> {
    unpack_within(path, folder, ZIP_BYTES, cancelled)
}

fn unpack_within(path: &Path, folder: &Path, limit: u64, cancelled: &dyn Fn() -> bool) -> Result<Vec<PathBuf>> {
    let what = path.display().to_string();
    let broken = |e: &dyn std::fmt::Display| Error::not_a_table(&what, format!("something that is no whole zip archive ({e})"));
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let mut zip = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(|e| broken(&e))?;
    if zip.len() > ZIP_FILES {
        return Err(Error::not_a_table(&what, format!("an archive of {} files ({ZIP_FILES} at most are unpacked)", zip.len())));
    }
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let (mut left, mut files) = (limit, Vec::new());
    let mut buffer = vec![0; 1 << 16];
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| broken(&e))?;
        if entry.is_dir() || entry.is_symlink() {
            continue;
        }
        // The last name alone: nothing of a path that could lead elsewhere.
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let name = safe_name(name.rsplit(['/', '\\']).next().unwrap_or(""));
        let target = unused(&folder.join(name));
        let mut out = std::fs::File::options().write(true).create_new(true).open(&target).map_err(|e| Error::io(&target, e))?;
        let result = loop {
            if cancelled() {
                break Err(Error::Cancelled);
            }
            match entry.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(n) if n as u64 > left => break Err(Error::TooLarge { service: what.clone(), bytes: limit }),
                Ok(n) => {
                    left -= n as u64;
                    if let Err(e) = out.write_all(&buffer[..n]) {
                        break Err(Error::io(&target, e));
                    }
                }
                Err(e) => break Err(broken(&e)),
            }
        };
        if let Err(error) = result {
            drop(out);
            let _ = std::fs::remove_file(&target);
            return Err(error);
        }
        files.push(target);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::size_text;
    use zip::write::SimpleFileOptions;

    fn archive(folder: &Path, files: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("a.zip");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (name, bytes) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn no_name_in_an_archive_leaves_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("deep").join("inside");
        let names = ["../../evil.fits", "/etc/evil.fits", "C:\\evil.fits", "..\\evil.fits", "..", "con.txt", "a/b/good.fits"];
        let path = archive(home.path(), &names.map(|n| (n, n.as_bytes())));
        let files = unpack_zip(&path, &inside, &|| false).unwrap();
        assert_eq!(files.len(), names.len());
        let root = inside.canonicalize().unwrap();
        for (file, name) in files.iter().zip(names) {
            assert_eq!(file.canonicalize().unwrap().parent().unwrap(), root, "{name}");
            assert_eq!(std::fs::read(file).unwrap(), name.as_bytes());
        }
        assert!(files[6].ends_with("good.fits") && files[5].ends_with("_con.txt"));
        // Beside the archive and the folder there is nothing.
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2);
        assert_eq!(std::fs::read_dir(home.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn a_bomb_is_stopped_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = archive(home.path(), &[("small.txt", b"x"), ("bomb.fits", &vec![0; 3_000_000])]);
        assert!(std::fs::metadata(&path).unwrap().len() < 10_000, "{}", size_text(std::fs::metadata(&path).unwrap().len()));
        let out = home.path().join("out");
        let error = unpack_within(&path, &out, 1_000_000, &|| false).unwrap_err();
        assert!(error.to_string().contains("more than 1 MB"), "{error}");
        assert!(out.join("small.txt").exists() && !out.join("bomb.fits").exists());
        assert!(matches!(unpack_zip(&path, &home.path().join("c"), &|| true), Err(Error::Cancelled)));
        // Half an archive.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(unpack_zip(&path, &out, &|| false).unwrap_err().to_string().contains("no whole zip archive"));
    }
}
