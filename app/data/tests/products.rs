//! Products read from real files: the facts each file is known to hold.
//!
//! Files are looked for in the project's own `tests/fixtures` and then beside the workspace; a
//! file that is in neither place is skipped with a line that says so.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use asterism_data::fits::Fits;
use asterism_data::fits_products::products;
use asterism_data::light_curve::{light_curve_from_table, light_curves_by_id};
use asterism_data::spectrum_layouts::spectra_from_table;
use asterism_data::stretch::{Cuts, Stretch};
use asterism_data::{ColumnMeta, Image, LightCurve, Medium, Param, Part, Picture, SpectraColumn, Spectrum, Table, Wcs};
use polars::prelude::*;

fn path(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ["tests/fixtures", "../shared/fixtures"].iter().map(|d| root.join(d).join(name)).find(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: {name} is not here");
    }
    found
}

fn bytes(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(path(name)?).unwrap())
}

fn parts(name: &str) -> Option<Vec<Part>> {
    let path = path(name)?;
    Some(products(&path.to_string_lossy(), &std::fs::read(&path).unwrap()).unwrap())
}

fn images(name: &str) -> Option<Vec<Image>> {
    Some(parts(name)?.into_iter().filter_map(|p| if let Part::Image(i) = p { Some(i) } else { None }).collect())
}

fn spectra(name: &str) -> Option<Vec<Spectrum>> {
    let found: Vec<_> = parts(name)?.into_iter().filter_map(|p| if let Part::Spectrum(s) = p { Some(s) } else { None }).collect();
    for s in &found {
        assert_eq!(s.flux.len(), s.axis.len(), "{name}");
        assert_eq!(s.flux.len(), s.good.len(), "{name}");
        assert!(s.wavelength_m.is_empty() || s.wavelength_m.len() == s.flux.len(), "{name}");
        assert!(s.error.as_ref().is_none_or(|e| e.len() == s.flux.len()), "{name}");
        assert!(!s.rule.is_empty() && !s.name.is_empty(), "{name}");
    }
    Some(found)
}

fn light_curve(name: &str) -> Option<LightCurve> {
    parts(name)?.into_iter().find_map(|p| if let Part::LightCurve(l) = p { Some(l) } else { None })
}

#[track_caller]
fn close(got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs().max(f64::MIN_POSITIVE) || got == want, "{got} is not {want}");
}

#[track_caller]
fn sky(wcs: &Wcs, x: f64, y: f64, lon: f64, lat: f64, within_deg: f64) {
    let (a, d) = wcs.world_from_pixel(x, y).unwrap();
    let around = ((a - lon + 180.0).rem_euclid(360.0) - 180.0) * lat.to_radians().cos();
    assert!(around.hypot(d - lat) < within_deg, "({x}, {y}) -> ({a}, {d}), not ({lon}, {lat})");
    let (ra, dec) = wcs.sky_from_pixel(x, y).unwrap();
    let (u, v) = wcs.pixel_from_sky(ra, dec).unwrap();
    assert!((u - x).hypot(v - y) < 1e-4, "({x}, {y}) came back as ({u}, {v})");
}

