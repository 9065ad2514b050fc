"""The boundary of training: everything is checked here, before anything is compiled."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn._version import __version__
from jaxnn.arguments import check_positive_int
from jaxnn.data import Data
from jaxnn.data.batches import size, steps_in
from jaxnn.data.validate import check_batch, check_batch_size, check_same_layout
from jaxnn.describe import describe
from jaxnn.keys import as_key
from jaxnn.losses import check_targets
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, build, inputs_of
from jaxnn.train.devices import device_names
from jaxnn.train.loop import Program, Step, end_epoch, start_epoch, train_chunk
from jaxnn.train.protocols import Probe
from jaxnn.train.state import TrainState, fresh_control, init_state
from jaxnn.train.step import predict_step

__all__ = ["Prepared", "check_labels", "eval_rows", "from_layout", "layout", "prepare"]

_EVAL_ROWS = 512  # of an evaluation batch, at least, where the user does not say


@dataclass
class Prepared:
    """A run that was found in order, and has not begun."""

    program: Program
    state: Any
    train: Any  # on the device
    val: Any  # on the device, or None
    key: jax.Array
    config: dict[str, Any]


def prepare(
    recipe: Recipe | MakeRecipe | None,
    data: Any,
    *,
    batch_size: int,
    key: Any,
    knobs: Any = None,
    state: Any = None,
    step: Step | None = None,
    probes: tuple[Probe, ...] = (),
    accumulate: int = 1,
    eval_batch_size: int | None = None,
) -> Prepared:
    """Check the arguments of a run, and make its first state; see `jaxnn.fit`.

    Raises:
      ValueError, TypeError: naming the argument, its value, and what is allowed.
    """
    key = as_key(key)
    train, val = (data.train, data.val) if isinstance(data, Data) else (data, None)
    train, val = jax.tree.map(_as_on_device, (train, val))
    batch_size, eval_batch_size = _check_data(train, val, batch_size, eval_batch_size)
    _check_parts(recipe, knobs, state, step, probes)
    if batch_size % check_positive_int("accumulate", accumulate):
        raise ValueError(f"accumulate must divide the batch size, {batch_size}, got {accumulate}")
    if accumulate > 1 and step is not None:
        raise ValueError("accumulate is for the step of jaxnn, which step= replaces; give one")

    make_recipe = None if recipe is None else as_maker(recipe)
    description: Any = None
    if make_recipe is not None:
        knobs = _knobs(recipe, knobs, state)
        # Built from plain numbers, so that every factory checks the range of what it is given.
        numbers = jax.tree.map(lambda knob: np.asarray(knob)[()], knobs)
        description = describe(build(make_recipe, numbers, np.int32(0)))
        state = _start(make_recipe, key, train, knobs, state)
        for name, part in (("train", train), ("val", val)):
            if part is not None and isinstance(state, TrainState):
                check_labels(make_recipe, state, name, part)
    config = {
        "recipe": description,
        "knobs": jax.tree.map(float, knobs) if knobs else {},
        "key": {
            "impl": str(jax.random.key_impl(key)),
            "data": np.asarray(jax.random.key_data(key)).tolist(),
        },
        "batch_size": batch_size,
        "accumulate": accumulate,
        "eval_batch_size": eval_batch_size,
        "steps_per_epoch": steps_in(size(train), batch_size),
        "train_examples": size(train),
        "data": {"train": _fingerprint(train), "val": None if val is None else _fingerprint(val)},
        "step": describe(step),
        "probes": describe(tuple(probes)),
        "versions": _versions(),
        "devices": device_names(),
    }
    if make_recipe is None:
        state = jax.tree.map(_strong, state)
    program = Program(make_recipe, step, tuple(probes), batch_size, accumulate, eval_batch_size)
    train, val = jax.tree.map(jnp.asarray, (train, val))
    prepared = Prepared(program, state, train, val, key, config)
    _trace(prepared)
    return prepared


def _strong(leaf: Any) -> jax.Array:
    """A leaf of a user's own state as an array, so that a resumed one has the same types."""
    if isinstance(leaf, jax.Array) and not leaf.weak_type:
        return leaf
    return jnp.asarray(leaf, jnp.result_type(leaf))


