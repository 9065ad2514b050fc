"""One table of probes, one contract: right numbers in every way to run, and the run unchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import chex
import jax
import jaxlib.version
import numpy as np
import pytest
from closeness import assert_leaves_close, assert_same_bits
from probe_table import CLASSES, PARAMETERS, RATE, TABLE, Saved, by_hand

import jaxnn
from jaxnn.train import init_state
from jaxnn.train.step.state import member_axes
from jaxnn.train.step.static_probe import as_static
from jaxnn.train.step.step import traced_step
from jaxnn.tree import path_name

RECIPE = jaxnn.Recipe(
    jaxnn.nn.MLP((7, CLASSES)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(RATE)
)
RNG = np.random.default_rng(0)
DATA = {
    "x": RNG.normal(size=(40, 4)).astype(np.float32),
    "y": RNG.integers(0, 3, 40).astype(np.int32),
}
EPOCHS, KEY = 2, 3
KEYS = jax.random.key(KEY)

# How to run: arguments of `fit`. Batches of 16 leave a last one of 8 rows.
WAYS = {
    "plain": {"batch_size": 16},
    "accumulated and remat": {
        "batch_size": 16,
        "accumulate": 2,
        "recipe": replace(RECIPE, remat=True),
    },
    "skipping and streamed": {
        "batch_size": 16,
        "recipe": replace(RECIPE, skip_nonfinite=3),
        "data": jaxnn.data.stream(DATA),
    },
    "sharded": {"batch_size": 16, "devices": "sharded"},
    "sharded, accumulated": {"batch_size": 16, "devices": "sharded", "accumulate": 2},
    "pmap": {"batch_size": 16, "devices": "pmap"},
    "pmap, accumulated": {"batch_size": 16, "devices": "pmap", "accumulate": 2},
}
# Before jaxlib 0.8, XLA fuses the sums over micro-batches of a sharded step in another way beside
# a probe, one without taps included. No barrier that was tried prevents it.
ROUNDS_OTHERWISE = {"sharded, accumulated"} if jaxlib.version.__version_info__ < (0, 8) else set()


def fit(probes, *, recipe=RECIPE, data=DATA, **arguments):
    return jaxnn.fit(recipe, data, epochs=EPOCHS, key=KEY, probes=probes, **arguments)


def steps_of(run, epoch, batch_size):
    """The steps of an epoch by hand, from the parameters that the run has saved."""
    stream = jaxnn.data.stream(DATA)
    saved = {name: run.history.array_series(f"saved/{name}")[epoch] for name in PARAMETERS}
    batches = list(stream.batches(jax.random.key(KEY), epoch, batch_size))
    return [
        by_hand({name: of[i] for name, of in saved.items()}, batch, epoch * len(batches) + i, KEYS)
        for i, batch in enumerate(batches)
    ]


def shapes_of(trace):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), trace)


def assert_numbers(run, saved, rows, batch_size):
    for epoch in range(EPOCHS):
        steps = steps_of(saved, epoch, batch_size)
        for row in rows:
            expected = row.expected(steps)
            assert expected
            assert_values(recorded(run, epoch, expected), expected, row.rtol)


def names_of(run):
    """The names of all scalars and arrays."""
    return set(run.history.names) | set(run.history.epochs[-1].arrays)


def recorded(run, epoch, names):
    """Scalars and arrays that an epoch has recorded."""
    scalars = run.history.epochs[epoch].values
    return {
        name: scalars[name] if name in scalars else run.history.array_series(name)[epoch]
        for name in names
    }


def assert_values(found, expected, rtol):
    for name, value in expected.items():
        # The gradients of a row's outputs sum to 0, up to rounding.
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("way", WAYS)
def test_in_every_way_to_run(way):
    """All probes together: their numbers, and the training's bits without any."""
    arguments = WAYS[way]
    rows = list(TABLE.values())
    steps = -(-40 // arguments["batch_size"])
    plain = fit([], **arguments)
    probed = fit([*(row.make() for row in rows), Saved(steps)], **arguments)
    if way in ROUNDS_OTHERWISE:
        assert_leaves_close(probed.state.params, plain.state.params, 1e-6)
    else:
        assert_same_bits(probed.state.params, plain.state.params)
    assert_numbers(probed, probed, rows, arguments["batch_size"])


@pytest.fixture(scope="module")
def plain():
    return fit([], batch_size=16)


@pytest.fixture(scope="module")
def saved():
    """The run that has saved its parameters, which are those of every run with its bits."""
    return fit([Saved(3)], batch_size=16)


@pytest.mark.parametrize("name", TABLE)
def test_alone(name, plain, saved):
    """One probe records its own names, and leaves the training's bits alone."""
    row = TABLE[name]
    probed = fit([row.make()], batch_size=16)
    for run in (plain, saved):
        assert_same_bits(probed.state.params, run.state.params)
    new = names_of(probed) - names_of(plain)
    assert new == set(row.expected(steps_of(saved, 0, 16)))
    assert_numbers(probed, saved, [row], 16)


def test_members():
    """Under vmap over members, with state mapped and batch shared, as each member alone."""
    states = jax.vmap(lambda key: init_state(RECIPE, key, DATA))(jax.random.split(KEYS, 3))
    states = states.replace(clock=states.clock[0], key=states.key[0])
    axes = member_axes(states)
    padding = {"x": np.full((5, 4), 7, np.float32), "y": np.zeros(5, np.int32)}
    batch = jax.tree.map(lambda a, b: np.concatenate([a, b]), DATA, padding)
    batch["weight"] = np.repeat([1, 0], [40, 5]).astype(np.float32)
    probes = [as_static(row.make()) for row in TABLE.values()]

    def step(state, *, probes):
        stepped, _, traces = traced_step(RECIPE, state, batch, probes=probes)
        memories = [
            probe.update(probe.init(state, shapes_of(trace)), trace)
            for probe, trace in zip(probes, traces, strict=True)
        ]
        summaries = [p.summarize(memory) for p, memory in zip(probes, memories, strict=True)]
        return stepped, summaries

    def over(probes):
        def mapped(state):
            return step(state, probes=probes)

        return jax.jit(jax.vmap(mapped, in_axes=(axes,), out_axes=(axes, 0)))(states)

    (plain, _), (probed, summaries) = over([]), over(probes)
    assert_same_bits(probed.params, plain.params)
    for member in range(3):
        leaves = jax.tree_util.tree_leaves_with_path(states.params)
        params = {path_name(path): leaf[member] for path, leaf in leaves}
        by = by_hand(params, DATA, key=states.key)
        for row, summary in zip(TABLE.values(), summaries, strict=True):
            expected = row.expected([by])
            assert set(expected) == set(summary)
            assert_values({n: of[member] for n, of in summary.items()}, expected, row.rtol)


@pytest.mark.parametrize("name", TABLE)
def test_memory_keeps_its_structure(name):
    probe = as_static(TABLE[name].make())
    assert isinstance(probe, jaxnn.train.Probe)

    def memories():  # shapes and dtypes alone: nothing is computed
        state = init_state(RECIPE, 0, DATA)
        _, _, (trace,) = traced_step(RECIPE, state, DATA, probes=[probe])
        for field in set(trace._fields) - set(probe.needs):
            assert getattr(trace, field) is None
        memory = probe.init(state, shapes_of(trace))
        return memory, probe.update(memory, trace)

    before, after = jax.eval_shape(memories)
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)


