//! Target pixels, quality masks that a person changes, packed files of the nineties.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use asterism_data::quality::Flags;
use asterism_data::target_pixels::{COLLECTED, OPTIMAL};
use asterism_data::{LightCurve, Part, Spectrum, TargetPixels, read, read_bytes};

/// A fixture of the project, or of the shared folder beside it; none (said aloud) where absent.
fn fixture(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ["tests/fixtures", "../shared/fixtures"].iter().map(|base| root.join(base).join(name)).find(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: {name} is not here");
    }
    found
}

fn curves(path: &Path) -> Vec<LightCurve> {
    read(path).unwrap().into_iter().filter_map(|p| if let Part::LightCurve(l) = p { Some(l) } else { None }).collect()
}

#[test]
fn target_pixels_give_the_missions_curve_and_any_other() {
    let Some(path) = fixture("lightcurves/ktwo211983544-c18_lpd-targ.fits") else { return };
    let t = TargetPixels::read(&path).unwrap();
    assert_eq!((t.len(), t.shape, t.flags), (2490, [5, 7], Flags::Kepler));
    let sum: f64 = t.frame(100).iter().map(|v| f64::from(*v)).filter(|v| v.is_finite()).sum();
    assert!((sum - 1328.330811).abs() < 1e-3, "{sum}");
    assert_eq!((0..t.len()).filter(|i| t.frame(*i).iter().all(|v| v.is_nan())).count(), 28);
    let bits = t.aperture.as_ref().unwrap();
    let optimal: Vec<usize> = (0..35).filter(|p| bits[*p] & OPTIMAL != 0).collect();
    assert_eq!(optimal, [2 * 7 + 3, 2 * 7 + 4]);
    assert!(bits.iter().filter(|b| **b & COLLECTED != 0).count() >= 2);
    // (QUALITY & 1130799) == 0 in 2371 of them.
    assert_eq!(t.quality.as_ref().unwrap().iter().filter(|q| **q & t.flags.default_mask() == 0).count(), 2371);

    let curve = t.light_curve(&t.optimal()).unwrap();
    assert_eq!(curve.flux[100], f64::from(t.frame(100)[17]) + f64::from(t.frame(100)[18]));
    assert_eq!(curves(&path)[0].flux[100], curve.flux[100]);
    assert!(curve.rule.contains("optimal") && curve.rule.contains("1130799"), "{}", curve.rule);
    // One pixel more is brighter by that pixel; all of them are the sum of the frame.
    let mut more = t.optimal();
    more[16] = true;
    let wide = t.light_curve(&more).unwrap();
    assert!((wide.flux[100] - curve.flux[100] - f64::from(t.frame(100)[16])).abs() < 1e-9);
    assert!(wide.error.as_ref().unwrap()[100] > curve.error.as_ref().unwrap()[100]);
    assert!((t.light_curve(&[true; 35]).unwrap().flux[100] - sum).abs() < 1e-9);
    // The mask is a person's.
    let (mut all, kept) = (curve.clone(), curve.kept_count());
    all.set_mask(0);
    assert_eq!(all.kept_count(), (0..2490).filter(|i| all.flux[*i].is_finite() && all.time_bjd[*i].is_finite()).count());
    all.set_mask(curve.mask);
    assert_eq!(all.kept, curve.kept);
    all.set_mask(-1);
    assert!(all.kept_count() < kept);
    for wrong in [vec![true; 34], vec![false; 35]] {
        assert!(t.light_curve(&wrong).unwrap_err().to_string().contains("35 pixels"));
    }
    let mean = t.mean_frame().unwrap();
    assert!(mean.shape == [5, 7] && mean.wcs.is_some() && mean.name.contains("mean of"));
}

#[test]
fn a_light_curves_mask_follows_the_missions_bits() {
    let Some(path) = fixture("lightcurves/ktwo211117077-c04_llc.fits") else { return };
    let mut l = curves(&path).swap_remove(0);
    assert_eq!((l.flags, l.mask, l.kept_count()), (Flags::Kepler, 1_130_799, 3282));
    let quality = l.quality.clone().unwrap();
    // Another mask: only rows without any bit; then one bit, which leaves what has others.
    l.set_mask(-1);
    assert!(l.kept_count() < 3282 && (0..l.len()).all(|i| !l.kept[i] || quality[i] == 0));
    let row = (0..l.len()).find(|i| quality[*i] != 0 && l.flux[*i].is_finite() && l.time_bjd[*i].is_finite()).unwrap();
    l.set_mask(!quality[row]);
    assert!(l.kept[row]);
    assert!(!l.flags.words(quality[row]).is_empty());
    assert_eq!(Flags::Tess.words(128 | 1 << 40), ["manual exclude", "bit 1099511627776"]);
    // Every bit of a default mask has a name, and every name one bit.
    for flags in [Flags::Kepler, Flags::Tess] {
        let named = flags.bits().iter().fold(0, |k, b| k | b.value);
        assert_eq!(flags.default_mask() & !named, 0, "{flags:?}");
    }
    for flags in [Flags::Kepler, Flags::Tess, Flags::Stis, Flags::Cos, Flags::Jwst] {
        assert!(flags.bits().iter().all(|b| b.value.count_ones() == 1));
    }
}

