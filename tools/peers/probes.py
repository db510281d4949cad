"""scikit-learn beside our probes: logistic regression and exact nearest neighbours on the same features.

    python tools/peers/probes.py make FOLDER
    python tools/peers/probes.py linear FOLDER [--threads 2]
    python tools/peers/probes.py neighbours FOLDER [--threads 2]
    python tools/peers/probes.py check FOLDER

`make` writes features of 10 classes; `linear` and `neighbours` time scikit-learn and leave their results in the folder;
`check` reads the results of both sides there and computes what they are judged by, in f64 and apart from either. Each
prints one JSON line. tools/peers/probes.mjs runs them.
"""
import argparse
import json
import os
import time

import numpy as np
from threadpoolctl import threadpool_limits

ROWS, QUERIES, DIM, CLASSES, NEIGHBOURS = 50_000, 10_000, 1024, 10, 20
# Of our LinearConfig: the weight of sum(W^2), and the largest magnitude in the gradient at which a fit has converged.
L2, TOLERANCE, MAX_ITERATIONS = 1e-4, 3e-5, 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('command', choices=['make', 'linear', 'neighbours', 'check'])
    parser.add_argument('folder')
    parser.add_argument('--threads', type=int, default=2)
    options = parser.parse_args()
    os.chdir(options.folder)
    command = {'make': make, 'linear': linear, 'neighbours': neighbours, 'check': check}[options.command]
    with threadpool_limits(options.threads):
        print(json.dumps(command()))


def make():
    """Directions whose scale decays, classes that overlap along them, mixed into all columns."""
    random = np.random.default_rng(1)
    scales = np.arange(1, DIM + 1, dtype=np.float32) ** -0.5
    mix = np.linalg.qr(random.standard_normal((DIM, DIM), dtype=np.float32))[0] * np.float32(DIM**0.5)
    centres = 0.07 * random.standard_normal((CLASSES, DIM), dtype=np.float32)
    shift = 0.3 * random.standard_normal(DIM, dtype=np.float32)
    for name, rows in (('train', ROWS), ('test', QUERIES)):
        labels = random.integers(CLASSES, size=rows, dtype=np.uint32)
        latent = (random.standard_normal((rows, DIM), dtype=np.float32) + centres[labels]) * scales
        (latent @ mix + shift).tofile(f'{name}.f32')
        labels.tofile(f'{name}.labels')
    return {'rows': ROWS, 'queries': QUERIES, 'dim': DIM, 'classes': CLASSES, 'k': NEIGHBOURS,
            'l2': L2, 'tolerance': TOLERANCE, 'max_iterations': MAX_ITERATIONS}


def features(name):
    return np.fromfile(f'{name}.f32', np.float32).reshape(-1, DIM)


def labels(name):
    return np.fromfile(f'{name}.labels', np.uint32)


def linear():
    """Weights and biases for features as they are go to theirs.probe: `[classes, dim]`, then `[classes]`."""
    import sklearn
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    # In f64, which is the faster for it: its weights are f64, and f32 features would be converted for every product.
    x, y = features('train').astype(np.float64), labels('train')
    began = time.perf_counter()
    scaler = StandardScaler()
    standardised = scaler.fit_transform(x)
    # Its penalty is sum(W^2) / (2 C) beside the sum of the losses; ours is l2 sum(W^2) beside their mean.
    model = LogisticRegression(C=1 / (2 * L2 * len(y)), tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    model.fit(standardised, y)
    seconds = time.perf_counter() - began
    weights = model.coef_ / scaler.scale_
    bias = model.intercept_ - weights @ scaler.mean_
    np.concatenate([weights.ravel(), bias]).astype(np.float64).tofile('theirs.probe')
    return {'seconds': seconds, 'iterations': int(model.n_iter_.max()), 'sklearn': sklearn.__version__}


def neighbours():
    from sklearn.neighbors import NearestNeighbors

    base, queries = features('train'), features('test')
    began = time.perf_counter()
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm='brute', metric='cosine', n_jobs=2).fit(base)
    distances, indices = search.kneighbors(queries)
    seconds = time.perf_counter() - began
    (1 - distances).astype(np.float32).tofile('theirs.similarities')
    indices.astype(np.uint32).tofile('theirs.indices')
    return {'seconds': seconds}


def check():
    return {'linear': check_linear(), 'neighbours': check_neighbours()}


def check_linear():
    """The objective that both minimise, and the accuracy."""
    x = features('train').astype(np.float64)
    y, std = labels('train'), x.std(axis=0)
    test, test_labels = features('test').astype(np.float64), labels('test')
    result = {}
    for side in ('ours', 'theirs'):
        probe = np.fromfile(f'{side}.probe', np.float64)
        weights, bias = probe[:-CLASSES].reshape(CLASSES, DIM), probe[-CLASSES:]
        scores = x @ weights.T + bias
        largest = scores.max(axis=1)
        loss = np.log(np.exp(scores - largest[:, None]).sum(axis=1)) + largest - scores[np.arange(len(y)), y]
        result[side] = {
            # The penalty is on the weights of standardised features.
            'objective': loss.mean() + L2 * ((weights * std) ** 2).sum(),
            'accuracy': float(((test @ weights.T + bias).argmax(axis=1) == test_labels).mean()),
        }
    return result


def check_neighbours():
    """Of both sides' neighbours: the share that is the same, and the largest difference of the similarities."""
    of = lambda side, what, dtype: np.fromfile(f'{side}.{what}', dtype).reshape(-1, NEIGHBOURS)
    ours, theirs = of('ours', 'indices', np.uint32), of('theirs', 'indices', np.uint32)
    same = np.mean([len(np.intersect1d(a, b)) for a, b in zip(ours, theirs)]) / NEIGHBOURS
    difference = np.abs(of('ours', 'similarities', np.float32) - of('theirs', 'similarities', np.float32)).max()
    return {'same': float(same), 'difference': float(difference)}


if __name__ == '__main__':
    main()
