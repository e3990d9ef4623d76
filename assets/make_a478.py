"""Make samples/a478.parquet and samples/a478-hst.fits from the wheel of mpdaf 3.6.

    python make_a478.py mpdaf-3.6-....whl

Source: mpdaf/data/sdetect/minicube.fits (VLT/MUSE, programme 094.A-0859(A), 40 x 40 spaxels of
0.2 arcsec in the core of the galaxy cluster Abell 478) and a478hst-cutout.fits (HST/WFPC2 F814W).

One row is one spaxel. The cube is cut to 4750-7400 Angstrom and rebinned by two (inverse variances
are not used as weights: the mean keeps the line flux; the variance of the mean is the sum / 4).
Lines are measured on the unbinned cube: continuum = straight line fitted to windows beside the
line; H-alpha and [N II] 6548, 6583 (ratio fixed at 1:3.05) share one velocity and one width in a
Gaussian fit; the other lines are then linear fits with that velocity and width (of the median
where H-alpha itself is not seen at S/N > 3). Widths are as observed, not freed from the
instrument's (about 2.5 Angstrom FWHM).

The WCS of the two files differ by about 1.2 arcsec. The offset is measured here (best correlation
of the MUSE continuum image with the smoothed HST image), added to ra and dec so that the rows lie
on the HST image, and written as PARAMs.

Needs numpy, scipy, astropy, pyarrow.
"""

import io
import os
import sys
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import curve_fit, minimize

from sample_table import SAMPLES, Column, keep_bits, keep_digits, report, wheel, write

warnings.simplefilter("ignore")
C_KMS = 299792.458
Z = 0.086
# Vacuum rest wavelengths (Angstrom), NIST.
HA, NII48, NII83 = 6564.61, 6549.86, 6585.27
SII = (6718.29, 6732.67)
OI, HB, OIII = 6302.046, 4862.69, 5008.24


def air(vacuum):
    """Air wavelength of a vacuum one (Angstrom); Morton 2000, ApJS 130, 403."""
    s2 = (1e4 / np.asarray(vacuum, float)) ** 2
    return vacuum / (1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2))


