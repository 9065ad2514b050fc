"""Whether the network can overfit 50 examples, and which layer keeps it from that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.batches import size
from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.network.calls import mean_loss
from jaxnn.inspect.checks.network.layers import faulty_layer
from jaxnn.inspect.checks.network.quiet import quiet_maker
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.inspect.checks.task import Task, task_of
from jaxnn.metrics.suitable import suitable_metrics
from jaxnn.metrics.sums import Metric, Pair, ratio, weighted
from jaxnn.optim.adaptive.adam import adam
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.step.state import TrainState, init_state
from jaxnn.train.step.step import train_step

__all__ = ["Attempt", "attempt", "overfit", "trained_on"]


@dataclass(frozen=True)
class Attempt:
    """What came of training on a few examples."""

    optimizer: str
    state: TrainState  # the last one
    batch: Any  # the examples
    start: float  # loss before the first step
    end: float  # loss after the last one
    misfit: float  # 1 − accuracy, or the squared error by the targets' variance, or the loss
    steps: int
    fitted: bool


@standing("overfit 50 examples", "lectures C, L and S, step 2: overfit a small sample")
def overfit(subject: Subject) -> Finding:
    """Check that the network learns 50 examples by heart, with dropout and penalties off.

    The recipe's own optimizer tries first, then Adam at three rates, since a small rate is no
    fault of the network. A classifier must reach accuracy 1, a regression 1 % of the targets'
    variance. Where nothing does, the layer is named that is dead, saturated or without gradient.
    """
    own, best = subject.once(_first_attempt), attempt(subject)
    n = size(best.batch)
    evidence = {"first loss": best.start, "last loss": best.end, "steps": best.steps, "n": n}
    if not own.end <= thresholds.DIVERGED * own.start:
        return failed(
            f"the recipe's optimizer drives the loss of {n} examples from {own.start:.4g} to "
            f"{own.end:.4g} in {own.steps} steps"
            + (f", and {best.optimizer} fits them" if best.fitted else ""),
            where="the optimizer",
            remedy="lower the learning rate",
            **evidence,
        )
    if best.fitted:
        return passed(
            f"{best.optimizer} fits {n} examples in {best.steps} steps, from a loss of "
            f"{best.start:.4g} to {best.end:.4g}",
            **evidence,
        )
    said = (
        f"no optimizer fits {n} examples in {thresholds.STEPS} steps: the loss goes from "
        f"{best.start:.4g} to {best.end:.4g}"
    )
    evidence["misfit"] = best.misfit
    faulty = faulty_layer(subject, best.batch, best.state)
    if faulty is not None:
        return failed(
            f"{said}; {faulty.message}", where=faulty.layer, remedy=faulty.remedy, **evidence
        )
    if task_of(subject) is Task.UNKNOWN:
        raise NotJudged(f"{said}, and nobody knows the least value of this loss")
    outputs = int(np.prod(subject.outputs.shape[1:]))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(subject.state.params))
    if parameters < n * outputs:
        raise NotJudged(
            f"{said}, and a network of {parameters} parameters and {outputs} outputs need not fit "
            "them"
        )
    return failed(
        said,
        remedy="no layer stands out: look at the loss, the targets, and the model's capacity",
        **evidence,
    )


def attempt(subject: Subject) -> Attempt:
    """Return the first attempt that fits the examples, or else the best of all."""
    return subject.once(_best_attempt)


def trained_on(subject: Subject, batch: Any) -> TrainState:
    """Train on a batch by Adam at its usual rate, until it is fitted."""
    start = mean_loss(subject)(subject.state, batch)
    return subject.once(_with_adam)(jnp.float32(thresholds.RATES[0]), batch, start)[0]


def _first_attempt(subject: Subject) -> Attempt:
    return _try(subject, "the recipe's optimizer", _of_each_target(subject))


def _of_each_target(subject: Subject) -> Any:
    """Draw the examples to overfit, in turn from each target that several examples have."""
    rows = subject.rows(size(subject.labelled), "overfit")
    order = subject.generator("overfit order").permutation(size(rows))
    flat = rows["y"][order].reshape(len(order), -1)
    _, of_target = np.unique(flat, axis=0, return_inverse=True)
    # How many examples of the same target come before.
    by_target = np.argsort(of_target.ravel(), kind="stable")
    starts = np.searchsorted(of_target.ravel()[by_target], of_target.ravel())
    turn = np.empty(len(order), int)
    turn[by_target] = np.arange(len(order))
    turn -= starts
    chosen = np.sort(order[np.argsort(turn, kind="stable")[: thresholds.OVERFITTED]])
    return jax.tree.map(lambda leaf: leaf[chosen], rows)


def _best_attempt(subject: Subject) -> Attempt:
    own = subject.once(_first_attempt)
    if own.fitted:
        return own
    tried = [own]
    for rate in thresholds.RATES:
        tried.append(_try(subject, f"Adam at {rate:g}", own.batch, rate))
        if tried[-1].fitted:
            return tried[-1]
    return min(tried, key=lambda one: one.misfit if np.isfinite(one.misfit) else np.inf)


def _try(subject: Subject, name: str, batch: Any, rate: float | None = None) -> Attempt:
    """Train on one batch until it is fitted, for at most `STEPS` steps."""
    loss = mean_loss(subject)
    start = loss(subject.state, batch)
    if rate is None:
        state, steps, misfit = subject.once(_own)(subject.state, batch, start)
    else:
        state, steps, misfit = subject.once(_with_adam)(jnp.float32(rate), batch, start)
    return Attempt(
        name,
        state,
        batch,
        float(start),
        float(loss(state, batch)),
        float(misfit),
        int(steps),
        bool(misfit <= _limit(subject)),
    )


def _limit(subject: Subject) -> float:
    task = task_of(subject)
    if task is Task.NUMBERS:
        return thresholds.FITTED
    return thresholds.FALLEN if task is Task.UNKNOWN else 0.0


def _own(subject: Subject) -> Any:
    """Return the compiled training with the recipe's own optimizer."""
    maker = _measured(subject, quiet_maker(subject))

    def run(state: TrainState, batch: Any, start: jax.Array) -> Any:
        control = state.control.replace(memory=())
        return _train(subject, maker, state.replace(averaged=None, control=control), batch, start)

    return compiled(run)


