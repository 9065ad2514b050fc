"""The recipe, which says what is trained, and nothing of how long or where.

A recipe holds modules and closures, which neither compare nor hash by value. The compiled
functions therefore take `make_recipe`, which is static and compared by identity, and its knobs,
which are traced. The recipe is built inside the trace and lives no longer than it, so a thousand
values of the knobs compile once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from jaxnn.arguments import check_choice, check_flag, check_positive_int
from jaxnn.keys import Keys
from jaxnn.losses.checks import Loss
from jaxnn.metrics.direction import Direction, direction
from jaxnn.metrics.suitable import suitable_metrics
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
        for name in ("loss", "objective", "regularizer", "augmentation"):
            part = getattr(self, name)
            if part is not None and not callable(part):
                raise TypeError(f"{name} must be a function, got {part!r}")
        if self.metrics is not None:
            _check_metrics(self.metrics)
        _check_pair("optimizer", self.optimizer, "an Optax transformation", "optim.adam(1e-3)")
        if self.average is not None:
            _check_pair("average", self.average, "an average", "optim.parameter_average()")
        if not isinstance(self.controllers, (tuple, list)):
            raise TypeError(f"controllers must be a tuple of them, got {self.controllers!r}")
        for controller in self.controllers:
            if not all(hasattr(controller, part) for part in ("monitor", *_PAIR, "finish")):
                raise TypeError(
                    "controllers must hold controllers, such as jaxnn.train.early_stopping(), "
                    f"got {controller!r}"
                )
        if not isinstance(self.rngs, (tuple, list)) or not all(
            isinstance(name, str) for name in self.rngs
        ):
            raise TypeError(f"rngs must be a tuple of names of streams, got {self.rngs!r}")
        if self.skip_nonfinite is not None:
            check_positive_int("skip_nonfinite", self.skip_nonfinite)
        if self.compute_dtype is not None:  # as one dtype object, however it was written
            object.__setattr__(self, "compute_dtype", _compute_dtype(self.compute_dtype))
        check_flag("remat", self.remat)
        object.__setattr__(self, "controllers", tuple(map(self._with_mode, self.controllers)))

    def __repr__(self) -> str:
        parts = {
            "model": type(self.model).__name__,
            **{
                name: _name_of(value)
                for name in ("loss", "objective", "optimizer")
                if (value := getattr(self, name)) is not None
            },
        }
        if self.controllers:
            parts["controllers"] = ", ".join(type(c).__name__ for c in self.controllers[:8])
        listing = ", ".join(f"{name}={text}" for name, text in parts.items())
        return f"Recipe({listing if len(listing) <= 300 else listing[:299] + '…'})"

    @property
    def measured(self) -> Mapping[str, Metric]:
        """The metrics by name: those given, or else those that suit the loss."""
        if self.metrics is not None:
            return self.metrics
        return {} if self.loss is None else suitable_metrics(self.loss)

    def direction_of(self, name: str) -> Direction | None:
        """Whether the highest or the lowest of a recorded value is the best; None: nobody says.

        Args:
          name: in the epoch's record, such as "val/accuracy".

        >>> import jaxnn
        >>> loss, optimizer = jaxnn.losses.softmax_cross_entropy, jaxnn.optim.adam(1e-3)
        >>> recipe = jaxnn.Recipe(jaxnn.nn.MLP((10,)), loss, optimizer)
        >>> recipe.direction_of("val/loss"), recipe.direction_of("val/accuracy")
        ('min', 'max')
        """
        part, _, metric = name.partition("/")
        if part not in ("train", "val"):
            return None
        return "min" if metric == "loss" else direction(self.measured.get(metric))

    def _with_mode(self, controller: Any) -> Any:
        """A controller with the direction of what it monitors, where it was not told a mode."""
        if getattr(controller, "mode", "") is not None:
            return controller
        mode = self.direction_of(controller.monitor)
        if mode is None:
            names = sorted((*self.measured, "loss"))
            part, _, metric = controller.monitor.partition("/")
            if self.loss is not None and part in ("train", "val") and metric not in names:
                raise ValueError(
                    f"monitor must be one of 'train/' or 'val/' with one of {names}, or a probe's "
                    f"value, got {controller.monitor!r} of {type(controller).__name__}"
                )
            raise ValueError(
                f"mode must be given as 'min' or 'max' for monitor={controller.monitor!r} of "
                f"{type(controller).__name__}, since nobody says which of its values is the best; "
                "jaxnn.metrics.higher_is_better and lower_is_better say it of a metric"
            )
        return replace(controller, mode=mode)

    @cached_property
    def maker(self) -> MakeRecipe:
        """This recipe as a `make_recipe` without knobs: one per object, so it compiles once."""
        return lambda knobs: self


_PAIR = ("init", "update")


def _check_pair(name: str, value: Any, kind: str, example: str) -> None:
    if isinstance(value, type) or not all(callable(getattr(value, part, None)) for part in _PAIR):
        raise TypeError(
            f"{name} must be {kind} (init, update), such as jaxnn.{example}, got {value!r}"
        )


def _check_metrics(metrics: Any) -> None:
    if not isinstance(metrics, Mapping):
        raise TypeError(f"metrics must be a dict of names to functions, got {metrics!r}")
    if "loss" in metrics:
        raise ValueError("metrics must not be named 'loss': the loss is recorded as that")
    for name, metric in metrics.items():
        if not isinstance(name, str) or not callable(metric):
            raise TypeError(
                f"metrics must be a dict of names to functions, got {metric!r} for {name!r}"
            )


def _name_of(thing: Any) -> str:
    """The name of the function, or of the factory of an optimizer, behind any partial."""
    thing = getattr(thing, "update", thing)
    while isinstance(thing, partial):
        thing = thing.func
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return name.split(".<locals>")[0]


def _compute_dtype(dtype: Any) -> np.dtype:
    name = dtype
    if isinstance(dtype, (str, type, np.dtype)):
        try:
            name = jnp.dtype(dtype).name
        except TypeError:  # no dtype, which the choice below refuses
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
