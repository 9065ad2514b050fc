"""Whether each parameter has a gradient and moves, and whether units differ."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.subject import Subject
from jaxnn.optim.groups import frozen_paths
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.step import traced_step
from jaxnn.train.step.trace import StepTrace
from jaxnn.tree import path_name

__all__ = ["parameters_move", "units_differ"]


class Moved(NamedTuple):
    """What some steps of the recipe did to each parameter, by its path."""

    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    gradient: dict[str, float]  # the largest absolute gradient in any of the steps
    frozen: frozenset[str]


class _Gradients:
    """The probe that hands out the gradient of a step."""

    needs = ("grads",)

    def init(self, state: TrainState, shapes: StepTrace) -> Any:
        del state
        return shapes

    def update(self, memory: Any, trace: StepTrace) -> Any:
        del trace
        return memory

    def summarize(self, memory: Any) -> dict[str, jax.Array]:
        return dict(memory)


@standing("parameters move", "TrainCheck; Stack Overflow 60335387; lecture S, bad initialization")
def parameters_move(subject: Subject) -> Finding:
    """Check that each parameter has a gradient and moves within three steps of the recipe.

    Three, since a layer in front of one that starts at 0 gets its first gradient in the second
    step, and a rate that warms up may begin at 0. Parameters that `jaxnn.optim.freeze` keeps are
    named.
    """
    moved = subject.once(_moved)
    trained = [name for name in moved.before if name not in moved.frozen]
    sizes = {name: moved.gradient[name] for name in trained}
    evidence = {"parameters": len(moved.before), "frozen": len(moved.frozen)}
    ruined = [name for name, size in sizes.items() if not np.isfinite(size)]
    if ruined:
        return failed(
            "the gradient is not finite",
            where=_listed(ruined),
            remedy="lower the rate, start with smaller weights, and look for log, √ and ÷ of 0",
            **evidence,
        )
    without = [name for name, size in sizes.items() if size == 0]
    if without:
        return failed(
            f"{len(without)} of {len(trained)} parameters have no gradient in "
            f"{thresholds.MOVES} steps",
            where=_listed(without),
            remedy="look for a stop_gradient, dead units, weights of 0, or a layer without use",
            **evidence,
        )
    still = [name for name in trained if _same(moved.before[name], moved.after[name])]
    if still:
        return failed(
            f"{len(still)} of {len(trained)} parameters have a gradient and do not move in "
            f"{thresholds.MOVES} steps",
            where=_listed(still),
            remedy="raise the rate, or say what is frozen by jaxnn.optim.freeze",
            **evidence,
        )
    kept = [name for name in moved.frozen if not _same(moved.before[name], moved.after[name])]
    if kept:
        return failed(
            "frozen parameters move",
            where=_listed(kept),
            remedy="put freeze around the whole optimizer",
            **evidence,
        )
    frozen = f"; frozen: {_listed(sorted(moved.frozen))}" if moved.frozen else ""
    return passed(f"all {len(trained)} have a gradient and move{frozen}", **evidence)


@standing("units differ", "lectures C, L and S: weights of one value break no symmetry")
def units_differ(subject: Subject) -> Finding:
    """Check that the units of each layer do not stay copies of each other."""
    moved = subject.once(_moved)
    compared, alike = 0, []
    for name, leaf in moved.after.items():
        if leaf.ndim < 2 or leaf.shape[-1] < 2 or name in moved.frozen:
            continue
        columns = leaf.reshape(-1, leaf.shape[-1]).astype(np.float64)
        apart = np.abs(columns - columns[:, :1]).max()
        if not apart > thresholds.ALIKE * max(float(np.abs(columns).max()), 1e-30):
            alike.append(name)
        compared += 1
    if alike:
        return failed(
            f"all units of a layer are equal after {thresholds.MOVES} steps",
            where=_listed(alike),
            remedy="draw the weights at random: leave kernel_init to the model",
            alike=len(alike),
            layers=compared,
        )
    return passed(f"the units of {compared} weights differ", layers=compared)


def _moved(subject: Subject) -> Moved:
    if subject.recipe.loss is not None:
        subject.labelled  # noqa: B018  refuses targets that the loss does not take
    batch, state = subject.sample, subject.state

    def run(state: TrainState, batch: Any) -> tuple[TrainState, Any]:
        largest = jax.tree.map(lambda leaf: jnp.zeros((), float), state.params)

        def step(carry: Any, _: Any) -> Any:
            state, largest = carry
            probe = _Gradients()
            state, _, (trace,) = traced_step(subject.maker, state, batch, probes=(probe,))
            sizes = jax.tree.map(lambda g: jnp.abs(g).max(initial=0).astype(float), trace.grads)
            return (state, jax.tree.map(jnp.maximum, largest, sizes)), None

        return jax.lax.scan(step, (state, largest), length=thresholds.MOVES)[0]

    after, largest = compiled(run)(state, batch)
    sizes = {name: float(leaf) for name, leaf in _by_path(largest).items()}
    before, end = _by_path(state.params), _by_path(after.params)
    return Moved(before, end, sizes, frozen_paths(state.opt_state))


def _by_path(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_name(path): np.asarray(leaf) for path, leaf in leaves}


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one == other).all())


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
