"""Make samples/spex.parquet from the wheel of splat 1.14 (the SpeX Prism Library).

    python make_spex.py splat-1.14-....whl

Rows: spectra that are published, of quality OK, typed M, L or T by index (SPEX_TYPE), with median
signal to noise of 10 or more (or not given), at least 95 % of the grid covered, joined to their
source. A source observed more than once has as many rows.

Spectra: the files are FITS images of wavelength (micron), flux and mostly uncertainty, stored as
(3,n), (4,n), (2,n) or the other way round; the short axis tells. Samples that are zero or not
finite at the ends are no data. Each spectrum is averaged (trapezoid of its linear interpolation)
into bins of 0.0035 micron from 0.80 to 2.45 micron and divided by its median at 1.26-1.30 micron.

Needs numpy, astropy, pandas, pyarrow.
"""

import gzip
import io
import re
import sys
import warnings

import numpy as np
import pandas as pd
from astropy.io import fits

from sample_table import Column, keep_bits, wheel, write

warnings.simplefilter("ignore")
START, STEP, COUNT = 0.80, 0.0035, 472
GRID = START + STEP * np.arange(COUNT)


def read_spectrum(raw):
    """Wavelength (micron), flux and error (or None) of one file."""
    with fits.open(io.BytesIO(gzip.decompress(raw)), ignore_missing_simple=True) as hdus:
        data = np.asarray(hdus[0].data, float)
    if data.shape[0] > data.shape[1]:
        data = data.T
    wave, flux = data[0], data[1]
    good = np.isfinite(wave) & np.isfinite(flux) & (wave > 0.5) & (wave < 3)
    wave, flux = wave[good], flux[good]
    order = np.argsort(wave, kind="stable")
    wave, flux = wave[order], flux[order]
    inside = np.flatnonzero(flux != 0)
    if len(inside) < 100:
        return None
    inside = slice(inside[0], inside[-1] + 1)
    return wave[inside], flux[inside]


def resample(wave, flux):
    """Mean of the linear interpolation over each bin; NaN beyond the ends and across gaps."""
    wave, first = np.unique(wave, return_index=True)
    flux = flux[first]
    total = np.concatenate([[0], np.cumsum(0.5 * (flux[1:] + flux[:-1]) * np.diff(wave))])
    edges = np.concatenate([GRID - STEP / 2, [GRID[-1] + STEP / 2]])

    def integral(at):
        k = np.clip(np.searchsorted(wave, at, side="right") - 1, 0, len(wave) - 2)
        h = at - wave[k]
        slope = (flux[k + 1] - flux[k]) / (wave[k + 1] - wave[k])
        return total[k] + h * flux[k] + 0.5 * h * h * slope

    value = np.diff(integral(edges)) / STEP
    value[(edges[:-1] < wave[0]) | (edges[1:] > wave[-1])] = np.nan
    k = np.clip(np.searchsorted(wave, GRID) - 1, 0, len(wave) - 2)
    value[wave[k + 1] - wave[k] > 0.02] = np.nan
    return value


