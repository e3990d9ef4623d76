"""Times reading of one table in five formats here, in astropy and in STILTS, on the same files in one run, and prints Markdown.

    cargo build --release
    python tests/peers/time_reading.py --python peers/bin/python        (needs astropy there, and stilts in the PATH)

The table is that of `asterism bench read`: 1,000,000 rows, eight columns of doubles, one of 32-bit integers, one of words of three
kinds. TABLEDATA is written by STILTS from the same FITS file. Every measurement is a process of its own. Of this program and of astropy
the call alone is timed, of STILTS the whole process (`tpipe omode=checksum`, which reads every cell), whose start takes
about half a second; memory is the growth over the start of the call, for STILTS (a Java machine that takes what it is given) it is
not told.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMATS = {"fits": "fits", "parquet": "parquet", "vot": "votable", "td.vot": "votable", "csv": "ascii.csv"}
NAMES = {"fits": "FITS", "parquet": "Parquet", "vot": "VOTable BINARY2", "td.vot": "VOTable TABLEDATA", "csv": "CSV"}


def astropy_child(path, kind):
    import numpy as np
    from astropy.table import Table

    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    before, wall, cpu = peak(), time.perf_counter(), sum(os.times()[:2])
    table = Table.read(path, format=kind)
    # FITS columns are views of a mapped file until somebody looks.
    for name in table.colnames:
        np.asarray(table[name]).sum() if table[name].dtype.kind in "fi" else len(table[name])
    print(json.dumps({"seconds": time.perf_counter() - wall, "cpu_seconds": sum(os.times()[:2]) - cpu, "peak": peak() - before, "rows": len(table)}))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--child", nargs=2)
    p.add_argument("--rows", type=int, default=1_000_000)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--asterism", default=None)
    a = p.parse_args()
    if a.child:
        return astropy_child(*a.child)
    target = os.environ.get("CARGO_TARGET_DIR", str(Path(__file__).resolve().parents[2] / "target"))
    program = a.asterism or f"{target}/release/asterism"
    print(f"load {os.getloadavg()[0]:.1f} at the start\n")
    print("| format | here | memory here | astropy | memory | STILTS (whole process) |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "bench", "read", "--rows", str(a.rows), "--keep", folder], check=True, capture_output=True)
        base = Path(folder) / "bench"
        subprocess.run(["stilts", "tcopy", f"in={base}.fits", f"out={base}.td.vot", "ofmt=votable"], check=True, capture_output=True)
        for ending, kind in FORMATS.items():
            path = f"{base}.{ending}"
            ours = json.loads(subprocess.run([program, "bench", "--file", path, "--json"], check=True, capture_output=True).stdout)
            words = [f"{ours['seconds']:.2f} s, {ours['cpu_seconds']:.2f} s CPU", f"{ours['peak_over_table']:.1f} × {ours['table_bytes'] / 1e6:.0f} MB"]
            out = subprocess.run([a.python, __file__, "--child", path, kind], capture_output=True, text=True)
            if out.returncode == 0:
                t = json.loads(out.stdout)
                words += [f"{t['seconds']:.2f} s, {t['cpu_seconds']:.2f} s CPU", f"{t['peak'] / ours['table_bytes']:.1f} ×"]
            else:
                words += ["not read", out.stderr.strip().splitlines()[-1][:60]]
            before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            fmt = {"fits": "fits", "vot": "votable", "td.vot": "votable", "csv": "csv", "parquet": "parquet"}[ending]
            out = subprocess.run(["stilts", "tpipe", f"in={path}", f"ifmt={fmt}", "omode=checksum"], capture_output=True, text=True)
            wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            words.append(f"{wall:.2f} s, {cpu:.2f} s CPU" if out.returncode == 0 else "not read")
            print(f"| {NAMES[ending]} | " + " | ".join(words) + " |", flush=True)


main()
