"""The metrics of common/evaluate/metrics.h, written again with numpy and scipy,
by the shortest way. Called by metrics_test.cc:

    metrics.py FOLDER FEATURES CLASSES

reads the float32 matrices `real`, `generated` and `probabilities` in FOLDER and
prints a name and a number a line.
"""

import pathlib
import sys

import numpy as np
import scipy.linalg


def matrix(name, width):
    values = np.fromfile(pathlib.Path(sys.argv[1]) / name, np.float32)
    return values.reshape(-1, int(width)).astype(np.float64)


def frechet(a, b):
    sigma_a, sigma_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(sigma_a @ sigma_b).real
    means = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return means + np.trace(sigma_a + sigma_b - 2 * root)


def kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def kernel_distance(a, b):
    n = len(a)
    off = ~np.eye(n, dtype=bool)
    return (kernel(a, a)[off].sum() + kernel(b, b)[off].sum()) / (
        n * (n - 1)
    ) - 2 * kernel(a, b).mean()


def distances(a, b):
    return np.linalg.norm(a[:, None] - b[None], axis=2)


def share_among(points, others, neighbour=3):
    radii = np.sort(distances(others, others), axis=1)[:, neighbour]
    return (distances(points, others) <= radii).any(1).mean()


def inception_scores(p, splits=10):
    scores = []
    for part in np.array_split(p, splits):
        divergence = (part * (np.log(part) - np.log(part.mean(0)))).sum(1)
        scores.append(np.exp(divergence.mean()))
    return np.array(scores)


def main():
    real, generated = (matrix(x, sys.argv[2]) for x in ("real", "generated"))
    precision = share_among(generated, real)
    recall = share_among(real, generated)
    scores = inception_scores(matrix("probabilities", sys.argv[3]))
    for name, value in {
        "frechet_inception_distance": frechet(real, generated),
        "kernel_inception_distance_mean": kernel_distance(
            real[: len(generated)], generated
        ),
        "precision": precision,
        "recall": recall,
        "f_score": 2 * precision * recall / (precision + recall),
        "inception_score_mean": scores.mean(),
        "inception_score_std": scores.std(),
    }.items():
        print(name, repr(float(value)))


main()
