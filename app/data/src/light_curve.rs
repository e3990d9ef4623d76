//! Light curves: Kepler, K2, TESS and their like, and any table of times and brightnesses.
//!
//! Time is Barycentric Julian Date in TDB where the file says so (TIME + BJDREFI + BJDREFF). All
//! rows are kept, so that gaps stay gaps; `kept` says which pass the mission's default quality mask
//! (as lightkurve's "default") with a finite time and flux.

use crate::fits::{Fits, Hdu, Kind};
use crate::source_columns::{Cells, Columns, FitsColumns, TableColumns};
use crate::{Image, Table};

/// Kepler and K2: rows with any of these bits are left out.
pub const KEPLER_MASK: i64 = 1_130_799;
/// TESS: rows with any of these bits are left out.
pub const TESS_MASK: i64 = 17_087;
/// Aperture bit: the pixel is in the optimal aperture.
const OPTIMAL: i64 = 2;

/// Brightness against time, all vectors of one length.
#[derive(Clone, Debug, Default)]
pub struct LightCurve {
    /// Name for a person.
    pub name: String,
    /// Time, days, BJD (TDB) for Kepler and TESS; as in the file else. NaN where there is no cadence.
    pub time_bjd: Vec<f64>,
    /// What `time_bjd` is measured in, as the file says it.
    pub time_system: String,
    /// Flux (PDCSAP where there is one); NaN where missing.
    pub flux: Vec<f64>,
    /// One-sigma error, where known.
    pub error: Option<Vec<f64>>,
    /// True where time and flux are finite and the quality flags pass the mission's default mask.
    pub kept: Vec<bool>,
    /// Unit of the flux.
    pub flux_unit: String,
    /// Which column the flux is from and which mask was used.
    pub rule: String,
}

impl LightCurve {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.flux.len()
    }
    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.flux.is_empty()
    }
    /// How many rows are kept.
    pub fn kept_count(&self) -> usize {
        self.kept.iter().filter(|k| **k).count()
    }
    /// True when smaller numbers are brighter.
    pub fn is_magnitude(&self) -> bool {
        self.flux_unit.to_ascii_lowercase().starts_with("mag")
    }
    /// First and last finite time.
    pub fn time_range(&self) -> Option<(f64, f64)> {
        let finite = self.time_bjd.iter().filter(|v| v.is_finite());
        let (a, b) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        (a <= b).then_some((a, b))
    }
}

const TIMES: [&str; 10] = ["time", "bjd", "hjd", "btjd", "bkjd", "mjd", "jd", "t", "hjd_utc", "obstime"];
const FLUXES: [(&str, &str); 15] = [
    ("pdcsap_flux", "pdcsap_flux_err"),
    ("kspsap_flux", "kspsap_flux_err"),
    ("det_flux", "det_flux_err"),
    ("corr_flux", "corr_flux_err"),
    ("sap_flux", "sap_flux_err"),
    ("fcor", "fraw_err"),
    ("flux", "flux_err"),
    ("flux", "flux_error"),
    ("rate", "error"),
    ("mag", "magerr"),
    ("mag", "mag_err"),
    ("magnitude", "magnitude_error"),
    ("psfmag", "psfmagerr"),
    ("mag", "error"),
    ("fraw", "fraw_err"),
];

/// The light curve in a table: a column of times, mostly ascending, and one of brightness.
pub fn light_curve_from_table(table: &Table) -> Option<LightCurve> {
    from_columns(&TableColumns::new(table))
}

/// One light curve for each value of the column `id`, in order of first appearance, each in order
/// of time; for tables such as CRTS' that hold many objects.
pub fn light_curves_by_id(table: &Table, id: &str) -> Vec<LightCurve> {
    let columns = TableColumns::new(table);
    let (Some(roles), Ok(ids)) = (Roles::find(&columns), table.strings(id)) else { return Vec::new() };
    let whole = roles.read(&columns);
    let mut order: Vec<&str> = Vec::new();
    let mut rows: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
    for (row, id) in ids.iter().enumerate() {
        let Some(id) = id.as_deref() else { continue };
        rows.entry(id)
            .or_insert_with(|| {
                order.push(id);
                Vec::new()
            })
            .push(row);
    }
    order
        .into_iter()
        .filter_map(|id| {
            let rows = rows.get_mut(id)?;
            rows.sort_by(|a, b| whole.time_bjd[*a].total_cmp(&whole.time_bjd[*b]));
            let pick = |v: &[f64]| rows.iter().map(|r| v[*r]).collect::<Vec<f64>>();
            Some(LightCurve {
                name: id.into(),
                time_bjd: pick(&whole.time_bjd),
                flux: pick(&whole.flux),
                error: whole.error.as_deref().map(pick),
                kept: rows.iter().map(|r| whole.kept[*r]).collect(),
                ..whole.without_rows()
            })
        })
        .collect()
}

