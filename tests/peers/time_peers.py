"""Times other programs beside ours, on the same data, in one run, and prints the ratios.

Once:
    python3 -m venv peers && peers/bin/pip install numpy scikit-learn openTSNE astropy pyarrow
    cargo build --release
Then:
    peers/bin/python tests/peers/time_peers.py                    # everything, as Markdown
    peers/bin/python tests/peers/time_peers.py --only tsne-digits --json

Every measurement is a process of its own. Of a peer the call alone is timed, inside that process: neither the start of Python
nor its imports count, nor the making of the arrays. Of ours the stages that `--json` names are added up without reading and
writing, and CPU seconds (user and system, all threads) are those of the whole process, its start and its files included; so
where the two differ in what they count, the peer is favoured. Both sides may use the same number of threads, and each runs with
its own defaults (t-SNE: 500 iterations here, 750 in openTSNE, 1,000 in scikit-learn); quality stands beside time for that reason.

Cases: tsne-digits (1,797 x 64), tsne-ogle3 (10,000 x 5, the rows and columns that `asterism bench reduce` takes the same kind of),
pca (100,000 x 50), kmeans (100,000 x 10, k = 10), read-fits, read-vot and read-csv (1,000,000 x 10, written by `asterism bench`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


# ---------------------------------------------------------------------- inside a peer's own process


def cpu():
    t = os.times()
    return t.user + t.system


def timed(call):
    wall, used = time.perf_counter(), cpu()
    result = call()
    return result, {"seconds": time.perf_counter() - wall, "cpu_seconds": cpu() - used}


def child(case, data, out, threads):
    """One peer's call; prints figures, and leaves coordinates in `out` where there are some."""
    import numpy as np

    if case.startswith("read-"):
        from astropy.table import Table

        form = {"read-fits": "fits", "read-vot": "votable", "read-csv": "ascii.csv"}[case]

        def read():
            t = Table.read(data, format=form)
            # FITS columns are views of a mapped file until somebody looks.
            return t, [np.asarray(t[name]).sum() if t[name].dtype.kind in "fi" else len(t[name]) for name in t.colnames]

        (table, _), figures = timed(read)
        figures["rows"] = len(table)
    else:
        x = np.load(data)
        if case == "tsne-openTSNE":
            import openTSNE

            y, figures = timed(lambda: openTSNE.TSNE(perplexity=30, n_jobs=threads, random_state=0).fit(x))
            figures["kl"] = float(y.kl_divergence)
            np.save(out, np.asarray(y, dtype=np.float32))
        elif case == "tsne-scikit-learn":
            from sklearn.manifold import TSNE

            t = TSNE(perplexity=30, random_state=0, n_jobs=threads)
            y, figures = timed(lambda: t.fit_transform(x))
            figures["kl"] = float(t.kl_divergence_)
            np.save(out, y.astype(np.float32))
        elif case == "pca":
            from sklearn.decomposition import PCA

            p = PCA(2, random_state=0)
            _, figures = timed(lambda: p.fit_transform(x))
            figures["explained"] = float(p.explained_variance_ratio_.sum())
        elif case == "kmeans":
            from sklearn.cluster import KMeans

            k = KMeans(10, n_init=1, random_state=0)
            _, figures = timed(lambda: k.fit(x))
            figures["inertia"] = float(k.inertia_)
        else:
            sys.exit(f"no case {case}")
    print(json.dumps(figures))


# ---------------------------------------------------------------------- outside


