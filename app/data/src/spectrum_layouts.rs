//! The layouts in which archives keep spectra, recognised by what is in the file.
//!
//! Tables: one spectrum a row (STIS, COS, FUSE, ESO, DEIMOS, IUE) or one sample a row (SDSS, JWST,
//! IUE and SpeX coadds). Images: one-dimensional with a spectral axis, rows of wavelength, flux and
//! error (SpeX prism), one spectrum a row (spPlate, UVES_popler), IRAF multispec, separate units
//! for flux, error and wavelength, DESI's arms. Every spectrum says which rule made it and whether
//! its unit of wavelength had to be assumed. Guessing by instrument name alone was not taken: files
//! pass through other tools that keep the layout and lose the name.
//!
//! Sources: the data handbooks of the missions as digested in the project's notes, Valdes 1993
//! (IRAF multispec), IVOA Spectrum data model 1.1 (utypes).

use crate::fits::{Fits, Hdu, Kind, Value};
use crate::quality::Flags;
use crate::source_columns::{Cells, Columns, FitsColumns, TableColumns};
use crate::spectrum::{guess_unit, metres_in};
use crate::{Medium, SpectraColumn, Spectrum, Table};

/// Most spectra that one table or image is taken apart into; a longer table stays a table, whose
/// rows [`SpectraColumn`] reads.
const MOST: usize = 2000;
/// Speed of light, m/s.
const LIGHT: f64 = 299_792_458.0;
/// Fewest samples that make a spectrum.
const FEWEST: usize = 8;

/// The spectra in a table: one a row (common grid or own wavelengths), or the table itself when its
/// rows are samples. Empty when it holds none, or more than 2000.
pub fn spectra_from_table(table: &Table) -> Vec<Spectrum> {
    if table.rows() == 0 || table.rows() > 1 << 24 {
        return Vec::new();
    }
    if let Some(found) = SpectraColumn::find(table)
        && found.grid.is_some()
    {
        if table.rows() > MOST {
            return Vec::new();
        }
        return (0..table.rows()).map(|row| found.spectrum(table, row)).collect();
    }
    from_columns(&TableColumns::new(table))
}

/// The spectrum whose samples are the rows of a table that says so, by the utypes of the Spectrum data model: what SSA services
/// give as a VOTable.
pub(crate) fn of_samples(table: &Table) -> Option<Spectrum> {
    let role =
        |end: &str| table.columns().iter().any(|c| c.utype.as_ref().is_some_and(|u| u.to_ascii_lowercase().ends_with(end)));
    if !role("spectralaxis.value") || !role("fluxaxis.value") {
        return None;
    }
    let mut found = from_columns(&TableColumns::new(table));
    if found.len() == 1 { found.pop() } else { None }
}

/// The spectra of a FITS binary table.
pub(crate) fn of_bin_table(fits: &Fits, hdu: &Hdu) -> Vec<Spectrum> {
    FitsColumns::new(fits, hdu).map(|c| from_columns(&c)).unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq)]
enum ErrorKind {
    Sigma,
    Variance,
    InverseVariance,
}

