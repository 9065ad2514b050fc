"""Brightness, contrast, colours and noise: their formulas, and how their amounts are drawn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data import augment

KEY = jax.random.key(6)
LUMA = np.array([0.299, 0.587, 0.114])


def images():
    return np.random.default_rng(0).normal(size=(3, 5, 4, 3))


AMOUNTS = np.array([-0.5, 0.0, 1.7])
OVER = AMOUNTS.reshape(3, 1, 1, 1)


def test_brightness_is_added(x64):
    x = images()
    np.testing.assert_allclose(augment.adjust_brightness(x, AMOUNTS), x + OVER, rtol=1e-14)
    np.testing.assert_allclose(augment.adjust_brightness(x, 0.25), x + 0.25, rtol=1e-14)
    deltas = np.arange(9.0).reshape(3, 3)
    expected = x + deltas[:, None, None, :]
    np.testing.assert_allclose(augment.adjust_brightness(x, deltas), expected, rtol=1e-14)


def test_contrast_is_the_distance_from_the_mean_of_the_channel(x64):
    x = images()
    mean = x.mean((1, 2), keepdims=True)
    expected = mean + OVER * (x - mean)
    np.testing.assert_allclose(augment.adjust_contrast(x, AMOUNTS), expected, rtol=0, atol=1e-13)


def test_saturation_is_the_distance_from_grey(x64):
    x = images()
    grey = (x @ LUMA)[..., None]
    expected = grey + OVER * (x - grey)
    np.testing.assert_allclose(augment.adjust_saturation(x, AMOUNTS), expected, rtol=0, atol=1e-13)


def test_hue_is_a_rotation_in_yiq(x64):
    x = images()
    to_yiq = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    angles = np.array([30.0, -120.0, 360.0])
    turned = np.asarray(augment.adjust_hue(x, angles))
    for image, result, angle in zip(x, turned, np.radians(angles), strict=True):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        expected = image @ (np.linalg.inv(to_yiq) @ turn @ to_yiq).T
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(turned @ LUMA, x @ LUMA, rtol=0, atol=1e-12)


def uniform_on(draws, bound):
    u = np.sort((np.asarray(draws, np.float64) / bound + 1) / 2)
    assert u[0] >= -1e-5 and u[-1] <= 1 + 1e-5
    # Kolmogorov and Smirnov: exceeded once in a thousand.
    return np.abs(u - (np.arange(u.size) + 0.5) / u.size).max() < 1.95 / np.sqrt(u.size)


def test_amounts_are_drawn_evenly_to_either_side():
    x = jnp.broadcast_to(jnp.array([[-1.0, 1.0], [1.0, -1.0]])[..., None], (3000, 2, 2, 1))
    colours = jnp.broadcast_to(jnp.array([1.0, 0.0, 0.0]), (3000, 2, 2, 3))
    run = jax.jit(
        lambda key: {
            "brightness": augment.brightness(0.3)(key, x)[:, 0, 1, 0] - 1,
            "contrast": augment.contrast(0.4)(key, x)[:, 0, 1, 0] - 1,
            "saturation": (augment.saturation(0.5)(key, colours)[:, 0, 0, 0] - 0.299) / 0.701 - 1,
            "shift": augment.channel_shift(0.2)(key, colours)[:, 0, 0] - colours[:, 0, 0],
        }
    )
    amounts = jax.device_get(run(KEY))
    assert uniform_on(amounts["brightness"], 0.3)
    assert uniform_on(amounts["contrast"], 0.4)
    assert uniform_on(amounts["saturation"], 0.5)
    for channel in amounts["shift"].T:
        assert uniform_on(channel, 0.2)
    assert np.abs(np.corrcoef(amounts["shift"].T) - np.eye(3)).max() < 4 / np.sqrt(3000)


def test_noise_is_gaussian_and_its_own_everywhere():
    x = jnp.full((100, 10, 10, 2), 5.0)
    z = (np.asarray(jax.jit(augment.noise(0.3))(KEY, x), np.float64) - 5) / 0.3
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - mean) < 4 * np.sqrt(variance / z.size)
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[..., 0], z[..., 1])):
        assert abs((a * b).mean()) < 4 / np.sqrt(a.size)
