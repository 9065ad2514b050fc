import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.data import (
    Centering,
    center,
    fit_channel_mean,
    fit_channel_standardize,
    fit_mean_image,
    standardize,
    uncenter,
    unstandardize,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, size=(90, 5, 4, 3)).astype(np.uint8)
WIDE = IMAGES.astype(np.float64)
CHANNEL_MEAN = WIDE.reshape(-1, 3).sum(0) / (90 * 20)
CHANNEL_DEVIATION = np.sqrt(((WIDE - CHANNEL_MEAN) ** 2).reshape(-1, 3).sum(0) / (90 * 20))


def test_the_mean_image_is_the_mean_of_every_pixel():
    state = fit_mean_image(IMAGES)
    assert state.mean.dtype == np.float64
    np.testing.assert_allclose(state.mean, WIDE.sum(0) / 90, rtol=1e-14)
    got = center(state, IMAGES[:7])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, WIDE[:7] - WIDE.sum(0) / 90, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(uncenter(state, got), IMAGES[:7], atol=2e-5)


def test_one_mean_for_each_channel():
    state = fit_channel_mean(IMAGES)
    np.testing.assert_allclose(state.mean, CHANNEL_MEAN, rtol=1e-14)
    np.testing.assert_allclose(center(state, WIDE), WIDE - CHANNEL_MEAN, rtol=1e-12)


def test_one_mean_and_deviation_for_each_channel():
    state = fit_channel_standardize(IMAGES)
    np.testing.assert_allclose(state.mean, CHANNEL_MEAN, rtol=1e-14)
    np.testing.assert_allclose(state.deviation, CHANNEL_DEVIATION, rtol=1e-13)
    z = standardize(state, WIDE)
    np.testing.assert_allclose(z, (WIDE - CHANNEL_MEAN) / CHANNEL_DEVIATION, rtol=1e-12)
    np.testing.assert_allclose(unstandardize(state, z), WIDE, rtol=1e-12, atol=1e-12)


def test_channel_statistics_serve_images_of_any_size():
    state = fit_channel_standardize(IMAGES)
    other = RNG.integers(0, 256, size=(2, 9, 8, 3)).astype(np.float64)
    np.testing.assert_allclose(
        standardize(state, other), (other - CHANNEL_MEAN) / CHANNEL_DEVIATION, rtol=1e-12
    )
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 5, 4, 3\), got shape \(2, 9, 8, 3\)"):
        center(fit_mean_image(IMAGES), other)


# 0.1 summed over 20 pixels or 90 images and divided is not 0.1.
@pytest.mark.parametrize("namespace", [np, jnp])
def test_a_constant_channel_becomes_exactly_zero(namespace):
    x = WIDE.copy()
    x[..., 1] = 0.1
    x = namespace.asarray(x)
    state = fit_channel_standardize(x)
    assert state.deviation[1] == 1
    np.testing.assert_array_equal(standardize(state, x)[..., 1], 0)
    np.testing.assert_array_equal(center(fit_channel_mean(x), x)[..., 1], 0)
    np.testing.assert_array_equal(center(fit_mean_image(x), x)[..., 1], 0)


def test_blocks_of_rows_and_the_whole_are_the_same():
    # Over 2^16 numbers in 8 rows and more: several blocks, the last one ragged.
    x = RNG.normal(1e4, 1, size=(37, 50, 70, 2)).astype(np.float32)
    wide = x.astype(np.float64)
    state = fit_channel_standardize(x)
    mean, deviation = wide.mean((0, 1, 2)), wide.std((0, 1, 2))
    np.testing.assert_allclose(state.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(state.deviation, deviation, rtol=1e-9)
    z = standardize(state, x)
    np.testing.assert_allclose(z, ((wide - mean) / deviation), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(unstandardize(state, z), x, rtol=1e-6)
    pixels = fit_mean_image(x)
    np.testing.assert_allclose(pixels.mean, wide.mean(0), rtol=1e-13)
    np.testing.assert_allclose(center(pixels, x), wide - wide.mean(0), rtol=1e-6, atol=1e-6)


def test_jit_and_vmap_agree_with_numpy():
    sets = IMAGES.reshape(3, 30, 5, 4, 3)

    @jax.jit
    @jax.vmap
    def fit_and_apply(x):
        channels, pixels = fit_channel_standardize(x), fit_mean_image(x)
        one_by_one = jax.vmap(center, in_axes=(None, 0))(pixels, x)
        return standardize(channels, x), one_by_one, uncenter(pixels, one_by_one)

    scaled, centered, restored = fit_and_apply(sets)
    assert scaled.dtype == centered.dtype == jnp.float32
    for i, x in enumerate(sets):
        np.testing.assert_allclose(
            scaled[i], standardize(fit_channel_standardize(x), x), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(centered[i], center(fit_mean_image(x), x), rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(restored, sets, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("namespace", [np, jnp])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_floating_dtypes_are_kept(namespace, dtype):
    x = namespace.asarray(IMAGES, dtype)
    state = fit_channel_mean(x)
    z = center(state, x)
    assert z.dtype == uncenter(state, z).dtype == dtype
    assert isinstance(z, np.ndarray) == (namespace is np)
    rounding = 256 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(z.astype(np.float32), WIDE - CHANNEL_MEAN, atol=rounding)


@pytest.mark.parametrize("fit", [fit_channel_mean, fit_channel_standardize])
def test_images_without_channels_are_refused(fit):
    with pytest.raises(
        ValueError, match=r"got shape \(90, 5, 4\); grey images need .* x\[\.\.\., None\]"
    ):
        fit(IMAGES[..., 0])


def test_warns_where_most_pixels_are_black():
    x = np.zeros((10, 5, 5, 1))
    x[0] = 1
    x[0, 0, 0] = 0
    for fit in (fit_mean_image, fit_channel_mean, fit_channel_standardize):
        with pytest.warns(UserWarning, match="90% of the entries of x are 0") as caught:
            fit(x)
        assert caught[0].filename == __file__


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="x must hold real numbers, got dtype complex128"):
        fit_mean_image(np.ones((3, 2)) * 1j)


def test_a_state_is_a_pytree_of_arrays():
    state = fit_mean_image(IMAGES)
    assert isinstance(jax.tree.map(lambda leaf: leaf, state), Centering)