fn from_columns(c: &dyn Columns) -> Vec<Spectrum> {
    let infos = c.infos();
    let is_number = |i: &usize| infos[*i].cells != Cells::Text;
    let wave = c
        .with_utype("SpectralAxis.Value")
        .or_else(|| {
            c.named(&[
                "wavelength",
                "wave",
                "lambda",
                "loglam",
                "lam",
                "wavelengths",
                "wave_vac",
                "wave_air",
                "lambda_vac",
                "lambda_air",
                "awav",
            ])
        })
        .or_else(|| c.with_ucd("em.wl"))
        .filter(is_number);
    let flux = c
        .with_utype("FluxAxis.Value")
        .or_else(|| {
            c.named(&[
                "flux",
                "flux_lambda",
                "f_lambda",
                "flam",
                "flux_density",
                "fluxes",
                "spec",
                "spectrum",
                "abs_cal",
                "flux_total",
            ])
        })
        .or_else(|| c.with_ucd("phot.flux"))
        .filter(is_number);
    let (Some(wave), Some(mut flux)) = (wave, flux) else { return Vec::new() };
    if wave == flux || c.rows() == 0 {
        return Vec::new();
    }
    let error_names = [
        "error",
        "err",
        "sigma",
        "flux_error",
        "flux_err",
        "err_flux",
        "fluxerr",
        "error_flux",
        "e_flux",
        "fluxerror",
        "uncertainty",
        "stat_error",
        "stdev",
        "noise",
        "error_lower",
    ];
    let mut error = c
        .with_utype("FluxAxis.Accuracy.StatError")
        .or_else(|| c.named(&error_names))
        .map(|i| (i, ErrorKind::Sigma))
        .or_else(|| c.named(&["ivar", "invvar", "inverse_variance", "flux_ivar"]).map(|i| (i, ErrorKind::InverseVariance)))
        .or_else(|| c.named(&["variance", "var"]).map(|i| (i, ErrorKind::Variance)))
        .filter(|(i, _)| is_number(i));
    let telescope = c.key("TELESCOP").unwrap_or_default().to_ascii_uppercase();
    let instrument = c.key("INSTRUME").unwrap_or_default().to_ascii_uppercase();
    let mut rule_more = "";
    if c.key("SRCTYPE").is_some_and(|v| v.trim() == "EXTENDED")
        && let (Some(bright), Some(e)) = (c.named(&["surf_bright"]), c.named(&["sb_error"]))
    {
        (flux, error, rule_more) = (bright, Some((e, ErrorKind::Sigma)), "; an extended source: surface brightness");
    }
    let mask = Mask::find(c, &telescope, &instrument);
    let log = infos[wave].name.eq_ignore_ascii_case("loglam") || infos[wave].unit.to_ascii_lowercase().starts_with("log");
    let flux_unit = if infos[flux].unit.is_empty() { c.key("BUNIT").unwrap_or_default() } else { infos[flux].unit.clone() };
    let known_vacuum = ["HST", "JWST", "FUSE", "IUE", "SDSS", "SPITZER"].iter().any(|t| telescope.starts_with(t));
    let said = [&infos[wave].name, &c.key("AIRORVAC").unwrap_or_default()].map(|v| Medium::from_text(&v.replace('_', " ")));
    let medium = if said.contains(&Medium::Air) {
        Medium::Air
    } else if said.contains(&Medium::Vacuum) || known_vacuum || log || c.key("VACUUM").is_some_and(|v| v.trim() == "T") {
        Medium::Vacuum
    } else {
        Medium::Unknown
    };
    let finish = |mut s: Spectrum, mut axis: Vec<f64>| {
        s.flux_unit = flux_unit.clone();
        s.medium = medium;
        if log {
            axis.iter_mut().for_each(|v| *v = 10f64.powf(*v));
            s.set_axis(axis, "Angstrom", 1e-10);
        } else {
            place(&mut s, axis, &infos[wave].unit);
        }
        if let (Some(e), Some((_, kind))) = (&mut s.error, error) {
            to_sigma(e, kind);
        }
        if let Some(mask) = &mask {
            (s.flags, s.mask) = (mask.flags, mask.bits());
        }
        s.tidy_masked(mask.is_some());
        vacuum_below_2000(&mut s);
        s
    };

    if infos[flux].cells == Cells::Number {
        if infos[wave].cells != Cells::Number || c.rows() < FEWEST {
            return Vec::new();
        }
        let axis = c.column(wave);
        if !is_monotonic(&axis) {
            return Vec::new();
        }
        let mut s = Spectrum {
            name: c.title(),
            flux: c.column(flux),
            error: error.filter(|(i, _)| infos[*i].cells == Cells::Number).map(|(i, _)| c.column(i)),
            rule: format!("table, one sample a row: {} and {}{rule_more}", infos[wave].name, infos[flux].name),
            ..Spectrum::default()
        };
        s.good = match &mask {
            Some(mask) if infos[mask.column].cells == Cells::Number => {
                s.quality = mask.quality(&c.column(mask.column));
                c.column(mask.column).into_iter().zip(&s.flux).map(|(v, f)| mask.is_good(v, *f)).collect()
            }
            _ => vec![true; s.flux.len()],
        };
        return vec![finish(s, axis)];
    }

    if c.rows() > MOST {
        return Vec::new();
    }
    let step = c.named(&["deltaw", "delta_w", "dw"]).filter(|_| infos[wave].cells == Cells::Number);
    if infos[wave].cells == Cells::Number && step.is_none() {
        return Vec::new();
    }
    let label = [
        ("sporder", "order "),
        ("order", "order "),
        ("segment", ""),
        ("aperture", ""),
        ("targetid", ""),
        ("source_id", "source "),
    ]
    .iter()
    .find_map(|(n, w)| c.named(&[n]).map(|i| (i, *w)));
    let count = c.named(&["nelem", "npoints"]);
    let first_point = c.named(&["startpix"]);
    let mut out = Vec::with_capacity(c.rows());
    for row in 0..c.rows() {
        let one = |column: Option<usize>| column.and_then(|i| c.cell(row, i).first().copied());
        let mut flux_values = c.cell(row, flux);
        let from = one(first_point).map_or(0, |v| (v - 1.0).max(0.0) as usize).min(flux_values.len());
        let n = one(count).map(|v| v as usize).filter(|v| *v > 0).unwrap_or(usize::MAX).min(flux_values.len() - from);
        let cut = |v: Vec<f64>| -> Vec<f64> { v.into_iter().skip(from).take(n).collect() };
        let axis = match step {
            Some(step) => {
                let (w0, dw) = (one(Some(wave)).unwrap_or(f64::NAN), one(Some(step)).unwrap_or(f64::NAN));
                (0..n).map(|i| w0 + dw * i as f64).collect()
            }
            None => cut(c.cell(row, wave)),
        };
        flux_values = cut(flux_values);
        if flux_values.is_empty() || axis.is_empty() {
            continue;
        }
        let mut s = Spectrum {
            name: match label {
                Some((i, word)) => format!("{} {word}{}", c.title(), c.text(row, i)),
                None if c.rows() > 1 => format!("{} row {}", c.title(), row + 1),
                None => c.title(),
            },
            error: error.filter(|(i, _)| infos[*i].cells == Cells::Array).map(|(i, _)| cut(c.cell(row, i))),
            rule: format!("table, one spectrum a row: {} and {}{rule_more}", infos[wave].name, infos[flux].name),
            ..Spectrum::default()
        };
        s.good = match &mask {
            Some(mask) if infos[mask.column].cells == Cells::Array => {
                s.quality = mask.quality(&cut(c.cell(row, mask.column)));
                cut(c.cell(row, mask.column)).into_iter().zip(&flux_values).map(|(v, f)| mask.is_good(v, *f)).collect()
            }
            _ => vec![true; flux_values.len()],
        };
        s.flux = flux_values;
        out.push(finish(s, axis));
    }
    out
}

/// Which samples a quality column lets pass.
struct Mask {
    column: usize,
    kind: MaskKind,
    flags: Flags,
}

enum MaskKind {
    /// Good when none of these bits is set.
    Bits(i64),
    /// Good above 0 (weights, counts of points).
    Positive,
    /// Good when 0.
    Zero,
    /// IUE: good above −16384, calibrated, and with a flux.
    Iue,
}