/// The light curve in a FITS table; of a target pixel file the sum over the optimal aperture, and
/// the mean frame as an image.
pub(crate) fn of_bin_table(fits: &Fits, hdu: &Hdu) -> (Option<LightCurve>, Option<Image>) {
    let Ok(columns) = FitsColumns::new(fits, hdu) else { return (None, None) };
    if let Some((curve, image)) = target_pixels(&columns) {
        return (Some(curve), Some(image));
    }
    (from_columns(&columns), None)
}

fn from_columns(c: &dyn Columns) -> Option<LightCurve> {
    let roles = Roles::find(c)?;
    if c.rows() < 5 {
        return None;
    }
    let curve = roles.read(c);
    let finite: Vec<f64> = curve.time_bjd.iter().copied().filter(|v| v.is_finite()).collect();
    let ascending = finite.windows(2).filter(|w| w[1] >= w[0]).count();
    (finite.len() >= 2 && ascending * 10 >= (finite.len() - 1) * 9).then_some(curve)
}

struct Roles {
    time: usize,
    flux: usize,
    error: Option<usize>,
    quality: Option<usize>,
}

impl Roles {
    fn find(c: &dyn Columns) -> Option<Self> {
        let is_number = |i: &usize| c.infos()[*i].cells == Cells::Number;
        let time =
            c.named(&TIMES).or_else(|| c.with_utype("TimeAxis.Value")).or_else(|| c.with_ucd("time.epoch")).filter(is_number)?;
        let named = |name: &str| c.named(&[name]).filter(is_number);
        let flux = FLUXES
            .iter()
            .find_map(|(f, e)| Some((named(f)?, Some(named(e)?))))
            .or_else(|| FLUXES.iter().find_map(|(f, _)| Some((named(f)?, None))))?;
        let quality = ["sap_quality", "quality", "qflag", "flags"].iter().find_map(|n| named(n));
        Some(Self { time, flux: flux.0, error: flux.1, quality })
    }

    fn read(&self, c: &dyn Columns) -> LightCurve {
        let (time_bjd, time_system) = times(c, self.time);
        let flux = c.column(self.flux);
        let (mask, mask_name) = quality_mask(c);
        let quality = self.quality.map(|q| c.column(q));
        let kept = (0..flux.len())
            .map(|i| {
                let fine = quality.as_ref().is_none_or(|q| q[i].is_finite() && q[i] as i64 & mask == 0);
                fine && flux[i].is_finite() && time_bjd[i].is_finite()
            })
            .collect();
        let info = &c.infos()[self.flux];
        let unit =
            if info.unit.is_empty() && info.name.to_ascii_lowercase().contains("mag") { "mag".into() } else { info.unit.clone() };
        LightCurve {
            name: c.title(),
            time_bjd,
            time_system,
            flux,
            error: self.error.map(|e| c.column(e)),
            kept,
            flux_unit: unit,
            rule: match self.quality {
                Some(q) => format!("{}; rows where {} has a bit of {mask_name} are left out", info.name, c.infos()[q].name),
                None => format!("{}; no quality column", info.name),
            },
        }
    }
}

impl LightCurve {
    fn without_rows(&self) -> Self {
        Self {
            time_system: self.time_system.clone(),
            flux_unit: self.flux_unit.clone(),
            rule: self.rule.clone(),
            ..Self::default()
        }
    }
}

fn quality_mask(c: &dyn Columns) -> (i64, String) {
    let telescope = c.key("TELESCOP").unwrap_or_default().to_ascii_uppercase();
    let mission = c.key("MISSION").unwrap_or_default().to_ascii_uppercase();
    if telescope.starts_with("KEPLER") || telescope.starts_with("K2") || mission.starts_with('K') {
        (KEPLER_MASK, format!("the Kepler mask {KEPLER_MASK}"))
    } else if telescope.starts_with("TESS") {
        (TESS_MASK, format!("the TESS mask {TESS_MASK}"))
    } else {
        (-1, "any kind".into())
    }
}

