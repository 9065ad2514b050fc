"""Which layer is dead, saturated or without gradient, as taps and gradients tell."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.network.quiet import quiet_maker
from jaxnn.inspect.checks.subject import Subject
from jaxnn.nn.taps import Tap
from jaxnn.recipe import build
from jaxnn.train.step.gradient import gradient
from jaxnn.train.step.state import TrainState
from jaxnn.tree import path_name

__all__ = ["Fault", "faulty_layer"]


class Fault(NamedTuple):
    """What is wrong with a layer."""

    layer: str
    message: str
    remedy: str


class Health(NamedTuple):
    """Sums over the taps of one layer: arrays in the step, numbers on the host."""

    finite: Any  # () entries that are finite
    count: Any  # () entries
    silent: Any  # () units that are 0 for all rows
    units: Any  # ()
    gradient: Any  # () sum of the absolute gradients


def faulty_layer(subject: Subject, batch: Any, last: TrainState) -> Fault | None:
    """Find the first layer at fault, with the first parameters and then with the last ones."""
    look = subject.once(_look)
    for state in (subject.state, last):
        grads, taps = look(state.params, state.model_state, batch)
        found = _judge(_by_layer(grads), taps)
        if found is not None:
            return found
    return None


def _look(subject: Subject) -> Any:
    maker = quiet_maker(subject)

    def compute(params: Any, model_state: Any, batch: Any) -> tuple[Any, Any]:
        state = subject.state.replace(params=params, model_state=model_state)
        recipe = build(maker, state.knobs, state.clock)
        found = gradient(recipe, state, params, batch, 1, reduces=(_health,))
        return found.grads, found.taps[0]

    return compiled(compute)


def _health(tap: Tap) -> Health:
    rows = tuple(range(tap.x.ndim - 1))
    silent = jnp.all((tap.x == 0) | ~tap.real, axis=rows)
    return Health(
        finite=jnp.sum(jnp.isfinite(tap.x)),
        count=jnp.asarray(tap.x.size),
        silent=jnp.sum(silent),
        units=jnp.asarray(silent.size),
        gradient=jnp.sum(jnp.abs(tap.gradient)),
    )


def _judge(gradients: dict[str, float], taps: dict[str, Health]) -> Fault | None:
    """Name the first layer, in the order of the network, that does not work."""
    # Sums of a tap that no gradient reached are NaN.
    health = {
        place: Health(*(float(part) for part in sums))
        for place, sums in sorted(taps.items(), key=_in_order)
        if not np.isnan(float(sums.count))
    }
    for place, found in health.items():
        if found.finite < found.count:
            return Fault(
                place.partition("/")[2],
                "its values are not finite",
                "start with smaller weights, and standardize the inputs",
            )
    for place, found in health.items():
        site, _, layer = place.partition("/")
        if site == "preactivation":
            continue
        if found.silent >= thresholds.DEAD * found.units:
            return Fault(
                layer,
                f"{found.silent:.0f} of its {found.units:.0f} units are 0 for every example",
                "its units are dead: lower the rate, use He weights or a leaky ReLU",
            )
        before = health.get(f"preactivation/{layer}")
        if site != "activation" or before is None or not found.gradient > 0:
            continue
        slope = before.gradient / found.gradient
        if slope < thresholds.SATURATED:
            return Fault(
                layer,
                f"its activation is saturated, with a mean slope of {slope:.2g}",
                "start with smaller weights, or standardize the inputs",
            )
    largest = max(gradients.values(), default=0.0)
    for layer, size in sorted(gradients.items(), key=_in_order):
        if not size > thresholds.NO_GRADIENT * largest:
            return Fault(
                layer,
                f"no gradient reaches it ({size:.2g} beside {largest:.2g} elsewhere)",
                "look for a stop_gradient, weights of 0, or layers behind it that saturate",
            )
    return None


def _in_order(named: tuple[str, Any]) -> list[Any]:
    """Sort "Dense_2" before "Dense_10"."""
    parts = re.split(r"(\d+)", named[0].partition("/")[2] or named[0])
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _by_layer(grads: Any) -> dict[str, float]:
    """Compute the root mean square of each layer's gradient."""
    squares: dict[str, list[np.ndarray]] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        layer = path_name(path[:-1]) or path_name(path)
        squares.setdefault(layer, []).append(np.abs(np.asarray(leaf, np.complex128)).ravel() ** 2)
    return {name: float(np.sqrt(np.mean(np.concatenate(s)))) for name, s in squares.items()}