struct Known {
    file: &'static str,
    hdu: usize,
    shape: &'static [usize],
    /// Index in numpy order and value.
    element: (&'static [usize], f64),
    /// min, max, mean
    stats: (f64, f64, f64),
    nan: usize,
}

const fn known(
    file: &'static str,
    hdu: usize,
    shape: &'static [usize],
    element: (&'static [usize], f64),
    stats: (f64, f64, f64),
    nan: usize,
) -> Known {
    Known { file, hdu, shape, element, stats, nan }
}

const M13: (f64, f64, f64) = (109.0, 3618.0, 147.704411);
const IMAGES: &[Known] = &[
    known("fits/compressed/m13.fits", 0, &[300, 300], (&[150, 150], 241.0), M13, 0),
    known("fits/compressed/m13_gzip.fits", 1, &[300, 300], (&[150, 150], 241.0), M13, 0),
    known("fits/compressed/m13_rice.fits", 1, &[300, 300], (&[150, 150], 241.0), M13, 0),
    known("fits/compressed/m13_hcomp.fits", 1, &[300, 300], (&[150, 150], 241.0), M13, 0),
    known("fits/compressed/m13_plio.fits", 1, &[300, 300], (&[150, 150], 241.0), M13, 0),
    known(
        "fits/compressed/compressed_with_nan.fits",
        1,
        &[12, 12],
        (&[6, 6], 78.12188900346858),
        (0.248001337, 143.006207, 71.9124653),
        1,
    ),
    known("fits/core/comp.fits", 1, &[300, 440], (&[150, 220], 962.0), (0.0, 1037.0, 260.741447), 0),
    known("fits/core/scale.fits", 0, &[21, 20], (&[10, 10], 526.7647094726562), (491.88208, 2726.61523, 531.435156), 0),
    known("fits/core/test0.fits", 1, &[40, 40], (&[20, 20], 313.0), (309.0, 474.0, 313.138125), 0),
    known("fits/core/test0.fits", 2, &[40, 40], (&[20, 20], 349.0), (346.0, 598.0, 348.70375), 0),
    known("fits/core/test0.fits", 3, &[40, 40], (&[20, 20], 309.0), (306.0, 314.0, 308.7825), 0),
    known("fits/core/test0.fits", 4, &[40, 40], (&[20, 20], 321.0), (313.0, 846.0, 322.285), 0),
    known("fits/core/fixed-1890.fits", 0, &[100, 100], (&[50, 50], 1890.0), (1890.0, 1890.0, 1890.0), 0),
    known("fits/core/checksum.fits", 0, &[40, 30], (&[20, 15], 231.0), (4.0, 342.0, 209.58), 0),
    known(
        "fits/wcs/dist.fits",
        1,
        &[4096],
        (&[2048], -0.0001273176312679425),
        (-0.00404134719, 0.00277050096, -0.000751741897),
        0,
    ),
    known(
        "fits/wcs/dist_lookup.fits.gz",
        1,
        &[100, 100],
        (&[50, 50], 110.21187591552734),
        (16.7116146, 5648.78613, 97.7642883),
        0,
    ),
    known(
        "fits/wcs/dist_lookup.fits.gz",
        3,
        &[33, 65],
        (&[16, 32], 0.009970630519092083),
        (-0.0957172215, 0.0609074757, 0.000495744726),
        0,
    ),
    known("fits/wcs/dss.14.29.56-62.41.05.fits.gz", 0, &[100, 100], (&[50, 50], 19559.0), (2989.0, 20136.0, 5101.1936), 0),
    known("fits/wcs/tab-time-last-axis.fits", 0, &[1, 1, 1], (&[0, 0, 0], 1.0), (1.0, 1.0, 1.0), 0),
    known("fits/images/HorseHead.fits", 0, &[893, 891], (&[446, 445], 6306.0), (3759.0, 22918.0, 9831.48168), 0),
    known(
        "fits/images/gc_msx_e.fits",
        0,
        &[149, 149],
        (&[74, 74], 4.415916600919445e-05),
        (-1.80342409e-07, 0.00289287082, 1.10200298e-05),
        0,
    ),
    known("fits/images/gc_2mass_k.fits", 0, &[720, 721], (&[360, 360], 537.2020874023438), (458.967896, 3000.0, 569.228433), 0),
    known(
        "fits/images/panstarrs-g-m61.fits",
        0,
        &[500, 500],
        (&[250, 250], 101115.75),
        (-726.603577, 312869.875, 306.241909),
        959,
    ),
    known(
        "fits/images/sia-image.fits",
        1,
        &[256, 256],
        (&[128, 128], 0.6440115077177391),
        (6.83228209e-06, 0.999996067, 0.498670685),
        0,
    ),
    known(
        "fits/images/first-cutout.fits",
        0,
        &[33, 33],
        (&[16, 16], 0.004893059842288494),
        (-0.000516298343, 0.00681809569, 0.000556708774),
        0,
    ),
    known(
        "fits/images/galactic_2d.fits",
        0,
        &[43, 43],
        (&[21, 21], 5.113524821354076e-05),
        (2.72851139e-06, 0.000266272313, 2.10333703e-05),
        0,
    ),
    known("lightcurves/kplr010002792-2009259160929_llc.fits", 2, &[5, 6], (&[2, 3], 3.0), (0.0, 3.0, 1.3), 0),
    known(
        "spectra/desi-coadd-5-169-thru20210419.fits",
        7,
        &[5, 11, 2751],
        (&[2, 5, 1375], 0.0),
        (-0.00555151515, 0.506351471, 0.0181666009),
        0,
    ),
    known("spectra/desi-coadd-5-169-thru20210419.fits", 6, &[5, 2751], (&[2, 1375], 0.0), (0.0, 0.0, 0.0), 0),
    known("spectra/TRES.fits", 0, &[51, 2304], (&[25, 1152], 12608.865234375), (0.0, 14382.4111, 6696.72145), 0),
    known("spectra/gbt_1d.fits", 0, &[4096], (&[2048], -1.967982209358155), (-4.04637066, 0.21739342, -0.120989442), 0),
];

#[test]
fn image_units_hold_the_known_values() {
    for k in IMAGES {
        let Some(bytes) = bytes(k.file) else { continue };
        let fits = Fits::open(k.file, &bytes).unwrap();
        let hdu = &fits.hdus[k.hdu];
        let mut axes = hdu.axes();
        axes.reverse();
        assert_eq!(axes, k.shape, "{}", k.file);
        let values = fits.values(hdu).unwrap();
        let at = k.element.0.iter().zip(k.shape).fold(0, |at, (i, n)| at * n + i);
        // astropy scales 16-bit integers in single precision
        close(values[at], k.element.1, 6e-8);
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        assert_eq!(values.len() - finite.len(), k.nan, "{}", k.file);
        close(finite.iter().copied().fold(f64::INFINITY, f64::min), k.stats.0, 1e-7);
        close(finite.iter().copied().fold(f64::NEG_INFINITY, f64::max), k.stats.1, 1e-7);
        close(finite.iter().sum::<f64>() / finite.len() as f64, k.stats.2, 1e-7);
        let planes: usize = k.shape.iter().rev().skip(2).product();
        if planes == 1 {
            let (pixels, stats) = fits.plane(hdu, 0).unwrap();
            close(f64::from(pixels[at]), k.element.1, 1e-7);
            close(stats.min, k.stats.0, 1e-7);
            close(stats.max, k.stats.1, 1e-7);
            close(stats.mean, k.stats.2, 1e-7);
            assert_eq!(stats.nan, k.nan);
        }
    }
}

#[test]
fn every_compression_gives_the_same_pixels() {
    let Some(plain) = bytes("fits/compressed/m13.fits") else { return };
    let fits = Fits::open("m13.fits", &plain).unwrap();
    let want = fits.values(&fits.hdus[0]).unwrap();
    for name in ["gzip", "rice", "hcomp", "plio"] {
        let Some(packed) = bytes(&format!("fits/compressed/m13_{name}.fits")) else { continue };
        let fits = Fits::open(name, &packed).unwrap();
        assert!(fits.warnings.is_empty());
        assert!(fits.values(&fits.hdus[1]).unwrap() == want, "{name}");
    }
}

#[test]
fn blank_is_compared_before_scaling() {
    let Some(list) = images("fits/core/blank.fits") else { return };
    assert_eq!((list[0].shape, list[0].nan), ([1, 1], 1));
    assert!(list[0].pixels[0].is_nan() && list[0].mean.is_nan());
}

#[test]
fn images_are_listed_with_name_unit_and_centre() {
    if let Some(list) = images("fits/core/test0.fits") {
        assert_eq!(list.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["SCI", "SCI,2", "SCI,3", "SCI,4"]);
        assert!(list[0].wcs.is_none() && list[1].wcs.is_some());
    }
    if let Some(list) = images("fits/images/gc_msx_e.fits") {
        assert_eq!((list[0].unit.as_str(), list[0].name.as_str()), ("W/m^2-sr", "gc_msx_e"));
        let (ra, dec) = list[0].centre_deg().unwrap();
        assert!((ra - 266.4).abs() < 0.1 && (dec + 28.93).abs() < 0.1, "{ra} {dec}");
    }
    if let Some(list) = images("fits/images/HorseHead.fits") {
        let cut = list[0].cutout(445.0, 446.0, 21);
        assert_eq!(cut.value(10, 10), list[0].value(445, 446));
        let (a, b) = (
            cut.wcs.unwrap().sky_from_pixel(10.0, 10.0).unwrap(),
            list[0].wcs.as_ref().unwrap().sky_from_pixel(445.0, 446.0).unwrap(),
        );
        assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12);
    }
    // nothing to show is not an error
    for name in ["fits/core/random_groups.fits", "fits/core/history_header.fits", "fits/wcs/sip.fits", "fits/core/zerowidth.fits"]
    {
        if let Some(list) = images(name) {
            assert!(list.is_empty(), "{name}");
        }
    }
}

#[test]
fn truncated_files_give_what_is_there() {
    let Some(whole) = bytes("fits/compressed/m13.fits") else { return };
    let part = &whole[..100_000];
    let Part::Image(image) = &products("cut.fits", part).unwrap()[0] else { panic!("no image") };
    assert!(image.nan > 0 && image.value(10, 10).unwrap().is_finite() && image.value(10, 299).unwrap().is_nan());
    assert!(!Fits::open("cut.fits", part).unwrap().warnings.is_empty());
    for name in ["fits/compressed/m13_rice.fits", "spectra/NGC4151sic2a.fits", "lightcurves/ktwo211117077-c04_llc.fits"] {
        let Some(whole) = bytes(name) else { continue };
        for n in (0..whole.len()).step_by(whole.len() / 37 + 1) {
            let _ = products(name, &whole[..n]);
        }
    }
}

#[test]
fn pixels_go_to_the_known_sky() {
    // unit by unit: pixel (0, 0) and (10, 20), in the header's own frame
    let known: &[(&str, usize, [f64; 4])] = &[
        ("fits/compressed/m13.fits", 0, [250.47419204, 36.41867276, 250.47074452, 36.42422819]),
        ("fits/compressed/m13_rice.fits", 1, [250.47419204, 36.41867276, 250.47074452, 36.42422819]),
        ("fits/core/comp.fits", 1, [50.74937901, -37.66822560, 50.72453759, -37.62944827]),
        ("fits/core/scale.fits", 0, [266.97405525, -29.43139219, 266.95796004, -29.40368513]),
        ("fits/core/test0.fits", 2, [215.59088951, -12.73358785, 215.59007297, -12.73453491]),
        ("fits/core/test0.fits", 3, [215.59213414, -12.73593641, 215.59116765, -12.73513639]),
        ("fits/core/test0.fits", 4, [215.59005161, -12.73673409, 215.59088314, -12.73579886]),
        ("fits/core/checksum.fits", 0, [50.74937901, -37.66822560, 50.72453759, -37.62944827]),
        ("fits/wcs/dist_lookup.fits.gz", 1, [5.52645790, -72.05171895, 5.52724890, -72.05192328]),
        ("fits/wcs/j94f05bgq_flt.fits", 1, [5.52645627, -72.05171757, 5.52724740, -72.05192188]),
        ("fits/wcs/j94f05bgq_flt.fits", 4, [5.56704973, -72.07777360, 5.56783973, -72.07797259]),
        ("fits/wcs/dss.14.29.56-62.41.05.fits.gz", 0, [217.53322327, -62.70913991, 217.52347724, -62.69957787]),
        ("fits/images/HorseHead.fits", 0, [85.39972238, -2.58321572, 85.39692166, -2.57761704]),
        ("fits/images/gc_msx_e.fits", 0, [0.49938001, -0.49232335, 0.43271334, -0.35899001]),
        ("fits/images/gc_2mass_k.fits", 0, [266.97405525, -29.43139219, 266.95796004, -29.40368513]),
        ("fits/images/panstarrs-g-m61.fits", 0, [185.54710200, 4.45554583, 185.54335886, 4.45801027]),
        ("fits/images/galactic_2d.fits", 0, [0.03800000, -0.04100000, 0.01800000, -0.00100000]),
        ("lightcurves/kplr010002792-2009259160929_llc.fits", 2, [287.86202040, 46.98323622, 287.89385945, 46.97146275]),
        ("lightcurves/ktwo211117077-c04_llc.fits", 2, [55.97098741, 24.84885023, 55.97092789, 24.82415678]),
        ("lightcurves/ktwo211983544-c18_lpd-targ.fits", 2, [130.66177802, 19.99086441, 130.64951323, 19.96902277]),
        (
            "lightcurves/tess2018206045859-s0001-0000000025155310-0120-s_lc.fits",
            2,
            [63.28357023, -69.20933187, 63.63127120, -69.22520328],
        ),
    ];
    for (name, hdu, [a, b, c, d]) in known {
        let Some(bytes) = bytes(name) else { continue };
        let fits = Fits::open(name, &bytes).unwrap();
        let image = &Image::of_hdu(&fits, &fits.hdus[*hdu]).unwrap()[0];
        let wcs = image.wcs.as_ref().unwrap_or_else(|| panic!("{name}: no WCS"));
        sky(wcs, 0.0, 0.0, *a, *b, 1e-8);
        sky(wcs, 10.0, 20.0, *c, *d, 1e-8);
    }
    // headers alone: pixel (0, 0) and (100, 50)
    let headers: &[(&str, [f64; 4])] = &[
        ("tpvonly", [276.028383, -24.7507943, 276.059442, -24.7646054]),
        ("siponly", [276.028383, -24.7507943, 276.059442, -24.7646054]),
        ("irac_sip", [6.13500872, -2.1298202, 6.13551762, -2.0918874]),
        ("1904-66_TAN", [270.332836, -72.6158323, 277.953444, -66.5585209]),
        ("1904-66_SIN", [268.391507, -73.9035355, 277.298058, -66.6270046]),
        ("1904-66_ARC", [269.056731, -73.4682996, 277.517854, -66.6027538]),
        ("1904-66_ZEA", [268.894297, -73.5748956, 277.463739, -66.6085356]),
        ("1904-66_CAR", [268.478506, -73.3799713, 277.299204, -66.549107]),
        ("1904-66_AIT", [268.568139, -73.4984598, 277.351722, -66.6172531]),
        ("1904-66_STG", [269.378257, -73.2561305, 277.625838, -66.5914466]),
        ("1904-66_HPX", [271.8237, -73.3775526, 278.431532, -66.491942]),
    ];
    for (name, [a, b, c, d]) in headers {
        let Some(bytes) = bytes(&format!("fits/wcs/{name}.hdr")) else { continue };
        let cards = asterism_data::fits::Header::parse(&bytes).0.as_text();
        let wcs = Wcs::from_header(&cards).unwrap_or_else(|| panic!("{name}: no WCS"));
        sky(&wcs, 0.0, 0.0, *a, *b, 1e-6);
        sky(&wcs, 100.0, 50.0, *c, *d, 1e-6);
    }
}

fn ends_m(s: &Spectrum) -> (f64, f64) {
    (s.wavelength_m[0], *s.wavelength_m.last().unwrap())
}

#[track_caller]
fn spans(s: &Spectrum, samples: usize, from: f64, to: f64, unit_m: f64) {
    assert_eq!(s.len(), samples, "{}", s.name);
    let (a, b) = ends_m(s);
    close(a, from * unit_m, 1e-9);
    close(b, to * unit_m, 1e-9);
}

const ANGSTROM: f64 = 1e-10;

#[test]
fn stis_orders() {
    let Some(list) = spectra("spectra/hst-stis-odbue5030_x1d.fits") else { return };
    assert_eq!(list.len(), 40);
    spans(&list[0], 1024, 2327.710892, 2366.663685, ANGSTROM);
    let (a, b) = ends_m(&list[1]);
    close(a, 2301.2459 * ANGSTROM, 1e-7);
    close(b, 2339.7677 * ANGSTROM, 1e-7);
    spans(&list[39], 1024, 1606.890576, 1633.899195, ANGSTROM);
    assert!(list[0].name.contains("order 87") && list[0].name.contains("BD+28D4211"), "{}", list[0].name);
    assert_eq!((list[0].medium, list[0].units_assumed), (Medium::Vacuum, false));
    assert_eq!(list[0].flux_unit, "erg/s/cm**2/Angstrom");
    assert!(!list[0].good[0], "DQ 2564");
    let max = list.iter().flat_map(|s| s.flux.iter().copied()).fold(f64::NEG_INFINITY, f64::max);
    close(max, 6.797850477e-11, 1e-9);
}

#[test]
fn one_row_tables() {
    if let Some(list) = spectra("spectra/NGC4151sic2a.fits") {
        assert_eq!(list.len(), 1);
        spans(&list[0], 6694, 917.18603515625, 1005.468994140625, ANGSTROM);
        assert!(list[0].units_assumed && list[0].error.is_some());
        close(list[0].flux.iter().copied().fold(f64::NEG_INFINITY, f64::max), 3.7167198572302107e-13, 1e-12);
    }
    if let Some(list) = spectra("spectra/XShooter_XQ100.fits.gz") {
        assert_eq!(list.len(), 1);
        spans(&list[0], 9771, 981.7513427734375, 1823.499755859375, 1e-9);
        close(list[0].flux[5000], 4.2601055552289556e-17, 1e-12);
        assert_eq!((list[0].axis_unit.as_str(), list[0].units_assumed), ("nm", false));
        assert!(list[0].error.is_some() && list[0].flux_unit.contains("nm"));
    }
    if let Some(list) = spectra("spectra/deimos-spec1d.1245.066.12004136.fits") {
        assert_eq!(list.len(), 4);
        close(list[0].axis[0], 6485.869140625, 1e-12);
        close(list[1].axis[0], 7818.38232421875, 1e-12);
        assert!(list[0].name.contains("Bxspf-B") && list[3].name.contains("Horne-R"), "{}", list[0].name);
        assert!(!list[0].good[0] && list[0].good.iter().any(|g| *g), "ivar 0 is bad");
    }
}

#[test]
fn one_sample_a_row() {
    for (name, rows, bad, from, to, unit, flux_unit) in [
        ("hd204172_iue", 1223, 216, 1000.5006103515625, 3398.29932, ANGSTROM, "ERG/CM2/S/A"),
        ("hd204172_sxd_spex", 2237, 253, 8002.000914188252, 24481.6289, ANGSTROM, "Angstrom-1 cm-2 erg s-1"),
        ("hd204172_irs", 311, 27, 5.0167717933654785, 39.8667107, 1e-6, "Jy"),
    ] {
        let Some(list) = spectra(&format!("spectra/{name}.fits")) else { continue };
        assert_eq!(list.len(), 1, "{name}");
        assert_eq!((list[0].len(), list[0].bad()), (rows, bad), "{name}");
        close(ends_m(&list[0]).0, from * unit, 1e-9);
        close(ends_m(&list[0]).1, to * unit, 1e-8);
        assert_eq!(list[0].flux_unit, flux_unit);
        assert!(!list[0].units_assumed);
    }
}

#[test]
fn one_dimensional_images() {
    if let Some(list) = spectra("spectra/PH957_f.fits") {
        assert_eq!(list.len(), 1);
        spans(&list[0], 21059, 3811.510835, 10931.565948, ANGSTROM);
        close(list[0].flux[10529], 0.9925583004951477, 1e-12);
        close(list[0].error.as_ref().unwrap()[10529], 0.016304004937410355, 1e-12);
        assert_eq!(list[0].flux_unit, "erg/cm2/s/A");
    }
    if let Some(list) = spectra("spectra/SDSSJ220248.31+123656.3.fits") {
        assert_eq!(list.len(), 1);
        spans(&list[0], 4646, 3553.857420, 10356.189770, ANGSTROM);
        close(list[0].flux[2323], 1.9913192987442017, 1e-12);
        close(list[0].error.as_ref().unwrap()[2323], 8.475573539733887f64.sqrt().recip(), 1e-12);
        assert_eq!((list[0].medium, list[0].units_assumed), (Medium::Vacuum, false));
    }
    if let Some(list) = spectra("spectra/L5g_0355+11_Cruz09.fits") {
        spans(&list[0], 3020, 6100.0, 10250.0, ANGSTROM);
        close(list[0].flux[1510], 0.03339482098817825, 1e-12);
    }
    if let Some(list) = spectra("spectra/r.UVES.2011-08-11T232352.266-A01_0000.fits") {
        spans(&list[0], 42751, 3732.05623191818, 3732.05623191818 + 42750.0 * 0.0296533834852385, ANGSTROM);
        assert_eq!((list[0].flux_unit.as_str(), list[0].units_assumed), ("ADU", false));
    }
    if let Some(list) = spectra("spectra/gbt_1d.fits") {
        assert!(list[0].wavelength_m.is_empty());
        close(list[0].axis[0], 524.88543398, 1e-9);
        assert!(list[0].axis[1] < list[0].axis[0]);
        assert_eq!((list[0].axis_unit.as_str(), list[0].flux_unit.as_str()), ("km/s", "K"));
    }
    if let Some(list) = spectra("spectra/spec_example_2.fits") {
        assert_eq!(list.len(), 1);
        spans(&list[0], 1000, 2000.0, 2099.9, ANGSTROM);
        close(list[0].flux[500], 1.0796403884887695, 1e-12);
        close(list[0].error.as_ref().unwrap()[500], 0.10000000149011612, 1e-12);
        assert_eq!((list[0].medium, list[0].units_assumed), (Medium::Vacuum, false));
    }
}

#[test]
fn spectra_in_rows_of_an_image() {
    if let Some(list) = spectra("spectra/boss-spPlate-4055-55359-0020.fits") {
        assert_eq!(list.len(), 20);
        spans(&list[10], 4637, 3571.905825, 10387.236024, ANGSTROM);
        close(list[10].flux[2318], 1.1033316850662231, 1e-12);
        assert_eq!(list[10].medium, Medium::Vacuum);
    }
    if let Some(list) = spectra("spectra/popler_sample.fits") {
        assert_eq!(list.len(), 1);
        close(list[0].axis[0], 10f64.powf(3.48365681427548), 1e-12);
        assert_eq!(list[0].len(), 10);
    }
    if let Some(list) = spectra("spectra/TRES.fits") {
        assert_eq!(list.len(), 51);
        assert!(list[0].rule.contains("function"));
        // w1 and dw of the header describe the ends of the polynomial
        close(list[0].axis[0], 3850.16960034221, 1e-6);
        close(list[0].axis[2303], 3850.16960034221 + 2303.0 * 0.03293347422922, 1e-6);
        close(list[25].flux[1152], 12608.865234375, 1e-12);
        assert!(list.iter().all(|s| s.axis.is_sorted() && !s.units_assumed));
    }
    if let Some(list) = spectra("spectra/multispec_equispec.fits") {
        assert_eq!(list.len(), 2);
        spans(&list[0], 1024, 14740.266391838, 14740.266391838 + 1023.0 * 3.5958949648134, ANGSTROM);
        spans(&list[1], 1024, 19492.348956459, 19492.348956459 + 1023.0 * 4.8615912982264, ANGSTROM);
    }
}

#[test]
fn desi_targets() {
    let Some(list) = spectra("spectra/desi-coadd-5-169-thru20210419.fits") else { return };
    let ids: Vec<_> = list.iter().map(|s| s.name.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).collect();
    assert_eq!(ids, [-1695072, 39633297352951412, -1695064, -1695073, 39633300968442591]);
    // arms 3600-5800, 5760-7620, 7520-9824 in steps of 0.8, overlaps joined
    for s in &list {
        spans(s, 7781, 3600.0, 9824.0, ANGSTROM);
        assert!(s.wavelength_m.is_sorted());
    }
    assert!(list[2].good.iter().all(|g| !g) || list.iter().any(|s| s.bad() < s.len()));
}

#[test]
fn spex_prism_files() {
    // four layouts are kept with the project; all 420 files are read where they are at hand
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["../shared/fixtures", "tests/fixtures"].map(|d| root.join(d).join("labelled/spex/spectra"));
    let Some(folder) = folders.iter().find(|f| f.exists()) else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let parts = products(&name, &std::fs::read(&path).unwrap()).unwrap();
        let [Part::Spectrum(s)] = &parts[..] else { panic!("{name}: {parts:?}") };
        let (a, b) = s.range_m().unwrap();
        assert!((0.6e-6..0.9e-6).contains(&a) && (2.4e-6..2.6e-6).contains(&b), "{name}: {a} {b}");
        assert!(s.good.iter().filter(|g| **g).count() > 200, "{name}: {} good", s.len() - s.bad());
        if name == "10001_10443.fits.gz" {
            assert_eq!(s.len(), 564);
            close(s.axis[0], 0.6450077295303345, 1e-12);
            close(s.flux[0], 2.4586226084140394e-15, 1e-12);
            assert_eq!(s.flux_unit, "Wm-2um-1");
        }
        count += 1;
    }
    assert!(count > 0);
    eprintln!("{count} prism spectra");
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    let n = v.len();
    if n % 2 == 1 { v[n / 2] } else { (v[n / 2 - 1] + v[n / 2]) / 2.0 }
}

