"""Records outlier scores, mixtures and mutual information of scikit-learn, for the tests of the reduce crate.

Run next to this file, with numpy and scikit-learn installed:  python record_groups.py
It writes groups.json; the points are inside.
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.datasets import load_digits, make_blobs
from sklearn.ensemble import IsolationForest
from sklearn.feature_selection import mutual_info_regression
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor


def main():
    out = {"versions": {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__}}
    rng = np.random.default_rng(4)

    # Three clouds of different width and 30 rows strewn over all of them.
    clouds, _ = make_blobs(570, centers=[[0, 0, 0], [8, 0, 2], [0, 9, -3]], cluster_std=[0.4, 1.0, 2.0], random_state=3)
    points = np.round(np.vstack([clouds, rng.uniform(-12, 16, (30, 3))]), 4)
    strewn = np.arange(600) >= 570
    out["points"] = points.ravel().tolist()
    lof = LocalOutlierFactor(n_neighbors=20).fit(points)
    out["lof_20"] = (-lof.negative_outlier_factor_).tolist()
    novel = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(points[:500])
    out["lof_new"] = (-novel.score_samples(points[500:])).tolist()
    forests = [IsolationForest(n_estimators=100, max_samples=256, random_state=s).fit(points) for s in range(5)]
    scores = np.mean([-f.score_samples(points) for f in forests], axis=0)
    out["forest"] = {"scores": scores.tolist(), "auc": float(roc_auc_score(strewn, scores))}

    # Mixtures of the clouds alone: mean log-likelihood and BIC, the best of ten starts.
    out["mixture"] = {}
    for kind in ("full", "diag"):
        fits = [GaussianMixture(k, covariance_type=kind, n_init=10, random_state=0, tol=1e-6, max_iter=500, reg_covar=1e-9).fit(clouds.round(4)) for k in range(1, 7)]
        out["mixture"][kind] = {
            "log_likelihood": [float(f.score(clouds.round(4))) for f in fits],
            "bic": [float(f.bic(clouds.round(4))) for f in fits],
        }
    digits = load_digits().data
    low = (digits - digits.mean(0)) @ np.linalg.svd(digits - digits.mean(0), full_matrices=False)[2][:6].T
    fit = GaussianMixture(10, covariance_type="full", n_init=10, random_state=0, tol=1e-6, max_iter=500, reg_covar=1e-6).fit(low)
    out["mixture"]["digits"] = {"log_likelihood": float(fit.score(low)), "bic": float(fit.bic(low))}

    # Mutual information (Kraskov, three neighbours, nats) of columns that depend on a target by more and more noise.
    t = rng.normal(size=1500)
    columns = np.stack([t**2 + s * rng.normal(size=1500) for s in (0.1, 0.5, 2.0)] + [rng.normal(size=1500)], axis=1)
    t, columns = np.round(t, 5), np.round(columns, 5)
    out["information"] = {
        "target": t.tolist(),
        "columns": columns.ravel().tolist(),
        "nats": mutual_info_regression(columns, t, n_neighbors=3, random_state=0).tolist(),
    }
    with open("groups.json", "w") as f:
        json.dump(out, f)
    print(out["mixture"], out["information"]["nats"], out["forest"]["auc"])


if __name__ == "__main__":
    main()
