//! MOC: coverage of the sky as HEALPix cells of several orders (IVOA MOC 2.0, 2022), read from FITS, ASCII or JSON, and its outline.
//!
//! Held as disjoint ranges of cells of order 29 in rising order. The outline is made of the edges of cells that have nothing of the
//! coverage beyond them; where that would be too many to draw, cells are first rounded outwards to a coarser order. Choice not taken:
//! the crate `moc`, whose set algebra nothing here needs. Cost: reading a few ns a cell; the outline about 0.3 µs an edge tried.

use std::collections::BTreeMap;

use asterism_data::fits::Fits;

use crate::error::{Error, Result};
use crate::healpix::{self, MAX_ORDER};
use crate::sky::SkyFrame;

/// Edges tried for an outline at most.
const MOST_EDGES: u64 = 60_000;

/// A coverage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moc {
    /// Order of the finest cells it was made of.
    pub order: u8,
    /// Frame of its cells.
    pub frame: SkyFrame,
    /// First and one past the last cell of order 29, disjoint, rising.
    ranges: Vec<[u64; 2]>,
}

/// A line on the sky: longitude and latitude in the coverage's frame, radians.
pub type Line = Vec<(f64, f64)>;

impl Moc {
    /// From the bytes of a file; `what` names it in errors.
    ///
    /// # Errors
    /// When it is neither a FITS table of cells, nor ASCII or JSON of them, or a cell is not on the sky.
    pub fn read(what: &str, bytes: &[u8]) -> Result<Self> {
        if asterism_data::fits::is_fits(bytes) || bytes.starts_with(&[0x1f, 0x8b]) {
            return Self::read_fits(what, bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong(what, "it is neither FITS nor text"))?;
        Self::parse(what, text)
    }

    /// From `5/8-10,42 6/4500` or `{"5": [8, 9, 10, 42], "6": [4500]}`.
    ///
    /// # Errors
    /// As [`Moc::read`].
    pub fn parse(what: &str, text: &str) -> Result<Self> {
        let mut cells: Vec<(u64, u64, u64)> = Vec::new();
        if text.trim_start().starts_with('{') {
            let orders: BTreeMap<String, Vec<u64>> = serde_json::from_str(text).map_err(|e| wrong(what, &e.to_string()))?;
            for (order, list) in orders {
                let order = order.parse().map_err(|_| wrong(what, &format!("'{order}' is no order")))?;
                cells.extend(list.into_iter().map(|c| (order, c, c)));
            }
            return Self::of_cells(what, cells);
        }
        let mut order = None;
        for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty()) {
            let number =
                |t: &str| t.parse::<u64>().map_err(|_| wrong(what, &format!("'{word}' is neither a cell nor a range of cells")));
            let rest = match word.split_once('/') {
                // `s5/…` is the space part of MOC 2.0.
                Some((o, rest)) => {
                    order = Some(number(o.trim_start_matches('s'))?);
                    rest
                }
                None => word,
            };
            if rest.is_empty() {
                continue;
            }
            let order =
                order.ok_or_else(|| wrong(what, &format!("'{word}' stands before any order; a MOC begins like 5/8-10")))?;
            let (first, last) = rest.split_once('-').map_or((rest, rest), |(a, b)| (a, b));
            cells.push((order, number(first)?, number(last)?));
        }
        Self::of_cells(what, cells)
    }

    /// Order, first and last cell of each.
    fn of_cells(what: &str, cells: Vec<(u64, u64, u64)>) -> Result<Self> {
        let mut ranges = Vec::with_capacity(cells.len());
        let mut finest = 0;
        for (order, first, last) in cells {
            if order > u64::from(MAX_ORDER) || last < first || last >= healpix::cells(order as u8) {
                return Err(wrong(what, &format!("{order}/{first}-{last} is no range of cells on the sky")));
            }
            finest = finest.max(order as u8);
            let shift = 2 * (u32::from(MAX_ORDER) - order as u32);
            ranges.push([first << shift, (last + 1) << shift]);
        }
        Ok(Self { order: finest, frame: SkyFrame::Equatorial, ranges: joined(ranges) })
    }

