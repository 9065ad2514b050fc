"""Norms of trees: all leaves in a row, of every dtype, and of every size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.norms import global_norm, scaled_norm, sum_of_absolutes, unit_norms


def test_global_norm_is_the_norm_of_everything_in_a_row(x64):
    rng = np.random.default_rng(0)
    shapes = [(), (7,), (3, 5), (2, 3, 4)]
    leaves = [rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3) for shape in shapes]
    expected = np.linalg.norm(np.concatenate([np.ravel(leaf) for leaf in leaves]))
    tree = {"a": jnp.asarray(leaves[0]), "b": [jnp.asarray(leaf) for leaf in leaves[1:]]}
    norm = jax.jit(global_norm)(tree)
    assert norm.dtype == np.float64
    np.testing.assert_allclose(norm, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_global_norm_in_half_precision_neither_overflows_nor_stalls(dtype):
    """65504 is float16's largest number; and 256 + 1 is 256 in bfloat16."""
    norm = global_norm({"a": jnp.full((1000,), 300.0, dtype), "b": jnp.full((10_000,), 1.0, dtype)})
    assert norm.dtype == np.float32
    np.testing.assert_allclose(norm, np.sqrt(1000 * 300.0**2 + 10_000), rtol=1e-6)


def test_global_norm_of_mixed_dtypes_complex_numbers_and_nothing():
    tree = {
        "i": jnp.asarray([3, 4]),
        "z": jnp.asarray([3 + 4j]),
        "h": jnp.asarray([1.0], "float16"),
    }
    np.testing.assert_allclose(global_norm(tree), np.sqrt(25 + 25 + 1), rtol=1e-6)
    assert global_norm({}) == 0.0
    assert np.isnan(global_norm({"a": jnp.asarray([1.0, jnp.nan])}))


SIZES = [1e-30, 1e-19, 1e-12, 1.0, 1e12, 1e19, 1e30, 1e37]


@pytest.mark.parametrize("size", SIZES)
def test_a_norm_neither_overflows_nor_vanishes(size):
    """Alone, under `vmap` beside numbers of other sizes, and for each unit of a kernel."""
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32) * np.float32(size)
    expected = np.linalg.norm(x.astype(np.float64))
    np.testing.assert_allclose(global_norm({"a": x[:2], "b": x[2:]}), expected, rtol=1e-6)
    rows = jax.vmap(global_norm)(jnp.asarray(np.stack([x, np.ones_like(x), 0 * x])))
    np.testing.assert_allclose(rows, [expected, np.sqrt(18), 0], rtol=1e-6)
    scale, norm = unit_norms(jnp.asarray(x))
    columns = np.linalg.norm(x.astype(np.float64), axis=0, keepdims=True)
    np.testing.assert_allclose(scale * norm, columns, rtol=1e-6)
    gradient = jax.grad(global_norm)(jnp.asarray(x))
    np.testing.assert_allclose(gradient, x / expected, rtol=1e-5, atol=1e-7)


def test_above_the_largest_number_scale_and_norm_still_give_a_direction():
    x = jnp.full((4,), 3e38)
    scale, norm = scaled_norm(x)
    np.testing.assert_allclose(x / scale / norm, np.full(4, 0.5), rtol=1e-6)
    assert np.isinf(global_norm(x))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_visible(bad):
    assert not np.isfinite(global_norm(jnp.asarray([1.0, bad])))
    assert not np.isfinite(unit_norms(jnp.asarray([[1.0], [bad]]))[1]).any()


def test_scales_are_powers_of_2_with_an_inverse():
    """And 1 at every ordinary size, so that ordinary numbers keep their bits."""
    sizes = np.float32([1.2e-38, 1e-30, 1e-11, 1.0, 3.0, 1e18, 1e20, 3.4e38])
    scales, norms = jax.vmap(scaled_norm)(jnp.asarray(sizes)[:, None])
    assert (np.log2(scales) % 1 == 0).all()
    assert np.isfinite(1 / scales).all() and (1 / scales >= np.finfo(np.float32).tiny).all()
    np.testing.assert_array_equal(scales[2:6], 1)
    np.testing.assert_allclose(np.float64(norms) * np.float64(scales), sizes, rtol=1e-6)


@pytest.mark.parametrize("norm", [scaled_norm, unit_norms])
def test_norms_branch_nowhere(norm):
    """Under `vmap` a branch would be taken both ways, at twice the price."""
    gradient = jax.grad(lambda x: norm(x)[1].sum())
    assert "cond" not in str(jax.make_jaxpr(gradient)(jnp.ones(3)))


def test_the_gradient_of_a_norm_of_zeros_is_zero():
    members = jnp.stack([jnp.zeros(2), jnp.full(2, 1e-30), jnp.full(2, 1e30)])
    gradients = jax.vmap(jax.grad(global_norm))(members)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(gradients, [[0, 0], [root, root], [root, root]], rtol=1e-6)


def test_leaves_of_two_precisions_share_one_scale(x64):
    for sizes in ((1e30, 1e200), (1e-30, 1e-200), (1e30, 1.0), (1e-30, 1e-12)):
        tree = [jnp.asarray([sizes[0]], "float32"), jnp.asarray([sizes[1]])]
        np.testing.assert_allclose(global_norm(tree), np.hypot(*sizes), rtol=1e-6)


def test_the_sum_of_absolutes_of_complex_numbers_is_real():
    z = jnp.asarray([3 + 4j, 0j, -2.0])
    np.testing.assert_allclose(sum_of_absolutes(z), 7.0, rtol=1e-6)
    gradient = jax.grad(sum_of_absolutes)(z)  # the conjugate of the direction, as JAX has it
    np.testing.assert_allclose(gradient, [0.6 - 0.8j, 0, -1], atol=1e-6)
