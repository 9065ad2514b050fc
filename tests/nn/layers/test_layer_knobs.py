"""Every knob of every layer and model: an axis of vmap with shared draws, and its limits."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_leaves_close, assert_same_bits
from layer_row import KEY, evaluated, inputs, trained, variables
from layer_table import EVERY_KNOB, EVERY_ROW_THAT_DRAWS
from rows_of_layers import LAYERS


def by_knob(row, knob):
    """A training pass as a function of one knob."""
    x = inputs(row)
    v = variables(row, x)

    def run(value):
        change = {knob: value}
        if knob.endswith("_init"):  # which shows in what it initializes alone
            return trained(row, row.make(**change).init(KEY, x), x)
        return trained(row, v, x, **change)

    return run


@EVERY_KNOB
def test_vmap_over_a_knob_equals_a_loop_over_it(row, knob):
    run, values = by_knob(row, knob), jnp.asarray(row.knobs[knob].axis)
    both = jax.jit(lambda values: (jax.vmap(run)(values), jax.lax.map(run, values)))
    together, looped = jax.device_get(both(values))
    for i in range(len(values)):
        mapped, alone = (jax.tree.map(lambda y, i=i: y[i], tree) for tree in (together, looped))
        assert_leaves_close(mapped, alone, 1e-6)
    first, second = (
        np.concatenate([np.ravel(leaf[i]) for leaf in jax.tree.leaves(together)]) for i in (1, 2)
    )
    assert not np.array_equal(first, second)


@EVERY_ROW_THAT_DRAWS
def test_all_members_share_one_draw(row):
    """Members have variables, inputs and knobs of their own, and one key."""

    def run(v, x, knobs):
        return trained(row, v, x, **knobs)

    x = inputs(row)
    members = jax.tree.map(
        lambda leaf: jnp.stack([leaf] * 3),
        (variables(row, x), x, {knob: jnp.float32(row.knobs[knob].value) for knob in row.knobs}),
    )
    drawn = [
        equation.outvars[0].aval.shape
        for equation in equations(jax.make_jaxpr(jax.vmap(run))(*members).jaxpr)
        if equation.params.get("name") == "uniform_bits"
    ]
    assert drawn == list(row.draws)


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")
        ):
            if hasattr(inner, "jaxpr"):
                yield from equations(inner.jaxpr)


@pytest.mark.parametrize(
    "row",
    # Not with a kernel for each example, where the product sums in another order.
    [row for row in LAYERS if "rate" in row.knobs and not row.static.get("per_example")],
    ids=lambda row: row.name,
)
def test_a_rate_of_0_is_the_identity_to_the_last_bit(row):
    x = inputs(row)
    v = variables(row, x)
    for rate in (0.0, jnp.float32(0.0)):
        assert_same_bits(trained(row, v, x, rate=rate)[0], evaluated(row, v, x, rate=rate))


@EVERY_KNOB
def test_a_concrete_value_outside_its_limits_is_refused_by_name(row, knob):
    limits, x = row.knobs[knob], inputs(row)
    v = variables(row, x)
    for value in limits.outside:
        for bad in (value, np.float32(value), jnp.float32(value)):
            said = re.escape(f"{knob} must be in {limits.limits}, got {bad}")
            with pytest.raises(ValueError, match=f"^{said}"):
                trained(row, v, x, **{knob: bad})


@EVERY_KNOB
def test_a_traced_value_is_not_looked_at(row, knob):
    outputs, _ = jax.eval_shape(by_knob(row, knob), jnp.float32(row.knobs[knob].outside[0]))
    assert outputs.shape[0] == 16
