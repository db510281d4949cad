"""Writes the reference values of crates/amdim-eval/tests/measures.rs, computed by numpy, scipy and scikit-learn.

    python tools/make-eval-reference.py > crates/amdim-eval/tests/reference/measures.json

Made with numpy 2, scipy 1 and scikit-learn 1; the values do not depend on their versions beyond rounding.
"""
import json
import sys

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import pdist
from scipy.stats import binomtest
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    average_precision_score,
    confusion_matrix,
    normalized_mutual_info_score,
)

ROWS, DIM, CLASSES = 120, 12, 4


def make_features(rng):
    labels = rng.integers(0, CLASSES, ROWS)
    centres = rng.normal(size=(CLASSES, DIM))
    scales = np.arange(1, DIM + 1) ** -0.6
    features = (centres[labels] * 0.9 + rng.normal(size=(ROWS, DIM))) * scales + 0.3
    return features.astype(np.float32), labels


def rank_me(features):
    values = np.linalg.svd(features, compute_uv=False)
    shares = values / values.sum() + 1e-7
    return np.exp(-(shares * np.log(shares)).sum())


def mean_average_precision(units, labels):
    similarities = units @ units.T
    found = []
    for query in range(ROWS):
        others = np.arange(ROWS) != query
        found.append(average_precision_score(labels[others] == labels[query], similarities[query, others]))
    return np.mean(found)


def recall(units, labels, k):
    similarities = units @ units.T
    np.fill_diagonal(similarities, -2)
    nearest = np.argsort(-similarities, axis=1)[:, :k]
    return (labels[nearest] == labels[:, None]).any(axis=1).mean()


def agreement(clusters, labels):
    table = confusion_matrix(clusters, labels)
    rows, columns = linear_sum_assignment(-table)
    return {
        "nmi": normalized_mutual_info_score(labels, clusters),
        "ari": adjusted_rand_score(labels, clusters),
        "accuracy": table[rows, columns].sum() / len(labels),
    }


def main():
    rng = np.random.default_rng(1)
    features, labels = make_features(rng)
    views = (features + rng.normal(size=features.shape) * 0.2).astype(np.float32)
    exact = features.astype(np.float64)
    units = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    other = views / np.linalg.norm(views.astype(np.float64), axis=1, keepdims=True)
    means = KMeans(CLASSES, n_init=2000, random_state=1, tol=0, max_iter=1000).fit(units)
    random_clusters = rng.integers(0, 5, ROWS)
    reference = {
        "dim": DIM,
        "features": features.ravel().tolist(),
        "views": views.ravel().tolist(),
        "labels": labels.tolist(),
        "rankMe": rank_me(exact),
        "wideRankMe": rank_me(exact[:7]),
        "eigenvalues": np.linalg.eigvalsh(np.cov(exact.T))[::-1].tolist(),
        "wideEigenvalues": np.linalg.eigvalsh(np.cov(exact[:7].T))[::-1][:7].tolist(),
        "alignment": ((units - other) ** 2).sum(axis=1).mean(),
        "uniformity": np.log(np.exp(-2 * pdist(units, "sqeuclidean")).mean()),
        "meanAveragePrecision": mean_average_precision(units, labels),
        "recall": [recall(units, labels, k) for k in (1, 2, 5)],
        "inertia": means.inertia_,
        "clusters": means.labels_.tolist(),
        "agreement": agreement(means.labels_, labels),
        "randomClusters": random_clusters.tolist(),
        "randomAgreement": agreement(random_clusters, labels),
        "pValues": [[a, b, binomtest(a, a + b).pvalue] for a, b in ((3, 9), (40, 61), (700, 830), (5000, 5300))],
    }
    json.dump(reference, sys.stdout)


main()
