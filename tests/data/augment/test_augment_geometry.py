"""Where pixels go: against NumPy's own rotations and slices, and a transcription in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits

from jaxnn.data import augment

KEY = jax.random.key(5)


def numpy_warp(x, angle, shift, zoom, shear, fill):
    """Bilinear, by the inverse of the matrix product, one pixel after the other."""
    n, height, width, _ = x.shape
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    out = np.empty_like(x)
    for k in range(n):
        a, s = np.radians(angle[k]), np.tan(np.radians(shear[k]))
        # Of (right, up), as on paper: first zoom, then lean, then turn.
        turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        back = np.linalg.inv(turn @ np.array([[1, s], [0, 1]]) @ (zoom[k] * np.eye(2)))
        for i, j in np.ndindex(height, width):
            down, right = np.array([i, j]) - middle - shift[k]
            right, up = back @ np.array([right, -down])
            y, z = np.array([-up, right]) + middle
            out[k, i, j] = 0
            for p, q in np.ndindex(2, 2):
                row, column = int(np.floor(y)) + p, int(np.floor(z)) + q
                weight = (1 - abs(y - row)) * (1 - abs(z - column))
                inside = 0 <= row < height and 0 <= column < width
                if inside or isinstance(fill, str):
                    row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
                    out[k, i, j] += weight * x[k, row, column]
                else:
                    out[k, i, j] += weight * np.asarray(fill)
    return out


def random_moves(n, rng):
    return {
        "angle": rng.uniform(-180, 180, n),
        "shift": rng.uniform(-2, 2, (n, 2)),
        "zoom": rng.uniform(0.5, 2, n),
        "shear": rng.uniform(-30, 30, n),
    }


@pytest.mark.parametrize("fill", [(0.5, -1.0), "edge"])
def test_warp_is_its_transcription(fill, x64):
    rng = np.random.default_rng(0)
    x, moves = rng.normal(size=(5, 7, 4, 2)), random_moves(5, rng)
    fill = fill if isinstance(fill, str) else np.array(fill)
    warped = jax.jit(lambda x, moves: augment.warp(x, fill=fill, **moves))(x, moves)
    np.testing.assert_allclose(warped, numpy_warp(x, **moves, fill=fill), rtol=0, atol=1e-12)


turned = jax.jit(lambda x, angle: augment.warp(x, angle=angle))
# Among these is one that brings a point onto a pixel, which a compiled program then rounds
# to lie now below it, now above.
ANGLES = np.random.default_rng(103).uniform(-30, 30, 64).astype(np.float32)[28:36]


def test_a_point_that_rounds_onto_a_pixel():
    x = np.random.default_rng(0).normal(size=(8, 17, 17, 3)).astype(np.float32)
    nothing = {"shift": np.zeros((8, 2)), "zoom": np.ones(8), "shear": np.zeros(8)}
    expected = numpy_warp(x.astype(float), angle=ANGLES.astype(float), **nothing, fill=0.0)
    np.testing.assert_allclose(turned(x, ANGLES), expected, rtol=0, atol=1e-4)


def test_it_is_linear_in_the_image():
    a, b = np.random.default_rng(1).normal(size=(2, 8, 17, 17, 3)).astype(np.float32)
    expected = 2 * turned(a, ANGLES) - 3 * turned(b, ANGLES)
    np.testing.assert_allclose(turned(2 * a - 3 * b, ANGLES), expected, atol=2e-5)


@pytest.mark.parametrize("size", [4, 5])
def test_quarter_turns(size):
    x = np.random.default_rng(0).normal(size=(3, size, size, 2)).astype(np.float32)
    images = turned(x, jnp.array([90.0, 180.0, -90.0]))
    for k, image in enumerate(images):
        np.testing.assert_allclose(image, np.rot90(x[k], (1, 2, 3)[k]), atol=1e-5)


def test_whole_pixels_are_slices():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 1)).astype(np.float32)
    shift = np.array([[2, -1], [0, 3]])
    expected = np.full_like(x, 7)
    expected[0, 2:, :3] = x[0, :3, 1:]
    expected[1, :, 3:] = x[1, :, :1]
    warped, shifted, extended = jax.jit(
        lambda x, shift: (
            augment.warp(x, shift=shift, fill=7.0),
            augment.shift_pixels(x, shift, fill=7.0),
            augment.shift_pixels(x, shift, fill="edge"),
        )
    )(x, shift)
    np.testing.assert_array_equal(warped, expected)
    np.testing.assert_array_equal(shifted, expected)
    edge = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    expected = np.stack([edge[0, 1:6, 4:8], edge[1, 3:8, 0:4]])
    np.testing.assert_array_equal(extended, expected)


def assert_uniform(draws, low=-1.0, high=1.0):
    """Kolmogorov and Smirnov's distance, which exceeds the bound once in a thousand."""
    u = np.sort((np.asarray(draws, np.float64).ravel() - low) / (high - low))
    assert u[0] >= -1e-4 and u[-1] <= 1 + 1e-4
    assert np.abs(u - (np.arange(u.size) + 0.5) / u.size).max() < 1.95 / np.sqrt(u.size)


