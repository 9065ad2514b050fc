"""What probes of taps see of models of every form, and that nobody pays for taps unasked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.interpreters import partial_eval

import jaxnn
from jaxnn.inspect import Activations, GradientNorm
from jaxnn.nn.taps import summed
from jaxnn.train import init_state
from jaxnn.train.step import taps
from jaxnn.train.step.step import traced_step

RNG = np.random.default_rng(0)
DATA = {
    "x": RNG.normal(size=(24, 5)).astype(np.float32),
    "y": RNG.integers(0, 3, 24).astype(np.int32),
}
OPTIMIZER = jaxnn.optim.sgd(0.1)


def recipe_of(model, **more):
    return jaxnn.Recipe(model, jaxnn.losses.softmax_cross_entropy, OPTIMIZER, **more)


def recorded(recipe, probe, batch=DATA, **arguments):
    """What a probe records of one step, and the parameters before the step."""
    state = init_state(recipe, 0, batch)

    @jax.jit
    def step(state, batch):
        _, _, (trace,) = traced_step(recipe, state, batch, probes=[probe], **arguments)
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), trace)
        return probe.summarize(probe.update(probe.init(state, shapes), trace))

    return step(state, batch), jax.tree.map(lambda leaf: np.asarray(leaf, float), state.params)


def relu(x):
    return np.maximum(x, 0)


def dense(params, x):
    return x @ params["kernel"] + params["bias"][None]


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return nn.relu(nn.Dense(5)(x)), None


class Foreign(nn.Module):
    """Flax's own layers, under its lifted transformations, without a line for taps."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.remat(nn.Dense)(5, name="first")(x))
        stack = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        x, _ = stack(name="stack")(x, None)
        return nn.Dense(3, name="last")(x)


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_foreign_linen_module(remat, accumulate):
    values, params = recorded(
        recipe_of(Foreign(), remat=remat), Activations(), accumulate=accumulate
    )
    outputs = {"first": [dense(params["first"], DATA["x"])], "stack": [], "stack/Dense_0": []}
    x = relu(outputs["first"][0])
    for i in range(3):
        layer = {name: leaf[i] for name, leaf in params["stack"]["Dense_0"].items()}
        outputs["stack/Dense_0"].append(dense(layer, x))
        x = relu(outputs["stack/Dense_0"][-1])
        outputs["stack/0"] = [*outputs.get("stack/0", []), x]
    outputs["last"] = [dense(params["last"], x)]
    del outputs["stack"]
    assert {name.rpartition("/")[0] for name in values} == {f"output/{name}" for name in outputs}
    for name, found in outputs.items():
        mean = values[f"output/{name}/mean"]
        np.testing.assert_allclose(mean, np.mean(found), rtol=1e-5, atol=1e-7)
        zeros = np.mean(np.equal(found, 0))
        np.testing.assert_allclose(values[f"output/{name}/zeros"], zeros, rtol=1e-6)


def initialize(key, x):
    return {"w": jax.random.normal(key, (5, 4)), "v": jax.random.normal(key, (4, 3))}


def plain(params, x):
    return jaxnn.nn.tap("hidden", jax.nn.relu(x @ params["w"])) @ params["v"]


@jax.jit
def jitted(params, x):
    return plain(params, x)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.w = nnx.Linear(5, 4, use_bias=False, rngs=rngs)
        self.v = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.v(jaxnn.nn.tap("hidden", nnx.relu(self.w(x))))


def functional(params, model_state, inputs, **_):
    return plain(params, inputs), model_state


FORMS = {
    "pair": ((initialize, plain), lambda params: params["w"]),
    "jitted pair": ((initialize, jitted), lambda params: params["w"]),
    "NNX": (jaxnn.nn.from_nnx(Net), lambda params: params["w"]["kernel"]),
    "Functional": (
        jaxnn.nn.Functional(lambda key, x: (initialize(key, x), {}), functional),
        lambda params: params["w"],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_models_with_taps_of_their_own(form):
    """In two recipes one after the other, as JAX keeps what it has traced."""
    model, weights = FORMS[form]
    for accumulate in (1, 2):
        values, params = recorded(recipe_of(model), Activations(), accumulate=accumulate)
        h = relu(DATA["x"] @ weights(params))
        assert {name.rpartition("/")[0] for name in values} == {"activation/hidden"}
        np.testing.assert_allclose(values["activation/hidden/mean"], h.mean(), rtol=1e-5)
        np.testing.assert_allclose(values["activation/hidden/zeros"], (h == 0).mean(), rtol=1e-6)


class Stopped(nn.Module):
    @nn.compact
    def __call__(self, x):
        frozen = jax.lax.stop_gradient(nn.Dense(4, name="frozen")(x))
        return nn.Dense(3, name="head")(frozen)


def test_below_a_stop_gradient_is_not_measured():
    run = jaxnn.fit(
        recipe_of(Stopped()), DATA, epochs=1, batch_size=12, key=0, probes=[Activations()]
    )
    values = run.history.epochs[0].values
    assert np.isnan(values["output/frozen/mean"]) and np.isnan(values["output/frozen/zeros"])
    assert np.isfinite(values["output/head/mean"])


class Sometimes(nn.Module):
    """A layer that only batches with a positive first entry pass through."""

    @nn.compact
    def __call__(self, x):
        layer = nn.Dense(5, name="sometimes")
        if self.is_initializing():
            return nn.Dense(3, name="head")(layer(x))
        x = nn.cond(x[0, 0] > 0, lambda m, x: m(x), lambda m, x: x, layer, x)
        return nn.Dense(3, name="head")(x)


def test_a_layer_of_some_batches_is_measured_in_those():
    """The mean is over the batches that used the layer; NaN if none did."""
    x = np.abs(DATA["x"])
    x[12:] *= -1
    data = jaxnn.data.iterate(
        [{"x": x[:12], "y": DATA["y"][:12]}, {"x": x[12:], "y": DATA["y"][12:]}]
    )
    recipe = replace(recipe_of(Sometimes()), optimizer=jaxnn.optim.sgd(0.0))
    run = jaxnn.fit(recipe, data, epochs=1, batch_size=12, key=0, probes=[Activations()])
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), run.state.params)
    expected = dense(params["sometimes"], x[:12].astype(float)).mean()
    np.testing.assert_allclose(
        run.history.epochs[0].values["output/sometimes/mean"], expected, rtol=1e-5
    )


