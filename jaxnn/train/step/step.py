"""One step of training, one of evaluation: the pure functions that everything else runs.

`jit` runs `train_step` on one device or a mesh of them, `vmap` a population of it, and
`pmap_step` the same once a device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_index, check_positive_int
from jaxnn.data.shapes import check_shapes
from jaxnn.keys import Keys, stream
from jaxnn.metrics.sums import Sums, as_pairs
from jaxnn.nn.axis import axis_name, device_index
from jaxnn.optim import lookahead_params, takes_rate_scale
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.step.gradient import gradient, objective_value
from jaxnn.train.step.objective import (
    bind,
    check_step_batch,
    objective_of,
    shapes_explained,
)
from jaxnn.train.step.skipping import all_finite, skip_nonfinite
from jaxnn.train.step.state import TrainState, check_state
from jaxnn.train.step.trace import Probe, StepTrace, reduce_of, traces_of
from jaxnn.train.step.view import View

__all__ = ["eval_step", "evaluated_variables", "predict_step", "traced_step", "train_step"]


def train_step(
    recipe: Recipe | MakeRecipe, state: TrainState, batch: Any, accumulate: int = 1
) -> tuple[TrainState, dict[str, Sums]]:
    r"""One update of the parameters.

    $$g = \nabla_\theta \Big[ \frac{\sum_i w_i \ell_i(\theta)}{\sum_i w_i} + R(\theta) \Big],
    \qquad \theta \leftarrow \theta + \mathrm{update}(g)$$

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`. Static under `jit`.
      state: from `init_state`, or a step before.
      batch: pytree of arrays (batch_size, …).
      accumulate: parts in which the batch is taken to save memory; static under `jit`.

    Returns:
      The next state, and metrics as (sum, count) pairs: "loss" without the penalty, what
      the objective measures, "penalty" where there is a regularizer, and "skipped" where
      the recipe skips steps that are not finite.

    Raises:
      ValueError, TypeError: no recipe, no `TrainState`, a batch that this recipe cannot be
        trained on, or an `accumulate` that does not divide it.

    >>> from jaxnn import Recipe, losses, nn, optim
    >>> from jaxnn.train import init_state
    >>> recipe = Recipe(nn.MLP((1,)), losses.squared_error, optim.sgd(0.1))
    >>> batch = {"x": jnp.ones((8, 2)), "y": jnp.ones((8, 1))}
    >>> step = jax.jit(train_step, static_argnums=0)
    >>> state = init_state(recipe, 0, batch)
    >>> for _ in range(30):
    ...     state, metrics = step(recipe, state, batch)
    >>> total, count = metrics["loss"]
    >>> float(total / count) < 1e-6
    True
    """
    state, metrics, _ = traced_step(recipe, state, batch, accumulate)
    return state, metrics


def traced_step(
    recipe: Recipe | MakeRecipe,
    state: TrainState,
    batch: Any,
    accumulate: int = 1,
    *,
    probes: Sequence[Probe] = (),
    place_micro_batches: Callable[[Any], Any] | None = None,
) -> tuple[TrainState, dict[str, Sums], tuple[StepTrace, ...]]:
    """`train_step`, with what each of the probes asked to see."""
    check_state(state)
    accumulate = check_positive_int("accumulate", accumulate)
    built = build(recipe, state.knobs, state.clock)
    check_step_batch(built, batch)
    if built.augmentation is not None:
        keys = Keys(state.key, state.clock, device=device_index())
        batch = built.augmentation(keys("augmentation"), batch)
    # Where an optimizer looks ahead, the point; else the parameters themselves.
    point = lookahead_params(state.params, state.opt_state, rate_scale=state.control.scale)
    with shapes_explained("batch", batch):
        grads, loss, model_state, metrics, taps = gradient(
            built,
            state,
            point,
            batch,
            accumulate,
            place_micro_batches,
            tuple(reduce_of(probe) for probe in probes),
        )
    updates, opt_state = _updates(built, state, batch, grads, loss, metrics)
    params = optax.apply_updates(state.params, updates)
    averaged = state.averaged
    if built.average is not None:
        new = {"params": params, "model_state": model_state}
        averaged = built.average.update(averaged, new, state.control.updates)
        if built.skip_nonfinite is None:  # which would drop the whole step otherwise
            sound = all_finite((loss, new))
            averaged = jax.tree.map(partial(jnp.where, sound), averaged, state.averaged)
    control = state.control.replace(updates=state.control.updates + 1)
    traces: tuple[StepTrace, ...] = ()
    if probes:
        view = View.of(
            built,
            state,
            batch,
            stepped=params,
            grads=grads,
            loss=loss,
            accumulate=accumulate,
            place_micro_batches=place_micro_batches,
        )
        traces = traces_of(probes, view, taps)
    stepped = state.replace(
        clock=state.clock + 1,
        params=params,
        model_state=model_state,
        opt_state=opt_state,
        averaged=averaged,
        control=control,
    )
    if built.skip_nonfinite is not None:
        stepped, metrics = skip_nonfinite(built.skip_nonfinite, state, stepped, grads, metrics)
    return stepped, metrics, traces


def _updates(
    recipe: Recipe, state: TrainState, batch: Any, grads: Any, loss: jax.Array, metrics: Any
) -> tuple[Any, Any]:
    assert recipe.optimizer is not None  # refused by Recipe
    scale = state.control.scale
    value = loss + metrics["penalty"][0] if "penalty" in metrics else loss
    told = {"value": value, "grad": grads, "rate_scale": scale}
    if axis_name() is None:  # one device does not see the whole batch
        told["value_fn"] = objective_value(recipe, state, batch)
    try:
        updates, opt_state = optax.with_extra_args_support(recipe.optimizer).update(
            grads, state.opt_state, state.params, **told
        )
    except TypeError as error:
        missing = re.search(r"required keyword-only arguments?: (.*)", str(error))
        if missing is None:
            raise
        raise TypeError(
            f"optimizer must do with what a step tells it, {', '.join(sorted(told))}, but its "
            f"update needs {missing[1]}"
        ) from error
    if not takes_rate_scale(state.opt_state):
        updates = jax.tree.map(lambda u: u * scale.astype(u.dtype), updates)
    return updates, opt_state


def eval_step(
    recipe: Recipe | MakeRecipe, state: TrainState, batch: Any, index: Any = 0
) -> dict[str, Sums]:
    """The metrics of a batch, the model in its mode for evaluation.

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`. Static under `jit`.
      state: holds the parameters.
      batch: pytree of arrays (batch_size, …).
      index: of the batch, the address of draws that an objective makes.

    Returns:
      Metrics as (sum, count) pairs, "loss" among them.

    Raises:
      ValueError, TypeError: no recipe, no `TrainState`, a batch that this recipe cannot be
        evaluated on, or an index that is no integer of at least 0.
    """
    check_state(state)
    check_index("index", index)
    built = build(recipe, state.knobs, state.clock)
    check_step_batch(built, batch)
    keys = Keys(stream(state.key, "evaluation"), jnp.asarray(index, jnp.int32))
    params, model_state = evaluated_variables(built, state)
    with shapes_explained("batch", batch):
        pair, _, metrics = objective_of(built)(
            bind(built, train=False), params, model_state, batch, keys
        )
    return as_pairs({**metrics, "loss": pair})


def predict_step(recipe: Recipe | MakeRecipe, state: TrainState, inputs: Any) -> Any:
    """The model's outputs, in its mode for evaluation.

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`. Static under `jit`.
      state: holds the parameters.
      inputs: what the model takes, (batch_size, …).

    Returns:
      The outputs.

    Raises:
      ValueError, TypeError: no recipe, no `TrainState`, or inputs that the model cannot take.
    """
    check_state(state)
    check_shapes("inputs", inputs)
    built = build(recipe, state.knobs, state.clock)
    keys = Keys(stream(state.key, "prediction"), jnp.zeros((), jnp.int32))
    with shapes_explained("inputs", inputs):
        outputs, _ = bind(built, train=False)(*evaluated_variables(built, state), inputs, keys)
    return outputs


def evaluated_variables(recipe: Recipe, state: TrainState) -> tuple[Any, Any]:
    """Parameters and model state to evaluate with: the average, where the recipe asks for it."""
    if recipe.average is not None and recipe.average.evaluate:
        current = (state.params, state.model_state)
        averaged = (state.averaged["params"], state.averaged["model_state"])
        return jax.tree.map(lambda mean, leaf: mean.astype(leaf.dtype), averaged, current)
    return state.params, state.model_state
