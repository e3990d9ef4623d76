"""Records how good maps of umap-learn and pacmap are, for the tests of the reduce crate.

Run next to this file, with numpy, scikit-learn, umap-learn and pacmap installed:  python record_maps.py
It writes maps.json: the classes of the digits in digits.bin, and figures of five seeds each (median).
"""

import json
import sys

import numpy as np
import pacmap
import sklearn
import umap
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors


def neighbours(x, k):
    """The k nearest other rows."""
    near = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(x).kneighbors(x, return_distance=False)
    return np.array([[j for j in row if j != i][:k] for i, row in enumerate(near)])


def figures(x, y, labels):
    """Share of ten neighbours kept, trustworthiness, and how often the ten nearest on the map name the class."""
    a, b = neighbours(x, 10), neighbours(y, 10)
    recall = np.mean([len(set(p) & set(q)) / 10 for p, q in zip(a, b)])
    votes = np.array([np.bincount(labels[row], minlength=10) for row in b])
    rng = np.random.default_rng(0)
    i, j, k = (rng.integers(0, len(x), 200_000) for _ in range(3))
    ok = (i != j) & (i != k) & (j != k)
    i, j, k = i[ok], j[ok], k[ok]
    far = lambda v, p, q: ((v[p] - v[q]) ** 2).sum(1)
    triplets = np.mean((far(x, i, j) < far(x, i, k)) == (far(y, i, j) < far(y, i, k)))
    return {
        "recall_10": float(recall),
        "trustworthiness_15": float(trustworthiness(x, y, n_neighbors=15)),
        "labels": float(np.mean(votes.argmax(1) == labels)),
        "triplets": float(triplets),
    }


def middle(runs):
    return {key: float(np.median([r[key] for r in runs])) for key in runs[0]}


def main():
    digits = load_digits()
    x, labels = digits.data.astype(np.float32), digits.target
    out = {
        "versions": {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__, "umap-learn": umap.__version__, "pacmap": "0.9.1"},
        "classes": labels.tolist(),
        "umap": middle([figures(x, umap.UMAP(random_state=s).fit_transform(x), labels) for s in range(5)]),
        "pacmap": middle([figures(x, pacmap.PaCMAP(random_state=s).fit_transform(x), labels) for s in range(5)]),
    }
    # Nine tenths mapped, the last tenth placed on it: how often the classes around the new rows are their own.
    fit, new = np.arange(len(x)) % 10 != 0, np.arange(len(x)) % 10 == 0
    m = umap.UMAP(random_state=0).fit(x[fit])
    near = NearestNeighbors(n_neighbors=10).fit(m.embedding_).kneighbors(m.transform(x[new]), return_distance=False)
    votes = np.array([np.bincount(labels[fit][row], minlength=10) for row in near])
    out["umap"]["placed_labels"] = float(np.mean(votes.argmax(1) == labels[new]))
    with open("maps.json", "w") as f:
        json.dump(out, f)
    print({k: out[k] for k in ("umap", "pacmap")})


if __name__ == "__main__":
    main()
