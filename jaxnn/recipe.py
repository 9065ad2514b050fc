"""The recipe, which says what is trained, and nothing of how long or where.

A recipe holds modules and closures, which neither compare nor hash by value. The compiled
functions therefore take `make_recipe`, which is static and compared by identity, and its knobs,
which are traced. The recipe is built inside the trace and lives no longer than it, so a thousand
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
from jaxnn.losses.checks import Loss
from jaxnn.metrics.sums import Metric, Pair, Sums
from jaxnn.nn.adapters.forms import Model, as_functional
from jaxnn.optim.averaging import ParameterAverage
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
"""`(params, model_state, inputs, keys) -> (outputs, model_state)`.

It calls the model, whose mode is fixed.
"""

Objective = Callable[[Apply, Any, Any, Any, Keys], tuple[Pair, Any, Mapping[str, Sums | jax.Array]]]
"""`(apply, params, model_state, batch, keys) -> ((sum, count), model_state, metrics)`.

It computes what the step differentiates; see `Recipe`.
"""


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is trained: model, loss, optimizer, and everything that acts on them in training.

    Give either `loss`, for the supervised objective over batches `{"x", "y", "weight"}`, or an
    `objective` of your own, whose batches may be any pytree.

    Attributes:
      model: a Flax Linen module, a pair of functions (init, apply), or a
        `jaxnn.nn.Functional`, which `jaxnn.nn.from_nnx` makes of an NNX module. Its mode is
        passed by whichever of the keywords `train`, `training`, `is_training` and
        `deterministic` it has; see `jaxnn.nn.as_functional`.
      loss: `(outputs, targets) -> losses`, one per example; see `jaxnn.losses`.
      optimizer: an Optax transformation, of jaxnn or any other.
      regularizer: `params -> penalty`, which is added to the mean loss; see
        `jaxnn.regularizers`.
      augmentation: `(key, batch) -> batch`, which is applied to training batches in the step.
      metrics: maps names to `(outputs, targets, weight) -> (sum, count)`, or to a function that
        returns an accumulator; see `jaxnn.metrics`. None: those that suit the loss, such as
        accuracy for a classifier. The loss itself is always measured.
      objective: `(apply, params, model_state, batch, keys) -> ((sum, count), model_state,
        metrics)`: computes what the step differentiates, in place of `loss` and `metrics`. It
        calls `apply(params, model_state, inputs, keys)` for the model's outputs and new state,
        in training and evaluation alike, and takes its own draws from `keys("name")`.
      controllers: objects that act on the run after each evaluation, such as
        `jaxnn.train.early_stopping` and `jaxnn.train.plateau`.
      average: a running average of the parameters; see `jaxnn.optim.parameter_average`.
      skip_nonfinite: skip steps whose loss or gradient is NaN or infinite, as if their batch had
        not been there, and end the run after this many in a row. None: do not check.
      rngs: names of the streams from which a Linen module draws in training.
      compute_dtype: dtype in which the model computes, such as `jnp.bfloat16`. Floating-point
        parameters and inputs are cast to it before the model, and outputs to float32 after it.
        Parameters, optimizer state, model state, loss and metrics keep their dtypes. The loss
        is not scaled, which small gradients in float16 would need. None: no casts.
      remat: keep only some of the activations for the gradient and compute the others again,
        see `jaxnn.nn.remat`. It saves memory on GPU and TPU for one more forward pass.

    Raises:
      ValueError, TypeError: a part is missing, or parts do not go together.

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
        as_functional(self.model)  # refuses what is not a model
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
        if self.compute_dtype is not None:  # as one dtype object, however it was written
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
"""The type of `make_recipe`: `knobs -> Recipe`, by which a user declares what can vary.

It is called inside the trace. With a second parameter named `clock` it also receives the number of
steps done, so that any knob can be scheduled: a dropout rate, a strength, a decay.
"""


def build(recipe: Recipe | MakeRecipe, knobs: Any, clock: jax.Array | np.integer) -> Recipe:
    """Build the recipe for these knobs at this point of the clock.

    Args:
      recipe: a recipe, or `make_recipe`.
      knobs: pytree of scalars, traced or not.
      clock: scalar int32, the number of steps done; traced or not.

    Returns:
      The recipe.

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
    """Return the `make_recipe` of a recipe, or the function itself if it is one.

    Raises:
      TypeError: `recipe` is neither a recipe nor a function.
    """
    if isinstance(recipe, Recipe):
        return recipe.maker
    if not callable(recipe):
        raise TypeError(f"recipe must be a Recipe or a function knobs -> Recipe, got {recipe!r}")
    return recipe
