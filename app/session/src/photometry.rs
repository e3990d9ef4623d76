//! How the light curves of a file come to be: which quality bits leave rows out, and of target pixels which pixels are summed.
//!
//! It is part of the question ([`crate::Ask::File`]), so that undo, sessions and recipes hold it, and the table is made anew from the
//! file's content ([`Source`]) when it changes; columns that were added since stay. The choice not taken is a column of quality beside
//! the times, filtered by each view: the features, the exports and the views would have to agree on the mask.
//!
//! Cost: a sum over the aperture, 5 ms for 4,000 frames of 100 pixels. Bits and their sources: `asterism_data::quality`.

use std::path::Path;
use std::sync::Arc;

use asterism_data::quality::Flags;
use asterism_data::{LightCurve, Part, Table, TargetPixels};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a person chose; by default the mission's own mask and aperture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Photometry {
    /// Rows with any of these quality bits are left out; the mission's default mask when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<i64>,
    /// Numbers of the pixels that are summed, rows first from 0; the mission's optimal aperture when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aperture: Option<Vec<u32>>,
}

impl Photometry {
    /// Whether it is the mission's own.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The content of a file of light curves.
#[derive(Debug)]
pub enum Source {
    /// Light curves with their quality bits.
    Curves(Vec<LightCurve>),
    /// Frames in time, and their mean (rows first).
    Pixels(TargetPixels, Vec<f32>),
}

impl Source {
    /// The light curves or target pixels of a file.
    ///
    /// # Errors
    /// When it cannot be read or holds neither.
    pub fn read(path: &Path) -> Result<Arc<Self>> {
        if let Ok(pixels) = TargetPixels::read(path) {
            let mean = pixels.mean_frame()?.pixels;
            return Ok(Arc::new(Self::Pixels(pixels, mean)));
        }
        let curves: Vec<LightCurve> = asterism_data::read(path)?
            .into_iter()
            .filter_map(|p| if let Part::LightCurve(l) = p { Some(l) } else { None })
            .collect();
        if curves.is_empty() {
            return Err(Error::said(format!("{}: holds no light curves or target pixels", path.display())));
        }
        Ok(Arc::new(Self::Curves(curves)))
    }

    /// Whose quality bits it has; `None` for a file without any.
    pub fn flags(&self) -> Option<Flags> {
        match self {
            Self::Curves(curves) => curves.iter().find(|c| c.quality.is_some()).map(|c| c.flags),
            Self::Pixels(pixels, _) => pixels.quality.as_ref().map(|_| pixels.flags),
        }
    }

    /// How many rows have a bit, for each bit that the mission names or that any row has: value, name, rows.
    pub fn bits(&self) -> Vec<(i64, String, usize)> {
        let Some(flags) = self.flags() else { return Vec::new() };
        let quality: Vec<&[i64]> = match self {
            Self::Curves(curves) => curves.iter().filter_map(|c| c.quality.as_deref()).collect(),
            Self::Pixels(pixels, _) => pixels.quality.iter().map(Vec::as_slice).collect(),
        };
        let named = |value: i64| flags.bits().iter().find(|b| b.value == value).map(|b| b.name.to_owned());
        (0..32)
            .map(|i| 1i64 << i)
            .filter_map(|value| {
                let rows = quality.iter().flat_map(|q| q.iter()).filter(|q| **q >= 0 && **q & value != 0).count();
                let name = named(value).or_else(|| (rows > 0).then(|| format!("bit {value}")))?;
                Some((value, name, rows))
            })
            .collect()
    }

    /// The aperture in force, one a pixel; empty where there are no pixels.
    pub fn aperture(&self, chosen: &Photometry) -> Vec<bool> {
        let Self::Pixels(pixels, _) = self else { return Vec::new() };
        match &chosen.aperture {
            Some(list) => (0..pixels.pixels()).map(|p| list.contains(&(p as u32))).collect(),
            None => pixels.optimal(),
        }
    }

    /// The light curves as chosen.
    ///
    /// # Errors
    /// For an aperture without a pixel, or for one where there are no pixels.
    pub fn curves(&self, chosen: &Photometry) -> Result<Vec<LightCurve>> {
        let mut curves = match self {
            Self::Curves(curves) => {
                if chosen.aperture.is_some() {
                    return Err(Error::said("an aperture needs target pixels, and this file holds light curves alone"));
                }
                curves.clone()
            }
            Self::Pixels(pixels, _) => vec![pixels.light_curve(&self.aperture(chosen))?],
        };
        if let Some(mask) = chosen.mask {
            curves.iter_mut().for_each(|c| c.set_mask(mask));
        }
        Ok(curves)
    }

    /// `table`, as it was made of this file before, with the columns of the light curves made anew.
    ///
    /// # Errors
    /// As [`Source::curves`], and when the table is of other rows.
    pub fn renew(&self, table: &Table, path: &Path, chosen: &Photometry) -> Result<Table> {
        let new = crate::sample::table_of_light_curves(path, &self.curves(chosen)?)?;
        if new.rows() != table.rows() || ["time", "lc_flux", "kept"].iter().any(|c| table.column_index(c).is_none()) {
            return Err(Error::said("the table in front is not the one that this file of light curves gave"));
        }
        let mut out = table.clone();
        for (column, meta) in new.frame().columns().iter().zip(new.columns()) {
            if ["time", "lc_flux", "kept"].contains(&meta.name.as_str()) {
                out.with_column(column.as_materialized_series().clone(), meta.clone())?;
            }
        }
        Ok(out)
    }
}
