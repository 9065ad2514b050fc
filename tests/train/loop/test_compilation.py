"""What is compiled how often, what crosses to the host, and what the program contains."""

from __future__ import annotations

import re
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.data.batches import epoch_order
from jaxnn.train import init_state, train_step
from jaxnn.train.devices.compilation import quickly
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.tally import start_tally

COMPILED = []


@jax.monitoring.register_event_duration_secs_listener
def _note(event, seconds, **about):
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(about["fun_name"])


@pytest.fixture
def compiled():
    """The names of the functions compiled since, emptied by `clear`."""
    COMPILED.clear()
    return COMPILED


def counting(limit):
    """A make_recipe whose loss fails when it is traced more than `limit` times."""
    chex.clear_trace_counter()
    loss = chex.assert_max_traces(n=limit)(
        lambda logits, labels: jaxnn.losses.softmax_cross_entropy(logits, labels)
    )
    return lambda knobs: jaxnn.Recipe(
        model=jaxnn.nn.MLP((16, 3), dropout_rate=knobs.get("dropout", 0.5)),
        loss=loss,
        optimizer=jaxnn.optim.adam(knobs.get("lr", 1e-3)),
        regularizer=jaxnn.regularizers.l2(knobs.get("l2", 1e-4)),
    )


def test_what_compiles_quickly_has_the_bits_of_what_compiles_long(tiny, same_bits):
    recipe = counting(9)({})
    quick = quickly(jax.jit(init_state, static_argnums=0), (0,))(
        recipe, jax.random.key(0), tiny.train
    )
    thorough = jax.jit(
        init_state, static_argnums=0, compiler_options={"xla_backend_optimization_level": 3}
    )(recipe, jax.random.key(0), tiny.train)
    same_bits(quick, thorough)


def test_a_fit_traces_training_and_evaluation_once_each(tiny, compiled):
    make = counting(2)
    jaxnn.fit(make, tiny, epochs=3, batch_size=32, key=0)
    assert sum("chunk" in name for name in compiled) == 1
    assert sum("end_epoch" in name for name in compiled) == 1


def test_a_second_fit_of_the_same_recipe_compiles_nothing(tiny, compiled):
    recipe = counting(2)({})
    jaxnn.fit(recipe, tiny, epochs=1, batch_size=32, key=0)
    compiled.clear()
    jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=1, steps_per_call=2)
    assert compiled == []


def test_eight_settings_of_one_make_recipe_compile_once(tiny, compiled):
    make = counting(2)
    final = set()
    for i in range(8):
        if i == 1:
            compiled.clear()
        knobs = {"lr": 10.0 ** -(i % 4 + 1), "dropout": 0.1 * i, "l2": 0.01 * i}
        run = jaxnn.fit(make, tiny, epochs=1, batch_size=32, key=0, knobs=knobs)
        final.add(float(run.state.params["Dense_0"]["kernel"][0, 0]))
    assert compiled == []
    assert len(final) == 8


def test_an_own_step_is_traced_once(tiny, recipe):
    chex.clear_trace_counter()
    step = chex.assert_max_traces(n=1)(lambda s, b: train_step(recipe, s, b))
    for _ in range(2):
        jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=0, step=step)


def test_one_fetch_an_epoch_and_no_other_way_to_the_host(tiny, recipe, monkeypatch):
    array = type(jnp.zeros(()))
    ways = ["__array__", "__float__", "__int__", "__bool__", "__index__", "item", "tolist"]
    strays, fetched, inside = [], [], []
    device_get = jax.device_get

    def counted_get(tree):
        fetched.append(tree)
        inside.append(True)
        try:
            return device_get(tree)
        finally:
            inside.pop()

    def spy(name, original):
        def method(self, *args, **kwargs):
            if watching and not inside:
                strays.append(name)
            return original(self, *args, **kwargs)

        return method

    watching = []

    class Watch(jaxnn.train.Observer):
        def on_start(self, run):
            watching.append(True)
            fetched.clear()

        def on_end(self, run):
            watching.clear()

    monkeypatch.setattr(jax, "device_get", counted_get)
    for name in ways:
        monkeypatch.setattr(array, name, spy(name, getattr(array, name)))
    jaxnn.fit(recipe, tiny, epochs=5, batch_size=32, key=0, observers=[Watch()])
    # One for each epoch, and one at the start that asks whether the run had ended before.
    assert len(fetched) == 5 + 1
    assert strays == []


def test_the_program_holds_no_callback_and_one_loop(tiny, recipe):
    program = Program(recipe.maker, None, (jaxnn.inspect.GradientNorm(),), 32, 1, 30)
    key, zero = jax.random.key(0), np.int32(0)
    state = init_state(recipe, key, tiny.train)
    order, tally = epoch_order(key, zero, 70, 32), start_tally(program, state, tiny.train, 3)
    text = (
        train_chunk.lower(program, state, tally, tiny.train, order, zero, zero).compile().as_text()
    )
    batch = {**jax.tree.map(lambda leaf: leaf[:32], tiny.train), "weight": jnp.ones(32)}
    step = jax.jit(train_step, static_argnums=0).lower(recipe, state, batch).compile().as_text()
    products = r"\[\d\S+ (?:dot|custom-call)\("  # of matrices: a probe's norm may be a scalar one
    # Each product of a step stands in the program once: its steps are a loop, not written out.
    assert len(re.findall(products, step)) == len(re.findall(products, text)) > 0
    targets = re.findall(r'custom_call_target="([^"]*)"', text)
    assert not any("callback" in target for target in targets)
    assert not re.search(r" (outfeed|infeed|send|recv)\(", text)


def test_a_step_maps_over_every_knob(tiny, maker, knobs):
    """The first row of the contract that every knob is an array."""
    batch = jax.tree.map(lambda leaf: leaf[:32], tiny.train)
    grid = {name: jnp.linspace(0.1 * value, 1.2 * value, 5) for name, value in knobs.items()}
    state = jax.jit(partial(init_state, maker, 0))(batch, jax.tree.map(jnp.asarray, knobs))
    step = jax.jit(partial(train_step, maker))

    def after_two_steps(knobs):
        new, _ = step(state.replace(knobs=knobs), batch)
        new, metrics = step(new, batch)
        return new.params, metrics["loss"]  # an accuracy jumps where rounding decides

    for name in knobs:
        varied = {**jax.tree.map(lambda knob: jnp.full(5, knob), knobs), name: grid[name]}
        mapped = jax.jit(jax.vmap(after_two_steps))(varied)
        looped = [
            after_two_steps(jax.tree.map(lambda leaf, i=i: leaf[i], varied)) for i in range(5)
        ]
        for i, one in enumerate(looped):
            for a, b in zip(jax.tree.leaves(mapped), jax.tree.leaves(one), strict=True):
                assert np.linalg.norm(a[i] - b) <= 1e-6 * max(np.linalg.norm(b), 1e-3), name
        kernels = mapped[0]["Dense_0"]["kernel"]
        assert len(np.unique(np.asarray(kernels[:, 0]), axis=0)) == 5, f"{name} has no effect"
