//! Light curves: Kepler, K2, TESS and their like.

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
