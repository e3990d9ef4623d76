"""Maps, neighbours and groups: times other programs beside this crate on the same rows, and judges all maps by one program.

Once:
    python3 -m venv peers && peers/bin/pip install numpy scikit-learn openTSNE umap-learn pacmap faiss-cpu hdbscan manifolds-rs beartype
    apt-get install dataset-fashion-mnist                        # the images; --fashion names another folder
    cargo build --release -p asterism-reduce --example bench_reduce
Then:
    peers/bin/python tests/peers/time_reduce.py                   # all cases, as Markdown
    peers/bin/python tests/peers/time_reduce.py --only tsne-digits --only pca --sides ours
    peers/bin/python tests/peers/time_reduce.py --table           # what has been measured so far, nothing run

Every measurement is a process of its own; of each the call alone is timed inside it (CPU seconds of all threads, wall
seconds, growth of the resident memory over its start). OpenMP threads wait passively: spinning barriers on a busy
machine would be counted as the peers' work. Each runs with its own defaults but for what makes them comparable
(perplexity 30, numbers of neighbours and groups). Peers that need numba compile in a small run before. Results are
kept as JSON lines in the work folder; the table takes the median of those there are.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# ---------------------------------------------------------------------- inside a peer's own process


def cpu():
    t = os.times()
    return t.user + t.system


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Peak(threading.Thread):
    """The largest resident memory while it runs, MB."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.on = resident(), True

    def run(self):
        while self.on:
            self.most = max(self.most, resident())
            time.sleep(0.02)


def timed(call):
    before, peak = resident(), Peak()
    peak.start()
    wall, used = time.perf_counter(), cpu()
    result = call()
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": cpu() - used}
    peak.on = False
    peak.join()
    return result, figures | {"memory_before": before, "memory_peak": peak.most}


def child(peer, data, columns, out, threads):
    """One peer's call: prints figures and leaves a map in `out`."""
    import numpy as np

    x = np.fromfile(data, dtype="<f4").reshape(-1, columns)
    small = x[:2000].copy()
    y = None
    if peer == "openTSNE":
        import openTSNE

        y, figures = timed(lambda: openTSNE.TSNE(perplexity=30, n_jobs=threads, random_state=0).fit(x))
    elif peer == "manifolds-rs t-SNE":
        import manifolds_rs as mf

        y, figures = timed(lambda: mf.TSNE(perplexity=30.0, approx="fft_3k").fit_transform(x))
    elif peer == "umap-learn":
        import umap

        umap.UMAP(n_jobs=threads).fit_transform(small)
        y, figures = timed(lambda: umap.UMAP(n_jobs=threads).fit_transform(x))
    elif peer == "pacmap":
        import pacmap

        pacmap.PaCMAP(apply_pca=False).fit_transform(small, init="pca")
        y, figures = timed(lambda: pacmap.PaCMAP(apply_pca=False).fit_transform(x, init="pca"))
    elif peer == "faiss":
        import faiss

        faiss.omp_set_num_threads(threads)

        def search():
            index = faiss.IndexFlatL2(columns)
            index.add(x)
            return index.search(x, 91)

        _, figures = timed(search)
    elif peer == "scikit-learn PCA":
        from sklearn.decomposition import PCA

        p = PCA(50 if columns > 50 else 2, svd_solver="randomized" if columns > 50 else "auto", random_state=0)
        _, figures = timed(lambda: p.fit_transform(x))
        figures["explained"] = float(p.explained_variance_ratio_.sum())
    elif peer == "scikit-learn k-means":
        from sklearn.cluster import KMeans

        # What a round costs: the difference of a long and a short run from the same centres, so that neither the choice
        # of centres nor copying the rows counts.
        first = x[np.random.default_rng(0).choice(len(x), 10, replace=False)]
        whole, figures = timed(lambda: KMeans(10, n_init=1, random_state=0).fit(x))
        figures["inertia"] = float(whole.inertia_)

        def rounds(count):
            k = KMeans(10, init=first, n_init=1, max_iter=count, tol=0)
            _, f = timed(lambda: k.fit(x))
            return k.n_iter_, f

        import warnings

        warnings.simplefilter("ignore")
        (few, a), (many, b) = rounds(2), rounds(22)
        figures["per_round"] = (b["cpu_seconds"] - a["cpu_seconds"]) / max(1, many - few)
    elif peer == "hdbscan":
        import hdbscan

        _, figures = timed(lambda: hdbscan.HDBSCAN(50, min_samples=10, core_dist_n_jobs=threads).fit(x))
    else:
        sys.exit(f"no peer {peer}")
    if y is not None:
        np.asarray(y, dtype="<f4").tofile(out)
    print(json.dumps(figures))


