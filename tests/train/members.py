"""Members that train together through the loop of `fit`, before there is a public way."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.train import init_state
from jaxnn.train.loop.loop import Loop
from jaxnn.train.loop.roster import arrange, room_for
from jaxnn.train.prepare.prepare import prepare
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.step.state import member_axes


def loop_of_members(make_recipe, knobs, data, width, *, steps_per_call=None, **settings):
    """A loop over members in cohorts; the last cohort is filled up with stopped members.

    Args:
      make_recipe: what is trained.
      knobs: dict of (members,) arrays.
      data: of the run.
      width: members of a cohort.
      steps_per_call: of the loop.
      **settings: of `Setup`.
    """
    (members,) = {len(values) for values in knobs.values()}
    cohorts = room_for(members, width, 1)
    slots = cohorts * width
    first = {name: float(values[0]) for name, values in knobs.items()}
    ready = prepare(Setup(recipe=make_recipe, data=data, knobs=first, devices=1, **settings))
    filled = jax.tree.map(
        lambda values: jnp.resize(jnp.asarray(values, float), slots).reshape(-1, width), knobs
    )
    axes = member_axes(ready.state)

    def start(knobs):
        return init_state(make_recipe, ready.key, ready.train.data, knobs)

    state = jax.jit(jax.vmap(jax.vmap(start, out_axes=axes), out_axes=axes))(filled)
    stop = np.arange(slots).reshape(-1, width) >= members
    state = state.replace(control=state.control.replace(stop=jnp.asarray(stop)))
    program = replace(ready.program, width=width)
    return Loop(
        program,
        state,
        ready.train,
        ready.val,
        ready.key,
        steps_per_call=steps_per_call,
        roster=arrange(np.arange(members), cohorts, width),
    )


def member(state, number):
    """The state of one member, as that of a run alone."""
    axes = member_axes(state)

    def own(axis, below):
        if axis is None:
            return below
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[number], below)

    return jax.tree.map(own, axes, state, is_leaf=lambda node: node is None)
