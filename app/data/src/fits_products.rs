//! Every image, spectrum and light curve of a FITS file, and its tables.
//!
//! Spectra and light curves are recognised first; images that are parts of a spectrum are not
//! listed again. Tables are always listed, also when a spectrum or light curve was made of them:
//! they hold more columns than it shows.

use crate::fits::{Fits, Hdu, Kind};
use crate::wcs::{Lookup, Wcs};
use crate::{Error, Image, Part, Result, light_curve, spectrum_layouts};

/// All parts of a FITS file (gzip-compressed or not): spectra and light curves, then images, then
/// tables, each in the order of the file. `what` is its path or address.
///
/// # Errors
/// [`Error::Format`](crate::Error::Format) when it is not FITS, or when it has data but none could be read.
pub fn products(what: &str, bytes: &[u8]) -> Result<Vec<Part>> {
    products_with_warnings(what, bytes).map(|(parts, _)| parts)
}

/// As [`products`], and what had to be put up with in the file as a whole.
///
/// # Errors
/// As [`products`].
pub(crate) fn products_with_warnings(what: &str, bytes: &[u8]) -> Result<(Vec<Part>, Vec<String>)> {
    let fits = Fits::open(what, bytes)?;
    let mut parts = Vec::new();
    let mut images = Vec::new();
    let mut first_error = None;
    let (spectra, used) = spectrum_layouts::of_images(&fits);
    parts.extend(spectra.into_iter().map(Part::Spectrum));
    let mut has_tables = false;
    for hdu in &fits.hdus {
        match hdu.kind() {
            Kind::Image if !used[hdu.number] => match Image::of_hdu(&fits, hdu) {
                Ok(list) => images.extend(list.into_iter().map(Part::Image)),
                Err(e) => {
                    first_error.get_or_insert(e);
                }
            },
            // Its columns are packed bytes, which look like numbers.
            Kind::Table if hdu.header.is_true("ZTABLE") => has_tables = true,
            Kind::Table => {
                has_tables = true;
                let (curve, frame) = light_curve::of_bin_table(&fits, hdu);
                images.extend(frame.map(Part::Image));
                if let Some(curve) = curve {
                    parts.push(Part::LightCurve(curve));
                } else {
                    parts.extend(spectrum_layouts::of_bin_table(&fits, hdu).into_iter().map(Part::Spectrum));
                }
            }
            Kind::AsciiTable | Kind::Groups => has_tables = true,
            _ => {}
        }
    }
    parts.append(&mut images);
    if has_tables {
        match crate::fits_table::read_fits_tables(what, fits.bytes()) {
            Ok(mut tables) => {
                let many = tables.len() > 1;
                for (i, table) in tables.iter_mut().enumerate().filter(|(_, t)| t.name.is_empty()) {
                    table.name = if many { format!("{} {}", fits.stem(), i + 1) } else { fits.stem().into() };
                }
                parts.extend(tables.into_iter().map(Part::Table));
            }
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    if parts.is_empty()
        && let Some((hdu, cards)) = fits.cut_header
    {
        let before = match fits.whole_units() {
            list if list.is_empty() => "nothing of it can be read".into(),
            list => format!("before it there is {list}"),
        };
        return Err(Error::format(what, format!("{}; {before}", crate::fits::header_cut(hdu, cards))));
    }
    match first_error {
        Some(e) if parts.is_empty() => Err(e),
        _ => Ok((parts, fits.warnings)),
    }
}

/// Give a WCS the distortion tables its header names (D2IMDISn, CPDISn).
pub(crate) fn add_distortions(fits: &Fits, hdu: &Hdu, wcs: &mut Wcs) {
    let table = |key: &str, record: &str, extension: &str, axis: usize| {
        let kind = hdu.header.text(&format!("{key}{axis}"))?;
        if !kind.eq_ignore_ascii_case("lookup") {
            return None;
        }
        // record-valued cards: DP1 = 'EXTVER: 1'
        let version = hdu
            .header
            .cards()
            .iter()
            .filter(|c| c.key == format!("{record}{axis}") || c.key == format!("{record}{axis}.EXTVER"))
            .find_map(|c| {
                let text = c.value.to_string();
                match text.split_once(':') {
                    Some((field, v)) => (field.trim() == "EXTVER").then(|| v.trim().parse::<f64>().ok()).flatten(),
                    None => text.trim().parse().ok(),
                }
            })
            .unwrap_or(axis as f64) as i64;
        let unit = fits.hdus.iter().find(|h| {
            h.name().eq_ignore_ascii_case(extension) && h.header.int("EXTVER").unwrap_or(1) == version && h.kind() == Kind::Image
        })?;
        let axes = unit.axes();
        let number = |key: &str, default: f64| unit.header.float(key).unwrap_or(default);
        Some(Lookup {
            shape: [axes.get(1).copied().unwrap_or(1), *axes.first()?],
            crpix: [number("CRPIX1", 0.0), number("CRPIX2", 0.0)],
            crval: [number("CRVAL1", 0.0), number("CRVAL2", 0.0)],
            cdelt: [number("CDELT1", 1.0), number("CDELT2", 1.0)].map(|v| if v == 0.0 { 1.0 } else { v }),
            values: std::sync::Arc::new(fits.values(unit).ok()?),
        })
    };
    let both = |key: &str, record: &str, extension: &str| [table(key, record, extension, 1), table(key, record, extension, 2)];
    wcs.set_lookups(both("D2IMDIS", "D2IM", "D2IMARR"), both("CPDIS", "DP", "WCSDVARR"));
}
