"""Every loss with its settings: outputs, targets, and the formula in NumPy's float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jaxnn import losses


class Row(NamedTuple):
    loss: Any  # of jaxnn
    formula: Callable[..., np.ndarray]  # of outputs, targets and the settings
    outputs: np.ndarray
    targets: np.ndarray
    settings: dict[str, Any]  # knobs
    static: Mapping[str, Any] = MappingProxyType({})

    @property
    def bound(self):
        return partial(self.loss, **self.static)

    def expected(self, outputs, **settings):
        settings = {**self.settings, **self.static, **settings}
        return self.formula(np.float64(outputs), self.targets, **settings)


def log_softmax(z):
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def nll(
    log_p, labels, label_smoothing=0.0, class_weights=None, axis=-1, where=True, ignore_index=None
):
    log_p = np.moveaxis(log_p, axis, -1)
    classes, where = log_p.shape[-1], np.broadcast_to(where, log_p.shape[:-1])
    if labels.ndim < log_p.ndim:
        where = where & (labels != ignore_index)
        labels = np.eye(classes)[np.where(where, labels, 0)]
    else:
        labels = np.moveaxis(labels, axis, -1)
    weights = np.ones(classes) if class_weights is None else np.asarray(class_weights)
    of_class = -(1 - label_smoothing) * log_p - label_smoothing * log_p.mean(-1, keepdims=True)
    return np.where(where, (labels * weights * of_class).sum(-1), 0)


def softmax_cross_entropy(z, labels, axis=-1, **settings):
    log_p = np.moveaxis(log_softmax(np.moveaxis(z, axis, -1)), -1, axis)
    return nll(log_p, labels, axis=axis, **settings)


def mean_where(entries, where=True):
    entries = entries.reshape(len(entries), -1)
    where = np.broadcast_to(
        np.reshape(where, (-1, *entries.shape[1:]) if np.ndim(where) else ()), entries.shape
    )
    return np.where(where, entries, 0).sum(1) / np.maximum(where.sum(1), 1)


def sigmoid_cross_entropy(
    z, targets, label_smoothing=0.0, pos_weight=1.0, where=True, ignore_index=None
):
    p = 1 / (1 + np.exp(-z))
    t = (1 - label_smoothing) * targets + label_smoothing / 2
    entries = -np.asarray(pos_weight) * t * np.log(p) - (1 - t) * np.log(1 - p)
    return mean_where(entries, where & (targets != ignore_index))


def hinge(z, y, margin=1.0, where=True):
    return mean_where(np.maximum(0, margin - y * z), where)


def sigmoid_focal(z, y, alpha=None, gamma=2.0):
    p = 1 / (1 + np.exp(-z))
    right = y * p + (1 - y) * (1 - p)
    weight = 1 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    entropy = -y * np.log(p) - (1 - y) * np.log(1 - p)
    return mean_where(weight * (1 - right) ** gamma * entropy)


def kl_divergence(log_q, p, log_targets=False, axis=-1, where=True):
    log_p = p if log_targets else np.log(p)
    return np.where(where, (np.exp(log_p) * (log_p - log_q)).sum(axis), 0)


def cosine_distance(a, b, epsilon=0.0, axis=-1):
    lengths = [np.maximum(np.sqrt((x**2).sum(axis)), epsilon) for x in (a, b)]
    return 1 - (a * b).sum(axis) / (lengths[0] * lengths[1])


def of_residuals(entry):
    def formula(predictions, targets, **settings):
        entries = [entry(r, **settings) for r in (predictions - targets).ravel()]
        return np.reshape(entries, (len(predictions), -1)).mean(1)

    return formula


def huber_entry(r, delta):
    return r**2 / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2)


_RNG = np.random.default_rng(0)
LOGITS = 3 * _RNG.normal(size=(8, 5))
LABELS, SOFT = _RNG.integers(0, 5, 8), _RNG.dirichlet(np.ones(5), size=8)
YES = _RNG.integers(0, 2, (8, 5))
TOKENS = LOGITS.reshape(2, 4, 5)
WEIGHTS = _RNG.random(5) + 0.5

_CE = (losses.softmax_cross_entropy, softmax_cross_entropy)
_NLL = (losses.negative_log_likelihood, nll)
_BCE = (losses.sigmoid_cross_entropy, sigmoid_cross_entropy)
_HUBER = (losses.huber, of_residuals(huber_entry))
_OTHER = _RNG.normal(size=(8, 5))
_KL = (losses.kl_divergence, kl_divergence, log_softmax(LOGITS))
_COS = (losses.cosine_distance, cosine_distance)
_HERE = np.arange(8) % 3 > 0
_MISSING = np.where(_OTHER > 1, -1, YES)

ROWS = {
    "ce": Row(*_CE, LOGITS, LABELS, {}),
    "ce one-hot": Row(*_CE, LOGITS, np.eye(5)[LABELS], {}),
    "ce soft": Row(*_CE, LOGITS, SOFT, {}),
    "ce token": Row(*_CE, TOKENS, LABELS.reshape(2, 4), {"label_smoothing": 0.2}),
    "ce smooth": Row(*_CE, LOGITS, LABELS, {"label_smoothing": 0.1}),
    "ce both": Row(*_CE, LOGITS, LABELS, {"label_smoothing": 0.1, "class_weights": WEIGHTS}),
    "ce soft both": Row(*_CE, LOGITS, SOFT, {"label_smoothing": 0.3, "class_weights": WEIGHTS}),
    "nll": Row(*_NLL, log_softmax(LOGITS), LABELS, {"class_weights": WEIGHTS}),
    "nll soft": Row(*_NLL, log_softmax(LOGITS), SOFT, {}),
    "bce": Row(*_BCE, LOGITS[:, 0], YES[:, 0], {"label_smoothing": 0.1, "pos_weight": 3.0}),
    "bce labels": Row(*_BCE, LOGITS, YES, {"pos_weight": WEIGHTS}),
    "bce soft": Row(*_BCE, LOGITS, SOFT, {}),
    "squared": Row(losses.squared_error, of_residuals(lambda r: r**2), LOGITS, _OTHER, {}),
    "absolute": Row(losses.absolute_error, of_residuals(abs), LOGITS, _OTHER, {}),
    "huber": Row(*_HUBER, LOGITS, _OTHER, {"delta": 1.5}),
    "huber images": Row(*_HUBER, TOKENS, _OTHER.reshape(2, 4, 5), {"delta": 0.1}),
    "ce axis": Row(*_CE, TOKENS, LABELS.reshape(2, 4)[:, [0, 1, 2, 3, 0]] % 4, {}, {"axis": 1}),
    "ce axis soft": Row(*_CE, LOGITS.T, SOFT.T, {"class_weights": WEIGHTS}, {"axis": 0}),
    "ce where": Row(*_CE, LOGITS, LABELS, {"label_smoothing": 0.1}, {"where": _HERE}),
    "ce ignore": Row(*_CE, LOGITS, LABELS, {"class_weights": WEIGHTS}, {"ignore_index": 2}),
    "nll ignore": Row(*_NLL, log_softmax(LOGITS), LABELS, {}, {"ignore_index": 2, "where": _HERE}),
    "bce where": Row(*_BCE, LOGITS, YES, {"pos_weight": 2.0}, {"where": _OTHER > 0}),
    "bce missing": Row(*_BCE, LOGITS, _MISSING, {}, {"ignore_index": -1}),
    "hinge": Row(losses.hinge, hinge, LOGITS, 2 * YES - 1, {"margin": 1.5}, {"where": _OTHER > 0}),
    "focal": Row(losses.sigmoid_focal, sigmoid_focal, LOGITS, YES, {"alpha": 0.25, "gamma": 1.5}),
    "focal soft": Row(losses.sigmoid_focal, sigmoid_focal, LOGITS, SOFT, {"gamma": 2.0}),
    "kl": Row(*_KL, SOFT, {}, {"where": _HERE}),
    "kl logs": Row(_KL[0], _KL[1], _KL[2].T, np.log(SOFT.T), {}, {"axis": 0, "log_targets": True}),
    "cosine": Row(*_COS, LOGITS, _OTHER, {"epsilon": 6.0}),
    "cosine axis": Row(*_COS, LOGITS.T, _OTHER.T, {}, {"axis": 0}),
}