#[test]
fn kepler_and_tess_light_curves() {
    struct Want {
        file: &'static str,
        rows: usize,
        time_nan: usize,
        flux_nan: usize,
        kept: usize,
        times: (f64, f64),
        zero: f64,
        median: f64,
    }
    for w in [
        Want {
            file: "kplr010002792-2009259160929_llc.fits",
            rows: 4354,
            time_nan: 160,
            flux_nan: 284,
            kept: 4070,
            times: (169.519981364, 258.467241631),
            zero: 2454833.0,
            median: 90503.035156,
        },
        Want {
            file: "ktwo211117077-c04_llc.fits",
            rows: 3470,
            time_nan: 7,
            flux_nan: 188,
            kept: 3282,
            times: (2228.800162503, 2299.677904060),
            zero: 2454833.0,
            median: 37220.273438,
        },
        Want {
            file: "tess2018206045859-s0001-0000000025155310-0120-s_lc.fits",
            rows: 20076,
            time_nan: 815,
            flux_nan: 1972,
            kept: 18103,
            times: (1325.295259769, 1353.177332297),
            zero: 2457000.0,
            median: 9247.259766,
        },
    ] {
        let Some(l) = light_curve(&format!("lightcurves/{}", w.file)) else { continue };
        assert_eq!(l.len(), w.rows);
        assert_eq!(l.time_bjd.iter().filter(|v| v.is_nan()).count(), w.time_nan);
        assert_eq!(l.flux.iter().filter(|v| v.is_nan()).count(), w.flux_nan);
        assert_eq!(l.kept_count(), w.kept);
        let (a, b) = l.time_range().unwrap();
        assert!((a - w.zero - w.times.0).abs() < 2e-9 && (b - w.zero - w.times.1).abs() < 2e-9, "{a} {b}");
        let kept = l.flux.iter().zip(&l.kept).filter(|(_, k)| **k).map(|(f, _)| *f).collect();
        close(median(kept), w.median, 1e-10);
        assert_eq!((l.flux_unit.as_str(), l.time_system.as_str()), ("e-/s", "BJD (TDB)"));
        assert!(l.rule.contains("PDCSAP") && l.error.is_some());
    }
}

