"""Records places on the plane and in other frames from astropy, for app/session/src/sky.rs.

    python tests/peers/record_sky.py > tests/peers/sky.json

Needs astropy. Planes are in degrees east and north of the centre, whatever the sign of FITS' own x.
"""

import json

import astropy
import numpy as np
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from astropy.wcs import WCS

places = [(0.0, 0.0), (10.68, 41.27), (83.8, -5.4), (266.405, -28.936), (192.859, 27.128), (359.9, 89.5), (12.0, -89.9),
          (180.0, 0.0), (201.3, -43.0), (49.95, 41.51), (339.006, 33.96)]


def plane(code, centre):
    w = WCS(naxis=2)
    w.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    w.wcs.crval = list(centre)
    w.wcs.cdelt = [1.0, 1.0]
    w.wcs.crpix = [0.0, 0.0]
    if code in ("SIN", "TAN"):
        # North is up, also where the centre is the pole itself.
        w.wcs.lonpole = 180.0
    out = []
    for ra, dec in places:
        x, y = (float(v) for v in w.wcs_world2pix(ra, dec, 0))
        # Astropy's pixel of origin 0 is one less than FITS' own.
        out.append([x + 1.0, y + 1.0] if np.isfinite(x) and np.isfinite(y) else None)
    return out


c = SkyCoord([p[0] for p in places] * u.deg, [p[1] for p in places] * u.deg, frame="icrs")
g = c.galactic
e = c.transform_to(BarycentricMeanEcliptic(equinox="J2000"))
record = {
    "astropy": astropy.__version__,
    "places": places,
    "galactic": [[float(a), float(b)] for a, b in zip(g.l.deg, g.b.deg)],
    "ecliptic": [[float(a), float(b)] for a, b in zip(e.lon.deg, e.lat.deg)],
    "planes": {
        f"{name} {a} {d}": plane(code, (a, d))
        for name, code, a, d in [
            ("mollweide", "MOL", 180.0, 0.0),
            ("hammer", "AIT", 180.0, 0.0),
            ("mollweide", "MOL", 30.0, 0.0),
            ("hammer", "AIT", 0.0, 0.0),
            ("globe", "SIN", 10.0, 40.0),
            ("globe", "SIN", 300.0, -80.0),
            ("field", "TAN", 10.0, 40.0),
            ("field", "TAN", 0.0, 90.0),
        ]
    },
}
print(json.dumps(record, indent=1))
