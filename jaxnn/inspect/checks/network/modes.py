"""Whether training and evaluation differ where they should, and nowhere else."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.network.calls import difference
from jaxnn.inspect.checks.network.quiet import (
    drawing_layers,
    in_both_modes,
    quiet_maker,
    stays_in_training,
)
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.keys import Keys, stream
from jaxnn.recipe import build
from jaxnn.train.step.objective import bind, inputs_of
from jaxnn.tree import path_name

__all__ = ["evaluation_repeats", "running_statistics"]


@standing("evaluation repeats", "lectures L and N: nothing is dropped at test time; TrainCheck")
def evaluation_repeats(subject: Subject) -> Finding:
    """Check that evaluation is the same for every key, and that dropout acts in training."""
    if subject.draws_in_evaluation:
        return failed(
            "the model asks for random numbers in evaluation",
            where="the model",
            remedy="hand its mode on to dropout: deterministic=not train",
        )
    drawing = sorted(drawing_layers(subject))
    one, two, training, again = in_both_modes(subject)
    apart, noise = float(difference(one, two).max()), float(difference(training, again).max())
    evidence = {"change in evaluation": apart, "change in training": noise}
    if apart > 0:
        return failed(
            f"two evaluations of the same examples differ by {apart:.2g} of the outputs' size",
            where=", ".join(drawing[:3]) or "the model",
            remedy="turn dropout off in evaluation: deterministic=not train",
            **evidence,
        )
    if drawing and noise == 0 and _drops(subject):
        return failed(
            "two passes of training with other draws are equal, so dropout never acts",
            where=", ".join(drawing[:3]),
            remedy="hand the model's mode on to its dropout: deterministic=not train",
            **evidence,
        )
    acts = f"; draws change training by {noise:.2g}" if noise else ""
    return passed(f"two evaluations are equal{acts}", **evidence)


def _drops(subject: Subject) -> bool:
    """Whether a rate above 0 is known: layers that were made with a rate of 0 never act."""
    rates = [
        leaf
        for name in ("dropout_rate", "rate", "input_dropout_rate")
        for leaf in jax.tree.leaves(getattr(subject.recipe.model, name, None))
    ]
    return not rates or any(float(rate) > 0 for rate in rates)


@standing("running statistics", "TheDeepChecker; lecture C on batch normalization")
def running_statistics(subject: Subject) -> Finding:
    """Check that evaluation gives what training gives once statistics are those of the batch.

    Two passes of training tell how the running statistics follow those of the batch, and so
    what they would become if the batch came for ever. With these the evaluation must equal the
    training, dropout off.
    """
    state, batch = subject.state, subject.sample
    named = _statistics(state.model_state)
    if not named:
        raise NotJudged("the model keeps no running mean or variance")
    if subject.draws_in_evaluation:
        raise NotJudged("the model cannot be evaluated, see the check of evaluation")
    if not stays_in_training(subject):
        raise NotJudged(
            "the model draws in training, and only a Linen module's draws are turned off"
        )
    maker = quiet_maker(subject)

    def passes(state: Any, inputs: Any) -> Any:
        recipe = build(maker, state.knobs, state.clock)
        keys = Keys(stream(state.key, "check"), jnp.zeros((), jnp.int32))
        train, evaluate = bind(recipe, train=True), bind(recipe, train=False)
        wanted, first = train(state.params, state.model_state, inputs, keys)
        _, second = train(state.params, first, inputs, keys)
        limit = jax.tree.map(_limit, state.model_state, first, second)
        return wanted, evaluate(state.params, limit, inputs, keys)[0], first

    wanted, got, first = compiled(passes)(state, inputs_of(batch))
    after = _statistics(first)
    still = [name for name, leaf in named.items() if np.array_equal(leaf, after[name])]
    if still:
        return failed(
            "the running statistics do not follow the batch",
            where=", ".join(still[:3]),
            remedy="tell the normalization that it trains: use_running_average=not train",
            still=len(still),
        )
    apart = float(difference(wanted, got).max())
    if apart > thresholds.RUNNING:
        return failed(
            f"with the statistics of the batch, evaluation differs from training by {apart:.2g} "
            "of the outputs' size",
            where=next(iter(named)),
            remedy="normalize by the running statistics in evaluation, and by no others",
            difference=apart,
        )
    return passed(
        f"{len(named)} follow the batch; with its statistics evaluation differs from training by "
        f"{apart:.1e}",
        difference=apart,
    )


def _limit(start: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """Where a series goes whose differences shrink by one factor: s₀ + (s₁ − s₀) / (1 − m)."""
    if not jnp.issubdtype(first.dtype, jnp.floating):
        return second
    steps = first - start
    size = jnp.sum(steps * steps)
    factor = jnp.sum((second - first) * steps) / jnp.where(size > 0, size, 1)
    ends = (size > 0) & (factor < 1)
    return jnp.where(ends, start + steps / jnp.where(ends, 1 - factor, 1), second)


def _statistics(model_state: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(model_state)
    named = {path_name(path): np.asarray(leaf) for path, leaf in leaves}
    return {
        name: leaf for name, leaf in named.items() if name.rpartition("/")[2] in ("mean", "var")
    }
