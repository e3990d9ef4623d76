"""Writes render/src/luts.bin and render/src/glasbey.bin: the colour tables of the program.

luts.bin: 256 x RGB bytes each of viridis, cividis, magma, inferno, plasma, grey, blue-white-red ("vik-like" CET-D1A is not
redistributed; matplotlib's "RdBu" reversed is by C. Brewer, Apache-2.0), twilight (cyclic).
glasbey.bin: 256 x RGB bytes of colorcet's glasbey_bw_minc_20_minl_30.

Licences: viridis, magma, inferno, plasma - CC0 (S. van der Walt, N. Smith); cividis - CC0 (Nunez, Anderton, Renslow 2018);
twilight - CC0 (B. Beitz); RdBu - Apache-2.0 (C. Brewer, M. Harrower); glasbey tables - CC-BY 4.0 (P. Kovesi's colorcet, Glasbey et al.
2007 method, HoloViz colorcet); matplotlib's copies - matplotlib licence (BSD-like).

    pip install matplotlib colorcet && python assets/make_colormaps.py
"""

import pathlib

import colorcet
import matplotlib
import numpy as np

root = pathlib.Path(__file__).resolve().parent.parent / "render" / "src"
names = ["viridis", "cividis", "magma", "inferno", "plasma", "gray", "RdBu_r", "twilight"]
out = bytearray()
for name in names:
    table = matplotlib.colormaps[name](np.arange(256) if matplotlib.colormaps[name].N == 256 else np.linspace(0, 1, 256))
    out += np.round(table[:, :3] * 255).astype(np.uint8).tobytes()
(root / "luts.bin").write_bytes(bytes(out))

glasbey = np.round(np.array(colorcet.glasbey_bw_minc_20_minl_30) * 255).astype(np.uint8)
(root / "glasbey.bin").write_bytes(glasbey[:256].tobytes())
print(len(names), "tables;", len(glasbey[:256]), "categories")
