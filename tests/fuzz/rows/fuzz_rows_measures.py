"""Valid calls of `jaxnn.losses` and `jaxnn.metrics`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import always, is_array, is_number
from fuzz_kinds import (
    anything,
    array,
    choice,
    flag,
    function,
    integer,
    knob,
    text,
)
from fuzz_outcome import Row, row

from jaxnn import metrics

LOGITS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
LABELS = np.array([0, 1, 2, 1], np.int32)
YES = np.array([0, 1, 1, 0], np.int32)
SCORES = np.linspace(-1, 1, 4, dtype=np.float32)
NOT_NEGATIVE = "[0, inf)"


def no_classes(other: Any) -> bool:
    """Whether integers hold one that is no class of the logits, which gives NaN, as documented."""
    values = np.asarray(other)
    return values.dtype.kind in "iu" and bool(np.any((values < 0) | (values > 2)))


def of_one_kind(other: Any) -> bool:
    """Whether targets have no 1 or no 0, so that nothing can be ranked."""
    return len(np.unique(np.asarray(other, np.float64) > 0.5)) < 2


def is_weights(other: Any) -> bool:
    """Whether a value is one number or several, none below 0 and all finite."""
    if not (is_number(other) or array(0).takes(other)):
        return False
    values = np.asarray(other, np.float64)
    return bool(values.size and np.all(values >= 0) and np.all(values < 3e38))


def weights(value: Any, axes: int = 0, **more: Any) -> Any:
    """Weights of at least so many axes."""

    def takes(other: Any) -> bool:
        return other is None or (is_weights(other) and np.ndim(other) >= axes)

    return anything(value, takes, loose=True, **more)


def _losses() -> list[Row]:
    smoothing = knob(0.1, "[0, 1]", none=True)
    many = weights(np.array([1.0, 2.0, 3.0], np.float32))
    return [
        row(
            "losses.softmax_cross_entropy",
            logits=array(LOGITS),
            labels=array(LABELS, undefined=no_classes),
            label_smoothing=smoothing,
            class_weights=many,
        ),
        row(
            "losses.negative_log_likelihood",
            log_probabilities=array(LOGITS),
            labels=array(LABELS, undefined=no_classes),
            class_weights=many,
        ),
        row(
            "losses.sigmoid_cross_entropy",
            logits=array(SCORES),
            targets=array(YES),
            label_smoothing=smoothing,
            pos_weight=weights(2.0),
        ),
        *(
            row(f"losses.{name}_error", predictions=array(SCORES), targets=array(SCORES[::-1]))
            for name in ("squared", "absolute")
        ),
        row(
            "losses.huber",
            predictions=array(SCORES),
            targets=array(SCORES[::-1]),
            delta=knob(1.0, "(0, inf)", vanishes=False),
        ),
        row(
            "losses.check_targets",
            loss=function(partial(_loss(), label_smoothing=0.1)),
            name=text("y"),
            outputs=anything(
                jax.ShapeDtypeStruct((4, 3), jnp.float32), array(0).takes, called=("outputs",)
            ),
            targets=array(LABELS, called=("y",)),
            weight=weights(np.ones(4), axes=1),
        ),
    ]


def _loss() -> Any:
    from jaxnn.losses import softmax_cross_entropy

    return softmax_cross_entropy


def _metrics() -> list[Row]:
    weight = array(np.ones(4, np.float32), none=True, undefined=always)
    classes = {
        "logits": array(LOGITS),
        "labels": array(LABELS, undefined=no_classes),
        "weight": weight,
    }
    numbers = {"predictions": array(SCORES), "targets": array(SCORES[::-1]), "weight": weight}
    used, pair = metrics.result, (np.float32(3), np.float32(2))

    def sums(other: Any, axes: int = 0) -> bool:
        is_pair = isinstance(other, (tuple, list)) and len(other) == 2
        return is_pair and all(array(0).takes(part) and np.ndim(part) >= axes for part in other)

    def pairs(other: Any) -> bool:
        return sums(other, axes=1)

    any_numbers: Any = {"holds_numbers": True}

    return [
        row("metrics.accuracy", used, **classes),
        row("metrics.top_k_accuracy", used, k=integer(2, 1, 3, huge=True), **classes),
        row("metrics.confusion_matrix", used, **classes),
        row("metrics.negative_log_likelihood", used, **classes),
        row("metrics.calibration_error", used, bins=integer(5), **classes),
        row(
            "metrics.binary_accuracy", used, logits=array(SCORES), targets=array(YES), weight=weight
        ),
        *(
            row(f"metrics.{name}", used, **numbers)
            for name in ("mean_squared_error", "mean_absolute_error", "r2")
        ),
        row("metrics.weighted", used, values=array(SCORES), weight=weight),
        row("metrics.ratio", pair=anything(pair, sums, **any_numbers)),
        row("metrics.result", sums=anything(pair, sums, **any_numbers)),
        row("metrics.add", a=anything(pair, sums, loose=True), b=anything(pair, sums, loose=True)),
        row("metrics.total", stacked=anything((np.ones(2), np.ones(2)), pairs)),
    ]


def _new_losses() -> list[Row]:
    where = array(np.ones(4, bool), none=True, undefined=always)
    axis = integer(-1, -2, 1, huge=True, called=("where",))
    of_outputs = {"logits": array(SCORES), "targets": array(YES)}
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    vectors = {"predictions": array(LOGITS), "targets": array(LOGITS[::-1])}
    return [
        row(
            "losses.hinge",
            predictions=array(SCORES),
            targets=array(2 * YES - 1),
            margin=knob(1.0, NOT_NEGATIVE, vanishes=False),
            where=where,
        ),
        row(
            "losses.sigmoid_focal",
            alpha=knob(0.25, "[0, 1]", none=True),
            gamma=knob(2.0, NOT_NEGATIVE, vanishes=False),
            where=where,
            **of_outputs,
        ),
        row(
            "losses.kl_divergence",
            log_predictions=array(np.log(shares)),
            targets=array(shares),
            log_targets=flag(False),
            axis=axis,
            where=where,
        ),
        row(
            "losses.cosine_distance",
            epsilon=knob(0.0, NOT_NEGATIVE, vanishes=False),
            axis=axis,
            where=where,
            **vectors,
        ),
    ]


def _new_metrics() -> list[Row]:
    weight = array(np.ones(4, np.float32), none=True, undefined=always)
    where = array(np.ones(4, bool), none=True, undefined=always)
    more = {"where": where, "ignore_index": integer(7, -(2**31), 2**31, none=True)}
    average, axis = choice("macro", "micro", none=True), integer(-1, -2, 1, huge=True)
    classes = {
        "logits": array(LOGITS),
        "labels": array(LABELS, undefined=no_classes),
        "weight": weight,
    }
    binary = {"logits": array(SCORES), "targets": array(YES), "weight": weight}
    ranked = {
        "scores": array(SCORES),
        "targets": array(YES, undefined=of_one_kind),
        "weight": weight,
    }
    used = metrics.result

    def names(other: Any) -> bool:
        listed = isinstance(other, (list, tuple)) or is_array(other)
        return listed and np.ndim(other) == 1 and all(isinstance(name, str) for name in other)

    return [
        *(
            row(f"metrics.{name}", used, average=average, axis=axis, **classes, **more)
            for name in ("precision", "recall", "f1")
        ),
        *(
            row(
                f"metrics.binary_{name}",
                used,
                average=average,
                threshold=knob(0.5),
                probabilities=flag(False),
                **binary,
                **more,
            )
            for name in ("precision", "recall", "f1")
        ),
        *(
            row(f"metrics.{name}", used, average=average, capacity=integer(8, none=True), **ranked)
            for name in ("roc_auc", "average_precision")
        ),
        row("metrics.perplexity", used, axis=axis, **classes, **more),
        row("metrics.by_class", values=array(np.ones(2)), classes=anything(["a", "b"], names)),
        *(
            row(f"metrics.{name}", lambda made: None, metric=function(lambda *a: a))
            for name in ("higher_is_better", "lower_is_better")
        ),
        row("metrics.direction", metric=anything(metrics.accuracy)),
    ]


def rows() -> list[Row]:
    return [*_losses(), *_new_losses(), *_metrics(), *_new_metrics()]