impl Mask {
    fn find(c: &dyn Columns, telescope: &str, instrument: &str) -> Option<Self> {
        let flags = match (telescope, instrument) {
            (_, "STIS") => Flags::Stis,
            (_, "COS") => Flags::Cos,
            ("JWST", _) => Flags::Jwst,
            _ => Flags::Other,
        };
        let mask = |names: &[&str], kind: MaskKind| c.named(names).map(|column| Self { column, kind, flags });
        if let Some(m) = mask(&["dq_wgt", "npts"], MaskKind::Positive) {
            return Some(m);
        }
        if let Some(m) = mask(
            &["dq"],
            match flags {
                Flags::Stis | Flags::Jwst => MaskKind::Bits(flags.default_mask()),
                _ => MaskKind::Zero,
            },
        ) {
            return Some(m);
        }
        let quality = if telescope.starts_with("IUE") || c.named(&["deltaw"]).is_some() {
            MaskKind::Iue
        } else if telescope.starts_with("FUSE") {
            MaskKind::Positive
        } else {
            MaskKind::Zero
        };
        mask(&["quality"], quality)
            .or_else(|| mask(&["qual", "mask", "flag", "flags"], MaskKind::Zero))
            .or_else(|| c.with_utype("FluxAxis.Quality").map(|column| Self { column, kind: MaskKind::Zero, flags: Flags::Other }))
            .filter(|m| c.infos()[m.column].cells != Cells::Text)
    }
    /// The column's bits, where it is one of bits.
    fn quality(&self, values: &[f64]) -> Option<Vec<i64>> {
        matches!(self.kind, MaskKind::Bits(_) | MaskKind::Zero).then(|| crate::quality::as_bits(values))
    }
    /// The bits that are bad.
    fn bits(&self) -> i64 {
        match self.kind {
            MaskKind::Bits(bits) => bits,
            MaskKind::Zero => -1,
            MaskKind::Positive | MaskKind::Iue => 0,
        }
    }
    fn is_good(&self, value: f64, flux: f64) -> bool {
        match self.kind {
            MaskKind::Bits(bits) => value.is_finite() && value as i64 & bits == 0,
            MaskKind::Positive => value > 0.0,
            MaskKind::Zero => value == 0.0,
            MaskKind::Iue => value > -16384.0 && value != -2.0 && flux != 0.0,
        }
    }
}

fn to_sigma(error: &mut [f64], kind: ErrorKind) {
    match kind {
        ErrorKind::Sigma => {}
        ErrorKind::Variance => error.iter_mut().for_each(|v| *v = v.sqrt()),
        ErrorKind::InverseVariance => error.iter_mut().for_each(|v| *v = if *v > 0.0 { v.sqrt().recip() } else { 0.0 }),
    }
}

/// Give a spectrum its axis in `unit`, or in the unit that fits its size.
fn place(s: &mut Spectrum, axis: Vec<f64>, unit: &str) {
    match metres_in(unit) {
        Some(factor) => s.set_axis(axis, unit.trim(), factor),
        None => {
            let (guess, factor) = guess_unit(&axis);
            s.set_axis(axis, guess, factor);
            s.units_assumed = true;
        }
    }
}

/// Below 2000 Å wavelengths are in vacuum by convention.
fn vacuum_below_2000(s: &mut Spectrum) {
    if s.medium == Medium::Unknown && s.range_m().is_some_and(|(_, to)| to < 2000e-10) {
        s.medium = Medium::Vacuum;
    }
}

/// Whether nearly all steps of the finite values go one way.
fn is_monotonic(axis: &[f64]) -> bool {
    let finite: Vec<f64> = axis.iter().copied().filter(|v| v.is_finite() && *v > 0.0).collect();
    if finite.len() < FEWEST.min(axis.len()) || finite.len() < 2 {
        return false;
    }
    let steps = finite.len() - 1;
    let up = finite.windows(2).filter(|w| w[1] > w[0]).count();
    let down = finite.windows(2).filter(|w| w[1] < w[0]).count();
    up.max(down) * 100 >= steps * 98
}

/// The spectra that are kept in image units, and which units they used up.
pub(crate) fn of_images(fits: &Fits) -> (Vec<Spectrum>, Vec<bool>) {
    let mut used = vec![false; fits.hdus.len()];
    let mut out = desi(fits, &mut used);
    out.extend(named_units(fits, &mut used));
    for hdu in &fits.hdus {
        if used[hdu.number] || hdu.kind() != Kind::Image || hdu.is_compressed() {
            continue;
        }
        let axes = hdu.axes();
        let long: Vec<usize> = axes.iter().copied().filter(|n| *n > 1).collect();
        let found = if ctype(hdu, 1).starts_with("MULTISPE") {
            multispec(fits, hdu)
        } else if is_sky(hdu) {
            Vec::new()
        } else if long.len() == 1 && axes[0] == long[0] {
            one_dimensional(fits, hdu, &mut used)
        } else if long.len() == 2 && axes[..2].iter().all(|n| *n > 1) {
            two_dimensional(fits, hdu, &mut used)
        } else {
            Vec::new()
        };
        if !found.is_empty() {
            used[hdu.number] = true;
            out.extend(found);
        }
    }
    (out, used)
}

fn ctype(hdu: &Hdu, axis: usize) -> String {
    hdu.header.text(&format!("CTYPE{axis}")).unwrap_or("").to_ascii_uppercase()
}

fn is_sky(hdu: &Hdu) -> bool {
    [ctype(hdu, 1), ctype(hdu, 2)]
        .iter()
        .any(|t| ["RA", "DEC", "GLON", "GLAT", "ELON", "ELAT"].iter().any(|s| t == s || t.starts_with(&format!("{s}-"))))
}

fn target(fits: &Fits, hdu: &Hdu) -> String {
    ["OBJECT", "TARGNAME"].iter().find_map(|k| fits.keyword_text(hdu, k)).map_or_else(|| fits.title(hdu), Into::into)
}

