//! HiPS: an all-sky survey as a folder of pictures of HEALPix cells (IVOA HiPS 1.0, 2017).
//!
//! Here is what can be said without a network: the file `properties`, where a tile lies, which tiles a part of the sky needs, and
//! which part of a tile another order's tile is. Fetching and drawing are the window's. A tile of the order `k` is one HEALPix cell
//! of that order; its picture's rows run along the cell's `x` and its columns along `y`, so that its corners are, from the top left
//! clockwise, south, west, north, east.
//! Choice not taken: FITS tiles, which would need cuts of their own; surveys for the eye come as JPEG or PNG.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::healpix;
use crate::sky::{SkyFrame, vector};

/// What a survey says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Address or folder, without a slash at its end.
    pub base: String,
    /// For a person.
    pub title: String,
    /// Who to thank; may be empty.
    pub copyright: String,
    /// Frame of its cells.
    pub frame: SkyFrame,
    /// Coarsest order that has tiles.
    pub first: u8,
    /// Finest order.
    pub last: u8,
    /// Pixels along a tile.
    pub width: u32,
    /// Ending of its files: `jpg` or `png`.
    pub ending: &'static str,
}

/// A tile: its order and nested cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Order.
    pub order: u8,
    /// Cell.
    pub cell: u64,
}

/// `http…/properties` and all the rest hang on this: the address without slash or `properties` at its end.
pub fn base(address: &str) -> String {
    let address = address.trim();
    address.strip_suffix("properties").unwrap_or(address).trim_end_matches('/').to_owned()
}

impl Survey {
    /// From the text of `properties` (key = value, `#` begins a comment line).
    ///
    /// # Errors
    /// When it has no order, a frame this program does not know, or tiles that are no pictures.
    pub fn parse(base: &str, text: &str) -> Result<Self> {
        let lines = text.lines().filter(|l| !l.trim_start().starts_with('#')).filter_map(|l| l.split_once('='));
        let keys: BTreeMap<&str, &str> = lines.map(|(k, v)| (k.trim(), v.trim())).collect();
        let wrong = |what: String| Error::said(format!("{base}: {what}"));
        let number = |key: &str| keys.get(key).and_then(|v| v.parse::<u32>().ok());
        let last = number("hips_order").ok_or_else(|| {
            wrong(
                "'properties' says no hips_order: this is no HiPS. Give the address of the folder that holds 'properties'".into(),
            )
        })?;
        let frame = match keys.get("hips_frame").copied().unwrap_or("equatorial") {
            "equatorial" | "ICRS" | "icrs" => SkyFrame::Equatorial,
            "galactic" => SkyFrame::Galactic,
            "ecliptic" => SkyFrame::Ecliptic,
            other => return Err(wrong(format!("its frame is '{other}'; only surveys of the sky can be shown"))),
        };
        let formats = keys.get("hips_tile_format").copied().unwrap_or("jpeg");
        let ending = match formats {
            f if f.split_whitespace().any(|f| f.eq_ignore_ascii_case("png")) => "png",
            f if f.split_whitespace().any(|f| f.eq_ignore_ascii_case("jpeg") || f.eq_ignore_ascii_case("jpg")) => "jpg",
            other => return Err(wrong(format!("its tiles are '{other}'; a survey with jpeg or png tiles is wanted"))),
        };
        let last = last.min(u32::from(healpix::MAX_ORDER)) as u8;
        Ok(Self {
            base: base.to_owned(),
            title: keys.get("obs_title").or(keys.get("obs_collection")).copied().unwrap_or(base).to_owned(),
            copyright: keys.get("obs_copyright").or(keys.get("obs_ack")).copied().unwrap_or("").to_owned(),
            frame,
            first: number("hips_order_min").unwrap_or(3).min(u32::from(last)) as u8,
            last,
            width: number("hips_tile_width").unwrap_or(512).max(1),
            ending,
        })
    }

    /// Where a tile lies.
    pub fn address(&self, tile: Tile) -> String {
        let folder = tile.cell / 10_000 * 10_000;
        format!("{}/Norder{}/Dir{folder}/Npix{}.{}", self.base, tile.order, tile.cell, self.ending)
    }

    /// The order whose pixels are about as large as an angle in radians.
    pub fn order_for(&self, pixel: f64) -> u8 {
        let whole = (4.0 * std::f64::consts::PI / 12.0).sqrt() / f64::from(self.width);
        let order = (whole / pixel.max(1e-15)).log2().ceil();
        (order.clamp(0.0, 29.0) as u8).clamp(self.first, self.last)
    }
}

