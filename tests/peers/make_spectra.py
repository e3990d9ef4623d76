"""Small spectra in the documented layouts of which no real file could be had. SYNTHETIC: every number is made up.

    python3 tests/peers/make_spectra.py      (needs astropy; writes tests/fixtures/synthetic)

Layouts: COS x1d (COS Data Handbook, section 2.4), JWST x1d (jwst pipeline, spectable.schema), IUE MXLO (NEWSIPS manual,
section 12.8), SDSS spec-lite (data model of files spec-PLATE-MJD-FIBER).
"""

from pathlib import Path

import numpy as np
from astropy.io import fits

HERE = Path(__file__).resolve().parent.parent / "fixtures" / "synthetic"
HERE.mkdir(exist_ok=True)


def write(name, *hdus):
    fits.HDUList(list(hdus)).writeto(HERE / name, overwrite=True)


def cos():
    n = 20
    flux = np.stack([np.linspace(1, 2, n), np.linspace(3, 4, n)]) * 1e-14
    weight = np.ones((2, n), "f4")
    weight[0, :2] = 0
    quality = np.zeros((2, n), "i2")
    quality[0, :2] = 8
    wave = np.stack([1300 + 0.5 * np.arange(n), 1150 + 0.5 * np.arange(n)])
    cols = [
        fits.Column("SEGMENT", "4A", array=["FUVA", "FUVB"]),
        fits.Column("EXPTIME", "D", "s", array=[100.0, 100.0]),
        fits.Column("NELEM", "J", array=[n, n]),
        fits.Column("WAVELENGTH", f"{n}D", "angstrom", array=wave),
        fits.Column("FLUX", f"{n}E", "erg /s /cm**2 /angstrom", array=flux),
        fits.Column("ERROR", f"{n}E", "erg /s /cm**2 /angstrom", array=flux * 0.1),
        fits.Column("GROSS", f"{n}E", "count /s", array=flux * 1e14),
        fits.Column("NET", f"{n}E", "count /s", array=flux * 1e14),
        fits.Column("DQ", f"{n}I", array=quality),
        fits.Column("DQ_WGT", f"{n}E", array=weight),
    ]
    head = fits.PrimaryHDU()
    head.header["TELESCOP"], head.header["INSTRUME"], head.header["TARGNAME"] = "HST", "COS", "MADE-UP"
    write("cos_x1d.fits", head, fits.BinTableHDU.from_columns(cols, name="SCI"))


def jwst():
    n = 25
    wave = np.linspace(1.0, 2.2, n)
    flux = np.full(n, 0.002) + 1e-5 * np.arange(n)
    quality = np.zeros(n, "u4")
    quality[3] = 1
    flux[7] = np.nan
    cols = [
        fits.Column("WAVELENGTH", "D", "um", array=wave),
        fits.Column("FLUX", "D", "Jy", array=flux),
        fits.Column("FLUX_ERROR", "D", "Jy", array=flux * 0.05),
        fits.Column("FLUX_VAR_POISSON", "D", "Jy^2", array=flux**2),
        fits.Column("SURF_BRIGHT", "D", "MJy/sr", array=flux * 9),
        fits.Column("SB_ERROR", "D", "MJy/sr", array=flux),
        fits.Column("DQ", "J", bzero=2147483648, array=quality),
        fits.Column("BACKGROUND", "D", "MJy/sr", array=np.zeros(n)),
        fits.Column("BKGD_ERROR", "D", "MJy/sr", array=np.zeros(n)),
        fits.Column("NPIXELS", "D", array=np.full(n, 6.0)),
    ]
    head = fits.PrimaryHDU()
    head.header["TELESCOP"], head.header["INSTRUME"], head.header["TARGPROP"] = "JWST", "NIRSPEC", "MADE-UP"
    write("jwst_x1d.fits", head, fits.BinTableHDU.from_columns(cols, name="EXTRACT1D"))


def iue():
    n, good = 640, 495
    flux = np.zeros((2, n), "f4")
    sigma = np.full((2, n), -1.0, "f4")
    quality = np.full((2, n), -2, "i2")
    flux[:, 60 : 60 + good] = np.linspace(1, 3, good) * 1e-13
    sigma[:, 60 : 60 + good] = 1e-14
    quality[:, 60 : 60 + good] = 0
    quality[0, 100] = -16384
    cols = [
        fits.Column("APERTURE", "5A", array=["LARGE", "SMALL"]),
        fits.Column("NPOINTS", "I", array=[n, n]),
        fits.Column("WAVELENGTH", "E", "ANGSTROM", array=[1050.0, 1050.0]),
        fits.Column("DELTAW", "E", "ANGSTROM", array=[1.6764, 1.6764]),
        fits.Column("NET", f"{n}E", "FN", array=flux * 1e13),
        fits.Column("BACKGROUND", f"{n}E", "FN", array=flux * 0),
        fits.Column("SIGMA", f"{n}E", "ERG/CM2/S/A", array=sigma),
        fits.Column("QUALITY", f"{n}I", array=quality),
        fits.Column("FLUX", f"{n}E", "ERG/CM2/S/A", array=flux),
    ]
    head = fits.PrimaryHDU()
    head.header["TELESCOP"], head.header["CAMERA"] = "IUE", "SWP"
    write("iue.mxlo", head, fits.BinTableHDU.from_columns(cols, name="MELO"))


def sdss():
    n = 40
    loglam = 3.58 + 1e-4 * np.arange(n)
    flux = np.linspace(5, 9, n)
    ivar = np.full(n, 4.0)
    ivar[11] = 0
    cols = [
        fits.Column("flux", "E", array=flux),
        fits.Column("loglam", "E", array=loglam),
        fits.Column("ivar", "E", array=ivar),
        fits.Column("and_mask", "J", array=np.zeros(n, "i4")),
        fits.Column("or_mask", "J", array=np.zeros(n, "i4")),
        fits.Column("wdisp", "E", array=np.ones(n)),
        fits.Column("sky", "E", array=np.ones(n)),
        fits.Column("model", "E", array=flux),
    ]
    spall = [
        fits.Column("CLASS", "6A", array=["GALAXY"]),
        fits.Column("Z", "E", array=[0.1]),
        fits.Column("Z_ERR", "E", array=[1e-4]),
        fits.Column("ZWARNING", "J", array=[0]),
        fits.Column("PLUG_RA", "D", array=[150.0]),
        fits.Column("PLUG_DEC", "D", array=[2.0]),
    ]
    head = fits.PrimaryHDU()
    head.header["TELESCOP"], head.header["PLATEID"], head.header["MJD"], head.header["FIBERID"] = "SDSS 2.5-M", 1, 55555, 7
    head.header["BUNIT"] = "1E-17 erg/cm^2/s/Ang"
    write(
        "sdss_spec-lite.fits",
        head,
        fits.BinTableHDU.from_columns(cols, name="COADD"),
        fits.BinTableHDU.from_columns(spall, name="SPALL"),
    )


if __name__ == "__main__":
    cos(), jwst(), iue(), sdss()
    for f in sorted(HERE.iterdir()):
        print(f.name, f.stat().st_size)
