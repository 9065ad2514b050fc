"""Paths, masks and norms of parameter trees."""

from __future__ import annotations

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.tree import global_norm, mask_tree, path_name, weights_only


class Pair(NamedTuple):
    left: object
    right: object


PARAMS = {
    "Dense_0": {"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))},
    "Norm_0": {"scale": jnp.ones(2)},
    "stack": [jnp.ones((2, 2)), Pair(jnp.ones((1, 2, 3, 4)), jnp.ones(()))],
}
PATHS = [
    "Dense_0/bias",
    "Dense_0/kernel",
    "Norm_0/scale",
    "stack/0",
    "stack/1/left",
    "stack/1/right",
]


def chosen(mask):
    """The paths that a mask applies to."""
    tree = mask_tree(mask, PARAMS)
    assert jax.tree.structure(tree) == jax.tree.structure(PARAMS)
    assert all(type(leaf) is bool for leaf in jax.tree.leaves(tree))
    return [path for path, leaf in zip(PATHS, jax.tree.leaves(tree), strict=True) if leaf]


def test_path_names():
    assert [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(PARAMS)] == PATHS


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("all", PATHS),
        ("kernel", ["Dense_0/kernel"]),
        ("Dense_0", ["Dense_0/bias", "Dense_0/kernel"]),
        ("^stack/", ["stack/0", "stack/1/left", "stack/1/right"]),
        ("kernel$|scale$", ["Dense_0/kernel", "Norm_0/scale"]),
        ("nothing", []),
        (re.compile("KERNEL", re.IGNORECASE), ["Dense_0/kernel"]),
        (re.compile("all"), []),  # only the plain string means every leaf
        (weights_only, ["Dense_0/kernel", "stack/0", "stack/1/left"]),
        (lambda path, leaf: leaf.ndim == 1, ["Dense_0/bias", "Norm_0/scale"]),
        (lambda path, leaf: np.bool_("Norm" in path), ["Norm_0/scale"]),
    ],
)
def test_masks(mask, expected):
    assert chosen(mask) == expected


BOOLEANS = {"Dense_0": {"bias": True, "kernel": False}, "Norm_0": False, "stack": [True, False]}


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, PATHS),
        (BOOLEANS, ["Dense_0/bias", "stack/0"]),  # one boolean for all that lies below it
        (lambda params: BOOLEANS, ["Dense_0/bias", "stack/0"]),
        (lambda params: "Norm", ["Norm_0/scale"]),
    ],
)
def test_masks_as_optax_has_them(mask, expected):
    assert chosen(mask) == expected


def test_a_bias_of_several_axes_is_no_weight():
    """Attention has biases of shape (heads, size)."""
    params = {"query": {"bias": jnp.ones((4, 8)), "kernel": jnp.ones((16, 4, 8))}}
    expected = {"query": {"bias": False, "kernel": True}}
    assert mask_tree(weights_only, params) == expected


@pytest.mark.parametrize("bad", [3, ["kernel"], {"Dense_0": 1}, {}])
def test_what_is_no_mask_is_refused(bad):
    with pytest.raises(TypeError, match="mask must be 'all', a regular expression, a function"):
        mask_tree(bad, PARAMS)


def test_a_tree_of_booleans_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^mask must have the structure of the parameters, .*got"):
        mask_tree({"Dense_0": True}, PARAMS)


def test_a_mask_of_shapes_is_known_inside_a_trace():
    seen = []
    jax.jit(lambda params: seen.append(mask_tree(weights_only, params)))(PARAMS)
    assert seen == [mask_tree(weights_only, PARAMS)]


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