enum AxisKind {
    /// Factor to metres.
    Wavelength(f64),
    /// Factor to Hz.
    Frequency(f64),
    Velocity,
}

struct SpectralAxis {
    values: Vec<f64>,
    unit: String,
    kind: AxisKind,
    medium: Medium,
    assumed: bool,
    rule: String,
}

impl SpectralAxis {
    fn put(self, s: &mut Spectrum) {
        s.medium = self.medium;
        s.units_assumed = self.assumed;
        s.rule = self.rule;
        match self.kind {
            AxisKind::Wavelength(factor) => s.set_axis(self.values, &self.unit, factor),
            AxisKind::Frequency(factor) => {
                s.set_axis(self.values, &self.unit, 1.0);
                s.wavelength_m.iter_mut().for_each(|v| *v = LIGHT / (*v * factor));
            }
            AxisKind::Velocity => {
                s.axis = self.values;
                s.axis_unit = self.unit;
            }
        }
    }
}

/// The `units=` of an IRAF WAT card.
fn wat_units(hdu: &Hdu) -> Option<String> {
    let text = wat(hdu, 1);
    let (_, rest) = text.split_once("units=")?;
    rest.split_whitespace().next().map(|v| v.trim_matches('"').to_owned())
}

/// All WATa_nnn cards of an axis, each padded to 68 characters and joined.
fn wat(hdu: &Hdu, axis: usize) -> String {
    let mut out = String::new();
    for n in 1..1000 {
        match hdu.header.get(&format!("WAT{axis}_{n:03}")) {
            Some(Value::Text(text)) => out.push_str(&format!("{text:<68}")),
            _ => break,
        }
    }
    out
}

/// The spectral axis of an image along its first axis, where its header describes one.
fn spectral_axis(fits: &Fits, hdu: &Hdu) -> Option<SpectralAxis> {
    let h = &hdu.header;
    let n = *hdu.axes().first()?;
    let kind = ctype(hdu, 1);
    let code = kind.split(['-', ' ', '[']).next().unwrap_or("").to_owned();
    let start = h.float("CRVAL1").or_else(|| h.float("COEFF0"))?;
    let step = h.float("CD1_1").or_else(|| h.float("CDELT1")).or_else(|| h.float("COEFF1")).filter(|v| *v != 0.0)?;
    let pixel = h.float("CRPIX1").unwrap_or(1.0);
    let wat = wat(hdu, 1).to_ascii_lowercase();
    let wavelength_words = ["LINEAR", "WAVE", "LAMBDA", "AWAV", "WAVELENGTH", "WAVELENG", "LOGLIN", "LOGLAM", "LAM", "LOG_LAM"];
    let is_wavelength = wavelength_words.contains(&code.as_str());
    let is_velocity = ["VRAD", "VELO", "VOPT", "VELOCITY", "FELO"].contains(&code.as_str());
    let described = h.get("DC-FLAG").is_some() || h.get("COEFF0").is_some() || wat.contains("wavelength");
    let bare = code.is_empty() && hdu.number == 0 && n >= 50 && start != 0.0 && step != 1.0;
    if !(is_wavelength || is_velocity || code == "FREQ" || described || bare) {
        return None;
    }
    // a LINEAR axis that only counts pixels
    if code == "LINEAR" && !described && start == 1.0 && step == 1.0 {
        return None;
    }
    let unit = h.text("CUNIT1").map(str::to_owned).or_else(|| wat_units(hdu)).or_else(|| {
        let (_, rest) = h.text("CTYPE1")?.split_once('[')?;
        Some(rest.trim_end_matches(']').to_owned())
    });
    let unit = unit.unwrap_or_default();
    let linear = |i: usize| start + (i as f64 + 1.0 - pixel) * step;
    let is_log10 =
        h.int("DC-FLAG") == Some(1) || h.get("COEFF0").is_some() || matches!(code.as_str(), "LOGLIN" | "LOGLAM" | "LOG_LAM");
    let mut values: Vec<f64> = (0..n).map(linear).collect();
    let mut rule = "image with a linear spectral axis";
    if is_log10 {
        values.iter_mut().for_each(|v| *v = 10f64.powf(*v));
        rule = "image with a log10 spectral axis";
    } else if kind.ends_with("-LOG") {
        values.iter_mut().for_each(|v| *v = start * ((*v - start) / start).exp());
        rule = "image with a logarithmic spectral axis";
    }
    if is_velocity {
        let unit = if unit.is_empty() { "m/s".into() } else { unit };
        return Some(SpectralAxis {
            values,
            unit,
            kind: AxisKind::Velocity,
            medium: Medium::Unknown,
            assumed: false,
            rule: "image with a velocity axis".into(),
        });
    }
    if code == "FREQ" {
        let factor = match unit.as_str() {
            "kHz" => 1e3,
            "MHz" => 1e6,
            "GHz" => 1e9,
            "THz" => 1e12,
            _ => 1.0,
        };
        let unit = if unit.is_empty() { "Hz".into() } else { unit };
        let rule = "image with a frequency axis".into();
        return Some(SpectralAxis {
            values,
            unit,
            kind: AxisKind::Frequency(factor),
            medium: Medium::Vacuum,
            assumed: false,
            rule,
        });
    }
    let telescope = fits.keyword_text(hdu, "TELESCOP").unwrap_or("");
    let vacuum =
        fits.keyword(hdu, "VACUUM") == Some(&Value::Logical(true)) || h.get("COEFF0").is_some() || telescope.starts_with("SDSS");
    let medium = match code.as_str() {
        "AWAV" => Medium::Air,
        "WAVE" => Medium::Vacuum,
        _ if vacuum => Medium::Vacuum,
        _ => Medium::from_text(fits.keyword_text(hdu, "AIRORVAC").unwrap_or("")),
    };
    let (unit, factor, assumed) = match metres_in(&unit) {
        Some(factor) => (unit, factor, false),
        None => {
            let (unit, factor) = guess_unit(&values);
            (unit.into(), factor, true)
        }
    };
    Some(SpectralAxis { values, unit, kind: AxisKind::Wavelength(factor), medium, assumed, rule: rule.into() })
}

