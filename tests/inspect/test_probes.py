"""One table of probes, one contract: right numbers, no change to the run, no second trace."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.inspect import GradientNorm
from jaxnn.train import StepTrace, init_state
from jaxnn.train.step.step import traced_step


def gradient_norm_by_hand(traces):
    norms = [
        np.sqrt(sum(np.sum(np.square(leaf, dtype=np.float64)) for leaf in jax.tree.leaves(t.grads)))
        for t in traces
    ]
    return {"gradient_norm/mean": np.mean(norms), "gradient_norm/max": np.max(norms)}


PROBES = {"gradient norm": (GradientNorm(), gradient_norm_by_hand)}


@pytest.fixture
def recipe():
    return jaxnn.Recipe(
        jaxnn.nn.MLP((7, 3), dropout_rate=0.3),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.sgd(0.5),
    )


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(40, 4)).astype(np.float32),
        "y": rng.integers(0, 3, 40).astype(np.int32),
    }


@pytest.mark.parametrize("name", PROBES)
def test_numbers(name, recipe, data):
    """Fed by hand with the traces of five steps."""
    probe, by_hand = PROBES[name]
    state, traces = init_state(recipe, 0, data), []
    memory = probe.init(state)
    for _ in range(5):
        state, _, trace = traced_step(recipe, state, data)
        memory = probe.update(memory, trace)
        traces.append(jax.device_get(trace))
    summary, expected = probe.summarize(memory), by_hand(traces)
    assert set(summary) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(summary[key], value, rtol=1e-6)


@pytest.mark.parametrize("name", PROBES)
def test_in_a_run(name, recipe, data):
    """Recorded each epoch, fresh in each, and the run is the run without it, bit for bit."""
    probe, _ = PROBES[name]
    arguments = {"epochs": 3, "batch_size": 16, "key": 0}
    plain = jaxnn.fit(recipe, data, **arguments)
    probed = jaxnn.fit(recipe, data, probes=[probe], **arguments)
    for a, b in zip(
        jax.tree.leaves(plain.state.params), jax.tree.leaves(probed.state.params), strict=True
    ):
        assert a.tobytes() == b.tobytes()
    new = set(probed.history.names) - set(plain.history.names)
    assert new == set(probe.summarize(probe.init(plain.state)))
    for key in new:
        series = probed.history.series(key)
        assert np.isfinite(series).all()
        assert len(set(series)) == 3


@pytest.mark.parametrize("name", PROBES)
def test_composes(name, recipe, data):
    """Works under vmap over members, keeps its structure, and hashes by value."""
    probe, _ = PROBES[name]
    state = init_state(recipe, 0, data)
    _, _, trace = traced_step(recipe, state, data)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        probe.init(state), probe.update(probe.init(state), trace)
    )
    scales = jnp.array([1.0, 2.0, 5.0])

    def summary(scale):
        scaled = StepTrace(*jax.tree.map(lambda leaf: leaf * scale, tuple(trace)))
        return probe.summarize(probe.update(probe.init(state), scaled))

    mapped = jax.vmap(summary)(scales)
    for i, scale in enumerate(scales):
        one = summary(scale)
        for key, value in one.items():
            np.testing.assert_allclose(mapped[key][i], value, rtol=1e-6)
    assert hash(probe) == hash(type(probe)())
    assert isinstance(probe, jaxnn.train.Probe)