    fn read_fits(what: &str, bytes: &[u8]) -> Result<Self> {
        let fits = Fits::open(what, bytes)?;
        let hdu = fits
            .hdus
            .iter()
            .find(|h| h.header.text("ORDERING").is_some())
            .ok_or_else(|| wrong(what, "no unit of it has the card ORDERING: it is FITS, but no MOC"))?;
        let table = fits.bin_table(hdu)?;
        let values: Vec<u64> = (0..table.rows)
            .map(|row| match *table.raw(row, 0) {
                [a, b] => u64::from(u16::from_be_bytes([a, b])),
                [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
                [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                _ => 0,
            })
            .collect();
        let order = hdu.header.int("MOCORD_S").or(hdu.header.int("MOCORDER")).unwrap_or(i64::from(MAX_ORDER));
        let mut moc = match hdu.header.text("ORDERING").unwrap_or_default() {
            "NUNIQ" => {
                let cells = values.iter().map(|&u| {
                    let order = u.checked_ilog2().filter(|b| *b >= 2).map_or(u64::MAX, |b| u64::from((b - 2) / 2));
                    let first = if order <= 29 { 4u64 << (2 * order) } else { 0 };
                    (order, u.wrapping_sub(first), u.wrapping_sub(first))
                });
                Self::of_cells(what, cells.collect())?
            }
            "RANGE" => {
                let end = healpix::cells(MAX_ORDER);
                let ranges: Vec<[u64; 2]> = values.as_chunks::<2>().0.to_vec();
                if let Some([a, b]) = ranges.iter().find(|[a, b]| a >= b || *b > end) {
                    return Err(wrong(what, &format!("{a} to {b} is no range of cells of order 29")));
                }
                Self { order: 0, frame: SkyFrame::Equatorial, ranges: joined(ranges) }
            }
            other => return Err(wrong(what, &format!("its ordering is '{other}'; MOCs of the sky have NUNIQ or RANGE"))),
        };
        moc.order = order.clamp(0, i64::from(MAX_ORDER)) as u8;
        if hdu.header.text("COORDSYS").is_some_and(|c| c.starts_with('G')) {
            moc.frame = SkyFrame::Galactic;
        }
        Ok(moc)
    }

    /// Share of the sky.
    pub fn share(&self) -> f64 {
        self.ranges.iter().map(|r| (r[1] - r[0]) as f64).sum::<f64>() / healpix::cells(MAX_ORDER) as f64
    }

    /// Whether a longitude and latitude in its frame, radians, is covered.
    pub fn contains(&self, lon: f64, lat: f64) -> bool {
        holds(&self.ranges, healpix::cell_at(MAX_ORDER, lon, lat))
    }

    /// Ranges rounded outwards to cells of an order.
    fn rounded(&self, order: u8) -> Vec<[u64; 2]> {
        let shift = 2 * (MAX_ORDER - order.min(MAX_ORDER));
        joined(self.ranges.iter().map(|r| [r[0] >> shift << shift, (((r[1] - 1) >> shift) + 1) << shift]).collect())
    }

    /// Its outline, and the order it was rounded outwards to so that it can be drawn.
    pub fn outline(&self) -> (Vec<Line>, u8) {
        let mut order = self.order;
        let (ranges, cells) = loop {
            let ranges = self.rounded(order);
            let cells = largest(&ranges, order);
            let edges: u64 = cells.iter().map(|(k, _)| 4u64 << (order - k)).sum();
            if edges <= MOST_EDGES || order == 0 {
                break (ranges, cells);
            }
            order -= 1;
        };
        (cells.iter().flat_map(|&(k, cell)| edges(&ranges, k, cell, order)).collect(), order)
    }
}

fn wrong(what: &str, why: &str) -> Error {
    Error::said(format!("{what}: {why}"))
}

fn joined(mut ranges: Vec<[u64; 2]>) -> Vec<[u64; 2]> {
    ranges.sort_unstable();
    let mut out: Vec<[u64; 2]> = Vec::with_capacity(ranges.len());
    for r in ranges {
        match out.last_mut() {
            Some(last) if r[0] <= last[1] => last[1] = last[1].max(r[1]),
            _ => out.push(r),
        }
    }
    out
}

fn holds(ranges: &[[u64; 2]], cell: u64) -> bool {
    let i = ranges.partition_point(|r| r[0] <= cell);
    i > 0 && cell < ranges[i - 1][1]
}

/// The largest cells that make up ranges of whole cells of `order`.
fn largest(ranges: &[[u64; 2]], order: u8) -> Vec<(u8, u64)> {
    let mut out = Vec::new();
    for &[mut at, end] in ranges {
        while at < end {
            // As large as the alignment and the rest of the range allow.
            let up = (at.trailing_zeros() / 2).min((end - at).ilog2() / 2).min(u32::from(MAX_ORDER));
            let up = up.max(u32::from(MAX_ORDER - order));
            out.push((MAX_ORDER - up as u8, at >> (2 * up)));
            at += 1 << (2 * up);
        }
    }
    out
}

/// The parts of a cell's four edges that have nothing beyond them.
fn edges(ranges: &[[u64; 2]], k: u8, cell: u64, order: u8) -> Vec<Line> {
    let (face, x, y) = healpix::face_xy(k, cell);
    let n = (1u64 << k) as f64;
    let steps = 1usize << (order - k);
    let step = 1.0 / steps as f64;
    // A bend of a large cell's edge is shown by some points, those of a small one by its ends.
    let bend = if k < 6 { 1usize << (6 - k).min(4) } else { 1 };
    let at = |u: f64, v: f64| healpix::sky(face, (x as f64 + u) / n, (y as f64 + v) / n);
    let mut out = Vec::new();
    for side in 0..4 {
        // Along the edge by t, inwards by d.
        let place = |t: f64, d: f64| match side {
            0 => at(t, d),
            1 => at(1.0 - d, t),
            2 => at(t, 1.0 - d),
            _ => at(d, t),
        };
        let mut from = None;
        for i in 0..=steps {
            let open = i < steps && {
                let t = (i as f64 + 0.5) * step;
                let (lon, lat) = healpix::beyond(place(t, step * 0.2), place(t, 0.0));
                !holds(ranges, healpix::cell_at(MAX_ORDER, lon, lat))
            };
            match (open, from) {
                (true, None) => from = Some(i),
                (false, Some(first)) => {
                    let (a, b) = (first as f64 * step, i as f64 * step);
                    let parts = ((b - a) * bend as f64).ceil().max(1.0) as usize;
                    out.push((0..=parts).map(|p| place(a + (b - a) * p as f64 / parts as f64, 0.0)).collect());
                    from = None;
                }
                _ => {}
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_three_forms_say_the_same() {
        let ascii = Moc::parse("a", "3/1-2,4 4/20 5/").unwrap();
        let json = Moc::parse("a", r#"{"3": [1, 2, 4], "4": [20]}"#).unwrap();
        assert_eq!(ascii.ranges, json.ranges);
        assert_eq!(Moc::parse("a", "s3/1 2 4 4/20").unwrap().ranges, ascii.ranges);
        assert!((ascii.share() - (3.25 / 768.0)).abs() < 1e-12);
        for (text, says) in [
            ("3/9999", "on the sky"),
            ("8-10", "before any order"),
            ("3/x", "neither"),
            ("31/4", "on the sky"),
            ("{\"a\": [1]}", "no order"),
        ] {
            let e = Moc::parse("f.txt", text).unwrap_err().to_string();
            assert!(e.contains(says) && e.contains("f.txt"), "{e}");
        }
    }

    #[test]
    fn an_outline_has_no_inner_edges() {
        // Four children are their parent, whichever way they are told.
        let one = Moc::parse("a", "0/4").unwrap();
        let four = Moc::parse("a", "1/16-19").unwrap();
        let (a, _) = one.outline();
        assert_eq!(a.len(), 4);
        assert_eq!(four.ranges, one.ranges);
        // Two neighbours of different size share an edge, of which the larger one keeps the rest.
        let two = Moc::parse("a", "1/16 2/69").unwrap();
        let (lines, order) = two.outline();
        assert_eq!(order, 2);
        let all = Moc::parse("a", "0/0-11").unwrap();
        assert!(all.outline().0.is_empty() && (all.share() - 1.0).abs() < 1e-15);
        let covered = |l: &Line| l.iter().any(|p| two.contains(p.0, p.1));
        assert!(lines.len() >= 7 && lines.iter().any(covered));
        // Every line has the coverage on one side only.
        for line in &lines {
            let (p, q) = (line[0], line[1]);
            let m = crate::sky::angles({
                let (a, b) = (crate::sky::vector(p.0, p.1), crate::sky::vector(q.0, q.1));
                [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
            });
            let around = |d: f64| {
                (0..16)
                    .filter(|i| {
                        let t = f64::from(*i) / 16.0 * std::f64::consts::TAU;
                        two.contains(m.0 + d * t.cos() / m.1.cos(), m.1 + d * t.sin())
                    })
                    .count()
            };
            let n = around(0.01);
            assert!(n > 2 && n < 14, "{n} of 16 around {m:?}");
        }
    }

    #[test]
    fn many_cells_are_rounded_outwards() {
        let text = format!("12/{}", (0..200_000u64).map(|i| (i * 7).to_string()).collect::<Vec<_>>().join(","));
        let moc = Moc::parse("a", &text).unwrap();
        let (lines, order) = moc.outline();
        assert!(order < 12 && !lines.is_empty() && lines.len() as u64 <= MOST_EDGES);
        assert!(holds(&moc.rounded(order), moc.ranges[77][0]));
    }

    #[test]
    fn real_files_are_read() {
        // Beside the repository, or where the variable says.
        let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
        let folder = std::env::var_os("ASTERISM_FIXTURES").map_or(beside, Into::into);
        for (file, order, share) in [
            ("hips/JWST_MIRI/Moc.fits", 7, 1.0 / (12.0 * 4f64.powi(7))),
            ("hips/CDS_P_DSS2_color/Moc.fits", 9, 1.0),
            ("vo/hips/mocserver-moc.fits", 29, f64::NAN),
        ] {
            let Ok(bytes) = std::fs::read(folder.join(file)) else {
                eprintln!("skipped: {file} is not here");
                continue;
            };
            let moc = Moc::read(file, &bytes).unwrap();
            assert_eq!(moc.order, order, "{file}");
            assert!(share.is_nan() || (moc.share() - share).abs() < 1e-12, "{file} {}", moc.share());
            assert!(moc.share() == 1.0 || !moc.outline().0.is_empty());
        }
    }
}