fn flux_unit(fits: &Fits, hdu: &Hdu) -> String {
    ["BUNIT", "YUNITS", "FLUXUNIT"].iter().find_map(|k| fits.keyword_text(hdu, k)).unwrap_or("").into()
}

fn one_dimensional(fits: &Fits, hdu: &Hdu, used: &mut [bool]) -> Vec<Spectrum> {
    let name = hdu.name().to_ascii_uppercase();
    if ["D2IMARR", "WCSDVARR", "MASK", "DQ"].contains(&name.as_str()) {
        return Vec::new();
    }
    let Some(axis) = spectral_axis(fits, hdu) else { return Vec::new() };
    let n = axis.values.len();
    if n < FEWEST {
        return Vec::new();
    }
    let Ok(flux) = fits.values(hdu) else { return Vec::new() };
    let mut s =
        Spectrum { name: target(fits, hdu), flux, good: vec![true; n], flux_unit: flux_unit(fits, hdu), ..Spectrum::default() };
    axis.put(&mut s);
    // sister units of the same length
    let is_sdss = hdu.header.get("COEFF0").is_some();
    for sister in fits.hdus.iter().filter(|o| o.number > hdu.number && o.kind() == Kind::Image && o.axes() == [n]) {
        let name = sister.name().to_ascii_uppercase();
        let what = match (name.as_str(), sister.number - hdu.number) {
            ("", 1) if is_sdss => "IVAR",
            ("", 2) if is_sdss => "WAVE",
            ("", 3) if is_sdss => "GOOD",
            (name, _) => name,
        };
        let Ok(values) = fits.values(sister) else { continue };
        if what.contains("IVAR") || what.contains("INVVAR") {
            let mut e = values;
            to_sigma(&mut e, ErrorKind::InverseVariance);
            s.error = Some(e);
        } else if what.contains("VAR") {
            s.error = Some(values.into_iter().map(f64::sqrt).collect());
        } else if ["ERR", "SIG", "UNC"].iter().any(|w| what.contains(w)) {
            s.error = Some(values);
        } else if what == "GOOD" {
            // 1 where the sample may be used
            s.good.iter_mut().zip(values).for_each(|(g, v)| *g &= v > 0.0);
        } else if ["MASK", "DQ", "QUAL", "FLAG"].iter().any(|w| what.contains(w)) {
            s.good.iter_mut().zip(values).for_each(|(g, v)| *g &= v == 0.0);
        } else if what != "WAVE" {
            continue;
        }
        used[sister.number] = true;
    }
    if s.error.is_none() && hdu.number == 0 {
        s.error = sister_file(&fits.what, n);
    }
    // zeros at the ends are padding
    let is_padding = |f: &f64| *f == 0.0 || !f.is_finite();
    let leading = s.flux.iter().take_while(|f| is_padding(f)).count();
    let trailing = s.flux.iter().rev().take_while(|f| is_padding(f)).count();
    s.good[..leading].fill(false);
    s.good[n - trailing..].fill(false);
    s.tidy();
    vacuum_below_2000(&mut s);
    vec![s]
}

/// The errors in `NAME_e.fits` beside `NAME_f.fits`.
fn sister_file(path: &str, n: usize) -> Option<Vec<f64>> {
    let (stem, end) = [".fits.gz", ".fits"].iter().find_map(|end| path.strip_suffix(end).map(|s| (s, *end)))?;
    let (stem, letter) = match stem.strip_suffix("_f") {
        Some(stem) => (stem, "_e"),
        None => (stem.strip_suffix("_F")?, "_E"),
    };
    let path = format!("{stem}{letter}{end}");
    let bytes = std::fs::read(&path).ok()?;
    let fits = Fits::open(&path, &bytes).ok()?;
    let hdu = fits.hdus.first().filter(|h| h.axes() == [n])?;
    fits.values(hdu).ok()
}

