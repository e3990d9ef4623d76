"""Make samples/hdf.jpg and samples/hdf.parquet from the wheel of scikit-image.

    python make_hdf.py scikit_image-0.26.0-....whl

The picture is skimage/data/hubble_deep_field.jpg (NASA's Hubble eXtreme Deep Field, 1000 x 872
pixels), its bytes untouched. The table holds the sources that sep (Source Extractor's core) finds
in its luminance: background mesh 64 x 64, the default 3 x 3
convolution, threshold 2.5 sigma
of the background, 8 pixels, deblending at contrast 0.005. The picture is a stretched colour
picture, so fluxes and colours are in its 8-bit counts, good to compare sources with each other and
no photometry. It has no WCS: x and y are pixels from the top left, the first pixel's centre = 0.

Needs numpy, pillow, sep, pyarrow.
"""

import io
import os
import sys

import numpy as np
import sep
from PIL import Image

from sample_table import SAMPLES, Column, report, wheel, write


def main(path):
    archive = wheel(path, r"scikit_image-0\.(17|26)\..*\.whl")
    raw = archive.read("skimage/data/hubble_deep_field.jpg")
    os.makedirs(SAMPLES, exist_ok=True)
    name = os.path.join(SAMPLES, "hdf.jpg")
    with open(name, "wb") as file:
        file.write(raw)
    report(name)
    rgb = np.ascontiguousarray(np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")), dtype=np.float64)
    luminance = np.ascontiguousarray(rgb @ np.array([0.2126, 0.7152, 0.0722]))
    background = sep.Background(luminance, bw=64, bh=64, fw=3, fh=3)
    print(f"background {background.globalback:.2f}, rms {background.globalrms:.2f}")
    flat = luminance - background.back()
    found, seg = sep.extract(flat, 2.5, err=background.globalrms, minarea=8, deblend_cont=0.005, segmentation_map=True)
    keep = (found["flag"] & 0x3C) == 0
    keep &= np.isfinite(found["a"]) & (found["a"] > 0.4)
    number = np.flatnonzero(keep)
    s = found[keep]
    print(f"{len(found)} found, {len(s)} kept")

    half, _ = sep.flux_radius(flat, s["x"], s["y"], 6 * s["a"], 0.5, normflux=s["flux"], subpix=5)
    channels = []
    for c in range(3):
        plane = np.ascontiguousarray(rgb[:, :, c])
        plane = plane - sep.Background(plane, bw=64, bh=64, fw=3, fh=3).back()
        sums = np.bincount(seg.ravel(), weights=plane.ravel(), minlength=len(found) + 1)[1:][number]
        channels.append(sums / np.bincount(seg.ravel(), minlength=len(found) + 1)[1:][number])
    r, g, b = (np.round(c, 3) for c in channels)

    def colour(top, bottom):
        good = (top > 0) & (bottom > 0)
        return np.where(good, -2.5 * np.log10(np.where(good, top, 1) / np.where(good, bottom, 1)), np.nan)

    f32 = lambda v, digits: np.round(np.asarray(v, np.float64), digits).astype(np.float32)
    box = np.maximum(24, 2 * np.ceil(4 * s["a"])).astype(np.int16)
    columns = [
        Column("id", np.arange(1, len(s) + 1, dtype=np.int32), "meta.id;meta.main", "", "Number of the source"),
        Column("x", f32(s["x"], 3), "pos.cartesian.x;instr.det", "pix", "Column of the centroid, from 0 at the left"),
        Column("y", f32(s["y"], 3), "pos.cartesian.y;instr.det", "pix", "Row of the centroid, from 0 at the top"),
        Column("box", box, "instr.det;phys.size", "pix", "Side of a square cut-out that holds the source"),
        Column("flux", f32(s["flux"], 2), "phot.count;em.opt", "count", "Sum of luminance above the background"),
        Column("mag", f32(-2.5 * np.log10(s["flux"]), 4), "phot.mag;em.opt", "mag", "-2.5 log10 of flux; no zero point"),
        Column("peak", f32(s["peak"], 2), "phot.count;stat.max", "count", "Brightest pixel above the background (255 = full)"),
        Column("npix", s["npix"].astype(np.int32), "instr.pixel;meta.number", "", "Pixels above the threshold"),
        Column("r_half", f32(half, 3), "phys.angSize;src", "pix", "Radius that holds half of the flux"),
        Column("a", f32(s["a"], 3), "phys.angSize.smajAxis", "pix", "Semi-major axis (rms along it)"),
        Column("b", f32(s["b"], 3), "phys.angSize.sminAxis", "pix", "Semi-minor axis (rms along it)"),
        Column("theta", f32(-np.degrees(s["theta"]), 2), "pos.posAng", "deg", "Angle of the major axis, anticlockwise from the right as seen"),
        Column("ellipticity", f32(1 - s["b"] / s["a"], 4), "src.ellipticity", "", "1 - b / a"),
        Column("concentration", f32(s["peak"] / s["flux"], 5), "phot.count;arith.ratio", "", "Peak over flux"),
        Column("red", f32(r, 3), "phot.count;em.opt.R", "count", "Mean red of its pixels above the background"),
        Column("green", f32(g, 3), "phot.count;em.opt.V", "count", "Mean green of its pixels above the background"),
        Column("blue", f32(b, 3), "phot.count;em.opt.B", "count", "Mean blue of its pixels above the background"),
        Column("g_r", f32(colour(g, r), 4), "phot.color", "mag", "-2.5 log10(green / red); larger = redder"),
        Column("b_g", f32(colour(b, g), 4), "phot.color", "mag", "-2.5 log10(blue / green); larger = redder"),
    ]
    write(
        "hdf",
        "Sources in the Hubble eXtreme Deep Field picture, detected on its luminance; x and y are pixels of hdf.jpg, no WCS",
        columns,
        [("picture", "char", "hdf.jpg", "", "meta.ref;obs.image", "The picture that x and y refer to")],
        [
            ("origin", "scikit-image, skimage/data/hubble_deep_field.jpg (public domain)"),
            ("credit", "NASA, ESA, G. Illingworth, D. Magee, P. Oesch, R. Bouwens and the HUDF09 team"),
            ("script", "assets/make_hdf.py"),
        ],
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
