"""Read a table with a peer (astropy, pyarrow) and print what it holds, so that the tests can
compare: one JSON object of column name -> {"unit", "ucd", "cells"}. Doubles and singles are
printed as the bits of a double, so that nothing is rounded on the way; "null" is a cell without
a value.

    python read_back.py astropy-votable|astropy-fits|astropy-ecsv|pyarrow FILE
"""

import json
import struct
import sys
import warnings

import numpy as np


def cell(v):
    if v is None or v is np.ma.masked:
        return "null"
    if isinstance(v, bytes):
        return v.decode("utf-8").rstrip("\x00")
    if isinstance(v, str):
        return v
    if isinstance(v, (bool, np.bool_)):
        return "true" if v else "false"
    if isinstance(v, (float, np.floating)):
        return "nan" if v != v else struct.pack(">d", float(v)).hex()
    if isinstance(v, (int, np.integer)):
        return str(int(v))
    if isinstance(v, (complex, np.complexfloating)):
        return "[" + cell(v.real) + "," + cell(v.imag) + "]"
    if isinstance(v, np.ndarray) or isinstance(v, list):
        return "[" + ",".join(cell(x) for x in (v.ravel() if isinstance(v, np.ndarray) else v)) + "]"
    raise SystemExit(f"no word for {type(v)}")


def main(how, path):
    out = {}
    if how == "pyarrow":
        import pyarrow.feather
        import pyarrow.parquet

        table = pyarrow.feather.read_table(path) if path.endswith(".arrow") else pyarrow.parquet.read_table(path)
        for name in table.column_names:
            out[name] = {"unit": None, "ucd": None, "cells": [cell(v) for v in table[name].to_pylist()]}
    elif how == "astropy-votable":
        from astropy.io.votable import parse

        with warnings.catch_warnings():
            # A complaint of astropy's is a failure of ours.
            warnings.simplefilter("error", category=Warning)
            # A name with a blank in it is fine; astropy says that its own ID for it has none.
            warnings.filterwarnings("ignore", message=".*W03.*")
            t = parse(path, verify="exception").get_first_table()
        for f in t.fields:
            # Never t.to_table(): it turns what it likes into masks.
            values = t.array[f.name]
            out[f.name] = {"unit": str(f.unit) if f.unit is not None else None, "ucd": f.ucd, "cells": [cell(v) for v in values]}
    elif how == "astropy-fits":
        from astropy.io import fits

        with warnings.catch_warnings():
            warnings.simplefilter("error", category=Warning)
            # FITS can say that a truth value is missing, numpy cannot.
            warnings.filterwarnings("ignore", message="Column 'truth' contains NULL")
            with fits.open(path, character_as_bytes=False) as hdus:
                hdus.verify("exception")
                hdu = hdus[1]
                for i, c in enumerate(hdu.columns):
                    values = hdu.data[c.name]
                    if c.bzero == -128:
                        # astropy scales signed bytes by way of doubles.
                        values = values.astype("i2")
                    cells = [cell(v) for v in values]
                    if c.null is not None:
                        # TNULL is the stored integer, before TZERO; 2^63 must not pass through a double.
                        null = str(int(c.null) + int(c.bzero or 0))
                        cells = ["null" if v == null else v for v in cells]
                    out[c.name] = {"unit": c.unit, "ucd": hdu.header.get(f"TUCD{i + 1}"), "cells": cells}
    elif how == "astropy-ecsv":
        from astropy.table import Table

        t = Table.read(path, format="ascii.ecsv")
        for name in t.colnames:
            c = t[name]
            out[name] = {"unit": c.unit.to_string("vounit") if c.unit is not None else None, "ucd": (c.meta or {}).get("ucd"), "cells": [cell(v) for v in c]}
    else:
        raise SystemExit(f"no such reader: {how}")
    json.dump(out, sys.stdout)


main(*sys.argv[1:])
