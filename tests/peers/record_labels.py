"""Records how often the ten nearest rows name a digit's class, by scikit-learn, for the tests of the reduce crate.

Run next to this file, with numpy and scikit-learn installed:  python record_labels.py
It writes labels.json: the share for the digits of digits.bin themselves and for their first two principal components, with
every row and with the labels of every third row taken away (such rows neither vote nor count).
"""

import json

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier


def accuracy(y, labels, k):
    """Leave-one-out: asked for no rows in particular, a fitted row is not its own neighbour."""
    return float(np.mean(KNeighborsClassifier(k).fit(y, labels).predict(None) == labels))


def main():
    x, labels = load_digits(return_X_y=True)
    some = np.arange(len(x)) % 3 != 0
    map2 = PCA(2, svd_solver="full").fit_transform(x)
    out = {"versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__}}
    for name, y in (("digits", x), ("components", map2)):
        out[name] = {str(k): accuracy(y, labels, k) for k in (1, 10)} | {"some_10": accuracy(y[some], labels[some], 10)}
    with open("labels.json", "w") as f:
        json.dump(out, f)
    print(out)


if __name__ == "__main__":
    main()