fn two_dimensional(fits: &Fits, hdu: &Hdu, used: &mut [bool]) -> Vec<Spectrum> {
    let axes = hdu.axes();
    let (columns, rows) = (axes[0], axes[1]);
    let Ok(values) = fits.values(hdu) else { return Vec::new() };
    let h = &hdu.header;
    let row = |r: usize| values[r * columns..(r + 1) * columns].to_vec();

    // rows named by the file: UVES_popler
    let array_name = |i: usize| h.text(&format!("ARRAY{i}")).map(str::to_ascii_lowercase);
    if let (Some(first), Some(second)) = (array_name(1), array_name(2))
        && first.contains("flux")
        && rows >= 2
        && let Some(axis) = spectral_axis(fits, hdu)
    {
        let mut s = Spectrum {
            name: target(fits, hdu),
            flux: row(0),
            good: vec![true; columns],
            flux_unit: flux_unit(fits, hdu),
            ..Spectrum::default()
        };
        if second.contains("error") || second.contains("sigma") {
            s.error = Some(row(1));
        }
        if let Some(status) = (1..=rows).find(|i| array_name(*i).is_some_and(|n| n.starts_with("status"))) {
            s.good = row(status - 1).into_iter().map(|v| v == 1.0).collect();
        }
        axis.put(&mut s);
        s.rule = "image whose rows are named by ARRAYn: flux, error, status".into();
        s.tidy();
        return vec![s];
    }

    // a row (or column) of wavelengths over one of flux
    if h.get("DC-FLAG").is_none() && h.get("COEFF0").is_none() {
        let short_rows = (2..=5).contains(&rows) && columns >= 4 * rows && columns >= FEWEST;
        let short_columns = (2..=5).contains(&columns) && rows >= 4 * columns && rows >= FEWEST;
        let lines: Vec<Vec<f64>> = if short_rows {
            (0..rows).map(row).collect()
        } else if short_columns {
            (0..columns).map(|c| values.iter().skip(c).step_by(columns).copied().collect()).collect()
        } else {
            Vec::new()
        };
        if let Some((axis, rest)) = lines.split_first()
            && is_monotonic(axis)
        {
            let n = axis.len();
            let mut s = Spectrum {
                name: target(fits, hdu),
                flux: rest[0].clone(),
                good: vec![true; n],
                flux_unit: flux_unit(fits, hdu),
                ..Spectrum::default()
            };
            s.error = rest.get(1).cloned();
            let unit = ["XUNITS", "CUNIT1", "XUNIT"].iter().find_map(|k| h.text(k)).unwrap_or("");
            place(&mut s, axis.clone(), unit);
            s.rule = format!("image of {} {}: wavelength, flux, error", lines.len(), if short_rows { "rows" } else { "columns" });
            // 0 at the ends stands for nothing
            s.good.iter_mut().zip(&s.flux).for_each(|(g, f)| *g &= *f != 0.0);
            s.tidy();
            return vec![s];
        }
    }

    // one spectrum a row
    if (h.get("DC-FLAG").is_some() || h.get("COEFF0").is_some() || wat(hdu, 0).contains("equispec"))
        && rows <= MOST
        && columns >= FEWEST
        && spectral_axis(fits, hdu).is_some()
    {
        let is_spspec = rows == 5 && h.get("FIBERID").is_some();
        let sister = fits.hdus.get(hdu.number + 1).filter(|o| o.kind() == Kind::Image && o.axes() == axes);
        let sister_is_ivar = sister.is_some_and(|o| o.name().to_ascii_uppercase().contains("IVAR") || h.get("COEFF0").is_some());
        let ivar = sister.filter(|_| sister_is_ivar).and_then(|o| fits.values(o).ok().map(|v| (o.number, v)));
        let listed = if is_spspec { 1 } else { rows };
        let mut out = Vec::with_capacity(listed);
        for r in 0..listed {
            let mut s =
                Spectrum { flux: row(r), good: vec![true; columns], flux_unit: flux_unit(fits, hdu), ..Spectrum::default() };
            s.name = if listed == 1 { target(fits, hdu) } else { format!("{} row {}", fits.title(hdu), r + 1) };
            if is_spspec {
                s.error = Some(row(2));
            } else if let Some((_, ivar)) = &ivar {
                let mut e = ivar[r * columns..(r + 1) * columns].to_vec();
                to_sigma(&mut e, ErrorKind::InverseVariance);
                s.error = Some(e);
            }
            if let Some(axis) = spectral_axis(fits, hdu) {
                axis.put(&mut s);
            }
            s.rule = if is_spspec {
                "SDSS spSpec image: flux, continuum-subtracted flux, error, mask".into()
            } else {
                "image with one spectrum a row".into()
            };
            s.tidy();
            out.push(s);
        }
        if let Some((number, _)) = ivar {
            used[number] = true;
        }
        return out;
    }
    Vec::new()
}

/// One-dimensional units named FLUX, ERROR (or IVAR) and WAVELENGTH.
fn named_units(fits: &Fits, used: &mut [bool]) -> Vec<Spectrum> {
    let find = |names: &[&str]| {
        fits.hdus
            .iter()
            .find(|h| h.kind() == Kind::Image && names.iter().any(|n| h.name().eq_ignore_ascii_case(n)) && h.axes().len() == 1)
    };
    let (Some(flux), Some(wave)) = (find(&["FLUX", "SPECTRUM", "SCI"]), find(&["WAVELENGTH", "WAVE", "LAMBDA", "LOGLAM"])) else {
        return Vec::new();
    };
    if flux.axes() != wave.axes() {
        return Vec::new();
    }
    let (Ok(flux_values), Ok(mut axis)) = (fits.values(flux), fits.values(wave)) else { return Vec::new() };
    let n = flux_values.len();
    let mut s = Spectrum {
        name: target(fits, flux),
        flux: flux_values,
        good: vec![true; n],
        flux_unit: flux_unit(fits, flux),
        ..Spectrum::default()
    };
    let sister =
        |names: &[&str]| find(names).filter(|h| h.axes() == [n]).and_then(|h| fits.values(h).ok().map(|v| (h.number, v)));
    for (names, kind) in [
        (&["ERROR", "ERR", "SIGMA", "SIG"][..], ErrorKind::Sigma),
        (&["IVAR"][..], ErrorKind::InverseVariance),
        (&["VARIANCE", "VAR"][..], ErrorKind::Variance),
    ] {
        if let Some((number, mut e)) = sister(names) {
            used[number] = true;
            to_sigma(&mut e, kind);
            s.error.get_or_insert(e);
        }
    }
    if let Some((number, mask)) = sister(&["MASK", "DQ"]) {
        used[number] = true;
        s.good = mask.into_iter().map(|v| v == 0.0).collect();
    }
    // linetools keeps units and medium as JSON
    let json = |key: &str| fits.keyword_text(flux, key).and_then(|t| serde_json::from_str::<serde_json::Value>(t).ok());
    let said = json("UNITS").and_then(|u| u["wave"].as_str().map(str::to_owned));
    if s.flux_unit.is_empty() {
        s.flux_unit = json("UNITS")
            .and_then(|u| u["flux"].as_str().map(str::to_owned))
            .filter(|u| !u.starts_with("dimensionless"))
            .unwrap_or_default();
    }
    s.medium = json("METADATA").and_then(|m| m["airvac"].as_str().map(Medium::from_text)).unwrap_or_default();
    if wave.name().eq_ignore_ascii_case("LOGLAM") {
        axis.iter_mut().for_each(|v| *v = 10f64.powf(*v));
    }
    let unit = wave.header.text("BUNIT").map(str::to_owned).or(said).unwrap_or_default();
    place(&mut s, axis, &unit);
    s.rule = "separate units for flux, error and wavelength".into();
    (used[flux.number], used[wave.number]) = (true, true);
    s.tidy();
    vec![s]
}

