"""Record astropy's cross-matches of made positions into crossmatch.json: nearest neighbours
(match_to_catalog_sky) and all pairs within a radius (search_around_sky), with points over both
poles and RA 0.

    python record_crossmatch.py      (needs astropy, scipy, numpy)
"""

import json
import pathlib

import astropy
import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, search_around_sky

rng = np.random.default_rng(7)
centres = [(0.0, 89.999), (10.0, -89.9995), (0.0, 0.0), (359.9999, 45.0), (180.0, -30.0), (266.4, -29.0)]


def around(n, arcsec):
    ra, dec = [], []
    for c in centres:
        at = SkyCoord(*c, unit="deg")
        p = at.directional_offset_by(rng.uniform(0, 360, n) * u.deg, arcsec * np.sqrt(rng.uniform(0, 1, n)) * u.arcsec)
        ra += list(p.ra.deg)
        dec += list(p.dec.deg)
    return np.array(ra), np.array(dec)


radius = 15.0
a = around(30, 60)
b = around(40, 60)
ca, cb = SkyCoord(*a, unit="deg"), SkyCoord(*b, unit="deg")
near, near_sep, _ = ca.match_to_catalog_sky(cb)
ia, ib, sep, _ = search_around_sky(ca, cb, radius * u.arcsec)
order = np.lexsort((sep.arcsec, ia))
out = {
    "astropy": astropy.__version__,
    "radius_arcsec": radius,
    "a": [list(a[0]), list(a[1])],
    "b": [list(b[0]), list(b[1])],
    "nearest": [int(i) for i in near],
    "nearest_arcsec": list(near_sep.arcsec),
    "pairs": [[int(ia[k]), int(ib[k]), float(sep.arcsec[k])] for k in order],
}
pathlib.Path(__file__).with_name("crossmatch.json").write_text(json.dumps(out) + "\n")
print(len(out["pairs"]), "pairs,", sum(s <= radius for s in out["nearest_arcsec"]), "nearest within the radius")
