"""Every loss with its settings: outputs, targets, and the formula in NumPy's float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jaxnn import losses


class Row(NamedTuple):
    loss: Any  # of jaxnn
    formula: Callable[..., np.ndarray]  # of outputs, targets and the settings
    outputs: np.ndarray
    targets: np.ndarray
    settings: dict[str, Any]

    @property
    def configured(self):
        return partial(self.loss, **self.settings)

    def expected(self, outputs, **settings):
        return self.formula(np.float64(outputs), self.targets, **(self.settings | settings))


def log_softmax(z):
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def nll(log_p, labels, label_smoothing=0.0, class_weights=None):
    classes = log_p.shape[-1]
    if labels.ndim < log_p.ndim:
        labels = np.eye(classes)[labels]
    weights = np.ones(classes) if class_weights is None else np.asarray(class_weights)
    of_class = -(1 - label_smoothing) * log_p - label_smoothing * log_p.mean(-1, keepdims=True)
    return (labels * weights * of_class).sum(-1)


def softmax_cross_entropy(z, labels, **settings):
    return nll(log_softmax(z), labels, **settings)


def sigmoid_cross_entropy(z, targets, label_smoothing=0.0, pos_weight=1.0):
    p = 1 / (1 + np.exp(-z))
    t = (1 - label_smoothing) * targets + label_smoothing / 2
    entries = -np.asarray(pos_weight) * t * np.log(p) - (1 - t) * np.log(1 - p)
    return entries.reshape(len(z), -1).mean(1)


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
}
