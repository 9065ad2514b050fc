"""Paths and masks of parameter trees, and what their dtypes hold."""

from __future__ import annotations

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.tree import check_held, mask_tree, path_name, refuse_complex, weights_only


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


@pytest.mark.parametrize("bad", ["*", "(kernel", re.compile("a").pattern + "["])
def test_a_pattern_that_cannot_be_read_is_refused(bad):
    with pytest.raises(ValueError, match=r"^mask must be a regular expression, got "):
        mask_tree(bad, PARAMS)


@pytest.mark.parametrize(
    ("dtype", "held", "lost"),
    [
        ("float32", (1e-37, 1e38, 0.0), (1e-40, 1e300)),
        ("bfloat16", (1e-37, 1e38), (1e-40, 1e300)),
        ("float16", (1e-7, 6e4), (1e-8, 1e5)),
        ("complex64", (1e-37,), (1e-40, 1e300)),
        ("int32", (1e-40, 1e300), ()),
    ],
)
def test_a_constant_that_the_dtype_of_a_leaf_does_not_hold_is_refused(dtype, held, lost):
    tree = {"a": {"kernel": jnp.ones(2, dtype)}, "b": jnp.ones(2)}
    for value in held:
        check_held("eps", value, {"a": tree["a"]})
    for value in lost:
        message = rf"^eps must be 0 or in \[.*\] for the {dtype} of a/kernel, got {value}$"
        with pytest.raises(ValueError, match=message.replace("+", r"\+")):
            check_held("eps", value, tree)
    jax.jit(lambda eps: check_held("eps", eps, tree))(1e-40)  # a tracer is not looked at


def test_complex_leaves_are_refused_by_path():
    refuse_complex("clip", PARAMS)
    with pytest.raises(TypeError, match=r"^clip is defined for real numbers .* complex64 at a/z$"):
        refuse_complex("clip", {"a": {"z": jnp.ones(2, "complex64")}})
