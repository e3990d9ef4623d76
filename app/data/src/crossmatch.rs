//! Two tables' rows that lie at one place in the sky.
//!
//! Positions become unit vectors; a k-d tree of the second table's vectors answers, for each row of
//! the first, which points lie within the chord of the radius. Vectors have no poles and no right
//! ascension of 0°, so nothing is special there. Differences of nearby vectors keep 10⁻¹⁶ of a
//! radian (2·10⁻¹¹ arcsec), which products of them (the cosine) would not.
//!
//! HEALPix cells and zones of declination were not taken: both want a cell size that suits the
//! radius, and catalogues that are dense in one place and empty in another have none.
//!
//! `Find::Best` keeps the pairs of which each is the other's nearest, whichever table comes first;
//! giving a row whose nearest is taken its second choice was not taken: that is a chance alignment
//! more often than not. Equal distances go to the smaller row number, so the answer does not
//! depend on the number of threads.
//!
//! Cost: O(B log B) for the tree and about log B a row of A; 32 bytes a point. Friedman, Bentley &
//! Finkel (1977), ACM TOMS 3, 209.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use polars::prelude::*;
use rayon::prelude::*;

use crate::table::{ColumnMeta, Table};
use crate::{Error, Result, RowSet};

/// Positions in the sky, one a row; not finite where a row has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// Right ascension (or another longitude, of both tables alike), degrees.
    pub ra_deg: Vec<f64>,
    /// Declination (or latitude), degrees.
    pub dec_deg: Vec<f64>,
    /// The columns they are from.
    pub columns: [String; 2],
}

/// Which pairs within the radius are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Find {
    /// The pairs of which each row is the other's nearest: every row of either table at most once.
    #[default]
    Best,
    /// For each row of the first table the nearest of the second; one of the second may serve many.
    Each,
    /// All pairs.
    All,
}

/// Which rows the joined table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// One row a pair.
    #[default]
    Found,
    /// Also the first table's rows without a pair, with nothing in the second's columns.
    AllA,
}

/// Two rows at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Row of the first table.
    pub a: u32,
    /// Row of the second table.
    pub b: u32,
    /// Distance on the sky, arcsec.
    pub separation_arcsec: f64,
}

/// What [`cross_match`] found.
#[derive(Clone, Debug)]
pub struct Matches {
    /// In order of the first table's rows, of one row by separation.
    pub pairs: Vec<Pair>,
    /// Rows of the first table without a pair (also those without a position).
    pub missed_a: RowSet,
    /// Rows of the second table without a pair.
    pub missed_b: RowSet,
}