def test_draws_of_affine_are_uniform_in_their_bounds():
    """Of an image that holds its own coordinates, three pixels give the matrix."""
    down, right = np.meshgrid(np.arange(9.0) - 4, np.arange(15.0) - 7, indexing="ij")
    x = jnp.broadcast_to(jnp.asarray(np.stack([down, right], -1), jnp.float32), (3000, 9, 15, 2))
    moved = augment.affine(rotation=20.0, translation=0.1, zoom=0.25)
    y = np.asarray(jax.jit(moved)(KEY, x), np.float64)
    from_down, from_right = y[:, 5, 7] - y[:, 4, 7], y[:, 4, 8] - y[:, 4, 7]
    back = np.stack([from_down, from_right], -1)  # what a step in the result is in the original
    zoom = 1 / np.sqrt(np.linalg.det(back))
    angle = np.degrees(np.arctan2(from_right[:, 0], from_right[:, 1]))
    shift = np.linalg.solve(back, -y[:, 4, 7, :, None])[..., 0]
    assert_uniform(angle, -20, 20)
    assert_uniform(np.log(zoom), -np.log(1.25), np.log(1.25))
    assert_uniform(shift / [0.9, 1.5])
    matrix = np.corrcoef(np.column_stack([angle, zoom, shift]).T)
    assert np.abs(matrix - np.eye(4)).max() < 4.5 / np.sqrt(3000)


def test_crops_are_shifts_drawn_evenly():
    x = jnp.broadcast_to(jnp.arange(1.0, 26).reshape(1, 5, 5, 1), (3000, 5, 5, 1))
    crop = jax.jit(lambda padding: augment.crop(padding)(KEY, x))
    y = np.asarray(crop(2.9))  # as 2
    padded = np.pad(np.asarray(x[0]), ((2, 2), (2, 2), (0, 0)))
    windows = {padded[i : i + 5, j : j + 5].tobytes(): 5 * i + j for i, j in np.ndindex(5, 5)}
    counts = np.bincount([windows[image.tobytes()] for image in y], minlength=25)
    assert np.abs(counts - 120).max() < 4 * np.sqrt(3000 / 25 * 24 / 25)
    assert_same_bits(crop(0.9), x)


@pytest.mark.parametrize(("flip", "axis"), [("horizontal", 2), ("vertical", 1)])
def test_flips_happen_with_their_probability(flip, axis):
    x = np.arange(4.0, dtype=np.float32).reshape(1, 2, 2, 1).repeat(4000, 0)
    run = jax.jit(lambda p: getattr(augment, f"flip_{flip}")(p)(KEY, x))
    y = np.asarray(run(0.3))
    flipped = (y == np.flip(x, axis)).all((1, 2, 3))
    np.testing.assert_array_equal(y[~flipped], x[~flipped])
    assert abs(flipped.sum() - 1200) < 4 * np.sqrt(4000 * 0.3 * 0.7)
    np.testing.assert_array_equal(run(1.0), np.flip(x, axis))


def test_cutout_covers_a_rectangle_around_a_point_anywhere():
    x = jnp.ones((3000, 8, 12, 2))
    y = np.asarray(jax.jit(augment.cutout(0.5, fill=np.array([3.0, 4.0])))(KEY, x))
    covered = (y == [3, 4]).all(-1)
    np.testing.assert_array_equal(y[~covered], 1)
    rows, columns = covered.any(2), covered.any(1)
    np.testing.assert_array_equal(covered, rows[:, :, None] & columns[:, None, :])
    for lines, size in ((rows, 8), (columns, 12)):
        assert (np.abs(np.diff(lines.astype(int), axis=1)).sum(1) <= 2).all()  # one stretch
        # A pixel is covered where the middle is within half a side of it and in the image.
        place = (np.arange(size) + 0.5) / size
        chance = np.minimum(place + 0.25, 1) - np.maximum(place - 0.25, 0)
        sigma = np.sqrt(3000 * chance * (1 - chance))
        assert (np.abs(lines.sum(0) - 3000 * chance) < 4 * sigma).all()
