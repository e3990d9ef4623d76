"""Records places of nested HEALPix cells from astropy-healpix, for app/data/src/healpix.rs.

    python tests/peers/record_healpix_tiles.py > tests/peers/healpix_tiles.json

Needs astropy-healpix. Places are degrees; corners run south, east, north, west.
"""

import json

import astropy_healpix
import numpy as np
from astropy import units as u
from astropy_healpix import HEALPix

rng = np.random.default_rng(5)
cells = []
for order in [0, 1, 2, 3, 7, 13, 29]:
    h = HEALPix(nside=2**order, order="nested")
    n = 12 * 4**order
    picked = range(12) if order == 0 else sorted({0, n - 1, *(int(v) for v in rng.integers(0, n, 12))})
    for cell in picked:
        lon, lat = h.healpix_to_lonlat(cell)
        clon, clat = h.boundaries_lonlat(cell, 1) if order <= 13 else ([], [])
        corners = [[float(a), float(b)] for a, b in zip(u.Quantity(clon).to_value(u.deg).ravel(), u.Quantity(clat).to_value(u.deg).ravel())] if order <= 13 else []
        cells.append([order, int(cell), float(lon.to_value(u.deg)), float(lat.to_value(u.deg)), corners])
print(json.dumps({"astropy_healpix": astropy_healpix.__version__, "cells": cells}))
