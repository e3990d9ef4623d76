"""Times the autoencoder of this program beside PyTorch's on Fashion-MNIST, 70,000 x 784, in turn, and prints the ratio.

The data are the Debian package dataset-fashion-mnist. Once:
    python3 -m venv peers && peers/bin/pip install torch numpy
    cargo build --release -p asterism-reduce --example bench_autoencoder
Then:
    peers/bin/python tests/peers/time_autoencoder.py [--runs 3] [--threads 2]

Both train 784-256-64-2 and back, batches of 512, Adam, 5 epochs, on the processor. PyTorch gets ReLU, fused Adam at 1e-3 and all
rows in memory; ours its own defaults (SiLU, a cosine of the learning rate, a hold-out that is judged after every epoch). CPU
seconds (user and system, all threads) are of the training alone; the error is that of all rows afterwards, in the same units.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path("/usr/share/datasets/fashion-mnist")


def data():
    import numpy as np

    parts = [gzip.open(FOLDER / f"{name}-images-idx3-ubyte.gz").read()[16:] for name in ("train", "t10k")]
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 784).astype("<f4") / np.float32(255)


def cpu():
    t = os.times()
    return t.user + t.system


def peer(path, a):
    """PyTorch, in a process of its own."""
    import time

    import numpy as np
    import torch

    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    x = torch.from_numpy(np.fromfile(path, "<f4").reshape(-1, 784))
    x = x - x.mean(0)
    sizes = [784, 256, 64, 2]
    layers = []
    for chain in (sizes, sizes[::-1]):
        for i, (m, n) in enumerate(zip(chain, chain[1:])):
            layers.append(torch.nn.Linear(m, n))
            if i + 2 < len(chain):
                layers.append(torch.nn.ReLU())
    net = torch.nn.Sequential(*layers)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    used, wall = cpu(), time.perf_counter()
    for _ in range(a.epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x) - 511, 512):
            rows = x[order[i : i + 512]]
            loss = torch.nn.functional.mse_loss(net(rows), rows)
            adam.zero_grad()
            loss.backward()
            adam.step()
    used, wall = cpu() - used, time.perf_counter() - wall
    with torch.no_grad():
        mse = float(np.mean([float(((net(r) - r) ** 2).mean()) for r in x.split(5000)]))
    print(json.dumps({"cpu": used, "wall": wall, "mse": mse, "version": torch.__version__}))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    p.add_argument("--bench", default=str(target / "release" / "examples" / "bench_autoencoder"))
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--settings", default="{}", help="more settings of ours, as JSON")
    p.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    p.add_argument("--child", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.child:
        return peer(a.child, a)
    words = lambda *w: json.loads(subprocess.run([str(v) for v in w], check=True, capture_output=True, text=True, env=env).stdout)
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads), RAYON_NUM_THREADS=str(a.threads), OMP_WAIT_POLICY="PASSIVE")
    with tempfile.NamedTemporaryFile(suffix=".f32") as f:
        data().tofile(f.name)
        ours, theirs = [], []
        for seed in range(a.runs):
            settings = {"layers": [256, 64], "batch": 512, "epochs": a.epochs, "seed": seed, **json.loads(a.settings)}
            got = words(a.bench, f.name, 784, json.dumps(settings))
            ours.append({**got["training"], "mse": got["mse"], "all": got["all"]["cpu"]})
            theirs.append(words(sys.executable, __file__, "--child", f.name, "--threads", a.threads, "--epochs", a.epochs, "--seed", seed))
            print(f"run {seed}: ours {ours[-1]}, PyTorch {theirs[-1]}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    middle = lambda runs, key: statistics.median(r[key] for r in runs)
    for key in ("cpu", "wall", "mse"):
        print(f"{key}: ours {middle(ours, key):.4g}, PyTorch {middle(theirs, key):.4g}, ratio {middle(ours, key) / middle(theirs, key):.3f}")


if __name__ == "__main__":
    main()
