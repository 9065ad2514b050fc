"""Members inside the one loop: bits that depend on the width alone, and draws made once."""

from __future__ import annotations

import contextlib

import jax
import numpy as np
import pytest
from members import loop_of_members, member

import jaxnn
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.roster import arrange
from jaxnn.train.loop.tally import start_tally

RATES = np.array([0.3, 0.01, 0.05, 1e30, 0.1])  # the fourth goes NaN
L2 = np.array([0.0, 1e-3, 1e-2, 1.0, 1e-4])
STOPPED, RUINED = 0, 3
EPOCHS = 6


def maker(skip=None):
    def make_recipe(knobs):
        return jaxnn.Recipe(
            jaxnn.nn.MLP((8, 3), activation="tanh", dropout_rate=0.3, normalization="batch"),
            jaxnn.losses.softmax_cross_entropy,
            jaxnn.optim.momentum(knobs["lr"], 0.9),
            regularizer=jaxnn.regularizers.l2(knobs["l2"]),
            # A margin that nobody meets ends the first member after two epochs.
            controllers=(
                jaxnn.train.early_stopping(patience=2, min_delta=knobs["margin"]),
                jaxnn.train.halve_on_rise(),
            ),
            average=jaxnn.optim.parameter_average(0.9),
            skip_nonfinite=skip,
        )

    return make_recipe


def knobs(chosen):
    margin = np.where(np.arange(len(RATES)) == STOPPED, 1e3, 0.0)
    return {"lr": RATES[chosen], "l2": L2[chosen], "margin": margin[chosen]}


def trained(make_recipe, chosen, data, width=3, steps_per_call=None, epochs=EPOCHS):
    loop = loop_of_members(
        make_recipe, knobs(chosen), data, width, steps_per_call=steps_per_call, batch_size=16, key=5
    )
    for _ in range(epochs):
        loop.launch()
    return {number: member(loop.state, place) for place, number in enumerate(chosen)}


def alone(make_recipe, number, data):
    one = {name: float(values[0]) for name, values in knobs([number]).items()}
    state = None
    with contextlib.suppress(FloatingPointError):  # a run alone raises when it is ruined
        for epoch in jaxnn.train.each_epoch(
            make_recipe, data, knobs=one, epochs=EPOCHS, batch_size=16, key=5, devices=1
        ):
            state = epoch.state
    return state


@pytest.mark.parametrize("skip", [None, 2])
def test_a_members_bits_depend_on_nothing_but_the_width(tiny, same_bits, skip):
    make_recipe = maker(skip)
    together = trained(make_recipe, [0, 1, 2, 3, 4], tiny)
    assert bool(together[STOPPED].control.stop)
    assert int(together[STOPPED].control.updates) < int(together[1].control.updates)
    if skip is None:
        assert not np.isfinite(together[RUINED].params["Dense_1"]["kernel"]).any()
    else:
        assert int(together[RUINED].control.skips.in_a_row) == skip
        assert int(together[RUINED].control.updates) < 16
    for chosen, steps_per_call in (([4, 3, 2, 1, 0], 2), ([3, 1], None), ([2, 2, 2, 2], None)):
        others = trained(make_recipe, chosen, tiny, steps_per_call=steps_per_call)
        for number in chosen:
            same_bits(together[number], others[number])


@pytest.mark.parametrize("skip", [None, 2])
def test_each_member_is_its_run_alone(tiny, x64, skip):
    make_recipe = maker(skip)
    together = trained(make_recipe, [0, 1, 2, 3, 4], tiny)
    for number, state in together.items():
        one = alone(make_recipe, number, tiny)
        if number == RUINED:  # a rate of 1e30 makes large numbers of rounding errors
            assert bool(state.control.stop)
            assert jax.tree.map(int, state.control.skips) == jax.tree.map(int, one.control.skips)
            continue
        assert int(state.control.updates) == int(one.control.updates)
        assert bool(state.control.stop) == bool(one.control.stop)
        for name in ("params", "model_state", "opt_state", "averaged", "control"):
            for a, b in zip(
                jax.tree.leaves(getattr(state, name)),
                jax.tree.leaves(getattr(one, name)),
                strict=True,
            ):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-9, err_msg=name)


def test_what_members_share_is_drawn_once(tiny):
    """The random bits of the compiled program have the shapes of a single run's."""
    make_recipe = maker()
    loop = loop_of_members(make_recipe, knobs([0, 1, 2, 3, 4]), tiny, 3, batch_size=16, key=5)
    (chunk,) = loop._train.chunks(loop.key, 0, None)

    def draws(program, state, live):
        tally = start_tally(program, state, chunk.data, chunk.capacity)
        arguments = (tally, chunk.data, chunk.order, np.int32(0), np.int32(2), live)
        traced = jax.make_jaxpr(train_chunk, static_argnums=0)(program, state, *arguments)
        return sorted(
            equation.outvars[0].aval.shape
            for equation in _equations(traced.jaxpr)
            if equation.params.get("name") in ("uniform_bits", "_bernoulli", "bits")
            or equation.primitive.name in ("random_bits", "threefry2x32")
        )

    single = Program(make_recipe, None, (), 16, 1, loop.program.eval_batch_size)
    found = draws(loop.program, loop.state, np.int32(2))
    assert found
    assert found == draws(single, member(loop.state, 0), None)


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")
        ):
            if hasattr(inner, "jaxpr"):
                yield from _equations(inner.jaxpr)


def test_dead_cohorts_cost_no_step(tiny):
    """Two cohorts are trained where six stand in memory: the others keep their bits."""
    make_recipe = maker()
    loop = loop_of_members(make_recipe, knobs([0, 1, 2, 3, 4]), tiny, 1, batch_size=16, key=5)
    before = [member(loop.state, place) for place in range(5)]
    loop.roster = arrange(np.arange(2), 6, 1)
    loop.launch()
    for place in range(5):
        moved = np.any(
            np.asarray(member(loop.state, place).params["Dense_0"]["kernel"])
            != np.asarray(before[place].params["Dense_0"]["kernel"])
        )
        assert moved == (place < 2)