/// DESI: `B_WAVELENGTH`, `B_FLUX`, ... of each arm, joined by inverse variance, one spectrum a
/// target.
fn desi(fits: &Fits, used: &mut [bool]) -> Vec<Spectrum> {
    let find = |name: &str| fits.hdus.iter().find(|h| h.name().eq_ignore_ascii_case(name));
    let arms: Vec<String> = fits
        .hdus
        .iter()
        .filter_map(|h| h.name().to_ascii_uppercase().strip_suffix("_WAVELENGTH").map(str::to_owned))
        .filter(|arm| find(&format!("{arm}_FLUX")).is_some())
        .collect();
    if arms.is_empty() {
        return Vec::new();
    }
    struct Arm {
        wave: Vec<f64>,
        flux: Vec<f64>,
        ivar: Option<Vec<f64>>,
        mask: Option<Vec<f64>>,
    }
    let mut read = Vec::new();
    let (mut unit, mut axis_unit, mut targets) = (String::new(), String::new(), 0);
    for arm in &arms {
        let part = |what: &str| find(&format!("{arm}_{what}"));
        let (Some(wave), Some(flux)) = (part("WAVELENGTH"), part("FLUX")) else { continue };
        let (Ok(w), Ok(f)) = (fits.values(wave), fits.values(flux)) else { continue };
        if w.is_empty() || f.len() % w.len() != 0 {
            continue;
        }
        targets = f.len() / w.len();
        unit = flux_unit(fits, flux);
        axis_unit = wave.header.text("BUNIT").unwrap_or("Angstrom").into();
        let same = |v: Option<&Hdu>| v.and_then(|h| fits.values(h).ok()).filter(|v| v.len() == f.len());
        let (ivar, mask) = (same(part("IVAR")), same(part("MASK")));
        for what in ["WAVELENGTH", "FLUX", "IVAR", "MASK", "RESOLUTION"] {
            if let Some(h) = part(what) {
                used[h.number] = true;
            }
        }
        read.push(Arm { wave: w, flux: f, ivar, mask });
    }
    read.retain(|a| a.flux.len() == a.wave.len() * targets);
    if targets > MOST {
        return Vec::new();
    }
    let ids = find("FIBERMAP").and_then(|h| {
        let table = fits.bin_table(h).ok()?;
        Some(table.ints(table.column("TARGETID")?))
    });
    (0..targets)
        .map(|t| {
            // wavelength, flux, weight
            let mut samples: Vec<(f64, f64, f64)> = Vec::new();
            for a in &read {
                let at = t * a.wave.len();
                for (i, w) in a.wave.iter().enumerate() {
                    let ok = a.mask.as_ref().is_none_or(|m| m[at + i] == 0.0);
                    let ivar = a.ivar.as_ref().map_or(1.0, |v| v[at + i]);
                    samples.push((*w, a.flux[at + i], if ok { ivar } else { 0.0 }));
                }
            }
            samples.sort_by(|a, b| a.0.total_cmp(&b.0));
            let step = read.first().map_or(0.0, |a| if a.wave.len() > 1 { a.wave[1] - a.wave[0] } else { 0.0 });
            let (mut axis, mut flux, mut error) = (Vec::new(), Vec::new(), Vec::new());
            let mut i = 0;
            while i < samples.len() {
                let mut j = i + 1;
                while j < samples.len() && samples[j].0 - samples[i].0 < 0.1 * step {
                    j += 1;
                }
                let here = &samples[i..j];
                let weight: f64 = here.iter().map(|s| s.2).sum();
                axis.push(samples[i].0);
                flux.push(if weight > 0.0 { here.iter().map(|s| s.1 * s.2).sum::<f64>() / weight } else { samples[i].1 });
                error.push(if weight > 0.0 { weight.sqrt().recip() } else { 0.0 });
                i = j;
            }
            let has_errors = read.iter().all(|a| a.ivar.is_some());
            let good = error.iter().map(|e| *e > 0.0).collect();
            let mut s = Spectrum {
                name: ids
                    .as_ref()
                    .and_then(|ids| ids.get(t))
                    .map_or_else(|| format!("{} target {}", fits.stem(), t + 1), |id| format!("TARGETID {id}")),
                flux,
                error: has_errors.then_some(error),
                good,
                flux_unit: unit.clone(),
                medium: Medium::Vacuum,
                rule: format!("DESI arms {} joined by inverse variance", arms.join(", ")),
                ..Spectrum::default()
            };
            place(&mut s, axis, &axis_unit);
            s.tidy();
            s
        })
        .collect()
}