# ---------------------------------------------------------------------- data


def images(folder, part):
    read = lambda name, skip: bytearray(gzip.decompress((Path(folder) / name).read_bytes())[skip:])
    return read(f"{part}-images-idx3-ubyte.gz", 16), read(f"{part}-labels-idx1-ubyte.gz", 8)


def mixture(rows):
    """30 clouds that fill seven of ten columns, noise in the other three."""
    import numpy as np

    r = np.random.default_rng(5)
    centres = np.zeros((30, 10))
    centres[:, :7] = 3 * r.normal(size=(30, 7))
    label = r.integers(0, 30, rows)
    return (centres[label] + r.normal(size=(rows, 10))).astype("<f4"), label.astype("u1")


def data(name, folder, fashion):
    """A file of rows (and one of labels), made when first asked for; its name, columns and labels."""
    import numpy as np

    columns = {"digits": 64, "fashion784": 784, "fashion": 50, "fashion10k": 50, "plane": 2, "blocks50": 50}.get(name, 10)
    file, labels = folder / f"{name}.f32", folder / f"{name}.u8"
    if not file.exists():
        if name == "digits":
            from sklearn.datasets import load_digits

            x, y = load_digits(return_X_y=True)
        elif name == "blocks50":
            r = np.random.default_rng(1)
            centres = r.normal(size=(10, 50)) * 3
            y = r.integers(0, 10, 100_000)
            x = centres[y] + r.normal(size=(100_000, 50))
        elif name.startswith("syn"):
            x, y = mixture({"syn200k": 200_000, "syn300k": 300_000, "syn1m": 1_000_000}[name])
        else:
            parts = [images(fashion, p) for p in ("train", "t10k")]
            x = np.concatenate([np.frombuffer(p[0], "u1").reshape(-1, 784) for p in parts]).astype("f4") / 255
            y = np.concatenate([np.frombuffer(p[1], "u1") for p in parts])
            if name != "fashion784":
                from sklearn.decomposition import PCA

                x = PCA(50, svd_solver="covariance_eigh").fit_transform(x)
            if name == "fashion10k":
                some = np.random.default_rng(0).permutation(len(x))[:10_000]
                x, y = x[some], y[some]
        np.asarray(x, dtype="<f4").tofile(file)
        np.asarray(y, dtype="u1").tofile(labels)
    return file, columns, labels


# ---------------------------------------------------------------------- outside

# Case: data, our job and settings, peers, targets by peer (CPU seconds here / there).
CASES = {
    "tsne-digits": ("digits", "map", {}, {"openTSNE": 0.30, "manifolds-rs t-SNE": 0.5}),
    "tsne-10k": ("fashion10k", "map", {}, {"openTSNE": 0.10, "manifolds-rs t-SNE": 0.5}),
    "tsne-70k": ("fashion", "map", {}, {"openTSNE": 0.20, "manifolds-rs t-SNE": 0.55}),
    "tsne-200k": ("syn200k", "map", {}, {"openTSNE": 0.20, "manifolds-rs t-SNE": 0.30}),
    "tsne-1m": ("syn1m", "map", {"iterations": 0, "exaggeration": 0}, {"openTSNE": 0.20, "manifolds-rs t-SNE": 0.30}),
    "neighbours": ("fashion", "neighbours", {"neighbours": 90}, {"faiss": 0.40}),
    "umap": ("fashion", "map", {"method": "umap"}, {"umap-learn": 0.20}),
    "pacmap": ("fashion", "map", {"method": "pacmap"}, {"pacmap": 0.50}),
    "pca": ("fashion784", "pca", {"dims": 50}, {"scikit-learn PCA": 0.15}),
    "pca-100k": ("blocks50", "pca", {"dims": 2}, {"scikit-learn PCA": 1.0}),
    "kmeans": ("fashion", "kmeans", {"neighbours": 10}, {"scikit-learn k-means": 0.50}),
    "hdbscan": ("fashion10k", "hdbscan", {}, {"hdbscan-rs": 1.0, "hdbscan": 0.86}),
}