/// Times with their zero point added, and what they are measured in.
fn times(c: &dyn Columns, column: usize) -> (Vec<f64>, String) {
    let mut time = c.column(column);
    let info = &c.infos()[column];
    let zero = match (c.number_key("BJDREFI"), c.number_key("BJDREFF")) {
        (Some(whole), part) => Some(whole + part.unwrap_or(0.0)),
        _ => info.unit.split_once("BJD - ").and_then(|(_, v)| v.split([',', ' ']).next()?.parse().ok()),
    };
    if let Some(zero) = zero {
        time.iter_mut().for_each(|v| *v += zero);
        return (time, "BJD (TDB)".into());
    }
    let system = match info.name.to_ascii_uppercase().as_str() {
        name @ ("BJD" | "HJD" | "MJD" | "JD") => name.into(),
        name if info.unit.is_empty() => name.into(),
        name => format!("{name} [{}]", info.unit),
    };
    (time, system)
}

/// TIME beside FLUX cells that are frames, with an APERTURE unit.
fn target_pixels(c: &FitsColumns) -> Option<(LightCurve, Image)> {
    let infos = c.infos();
    let time = c.named(&["time"]).filter(|i| infos[*i].cells == Cells::Number)?;
    let flux = c.named(&["flux"]).filter(|i| infos[*i].cells == Cells::Array)?;
    let dims = &c.table.columns[flux].dims;
    let [columns, rows] = dims[..] else { return None };
    let pixels = columns.checked_mul(rows).filter(|n| *n > 0 && *n == c.table.columns[flux].repeat)?;
    let aperture = c
        .fits
        .hdus
        .iter()
        .find(|h| h.name().eq_ignore_ascii_case("APERTURE") && h.kind() == Kind::Image && h.axes() == [columns, rows]);
    let flags: Option<Vec<i64>> = aperture.and_then(|h| c.fits.values(h).ok()).map(|v| v.into_iter().map(|v| v as i64).collect());
    let has_optimal = flags.as_ref().is_some_and(|f| f.iter().any(|v| v & OPTIMAL != 0));
    let inside = |p: usize| !has_optimal || flags.as_ref().is_none_or(|f| f[p] & OPTIMAL != 0);

    let (time_bjd, time_system) = times(c, time);
    let frames = c.column(flux);
    let errors = c.named(&["flux_err"]).map(|i| c.column(i)).filter(|v| v.len() == frames.len());
    let (mask, mask_name) = quality_mask(c);
    let quality = c.named(&["quality", "sap_quality"]).filter(|i| infos[*i].cells == Cells::Number).map(|i| c.column(i));
    let mut curve = LightCurve {
        name: c.title(),
        time_system,
        flux_unit: infos[flux].unit.clone(),
        rule: format!(
            "sum over {} pixels; rows with a bit of {mask_name} are left out",
            if has_optimal { "the optimal aperture's" } else { "all" }
        ),
        ..LightCurve::default()
    };
    let mut sigma = Vec::new();
    let mut mean = vec![(0.0, 0usize); pixels];
    for (row, frame) in frames.chunks_exact(pixels).enumerate() {
        let used = || (0..pixels).filter(|p| inside(*p));
        let sum: f64 = used().map(|p| frame[p]).filter(|v| v.is_finite()).sum();
        let any = used().any(|p| frame[p].is_finite());
        curve.flux.push(if any { sum } else { f64::NAN });
        if let Some(e) = &errors {
            let squares: f64 = used().map(|p| e[row * pixels + p]).filter(|v| v.is_finite()).map(|v| v * v).sum();
            sigma.push(if any { squares.sqrt() } else { f64::NAN });
        }
        let fine = quality.as_ref().is_none_or(|q| q[row].is_finite() && q[row] as i64 & mask == 0);
        let kept = fine && any && time_bjd[row].is_finite();
        curve.kept.push(kept);
        if kept {
            for (m, v) in mean.iter_mut().zip(frame).filter(|(_, v)| v.is_finite()) {
                *m = (m.0 + v, m.1 + 1);
            }
        }
    }
    curve.error = errors.is_some().then_some(sigma);
    curve.time_bjd = time_bjd;
    let count = curve.kept_count();
    let frame = mean.into_iter().map(|(sum, n)| if n == 0 { f32::NAN } else { (sum / n as f64) as f32 }).collect();
    let mut image = Image::new(format!("{} mean of {count} frames", c.title()), [rows, columns], frame).ok()?;
    image.unit = infos[flux].unit.clone();
    if let Some(h) = aperture {
        image.header = h.header.as_text();
        image.wcs = crate::Wcs::from_header(&image.header);
    }
    Some((curve, image))
}
