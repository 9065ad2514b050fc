"""Checks of a recipe and its data before a run, each a pure function of (recipe, data, key)."""

from jaxnn.inspect.checks.check import Check
from jaxnn.inspect.checks.gradient.function import check_gradient
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
from jaxnn.inspect.checks.result import CheckReport, CheckResult, ChecksFailed
from jaxnn.inspect.checks.run import CHECKS, check

__all__ = [
    "CHECKS",
    "Check",
    "CheckReport",
    "CheckResult",
    "ChecksFailed",
    "check",
    "check_gradient",
    "class_balance",
    "constant_features",
    "data_form",
    "duplicated_features",
    "evaluation_repeats",
    "examples_independent",
    "gradient_check",
    "initial_loss",
    "inputs_matter",
    "inputs_standardized",
    "labels",
    "labels_fit_inputs",
    "labels_matter",
    "loss_falls",
    "loss_is_mean",
    "overfit",
    "overlap",
    "parameters_move",
    "parts_alike",
    "regularization",
    "repeated_examples",
    "running_statistics",
    "targets_reachable",
    "targets_scaled",
    "units_differ",
]
