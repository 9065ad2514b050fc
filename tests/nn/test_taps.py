"""Taps: sums that come out of the backward pass, wherever in a program the tap stands."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits

from jaxnn.nn import MLP, ConvNet, Maxout, ResNet, tap
from jaxnn.nn.adapters.remat import rematerialized
from jaxnn.nn.taps import listening, summed

W = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
REAL = np.ones(X.shape, bool)


def sums(x, gradient, real):
    return {"n": jnp.sum(real, dtype=x.dtype), "x": x.sum(), "g2": (gradient**2).sum()}


SINK = {"n": np.float32(0), "x": np.float32(0), "g2": np.float32(0)}


def tapped(x, sink):
    return summed(sums, x, sink, jnp.ones(x.shape, bool), 1.0)


def layers(w, x, sink, *, around=lambda f: f):
    """Three layers as one scan, each tapped behind its activation."""

    def layer(x, _):
        return tapped(jnp.tanh(x @ w), sink), None

    return (jax.lax.scan(around(layer), x, None, length=3)[0] ** 2).sum()


def by_hand(w, x):
    """The sums of `layers` and its gradient at each activation, in float64."""
    w, h, activations = np.asarray(w, float), np.asarray(x, float), []
    for _ in range(3):
        h = np.tanh(h @ w)
        activations.append(h)
    gradients = [2 * h]
    for h in activations[:0:-1]:
        gradients.append((gradients[-1] * (1 - h**2)) @ w.T)
    return {
        "n": 3 * x.size,
        "x": sum(h.sum() for h in activations),
        "g2": sum((g**2).sum() for g in gradients),
    }


WAYS = {
    "scan": layers,
    "checkpoint in scan": partial(layers, around=jax.checkpoint),
    "checkpoint": jax.checkpoint(layers),
    "rematerialized": rematerialized(layers),
    "jit": jax.jit(layers),
}


@pytest.mark.parametrize("way", WAYS)
def test_sums_and_gradients(way):
    loss = WAYS[way]
    grads, found = jax.jit(jax.grad(loss, argnums=(0, 2)))(W, X, SINK)
    for name, value in by_hand(W, X).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
    np.testing.assert_allclose(
        grads, jax.grad(lambda w: layers_without_taps(w, X))(W), rtol=1e-4, atol=1e-5
    )


def layers_without_taps(w, x):
    return (jax.lax.scan(lambda x, _: (jnp.tanh(x @ w), None), x, None, length=3)[0] ** 2).sum()


def test_members():
    """Mapped parameters and a shared batch: each member has its own sums."""
    ws = jnp.stack([W, 2 * W, -W])
    found = jax.vmap(jax.grad(layers, argnums=2), in_axes=(0, None, None))(ws, X, SINK)
    for i, w in enumerate(ws):
        for name, value in by_hand(w, X).items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-5)


def test_the_sums_of_examples_add_up_under_vmap():
    def loss(sink):
        return jax.vmap(lambda x: tapped(x, sink).sum())(X).sum()

    found = jax.grad(loss)(SINK)
    np.testing.assert_allclose(found["n"], X.size)
    np.testing.assert_allclose(found["x"], X.sum(dtype=float), rtol=1e-5)


def test_scale_and_half_precision():
    def loss(sink):
        x = jnp.asarray([1.0, 2.0], jnp.bfloat16)
        real = jnp.ones(2, bool)
        return (summed(sums, x, sink, real, jnp.float32(10)) / 10).sum().astype(jnp.float32)

    found = jax.grad(loss)(SINK)
    assert found["g2"].dtype == jnp.float32
    np.testing.assert_allclose(found["g2"], 2, rtol=1e-2)


def test_below_a_stop_gradient_nothing_is_summed():
    found = jax.grad(lambda sink: jax.lax.stop_gradient(tapped(jnp.asarray(X), sink)).sum())(SINK)
    assert float(found["n"]) == 0


def test_forward_mode_is_refused():
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lambda x: tapped(x, SINK), (jnp.asarray(X),), (jnp.asarray(X),))


# Which taps models have.


def found_in(model, x, **keywords):
    """The shapes of all taps by site and path, of one abstract pass."""
    found = {}

    def listen(site, path, value, bounds):
        found.setdefault(f"{site}/{path}", []).append(value.shape)
        return value

    variables = jax.eval_shape(partial(model.init, jax.random.key(0)), x)
    with listening(listen):
        jax.eval_shape(lambda v: model.apply(v, x, **keywords), variables)
    return found, variables["params"]


def test_an_mlp():
    found, params = found_in(MLP((7, 6, 3), normalization="layer"), X)
    assert found == {
        "output/Dense_0": [(6, 7)],
        "output/LayerNorm_0": [(6, 7)],
        "preactivation/Dense_0": [(6, 7)],
        "activation/Dense_0": [(6, 7)],
        "output/Dense_1": [(6, 6)],
        "output/LayerNorm_1": [(6, 6)],
        "preactivation/Dense_1": [(6, 6)],
        "activation/Dense_1": [(6, 6)],
        "output/Dense_2": [(6, 3)],
    }
    assert {name.partition("/")[2] for name in found} == set(params)


def test_convolutional_models():
    image = np.zeros((2, 16, 16, 3), np.float32)
    found, _ = found_in(ConvNet(10, channels=(4, (5, 6)), hidden=(7,)), image)
    at = {name for name in found if name.startswith("activation")}
    assert at == {f"activation/{of}" for of in ("Conv_0", "Conv_1", "Conv_2", "Dense_0")}
    found, params = found_in(ResNet(10, depth=8, width=4), image)
    at = {name.partition("/")[2] for name in found if name.startswith("activation")}
    assert at == {f"Conv_{i}" for i in range(7)}  # the second of a block: behind the shortcut
    assert at <= set(params)


class Nested(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = MLP((4, 5), activation=nn.tanh)(x)
        return Maxout(3, pieces=2)(x)


def test_paths_are_those_of_the_parameters():
    found, _ = found_in(Nested(), X)
    assert {
        "output/MLP_0": [(6, 5)],
        "activation/MLP_0/Dense_0": [(6, 4)],
        "preactivation/Maxout_0/Dense_0": [(6, 6)],
        "activation/Maxout_0/Dense_0": [(6, 3)],
    }.items() <= found.items()


class Lifted(nn.Module):
    """Layers under lifted transformations, whose wrappers must not be tapped once more."""

    @nn.compact
    def __call__(self, x):
        x = nn.remat(nn.Dense)(5, name="remat")(x)
        x = nn.jit(nn.Dense)(5, name="jit")(x)
        cell = nn.scan(
            nn.SimpleCell,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
        )
        carry, ys = cell(4, name="scan")(jnp.zeros((x.shape[0], 4)), jnp.stack([x] * 3, axis=1))
        return carry + ys.sum(1)


def test_lifted_transformations():
    found, params = found_in(Lifted(), X)
    assert found["output/remat"] == [(6, 5)]
    assert found["output/jit"] == [(6, 5)]
    # A cell returns its carry and its output: one tap each, at every trace of the body.
    assert set(found["output/scan/0"]) == set(found["output/scan/1"]) == {(6, 4)}
    assert {name.split("/")[1] for name in found} == set(params)


class Jitted(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.jit(nn.Dense)(2)(x).sum()


def test_what_jax_has_traced_before_is_traced_anew_for_another_listener():
    """`nn.jit` and `jax.jit` keep traces, without the taps of the present listener."""

    @jax.jit
    def activated(x):
        return tap("inside", jnp.tanh(x))

    def model(x):
        return activated(x).sum()

    model(X)  # kept without a tap
    for _ in range(2):

        def loss(sink):
            with listening(lambda site, path, x, bounds: tapped(x, sink)):
                return model(X)

        np.testing.assert_allclose(jax.grad(loss)(SINK)["n"], X.size)
    variables = Jitted().init(jax.random.key(0), X)
    assert_same_bits(found_in(Jitted(), X)[0], found_in(Jitted(), X)[0])
    assert float(Jitted().apply(variables, X)) == float(Jitted().apply(variables, X))


def test_without_a_listener_a_tap_is_nothing():
    x = jnp.asarray(X)
    assert tap("name", x) is x

    def heard(site, path, x):
        raise AssertionError("nobody should listen here")

    with listening(heard), listening(None):
        assert tap("name", x) is x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tap("h", X, site="middle"), ValueError, "site must be .*'middle'"),
        (lambda: tap("h", np.arange(3)), TypeError, "x must be a floating-point array, got int"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