#[test]
fn target_pixel_files() {
    let name = "lightcurves/ktwo211983544-c18_lpd-targ.fits";
    let (Some(raw), Some(l)) = (bytes(name), light_curve(name)) else { return };
    let fits = Fits::open(name, &raw).unwrap();
    let table = fits.bin_table(&fits.hdus[1]).unwrap();
    let flux = table.column("FLUX").unwrap();
    assert_eq!((table.rows, &table.columns[flux].dims[..]), (2490, &[7, 5][..]));
    close(table.cell(100, flux).iter().sum(), 1328.330811, 1e-7);
    assert_eq!((0..table.rows).filter(|r| table.cell(*r, flux).iter().all(|v| v.is_nan())).count(), 28);
    assert_eq!(l.len(), 2490);
    assert_eq!(l.flux.iter().filter(|v| v.is_nan()).count(), 28);
    assert_eq!(l.time_bjd.iter().filter(|v| v.is_nan()).count(), 3);
    // the optimal aperture is the two pixels [2,3] and [2,4]
    let frame = table.cell(100, flux);
    close(l.flux[100], frame[2 * 7 + 3] + frame[2 * 7 + 4], 1e-12);
    let list = images(name).unwrap();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|i| i.shape == [5, 7] && i.wcs.is_some()));
}