/// Told how far a match is, `(stage, done, of)`; to answer `false` ends it.
pub type Progress<'a> = &'a (dyn Fn(&'static str, usize, usize) -> bool + Sync);

/// More pairs than this are refused: 16 bytes each.
const MOST_PAIRS: usize = 500_000_000;
/// Nodes of so few points are scanned.
const LEAF: usize = 12;
/// Rows of the first table that one task looks up before it tells how far it is.
const CHUNK: usize = 8192;

impl Positions {
    /// The positions of a table: the columns `named` (right ascension, declination), else those
    /// with the UCDs `pos.eq.ra` and `pos.eq.dec` (the main ones first), else by their usual names.
    /// Units of radians (`rad`) and hours (`h`, `hourangle`) are turned into degrees.
    ///
    /// # Errors
    /// [`Error::NoColumn`], [`Error::Format`] when no pair of columns looks like positions or a
    /// column is not made of numbers.
    pub fn of(table: &Table, named: Option<(&str, &str)>) -> Result<Self> {
        let find = |ucds: &[&str], names: &[&str]| {
            let numeric = |i: &usize| table.is_numeric(*i);
            ucds.iter()
                .find_map(|u| table.column_by_ucd(u).filter(numeric))
                .or_else(|| names.iter().find_map(|n| table.column_index(n)).filter(numeric))
        };
        let (lon, lat) = match named {
            Some((ra, dec)) => {
                let index = |name: &str| {
                    table.column(name)?;
                    table.column_index(name).filter(|i| table.is_numeric(*i)).ok_or_else(|| {
                        Error::format(
                            &table.name,
                            format!("column '{name}' is not made of numbers; positions are numbers in degrees"),
                        )
                    })
                };
                (index(ra)?, index(dec)?)
            }
            None => {
                let ra = find(
                    &["pos.eq.ra;meta.main", "pos_eq_ra_main", "pos.eq.ra"],
                    &["ra", "raj2000", "ra_deg", "radeg", "_raj2000", "ra_icrs", "s_ra", "ramean", "alpha", "ra2000"],
                );
                let dec = find(
                    &["pos.eq.dec;meta.main", "pos_eq_dec_main", "pos.eq.dec"],
                    &[
                        "dec", "dej2000", "decj2000", "dec_deg", "decdeg", "dedeg", "_dej2000", "de_icrs", "s_dec", "decmean",
                        "delta", "decl", "dec2000",
                    ],
                );
                ra.zip(dec).ok_or_else(|| {
                    Error::format(&table.name, "no columns look like right ascension and declination; name them (as RA,DEC)")
                })?
            }
        };
        let read = |i: usize| -> Result<Vec<f64>> {
            let meta = &table.columns()[i];
            let factor = match meta.unit.as_deref().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
                "rad" | "radian" | "radians" => 180.0 / std::f64::consts::PI,
                "h" | "hr" | "hour" | "hours" | "hourangle" => 15.0,
                "arcsec" => 1.0 / 3600.0,
                "arcmin" => 1.0 / 60.0,
                "mas" => 1.0 / 3_600_000.0,
                _ => 1.0,
            };
            let mut values = table.f64s(&meta.name)?;
            if factor != 1.0 {
                values.iter_mut().for_each(|v| *v *= factor);
            }
            Ok(values)
        };
        let columns = [table.columns()[lon].name.clone(), table.columns()[lat].name.clone()];
        Ok(Self { ra_deg: read(lon)?, dec_deg: read(lat)?, columns })
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ra_deg.len().min(self.dec_deg.len())
    }
    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Rows that have a position, as unit vectors.
    fn points(&self) -> Vec<Point> {
        (0..self.len())
            .into_par_iter()
            .filter_map(|i| {
                let (ra, dec) = (self.ra_deg[i], self.dec_deg[i]);
                (ra.is_finite() && (-90.0..=90.0).contains(&dec)).then(|| Point { at: unit_vector(ra, dec), row: i as u32 })
            })
            .collect()
    }
}

/// The unit vector towards a position.
pub fn unit_vector(ra_deg: f64, dec_deg: f64) -> [f64; 3] {
    let (sin_ra, cos_ra) = ra_deg.to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec_deg.to_radians().sin_cos();
    [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
}

/// The angle between two positions, arcsec; exact to 10⁻¹⁰ arcsec at any distance but the antipode
/// (10⁻³ there).
pub fn separation_arcsec(a: (f64, f64), b: (f64, f64)) -> f64 {
    arcsec_of_chord2(distance2(&unit_vector(a.0, a.1), &unit_vector(b.0, b.1)))
}

fn arcsec_of_chord2(chord2: f64) -> f64 {
    (2.0 * (chord2.sqrt() / 2.0).min(1.0).asin()).to_degrees() * 3600.0
}

#[inline]
fn distance2(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
}

#[derive(Clone, Copy)]
struct Point {
    at: [f64; 3],
    row: u32,
}

/// Points in the order of the tree: the middle of each stretch divides it, along `axes[middle]`.
struct Tree {
    points: Vec<Point>,
    axes: Vec<u8>,
}

impl Tree {
    fn new(mut points: Vec<Point>) -> Self {
        let mut axes = vec![0; points.len()];
        Self::build(&mut points, &mut axes);
        Self { points, axes }
    }

    fn build(points: &mut [Point], axes: &mut [u8]) {
        if points.len() <= LEAF {
            return;
        }
        let mut low = [f64::INFINITY; 3];
        let mut high = [f64::NEG_INFINITY; 3];
        for p in points.iter() {
            for k in 0..3 {
                low[k] = low[k].min(p.at[k]);
                high[k] = high[k].max(p.at[k]);
            }
        }
        let axis = (1..3).fold(0, |best, k| if high[k] - low[k] > high[best] - low[best] { k } else { best });
        let middle = points.len() / 2;
        points.select_nth_unstable_by(middle, |a, b| a.at[axis].total_cmp(&b.at[axis]).then(a.row.cmp(&b.row)));
        axes[middle] = axis as u8;
        let (left, right) = points.split_at_mut(middle);
        let (left_axes, right_axes) = axes.split_at_mut(middle);
        let (right, right_axes) = (&mut right[1..], &mut right_axes[1..]);
        if left.len() > 20_000 {
            rayon::join(|| Self::build(left, left_axes), || Self::build(right, right_axes));
        } else {
            Self::build(left, left_axes);
            Self::build(right, right_axes);
        }
    }

    /// The nearest point within `best.0` (a squared chord), the smaller row of equally near ones.
    fn nearest(&self, from: usize, to: usize, at: &[f64; 3], best: &mut (f64, u32)) {
        let mut look = |p: &Point| {
            let d = distance2(at, &p.at);
            if d < best.0 || (d == best.0 && p.row < best.1) {
                *best = (d, p.row);
            }
        };
        if to - from <= LEAF {
            self.points[from..to].iter().for_each(look);
            return;
        }
        let middle = from + (to - from) / 2;
        let p = &self.points[middle];
        look(p);
        let axis = usize::from(self.axes[middle]);
        let across = at[axis] - p.at[axis];
        let (near, far) = if across < 0.0 { ((from, middle), (middle + 1, to)) } else { ((middle + 1, to), (from, middle)) };
        self.nearest(near.0, near.1, at, best);
        if across * across <= best.0 {
            self.nearest(far.0, far.1, at, best);
        }
    }

    /// Every point within the squared chord.
    fn within(&self, from: usize, to: usize, at: &[f64; 3], chord2: f64, found: &mut impl FnMut(f64, u32)) {
        let mut look = |p: &Point| {
            let d = distance2(at, &p.at);
            if d <= chord2 {
                found(d, p.row);
            }
        };
        if to - from <= LEAF {
            self.points[from..to].iter().for_each(look);
            return;
        }
        let middle = from + (to - from) / 2;
        let p = &self.points[middle];
        look(p);
        let axis = usize::from(self.axes[middle]);
        let across = at[axis] - p.at[axis];
        if across < 0.0 || across * across <= chord2 {
            self.within(from, middle, at, chord2, found);
        }
        if across >= 0.0 || across * across <= chord2 {
            self.within(middle + 1, to, at, chord2, found);
        }
    }
}

/// The pairs of rows within `radius_arcsec` (inclusive). Rows without a finite position have none.
///
/// # Errors
/// [`Error::Format`] for a radius that is not between 0 and 180°, or more pairs than fit into
/// memory; [`Error::Stopped`] when `progress` answered `false`.
///
/// # Examples
/// ```
/// use asterism_data::crossmatch::{Find, Positions, cross_match};
/// let a = Positions { ra_deg: vec![359.9999, 10.0], dec_deg: vec![0.0, 0.0], ..Default::default() };
/// let b = Positions { ra_deg: vec![0.0001], dec_deg: vec![0.0], ..Default::default() };
/// let found = cross_match(&a, &b, 1.0, Find::Best, &|_, _, _| true)?;
/// assert_eq!(found.pairs.len(), 1);
/// assert!((found.pairs[0].separation_arcsec - 0.72).abs() < 1e-9);
/// # Ok::<(), asterism_data::Error>(())
/// ```
pub fn cross_match(a: &Positions, b: &Positions, radius_arcsec: f64, find: Find, progress: Progress) -> Result<Matches> {
    let what = "cross-match";
    if !(0.0..=180.0 * 3600.0).contains(&radius_arcsec) {
        return Err(Error::format(what, format!("a radius of {radius_arcsec} arcsec is not between 0 and 180 degrees")));
    }
    if a.len().max(b.len()) >= u32::MAX as usize {
        return Err(Error::format(what, "a table of more than 4 thousand million rows; match it in parts"));
    }
    if !progress("sorting positions", 0, 1) {
        return Err(Error::Stopped);
    }
    let tree = Tree::new(b.points());
    let mut points = a.points();
    // Neighbours in the sky one after another: the tree stays in the cache.
    points.par_sort_unstable_by_key(|p| (morton(&p.at), p.row));

    // A little wider; the separation in arcsec decides.
    let chord = 2.0 * ((radius_arcsec / 3600.0).to_radians() / 2.0).sin();
    let chord2 = chord * chord * (1.0 + 1e-12) + 1e-30;
    let stopped = AtomicBool::new(false);
    let (done, pairs_so_far) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let n = tree.points.len();
    let found: Vec<Vec<Pair>> = points
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut pairs = Vec::new();
            for p in chunk {
                if stopped.load(Ordering::Relaxed) {
                    return Vec::new();
                }
                let mut push = |d: f64, row: u32| {
                    let separation_arcsec = arcsec_of_chord2(d);
                    if separation_arcsec <= radius_arcsec {
                        pairs.push(Pair { a: p.row, b: row, separation_arcsec });
                    }
                };
                if find == Find::All {
                    tree.within(0, n, &p.at, chord2, &mut push);
                    if pairs.len() > MOST_PAIRS {
                        stopped.store(true, Ordering::Relaxed);
                    }
                } else {
                    let mut best = (chord2, u32::MAX);
                    tree.nearest(0, n, &p.at, &mut best);
                    if best.1 != u32::MAX {
                        push(best.0, best.1);
                    }
                }
            }
            if pairs_so_far.fetch_add(pairs.len(), Ordering::Relaxed) + pairs.len() > MOST_PAIRS
                || !progress("matching", done.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len(), points.len())
            {
                stopped.store(true, Ordering::Relaxed);
            }
            pairs
        })
        .collect();
    if stopped.load(Ordering::Relaxed) {
        if pairs_so_far.load(Ordering::Relaxed) > MOST_PAIRS {
            return Err(Error::format(
                what,
                format!("more than {MOST_PAIRS} pairs lie within {radius_arcsec} arcsec; take a smaller radius"),
            ));
        }
        return Err(Error::Stopped);
    }
    let mut pairs: Vec<Pair> = Vec::with_capacity(found.iter().map(Vec::len).sum());
    found.into_iter().for_each(|v| pairs.extend(v));
    if find == Find::Best {
        // Of the rows that have one nearest in common it keeps its own nearest, which is among them.
        let mut nearest: Vec<(f64, u32)> = vec![(f64::INFINITY, u32::MAX); b.len()];
        for p in &pairs {
            let of_b = &mut nearest[p.b as usize];
            if (p.separation_arcsec, p.a) < *of_b {
                *of_b = (p.separation_arcsec, p.a);
            }
        }
        let back = Tree::new(points);
        let mutual = |p: &Pair| {
            if nearest[p.b as usize].1 != p.a {
                return false;
            }
            // A row whose own nearest is another may still lie nearer to b.
            let mut best = (chord2, u32::MAX);
            back.nearest(0, back.points.len(), &unit_vector(b.ra_deg[p.b as usize], b.dec_deg[p.b as usize]), &mut best);
            best.1 == p.a
        };
        pairs = pairs.into_par_iter().filter(mutual).collect();
    }
    let order = |x: &Pair, y: &Pair| x.separation_arcsec.total_cmp(&y.separation_arcsec);
    pairs.par_sort_unstable_by(|x, y| x.a.cmp(&y.a).then(order(x, y)).then(x.b.cmp(&y.b)));
    let (mut missed_a, mut missed_b) = (RowSet::full(a.len()), RowSet::full(b.len()));
    for p in &pairs {
        missed_a.remove(p.a as usize);
        missed_b.remove(p.b as usize);
    }
    Ok(Matches { pairs, missed_a, missed_b })
}

