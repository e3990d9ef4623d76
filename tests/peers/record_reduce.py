"""Records what scikit-learn and openTSNE answer, for the tests of the reduce crate.

Run next to this file, with numpy, scikit-learn and openTSNE installed:  python record_reduce.py
It writes digits.bin (the images, one byte a pixel) and reduce.json.
"""

import json
import sys

import numpy as np
import openTSNE
import sklearn
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_rand_score


def exact_kl(x, y, perplexity=30):
    """Divergence of a map with exact neighbours and an exact normalisation."""
    p = openTSNE.affinity.PerplexityBasedNN(x, perplexity=perplexity, method="exact").P.tocoo()
    q = 1 / (1 + squareform(pdist(y, "sqeuclidean")))
    np.fill_diagonal(q, 0)
    q = q / q.sum()
    keep = p.data > 0
    return float(np.sum(p.data[keep] * np.log(p.data[keep] / q[p.row[keep], p.col[keep]])))


def main():
    digits = load_digits()
    x = digits.data.astype(np.float64)
    n, d = x.shape
    x.astype(np.uint8).tofile("digits.bin")
    out = {"versions": {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__, "openTSNE": openTSNE.__version__}}

    pca = PCA(10, svd_solver="full").fit(x)
    out["pca"] = {"variance": pca.explained_variance_.tolist(), "ratio": pca.explained_variance_ratio_.tolist(), "first": pca.components_[0].tolist()}

    # A tiny known offset so that no two distances tie: ranks are then the same for everybody.
    i, j = np.meshgrid(np.arange(n), np.arange(d), indexing="ij")
    untied = (x + 0.1 * np.sin(0.37 * i + 1.3 * j)).astype(np.float32)
    y = np.stack([np.sin(0.01 * np.arange(n)) * 20 + pca.transform(x)[:, 0], pca.transform(x)[:, 1]], axis=1).astype(np.float32)
    y = np.round(y, 3)
    y += (1e-4 * np.arange(n)[:, None]).astype(np.float32)
    out["trustworthiness"] = {
        "map": [round(float(v), 6) for v in y.ravel()],
        "k15": float(trustworthiness(untied, np.array([round(float(v), 6) for v in y.ravel()], dtype=np.float32).reshape(n, 2), n_neighbors=15)),
    }

    t = openTSNE.TSNE(perplexity=30, random_state=0, n_jobs=2).fit(x)
    t = np.asarray(t)
    out["tsne"] = {"kl": exact_kl(x, t), "trustworthiness_15": float(trustworthiness(x, t, n_neighbors=15))}

    km = KMeans(10, n_init=10, random_state=0).fit(x)
    out["kmeans"] = {"inertia": float(km.inertia_)}

    blobs, _ = make_blobs(300, centers=[[0, 0], [6, 0], [0, 6]], cluster_std=[0.5, 0.7, 1.0], random_state=1)
    blobs = np.round(np.vstack([blobs, np.random.default_rng(2).uniform(-4, 10, (40, 2))]), 3)
    h = HDBSCAN(min_cluster_size=15, min_samples=10).fit(blobs)
    out["hdbscan"] = {"points": blobs.ravel().tolist(), "labels": h.labels_.tolist(), "truth": "3 blobs and 40 uniform points"}

    with open("reduce.json", "w") as f:
        json.dump(out, f)
    print({k: v for k, v in out["tsne"].items()}, out["kmeans"], out["trustworthiness"]["k15"], adjusted_rand_score(h.labels_, h.labels_))


if __name__ == "__main__":
    main()