/// IRAF multispec: one spectrum a row, each with its own dispersion; bands on the third axis.
fn multispec(fits: &Fits, hdu: &Hdu) -> Vec<Spectrum> {
    let axes = hdu.axes();
    let n = axes[0];
    let rows = axes.get(1).copied().unwrap_or(1);
    let Ok(values) = fits.values(hdu) else { return Vec::new() };
    let text = wat(hdu, 2);
    let unit = wat_units(hdu).unwrap_or_default();
    let h = &hdu.header;
    // logical pixel i is physical pixel (i - LTV) / LTM
    let (ltm, ltv) = (h.float("LTM1_1").filter(|v| *v != 0.0).unwrap_or(1.0), h.float("LTV1").unwrap_or(0.0));
    let error_band = (2..=axes.get(2).copied().unwrap_or(1))
        .find(|b| h.text(&format!("BANDID{b}")).is_some_and(|t| t.to_ascii_lowercase().starts_with("sigma")));
    let mut out = Vec::new();
    for r in 0..rows.min(MOST) {
        let Some(spec) = quoted(&text, &format!("spec{} ", r + 1)).or_else(|| quoted(&text, &format!("spec{}=", r + 1))) else {
            continue;
        };
        let f: Vec<f64> = spec.split_whitespace().map(|w| w.parse().unwrap_or(f64::NAN)).collect();
        if f.len() < 6 {
            continue;
        }
        let (kind, start, step, z) = (f[2], f[3], f[4], f.get(6).copied().unwrap_or(0.0));
        let count = if f[5] > 0.0 { (f[5] as usize).min(n) } else { n };
        let mut axis: Vec<f64> = (0..count).map(|i| start + step * i as f64).collect();
        let rule = match kind as i64 {
            0 => "linear",
            1 => {
                axis.iter_mut().for_each(|v| *v = 10f64.powf(*v));
                "log-linear"
            }
            2 => {
                let Some(functions) = f.get(9..).and_then(dispersion) else { continue };
                for (i, v) in axis.iter_mut().enumerate() {
                    let p = (i as f64 + 1.0 - ltv) / ltm;
                    *v = functions.iter().map(|g| g.weight * (g.zero + g.at(p))).sum();
                }
                "function"
            }
            _ => "pixel",
        };
        axis.iter_mut().for_each(|v| *v /= 1.0 + z);
        let at = |band: usize| values[(band * rows + r) * n..(band * rows + r) * n + count].to_vec();
        let mut s = Spectrum {
            name: format!("{} aperture {}", target(fits, hdu), f[0]),
            flux: at(0),
            error: error_band.map(|b| at(b - 1)),
            good: vec![true; count],
            flux_unit: flux_unit(fits, hdu),
            rule: format!("IRAF multispec, {rule} dispersion"),
            ..Spectrum::default()
        };
        place(&mut s, axis, &unit);
        s.tidy();
        out.push(s);
    }
    out
}

/// What stands in double quotes after `key` in a WAT text.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text.get(text.find(key)?..)?;
    rest.split('"').nth(1)
}

struct Dispersion {
    weight: f64,
    zero: f64,
    kind: i64,
    order: usize,
    low: f64,
    high: f64,
    terms: Vec<f64>,
}

/// Functions of a non-linear dispersion: `wt w0 ftype order pmin pmax c1 c2 ...`, repeated.
fn dispersion(mut f: &[f64]) -> Option<Vec<Dispersion>> {
    let mut out = Vec::new();
    while f.len() >= 4 {
        let (weight, zero, kind, order) = (f[0], f[1], f[2] as i64, f[3].clamp(0.0, 1e6) as usize);
        let count = match kind {
            1 | 2 => order,
            3 => order + 3,
            4 => order + 1,
            5 => order,
            6 => 2 * order,
            _ => return None,
        };
        let head = if kind >= 5 { 4 } else { 6 };
        if f.len() < head + count {
            return None;
        }
        let (low, high) = if kind >= 5 { (1.0, order as f64) } else { (f[4], f[5]) };
        out.push(Dispersion { weight, zero, kind, order, low, high, terms: f[head..head + count].to_vec() });
        f = &f[head + count..];
    }
    (!out.is_empty()).then_some(out)
}

impl Dispersion {
    fn at(&self, p: f64) -> f64 {
        let c = &self.terms;
        match self.kind {
            1 | 2 => {
                let x = (2.0 * p - (self.high + self.low)) / (self.high - self.low);
                let (mut before, mut now, mut sum) = (1.0, x, c.first().copied().unwrap_or(0.0));
                for (k, c) in c.iter().enumerate().skip(1) {
                    sum += c * now;
                    let k = k as f64;
                    let next = if self.kind == 1 {
                        2.0 * x * now - before
                    } else {
                        ((2.0 * k + 1.0) * x * now - k * before) / (k + 1.0)
                    };
                    (before, now) = (now, next);
                }
                sum
            }
            3 | 4 => {
                let s = (p - self.low) / (self.high - self.low) * self.order as f64;
                let j = s.floor().clamp(0.0, self.order.saturating_sub(1) as f64) as usize;
                let (a, b) = ((j + 1) as f64 - s, s - j as f64);
                let value = |i: usize| c.get(j + i).copied().unwrap_or(0.0);
                if self.kind == 4 {
                    return value(0) * a + value(1) * b;
                }
                value(0) * a.powi(3)
                    + value(1) * (1.0 + 3.0 * a * (1.0 + a * b))
                    + value(2) * (1.0 + 3.0 * b * (1.0 + a * b))
                    + value(3) * b.powi(3)
            }
            5 => {
                let at = (p - 1.0).clamp(0.0, c.len().saturating_sub(1) as f64);
                let i = (at as usize).min(c.len().saturating_sub(2));
                let value = |i: usize| c.get(i).copied().unwrap_or(f64::NAN);
                let part = at - i as f64;
                if part == 0.0 { value(i) } else { value(i) * (1.0 - part) + value(i + 1) * part }
            }
            _ => {
                // pairs of pixel and wavelength
                let pairs: Vec<(f64, f64)> = c.chunks_exact(2).map(|v| (v[0], v[1])).collect();
                let i = pairs.partition_point(|v| v.0 <= p).clamp(1, pairs.len().max(2) - 1);
                match (pairs.get(i - 1), pairs.get(i)) {
                    (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (p - a.0) / (b.0 - a.0),
                    _ => f64::NAN,
                }
            }
        }
    }
}