class Run:
    def __init__(self, a):
        self.a = a
        self.folder = Path(a.work)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([*a.path, os.environ.get("PYTHONPATH", "")])
        threads = str(a.threads)
        self.environment = dict(
            os.environ, PYTHONPATH=path, OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT="0", KMP_BLOCKTIME="0", OMP_NUM_THREADS=threads,
            OPENBLAS_NUM_THREADS=threads, RAYON_NUM_THREADS=threads, NUMBA_NUM_THREADS=threads,
        )

    def call(self, words):
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(f"{words[:3]}: {done.stderr.strip().splitlines()[-1:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def judged(self, told, name, out):
        file, columns, labels = data(name, self.folder, self.a.fashion)
        q = self.call([self.a.bench, "judge", file, columns, "--map", out, "--labels", labels])
        return told | {k: q[k] for k in ("recall_10", "trustworthiness_15", "continuity_15", "triplets", "label_accuracy", "kl") if k in q}

    def one(self, case, side):
        name, job, settings, _ = CASES[case]
        file, columns, _ = data(name, self.folder, self.a.fashion)
        out = self.folder / f"{case}-{side.replace(' ', '-')}.f32"
        out.unlink(missing_ok=True)
        if side == "ours":
            told = self.call([self.a.bench, job, file, columns, json.dumps(settings), "--out", out])
            if job == "kmeans":
                # Wall seconds of the rounds, as CPU seconds by the ratio of the whole call.
                told["per_round"] = told["seconds_of_rounds"] / max(1, told["rounds"]) * told["cpu_seconds"] / told["seconds"]
        elif side == "hdbscan-rs":
            told = self.call([self.a.bench, "hdbscan-rs", file, columns])
        else:
            told = self.call([sys.executable, __file__, "--child", side, file, columns, out, "--threads", self.a.threads])
        if job == "map":
            told = self.judged(told, name, out)
        told |= {"case": case, "side": side, "load": os.getloadavg()[0]}
        with open(self.folder / "results.jsonl", "a") as f:
            f.write(json.dumps(told) + "\n")
        print(f"{case}, {side}: {told['cpu_seconds']:.2f} CPU s, {told['seconds']:.2f} s; load {told['load']:.1f}", file=sys.stderr)

    def table(self):
        """Markdown of all results there are."""
        lines = [json.loads(l) for l in open(self.folder / "results.jsonl")]

        def of(case, side):
            runs = [l for l in lines if (l["case"], l["side"]) == (case, side)]
            if not runs:
                return None
            keys = {k for r in runs for k, v in r.items() if isinstance(v, (int, float))}
            return {k: statistics.median(r[k] for r in runs if k in r) for k in keys} | {"runs": len(runs)}

        def quality(f):
            names = {"kl": "KL", "recall_10": "recall", "triplets": "triplets", "label_accuracy": "labels", "explained": "explained",
                     "inertia": "inertia", "groups": "groups"}
            form = lambda k: f"{f[k]:.0f}" if k in ("inertia", "groups") else f"{f[k]:.6f}" if k == "explained" else f"{f[k]:.3f}"
            return ", ".join(f"{n} {form(k)}" for k, n in names.items() if k in f)

        print("| case | here, CPU s (wall) | peer, CPU s (wall) | ratio | target | quality here | quality there | memory |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for case, (_, job, _, peers) in CASES.items():
            here = of(case, "ours")
            for peer, target in (peers or {"": None}).items():
                there = of(case, peer)
                if not here and not there:
                    continue
                key = "per_round" if job == "kmeans" else "cpu_seconds"
                side = lambda f: f"{f[key]:.3g} ({f['seconds']:.3g})" if f else "not run"
                ratio = f"{here[key] / there[key]:.3f}" if here and there else ""
                grown = lambda f: f["memory_peak"] - f["memory_before"]
                memory = f"{grown(here):.0f} / {grown(there):.0f} MB" if here and there else f"{grown(here):.0f} MB" if here else ""
                print(f"| {case} | {side(here)} | {peer} {side(there) if peer else ''} | {ratio} | {target or ''} | "
                      f"{quality(here) if here else ''} | {quality(there) if there else ''} | {memory} |")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    p.add_argument("--bench", default=str(target / "release" / "examples" / "bench_reduce"))
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--only", action="append", choices=list(CASES))
    p.add_argument("--sides", nargs="+", help="only these: ours and names of peers")
    p.add_argument("--runs", type=int, default=1, help="interleaved: ours, peer, ours, peer")
    p.add_argument("--work", default="peers-reduce", help="folder for data, maps and results")
    p.add_argument("--fashion", default="/usr/share/datasets/fashion-mnist")
    p.add_argument("--path", action="append", default=[], help="a folder of Python packages")
    p.add_argument("--table", action="store_true")
    p.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.child:
        peer, file, columns, out = a.child
        return child(peer, file, int(columns), out, a.threads)
    run = Run(a)
    if not a.table:
        for case in a.only or CASES:
            for _ in range(a.runs):
                for side in ["ours", *CASES[case][3]]:
                    if not a.sides or side in a.sides:
                        try:
                            run.one(case, side)
                        except RuntimeError as e:
                            print(e, file=sys.stderr)
    run.table()


if __name__ == "__main__":
    main()
