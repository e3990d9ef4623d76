"""Write a sample as VOParquet: Parquet with a data-less VOTable in its key-value metadata.

IVOA note "Parquet in the VO" 1.0: the keys are `IVOA.VOTable-Parquet.version` and
`IVOA.VOTable-Parquet.content`; FIELDs stand in the order of the Parquet columns. A missing scalar
is a Parquet null; a missing sample inside an array cell is NaN. Several columns that hold spectra
share a grid, written as PARAM `axis:COLUMN` with value "start step count" and description "air" or
"vacuum" where that is known.

Needs numpy and pyarrow. Imported by the make_*.py scripts beside it.
"""

import hashlib
import os
import re
import xml.etree.ElementTree as ET
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "samples")


class Column:
    """One column: values (numpy array, masked array, list of str or None, or 2-D array of spectra)."""

    def __init__(self, name, values, ucd="", unit="", description=""):
        self.name, self.ucd, self.unit, self.description = name, ucd, unit, description
        mask = None
        if isinstance(values, np.ma.MaskedArray):
            mask, values = np.ma.getmaskarray(values), values.data
        if isinstance(values, list):
            self.array = pa.array([v if v not in ("", None) else None for v in values], pa.string())
            self.vo = {"datatype": "char", "arraysize": "*"}
            return
        values = np.asarray(values)
        vo = {"int16": "short", "int32": "int", "int64": "long", "float32": "float", "float64": "double"}
        self.vo = {"datatype": vo[str(values.dtype)]}
        if values.ndim == 2:
            self.vo["arraysize"] = str(values.shape[1])
            offsets = np.arange(values.shape[0] + 1, dtype=np.int32) * values.shape[1]
            self.array = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))
        else:
            if values.dtype.kind == "f":
                bad = ~np.isfinite(values)
                mask = bad if mask is None else (mask | bad)
            self.array = pa.array(values, mask=mask)


def write(name, description, columns, params=(), infos=()):
    """Write samples/NAME.parquet. `params` are (name, datatype, value, unit, ucd, description)."""
    root = ET.Element("VOTABLE", {"version": "1.4", "xmlns": "http://www.ivoa.net/xml/VOTable/v1.3"})
    resource = ET.SubElement(root, "RESOURCE")
    ET.SubElement(resource, "COOSYS", {"ID": "icrs", "system": "ICRS"})
    element = ET.SubElement(resource, "TABLE", {"name": name, "nrows": str(len(columns[0].array))})
    ET.SubElement(element, "DESCRIPTION").text = description
    for key, value in infos:
        ET.SubElement(element, "INFO", {"name": key, "value": value})
    for key, datatype, value, unit, ucd, text in params:
        attributes = {"name": key, "datatype": datatype, "value": value}
        if datatype == "char":
            attributes["arraysize"] = "*"
        elif " " in value:
            attributes["arraysize"] = str(len(value.split()))
        if unit:
            attributes["unit"] = unit
        if ucd:
            attributes["ucd"] = ucd
        ET.SubElement(ET.SubElement(element, "PARAM", attributes), "DESCRIPTION").text = text
    for column in columns:
        attributes = {"name": column.name, **column.vo}
        if column.unit:
            attributes["unit"] = column.unit
        if column.ucd:
            attributes["ucd"] = column.ucd
        if column.ucd.startswith(("pos.eq.ra", "pos.eq.dec")):
            attributes["ref"] = "icrs"
        ET.SubElement(ET.SubElement(element, "FIELD", attributes), "DESCRIPTION").text = column.description
    xml = '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")
    table = pa.table([c.array for c in columns], schema=pa.schema([(c.name, c.array.type) for c in columns]))
    out = os.path.join(SAMPLES, name + ".parquet")
    os.makedirs(SAMPLES, exist_ok=True)
    # store_schema=False: the ARROW:schema key says nothing that the Parquet schema does not.
    options = {"compression": "zstd", "compression_level": 19, "store_schema": False, "dictionary_pagesize_limit": 4 << 20}
    with pq.ParquetWriter(out, table.schema, **options) as writer:
        writer.add_key_value_metadata({"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": xml})
        writer.write_table(table, row_group_size=131072)
    report(out)


def report(path):
    """Say what was written, with the sum that README.md lists."""
    with open(path, "rb") as file:
        data = file.read()
    print(f"{os.path.basename(path)}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


def wheel(path, expected):
    """Open a wheel (a zip), checking package and version by its name."""
    base = os.path.basename(path)
    if not re.match(expected, base):
        raise SystemExit(f"{base}: expected a wheel named {expected}")
    return zipfile.ZipFile(path)


def keep_digits(values, error):
    """Round float32 values to multiples of a power of two near error/16, so that they compress.

    The rounding adds 1/(16*sqrt(12)) = 2 % of the error in quadrature: nothing one could measure.
    """
    step = 2.0 ** np.floor(np.log2(error / 16.0))
    return (np.round(values / step) * step).astype(np.float32)


def keep_bits(values, bits):
    """Round positive float32 values to `bits` bits of mantissa."""
    exponent = np.floor(np.log2(values))
    step = 2.0 ** (exponent - bits)
    return (np.round(values / step) * step).astype(np.float32)
