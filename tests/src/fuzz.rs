//! What reads files and words of other people must not panic, whatever it is given.
//!
//! Each target is a plain function of bytes. `fuzz/` hands them to cargo-fuzz, which watches the
//! branches that are taken and needs a nightly compiler; [`run`] mutates the fixtures instead, the
//! same way every time for one seed, on any compiler.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A function of bytes that must come back.
pub struct Target {
    /// Its name here and in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Folders of `tests/fixtures` (or files beside it) that inputs are made from.
    seeds: &'static [&'static str],
    /// Seeds with these endings only.
    endings: &'static [&'static str],
    /// It must not panic.
    pub body: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "votable", seeds: &["votable", "vo"], endings: &["xml", "vot"], body: votable },
    Target {
        name: "fits",
        seeds: &["fits/core", "fits/compressed", "synthetic", "votable"],
        endings: &["fits", "fz", "mxlo"],
        body: fits,
    },
    Target {
        name: "text_table",
        seeds: &["vo", "labelled", "fits/wcs"],
        endings: &["csv", "ecsv", "tsv", "txt", "hdr"],
        body: text_table,
    },
    Target { name: "packed", seeds: &["lightcurves", "synthetic", "votable"], endings: &["bz2", "Z", "gz"], body: packed },
    Target { name: "parquet", seeds: &["arrow"], endings: &["parquet", "arrow"], body: parquet },
    Target { name: "expression", seeds: &[], endings: &[], body: expression },
    Target { name: "archive_words", seeds: &["vo"], endings: &["xml", "json"], body: archive_words },
    Target { name: "mast_json", seeds: &["mast"], endings: &["json"], body: mast_json },
    Target { name: "stc_s", seeds: &[], endings: &[], body: stc_s },
    Target { name: "recipe", seeds: &["../../recipes"], endings: &["toml"], body: recipe },
];

/// A VOTable document.
pub fn votable(bytes: &[u8]) {
    let _ = asterism_data::read_bytes("fuzz.vot", bytes.to_vec(), None);
}

/// A FITS file.
pub fn fits(bytes: &[u8]) {
    let _ = asterism_data::read_bytes("fuzz.fits", bytes.to_vec(), None);
    let _ = asterism_data::TargetPixels::of_bytes("fuzz.fits", bytes);
}

/// CSV, TSV and ECSV.
pub fn text_table(bytes: &[u8]) {
    for name in ["fuzz.csv", "fuzz.tsv", "fuzz.ecsv"] {
        let _ = asterism_data::read_bytes(name, bytes.to_vec(), None);
    }
    // By pieces, as large files are.
    for (separator, size) in [(None, 64.max(bytes.len() / 8)), (Some(b'\t'), 1000.max(bytes.len() / 3))] {
        let _ = asterism_data::read_csv_pieces(&mut std::io::Cursor::new(bytes), separator, size);
    }
}

/// Parquet and Arrow.
pub fn parquet(bytes: &[u8]) {
    let _ = asterism_data::read_bytes("fuzz", bytes.to_vec(), None);
}

/// gzip, bzip2, `compress`, tar, zip.
pub fn packed(bytes: &[u8]) {
    let _ = asterism_data::read_bytes("fuzz", bytes.to_vec(), None);
}

/// Predicates, units, words of positions.
pub fn expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = asterism_data::Expr::parse(&text);
    let _ = asterism_data::units::Axis::parse(&text);
    let _ = asterism_data::units::Density::parse(&text);
    let _ = asterism_archive::parse_position(&text);
    let _ = asterism_archive::parse_radius(&text);
    let _ = asterism_archive::quote_identifier(&text);
}

/// What services say of jobs and tables.
pub fn archive_words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = asterism_archive::vo::parse_job(&text);
    let _ = asterism_archive::vo::parse_tableset(&text);
    let _ = asterism_data::sniff::sniff("fuzz", bytes);
}

/// An answer of MAST in JSON.
pub fn mast_json(bytes: &[u8]) {
    let _ = asterism_archive::mast::parse_answer("fuzz", bytes);
}

/// Regions on the sky in words.
pub fn stc_s(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for ring in asterism_session::footprint::parse(&text) {
        let _ = asterism_session::footprint::contains(&ring, 0.1, -0.2);
    }
    let _ = asterism_session::moc::Moc::read("fuzz", bytes);
}

/// A recipe.
pub fn recipe(bytes: &[u8]) {
    let _ = asterism_session::recipe::Parsed::new("fuzz.toml", &String::from_utf8_lossy(bytes));
}

