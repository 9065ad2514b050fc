"""The convolution against its formula, Flax's layer, and itself in every mode of JAX."""

from __future__ import annotations

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import cases, look_up, ratio
from jax.test_util import check_grads
from layer_formulas import cross_correlation

from jaxnn.nn import Conv, conv
from jaxnn.nn.layers.convolution.geometry import Geometry
from jaxnn.nn.layers.convolution.on_cpu import by_patches
from jaxnn.nn.layers.convolution.primitive import convolve

# Strides, padding, dilation, kernel, inputs: what every way of computing must agree on.
GEOMETRIES = [
    Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), (6, 5), (3, 3)),
    Geometry((2, 1), ((1, 0), (0, 2)), (1, 1), (7, 6), (3, 2)),
    Geometry((1, 1), ((2, 1), (0, 0)), (2, 1), (7, 6), (3, 2)),
    Geometry((2, 3), ((2, 2), (1, 1)), (2, 1), (8, 9), (2, 3)),
    Geometry((2, 2), ((0, 0), (0, 0)), (1, 1), (5, 5), (1, 1)),
    Geometry((1, 1), ((4, 4), (0, 3)), (1, 1), (4, 4), (2, 2)),
]
EVERY_GEOMETRY = pytest.mark.parametrize("geometry", GEOMETRIES, ids=range(len(GEOMETRIES)))


# Above 16 channels other forms are taken on CPU, where rows enough are there.
EVERY_WIDTH = pytest.mark.parametrize("channels", [(3, 4), (17, 2), (2, 17)], ids=str)


def operands(geometry, dtype=np.float64, channels=(3, 4)):
    rng = np.random.default_rng(0)
    n = 3 if channels[0] == 17 else 2  # of an odd number no halves are taken
    x = rng.normal(size=(n, *geometry.inputs, channels[0])).astype(dtype)
    w = rng.normal(size=(*geometry.kernel, *channels)).astype(dtype)
    ct = rng.normal(size=(n, *geometry.outputs, channels[1])).astype(dtype)
    return x, w, ct


def by_formula(x, w, geometry):
    return cross_correlation(x, w, geometry.strides, geometry.padding, geometry.dilation)


@functools.cache
def computed(geometry, channels):
    """The convolution, its peer and its gradients, in one program."""

    @jax.jit
    def run(x, w, ct):
        y, pullback = jax.vjp(lambda *a: convolve(*a, geometry), x, w)
        return y, by_patches(x, w, geometry), pullback(ct)

    return jax.device_get(run(*operands(geometry, channels=channels)))


@EVERY_WIDTH
@EVERY_GEOMETRY
def test_formula(geometry, channels, x64):
    x, w, _ = operands(geometry, channels=channels)
    expected = by_formula(x, w, geometry)
    for y in computed(geometry, channels)[:2]:
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@EVERY_WIDTH
@EVERY_GEOMETRY
def test_gradients_are_the_transposes_of_the_formula(geometry, channels, x64):
    x, w, ct = operands(geometry, channels=channels)
    of_x, of_w = computed(geometry, channels)[2]
    # Bilinear: <ct, conv(dx, w)> = <of_x, dx> for the unit vectors dx of a few entries.
    rng = np.random.default_rng(1)
    for _ in range(4):
        dx, dw = rng.normal(size=x.shape), rng.normal(size=w.shape)
        np.testing.assert_allclose(
            np.vdot(of_x, dx), np.vdot(ct, by_formula(dx, w, geometry)), rtol=1e-10
        )
        np.testing.assert_allclose(
            np.vdot(of_w, dw), np.vdot(ct, by_formula(x, dw, geometry)), rtol=1e-10
        )


@pytest.mark.parametrize("geometry", [GEOMETRIES[0], GEOMETRIES[3]], ids=["plain", "strided"])
def test_forward_and_reverse_mode_to_the_second_order(geometry, x64):
    x, w, _ = operands(geometry)
    check_grads(jax.jit(lambda x, w: jnp.sin(convolve(x, w, geometry)).sum()), (x, w), 2)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