/// Interleaved bits of the three coordinates, 10 each.
fn morton(at: &[f64; 3]) -> u32 {
    let spread = |v: f64| {
        let mut x = (((v + 1.0) * 511.5) as u32).min(1023);
        x = (x | (x << 16)) & 0x030000ff;
        x = (x | (x << 8)) & 0x0300f00f;
        x = (x | (x << 4)) & 0x030c30c3;
        (x | (x << 2)) & 0x09249249
    };
    spread(at[0]) | (spread(at[1]) << 1) | (spread(at[2]) << 2)
}

/// The column that a joined table has more: the distance of the pair, arcsec.
pub const SEPARATION: &str = "separation_arcsec";

/// One table of both: the columns of `a`, those of `b` (with `_2` behind names that `a` has too)
/// and [`SEPARATION`], one row a pair in the order of `matches`; with [`Keep::AllA`] the rows of
/// `a` without a pair stand in their place, with nulls.
///
/// # Errors
/// [`Error::Polars`] when the pairs name rows that the tables do not have.
pub fn join(a: &Table, b: &Table, matches: &Matches, keep: Keep) -> Result<Table> {
    let mut rows: Vec<(u32, Option<(u32, f64)>)> =
        matches.pairs.iter().map(|p| (p.a, Some((p.b, p.separation_arcsec)))).collect();
    if keep == Keep::AllA {
        rows.extend(matches.missed_a.iter().map(|r| (r as u32, None)));
        // Stable: pairs of one row stay in order of separation.
        rows.sort_by_key(|r| r.0);
    }
    let left = IdxCa::from_vec("a".into(), rows.iter().map(|r| r.0 as IdxSize).collect());
    let right: IdxCa = rows.iter().map(|r| r.1.map(|(b, _)| b as IdxSize)).collect();
    let separation: Float64Chunked = rows.iter().map(|r| r.1.map(|(_, s)| s)).collect();
    let mut columns = a.frame().take(&left)?.columns().to_vec();
    let mut metas = a.columns().to_vec();
    let mut taken: std::collections::HashSet<String> = metas.iter().map(|m| m.name.clone()).collect();
    let mut free = |name: &str| {
        let mut free = name.to_owned();
        let mut n = 2;
        while taken.contains(&free) {
            free = format!("{name}_{n}");
            n += 1;
        }
        taken.insert(free.clone());
        free
    };
    for (column, meta) in b.frame().take(&right)?.columns().iter().zip(b.columns()) {
        let name = free(&meta.name);
        columns.push(column.clone().with_name(name.as_str().into()));
        metas.push(ColumnMeta { name, ..meta.clone() });
    }
    let name = free(SEPARATION);
    columns.push(separation.with_name(name.as_str().into()).into_column());
    metas.push(ColumnMeta {
        name,
        unit: Some("arcsec".into()),
        ucd: Some("pos.angDistance".into()),
        description: Some(format!(
            "Distance on the sky between the row of {} and that of {}",
            titled(a, "the first table"),
            titled(b, "the second")
        )),
        ..ColumnMeta::default()
    });
    let mut out = Table::new(format!("{} x {}", titled(a, "a"), titled(b, "b")), DataFrame::new(rows.len(), columns)?, metas)?;
    out.params.clone_from(&a.params);
    out.params.extend(b.params.iter().filter(|p| !a.params.iter().any(|q| q.name == p.name)).cloned());
    out.truncated = a.truncated || b.truncated;
    out.warnings = a.warnings.iter().chain(&b.warnings).cloned().collect();
    out.warnings.dedup();
    Ok(out)
}

fn titled<'a>(table: &'a Table, otherwise: &'a str) -> &'a str {
    if table.name.is_empty() { otherwise } else { &table.name }
}
