"""What a step differentiates, and the model as the objective calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError

from jaxnn.data.shapes import check_shapes
from jaxnn.keys import Keys, stream
from jaxnn.losses.checks import Loss, counted
from jaxnn.metrics.sums import Metric, Pair, Sums, weighted
from jaxnn.nn.adapters.forms import as_functional
from jaxnn.nn.adapters.precision import computed_in
from jaxnn.nn.adapters.remat import rematerialized
from jaxnn.nn.frozen import frozen_parameters
from jaxnn.recipe import Apply, Objective, Recipe

__all__ = [
    "bind",
    "check_step_batch",
    "init_variables",
    "inputs_of",
    "objective_of",
    "shapes_explained",
    "supervised",
]


def supervised(loss: Loss, metrics: Mapping[str, Metric]) -> Objective:
    r"""The objective $\sum_i w_i\, \ell(f(x_i), y_i)$ over batches `{"x", "y", "weight"}`.

    Args:
      loss: `(outputs, targets) -> losses` of shape (n,) or (n, tokens).
      metrics: names to `(outputs, targets, weight) -> (sum, count)`.

    Returns:
      An objective; the step divides its sum by its count.
    """

    def objective(
        apply: Apply, params: Any, model_state: Any, batch: Any, keys: Keys
    ) -> tuple[Pair, Any, dict[str, Sums]]:
        outputs, model_state = apply(params, model_state, batch["x"], keys)
        weight = batch.get("weight")
        losses = loss(outputs, batch["y"])
        pair = weighted(losses, counted(loss, batch["y"], losses, weight))
        values = {name: metric(outputs, batch["y"], weight) for name, metric in metrics.items()}
        return pair, model_state, values

    return objective


def objective_of(recipe: Recipe) -> Objective:
    """The recipe's own objective, or the supervised one of its loss."""
    if recipe.objective is not None:
        return recipe.objective
    assert recipe.loss is not None  # a Recipe has one of the two
    return supervised(recipe.loss, recipe.measured)


def inputs_of(batch: Any) -> Any:
    """What of a batch the model is initialized with: `batch["x"]`, or all where it is no dict.

    Raises:
      ValueError: a dict without "x".
    """
    if not isinstance(batch, Mapping):
        return batch
    if "x" not in batch:
        raise ValueError(f'a batch that is a dict must hold "x", got the keys {sorted(batch)}')
    return batch["x"]


def check_step_batch(recipe: Recipe, batch: Any) -> None:
    """Refuse a batch that the recipe's step cannot take; shapes and dtypes alone are looked at.

    Raises:
      TypeError: a leaf that is no array of numbers, or with a loss no dict.
      ValueError: arrays of different lengths or without rows, or with a loss no "x" or "y".
    """
    check_shapes("batch", batch)
    if recipe.loss is None:
        return
    if not isinstance(batch, Mapping):
        shapes = jax.tree.map(jnp.shape, batch)
        raise TypeError(f'batch must be a dict with "x" and "y" for a loss, got shapes {shapes}')
    if not {"x", "y"} <= batch.keys():
        raise ValueError(
            f'batch must hold "x" and "y" for a loss, got the keys {sorted(map(str, batch))}'
        )


@contextmanager
def shapes_explained(name: str, given: Any) -> Iterator[None]:
    """Say which argument it was whose shape does not go with the parameters.

    Flax names the parameter alone, and calls its shape what the initializer gives.
    """
    try:
        yield
    except ScopeParamShapeError as error:
        raise ValueError(
            f"{name} must have the shapes that the state was made for, got "
            f"{jax.tree.map(jnp.shape, given)}: {error}"
        ) from error


def init_variables(recipe: Recipe, key: jax.Array, batch: Any) -> tuple[Any, Any]:
    """Initial parameters and model state, from the stream "params" of the root key.

    Args:
      recipe: holds the model.
      key: the run's root key.
      batch: arrays of any number of examples; only shapes and dtypes matter.

    Returns:
      `(params, model_state)`; the state is `{}` where the model has none.
    """
    return as_functional(recipe.model).init(stream(key, "params"), inputs_of(batch))


def bind(
    recipe: Recipe,
    *,
    train: bool,
    weight: jax.Array | None = None,
    frozen: frozenset[str] = frozenset(),
) -> Apply:
    """The model as a pure function with its mode fixed: what an objective calls.

    Args:
      recipe: holds the model.
      train: whether it is in training.
      weight: the training batch's weights, (n,) or (n, tokens), for a model that leaves
        padding out of its running statistics.
      frozen: paths of the parameters whose layers use and keep their running statistics.

    Returns:
      `(params, model_state, inputs, keys) -> (outputs, model_state)`.
    """
    model = as_functional(recipe.model, rngs=recipe.rngs)

    def apply(params: Any, model_state: Any, inputs: Any, keys: Keys) -> tuple[Any, Any]:
        run = partial(model.apply, train=train, keys=keys, weight=weight)
        if frozen:
            run = _with_frozen(frozen, run)
        if recipe.compute_dtype is not None:
            run = computed_in(jnp.dtype(recipe.compute_dtype), run)
        if recipe.remat and train:
            run = rematerialized(run)
        return run(params, model_state, inputs)

    return apply


def _with_frozen(paths: frozenset[str], run: Callable[..., Any]) -> Callable[..., Any]:
    def told(*args: Any) -> Any:
        with frozen_parameters(paths):
            return run(*args)

    return told
