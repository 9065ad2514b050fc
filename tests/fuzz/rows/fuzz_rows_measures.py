"""Valid calls of `jaxnn.losses`, `jaxnn.metrics`, `jaxnn.regularizers` and `jaxnn.tree`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import is_number
from fuzz_kinds import (
    anything,
    array,
    choice,
    flag,
    function,
    integer,
    knob,
    mapping,
    mask,
    only,
    text,
    tree,
)
from fuzz_outcome import Row, row

from jaxnn import metrics, regularizers

LOGITS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
LABELS = np.array([0, 1, 2, 1], np.int32)
YES = np.array([0, 1, 1, 0], np.int32)
SCORES = np.linspace(-1, 1, 4, dtype=np.float32)
PARAMS = {"Dense_0": {"bias": np.ones(2, np.float32), "kernel": np.ones((3, 2), np.float32)}}
NOT_NEGATIVE = "[0, inf)"


def is_weights(other: Any) -> bool:
    """Whether a value is one number or several, none below 0 and all finite."""
    if not array(0).takes(other):
        return False
    values = np.asarray(other, np.float64)
    return bool(values.size and np.all(values >= 0) and np.all(np.isfinite(values)))


def weights(value: Any, **more: Any) -> Any:
    return anything(value, lambda o: o is None or is_weights(o), loose=True, **more)


def _losses() -> list[Row]:
    smoothing = knob(0.1, "[0, 1]", none=True)
    many = weights(np.array([1.0, 2.0, 3.0], np.float32))
    return [
        row(
            "losses.softmax_cross_entropy",
            logits=array(LOGITS),
            labels=array(LABELS),
            label_smoothing=smoothing,
            class_weights=many,
        ),
        row(
            "losses.negative_log_likelihood",
            log_probabilities=array(LOGITS),
            labels=array(LABELS),
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
            weight=weights(np.ones(4)),
        ),
    ]


def _loss() -> Any:
    from jaxnn.losses import softmax_cross_entropy

    return softmax_cross_entropy


def _metrics() -> list[Row]:
    weight = array(np.ones(4, np.float32), none=True, undefined=True)
    classes = {"logits": array(LOGITS), "labels": array(LABELS), "weight": weight}
    numbers = {"predictions": array(SCORES), "targets": array(SCORES[::-1]), "weight": weight}
    used, pair = metrics.result, (np.float32(3), np.float32(2))

    def sums(other: Any) -> bool:
        return isinstance(other, tuple) and len(other) == 2 and all(map(is_number, other))

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
        row("metrics.ratio", pair=anything(pair, sums)),
        row("metrics.result", sums=anything(pair, sums)),
        row("metrics.add", a=anything(pair, sums, loose=True), b=anything(pair, sums, loose=True)),
        row("metrics.total", stacked=anything((np.ones(2), np.ones(2)), lambda o: False)),
    ]


def _regularizers() -> list[Row]:
    def used(penalty: Any) -> Any:
        return penalty(PARAMS)

    strength = knob(0.1, NOT_NEGATIVE, vanishes=False)
    path = mask("weights_only")
    return [
        row("regularizers.l1", used, strength=strength, mask=path),
        row("regularizers.l2", used, strength=strength, mask=path),
        row("regularizers.elastic", used, l1=strength, l2=strength, mask=path),
        row(
            "regularizers.per_layer",
            used,
            regularizer=function(regularizers.l2),
            strengths=mapping(
                {"Dense_0": 0.1}, lambda o: is_number(o) and o >= 0, called=("strength", "l2")
            ),
            mask=path,
        ),
        Row(
            "regularizers.l2:penalty",
            {"params": tree(PARAMS)},
            lambda params: regularizers.l2(0.1)(params),
        ),
    ]


def _new_losses() -> list[Row]:
    where = array(np.ones(4, bool), none=True, undefined=True)
    axis = integer(-1, -2, 1, huge=True)
    of_outputs = {"logits": array(SCORES), "targets": array(YES)}
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    vectors = {"predictions": array(LOGITS), "targets": array(LOGITS[::-1])}
    return [
        row(
            "losses.hinge",
            predictions=array(SCORES),
            targets=array(2 * YES - 1),
            margin=knob(1.0, "(0, inf)", vanishes=False),
            where=where,
        ),
        row(
            "losses.sigmoid_focal",
            alpha=knob(0.25, "[0, 1]", none=True),
            gamma=knob(2.0, NOT_NEGATIVE),
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
    weight = array(np.ones(4, np.float32), none=True, undefined=True)
    where = array(np.ones(4, bool), none=True, undefined=True)
    more = {"where": where, "ignore_index": integer(7, -(2**31), 2**31, none=True)}
    average, axis = choice("macro", "micro", none=True), integer(-1, -2, 1, huge=True)
    classes = {"logits": array(LOGITS), "labels": array(LABELS), "weight": weight}
    binary = {"logits": array(SCORES), "targets": array(YES), "weight": weight}
    ranked = {"scores": array(SCORES), "targets": array(YES), "weight": weight}
    used = metrics.result
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
        row("metrics.by_class", values=array(np.ones(2)), classes=only(["a", "b"])),
        *(
            row(f"metrics.{name}", lambda made: None, metric=function(lambda *a: a))
            for name in ("higher_is_better", "lower_is_better")
        ),
        row("metrics.direction", metric=anything(metrics.accuracy)),
    ]


def _trees() -> list[Row]:
    return [
        row("tree.mask_tree", mask=mask("all"), params=anything(PARAMS)),
        row("tree.weights_only", path=text("Dense_0/kernel"), leaf=anything(np.ones((3, 2)))),
    ]


def rows() -> list[Row]:
    return [*_losses(), *_new_losses(), *_metrics(), *_new_metrics(), *_regularizers(), *_trees()]
