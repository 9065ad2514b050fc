"""The gradient check of a whole recipe, and the loss along −g."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.gradient.differences import Compared, compare
from jaxnn.inspect.checks.gradient.float64 import float64_on_cpu, widened
from jaxnn.inspect.checks.gradient.function import judged
from jaxnn.inspect.checks.subject import Subject
from jaxnn.recipe import build
from jaxnn.train.step.gradient import gradient, objective_value

__all__ = ["gradient_check", "loss_falls"]


@standing("gradient", "lectures L (central differences) and M (one-sided), gradient checking")
def gradient_check(subject: Subject) -> Finding:
    r"""Check the gradient that a step takes against central differences in float64.

    $$\frac{\partial f}{\partial \theta_i} \approx
    \frac{f(\theta + h e_i) - f(\theta - h e_i)}{2h}$$

    It is that of the mean loss and the penalty on a few examples, in training, with the draws of
    the first step held fixed; of every parameter a few coordinates are compared. Where a step
    crosses a kink, as that of a ReLU, a smaller step decides; at a kink, any slope between those
    of both sides is right.
    """
    return judged(subject.once(_compared))


@standing("loss falls along the gradient", "lecture L: no decrease even at a very small rate")
def loss_falls(subject: Subject) -> Finding:
    """Check that a tiny step along −g lowers the loss by what the tangent promises."""
    found = subject.once(_compared)
    evidence: dict[str, Any] = {"loss": found.value, "decrease by promise": found.decrease}
    if np.isnan(found.decrease):
        return failed(
            "the gradient of every parameter is 0",
            remedy="look for a stop_gradient, weights of 0 or dead layers",
            **evidence,
        )
    if found.decrease < 0.5:
        return failed(
            f"a tiny step along −g lowers the loss by {found.decrease:.2g} times what the "
            "gradient promises",
            remedy="the gradient is wrong: see the gradient check",
            **evidence,
        )
    return passed(f"by {found.decrease:.4g} times what the gradient promises", **evidence)


def _compared(subject: Subject) -> Compared:
    if subject.recipe.loss is not None:
        subject.labelled  # noqa: B018  refuses targets that the loss does not take
    batch = subject.rows(thresholds.GRADIENT_ROWS, "gradient")
    state = subject.state
    with float64_on_cpu():
        state, batch = widened(state), widened(batch)
        # Casts to few bits are left out: differences of their rounding mean nothing.
        recipe = replace(build(subject.maker, state.knobs, state.clock), compute_dtype=None)
        value = objective_value(recipe, state, batch)

        def slope(params: Any) -> Any:
            return gradient(recipe, state, params, batch, 1).grads

        generator = subject.generator("gradient")
        return compare(lambda p: value(p), jax.tree.map(np.asarray, state.params), generator, slope)