def main(path):
    archive = wheel(path, r"splat-1\.14-.*\.whl")
    table = lambda name: pd.read_csv(io.BytesIO(archive.read("splat/db/" + name)), sep="\t", dtype=str, keep_default_na=False)
    spectra, sources = table("spectral_data.txt"), table("source_data.txt")
    rows = spectra[(spectra.QUALITY_FLAG == "OK") & (spectra.PUBLISHED == "Y")]
    rows = rows.merge(sources, on="SOURCE_KEY", suffixes=("", "_SRC"), how="inner")
    kind = rows.SPEX_TYPE.str.extract(r"^([MLT])(\d+\.?\d*)(:?)$")
    rows = rows.assign(CLASS=kind[0], SUB=pd.to_numeric(kind[1], errors="coerce"), UNSURE=kind[2])
    snr = pd.to_numeric(rows.MEDIAN_SNR, errors="coerce")
    rows = rows[rows.CLASS.notna() & rows.SUB.notna() & ~(snr < 10)]

    kept, flux, dropped = [], [], 0
    for i, row in rows.iterrows():
        raw = archive.read(f"splat/resources/Spectra/Public/SPEX-PRISM/{row.DATA_FILE}.gz")
        found = read_spectrum(raw)
        if found is None:
            dropped += 1
            continue
        value = resample(*found)
        scale = np.nanmedian(value[(GRID > 1.26) & (GRID < 1.30)])
        if not np.isfinite(scale) or scale <= 0 or np.isfinite(value).mean() < 0.95:
            dropped += 1
            continue
        value = value / scale
        # A flux beyond 5 times the peak of any dwarf is a broken sample.
        value[np.abs(value) > 5] = np.nan
        if np.isfinite(value).mean() < 0.95:
            dropped += 1
            continue
        kept.append(i)
        flux.append(value)
    rows = rows.loc[kept]
    flux = np.array(flux)
    sign = np.where(flux < 0, -1, 1)
    flux = (sign * np.where(np.isfinite(flux) & (flux != 0), keep_bits(np.abs(np.where(flux == 0, 1, flux)), 11), flux)).astype(np.float32)
    print(f"{len(rows)} spectra, {dropped} left out; classes {rows.CLASS.value_counts().to_dict()}")

    number = lambda key, dtype=np.float32: pd.to_numeric(rows[key], errors="coerce").to_numpy().astype(dtype)
    # splat counts M0 = 10; here M0 = 0.
    spt = rows.CLASS.map({"M": 0, "L": 10, "T": 20}) + rows.SUB

    def positive(key):
        value = number(key)
        return np.where(value > 0, value, np.nan).astype(np.float32)

    def magnitude(key):
        value = number(key)
        return np.where((value > -5) & (value < 30), value, np.nan).astype(np.float32)

    j, h, k = magnitude("J_2MASS"), magnitude("H_2MASS"), magnitude("KS_2MASS")
    simple = {"FLD-G": "field", "INT-G": "intermediate", "VL-G": "very low"}
    mjd = number("JULIAN_DATE", np.float64)
    mjd = np.where((mjd > 50000) & (mjd < 62000), mjd, np.nan)
    columns = [
        Column("spectrum_id", rows.DATA_KEY.astype(int).to_numpy().astype(np.int32), "meta.id;meta.main", "", "Key of the spectrum in the library"),
        Column("name", rows.NAME.tolist(), "meta.id", "", "Name of the source"),
        Column("designation", rows.DESIGNATION.tolist(), "meta.id", "", "Designation by coordinates"),
        Column("ra", number("RA", np.float64), "pos.eq.ra;meta.main", "deg", "Right ascension (J2000)"),
        Column("dec", number("DEC", np.float64), "pos.eq.dec;meta.main", "deg", "Declination (J2000)"),
        Column("class", rows.CLASS.tolist(), "src.spType", "", "Class letter by the near-infrared indices"),
        Column("spex_type", rows.SPEX_TYPE.tolist(), "src.spType", "", "Type by the near-infrared indices (a colon = uncertain)"),
        Column("spt", spt.to_numpy().astype(np.float32), "src.spType", "", "The same as a number: M0 = 0, L0 = 10, T0 = 20"),
        Column("lit_type", rows.LIT_TYPE.tolist(), "src.spType", "", "Type in the literature"),
        Column("gravity", [simple.get(g) for g in rows.SPEX_GRAVITY_CLASSIFICATION], "phys.gravity;meta.code.class", "",
               "Gravity by spectral indices: very low = young"),
        Column("metallicity", rows.METALLICITY_CLASS.tolist(), "phys.abund.Z;meta.code.class", "", "sd, esd, usd = subdwarf, extreme, ultra; empty = dwarf"),
        Column("j_2mass", j, "phot.mag;em.IR.J", "mag", "2MASS J"),
        Column("j_2mass_err", positive("J_2MASS_E"), "stat.error;phot.mag;em.IR.J", "mag", "Error of j_2mass"),
        Column("h_2mass", h, "phot.mag;em.IR.H", "mag", "2MASS H"),
        Column("h_2mass_err", positive("H_2MASS_E"), "stat.error;phot.mag;em.IR.H", "mag", "Error of h_2mass"),
        Column("ks_2mass", k, "phot.mag;em.IR.K", "mag", "2MASS Ks"),
        Column("ks_2mass_err", positive("KS_2MASS_E"), "stat.error;phot.mag;em.IR.K", "mag", "Error of ks_2mass"),
        Column("j_ks", np.round(j - k, 3).astype(np.float32), "phot.color;em.IR.J;em.IR.K", "mag", "2MASS J - Ks"),
        Column("parallax", number("PARALLAX"), "pos.parallax.trig", "mas", "Trigonometric parallax"),
        Column("parallax_err", positive("PARALLAX_E"), "stat.error;pos.parallax.trig", "mas", "Error of parallax"),
        Column("distance", number("DISTANCE"), "pos.distance", "pc", "Distance by parallax"),
        Column("pm", number("MU"), "pos.pm", "mas/yr", "Proper motion"),
        Column("snr", number("MEDIAN_SNR"), "stat.snr", "", "Median signal to noise of the spectrum"),
        Column("resolution", positive("RESOLUTION"), "spect.resolution", "", "Resolving power"),
        Column("obs_mjd", mjd, "time.epoch;obs", "d", "Date of the observation (MJD)"),
        Column("otype", rows.SIMBAD_OTYPE.tolist(), "src.class", "", "Object type in SIMBAD"),
        Column("bibcode", rows.DATA_REFERENCE.tolist(), "meta.bib.bibcode", "", "Where the spectrum was published"),
        Column("spectrum", flux, "phot.flux.density;em.wl", "", "Flux density, 1 = median at 1.26-1.30 um"),
    ]
    write(
        "spex",
        "Near-infrared spectra of M, L and T dwarfs from the SpeX Prism Library",
        columns,
        [("axis:spectrum", "double", f"{START} {STEP} {COUNT}", "um", "em.wl", "medium not stated by the library")],
        [
            ("origin", "splat 1.14, splat/db and splat/resources/Spectra/Public/SPEX-PRISM (MIT)"),
            ("credit", "SpeX Prism Libraries maintained by Adam Burgasser; data from the NASA Infrared Telescope Facility; see bibcode"),
            ("script", "assets/make_spex.py"),
        ],
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
