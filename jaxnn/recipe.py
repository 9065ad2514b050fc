"""The recipe: what is trained, and nothing of how long or where.

A recipe holds modules and closures, which neither compare nor hash by value. So what the
compiler sees is `make_recipe`, static and told apart by identity, and its knobs, traced:
the recipe is built inside the trace and lives no longer than it. That is why a thousand
values of the knobs compile once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from jaxnn.arguments import check_choice, check_positive_int
from jaxnn.keys import Keys
from jaxnn.losses import Loss
from jaxnn.metrics import Metric, Pair, Sums
from jaxnn.nn.adapters.functional import Model, as_functional
from jaxnn.optim import ParameterAverage
from jaxnn.regularizers import Regularizer

__all__ = [
    "Apply",
    "MakeRecipe",
    "Objective",
    "Recipe",
    "as_maker",
    "build",
]

Apply = Callable[[Any, Any, Any, Keys], tuple[Any, Any]]
"""`(params, model_state, inputs, keys) -> (outputs, model_state)`: the model, its mode fixed."""

Objective = Callable[[Apply, Any, Any, Any, Keys], tuple[Pair, Any, Mapping[str, Sums | jax.Array]]]
"""`(apply, params, model_state, batch, keys) -> ((sum, count), model_state, metrics)`"""


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is trained: model, loss, optimizer, and what acts on the way.

    Either `loss` is given, and the objective is the supervised one over batches
    `{"x", "y", "weight"}`, or `objective` is, and anything goes.

    Attributes:
      model: a Flax Linen module, a pair of functions (init, apply), or a
        `jaxnn.nn.Functional`, which `jaxnn.nn.from_nnx` makes of an NNX module. Its mode is
        told by the keyword that it has (`train`, `training`, `is_training` or
        `deterministic`), if any; see `jaxnn.nn.as_functional`.
      loss: `(outputs, targets) -> losses`, one per example; see `jaxnn.losses`.
      optimizer: an Optax transformation, ours or any.
      regularizer: `params -> penalty`, added to the mean loss; see `jaxnn.regularizers`.
      augmentation: `(key, batch) -> batch`, applied to training batches in the step.
      metrics: names to `(outputs, targets, weight) -> (sum, count)`, or an accumulator; see
        `jaxnn.metrics`. None: what suits the loss (accuracy, for a classifier's). The loss
        itself is always among them.
      objective: `(apply, params, model_state, batch, keys) -> ((sum, count), model_state,
        metrics)`: what the step differentiates, instead of `loss` and `metrics`. It calls
        `apply(params, model_state, inputs, keys)` for the model's outputs and new state,
        in training and evaluation alike, and takes its own draws from `keys("name")`.
      controllers: what acts on the run after each evaluation: `jaxnn.train.early_stopping`,
        `plateau`, …
      average: a running average of the parameters; see `jaxnn.optim.parameter_average`.
      skip_nonfinite: leave out steps whose loss or gradient is NaN or Inf, as if their batch
        had not been there, and end the run after this many in a row. None: do not look.
      rngs: names of the streams that a Linen module draws from in training.
      compute_dtype: what the model computes in, such as `jnp.bfloat16`: floating-point
        parameters and inputs are cast to it before the model and its outputs to float32
        after, so that parameters, the optimizer's and the model's state, loss and metrics
        stay as they are. The loss is not scaled, which small gradients in float16 would need.
        None: no casts.
      remat: keep only some of the activations for the gradient and compute the others again,
        see `jaxnn.nn.remat`: less memory on GPU and TPU for one more forward pass.

    Raises:
      ValueError, TypeError: parts that are missing or do not go together.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     model=jaxnn.nn.MLP((100, 10)),
    ...     loss=jaxnn.losses.softmax_cross_entropy,
    ...     optimizer=jaxnn.optim.adam(1e-3),
    ... )
    """

    model: Model
    loss: Loss | None = None
    optimizer: optax.GradientTransformation | None = None
    regularizer: Regularizer | None = None
    augmentation: Callable[[jax.Array, Any], Any] | None = None
    metrics: Mapping[str, Metric] | None = None
    objective: Objective | None = None
    controllers: tuple[Any, ...] = ()
    average: ParameterAverage | None = None
    skip_nonfinite: int | None = None
    rngs: tuple[str, ...] = ("dropout",)
    compute_dtype: DTypeLike | None = None
    remat: bool = False

    def __post_init__(self) -> None:
        as_functional(self.model)  # or is refused
        if (self.loss is None) == (self.objective is None):
            raise ValueError(
                "a Recipe needs either loss= or objective=, got "
                + ("neither" if self.loss is None else "both")
            )
        if self.objective is not None and self.metrics is not None:
            raise ValueError("metrics= goes with loss=; an objective returns its own metrics")
        if self.metrics is not None and "loss" in self.metrics:
            raise ValueError("metrics must not be named 'loss': the loss is recorded as that")
        if not (hasattr(self.optimizer, "init") and hasattr(self.optimizer, "update")):
            raise TypeError(
                "optimizer must be an Optax transformation (init, update), such as "
                f"jaxnn.optim.adam(1e-3), got {self.optimizer!r}"
            )
        if not isinstance(self.controllers, (tuple, list)):
            raise TypeError(f"controllers must be a tuple of them, got {self.controllers!r}")
        if self.skip_nonfinite is not None:
            check_positive_int("skip_nonfinite", self.skip_nonfinite)
        if self.compute_dtype is not None:  # by one name, however it was written
            object.__setattr__(self, "compute_dtype", _compute_dtype(self.compute_dtype))
        if not isinstance(self.remat, bool):
            raise TypeError(f"remat must be True or False, got {self.remat!r}")

    @cached_property
    def maker(self) -> MakeRecipe:
        """This recipe as a `make_recipe` without knobs: one per object, so it compiles once."""
        return lambda knobs: self


