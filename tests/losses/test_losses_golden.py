"""Golden numbers of losses, mapped by what a case is called and set to."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from golden import cases, look_up, ratio

from jaxnn import losses


def of_entries(loss):
    """A loss whose every entry is an example."""

    def entries(outputs, targets):
        return loss(outputs.ravel(), targets.ravel()).reshape(outputs.shape)

    return entries


def smooth_l1(predictions, targets, *, beta=1.0):
    return losses.huber(predictions, targets, delta=beta) / beta


def half_squared_error(predictions, targets):
    return losses.squared_error(predictions, targets) / 2


def from_probabilities(probabilities, targets, **settings):
    logits = jnp.log(probabilities) - jnp.log1p(-probabilities)
    return losses.sigmoid_cross_entropy(logits, targets, **settings)


def divergence(log_q, p):
    entropy = losses.negative_log_likelihood(jnp.log(p), p)
    return losses.negative_log_likelihood(log_q, p) - entropy


CE, NLL, BCE = (
    losses.softmax_cross_entropy,
    losses.negative_log_likelihood,
    losses.sigmoid_cross_entropy,
)
SQUARED, ABSOLUTE, HUBER = losses.squared_error, losses.absolute_error, losses.huber

# Losses by name: those whose example is a row of classes, and those of single entries.
BY_CLASS = {
    **dict.fromkeys(("softmax_ce", "softmax_ce_int", "softmax_ce_integer", "softmax_ce_prob"), CE),
    **dict.fromkeys(("softmax_ce_onehot", "softmax_ce_one_hot", "softmax_ce_soft"), CE),
    **dict.fromkeys(("softmax_cross_entropy", "cross_entropy", "cross_entropy_loss"), CE),
    **dict.fromkeys(("categorical_crossentropy", "sparse_categorical_crossentropy"), CE),
    **dict.fromkeys(("nll", "nll_loss", "negative_log_likelihood"), NLL),
    **dict.fromkeys(("kl_div", "kl_divergence", "kl_div_loss"), divergence),
}
BY_ENTRY = {
    **dict.fromkeys(("sigmoid_bce", "sigmoid_ce", "sigmoid_cross_entropy"), BCE),
    **dict.fromkeys(("bce_with_logits", "binary_cross_entropy_with_logits"), BCE),
    **dict.fromkeys(("bce", "binary_cross_entropy", "bce_prob"), from_probabilities),
    **dict.fromkeys(("mse", "mse_loss", "squared_error", "mean_squared_error"), SQUARED),
    "l2_loss": half_squared_error,  # Optax's
    **dict.fromkeys(("mae", "mae_loss", "l1", "l1_loss", "absolute_error"), ABSOLUTE),
    "mean_absolute_error": ABSOLUTE,
    **dict.fromkeys(("huber", "huber_loss"), HUBER),
    **dict.fromkeys(("smooth_l1", "smooth_l1_loss"), smooth_l1),
}
SETTINGS = {
    "label_smoothing": "label_smoothing",
    "smoothing": "label_smoothing",
    "alpha": "label_smoothing",
    "class_weights": "class_weights",
    "class_weight": "class_weights",
    "weight": "class_weights",
    "weights": "class_weights",
    "pos_weight": "pos_weight",
    "delta": "delta",
    "beta": "beta",
}
OUTPUTS = ("logits", "log_probs", "log_probabilities", "probs", "probabilities")
OUTPUTS += ("predictions", "preds", "outputs", "inputs", "x")
TARGETS = ("labels", "targets", "target", "y")


def entry(table, names, case):
    found = [table[name] for name in names if name in table]
    return np.asarray(found[0] if found else look_up(table, names[0], case, "input"))


def golden_losses(case, **changes):
    settings = case["settings"] | changes
    reduction = settings.pop("reduction", None)
    outputs = entry(case["inputs"], OUTPUTS, case).astype(np.float64)
    targets = entry(case["inputs"], TARGETS, case)
    known = {look_up(SETTINGS, name, case, "setting"): value for name, value in settings.items()}
    known = {name: np.asarray(value, float)[()] for name, value in known.items()}
    by_class = case["name"] in BY_CLASS
    loss = partial(look_up(BY_CLASS | BY_ENTRY, case["name"], case, "loss"), **known)
    found = (loss if by_class else of_entries(loss))(jnp.asarray(outputs), jnp.asarray(targets))
    found = np.asarray(found)
    if reduction == "sum":
        return found.sum()
    if np.ndim(case["expected"]) == found.ndim:
        return found
    # Whose expectation has fewer axes took the mean over the last ones; PyTorch's over the
    # whole is divided by the weights of the labels.
    if by_class and "class_weights" in known and "pytorch" in case["source"]:
        return found.sum() / known["class_weights"][targets].sum()
    return found.mean(axis=tuple(range(np.ndim(case["expected"]), found.ndim)))


@cases("loss")
def test_golden(case, x64):
    assert ratio(golden_losses(case), case) <= 1


@cases("loss", only=lambda case: case["settings"].get("label_smoothing"))
def test_the_golden_tells_smoothing_from_none(case, x64):
    assert ratio(golden_losses(case, label_smoothing=0.0), case) > 10


BY_HEART = {
    "mse": ({"predictions": [1.0, 4.0], "targets": [1.0, 2.0]}, {}, 2.0),
    "l2_loss": ({"predictions": [1.0, 4.0], "targets": [1.0, 2.0]}, {}, [0.0, 2.0]),
    "huber": ({"x": [3.0, 0.5], "y": [0.0, 0.0]}, {"delta": 1.0}, [2.5, 0.125]),
    "smooth_l1": ({"x": [3.0, 0.5], "y": [0.0, 0.0]}, {"beta": 2.0}, [2.0, 0.0625]),
    "bce": ({"probs": [0.5], "labels": [1]}, {}, [np.log(2)]),
    "kl_div": ({"log_probs": [[-np.log(2)] * 2], "y": [[1.0, 0.0]]}, {}, [np.log(2)]),
    "softmax_ce_int": ({"logits": [[0, 0]], "labels": [0]}, {"weights": [3, 1]}, [3 * np.log(2)]),
}


@pytest.mark.parametrize("name", BY_HEART)
def test_the_mapping_on_numbers_known_by_heart(name, x64):
    inputs, settings, expected = BY_HEART[name]
    case = {"id": "-", "source": "", "name": name, "inputs": inputs, "settings": settings}
    case |= {"expected": expected, "tolerance": {"rtol": 1e-9, "atol": 1e-12}}
    assert ratio(golden_losses(case), case) <= 1