#[test]
fn random_looking_tables_are_no_products() {
    for name in
        ["fits/core/btable.fits", "fits/core/stddata.fits", "fits/tables/gaia_data.fits", "fits/core/variable_length_table.fits"]
    {
        let Some(parts) = parts(name) else { continue };
        assert!(parts.iter().all(|p| matches!(p, Part::Table(_))), "{name}");
    }
}

#[test]
fn pictures_decode() {
    let Some(raw) = bytes("fits/images/ngc6976-default-small.jpeg") else { return };
    let p = Picture::decode("ngc6976", &raw).unwrap();
    assert_eq!(p.shape, [447, 614]);
    assert_eq!(p.rgba.len(), 447 * 614 * 4);
    assert_eq!(p.crop(300.0, 200.0, 64).shape, [64, 64]);
}

#[test]
fn limits_and_curves_are_astropys() {
    let peers: serde_json::Value = serde_json::from_str(include_str!("../../../tests/peers/stretch.json")).unwrap();
    let pair = |v: &serde_json::Value| (v[0].as_f64().unwrap(), v[1].as_f64().unwrap());
    for known in peers["limits"].as_array().unwrap() {
        let name = known["file"].as_str().unwrap();
        let Some(raw) = bytes(name) else { continue };
        let fits = Fits::open(name, &raw).unwrap();
        let (pixels, _) = fits.plane(&fits.hdus[known["hdu"].as_u64().unwrap() as usize], 0).unwrap();
        for (key, cuts) in [
            ("minmax", Cuts::MinMax),
            ("percentile_99", Cuts::Percentile(0.5, 99.5)),
            ("percentile_2_90", Cuts::Percentile(2.0, 90.0)),
            ("zscale", Cuts::ZScale),
        ] {
            let (got, want) = (cuts.limits(&pixels).unwrap(), pair(&known[key]));
            // scaled integers differ by the single precision astropy scales them in
            let off = 1e-7 * (want.1 - want.0).abs().max(want.1.abs());
            assert!((got.0 - want.0).abs() <= off && (got.1 - want.1).abs() <= off, "{name} {key}: {got:?} is not {want:?}");
        }
    }
    for s in Stretch::ALL {
        for (x, y) in peers["x"].as_array().unwrap().iter().zip(peers["curves"][s.name()].as_array().unwrap()) {
            assert!((s.apply(x.as_f64().unwrap()) - y.as_f64().unwrap()).abs() < 1e-12, "{s:?}");
        }
    }
}