/// Words that the text targets begin from.
const WORDS: [&str; 15] = [
    "W1 - W2 > 0.8 AND CLASS = 'QSO'",
    "POWER(x, 2) / SQRT(y) BETWEEN 1 AND 2 OR name LIKE 'NGC%'",
    "NOT (a IS NULL) AND b IN (1, 2, 'c')",
    "1e-17 erg.s**-1.cm**-2.Angstrom**-1",
    "10^(-17) erg/(s cm2 Å)",
    "10:42:44.3 +41 16 09",
    "00h42m44.3s +41d16m09s",
    "30arcsec",
    "1e2e-3deg \"a.b\"",
    "POLYGON ICRS 10.1 -5.2 10.4 -5.2 10.4 -4.9 10.1 -4.9",
    "UNION J2000 (CIRCLE 83.6 22.0 0.05 POLYGON 1 2 3 4 5 6)",
    "CIRCLE ICRS 359.99 89.999 1e-3",
    "ELLIPSE FK5 10 20 0.5 0.25 45",
    "Polygon galactic 120 0 121 0 121 1",
    "BOX 10 41 2 1 Time interval 53000 54000",
];

/// A small generator (SplitMix64): the same numbers for one seed everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }
}

/// One to eight changes: bits, bytes, numbers in digits, pieces doubled, moved, cut out, cut off.
fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    const BYTES: [u8; 14] = [0, 1, 0x7f, 0x80, 0xff, b'-', b'9', b'0', b'<', b'>', b'"', b'\'', b' ', b'\n'];
    const NUMBERS: [&str; 9] =
        ["-1", "0", "1", "99999999", "2147483648", "-9223372036854775808", "18446744073709551616", "1e400", "NaN"];
    let mut out = seed.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(out.len());
        // Headers are worth more than data.
        let at = if random.below(2) == 0 { at.min(random.below(4000)) } else { at };
        let most = 1 << random.below(10);
        let length = random.below(most).min(out.len().saturating_sub(at));
        match random.below(9) {
            0 if !out.is_empty() => out[at] ^= 1 << random.below(8),
            1 | 2 if !out.is_empty() => out[at] = BYTES[random.below(BYTES.len())],
            3 => {
                // The next number in digits.
                if let Some(from) = out[at..].iter().position(u8::is_ascii_digit).map(|p| p + at) {
                    let to = out[from..].iter().position(|b| !b.is_ascii_digit()).map_or(out.len(), |p| p + from);
                    let number = NUMBERS[random.below(NUMBERS.len())];
                    // In place where cards and fields must keep their columns.
                    if random.below(2) == 0 && number.len() <= out.len() - from {
                        out[from..from + number.len()].copy_from_slice(number.as_bytes());
                    } else {
                        out.splice(from..to, number.bytes());
                    }
                }
            }
            4 => drop(out.drain(at..at + length)),
            5 => {
                let piece = out[at..at + length].to_vec();
                let to = random.below(out.len() + 1);
                out.splice(to..to, piece);
            }
            6 if !other.is_empty() => {
                let from = random.below(other.len());
                let piece = &other[from..(from + length.max(1)).min(other.len())];
                out.splice(at..at, piece.iter().copied());
            }
            7 if random.below(4) == 0 => out.truncate(at),
            _ => {
                let byte = BYTES[random.below(BYTES.len())];
                out.insert(at.min(out.len()), byte);
            }
        }
        out.truncate(1 << 20);
    }
    out
}

fn seeds_of(target: &Target) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders: Vec<PathBuf> = target.seeds.iter().map(|s| root.join(s)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| target.endings.iter().any(|t| e.eq_ignore_ascii_case(t)))
                && std::fs::metadata(&path).is_ok_and(|m| m.len() < 200_000)
            {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut seeds: Vec<Vec<u8>> = files.iter().filter_map(|f| std::fs::read(f).ok()).collect();
    if seeds.is_empty() {
        seeds.extend(WORDS.iter().map(|w| w.as_bytes().to_vec()));
    }
    seeds
}

/// What [`run`] did.
pub struct Ran {
    /// Inputs that were tried.
    pub inputs: usize,
    /// Inputs that it panicked on or that took longer than ten seconds, kept in files.
    pub bad: Vec<PathBuf>,
}

/// Hand mutated seeds to a target for so long; `seed` makes the choice of mutations.
pub fn run(target: &Target, seed: u64, time: Duration) -> Ran {
    let seeds = seeds_of(target);
    let mut random = Random(seed);
    let mut ran = Ran { inputs: 0, bad: Vec::new() };
    // An input that takes all memory or never comes back leaves no message: with this it leaves itself.
    let keep = std::env::var_os("ASTERISM_FUZZ_KEEP").map(PathBuf::from);
    let start = Instant::now();
    while start.elapsed() < time && ran.bad.len() < 5 {
        let (one, two) = (random.below(seeds.len()), random.below(seeds.len()));
        let input = mutate(&seeds[one], &seeds[two], &mut random);
        if let Some(keep) = &keep {
            // Only where a person looks for it.
            let _ = std::fs::write(keep, &input);
        }
        let begun = Instant::now();
        let fine = std::panic::catch_unwind(|| (target.body)(&input)).is_ok();
        ran.inputs += 1;
        if !fine || begun.elapsed() > Duration::from_secs(10) {
            let path = std::env::temp_dir().join(format!("asterism-fuzz-{}-{seed}-{}", target.name, ran.inputs));
            // Where it cannot be written its name alone tells: the inputs are the same every time.
            let _ = std::fs::write(&path, &input);
            ran.bad.push(path);
        }
    }
    ran
}
