"""The boundary of training: everything is checked here, before anything is compiled."""

from __future__ import annotations

import platform
import warnings
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
from jaxnn.data.streams import Stream
from jaxnn.describe import describe
from jaxnn.keys import as_key
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, build
from jaxnn.train.chunk import start_epoch
from jaxnn.train.compilation import QuickJit
from jaxnn.train.devices import Devices, Rules, device_names, place_on, unused_accelerator
from jaxnn.train.epoch_end import end_epoch
from jaxnn.train.feed import Feed, OnDevice, Streamed
from jaxnn.train.layout import fingerprint
from jaxnn.train.pmapped import run_chunk, run_rows
from jaxnn.train.program import Program, Step
from jaxnn.train.protocols import Probe
from jaxnn.train.sources import (
    as_on_device,
    check_labels,
    check_ragged_end,
    check_sizes,
    check_streamed,
    needs_whole_shapes,
    sampled,
)
from jaxnn.train.state import TrainState, fresh_control, init_state

__all__ = ["Prepared", "prepare"]


@dataclass
class Prepared:
    """A run that was found in order, and has not begun."""

    program: Program
    state: Any
    train: Feed
    val: Feed | None
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
    devices: Devices = None,
    rules: Rules | None = None,
    zero1: bool = False,
) -> Prepared:
    """Check the arguments of a run, and make its first state; see `jaxnn.fit`.

    Raises:
      ValueError, TypeError: naming the argument, its value, and what is allowed.
    """
    if mending := unused_accelerator():
        warnings.warn(mending, RuntimeWarning, stacklevel=3)  # where `fit` was called
    key = as_key(key)
    train, val = (data.train, data.val) if isinstance(data, Data) else (data, None)
    # Of streamed data a first batch stands for the rest; what follows is checked as it comes.
    (train_stream, train), (val_stream, val) = (
        sampled(name, part, batch_size) for name, part in (("train", train), ("val", val))
    )
    train, val = jax.tree.map(as_on_device, (train, val))
    batch_size, eval_rows = check_sizes(
        train, val, batch_size, eval_batch_size, train_stream, val_stream
    )
    _check_parts(recipe, knobs, state, step, probes)
    if batch_size % check_positive_int("accumulate", accumulate):
        raise ValueError(f"accumulate must divide the batch size, {batch_size}, got {accumulate}")
    if accumulate > 1 and step is not None:
        raise ValueError("accumulate is for the step of jaxnn, which step= replaces; give one")

    placement = place_on(devices, rules, zero1)
    if placement is not None and placement.per_device and step is not None:
        raise ValueError(
            "devices='pmap' runs the step of jaxnn, which step= replaces; devices='sharded' runs "
            "both"
        )

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
    examples = size(train) if train_stream is None else train_stream.examples
    config = {
        "recipe": description,
        "knobs": jax.tree.map(float, knobs) if knobs else {},
        "key": {
            "impl": str(jax.random.key_impl(key)),
            "data": np.asarray(jax.random.key_data(key)).tolist(),
        },
        "batch_size": batch_size,
        "accumulate": accumulate,
        "eval_batch_size": eval_rows,
        "steps_per_epoch": None if examples is None else steps_in(examples, batch_size),
        "train_examples": examples,
        "data": {"train": fingerprint(train), "val": None if val is None else fingerprint(val)},
        "step": describe(step),
        "probes": describe(tuple(probes)),
        "versions": _versions(),
        "devices": device_names(),
        "parallel": None if placement is None else placement.describe(state),
    }
    if make_recipe is None:
        state = jax.tree.map(_strong, state)
    if placement is not None:
        placement.check(state)
    unpadded = needs_whole_shapes(make_recipe, state)
    program = Program(
        make_recipe, step, tuple(probes), batch_size, accumulate, eval_rows, unpadded, placement
    )
    check_ragged_end(program, state, examples)
    _trace(program, state, train, val, key)

    def feed(name: str, part: Any, stream: Stream | None) -> Feed:
        if stream is None:
            return OnDevice(part, placement)
        return Streamed(stream, partial(check_streamed, make_recipe, state, name, part))

    return Prepared(
        program,
        state,
        feed("train", train, train_stream),
        None if val is None else feed("val", val, val_stream),
        key,
        config,
    )


def _strong(leaf: Any) -> jax.Array:
    """A leaf of a user's own state as an array, so that a resumed one has the same types."""
    if isinstance(leaf, jax.Array) and not leaf.weak_type:
        return leaf
    return jnp.asarray(leaf, jnp.result_type(leaf))


def _start(make_recipe: MakeRecipe, key: jax.Array, train: Any, knobs: Any, state: Any) -> Any:
    """The state that the run starts from: a fresh one, or the given one under this run's key."""
    rows = jax.tree.map(lambda leaf: np.zeros_like(leaf[:1]), train)
    if state is None:
        return _init_state(make_recipe, key, rows, knobs)
    state = state.replace(key=key, knobs=knobs)
    _check_fits(_init_state.eval_shape(make_recipe, key, rows, knobs), state)
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


_init_state = QuickJit(init_state, static_argnums=0)


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


def _trace(program: Program, state: Any, train: Any, val: Any, key: jax.Array) -> None:
    """Trace the whole program on shapes: what does not fit is said now, and not compiled."""
    zero = np.int32(0)
    order, tally = start_epoch.eval_shape(program, state, train, key, zero)
    of_chunk = jax.eval_shape(partial(run_chunk, program), state, tally, train, order, zero, zero)
    if program.unpadded and (ragged := size(train) % program.batch_size):
        rows = np.zeros(ragged, np.int32)
        jax.eval_shape(partial(run_rows, program), *of_chunk, train, rows, zero)
    jax.eval_shape(partial(end_epoch, program), *of_chunk, val, None)


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
    installed = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "jaxnn": __version__, **installed}