fn table(columns: Vec<Series>, metas: &[(&str, &str)]) -> Table {
    let rows = columns[0].len();
    let metas = columns
        .iter()
        .map(|c| {
            let (unit, ucd) =
                metas.iter().find(|(n, _)| *n == c.name().as_str()).map_or(("", ""), |(_, m)| m.split_once('|').unwrap());
            let own = |v: &str| Some(v.to_owned()).filter(|v| !v.is_empty());
            ColumnMeta { name: c.name().to_string(), unit: own(unit), ucd: own(ucd), ..ColumnMeta::default() }
        })
        .collect();
    Table::new("t", DataFrame::new(rows, columns.into_iter().map(IntoColumn::into_column).collect()).unwrap(), metas).unwrap()
}

fn lists(name: &str, rows: &[&[f32]]) -> Series {
    Series::new(name.into(), rows.iter().map(|r| Series::new("".into(), r)).collect::<Vec<_>>())
}

#[test]
fn a_column_of_spectra_on_a_common_grid() {
    let mut t = table(
        vec![
            Series::new("id".into(), ["a", "b"]),
            lists("spectrum", &[&[1.0, 2.0, 3.0], &[4.0, f32::NAN, 6.0]]),
            lists("variance", &[&[4.0, 9.0, 0.0], &[1.0, 1.0, 1.0]]),
        ],
        &[("spectrum", "erg/s/cm2|"), ("id", "|meta.id;meta.main")],
    );
    assert_eq!(SpectraColumn::find(&t), None);
    t.params.push(Param {
        name: "axis:spectrum".into(),
        value: "4750 1.25 3".into(),
        unit: Some("Angstrom".into()),
        description: Some("air wavelengths".into()),
    });
    let found = SpectraColumn::find(&t).unwrap();
    assert_eq!((found.flux, found.error, found.error_is_variance, found.medium), (1, Some(2), true, Medium::Air));
    assert_eq!(found.grid.as_deref(), Some(&[4750.0, 4751.25, 4752.5][..]));
    let s = found.spectrum(&t, 0);
    assert_eq!((s.name.as_str(), &s.flux[..], &s.good[..]), ("a", &[1.0, 2.0, 3.0][..], &[true, true, false][..]));
    assert_eq!(s.error.as_deref(), Some(&[2.0, 3.0, 0.0][..]));
    close(s.wavelength_m[2], 4752.5e-10, 1e-12);
    let mut row = vec![9.0];
    found.matrix_row(&t, 1, &mut row);
    assert!(row.len() == 3 && row[0] == 4.0 && row[1].is_nan());
    found.matrix_row(&t, 7, &mut row);
    assert!(row.is_empty());
    // appended rows are found too
    let more = t.clone();
    t.append(&more).unwrap();
    found.matrix_row(&t, 2, &mut row);
    assert_eq!(row, [1.0, 2.0, 3.0]);
    assert_eq!(spectra_from_table(&t).len(), 4);
}

