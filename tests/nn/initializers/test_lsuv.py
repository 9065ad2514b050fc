"""Layer-sequential unit variance: by hand in NumPy, and on models of every shape."""

from __future__ import annotations

import functools

import flax.linen as flax_nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import InvalidRngError

from jaxnn import nn
from jaxnn.nn import layer_sequential_unit_variance as lsuv

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32) * 3 + 1
MODEL = nn.MLP((30, 20, 5))
RUN = jax.jit(functools.partial(lsuv, MODEL))


def initial(seed=0):
    """Small weights, and biases of 0."""
    rng = np.random.default_rng(seed)
    sizes = (12, *MODEL.widths)
    return {
        f"Dense_{i}": {
            "kernel": (0.01 * rng.normal(size=sizes[i : i + 2])).astype(np.float32),
            "bias": np.zeros(sizes[i + 1], np.float32),
        }
        for i in range(3)
    }


def moved(params, seed=0):
    """Biases off 0, so that they count."""
    rng = np.random.default_rng(seed)
    noise = lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32)  # noqa: E731
    return jax.tree.map(lambda p: p + noise(p) if p.ndim == 1 else p, params)


def before_activations(params, x):
    """Outputs of every dense layer of a ReLU network, in float64."""
    outputs = []
    for _, layer in sorted(params.items()):
        h = np.maximum(outputs[-1], 0) if outputs else np.asarray(x, float)
        bias = np.asarray(layer["bias"], float)
        outputs.append(h @ np.asarray(layer["kernel"], float) + bias[None])
    return outputs


def by_hand(params, x):
    """The paper's loop for biases of 0: one division a layer."""
    params = jax.tree.map(lambda p: np.array(p, float), params)
    for i, layer in enumerate(sorted(params)):
        params[layer]["kernel"] /= before_activations(params, x)[i].std()
    return params


def variances(params, x=X):
    return [outputs.var() for outputs in before_activations(params, x)]


def test_it_is_the_loop_of_the_paper():
    params = initial()
    assert max(variances(params)) < 0.1
    new = RUN(params, X)
    np.testing.assert_allclose(variances(new), 1, rtol=1e-5)
    expected = by_hand(params, X)
    for layer in params:
        np.testing.assert_allclose(new[layer]["kernel"], expected[layer]["kernel"], rtol=1e-5)
        np.testing.assert_array_equal(new[layer]["bias"], params[layer]["bias"])


def test_with_biases_it_repeats_until_it_is_there():
    params = moved(initial())
    run = jax.jit(lambda tolerance: lsuv(MODEL, params, X, tolerance=tolerance))
    np.testing.assert_allclose(variances(run(1e-4)), 1, atol=2e-4)
    # A tolerance is a knob: a wide one leaves all as it is.
    same = run(10.0)
    jax.tree.map(np.testing.assert_array_equal, same, params)


def test_iterations_are_limited():
    model, layer = flax_nn.Dense(20), moved(initial())["Dense_0"]
    layer = {"kernel": layer["kernel"][:, :20], "bias": layer["bias"][:20]}
    new = jax.jit(functools.partial(lsuv, model, max_iterations=1))(layer, X)
    expected = layer["kernel"] / before_activations({"": layer}, X)[0].std()
    np.testing.assert_allclose(new["kernel"], expected, rtol=1e-5)
    assert abs(variances({"": new})[0] - 1) > 0.02


def test_orthogonal_start():
    model = nn.MLP((30, 20))
    params = {name: initial()[name] for name in ("Dense_0", "Dense_1")}
    run = jax.jit(lambda params, key: lsuv(model, params, {"x": X}, orthogonal_key=key))
    new = run(params, jax.random.key(3))
    np.testing.assert_allclose(variances(new), 1, rtol=1e-4)
    for layer, products in (("Dense_0", (12, 12)), ("Dense_1", (20, 20))):
        w = np.asarray(new[layer]["kernel"], float)
        product = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
        assert product.shape == products
        scale = product[0, 0]
        np.testing.assert_allclose(product / scale, np.eye(len(product)), atol=1e-5)
    # Of what was there, nothing is left; and each layer and key has a draw of its own.
    again = run(jax.tree.map(lambda p: 7 * p, params), jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, again, new)
    other = run(params, jax.random.key(4))
    assert not np.allclose(other["Dense_0"]["kernel"], new["Dense_0"]["kernel"])


