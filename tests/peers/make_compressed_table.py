"""Make tests/fixtures/fits/compressed/table.fits.fz: a table with each kind of column, tile-compressed by column.

    python tests/peers/make_compressed_table.py && fpack -tableonly plain.fits && mv plain.fits.fz table.fits.fz

Needs astropy (made with 8.0.2) and fpack of cfitsio (made with 4.2.0). Astropy writes no compressed tables.
"""

import numpy as np
from astropy.io import fits

n = 250
i = np.arange(n)
rng = np.random.default_rng(20)
cols = [
    fits.Column("id", "K", array=9_007_199_254_740_993 + i * 7),
    fits.Column("counts", "J", null=-99, array=np.where(i % 50 == 3, -99, (1000 * np.sin(i / 9)).astype("i4"))),
    fits.Column("band", "I", array=(i % 11 - 5).astype("i2")),
    fits.Column("flag", "B", array=(i * 3 % 256).astype("u1")),
    fits.Column("unsigned", "J", bzero=2147483648, array=(4_000_000_000 + i).astype("u4")),
    fits.Column("ra", "D", unit="deg", array=np.where(i % 60 == 7, np.nan, 150 + i / 1000)),
    fits.Column("flux", "E", unit="Jy", array=rng.normal(10, 1, n).astype("f4")),
    fits.Column("good", "L", array=i % 3 == 0),
    fits.Column("name", "9A", array=[f"star {k}" for k in i]),
    fits.Column("shape", "4E", dim="(2,2)", array=rng.normal(0, 1, (n, 2, 2)).astype("f4")),
    fits.Column("grid", "3I", array=np.stack([i, -i, i * i % 1000], 1).astype("i2")),
]
hdu = fits.BinTableHDU.from_columns(cols, name="STARS")
hdu.header["FZTILELN"] = 100  # three tiles, the last of them shorter
hdu.header["FZALG3"] = hdu.header["FZALG4"] = hdu.header["FZALG11"] = "RICE_1"
hdu.writeto("plain.fits", overwrite=True)