#[test]
fn columns_of_wavelengths_and_fluxes() {
    let axis: Vec<f32> = (0..20).map(|i| 0.8 + 0.01 * i as f32).collect();
    let flux = [1f32; 20];
    let t = table(
        vec![lists("w", &[&axis, &axis[..10]]), lists("flux", &[&flux, &flux[..10]]), lists("flux_error", &[&flux, &flux[..10]])],
        &[("w", "um|em.wl"), ("flux", "Jy|phot.flux.density")],
    );
    let found = SpectraColumn::find(&t).unwrap();
    assert_eq!((found.flux, found.wavelength, found.error, found.error_is_variance), (1, Some(0), Some(2), false));
    let s = found.spectrum(&t, 1);
    assert_eq!((s.len(), s.bad(), s.flux_unit.as_str(), s.units_assumed), (10, 0, "Jy", false));
    assert_eq!(spectra_from_table(&t).len(), 2);
    // one sample a row, named by utype as the Spectrum data model does
    let wave: Vec<f64> = (0..20).map(|i| 500.0 + f64::from(i)).collect();
    let mut t =
        table(vec![Series::new("a".into(), &wave), Series::new("b".into(), vec![2.0; 20])], &[("a", "nm|"), ("b", "Jy|")]);
    assert!(spectra_from_table(&t).is_empty());
    t.column_meta_mut(0).unwrap().utype = Some("spec:Spectrum.Data.SpectralAxis.Value".into());
    t.column_meta_mut(1).unwrap().utype = Some("spec:Spectrum.Data.FluxAxis.Value".into());
    let list = spectra_from_table(&t);
    spans(&list[0], 20, 500.0, 519.0, 1e-9);
}

