"""All checks together, before a run."""

from __future__ import annotations

from typing import Any

from jaxnn.inspect.checks.check import Check
from jaxnn.inspect.checks.gradient.recipe import gradient_check, loss_falls
from jaxnn.inspect.checks.inputs.columns import constant_features, duplicated_features
from jaxnn.inspect.checks.inputs.duplicates import overlap, repeated_examples
from jaxnn.inspect.checks.inputs.form import data_form
from jaxnn.inspect.checks.inputs.labels import class_balance, labels
from jaxnn.inspect.checks.inputs.parts import parts_alike
from jaxnn.inspect.checks.inputs.scale import inputs_standardized
from jaxnn.inspect.checks.inputs.targets import targets_scaled
from jaxnn.inspect.checks.network.examples import examples_independent, loss_is_mean
from jaxnn.inspect.checks.network.initial_loss import initial_loss, regularization
from jaxnn.inspect.checks.network.modes import evaluation_repeats, running_statistics
from jaxnn.inspect.checks.network.moves import parameters_move, units_differ
from jaxnn.inspect.checks.network.outputs import targets_reachable
from jaxnn.inspect.checks.network.overfit import overfit
from jaxnn.inspect.checks.network.signal import inputs_matter, labels_fit_inputs, labels_matter
from jaxnn.inspect.checks.result import CheckReport
from jaxnn.inspect.checks.subject import prepare
from jaxnn.recipe import MakeRecipe, Recipe

__all__ = ["CHECKS", "check"]

CHECKS: tuple[Check, ...] = (
    data_form,
    labels,
    inputs_standardized,
    targets_scaled,
    constant_features,
    duplicated_features,
    parts_alike,
    class_balance,
    repeated_examples,
    overlap,
    initial_loss,
    regularization,
    targets_reachable,
    evaluation_repeats,
    examples_independent,
    loss_is_mean,
    parameters_move,
    units_differ,
    gradient_check,
    loss_falls,
    running_statistics,
    overfit,
    inputs_matter,
    labels_matter,
    labels_fit_inputs,
)
"""All checks, in the order in which a beginner would mend what they find."""


def check(recipe: Recipe | MakeRecipe, data: Any, key: Any, *, knobs: Any = None) -> CheckReport:
    """Check a recipe and its data before a run, in seconds.

    Every check is a pure function of the arguments, and trains nothing but copies. Checks of
    the data come first, then those of the network and its loss on a few examples. What cannot be
    checked is "not judged" and says why. The arguments are those of `jaxnn.fit`.

    Args:
      recipe: a recipe, or `make_recipe` for the given knobs.
      data: a `jaxnn.data.Data`, or a training part alone; of a stream the first 2,048 rows are
        looked at.
      key: typed key, raw key or integer seed; initial weights are those of a run with this key.
      knobs: pytree of scalars that `make_recipe` is called with; None for a recipe.

    Returns:
      The report: `print(report)` has one line a check, `report.explain()` the evidence and the
      sources, `report.failed` the failed ones, and `report.raise_if_failed()` raises for them.

    Raises:
      ValueError, TypeError: no recipe, no key, or a knob that is not one finite number. (What is
        wrong with the data is in the report.)

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((20, 10)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.adam(1e-2)
    ... )
    >>> report = check(recipe, jaxnn.data.digits(key=0), key=0)
    >>> report.failed
    ()
    >>> print(report["initial loss"])
    passed      initial loss: 2.698 where log 10 = 2.303 was expected

    Source: lecture S, steps 1 and 2; lectures C, L and M.
    """
    subject = prepare(recipe, data, key, knobs)
    return CheckReport(tuple(one.on(subject) for one in CHECKS))
