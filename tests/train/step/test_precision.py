"""A model that computes in bfloat16, and one that computes its activations twice."""

from __future__ import annotations

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn
from jaxnn.describe import describe
from jaxnn.nn.adapters.remat import rematerialized
from jaxnn.train import eval_step, init_state, predict_step, train_step

KNOBS = {"lr": 0.01, "dropout": 0.5, "l2": 1e-3}
RNG = np.random.default_rng(0)
BATCH = {
    "x": RNG.normal(size=(8, 5)).astype(np.float32),
    "y": RNG.integers(0, 3, 8).astype(np.int32),
    "weight": np.array([1, 1, 1, 1, 1, 1, 1, 0], np.float32),
}


class Normed(nn.Module):
    """Tells the types that it meets, by the state that it keeps."""

    @nn.compact
    def __call__(self, x, *, train=False):
        met = self.variable("met", "bytes", lambda: jnp.zeros((2,)))
        hidden = nn.Dense(16)(x)
        if train:
            met.value = jnp.array([x.dtype.itemsize, hidden.dtype.itemsize], hidden.dtype)
        hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden)
        return nn.Dense(3)(nn.relu(hidden))


def normed(**parts):
    return jaxnn.Recipe(
        model=Normed(),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(0.01),
        **parts,
    )


@pytest.fixture(scope="module")
def stepped():
    recipe = normed(compute_dtype=jnp.bfloat16)
    state = init_state(recipe, 0, BATCH)
    return recipe, state, *jax.jit(train_step, static_argnums=0)(recipe, state, BATCH)


def test_the_model_computes_in_bfloat16_and_nothing_else_does(stepped):
    recipe, before, state, metrics = stepped
    np.testing.assert_array_equal(state.model_state["met"]["bytes"], [2, 2])
    types = lambda tree: jax.tree.map(lambda leaf: leaf.dtype, tree)  # noqa: E731
    assert types(state) == types(before)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(metrics)} == {"float32"}
    assert predict_step(recipe, state, BATCH["x"]).dtype == jnp.float32
    total, count = eval_step(recipe, state, BATCH)["loss"]
    assert (total.dtype, float(count)) == (jnp.float32, 7)


def test_a_step_is_that_of_a_model_cast_by_hand(stepped):
    _, before, state, metrics = stepped
    weight = BATCH["weight"]

    def loss(params):
        few = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
        variables = {"params": few, **before.model_state}
        x = jnp.asarray(BATCH["x"], jnp.bfloat16)
        outputs, updated = Normed().apply(variables, x, train=True, mutable=["batch_stats", "met"])
        log = jax.nn.log_softmax(outputs.astype(jnp.float32))
        losses = -jnp.take_along_axis(log, BATCH["y"][:, None], 1)[:, 0]
        return (losses * weight).sum() / weight.sum(), updated["batch_stats"]

    (value, statistics), grads = jax.value_and_grad(loss, has_aux=True)(before.params)
    total, count = metrics["loss"]
    np.testing.assert_allclose(total / count, value, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        (state.opt_state[0].mu, state.model_state["batch_stats"]),
        (jax.tree.map(lambda g: 0.1 * g, grads), statistics),  # Adam's first moment
    )


@pytest.mark.parametrize("compute_dtype", [None, jnp.bfloat16])
def test_rematerialized_steps_are_the_same_and_have_it_in_them(compute_dtype):
    def recipe(remat):
        return make_recipe(KNOBS, compute_dtype=compute_dtype, remat=remat)

    plain, again = recipe(False), recipe(True)
    state = init_state(plain, 0, BATCH)
    step = jax.jit(train_step, static_argnums=(0, 3))
    for parts in (1, 2):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
            *(step(r, state, BATCH, parts)[0].params for r in (plain, again)),
        )
    has_it = [
        "prevent_cse" in str(jax.make_jaxpr(part_of(function, of))(state))
        for function, of in ((train_step, again), (train_step, plain), (eval_step, again))
    ]
    assert has_it == [True, False, False]


def part_of(function, recipe):
    return lambda state: function(recipe, state, BATCH)


def kept_bytes(function, x):
    """Of what reverse mode keeps between the ways there and back."""
    kept = jax.eval_shape(lambda x: jax.vjp(function, x)[1], x)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))


def test_what_is_kept_grows_with_the_root_of_the_depth():
    def deep(layers):
        def run(x):
            for _ in range(layers):
                x = jnp.sin(x)
            return x

        return run

    x = jnp.ones(1000)
    assert kept_bytes(deep(64), x) == 64 * x.nbytes
    kept = [kept_bytes(rematerialized(deep(n)), x) for n in (16, 64)]
    assert kept == [4 * x.nbytes, 8 * x.nbytes]


def test_rematerialized_functions_map_and_keep_their_own_gradients():
    @jax.custom_jvp
    def odd(x):
        return jnp.tanh(x)

    odd.defjvp(lambda x, t: (odd(x[0]), 3.0 * t[0]))
    w = jnp.arange(1.0, 4.0)
    function = rematerialized(lambda x: {"y": odd(w * x).sum(), "x": x, "one": 1.0})
    xs = jnp.array([0.5, 2.0])
    grads = jax.vmap(jax.grad(lambda x: function(x)["y"]))(xs)
    np.testing.assert_allclose(grads, [18.0, 18.0])
    outputs = jax.vmap(function)(xs)
    np.testing.assert_allclose(outputs["y"], np.tanh(np.outer(xs, w)).sum(1), rtol=1e-6)
    np.testing.assert_array_equal(outputs["x"], xs)


def test_both_are_recorded_by_one_name():
    written = [
        json.loads(json.dumps(describe(make_recipe(KNOBS, compute_dtype=dtype, remat=True))))
        for dtype in (jnp.bfloat16, "bfloat16", jnp.dtype("bfloat16"))
    ]
    assert written[0] == written[1] == written[2]
    fields = written[0]["jaxnn.recipe.Recipe"]
    assert (fields["compute_dtype"], fields["remat"]) == ("bfloat16", True)


@pytest.mark.parametrize("dtype", ["half a float", jnp.int32, 3, "float8_e4m3fn"])
def test_other_types_are_refused(dtype):
    with pytest.raises((TypeError, ValueError), match="compute_dtype must be one of 'bfloat16'"):
        make_recipe(KNOBS, compute_dtype=dtype)


def test_remat_must_be_a_bool():
    with pytest.raises(TypeError, match="remat must be True or False, got 'all'"):
        make_recipe(KNOBS, remat="all")
