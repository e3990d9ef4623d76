"""Record what astropy's visualization gives, for app/data/tests/products.rs.

    python tests/peers/record_stretch.py > tests/peers/stretch.json

Needs astropy (recorded with 8.0.2). Pixels are taken as 32-bit floats, as Asterism keeps them.
"""

import json
import pathlib

import astropy
import numpy as np
from astropy.io import fits
from astropy.visualization import (
    AsinhStretch, AsymmetricPercentileInterval, LinearStretch, LogStretch, MinMaxInterval, PercentileInterval,
    SinhStretch, SqrtStretch, SquaredStretch, ZScaleInterval,
)

here = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
files = [("fits/compressed/m13.fits", 0), ("fits/core/comp.fits", 1), ("fits/core/scale.fits", 0),
         ("fits/images/galactic_2d.fits", 0), ("fits/wcs/dist_lookup.fits.gz", 1)]
out = {"astropy": astropy.__version__, "limits": [], "curves": {}}
for name, hdu in files:
    data = fits.open(here / name)[hdu].data.astype(np.float32).astype(np.float64)
    out["limits"].append({
        "file": name, "hdu": hdu,
        "minmax": MinMaxInterval().get_limits(data),
        "percentile_99": PercentileInterval(99.0).get_limits(data),
        "percentile_2_90": AsymmetricPercentileInterval(2.0, 90.0).get_limits(data),
        "zscale": ZScaleInterval().get_limits(data),
    })
x = np.linspace(0, 1, 11)
out["x"] = x.tolist()
for name, stretch in [("linear", LinearStretch()), ("sqrt", SqrtStretch()), ("squared", SquaredStretch()), ("log", LogStretch(1000)),
                      ("asinh", AsinhStretch(0.1)), ("sinh", SinhStretch(1 / 3))]:
    out["curves"][name] = stretch(x).tolist()
print(json.dumps(out, indent=1, default=float))