def gauss(wave, centre, sigma):
    """A Gaussian of unit integral."""
    return np.exp(-0.5 * ((wave - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def centre(rest, velocity):
    """Observed air wavelength at the redshift of the cluster and a velocity (km/s)."""
    return air(rest * (1 + Z) * (1 + velocity / C_KMS))


def continuum(wave, flux, var, rests, extra=()):
    """Flux minus a straight line through windows 25 to 75 Angstrom beyond the lines; the level too."""
    lo, hi = centre(min(rests), 0) - 25, centre(max(rests), 0) + 25
    side = ((wave > lo - 50) & (wave < lo)) | ((wave > hi) & (wave < hi + 50))
    for other in extra:
        side &= np.abs(wave - centre(other, 0)) > 20
    good = side & np.isfinite(flux) & (var > 0)
    middle = 0.5 * (lo + hi)
    x = wave[good] - middle
    for _ in range(3):
        line = np.polyfit(x, flux[good], 1, w=1 / np.sqrt(var[good]))
        rest = flux[good] - np.polyval(line, x)
        keep = np.abs(rest) < 4 * np.sqrt(var[good])
        good[np.flatnonzero(good)[~keep]] = False
        x = wave[good] - middle
    return flux - np.polyval(line, wave - middle), np.polyval(line, 0.0), (lo, hi)


def linear(wave, flux, var, rests, velocity, sigma_kms):
    """Fluxes and errors of lines of known place and width, by weighted least squares."""
    use = np.zeros(len(wave), bool)
    columns = []
    for rest in rests:
        at = centre(rest, velocity)
        width = at * sigma_kms / C_KMS
        use |= np.abs(wave - at) < 5 * width
        columns.append(gauss(wave, at, width))
    use &= np.isfinite(flux) & (var > 0)
    a = np.array(columns).T[use] / np.sqrt(var[use])[:, None]
    cov = np.linalg.inv(a.T @ a)
    return cov @ (a.T @ (flux[use] / np.sqrt(var[use]))), np.sqrt(np.diag(cov))


def main(path):
    archive = wheel(path, r"mpdaf-3\.6-.*\.whl")
    cube = fits.open(io.BytesIO(archive.read("mpdaf/data/sdetect/minicube.fits")))
    hst_bytes = archive.read("mpdaf/data/sdetect/a478hst-cutout.fits")
    hst = fits.open(io.BytesIO(hst_bytes))

    data = cube["DATA"].data.astype(float)
    stat = cube["STAT"].data.astype(float)
    data[cube["DQ"].data != 0] = np.nan
    stat[cube["DQ"].data != 0] = np.nan
    head = cube["DATA"].header
    wave = head["CRVAL3"] + (np.arange(data.shape[0]) + 1 - head["CRPIX3"]) * head["CD3_3"]

    # Positions, moved onto the frame of the HST image.
    ny, nx = data.shape[1:]
    yy, xx = np.mgrid[:ny, :nx]
    ra, dec = WCS(head).celestial.wcs_pix2world(xx.ravel(), yy.ravel(), 0)
    level = np.nanmedian(data[(wave > 6200) & (wave < 7050)], axis=0).ravel()
    smooth = gaussian_filter(np.clip(hst["SCI"].data, -1, 50).astype(float), 4.0)
    hst_wcs = WCS(hst["SCI"].header)

    def mismatch(offset):
        px, py = hst_wcs.wcs_world2pix(ra + offset[0] / 3600 / np.cos(np.radians(dec)), dec + offset[1] / 3600, 0)
        return -np.corrcoef(map_coordinates(smooth, [py, px], order=1), level)[0, 1]

    start = min(((dx, dy) for dx in np.arange(-2, 2.1, 0.25) for dy in np.arange(-2, 2.1, 0.25)), key=mismatch)
    fit = minimize(mismatch, start, method="Nelder-Mead")
    d_ra, d_dec = np.round(fit.x, 2)
    print(f"MUSE to HST: {d_ra:+.2f}, {d_dec:+.2f} arcsec, correlation {-fit.fun:.3f}")
    ra = np.round(ra + d_ra / 3600 / np.cos(np.radians(dec)), 7)
    dec = np.round(dec + d_dec / 3600, 7)

    # Lines.
    count = nx * ny
    flux = data.reshape(len(wave), count).T
    var = stat.reshape(len(wave), count).T
    out = {key: np.full(count, np.nan, np.float32) for key in (
        "f_ha e_ha f_nii e_nii f_sii e_sii f_oi e_oi f_hb e_hb ew_ha ew_nii v_gas e_v sigma sii_ratio".split())}
    triple = (NII48, HA, NII83)

    def model(w, f_ha, f_nii, v, s):
        parts = ((NII48, f_nii / 3.05), (HA, f_ha), (NII83, f_nii))
        return sum(f * gauss(w, centre(r, v), centre(r, v) * s / C_KMS) for r, f in parts)

    lines, seen = [], np.zeros(count, bool)
    for i in range(count):
        line, level_ha, (lo, hi) = continuum(wave, flux[i], var[i], triple, SII)
        use = (wave > lo) & (wave < hi) & np.isfinite(line) & (var[i] > 0)
        best = None
        for v0 in (-300.0, -100.0, 50.0, 250.0):
            try:
                p, cov = curve_fit(model, wave[use], line[use], (200.0, 200.0, v0, 130.0), np.sqrt(var[i][use]),
                                   True, bounds=((-1e4, -1e4, -700, 40), (1e5, 1e5, 700, 450)), method="trf")
            except RuntimeError:
                continue
            chi2 = np.sum((line[use] - model(wave[use], *p)) ** 2 / var[i][use])
            if best is None or chi2 < best[0]:
                best = (chi2, p, np.sqrt(np.diag(cov)))
        lines.append((line, level_ha, best))
        if best is not None:
            _, p, e = best
            seen[i] = p[0] / e[0] > 3 and 45 < p[3] < 440 and abs(p[2]) < 690
    v_ref = np.median([lines[i][2][1][2] for i in np.flatnonzero(seen)])
    s_ref = np.median([lines[i][2][1][3] for i in np.flatnonzero(seen)])
    print(f"H-alpha at S/N > 3 in {seen.sum()} of {count} spaxels; median {v_ref:+.0f} km/s, sigma {s_ref:.0f} km/s")
    for i in range(count):
        line, level_ha, best = lines[i]
        v, s = v_ref, s_ref
        if seen[i]:
            v, s = best[1][2], best[1][3]
            out["v_gas"][i], out["e_v"][i], out["sigma"][i] = round(v, 1), round(best[2][2], 1), round(s, 1)
        value, error = linear(wave, line, var[i], (HA, NII83, NII48), v, s)
        out["f_ha"][i], out["e_ha"][i] = value[0], error[0]
        out["f_nii"][i], out["e_nii"][i] = value[1], error[1]
        if level_ha > 0:
            # Positive = emission, as for the gas of a galaxy; rest frame.
            out["ew_ha"][i] = value[0] / level_ha / (1 + Z)
            out["ew_nii"][i] = value[1] / level_ha / (1 + Z)
        rest, _, _ = continuum(wave, flux[i], var[i], SII)
        value, error = linear(wave, rest, var[i], SII, v, s)
        out["f_sii"][i], out["e_sii"][i] = value.sum(), np.hypot(*error)
        if (value / error > 5).all():
            out["sii_ratio"][i] = value[0] / value[1]
        for key, at in (("oi", OI), ("hb", HB)):
            rest, _, _ = continuum(wave, flux[i], var[i], (at,))
            value, error = linear(wave, rest, var[i], (at,), v, s)
            out["f_" + key][i], out["e_" + key][i] = value[0], error[0]

    # The spectra: cut, pairs averaged.
    first = int(np.searchsorted(wave, 4749.0))
    bins = int((7400.0 - wave[first]) / 2.5)
    cut = slice(first, first + 2 * bins)
    pairs, pair_var = flux[:, cut].reshape(count, bins, 2), var[:, cut].reshape(count, bins, 2)
    spectrum, variance = pairs.mean(2), pair_var.sum(2) / 4
    spectrum = keep_digits(spectrum, np.sqrt(variance))
    variance = keep_bits(variance, 6)
    axis = (wave[first] + 0.625, 2.5, bins)
    white = np.nanmean(flux[:, cut], axis=1).astype(np.float32)
    red = np.nanmean(flux[:, (wave > 6200) & (wave < 7050)], axis=1)
    blue = np.nanmean(flux[:, (wave > 4800) & (wave < 5200)], axis=1)
    colour = np.where((red > 0) & (blue > 0), -2.5 * np.log10(blue / red), np.nan).astype(np.float32)
    snr = np.nanmedian(flux[:, cut] / np.sqrt(var[:, cut]), axis=1).astype(np.float32)

    u, l, w = "10**-20 erg/s/cm2/Angstrom", "10**-20 erg/s/cm2", "km/s"
    measure = lambda key: np.array([float(f"{v:.4g}") for v in out[key]], np.float32)
    columns = [
        Column("spaxel", np.arange(count, dtype=np.int32), "meta.id;meta.main", "", "Number of the spaxel, 40 y + x"),
        Column("x", xx.ravel().astype(np.int16), "pos.cartesian.x;instr.det", "pix", "Column in the MUSE cube, from 0"),
        Column("y", yy.ravel().astype(np.int16), "pos.cartesian.y;instr.det", "pix", "Row in the MUSE cube, from 0"),
        Column("ra", ra, "pos.eq.ra;meta.main", "deg", "Right ascension, on the frame of the HST image"),
        Column("dec", dec, "pos.eq.dec;meta.main", "deg", "Declination, on the frame of the HST image"),
        Column("white", white, "phot.flux.density;em.opt", u, "Mean flux density, 4750-7400 Angstrom"),
        Column("colour", colour, "phot.color;em.opt.B;em.opt.R", "mag",
               "-2.5 log10 of flux density at 4800-5200 over 6200-7050 Angstrom; larger = redder"),
        Column("snr", snr, "stat.snr", "", "Median signal to noise per unbinned sample"),
        Column("f_ha", measure("f_ha"), "phot.flux;em.line.Halpha", l, "Flux of H-alpha 6563"),
        Column("e_ha", measure("e_ha"), "stat.error;phot.flux;em.line.Halpha", l, "Error of f_ha"),
        Column("f_nii", measure("f_nii"), "phot.flux;em.line", l, "Flux of [N II] 6583"),
        Column("e_nii", measure("e_nii"), "stat.error;phot.flux;em.line", l, "Error of f_nii"),
        Column("f_sii", measure("f_sii"), "phot.flux;em.line", l, "Flux of [S II] 6716 + 6731"),
        Column("e_sii", measure("e_sii"), "stat.error;phot.flux;em.line", l, "Error of f_sii"),
        Column("f_oi", measure("f_oi"), "phot.flux;em.line.OI", l, "Flux of [O I] 6300"),
        Column("e_oi", measure("e_oi"), "stat.error;phot.flux;em.line.OI", l, "Error of f_oi"),
        Column("f_hb", measure("f_hb"), "phot.flux;em.line.Hbeta", l,
               "Flux of H-beta 4861, not corrected for absorption by stars"),
        Column("e_hb", measure("e_hb"), "stat.error;phot.flux;em.line.Hbeta", l, "Error of f_hb"),
        Column("ew_ha", measure("ew_ha"), "spect.line.eqWidth;em.line.Halpha", "Angstrom",
               "Equivalent width of H-alpha at rest; positive = emission"),
        Column("ew_nii", measure("ew_nii"), "spect.line.eqWidth;em.line", "Angstrom",
               "Equivalent width of [N II] 6583 at rest; positive = emission"),
        Column("sii_ratio", measure("sii_ratio"), "phot.flux;arith.ratio", "",
               "[S II] 6716 / 6731 where both have S/N > 5"),
        Column("v_gas", out["v_gas"], "spect.dopplerVeloc.opt", w,
               "Velocity of the gas against z = 0.086, where H-alpha has S/N > 3"),
        Column("e_v", out["e_v"], "stat.error;spect.dopplerVeloc.opt", w, "Error of v_gas"),
        Column("sigma", out["sigma"], "phys.veloc.dispersion", w, "Width (sigma) of the lines as observed"),
        Column("spectrum", spectrum, "phot.flux.density;em.wl", u, "Spectrum, two MUSE samples averaged"),
        Column("variance", variance, "stat.variance;phot.flux.density;em.wl", "10**-40 erg2/s2/cm4/Angstrom2",
               "Variance of each sample of spectrum"),
    ]
    grid = f"{axis[0]} {axis[1]} {axis[2]}"
    write(
        "a478",
        "Spaxels of a VLT/MUSE cube in the core of the galaxy cluster Abell 478, with line fluxes and spectra",
        columns,
        [
            ("axis:spectrum", "double", grid, "Angstrom", "em.wl", "air"),
            ("axis:variance", "double", grid, "Angstrom", "em.wl", "air"),
            ("redshift", "double", str(Z), "", "src.redshift", "Redshift against which v_gas is counted"),
            ("hst_offset_ra", "double", str(d_ra), "arcsec", "pos.eq.ra;arith.diff", "Added to the cube's right ascension (times cos dec)"),
            ("hst_offset_dec", "double", str(d_dec), "arcsec", "pos.eq.dec;arith.diff", "Added to the cube's declination"),
        ],
        [
            ("origin", "mpdaf 3.6, mpdaf/data/sdetect/minicube.fits (BSD-3-Clause)"),
            ("credit", "ESO/VLT MUSE, programme 094.A-0859(A); CRAL and the MPDAF team"),
            ("script", "assets/make_a478.py"),
        ],
    )

    # The image: the bytes of the first two HDUs as they are, but for the count of extensions.
    end = hst[2].fileinfo()["hdrLoc"]
    picture = hst_bytes[:end].replace(b"NEXTEND =                    3", b"NEXTEND =                    1", 1)
    name = os.path.join(SAMPLES, "a478-hst.fits")
    with open(name, "wb") as file:
        file.write(picture)
    report(name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