#[test]
fn light_curves_of_tables() {
    let time = [3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 7.0, 8.0];
    let t = table(
        vec![
            Series::new("ID".into(), ["x", "x", "x", "y", "x", "y", "y", "y"]),
            Series::new("MJD".into(), &time),
            Series::new("Mag".into(), &time.map(|v| 10.0 + v)),
            Series::new("Magerr".into(), &[0.1; 8]),
        ],
        &[],
    );
    let list = light_curves_by_id(&t, "ID");
    assert_eq!(list.iter().map(|l| (l.name.as_str(), l.kept_count())).collect::<Vec<_>>(), [("x", 4), ("y", 4)]);
    assert_eq!((&list[0].time_bjd[..], &list[0].flux[..]), (&[1.0, 2.0, 3.0, 4.0][..], &[11.0, 12.0, 13.0, 14.0][..]));
    assert!(list[0].is_magnitude() && list[0].error.is_some() && list[0].time_system == "MJD");
    assert!(light_curve_from_table(&t).is_none(), "times do not ascend");
    let time: Vec<f64> = (0..10).map(f64::from).collect();
    let t =
        table(vec![Series::new("time".into(), &time), Series::new("flux".into(), &time)], &[("time", "BJD - 2457000, days|")]);
    assert_eq!(light_curve_from_table(&t).unwrap().time_bjd[1], 2457001.0);
}

/// Layouts of which no real file could be had. SYNTHETIC files, made by `tests/peers/make_spectra.py` from the documents.
mod synthetic {
    use super::*;

    fn made(name: &str) -> Vec<Spectrum> {
        spectra(&format!("synthetic/{name}")).expect("the made files are in the project")
    }

    #[test]
    fn a_cos_spectrum_for_each_segment_without_what_weighs_nothing() {
        let found = made("cos_x1d.fits");
        assert_eq!(found.len(), 2);
        assert!(found[0].name.contains("FUVA") && found[1].name.contains("FUVB"), "{} {}", found[0].name, found[1].name);
        close(found[0].wavelength_m[4], 1302e-10, 1e-12);
        close(found[1].flux[0], 3e-14, 1e-6);
        close(found[0].error.as_ref().unwrap()[19], 2e-15, 1e-6);
        assert_eq!(found[0].good.iter().filter(|g| !**g).count(), 2);
        assert!(found[1].good.iter().all(|g| *g));
        assert_eq!(found[0].medium, Medium::Vacuum);
    }

    #[test]
    fn a_jwst_spectrum_a_row_a_wavelength() {
        let found = made("jwst_x1d.fits");
        assert_eq!((found.len(), found[0].len()), (1, 25));
        let s = &found[0];
        close(s.wavelength_m[24], 2.2e-6, 1e-12);
        close(s.flux[2], 0.00202, 1e-9);
        assert_eq!(s.flux_unit, "Jy");
        // Flagged, and not a number.
        assert_eq!(s.good.iter().enumerate().filter(|(_, g)| !**g).map(|(i, _)| i).collect::<Vec<_>>(), [3, 7]);
        assert_eq!(s.medium, Medium::Vacuum);
    }

    #[test]
    fn an_iue_spectrum_for_each_aperture_with_its_wavelengths_counted_up() {
        let found = made("iue.mxlo");
        assert_eq!(found.len(), 2);
        assert!(found[0].name.contains("LARGE"), "{}", found[0].name);
        let s = &found[0];
        close(s.wavelength_m[100], (1050.0 + 167.64) * 1e-10, 1e-6);
        // What was not calibrated and what is flagged.
        assert_eq!(s.good.iter().filter(|g| **g).count(), 494);
        assert_eq!(found[1].good.iter().filter(|g| **g).count(), 495);
    }

    #[test]
    fn an_sdss_spectrum_with_vacuum_wavelengths_and_errors_of_inverse_variances() {
        let found = made("sdss_spec-lite.fits");
        assert_eq!((found.len(), found[0].len()), (1, 40));
        let s = &found[0];
        close(s.wavelength_m[10], 10f64.powf(3.581) * 1e-10, 1e-6);
        close(s.error.as_ref().unwrap()[0], 0.5, 1e-6);
        assert!(!s.good[11] && s.good[12]);
        assert_eq!(s.medium, Medium::Vacuum);
        assert!(s.flux_unit.contains("-17"), "{}", s.flux_unit);
    }
}
