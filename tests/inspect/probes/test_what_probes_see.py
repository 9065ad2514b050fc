"""What the numbers of single probes mean where the contract's small model does not show it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.inspect import Activations, Alpha, GradientNoise, Histograms, Norms, standard_probes
from jaxnn.inspect.probes.leaves import norms_of
from jaxnn.nn.activations.bounds import bounds_of
from jaxnn.train import init_state
from jaxnn.train.step.step import traced_step

RNG = np.random.default_rng(2)
BATCH = {
    "x": 3 * RNG.normal(size=(24, 5)).astype(np.float32),
    "y": RNG.integers(0, 3, 24).astype(np.int32),
}


def recipe_of(model, optimizer=None, **more):
    optimizer = jaxnn.optim.sgd(0.1) if optimizer is None else optimizer
    return jaxnn.Recipe(model, jaxnn.losses.softmax_cross_entropy, optimizer, **more)


def recorded(recipe, probe, state=None, batch=BATCH, **arguments):
    """What a probe records of one step, and the states before and behind it."""
    state = init_state(recipe, 0, batch) if state is None else state

    @jax.jit
    def step(state, batch):
        new, _, (trace,) = traced_step(recipe, state, batch, probes=[probe], **arguments)
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), trace)
        return probe.summarize(probe.update(probe.init(state, shapes), trace)), new

    return *step(state, batch), state


def test_the_update_is_what_was_applied():
    """Behind clipping, decay and max-norm, from the parameters themselves."""
    optimizer = optax.chain(
        jaxnn.optim.clip_by_global_norm(0.1),
        jaxnn.optim.adamw(0.05, weight_decay=0.1),
        jaxnn.optim.max_norm(0.5),
    )
    recipe = recipe_of(jaxnn.nn.MLP((7, 3)), optimizer)
    values, new, old = recorded(recipe, Norms("kernel"))
    for layer in ("Dense_0", "Dense_1"):
        before, after = (np.asarray(s.params[layer]["kernel"], float) for s in (old, new))
        ratio = np.linalg.norm(after - before) / np.linalg.norm(before)
        np.testing.assert_allclose(values[f"update/{layer}/kernel/ratio"], ratio, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e30])
def test_norms_neither_overflow_nor_vanish(size):
    leaves = [jnp.full((3, 4), size, jnp.float32), jnp.zeros(2), jnp.ones(4)]
    expected = [np.sqrt(12) * size, 0, 2]
    np.testing.assert_allclose(jax.jit(norms_of)(leaves), expected, rtol=1e-6)
    mapped = jax.vmap(lambda x: norms_of([x, leaves[2]]))(jnp.stack([leaves[0], jnp.ones((3, 4))]))
    np.testing.assert_allclose(mapped, [[expected[0], 2], [np.sqrt(12), 2]], rtol=1e-6)


SATURATED = {
    "tanh": lambda a: np.abs(a) >= 0.98,
    "sigmoid": lambda a: (a <= 0.01) | (a >= 0.99),
    "relu": lambda a: a == 0,
    "relu6": lambda a: (a == 0) | (a == 6),
    "elu": lambda a: a <= -0.99,
    "hard_tanh": lambda a: np.abs(a) == 1,
}


@pytest.mark.parametrize("name", SATURATED)
def test_saturation_by_the_bounds_of_the_activation(name):
    values, _, state = recorded(recipe_of(jaxnn.nn.MLP((7, 3), activation=name)), Activations())
    layer = jax.tree.map(np.asarray, state.params["Dense_0"])
    z = BATCH["x"] @ layer["kernel"] + layer["bias"][None]
    a = np.asarray(jaxnn.nn.activation(name)(z), float)
    share = SATURATED[name](a).mean()
    assert 0 < share < 1
    np.testing.assert_allclose(values["activation/Dense_0/saturated"], share, rtol=1e-6)


def test_bounds_of_functions_with_an_alpha():
    half = functools.partial(jaxnn.nn.elu, alpha=0.5)
    assert bounds_of(half).ends(0.1) == (-0.45, np.inf)
    assert bounds_of(functools.partial(jaxnn.nn.elu, alpha=-1.0)) is None
    assert bounds_of(jax.nn.silu) is None
    seen = jax.jit(lambda a: a if bounds_of(functools.partial(jaxnn.nn.elu, alpha=a)) else -a)
    assert seen(1.0) == -1  # a traced one has none


def test_a_unit_is_dead_if_no_row_of_the_window_wakes_it():
    recipe = recipe_of(jaxnn.nn.MLP((7, 3)))
    state = init_state(recipe, 0, BATCH)
    bias = jnp.zeros(7).at[jnp.array([1, 4])].set(-1e3)
    params = {**state.params, "Dense_0": {**state.params["Dense_0"], "bias": bias}}
    values, _, _ = recorded(recipe, Activations(), state.replace(params=params))
    np.testing.assert_allclose(values["activation/Dense_0/dead"], 2 / 7, rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (0.0, 2), (0.4, 2), (-0.4, 2), (0.5, 3), (0.99, 3), (1.0, 4), (1e30, 4), (np.inf, 4),
        (-0.5, 1), (-1.0, 0), (-np.inf, 0), (1e-42, 2),
    ],
)  # fmt: skip
def test_bins_of_octaves(value, place):
    probe = Histograms(low=-1, high=1)
    np.testing.assert_array_equal(probe.edges, [-np.inf, -1, -0.5, 0.5, 1, np.inf])
    counts = probe._counts(jnp.full(3, value, jnp.float32), jnp.array([True, False, True]))
    np.testing.assert_array_equal(counts, 2.0 * (np.arange(5) == place))


@pytest.mark.parametrize("low", [-126, -1])
@pytest.mark.parametrize("high", [128, 0])
def test_all_exponents_are_counted(low, high):
    probe = Histograms(low=low, high=high)
    values = np.array([0, 1e-38, 1, 2, 3e38, -3e38, 1e-45], np.float32)
    counts = probe._counts(jnp.asarray(values))
    assert counts.shape == (len(probe.edges) - 1,) and counts.sum() == len(values)


def test_groups_estimate_what_single_rows_do():
    """The variance from four groups is near that from rows, on average over many batches."""
    recipe = recipe_of(jaxnn.nn.MLP((3,)))
    state = init_state(recipe, 0, BATCH)
    rng = np.random.default_rng(0)
    found = {groups: [] for groups in (4, 24)}
    for groups, of in found.items():
        probe = GradientNoise(groups, every=1)

        @jax.jit
        def measured(batch, probe=probe):
            return traced_step(recipe, state, batch, probes=[probe])[2][0].measured.variance

        for _ in range(200):
            rows = {name: leaf[rng.permutation(24)] for name, leaf in BATCH.items()}
            of.append(float(measured(rows)))
    np.testing.assert_allclose(np.mean(found[4]), np.mean(found[24]), rtol=0.15)


def test_alpha_of_a_parabola():
    """Least squares is a parabola along every line: the rate says where a step ends."""
    data = {"x": np.ones((8, 1), np.float32), "y": np.zeros((8, 1), np.float32)}
    model = (lambda key, x: {"w": jnp.ones((1, 1))}, lambda params, x: x @ params["w"])
    for rate, alpha in ((0.25, -0.5), (0.5, 0.0), (0.75, 0.5)):  # the curvature is 2
        recipe = jaxnn.Recipe(model, jaxnn.losses.squared_error, jaxnn.optim.sgd(rate))
        values, _, _ = recorded(recipe, Alpha(every=1), batch=data)
        np.testing.assert_allclose(values["alpha"], alpha, atol=1e-5)


def test_the_standard_set():
    names = [type(probe).__name__ for probe in standard_probes(every=7)]
    assert names == ["Norms", "Activations", "Histograms"]
    costly = standard_probes(every=7, costly_every=70)
    assert [probe.every for probe in costly] == [7] * 3 + [70] * 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Norms("("), r"parameters must be a regular expression, got '\('"),
        (lambda: Histograms(parameters="("), "parameters must be a regular expression"),
        (lambda: Histograms(low=3, high=3), "low and high must be integers with"),
        (lambda: Histograms(low=0.5), "low and high must be integers with"),
        (lambda: Activations(margin=0.5), r"margin must be in \(0, 0.5\)"),
        (lambda: GradientNoise(1), "groups must be at least 2"),
        (lambda: jaxnn.inspect.Average(abs, needs=("taps",)), "needs must be names among"),
        (lambda: standard_probes(costly_every=0), "costly_every must be a positive integer"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