@pytest.mark.parametrize("geometry", [GEOMETRIES[0], GEOMETRIES[3]], ids=["plain", "strided"])
def test_vmap_equals_a_loop_gradients_included(geometry, axes, x64):
    x, w, ct = operands(geometry)
    several = tuple(np.stack([v, 2 * v + 1, v**2]) for v in (x, w))
    mapped = [s if axis == 0 else v for s, v, axis in zip(several, (x, w), axes, strict=True)]

    def run(x, w):
        y, pullback = jax.vjp(lambda x, w: jnp.sin(convolve(x, w, geometry)), x, w)
        return y, pullback(ct)

    together, loop = jax.jit(jax.vmap(run, axes))(*mapped), jax.jit(run)
    for i in range(3):
        alone = loop(*(m[i] if axis == 0 else m for m, axis in zip(mapped, axes, strict=True)))
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-10, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("written_out", [8, 1])
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
def test_a_gradient_of_vmap_and_vmap_of_vmap(axes, written_out, x64, monkeypatch):
    monkeypatch.setattr("jaxnn.nn.layers.convolution.primitive._WRITTEN_OUT", written_out)
    geometry = GEOMETRIES[0]
    x, w, _ = operands(geometry)
    several = tuple(np.stack([v, 2 * v + 1, v**2]) for v in (x, w))
    mapped = [s if axis == 0 else v for s, v, axis in zip(several, (x, w), axes, strict=True)]

    def loss(convolution, x, w):
        return jnp.sin(jax.vmap(convolution, axes)(x, w)).sum()

    def ours(x, w):
        return convolve(x, w, geometry)

    def peer(x, w):
        return by_patches(x, w, geometry)

    found, expected = (
        jax.jit(jax.grad(lambda *a, f=f: loss(f, *a), (0, 1)))(*mapped) for f in (ours, peer)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)

    def gradient(f):
        return jax.grad(lambda *operands: jnp.sin(f(*operands)).sum(), (0, 1))

    # An axis outside, which both operands have, the kernels alone, or the images alone.
    for outer in ((0, 0), (None, 0), (0, None)):
        twice = [
            np.stack([m, m + 1]) if axis == 0 else m for m, axis in zip(mapped, outer, strict=True)
        ]
        found, expected = (
            jax.jit(jax.vmap(jax.vmap(gradient(f), axes), outer))(*twice) for f in (ours, peer)
        )
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


def test_under_vmap_over_kernels_no_convolution_has_groups():
    """A convolution with a group for each member is what no backend does well."""
    x, w, _ = operands(GEOMETRIES[0], np.float32)
    loss = lambda w, x: jnp.square(convolve(x, w, GEOMETRIES[0])).sum()  # noqa: E731
    traced = jax.jit(jax.vmap(jax.grad(loss), (0, None))).trace(np.stack([w, w]), x)
    on_gpu = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "dot_general" in on_gpu and "stablehlo.convolution" not in on_gpu
    on_cpu = traced.lower(lowering_platforms=("cpu",)).as_text()
    groups = [line for line in on_cpu.splitlines() if "stablehlo.convolution" in line]
    assert groups and all("feature_group_count = 1" in line for line in groups)


@EVERY_WIDTH
def test_on_cpu_every_convolution_has_its_axes_in_the_usual_order(channels):
    """XLA's fast routine for CPUs knows no other order in the body of a loop."""
    x, w, _ = operands(GEOMETRIES[0], np.float32, channels)
    loss = lambda x, w: jnp.square(convolve(x, w, GEOMETRIES[0])).sum()  # noqa: E731
    text = jax.jit(jax.grad(loss, (0, 1))).lower(x, w).as_text()
    convolutions = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert len(convolutions) == 3
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line for line in convolutions)


@pytest.mark.parametrize("groups", [1, 3])
def test_same_outputs_as_flax_from_the_same_weights(groups):
    x = jax.random.normal(jax.random.key(0), (2, 7, 8, 3))
    pairs = {}
    for strides, padding in itertools.product(
        [1, 2, (1, 2)], ["SAME", "VALID", 1, ((0, 1), (2, 0))]
    ):
        settings = {"strides": strides, "padding": padding, "feature_group_count": groups}
        pairs[str(settings)] = [layer(6, (3, 2), **settings) for layer in (Conv, nn.Conv)]
        ours, theirs = (
            jax.eval_shape(layer.init, jax.random.key(1), x) for layer in pairs[str(settings)]
        )
        assert ours == theirs
    variables = pairs[str(settings)][1].init(jax.random.key(1), x)

    @jax.jit
    def outputs(variables, x):
        return {name: [layer.apply(variables, x) for layer in pair] for name, pair in pairs.items()}

    for name, (ours, theirs) in outputs(variables, x).items():
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5, err_msg=name)


def test_kernel_dilation_as_in_flax_and_leading_axes():
    x = jax.random.normal(jax.random.key(0), (2, 3, 7, 8, 2))
    flax = nn.Conv(4, (3, 3), kernel_dilation=2)
    variables = flax.init(jax.random.key(1), x)
    y = Conv(4, (3, 3), kernel_dilation=2).apply(variables, x)
    np.testing.assert_allclose(y, flax.apply(variables, x), rtol=1e-5, atol=1e-5)


def _kernel_of_ones(case):
    (down, right) = case["settings"]["pad"]
    x = jnp.asarray(case["inputs"]["x"], float)[None, ..., None]
    y = conv(
        x,
        jnp.ones((3, 3, 1, 1)),
        strides=case["settings"]["stride"],
        padding=((down, down), (right, right)),
    )
    return y[0, ..., 0]


CALLS = {"conv2d_ones3": _kernel_of_ones}


@cases("layer", only=lambda case: case["name"].startswith("conv"))
def test_golden(case):
    assert ratio(look_up(CALLS, case["name"], case, "layer")(case), case) <= 1


def test_a_kernel_of_another_dtype_is_refused():
    with pytest.raises(ValueError, match="kernel must have the dtype of x, float32, got bfloat16"):
        conv(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 4), jnp.bfloat16))
