"""Every metric: outputs, labels, and its value by NumPy or scikit-learn."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn import metrics as sklearn

from jaxnn import metrics

RNG = np.random.default_rng(0)
N = 60
LOGITS = RNG.normal(size=(N, 4)).astype(np.float32)
LABELS = RNG.integers(0, 4, N)
Y = RNG.normal(size=(N, 3)).astype(np.float32)
PREDICTED = (Y + RNG.normal(size=(N, 3)) / 2).astype(np.float32)
FAR, NEAR = (1e4 + np.stack([Y[:, 0], PREDICTED[:, 0]])).astype(np.float32)
WEIGHT = RNG.integers(0, 3, N).astype(np.float32)


def softmax(z):
    p = np.exp(np.float64(z))
    return p / p.sum(-1, keepdims=True)


def average(values, w):
    return np.average(values, weights=np.broadcast_to(np.reshape(w, (len(w), 1)), values.shape))


def top_2(z, y, w):
    ranks = np.argsort(-z, axis=-1, kind="stable")
    return np.average((ranks[:, :2] == y[:, None]).any(1), weights=w)


def confusion(z, y, w):
    counts = np.zeros((4, 4))
    for predicted, true, weight in zip(z.argmax(1), y, w, strict=True):
        counts[true, predicted] += weight
    return counts


def calibration(z, y, w, bins):
    confidence, right, error = softmax(z).max(1), z.argmax(1) == y, 0.0
    for low, high in zip(np.arange(bins) / bins, np.arange(1, bins + 1) / bins, strict=True):
        inside = (confidence > low) & (confidence <= high)
        if w[inside].sum():
            gap = np.average(right[inside] - confidence[inside], weights=w[inside])
            error += w[inside].sum() / w.sum() * abs(gap)
    return error


def r2(predicted, y, w):
    y, predicted = np.float64(y).reshape(len(y), -1), np.float64(predicted).reshape(len(y), -1)
    mean = np.average(y, axis=0, weights=w)
    return np.mean(1 - (w @ (predicted - y) ** 2) / (w @ (y - mean) ** 2))


def of_classes(score, average):
    """Of scikit-learn."""
    labels = range(4) if average is None else None
    return lambda z, y, w: score(
        y, z.argmax(1), sample_weight=w, average=average, labels=labels, zero_division=0
    )


def of_outputs(score, above, average="macro"):
    return lambda z, y, w: score(y, z > above, sample_weight=w, average=average, zero_division=0)


def one_against_rest(z, y, w):
    p = softmax(z)
    return np.mean([sklearn.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in range(4)])


YES = PREDICTED > 0
COARSE = np.round(2 * Y[:, 0]) / 2  # with equal scores
P, R, F = sklearn.precision_score, sklearn.recall_score, sklearn.f1_score
LOGIT_OF_70 = float(np.log(0.7 / 0.3))

METRICS = {
    "accuracy": (
        metrics.accuracy,
        LOGITS,
        LABELS,
        lambda z, y, w: np.average(z.argmax(1) == y, weights=w),
    ),
    "top_2": (partial(metrics.top_k_accuracy, k=2), LOGITS, LABELS, top_2),
    "binary": (metrics.binary_accuracy, Y, PREDICTED > 0, lambda z, y, w: average((z > 0) == y, w)),
    "confusion": (metrics.confusion_matrix, LOGITS, LABELS, confusion),
    "nll": (
        metrics.negative_log_likelihood,
        LOGITS,
        LABELS,
        lambda z, y, w: np.average(-np.log(softmax(z)[np.arange(len(y)), y]), weights=w),
    ),
    "calibration": (
        partial(metrics.calibration_error, bins=7),
        LOGITS,
        LABELS,
        partial(calibration, bins=7),
    ),
    "mse": (metrics.mean_squared_error, PREDICTED, Y, lambda p, y, w: average((p - y) ** 2, w)),
    "mae": (metrics.mean_absolute_error, PREDICTED, Y, lambda p, y, w: average(abs(p - y), w)),
    "r2": (metrics.r2, PREDICTED, Y, r2),
    "r2 far from 0": (metrics.r2, NEAR, FAR, r2),
    "perplexity": (
        metrics.perplexity,
        LOGITS,
        LABELS,
        lambda z, y, w: np.exp(sklearn.log_loss(y, softmax(z), sample_weight=w, labels=range(4))),
    ),
    "precision": (metrics.precision, LOGITS, LABELS, of_classes(P, "macro")),
    "recall": (metrics.recall, LOGITS, LABELS, of_classes(R, "macro")),
    "f1": (metrics.f1, LOGITS, LABELS, of_classes(F, "macro")),
    "f1 micro": (partial(metrics.f1, average="micro"), LOGITS, LABELS, of_classes(F, "micro")),
    "f1 each": (partial(metrics.f1, average=None), LOGITS, LABELS, of_classes(F, None)),
    "precision of 1s": (
        partial(metrics.binary_precision, threshold=0.7),
        Y,
        YES,
        of_outputs(P, LOGIT_OF_70),
    ),
    "recall of 1s": (
        partial(metrics.binary_recall, probabilities=True, threshold=0.2),
        Y,
        YES,
        of_outputs(R, 0.2),
    ),
    "f1 of 1s": (
        partial(metrics.binary_f1, average="micro"),
        Y,
        YES,
        of_outputs(F, 0, "micro"),
    ),
    "roc": (
        partial(metrics.roc_auc, capacity=N + 4),
        COARSE,
        YES[:, 0],
        lambda s, y, w: sklearn.roc_auc_score(y, s, sample_weight=w),
    ),
    "roc of classes": (partial(metrics.roc_auc, capacity=N), LOGITS, LABELS, one_against_rest),
    "average precision": (
        partial(metrics.average_precision, capacity=N),
        COARSE,
        YES[:, 0],
        lambda s, y, w: sklearn.average_precision_score(y, s, sample_weight=w),
    ),
}