@dataclass(frozen=True)
class Rows:
    """Counts real entries and the sum of the values there, of every output."""

    needs: ClassVar[tuple[str, ...]] = ("taps",)

    def reduce(self, tap):
        if tap.site != "output":
            return None
        return {"real": tap.real.sum(), "sum": jnp.where(tap.real, tap.x, 0).sum()}

    def init(self, state, shapes):
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.taps)

    def update(self, memory, trace):
        return trace.taps

    def summarize(self, memory):
        return memory


class Tokens(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4, name="each")(x)  # (n, tokens, 4)
        nn.Dense(2, name="unused")(x)
        pooled = nn.Dense(4, name="pooled")(x.mean(1))  # (n, 4)
        return nn.Dense(3, name="head")(x + pooled[:, None])


def test_tokens_of_weight_0_are_padding():
    """Token by token where the values have tokens, else a row counts if one of its tokens does."""
    weight = np.array([[1, 0.5, 0], [0, 0, 0], [2, 0, 0]], np.float32)
    batch = {
        "x": RNG.normal(size=(3, 3, 5)).astype(np.float32),
        "y": np.zeros((3, 3), np.int32),
        "weight": weight,
    }
    values, params = recorded(recipe_of(Tokens()), Rows(), batch)
    each = dense(params["each"], batch["x"].reshape(-1, 5)).reshape(3, 3, 4)
    assert float(values["output/each"]["real"]) == 3 * 4
    np.testing.assert_allclose(
        values["output/each"]["sum"], each[weight > 0].sum(), rtol=1e-5, atol=1e-5
    )
    pooled = dense(params["pooled"], each.mean(1))
    assert float(values["output/pooled"]["real"]) == 2 * 4
    np.testing.assert_allclose(values["output/pooled"]["sum"], pooled[[0, 2]].sum(), rtol=1e-5)
    assert np.isnan(values["output/unused"]["real"])


class TwoShapes(nn.Module):
    @nn.compact
    def __call__(self, x):
        layer = nn.LayerNorm(use_scale=False, use_bias=False, name="shared")
        return nn.Dense(3)(layer(layer(x)[:, :4]))


@dataclass(frozen=True)
class PerUnit(Rows):
    def reduce(self, tap):
        return tap.x.sum(0)


def test_sums_of_one_layer_must_be_alike_in_all_calls():
    with pytest.raises(ValueError, match="one structure and shape for all calls of output/shared"):
        recorded(recipe_of(TwoShapes()), PerUnit())


def jaxpr_of(probes, **arguments):
    """The program of a step, without its traces and what leads to them alone."""
    recipe = recipe_of(jaxnn.nn.MLP((7, 3), dropout_rate=0.3))
    state = init_state(recipe, 0, DATA)

    def step(state):
        return traced_step(recipe, state, DATA, probes=probes, **arguments)[:2]

    jaxpr = jax.make_jaxpr(step)(state).jaxpr
    live, _ = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    return re.sub(r"0x[0-9a-f]+", "", str(live))  # the addresses of functions


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_probe_without_taps_costs_nothing(accumulate):
    """The program is, letter by letter, that without probes."""
    without = jaxpr_of([], accumulate=accumulate)
    assert jaxpr_of([GradientNorm()], accumulate=accumulate) == without
    assert jaxpr_of([Activations()], accumulate=accumulate) != without


def test_a_tap_that_nobody_wants_is_not_made(monkeypatch):
    made = []

    def noted(reduce, x, *rest):
        made.append(x.shape)
        return summed(reduce, x, *rest)

    monkeypatch.setattr(taps, "summed", noted)
    jaxpr_of([Activations("no such layer")])
    assert made == []
    jaxpr_of([Activations("Dense_0"), GradientNorm()])
    assert made == [(24, 7)]