#[test]
fn a_spectrums_mask_can_be_changed() {
    let Some(path) = fixture("spectra/hst-stis-odbue5030_x1d.fits") else { return };
    let spectra = |p: Part| if let Part::Spectrum(s) = p { Some(s) } else { None };
    let mut all: Vec<Spectrum> = read(&path).unwrap().into_iter().filter_map(spectra).collect();
    assert_eq!((all.len(), all[0].flags), (40, Flags::Stis));
    let good = |all: &[Spectrum]| all.iter().map(|s| s.len() - s.bad()).sum::<usize>();
    let default = good(&all);
    all.iter_mut().for_each(|s| s.set_mask(-1));
    // 40301 pixels have DQ 0.
    assert_eq!(good(&all), 40301);
    assert!(default > 40301);
    all.iter_mut().for_each(|s| s.set_mask(Flags::Stis.default_mask()));
    assert_eq!(good(&all), default);
}

#[test]
fn files_packed_by_compress_are_read() {
    let Some(path) = fixture("synthetic/table.csv.Z") else { return };
    let Part::Table(t) = read(&path).unwrap().swap_remove(0) else { panic!("no table") };
    assert_eq!((t.rows(), t.columns().len(), t.name.as_str()), (9000, 3, "table"));
    for row in [0, 1, 4711, 8999] {
        assert_eq!(t.cell(row, 0).number(), Some(row as f64));
        assert_eq!(t.cell(row, 1).to_string(), format!("star {} of {}", row % 97, row % 13));
        assert_eq!(t.cell(row, 2).number(), Some(((row * 7919) % 1000) as f64 / 8.0));
    }
    // Another width of codes, and FITS inside: the parts are those of the plain file.
    let (Some(packed), Some(plain)) = (fixture("synthetic/tdim.fits.Z"), fixture("fits/core/tdim.fits")) else { return };
    let cells = |path: &Path| {
        let parts = read(path).unwrap();
        let tables = parts.iter().filter_map(|p| if let Part::Table(t) = p { Some(t) } else { None });
        tables.map(|t| (t.rows(), (0..t.columns().len()).map(|c| t.cell(0, c)).collect::<Vec<_>>())).collect::<Vec<_>>()
    };
    assert_eq!(cells(&packed), cells(&plain));
    // What is cut off gives what there is; junk gives words.
    let bytes = std::fs::read(&path).unwrap();
    let cut = read_bytes("cut.csv.Z", bytes[..bytes.len() / 2].to_vec(), None).unwrap();
    assert!(matches!(&cut[0], Part::Table(t) if t.rows() > 3000 && t.rows() < 9000));
    assert!(read_bytes("junk.Z", vec![0x1f, 0x9d, 0x90, 0xff, 0xff, 0xff], None).unwrap_err().to_string().contains("damaged"));
}

/// Where ncompress is installed: larger files, with the table emptied on the way.
#[test]
fn files_packed_by_ncompress_here_are_read() {
    let program =
        std::env::var_os("PATH").and_then(|p| std::env::split_paths(&p).map(|f| f.join("compress")).find(|f| f.is_file()));
    let (Some(program), Some(path)) = (program, fixture("lightcurves/ktwo211117077-c04_llc.fits")) else {
        eprintln!("skipped: compress is not installed");
        return;
    };
    let plain = std::fs::read(&path).unwrap();
    for bits in ["10", "12", "14", "16"] {
        let out = std::process::Command::new(&program).args(["-f", "-b", bits, "-c"]).arg(&path).output().unwrap();
        assert!(asterism_data::sniff::unpack("x.Z", out.stdout).unwrap() == plain, "{bits} bits");
    }
}

#[test]
fn both_bands_of_a_macho_star_come_out_of_its_archive() {
    let Some(path) = fixture("lightcurves/macho-lc_1.3444.614.tar.bz2") else { return };
    let tables: Vec<_> =
        read(&path).unwrap().into_iter().filter_map(|p| if let Part::Table(t) = p { Some(t) } else { None }).collect();
    assert_eq!(
        tables.iter().map(|t| (t.name.as_str(), t.rows())).collect::<Vec<_>>(),
        [("lc_1.3444.614.B", 1235), ("lc_1.3444.614.R", 722)]
    );
    assert_eq!(tables[0].columns().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["MJD", "Mag", "Err"]);
    assert_eq!(tables[0].cell(0, 0).number(), Some(48823.477419));
    assert_eq!(tables[1].cell(0, 1).number(), Some(-5.089));
    let curve = asterism_data::light_curve::light_curve_from_table(&tables[0]).unwrap();
    assert_eq!((curve.len(), curve.is_magnitude(), curve.error.is_some()), (1235, true, true));
}
