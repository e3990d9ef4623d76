"""Make tests/fixtures/arrow/types.parquet and types.arrow: three rows of every Arrow type that is no plain number or text, the last of
them missing. What stands in them is what `app/data/tests/tables.rs` expects. Run with pyarrow 17 or later and numpy:

    python tests/peers/make_arrow_types.py tests/fixtures/arrow
"""

import datetime
import decimal
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

moment = datetime.datetime(2021, 3, 4, 5, 6, 7, 500000)
early = datetime.datetime(1899, 12, 31, 23, 59, 59)
light_curve = pa.struct([("mjd", pa.list_(pa.float64())), ("band", pa.list_(pa.string()))])
columns = {
    "id": pa.array([1, 2, 3]),
    "date": pa.array([moment.date(), early.date(), None], pa.date32()),
    "ts": pa.array([moment, early, None], pa.timestamp("us")),
    "ts_ns": pa.array([moment, early, None], pa.timestamp("ns")),
    "ts_utc": pa.array([moment, early, None], pa.timestamp("ms", tz="UTC")),
    "time": pa.array([moment.time(), early.time(), None], pa.time64("us")),
    "duration": pa.array([datetime.timedelta(seconds=90, milliseconds=250), datetime.timedelta(days=-1), None], pa.duration("ms")),
    "half": pa.array([np.float16(0.5), np.float16(-2.0), None], pa.float16()),
    "decimal": pa.array([decimal.Decimal("12.345"), decimal.Decimal("-0.001"), None], pa.decimal128(10, 3)),
    "whole": pa.array([decimal.Decimal(9007199254740993), decimal.Decimal(-7), None], pa.decimal128(20, 0)),
    "long": pa.array([decimal.Decimal(10**30 + 1), decimal.Decimal(2), None], pa.decimal128(38, 0)),
    "category": pa.array(["star", "galaxy", None]).dictionary_encode(),
    "fixed": pa.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], None], pa.list_(pa.float32(), 3)),
    "square": pa.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]], None], pa.list_(pa.list_(pa.int16(), 3), 2)),
    "lc": pa.array([{"mjd": [1.5, 2.5], "band": ["g", "r"]}, {"mjd": [], "band": []}, None], light_curve),
    "nested": pa.array(
        [[{"t": 1.0, "m": 20}, {"t": 2.0, "m": 21}], [], None], pa.list_(pa.struct([("t", pa.float64()), ("m", pa.int32())]))
    ),
    "map": pa.array([[("a", 1), ("b", 2)], [], None], pa.map_(pa.string(), pa.int64())),
    "times": pa.array([[moment], [], None], pa.list_(pa.timestamp("s"))),
    "lists": pa.array([[[1, 2], [3]], [], None], pa.list_(pa.list_(pa.int64()))),
    "binary": pa.array([b"abc", b"", None], pa.binary()),
    "flag": pa.array([True, False, None]),
    "nothing": pa.nulls(3),
}
table = pa.table(columns)
folder = pathlib.Path(sys.argv[1])
pa.parquet.write_table(table, folder / "types.parquet", compression="snappy")
pa.feather.write_feather(table, folder / "types.arrow", compression="uncompressed")
print("pyarrow", pa.__version__, table.schema)