def _compute_dtype(dtype: Any) -> np.dtype:
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        name = dtype
    check_choice("compute_dtype", name, ("bfloat16", "float16", "float32"))
    return jnp.dtype(name)


MakeRecipe = Callable[..., Recipe]
"""`knobs -> Recipe`: how a user declares what can vary. Called inside the trace.

With a second parameter named `clock` it also receives the number of steps done, so that any knob
can be scheduled: a dropout rate, a strength, a decay.
"""


def build(recipe: Recipe | MakeRecipe, knobs: Any, clock: jax.Array | np.integer) -> Recipe:
    """The recipe for these knobs at this point of the clock.

    Args:
      recipe: a recipe, or `make_recipe`.
      knobs: pytree of scalars, traced or not.
      clock: scalar int32, the number of steps done; traced or not.

    Raises:
      TypeError: `make_recipe` returns something else.

    >>> import jaxnn
    >>> falls = jaxnn.optim.schedules.linear(0.5, 0.0, 100)
    >>> def make_recipe(knobs, clock):
    ...     return jaxnn.Recipe(
    ...         model=jaxnn.nn.MLP((10,), dropout_rate=falls(clock)),
    ...         loss=jaxnn.losses.softmax_cross_entropy,
    ...         optimizer=jaxnn.optim.sgd(knobs["lr"]),
    ...     )
    >>> float(build(make_recipe, {"lr": 0.1}, np.int32(50)).model.dropout_rate)
    0.25
    """
    maker = as_maker(recipe)
    told = {"clock": clock} if "clock" in inspect.signature(maker).parameters else {}
    built = maker(knobs, **told)
    if not isinstance(built, Recipe):
        raise TypeError(f"make_recipe must return a Recipe, got {built!r}")
    return built


def as_maker(recipe: Recipe | MakeRecipe) -> MakeRecipe:
    """The `make_recipe` that stands for a recipe, or is given as one.

    Raises:
      TypeError: neither a recipe nor a function.
    """
    if isinstance(recipe, Recipe):
        return recipe.maker
    if not callable(recipe):
        raise TypeError(f"recipe must be a Recipe or a function knobs -> Recipe, got {recipe!r}")
    return recipe