def test_over_a_population():
    members = [moved(initial(seed), seed) for seed in range(3)]
    together = jax.jit(jax.vmap(lambda p: lsuv(MODEL, p, X)))(
        jax.tree.map(lambda *p: np.stack(p), *members)
    )
    for i, member in enumerate(members):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4),
            together,
            RUN(member, X),
        )


class Varied(flax_nn.Module):
    """A convolution, a normalization, a layer under remat, one called twice; names unsorted."""

    def setup(self):
        self.z_first = flax_nn.Conv(6, (3, 3))
        self.norm = flax_nn.BatchNorm(use_running_average=False)
        self.m_second = flax_nn.remat(flax_nn.Dense)(9)
        self.a_shared = flax_nn.Dense(9)

    def __call__(self, x):
        seen = {"z_first": self.z_first(x)}
        h = self.norm(flax_nn.relu(seen["z_first"]))
        seen["m_second"] = self.m_second(h)
        seen["a_shared"] = self.a_shared(flax_nn.relu(seen["m_second"]))
        return self.a_shared(flax_nn.relu(seen["a_shared"])), seen


def test_every_kind_of_layer_in_the_order_of_the_calls():
    x = np.random.default_rng(1).normal(size=(8, 5, 5, 2)).astype(np.float32) * 4

    @jax.jit
    def run(x):
        variables = Varied().init(KEY, x)
        state = {"batch_stats": variables["batch_stats"]}
        new = lsuv(Varied(), variables["params"], x, model_state=state)
        (_, seen), _ = Varied().apply({"params": new, **state}, x, mutable=["batch_stats"])
        return variables["params"], new, seen

    params, new, seen = run(x)
    for name, outputs in seen.items():
        np.testing.assert_allclose(np.var(outputs), 1, rtol=1e-4, err_msg=name)
    assert jax.tree.structure(new) == jax.tree.structure(params)
    kept = (new["norm"], new["a_shared"]["bias"])
    jax.tree.map(np.testing.assert_array_equal, kept, (params["norm"], params["a_shared"]["bias"]))
    ratio = np.asarray(new["a_shared"]["kernel"] / params["a_shared"]["kernel"])
    assert ratio.std() < 1e-5 * abs(ratio.mean()) and abs(ratio.mean() - 1) > 0.01


def test_a_single_layer_and_the_mode():
    new = jax.jit(functools.partial(lsuv, flax_nn.Dense(30)))(initial()["Dense_0"], X)
    np.testing.assert_allclose(np.var(X @ np.asarray(new["kernel"])), 1, rtol=1e-4)
    dropping = nn.MLP(MODEL.widths, dropout_rate=0.5)
    evaluate, train = (
        lambda p, train=train: lsuv(dropping, p, X, mode={"train": train})
        for train in (False, True)
    )
    assert jax.eval_shape(evaluate, initial())
    with pytest.raises(InvalidRngError, match="dropout"):  # there is no key for it
        jax.eval_shape(train, initial())


def test_outputs_that_do_not_vary_are_left_alone():
    params = jax.tree.map(jnp.zeros_like, initial())
    jax.tree.map(np.testing.assert_array_equal, RUN(params, X), params)


def test_half_precision():
    model = flax_nn.Dense(30, param_dtype=jnp.bfloat16)
    x = jnp.asarray(X, jnp.bfloat16)
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.bfloat16), initial()["Dense_0"])
    new = jax.jit(functools.partial(lsuv, model))(params, x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(new)} == {"bfloat16"}
    np.testing.assert_allclose(variances({"": new}, x), 1, rtol=0.03)


class Stacked(flax_nn.Module):
    @flax_nn.compact
    def __call__(self, x):
        def body(layer, h, _):
            return layer(h), None

        scan = flax_nn.scan(
            body, variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        return scan(flax_nn.Dense(12), x, None)[0]


def test_refusals():
    params = initial()
    with pytest.raises(ValueError, match=r"tolerance must be in \[0, inf\), got -1"):
        lsuv(MODEL, params, X, tolerance=-1)
    with pytest.raises(ValueError, match="max_iterations must be a positive integer, got 0"):
        lsuv(MODEL, params, X, max_iterations=0)
    shapes = jax.eval_shape(Stacked().init, KEY, X)["params"]
    stacked = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), shapes)
    with pytest.raises(ValueError, match="cannot be seen from outside"):
        lsuv(Stacked(), stacked, X)
