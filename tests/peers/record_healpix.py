"""Record astropy-healpix' nested cells, centres and cones into healpix.json.

    python record_healpix.py      (needs astropy-healpix, numpy)
"""

import json
import pathlib

import astropy.units as u
import astropy_healpix
import numpy as np
from astropy_healpix import HEALPix

rng = np.random.default_rng(3)
ra = list(rng.uniform(0, 360, 60)) + [0.0, 359.999999, 45.0, 123.4, 90.0, 180.0, 270.0, 12.0]
dec = list(np.degrees(np.arcsin(rng.uniform(-1, 1, 60)))) + [10.0, -10.0, 89.9999, -89.99999, 41.9, -41.9, 0.1, 66.0]
out = {"astropy_healpix": astropy_healpix.__version__, "ra": ra, "dec": dec, "cells": {}, "centres": {}, "cones": []}
for order in [0, 1, 5, 12, 29]:
    h = HEALPix(nside=2**order, order="nested")
    pixels = h.lonlat_to_healpix(ra * u.deg, dec * u.deg)
    out["cells"][order] = [str(p) for p in pixels]
    lon, lat = h.healpix_to_lonlat(pixels)
    out["centres"][order] = [list(lon.deg), list(lat.deg)]
for ra0, dec0, radius, order in [(0.1, 0.2, 3.0, 4), (10, 89.5, 2.0, 4), (200, -89.0, 4.0, 3), (266.4, -29.0, 0.7, 6), (45, 41.8, 11.0, 2), (300, 20, 0.001, 8)]:
    h = HEALPix(nside=2**order, order="nested")
    cells = h.cone_search_lonlat(ra0 * u.deg, dec0 * u.deg, radius * u.deg)
    out["cones"].append({"cone": [ra0, dec0, radius], "order": order, "cells": sorted(int(c) for c in cells)})
pathlib.Path(__file__).with_name("healpix.json").write_text(json.dumps(out) + "\n")
print([len(c["cells"]) for c in out["cones"]])
