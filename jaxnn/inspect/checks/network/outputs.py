"""Whether the outputs can reach what the targets ask for."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.network.calls import loss_of, outputs_of
from jaxnn.inspect.checks.network.initial_loss import expected_loss
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.inspect.checks.task import Task, task_of

__all__ = ["output_range", "targets_reachable"]

_SCALES = (1.0, -1.0, 10.0, -10.0, 100.0, -100.0)
_SIZES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of outputs without borders
_FREE = (-np.inf, np.inf)
_NOISE = 0.1  # deviation of what is added to the parameters


@standing("targets reachable", "lectures C, L and M on output units; Stack Overflow 34311586")
def targets_reachable(subject: Subject) -> Finding:
    """Check that the output's activation lets the network reach the targets.

    The range of the outputs is measured, by the network with its parameters multiplied by ±1,
    ±10 and ±100: a sigmoid, a softmax, a tanh or a ReLU behind the last layer shows by a border
    that larger parameters do not move. For a regression the targets must lie inside. For a
    classifier the best loss within the borders must be small.
    """
    task = task_of(subject)
    train = subject.labelled
    if not isinstance(subject.outputs, jax.ShapeDtypeStruct):
        raise NotJudged("the model has several outputs")
    low, high, sums_to_one = output_range(subject)
    evidence = {"lowest": low, "highest": high}
    said = f"outputs lie {_between(low, high)}"
    if task is Task.LOG_CLASSES and high > 1e-3:
        return failed(
            "the loss takes log-probabilities, and the outputs rise above 0",
            where="the last layer",
            remedy="use losses.softmax_cross_entropy, or end the model in a log-softmax",
            **evidence,
        )
    if task in (Task.NUMBERS, Task.SIGNS):
        y = np.asarray(train["y"], np.float64)
        slack = 1e-3 * max(float(y.std()), 1e-6)
        outside = ((y < low - slack) | (y > high + slack)).mean()
        evidence["outside"] = outside
        if outside > thresholds.OUTSIDE:
            return failed(
                f"{said}, and {outside:.0%} of the targets do not",
                where="the last layer",
                remedy="end the model in a linear layer, or scale the targets",
                **evidence,
            )
        return passed(f"{said}, as the targets do", **evidence)
    if task is Task.UNKNOWN:
        raise NotJudged(f"the loss is none of jaxnn.losses; {said}")
    batch = subject.sample
    best, free = (_best_loss(subject, task, batch, *ends) for ends in ((low, high), _FREE))
    expected = expected_loss(subject, batch)[0]
    evidence |= {"best loss": best, "best of any outputs": free, "expected": expected}
    if best > free + thresholds.UNREACHABLE * expected:
        what = "they are a softmax's, and the loss applies one" if sums_to_one else said
        return failed(
            f"{what}, so that no loss below {best:.3g} can be reached",
            where="the last layer",
            remedy="end the model in a linear layer: the loss takes logits",
            **evidence,
        )
    return passed(f"{said}, so that a loss of {best:.3g} can be reached", **evidence)


def output_range(subject: Subject) -> tuple[float, float, bool]:
    """Measure between which borders the outputs lie, ±∞ for none, and whether rows sum to 1."""
    return subject.once(_output_range)


def _output_range(subject: Subject) -> tuple[float, float, bool]:
    call, inputs, state = outputs_of(subject), subject.sample["x"], subject.state
    rng = subject.generator("output range")

    def scaled(scale: float, leaf: Any) -> Any:
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        # Noise, since a last layer may start at 0 and would show no range.
        noise = _NOISE * rng.normal(size=leaf.shape)
        return (scale * (leaf + noise)).astype(leaf.dtype)

    ranges: dict[float, list[np.ndarray]] = {}
    for scale in _SCALES:
        params = jax.tree.map(partial(scaled, scale), state.params)
        outputs = np.asarray(call(_with(state, params), inputs), np.float64)
        ranges.setdefault(abs(scale), []).append(outputs[~np.isnan(outputs)])
    if not all(part.size for parts in ranges.values() for part in parts):
        return -np.inf, np.inf, False
    lows = {size: min(part.min() for part in parts) for size, parts in ranges.items()}
    highs = {size: max(part.max() for part in parts) for size, parts in ranges.items()}
    low, high = (
        ends[100.0] if _rests(ends, lows, highs) else sign * np.inf
        for sign, ends in ((-1, lows), (1, highs))
    )
    first = np.asarray(call(state, inputs), np.float64)
    simplex = first.ndim > 1 and first.shape[-1] > 1 and first.min() >= 0
    sums = bool(simplex and np.abs(first.sum(-1) - 1).max() < 1e-3)
    return float(low), float(high), sums


def _rests(ends: dict[float, float], lows: dict[float, float], highs: dict[float, float]) -> bool:
    """Whether an end of the range stays where parameters ten times as large are taken."""
    if not np.isfinite([ends[10.0], ends[100.0]]).all():
        return False
    sizes = [abs(end) for end in (lows[10.0], highs[10.0]) if np.isfinite(end)]
    return abs(ends[100.0] - ends[10.0]) <= 1e-2 * max(*sizes, abs(ends[10.0]), 1e-6)


def _with(state: Any, params: Any) -> Any:
    averaged = state.averaged
    if averaged is not None:
        averaged = {**averaged, "params": params}
    return state.replace(params=params, averaged=averaged)


def _between(low: float, high: float) -> str:
    if np.isinf(low) and np.isinf(high):
        return "anywhere"
    if np.isinf(high):
        return f"above {low:.3g}"
    return f"below {high:.3g}" if np.isinf(low) else f"between {low:.3g} and {high:.3g}"


def _best_loss(subject: Subject, task: Task, batch: Any, low: float, high: float) -> float:
    """Compute the least loss of outputs within the borders: the right class high, others low."""
    shape = (len(batch["y"]), *subject.outputs.shape[1:])
    if task is Task.LOG_CLASSES:
        return 0.0
    y = np.asarray(batch["y"])
    right = y.reshape(shape) > 0.5 if y.shape == shape else _one_hot(subject, y, shape)
    # Under label smoothing the best outputs are not the largest.
    return min(
        loss_of(subject, jnp.where(right, min(high, size), max(low, -size)).astype(float), batch)
        for size in _SIZES
    )


def _one_hot(subject: Subject, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    loss = subject.recipe.loss
    axis = getattr(loss, "keywords", {}).get("axis", -1) % len(shape)
    classes = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.expand_dims(y, axis) == classes
