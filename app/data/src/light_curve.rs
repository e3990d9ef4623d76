//! Light curves: Kepler, K2, TESS and their like, and any table of times and brightnesses.
//!
//! Time is Barycentric Julian Date in TDB where the file says so (TIME + BJDREFI + BJDREFF). All
//! rows are kept, so that gaps stay gaps; `kept` says which pass a quality mask (at first the mission's
//! default one, as lightkurve's "default") with a finite time and flux.

use crate::fits::{Fits, Hdu};
use crate::quality::{Flags, as_bits};
use crate::source_columns::{Cells, Columns, FitsColumns, TableColumns};
use crate::target_pixels::TargetPixels;
use crate::{Image, Table};

/// Kepler and K2: rows with any of these bits are left out.
pub const KEPLER_MASK: i64 = 1_130_799;
/// TESS: rows with any of these bits are left out.
pub const TESS_MASK: i64 = 17_087;

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
    /// True where time and flux are finite and the quality flags pass `mask`.
    pub kept: Vec<bool>,
    /// Quality bits of each row, where the file has them.
    pub quality: Option<Vec<i64>>,
    /// Whose bits they are; [`Flags::bits`] names them.
    pub flags: Flags,
    /// Rows with any of these bits are not kept; [`LightCurve::set_mask`] takes another.
    pub mask: i64,
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
    /// Leave rows with any bit of `mask` out, and `kept` follows; 0 keeps all that are finite.
    pub fn set_mask(&mut self, mask: i64) {
        self.mask = mask;
        self.kept = (0..self.flux.len())
            .map(|i| {
                let fine = self.quality.as_ref().is_none_or(|q| q[i] & mask == 0);
                fine && self.flux[i].is_finite() && self.time_bjd[i].is_finite()
            })
            .collect();
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
const FLUXES: [(&str, &str); 16] = [
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
    ("mag", "err"),
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
                quality: whole.quality.as_deref().map(|q| rows.iter().map(|r| q[*r]).collect()),
                ..whole.without_rows()
            })
        })
        .collect()
}

/// The light curve in a FITS table; of a target pixel file the sum over the optimal aperture, and
/// the mean frame as an image.
pub(crate) fn of_bin_table(fits: &Fits, hdu: &Hdu) -> (Option<LightCurve>, Option<Image>) {
    let Ok(columns) = FitsColumns::new(fits, hdu) else { return (None, None) };
    if let Some(pixels) = TargetPixels::of_columns(&columns) {
        return (pixels.light_curve(&pixels.optimal()).ok(), pixels.mean_frame().ok());
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
        let flags = flags_of(c);
        let mask = flags.default_mask();
        let mask_name = if flags == Flags::Other { "any kind".into() } else { format!("the {} mask {mask}", flags.name()) };
        let info = &c.infos()[self.flux];
        let unit =
            if info.unit.is_empty() && info.name.to_ascii_lowercase().contains("mag") { "mag".into() } else { info.unit.clone() };
        let mut curve = LightCurve {
            name: c.title(),
            time_bjd,
            time_system,
            flux,
            error: self.error.map(|e| c.column(e)),
            quality: self.quality.map(|q| as_bits(&c.column(q))),
            flags,
            flux_unit: unit,
            rule: match self.quality {
                Some(q) => format!("{}; rows where {} has a bit of {mask_name} are left out", info.name, c.infos()[q].name),
                None => format!("{}; no quality column", info.name),
            },
            ..LightCurve::default()
        };
        curve.set_mask(mask);
        curve
    }
}

impl LightCurve {
    fn without_rows(&self) -> Self {
        Self {
            time_system: self.time_system.clone(),
            flux_unit: self.flux_unit.clone(),
            rule: self.rule.clone(),
            flags: self.flags,
            mask: self.mask,
            ..Self::default()
        }
    }
}

/// Whose quality bits a file has, by its keywords.
pub(crate) fn flags_of(c: &dyn Columns) -> Flags {
    let telescope = c.key("TELESCOP").unwrap_or_default().to_ascii_uppercase();
    let mission = c.key("MISSION").unwrap_or_default().to_ascii_uppercase();
    if telescope.starts_with("KEPLER") || telescope.starts_with("K2") || mission.starts_with('K') {
        Flags::Kepler
    } else if telescope.starts_with("TESS") {
        Flags::Tess
    } else {
        Flags::Other
    }
}

/// Times with their zero point added, and what they are measured in.
pub(crate) fn times(c: &dyn Columns, column: usize) -> (Vec<f64>, String) {
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
