"""Record what Astropy's reproject makes of a made image on other grids: tests/peers/reproject.json.

    python3 -m venv peers && peers/bin/pip install numpy astropy reproject
    peers/bin/python tests/peers/record_reproject.py

Every n-th pixel of the result is kept. The image is a sum of waves that the test makes again.
"""

import json
import math
import pathlib

import astropy
import numpy as np
import reproject
from astropy.wcs import WCS


def tan(crpix, crval, scale, turn, kind=("RA---TAN", "DEC--TAN")):
    s, c = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    return {
        "CTYPE1": kind[0], "CTYPE2": kind[1],
        "CRPIX1": crpix[0], "CRPIX2": crpix[1], "CRVAL1": crval[0], "CRVAL2": crval[1],
        "CD1_1": -scale * c, "CD1_2": scale * s, "CD2_1": scale * s, "CD2_2": scale * c,
    }


def image(shape):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    return 100 * np.sin(x / 5) + 50 * np.cos(y / 7 + x / 11) + x - 2 * y


CASES = [
    ("turned by 37 degrees, finer", tan((61.0, 46.0), (150.0, 2.2), 2e-4, 0), (90, 120),
     tan((80.0, 70.0), (150.001, 2.199), 1.3e-4, 37), (140, 160)),
    ("mirrored and coarser", tan((61.0, 46.0), (0.01, -70.0), 2e-4, 5), (90, 120),
     tan((30.0, 25.0), (359.99, -70.0), 4.1e-4, 170), (50, 60)),
    ("galactic onto equatorial, wide", tan((61.0, 46.0), (120.0, 30.0), 0.1, 10, ("GLON-TAN", "GLAT-TAN")), (90, 120),
     tan((80.0, 70.0), (190.0, 85.0), 0.08, -20, ("RA---SIN", "DEC--SIN")), (140, 160)),
    ("one pixel further", tan((61.0, 46.0), (10.0, 41.0), 1e-4, 0), (90, 120),
     tan((61.37, 45.81), (10.0, 41.0), 1e-4, 0), (90, 120)),
]

out = []
for name, source, source_shape, target, target_shape in CASES:
    case = {"name": name, "from": source, "to": target, "from_shape": source_shape, "to_shape": target_shape, "every": 23}
    for how, word in (("bilinear", "bilinear"), ("nearest-neighbor", "nearest")):
        data, _ = reproject.reproject_interp((image(source_shape), WCS(source)), WCS(target), shape_out=target_shape, order=how)
        kept = data.ravel()[:: case["every"]]
        case[word] = [None if math.isnan(v) else round(float(v), 3) for v in kept]
    out.append(case)

text = json.dumps({"astropy": astropy.__version__, "reproject": reproject.__version__, "cases": out}, separators=(",", ":"))
pathlib.Path(__file__).with_name("reproject.json").write_text(text + "\n")