def _with_adam(subject: Subject) -> Any:
    """Return the compiled training with Adam at any rate."""
    quiet = _measured(subject, quiet_maker(subject))

    def run(rate: jax.Array, batch: Any, start: jax.Array) -> Any:
        def maker(knobs: Any, clock: Any) -> Recipe:
            return replace(build(quiet, knobs, clock), optimizer=adam(rate))

        state = init_state(maker, subject.key, batch, subject.knobs)
        return _train(subject, maker, state, batch, start)

    return compiled(run)


def _train(
    subject: Subject, maker: MakeRecipe, state: TrainState, batch: Any, start: jax.Array
) -> tuple[TrainState, jax.Array, jax.Array]:
    limit = _limit(subject)

    def goes_on(carry: Any) -> jax.Array:
        _, steps, misfit = carry
        return (steps < thresholds.STEPS) & (misfit > limit)  # NaN ends a ruined run

    def step(carry: Any) -> Any:
        state, steps, _ = carry
        state, metrics = train_step(maker, state, batch)
        pairs: dict[str, Any] = metrics
        if "misfit" in pairs:
            return state, steps + 1, ratio(pairs["misfit"])
        return state, steps + 1, ratio(pairs["loss"]) / start.astype(float)

    return jax.lax.while_loop(goes_on, step, (state, jnp.int32(0), jnp.full((), jnp.inf, float)))


def _measured(subject: Subject, maker: MakeRecipe) -> MakeRecipe:
    """Let a quiet recipe measure how far it is from fitting, where the task says what that is."""
    metric = _misfit_of(subject)
    if metric is None:
        return maker
    return lambda knobs, clock: replace(build(maker, knobs, clock), metrics={"misfit": metric})


def _misfit_of(subject: Subject) -> Metric | None:
    if task_of(subject) is Task.NUMBERS:
        return _unexplained
    accuracy = suitable_metrics(subject.recipe.loss).get("accuracy")
    if accuracy is None:
        return None

    def mistakes(outputs: Any, targets: Any, weight: Any) -> Pair:
        right, count = accuracy(outputs, targets, weight)  # type: ignore[misc]
        return count - right, count

    return mistakes


def _unexplained(outputs: Any, targets: Any, weight: Any) -> Pair:
    """The squared error by the variance of the targets."""
    targets = jnp.asarray(targets, float)
    variance = jnp.maximum(jnp.var(targets), jnp.finfo(targets.dtype).tiny)
    errors = jnp.square(outputs.astype(float) - targets) / variance
    return weighted(errors.reshape(len(errors), -1).mean(1), weight)