class Times:
    def __init__(self, a):
        self.a, self.lines = a, []
        self.own = None if a.keep else tempfile.TemporaryDirectory(prefix="asterism-peers-")
        self.folder = Path(a.keep or self.own.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(a.threads), OPENBLAS_NUM_THREADS=str(a.threads))

    def peer(self, case, data, out="-"):
        words = [sys.executable, __file__, "--child", case, str(data), str(out), "--threads", str(self.a.threads)]
        done = subprocess.run(words, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(f"{case}: {done.stderr.strip().splitlines()[-1:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def ours(self, words):
        """Our program's figures, with wall and CPU seconds of the process."""
        before = os.times()
        wall = time.perf_counter()
        done = subprocess.run([self.a.asterism, *map(str, words), "--json", "--threads", str(self.a.threads)], capture_output=True, text=True)
        after = os.times()
        if done.returncode:
            raise RuntimeError(f"asterism {words[0]}: {done.stderr.strip()}")
        figures = json.loads(done.stdout)
        figures["process_seconds"] = time.perf_counter() - wall
        figures["cpu_seconds"] = after.children_user + after.children_system - before.children_user - before.children_system
        if isinstance(figures.get("seconds"), dict):
            figures["stages"] = figures["seconds"]
            figures["seconds"] = sum(s for name, s in figures["stages"].items() if name not in ("read", "write", "quality"))
        return figures

    def line(self, case, name, here, there, quality=("", "")):
        ratio = lambda key: there[key] / here[key] if here[key] > 0 else float("inf")
        self.lines.append(
            {
                "case": case, "peer": name,
                "here": {"seconds": here["seconds"], "cpu_seconds": here["cpu_seconds"], "quality": quality[0]},
                "there": {"seconds": there["seconds"], "cpu_seconds": there["cpu_seconds"], "quality": quality[1]},
                "times_faster": ratio("seconds"), "times_less_cpu": ratio("cpu_seconds"),
            }
        )
        print(f"{case} against {name}: {ratio('seconds'):.2g} times faster, {ratio('cpu_seconds'):.2g} times less CPU", file=sys.stderr)

    # ------------------------------------------------------------------ cases

    def tsne(self, case, x):
        import numpy as np
        from sklearn.manifold import trustworthiness

        data = self.folder / f"{case}.npy"
        np.save(data, x)
        # Trustworthiness needs all distances: of many rows a fair part is asked.
        some = np.random.default_rng(0).permutation(len(x))[:2500]

        def judge(path, figures):
            y = np.load(path)
            return f"trustworthiness {trustworthiness(x[some], y[some], n_neighbors=15):.4f}"

        mine = self.folder / f"{case}-ours.npy"
        here = self.ours(["reduce", data, "-o", mine, "--method", "tsne", "--perplexity", "30"])
        for name in ("openTSNE", "scikit-learn"):
            out = self.folder / f"{case}-{name}.npy"
            there = self.peer(f"tsne-{name}", data, out)
            self.line(case, name, here, there, (judge(mine, here), judge(out, there)))

    def tsne_digits(self):
        import numpy as np
        from sklearn.datasets import load_digits

        self.tsne("tsne-digits", load_digits().data.astype(np.float32))

    def tsne_ogle3(self):
        import numpy as np
        import pyarrow.parquet as pq

        subprocess.run([self.a.asterism, "sample", "ogle3", "-o", str(self.folder)], check=True, capture_output=True)
        # The rows of the sample are shuffled: the first 10,000 that have all of them are a fair sample.
        t = pq.read_table(self.folder / "ogle3.parquet", columns=["i_mag", "v_i", "period", "amplitude", "r21"]).to_pandas().dropna()
        x = t[:10_000].copy()
        x["period"] = np.log10(x["period"])
        x = x.to_numpy(dtype=np.float64)
        x = (x - np.median(x, axis=0)) / (np.percentile(x, 75, axis=0) - np.percentile(x, 25, axis=0))
        self.tsne("tsne-ogle3", x.astype(np.float32))

    def matrix(self, rows, dims):
        import numpy as np

        r = np.random.default_rng(1)
        centres = r.normal(size=(10, dims)) * 3
        return (centres[r.integers(0, 10, rows)] + r.normal(size=(rows, dims))).astype(np.float32)

    def pca(self):
        import numpy as np

        data = self.folder / "pca.npy"
        np.save(data, self.matrix(100_000, 50))
        here = self.ours(["reduce", data, "-o", self.folder / "pca-ours.npy", "--method", "pca"])
        there = self.peer("pca", data)
        mine = here.get("figures", {}).get("explained", float("nan"))
        self.line("pca", "scikit-learn", here, there, (f"explained {mine:.6f}", f"explained {there['explained']:.6f}"))

    def kmeans(self):
        import numpy as np
        import pyarrow.parquet as pq

        x = self.matrix(100_000, 10)
        data, mine = self.folder / "kmeans.npy", self.folder / "kmeans-ours.parquet"
        np.save(data, x)
        here = self.ours(["cluster", data, "-o", mine, "--method", "kmeans", "--k", "10"])
        there = self.peer("kmeans", data)
        t = pq.read_table(mine)
        label = np.asarray(t["cluster"])
        inertia = sum(((x[label == k] - x[label == k].mean(axis=0)) ** 2).sum() for k in np.unique(label))
        self.line("kmeans", "scikit-learn", here, there, (f"inertia {inertia:.0f}", f"inertia {there['inertia']:.0f}"))

    def read(self, only=None):
        files = self.folder / "files"
        for form in ("fits", "vot", "csv"):
            if only in (None, f"read-{form}"):
                got = self.ours(["bench", "read", "--only", form, "--rows", self.a.rows, "--keep", files])
                here = got["cases"][0]
                there = self.peer(f"read-{form}", files / f"bench.{form}")
                if there["rows"] != here["rows"]:
                    raise RuntimeError(f"read-{form}: {there['rows']} rows there, {here['rows']} here")
                self.line(f"read-{form}", "astropy", here, there)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    p.add_argument("--asterism", default=str(target / "release" / "asterism"))
    p.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    p.add_argument("--rows", type=int, default=1_000_000, help="of the files that are read")
    p.add_argument("--only", choices=["tsne-digits", "tsne-ogle3", "pca", "kmeans", "read-fits", "read-vot", "read-csv"])
    p.add_argument("--keep", help="a folder for the data")
    p.add_argument("--json", action="store_true")
    p.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.child:
        return child(*a.child, a.threads)
    if not Path(a.asterism).exists():
        sys.exit(f"{a.asterism} is not there: cargo build --release, or --asterism PATH")
    t = Times(a)
    for name, run in (("tsne-digits", t.tsne_digits), ("tsne-ogle3", t.tsne_ogle3), ("pca", t.pca), ("kmeans", t.kmeans)):
        if a.only in (None, name):
            run()
    if a.only is None or a.only.startswith("read-"):
        t.read(a.only)
    load = os.getloadavg()[0]
    if a.json:
        print(json.dumps({"threads": a.threads, "load": load, "cases": t.lines}))
        return
    print("| case | here | peer | faster | less CPU |\n| --- | --- | --- | --- | --- |")
    for l in t.lines:
        side = lambda s: f"{s['seconds']:.2f} s, {s['cpu_seconds']:.2f} s CPU" + (f"; {s['quality']}" if s["quality"] else "")
        print(f"| {l['case']} | {side(l['here'])} | {l['peer']}: {side(l['there'])} | {l['times_faster']:.2g} | {l['times_less_cpu']:.2g} |")
    print(f"\n{a.threads} threads; load at the end {load:.1f}.")


if __name__ == "__main__":
    main()