impl Tile {
    /// The tile of the order before that holds this one.
    pub fn parent(self) -> Option<Self> {
        (self.order > 0).then(|| Self { order: self.order - 1, cell: self.cell >> 2 })
    }

    /// Where this tile lies in an earlier one: its first x and y there and its side, of 1. None if it does not.
    pub fn within(self, outer: Self) -> Option<[f64; 3]> {
        let deeper = self.order.checked_sub(outer.order)?;
        if self.cell >> (2 * u32::from(deeper)) != outer.cell {
            return None;
        }
        let (_, x, y) = healpix::face_xy(self.order, self.cell);
        let n = 1u64 << deeper;
        Some([(x % n) as f64 / n as f64, (y % n) as f64 / n as f64, 1.0 / n as f64])
    }
}

/// Tiles of an order that come within `radius` (radians) of a place (longitude and latitude in the survey's frame, radians), nearest
/// first; at most about `most`.
pub fn tiles_near(order: u8, (lon, lat): (f64, f64), radius: f64, most: usize) -> Vec<Tile> {
    let at = vector(lon, lat);
    let mut open: Vec<Tile> = (0..12).map(|cell| Tile { order: 0, cell }).collect();
    let mut found: Vec<(f64, Tile)> = Vec::new();
    while let Some(tile) = open.pop() {
        let (middle, far) = healpix::cap(tile.order, tile.cell);
        let away = (0..3).map(|k| middle[k] * at[k]).sum::<f64>().clamp(-1.0, 1.0).acos();
        if away > radius + far.clamp(-1.0, 1.0).acos() * 1.02 + 1e-12 {
            continue;
        }
        if tile.order == order {
            found.push((away, tile));
        } else {
            open.extend((0..4).map(|i| Tile { order: tile.order + 1, cell: tile.cell << 2 | i }));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    found.truncate(most);
    found.into_iter().map(|(_, t)| t).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn properties_are_read_and_told_where_they_are_wrong() {
        let text = "# a comment = 1\nobs_title   = Quintet\nhips_order = 7\nhips_order_min=0\nhips_frame = galactic\nhips_tile_format = fits png\nobs_copyright = NASA = ESA\n";
        let s = Survey::parse("http://a/b", text).unwrap();
        assert_eq!(
            (s.title.as_str(), s.first, s.last, s.frame, s.ending, s.width),
            ("Quintet", 0, 7, SkyFrame::Galactic, "png", 512)
        );
        assert_eq!(s.copyright, "NASA = ESA");
        assert_eq!(s.address(Tile { order: 6, cell: 24_185 }), "http://a/b/Norder6/Dir20000/Npix24185.png");
        assert_eq!(s.order_for(1.0), 0);
        assert_eq!(s.order_for(1e-12), 7);
        for (text, says) in
            [("", "no HiPS"), ("hips_order=3\nhips_frame=mars", "mars"), ("hips_order=3\nhips_tile_format=fits", "jpeg or png")]
        {
            assert!(Survey::parse("x", text).unwrap_err().to_string().contains(says));
        }
        assert_eq!(base("https://alasky.cds.unistra.fr/DSS/DSSColor/properties "), "https://alasky.cds.unistra.fr/DSS/DSSColor");
    }

    #[test]
    fn tiles_near_a_place_are_those_that_reach_it() {
        assert_eq!(tiles_near(3, (0.0, 0.0), 4.0, 10_000).len(), 768);
        for (lon, lat) in [(0.0, 0.0), (5.9, 0.59), (1.0, 1.56), (3.0, -1.5)] {
            let near = tiles_near(7, (lon, lat), 1e-4, 100);
            assert!(near.iter().any(|t| t.cell == healpix::cell_at(7, lon, lat)) && near.len() <= 8, "{near:?}");
        }
    }

    #[test]
    fn a_tile_lies_in_its_parents_quarter() {
        // As the standard has them: 4n at the top left (x and y low), 4n+1 with x high, 4n+2 with y high.
        let outer = Tile { order: 3, cell: 357 };
        let places = [0, 1, 2, 3].map(|i| Tile { order: 4, cell: 1428 + i }.within(outer).unwrap());
        assert_eq!(places, [[0.0, 0.0, 0.5], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [0.5, 0.5, 0.5]]);
        assert_eq!(Tile { order: 4, cell: 1428 }.parent(), Some(outer));
        assert_eq!(Tile { order: 4, cell: 3 }.within(outer), None);
    }
}