def test_equal_probes_find_the_compiled_functions():
    """A second run builds its recipe for checks alone, and never while a step is traced."""
    traces = []

    def make_recipe(knobs):
        traces.append(isinstance(knobs["lr"], jax.core.Tracer))
        return replace(RECIPE, optimizer=jaxnn.optim.sgd(knobs["lr"]))

    def run():
        traces.clear()
        probes = [row.make() for row in TABLE.values()]
        jaxnn.fit(
            make_recipe, DATA, knobs={"lr": 0.1}, epochs=1, batch_size=16, key=0, probes=probes
        )
        return sum(traces)

    for name, row in TABLE.items():
        assert as_static(row.make()) == as_static(row.make()), name
    assert run() > 0
    assert run() == 0


def test_another_value_is_another_probe():
    a, b, c = (TABLE[name].make() for name in ("an array", "an array", "an array on the device"))
    assert as_static(a) == as_static(b) == as_static(c)
    assert len({as_static(a), as_static(b), as_static(c)}) == 1
    changed = a.reference.copy()
    changed[0, 0] += 1
    assert as_static(a) != as_static(type(a)(changed))
    assert as_static(a) != as_static(type(a)(a.reference.astype(np.float64)))
    first, second = (as_static(jaxnn.inspect.Activations(layers)) for layers in ("", "Dense_0"))
    assert first != second


def test_every_probe_has_a_row():
    public = {
        name for name in jaxnn.inspect.__all__ if hasattr(getattr(jaxnn.inspect, name), "summarize")
    }
    assert {"Activations", "GradientNorm"} <= public
    assert public <= {type(row.make()).__name__ for row in TABLE.values()}


def test_a_skipped_step_is_no_part_of_a_diagnostic():
    """The batch with the ruined row is left out of the means, and the others are all there."""
    spoiled = DATA["x"].copy()
    spoiled[8] = 3e38  # finite, but its logits are not
    data = {**DATA, "x": spoiled}
    row = TABLE["Activations"]
    recipe = replace(RECIPE, skip_nonfinite=3)
    run = jaxnn.fit(recipe, data, epochs=1, batch_size=16, key=KEY, probes=[row.make(), Saved(3)])
    batches = list(jaxnn.data.stream(data).batches(jax.random.key(KEY), 0, 16))
    good = [i for i, batch in enumerate(batches) if batch["x"].max() < 1e30]
    assert len(good) == 2
    saved = {name: run.history.array_series(f"saved/{name}")[0] for name in PARAMETERS}
    # `Saved` counts good steps too, and has the parameters of those.
    steps = [
        by_hand(jax.tree.map(lambda leaf, i=i: leaf[i], saved), batches[number])
        for i, number in enumerate(good)
    ]
    expected = row.expected(steps)
    assert_values(recorded(run, 0, expected), expected, row.rtol)


class NeedsTypo(jaxnn.inspect.GradientNorm):
    needs = ("gradients",)


class NoReduce(jaxnn.inspect.GradientNorm):
    needs = ("taps",)


@dataclass(frozen=True)
class Unknown(jaxnn.inspect.GradientNorm):
    """Holds what neither hashes nor is an array."""

    held: Any = None


@pytest.mark.parametrize(
    ("probe", "error", "message"),
    [
        (3, TypeError, "probes must have needs, init, update and summarize .*got 3"),
        (jaxnn.inspect.GradientNorm, TypeError, r"probes must be objects, GradientNorm\(…\)"),
        (NeedsTypo(), ValueError, "needs of a probe must be names among .*'gradients'"),
        (Unknown(held={1, 2}), TypeError, r"a probe must hash.*got \{1, 2\} at Unknown.held"),
        (NoReduce(), TypeError, "needs taps must have the method reduce"),
    ],
)
def test_refusals(probe, error, message):
    with pytest.raises(error, match=message):
        fit([probe], batch_size=16)


def test_layers_must_be_a_regular_expression():
    with pytest.raises(ValueError, match=r"layers must be a regular expression, got '\('"):
        jaxnn.inspect.Activations("(")
