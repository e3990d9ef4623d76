"""Records what astropy's make_lupton_rgb gives for some pixels, for tests of asterism_render::composite.

python3 render/tests/record_lupton.py > render/tests/lupton.csv    # numpy, astropy
"""

import astropy
import numpy as np
from astropy.visualization import make_lupton_rgb

rng = np.random.default_rng(7)
print(f"# astropy {astropy.__version__}: minimum, stretch, q, r, g, b, red, green, blue")
for minimum, stretch, q in [(0.0, 5.0, 8.0), (-0.5, 0.5, 10.0), (2.0, 50.0, 0.0), (0.1, 1.0, 1e12)]:
    bands = (10 ** rng.uniform(-2, 3, (3, 1, 40)) * rng.choice([1, 1, 1, -0.1], (3, 1, 40))).astype(np.float32)
    bands[:, 0, 0] = 0
    bands[:, 0, 1] = minimum
    rgb = make_lupton_rgb(*bands.astype(float), minimum=minimum, stretch=stretch, Q=q)
    for k in range(40):
        print(",".join(str(v) for v in [minimum, stretch, q, *bands[:, 0, k], *rgb[0, k]]))
