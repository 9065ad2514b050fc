"""One step of training, one of evaluation: the pure functions that everything else runs.

`jit` runs `train_step` on one device, `vmap` a population of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.keys import Keys, stream
from jaxnn.metrics import Pair, ratio
from jaxnn.optim import takes_rate_scale
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, bind, objective_of
from jaxnn.train.protocols import StepTrace
from jaxnn.train.state import TrainState

__all__ = ["as_pairs", "eval_step", "predict_step", "traced_step", "train_step"]


def train_step(
    recipe: Recipe | MakeRecipe, state: TrainState, batch: Any
) -> tuple[TrainState, dict[str, Pair]]:
    r"""One update of the parameters.

    $$g = \nabla_\theta \Big[ \frac{\sum_i w_i \ell_i(\theta)}{\sum_i w_i} + R(\theta) \Big],
    \qquad \theta \leftarrow \theta + \mathrm{update}(g)$$

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`. Static under `jit`.
      state: from `init_state`, or a step before.
      batch: pytree of arrays (batch_size, …).

    Returns:
      The next state, and metrics as (sum, count) pairs: "loss" without the penalty, what
      the objective measures, and "penalty" where there is a regularizer.

    >>> from jaxnn import Recipe, losses, nn, optim
    >>> from jaxnn.train import init_state
    >>> recipe = Recipe(nn.MLP((1,)), losses.squared_error, optim.sgd(0.1))
    >>> batch = {"x": jnp.ones((8, 2)), "y": jnp.ones((8, 1))}
    >>> step = jax.jit(train_step, static_argnums=0)
    >>> state = init_state(recipe, 0, batch)
    >>> for _ in range(30):
    ...     state, metrics = step(recipe, state, batch)
    >>> float(ratio(metrics["loss"])) < 1e-6
    True
    """
    state, metrics, _ = traced_step(recipe, state, batch)
    return state, metrics


def traced_step(
    recipe: Recipe | MakeRecipe, state: TrainState, batch: Any
) -> tuple[TrainState, dict[str, Pair], StepTrace]:
    """`train_step`, with what it computed on its way, for probes."""
    built = as_maker(recipe)(state.knobs)
    objective, apply = objective_of(built), bind(built, train=True)
    keys = Keys(state.key, state.step)
    if built.augmentation is not None:
        batch = built.augmentation(keys("augmentation"), batch)

    def mean_loss(params: Any) -> tuple[jax.Array, Any]:
        pair, model_state, metrics = objective(apply, params, state.model_state, batch, keys)
        loss = ratio(pair)
        metrics = {**metrics, "loss": pair}
        if built.regularizer is None:
            return loss, (loss, model_state, metrics)
        penalty = built.regularizer(params)
        return loss + penalty, (loss, model_state, {**metrics, "penalty": penalty})

    grads, (loss, model_state, metrics) = jax.grad(mean_loss, has_aux=True)(state.params)
    updates, opt_state = _updates(built, state, grads, loss)
    trace = StepTrace(params=state.params, grads=grads, updates=updates, loss=loss)
    state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        model_state=model_state,
        opt_state=opt_state,
    )
    return state, as_pairs(metrics), trace


def _updates(recipe: Recipe, state: TrainState, grads: Any, loss: jax.Array) -> tuple[Any, Any]:
    assert recipe.optimizer is not None  # refused by Recipe
    scale = state.control.scale
    updates, opt_state = optax.with_extra_args_support(recipe.optimizer).update(
        grads, state.opt_state, state.params, value=loss, grad=grads, rate_scale=scale
    )
    if not takes_rate_scale(state.opt_state):
        updates = jax.tree.map(lambda u: u * scale.astype(u.dtype), updates)
    return updates, opt_state


def eval_step(
    recipe: Recipe | MakeRecipe, state: TrainState, batch: Any, index: Any = 0
) -> dict[str, Pair]:
    """The metrics of a batch, the model in its mode for evaluation.

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`. Static under `jit`.
      state: holds the parameters.
      batch: pytree of arrays (batch_size, …).
      index: of the batch, the address of draws that an objective makes.

    Returns:
      Metrics as (sum, count) pairs, "loss" among them.
    """
    built = as_maker(recipe)(state.knobs)
    keys = Keys(stream(state.key, "evaluation"), jnp.asarray(index, jnp.int32))
    pair, _, metrics = objective_of(built)(
        bind(built, train=False), state.params, state.model_state, batch, keys
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
    """
    built = as_maker(recipe)(state.knobs)
    keys = Keys(stream(state.key, "prediction"), jnp.zeros((), jnp.int32))
    outputs, _ = bind(built, train=False)(state.params, state.model_state, inputs, keys)
    return outputs


def as_pairs(metrics: Mapping[str, Any]) -> dict[str, Pair]:
    """Metrics in one form: (sum, count) of float arrays; a bare scalar counts once a batch.

    Raises:
      TypeError: a metric that is neither a scalar nor a pair of scalars.
    """
    return {name: _as_pair(name, metrics[name]) for name in sorted(metrics)}


def _as_pair(name: str, value: Any) -> Pair:
    pair = value if isinstance(value, tuple) else (value, 1)
    if len(pair) != 2 or any(jnp.ndim(part) != 0 for part in pair):
        raise TypeError(f"metric {name!r} must be a scalar or a pair (sum, count), got {value}")
    total, count = pair
    return jnp.asarray(total, float), jnp.asarray(count, float)