def _as_on_device(leaf: Any) -> Any:
    """NumPy data in the dtype that JAX will give it, so that what is checked is what is used."""
    if not isinstance(leaf, np.ndarray) or leaf.dtype.kind not in "fiu":
        return leaf
    with np.errstate(over="ignore"):  # an overflow is found, as Inf, with its row
        return leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype), copy=False)


def _start(make_recipe: MakeRecipe, key: jax.Array, train: Any, knobs: Any, state: Any) -> Any:
    """The state that the run starts from: a fresh one, or the given one under this run's key."""
    rows = jax.tree.map(lambda leaf: np.zeros_like(leaf[:1]), train)
    if state is None:
        return _init_state(make_recipe, key, rows, knobs)
    state = state.replace(key=key, knobs=knobs)
    _check_fits(jax.eval_shape(partial(_init_state, make_recipe), key, rows, knobs), state)
    if state.control.memory:
        return state.replace(control=state.control.replace(stop=jnp.zeros((), bool)))
    # The controllers of a run that has ended remember nothing; this one's begin afresh.
    memory = _init_memory(make_recipe, state)
    return state.replace(control=fresh_control().replace(memory=memory))


def _check_fits(fresh: TrainState, state: TrainState) -> None:
    for part in ("params", "model_state", "opt_state", "averaged"):
        want, got = getattr(fresh, part), getattr(state, part)
        shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(t)] for t in (want, got)]
        if jax.tree.structure(want) != jax.tree.structure(got) or shapes[0] != shapes[1]:
            raise ValueError(
                f"state must be of this recipe, whose {part} has the structure "
                f"{jax.tree.map(lambda leaf: leaf.shape, want)}, "
                f"got {jax.tree.map(lambda leaf: leaf.shape, got)}"
            )


@partial(jax.jit, static_argnums=0)
def _init_memory(make_recipe: MakeRecipe, state: TrainState) -> tuple[Any, ...]:
    recipe = build(make_recipe, state.knobs, state.step)
    return tuple(controller.init(state) for controller in recipe.controllers)


@partial(jax.jit, static_argnums=0)
def _init_state(make_recipe: MakeRecipe, key: jax.Array, batch: Any, knobs: Any) -> TrainState:
    return init_state(make_recipe, key, batch, knobs)


def _check_data(train: Any, val: Any, batch_size: Any, eval_batch_size: Any) -> tuple[int, int]:
    n = check_batch("train", train)
    batch_size = check_batch_size(batch_size, n)
    n_val = 0
    if val is not None:
        n_val = check_batch("val", val)
        check_same_layout(train, val, "val")
    if eval_batch_size is None:
        eval_batch_size = eval_rows(val if n_val else train, max(batch_size, _EVAL_ROWS))
    eval_batch_size = check_positive_int("eval_batch_size", eval_batch_size)
    if not isinstance(train, Mapping):
        for name, rows, total in (
            ("batch_size", batch_size, n),
            ("eval_batch_size", eval_batch_size, n_val),
        ):
            if total % rows:
                raise ValueError(
                    f"{name} must divide the {total} examples, since a batch that is no dict has "
                    f"no place for the weights of a ragged end, got {rows}"
                )
    return batch_size, eval_batch_size


def eval_rows(data: Any, limit: int) -> int:
    """Rows of an evaluation batch, at most `limit`.

    A batch that is no dict has no place for weights, so there they divide the examples.
    """
    n = size(data)
    rows = min(n, limit)
    if isinstance(data, Mapping):
        return rows
    return max(divisor for divisor in range(1, rows + 1) if n % divisor == 0)


