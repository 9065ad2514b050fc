"""The exact derivative of the validation loss with respect to every knob of a short training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.interpreters import partial_eval

from jaxnn.arguments import check_positive_int, is_concrete
from jaxnn.data.shapes import check_shapes
from jaxnn.keys import as_key
from jaxnn.metrics.sums import result
from jaxnn.population.prepare.knobs import check_setting
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.loop.evaluation import metric_sums
from jaxnn.train.prepare.start import start_state
from jaxnn.train.step.state import TrainState, as_knobs, check_state, init_state
from jaxnn.train.step.step import train_step
from jaxnn.tree import path_name

__all__ = ["hypergradient"]


def hypergradient(
    make_recipe: MakeRecipe,
    knobs: Any,
    state: TrainState | None,
    batches: Any,
    val: Any,
    *,
    key: Any = None,
    accumulate: int = 1,
    eval_batch_size: int | None = None,
) -> tuple[jax.Array, Any]:
    r"""Differentiate the validation loss after k training steps by every knob.

    $$\frac{d}{d\kappa} L_\text{val}(\theta_k), \qquad
    \theta_{t+1} = \mathrm{step}(\theta_t, \kappa, \text{batch}_t)$$

    The derivative is exact. It goes through the optimizer's state and the schedules, and holds
    the draws fixed, such as dropout's masks. It is computed in forward mode for all knobs at
    once: the memory is that of one step for each knob, and does not grow with k. Where training
    is not smooth, as where a gradient is clipped, it is the derivative on the present side.

    Args:
      make_recipe: `knobs -> Recipe`, which may also take the `clock`.
      knobs: pytree of scalars, where the derivative is taken.
      state: a `TrainState` that training goes on from, whose knobs are replaced by these. What
        they did before it is not counted: its parameters and its optimizer's state are
        constants, the initial scale of the weights among them. None: the state is made inside
        from `key`, and that is differentiated too.
      batches: pytree of arrays (k, rows, …), a batch for each step.
      val: pytree of arrays (n, …) on which the loss is taken, without the penalty.
      key: root key of a fresh state; goes with `state=None`.
      accumulate: micro-batches of a step, as in `jaxnn.fit`.
      eval_batch_size: rows of `val` computed at once. None: all of them.

    Returns:
      The validation loss, a scalar, and its derivatives, scalars in a pytree like `knobs`.

    Raises:
      ValueError, TypeError: a knob that is no single finite number, is outside its range, is not
        read, or has no differentiable path to the validation loss, as one that acts through
        comparisons alone; a state, batches or validation data that do not fit the recipe; or
        neither a state nor a key.

    >>> import jaxnn
    >>> def make_recipe(knobs):
    ...     return jaxnn.Recipe(
    ...         jaxnn.nn.MLP((1,)), jaxnn.losses.squared_error, jaxnn.optim.sgd(knobs["lr"])
    ...     )
    >>> steps = {"x": jnp.ones((5, 8, 1)), "y": jnp.ones((5, 8, 1))}
    >>> val = {"x": jnp.ones((3, 1)), "y": jnp.ones((3, 1))}
    >>> loss, slopes = hypergradient(make_recipe, {"lr": 0.01}, None, steps, val, key=0)
    >>> bool(slopes["lr"] < 0)  # a higher rate would have learned more
    True

    Source: Franceschi et al. 2017, forward mode; Maclaurin et al. 2015.
    """
    accumulate = check_positive_int("accumulate", accumulate)
    check_shapes("batches", batches)
    if any(leaf.ndim < 2 for leaf in jax.tree.leaves(batches)):
        raise ValueError(
            "batches must be arrays (steps, rows, …), got the shapes "
            f"{jax.tree.map(np.shape, batches)}"
        )
    rows = _eval_rows(val, eval_batch_size)
    knobs = as_knobs(knobs)
    if not jax.tree.leaves(knobs):
        raise ValueError(f"knobs must hold at least one number, got {knobs!r}")
    if all(map(is_concrete, jax.tree.leaves(knobs))):
        check_setting(make_recipe, knobs)
    if build(make_recipe, knobs, np.int32(0)).loss is not None:
        _check_pairs(batches=batches, val=val)
    start = _start(make_recipe, knobs, state, key, batches)
    return _differentiate(make_recipe, accumulate, rows, knobs, start, batches, val)


def _check_pairs(**parts: Any) -> None:
    """Refuse batches that a loss cannot take, by the name of the argument."""
    for name, part in parts.items():
        if not isinstance(part, Mapping) or not {"x", "y"} <= set(part):
            shapes = jax.tree.map(np.shape, part)
            raise TypeError(f'{name} must be a dict with "x" and "y" for a loss, got {shapes}')


def _eval_rows(val: Any, eval_batch_size: int | None) -> int:
    rows = check_shapes("val", val)
    if eval_batch_size is None:
        return rows
    size = check_positive_int("eval_batch_size", eval_batch_size)
    if not isinstance(val, Mapping) and rows % size:
        raise ValueError(
            f"eval_batch_size must divide the {rows} rows of val, which is no dict and cannot be "
            f"padded, got {size}"
        )
    return min(size, rows)


def _start(
    make_recipe: MakeRecipe, knobs: Any, state: TrainState | None, key: Any, batches: Any
) -> TrainState | jax.Array:
    """Check the state to go on from, or the key of a fresh one."""
    if state is None:
        if key is None:
            raise ValueError("key must be given where state is None, to make a state from")
        return as_key(key)
    check_state(state)
    if key is not None:
        raise ValueError(f"key goes with state=None, since a state has its own, got {key!r}")
    if members := state.control.stop.shape:
        raise ValueError(
            "state must be that of one run, such as population[0].state, got that of a "
            f"population of the shape {members}"
        )
    rows = jax.tree.map(lambda leaf: np.zeros(leaf.shape[1:], leaf.dtype), batches)
    return start_state(make_recipe, state.key, rows, knobs, state)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _differentiate(
    make_recipe: MakeRecipe,
    accumulate: int,
    eval_batch_size: int,
    knobs: Any,
    start: TrainState | jax.Array,
    batches: Any,
    val: Any,
) -> tuple[jax.Array, Any]:
    """Compute loss and derivatives from a state, or from the key of a fresh one."""

    def step(state: TrainState, batch: Any) -> tuple[TrainState, None]:
        return train_step(make_recipe, state, batch, accumulate)[0], None

    def val_loss(knobs: Any) -> jax.Array:
        if isinstance(start, TrainState):
            state = start.replace(knobs=knobs)
        else:
            rows = jax.tree.map(lambda leaf: leaf[0], batches)
            state = init_state(make_recipe, start, rows, knobs)
        state, _ = jax.lax.scan(step, state, batches)
        return result(metric_sums(make_recipe, eval_batch_size, None, state, val)["loss"])

    flat, structure = jax.tree.flatten(jax.tree.map(lambda knob: jnp.asarray(knob, float), knobs))

    def along(*tangents: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda *knobs: val_loss(structure.unflatten(knobs)), tuple(flat), tangents)

    # One trace serves the check and the computation.
    traced = jax.make_jaxpr(along)(*flat)
    _refuse_unreached(traced, knobs)

    def along_one(one_hot: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, slope = jaxpr_as_fun(traced)(*one_hot)
        return loss, slope

    # The mapped tangents leave loss and states unmapped: they are computed once for all knobs.
    loss, slopes = jax.vmap(along_one, out_axes=(None, 0))(jnp.eye(len(flat)))
    return loss, structure.unflatten(list(slopes))


def _refuse_unreached(traced: Any, knobs: Any) -> None:
    """Refuse knobs of which no tangent reaches that of the loss, the second output.

    A derivative that merely is 0, such as that of a penalty on weights of 0, is no such case.
    """
    _, _, reached = partial_eval.dce_jaxpr_consts(traced.jaxpr, [False, True])
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(knobs)]
    unreached = [name for name, used in zip(names, reached, strict=True) if not used]
    if unreached:
        raise ValueError(
            "knobs must have a differentiable path to the validation loss, which these have not: "
            f"{', '.join(unreached)}. They act through comparisons alone, as a threshold does, or "
            "not within these steps, or only on the initial state, which is differentiated with "
            "state=None"
        )