def _check_parts(recipe: Any, knobs: Any, state: Any, step: Any, probes: Any) -> None:
    if recipe is None and (step is None or state is None):
        raise ValueError("recipe may be None only where both step= and state= are given")
    if recipe is None and knobs is not None:
        raise ValueError("knobs go with a make_recipe, got a recipe of None")
    if step is not None and probes:
        raise ValueError("probes look into the step of jaxnn, which step= replaces; give one")
    if recipe is not None and state is not None and not isinstance(state, TrainState):
        raise TypeError(
            "state must be a TrainState where a recipe is given (recipe=None goes with a state "
            f"of one's own and its step=), got {state!r}"
        )
    for probe in probes:
        if not isinstance(probe, Probe):
            raise TypeError(f"probes must have init, update and summarize, got {probe!r}")


def _knobs(recipe: Any, knobs: Any, state: Any) -> Any:
    if isinstance(recipe, Recipe) and knobs is not None:
        raise ValueError("knobs go with a make_recipe; a Recipe has its values in it")
    if knobs is None:
        knobs = state.knobs if isinstance(state, TrainState) else {}
    knobs = jax.tree.map(lambda knob: jnp.asarray(knob, float), knobs)
    for path, knob in jax.tree_util.tree_leaves_with_path(knobs):
        if knob.ndim:
            raise ValueError(
                f"knobs must be scalars, got shape {knob.shape} at {jax.tree_util.keystr(path)}"
            )
    return knobs


def check_labels(make_recipe: MakeRecipe, state: TrainState, name: str, data: Any) -> None:
    """Refuse targets that the loss cannot take from this model.

    Args:
      make_recipe: of the recipe.
      state: holds knobs and parameters.
      name: of the data, for the message.
      data: pytree of arrays (n, …).

    Raises:
      ValueError, TypeError: what the loss's check of targets says.
    """
    loss = build(make_recipe, state.knobs, state.step).loss
    if loss is None or not isinstance(data, Mapping):
        return
    inputs_of(data)
    if "y" not in data:
        raise ValueError(f'{name} must hold "y" for the loss, got the keys {sorted(data)}')
    row = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), data)
    outputs = jax.eval_shape(partial(_outputs, make_recipe), state, row["x"])
    check_targets(loss, f"{name}: y", outputs, data["y"], data.get("weight"))


# Jitted, so that a second run finds the trace.
_outputs = partial(jax.jit, static_argnums=0)(predict_step)


def _trace(prepared: Prepared) -> None:
    """Trace the whole program on shapes: what does not fit is said now, and not compiled."""
    program, state, zero = prepared.program, prepared.state, np.int32(0)
    order, tally = jax.eval_shape(
        partial(start_epoch, program), state, prepared.train, prepared.key, zero
    )
    state, tally = jax.eval_shape(
        partial(train_chunk, program), state, tally, prepared.train, order, zero, zero
    )
    jax.eval_shape(partial(end_epoch, program), state, tally, prepared.val)


def _fingerprint(part: Any) -> dict[str, Any]:
    checksum = 0
    for leaf in jax.tree.leaves(part):
        checksum = zlib.crc32(np.asarray(leaf).tobytes(), checksum)
    return {"layout": layout(part), "crc32": checksum}


def layout(tree: Any) -> Any:
    """Shapes and dtypes of a tree of dicts, lists and tuples, as `json` can write them."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: layout(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [layout(value) for value in tree]
    array = np.asarray(tree)
    return f"{array.dtype.name} {' '.join(map(str, array.shape))}"


def from_layout(described: Any) -> Any:
    """Arrays of one row, zeros, of the shapes and dtypes that `layout` wrote."""
    if described is None:
        return None
    if isinstance(described, dict):
        return {key: from_layout(value) for key, value in described.items()}
    if isinstance(described, list):
        return [from_layout(value) for value in described]
    dtype, _, *shape = described.split()
    return jnp.zeros((1, *map(int, shape)), dtype)


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
    installed = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "jaxnn": __version__, **installed}
