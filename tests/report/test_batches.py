"""The picture of a batch: the right pixels on one scale, labels, and what is no image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.report import augmentation_figure, svg


def doubled(key, batch):
    return {**batch, "x": 2 * batch["x"]} if isinstance(batch, dict) else 2 * batch


def pixels(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def ramp(*shape):
    return np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).astype(np.float32)


@pytest.mark.parametrize("layout", ["images", "no channel", "rows"])
def test_before_and_after_are_on_one_scale(layout):
    x = ramp(4, 6, 5, 1)
    given = {"images": x, "no channel": x[..., 0], "rows": x.reshape(4, 30)}[layout]
    shape = (6, 5) if layout == "rows" else None
    figure = augmentation_figure(doubled, {"x": given}, rows=3, shape=shape)
    first = x[:3, ..., 0].astype(float)
    both = np.concatenate([first, 2 * first])
    low, high = np.percentile(both, [0.5, 99.5])
    expected = np.clip((both - low) / (high - low), 0, 1)
    np.testing.assert_allclose(pixels(figure), expected, atol=1e-6)
    assert [axes.images[0].get_clim() for axes in figure.axes] == [(0, 1)] * 6
    assert [axes.get_ylabel() for axes in figure.axes] == ["before", "", "", "after", "", ""]


def test_colours_stay_colours():
    x = ramp(2, 4, 4, 3)
    shown = pixels(augmentation_figure(lambda key, x: -x, x))
    assert {image.shape for image in shown} == {(4, 4, 3)}
    np.testing.assert_allclose(np.add(shown[:2], shown[2:]), 1, atol=1e-6)


def test_the_key_draws():
    def noisy(key, x):
        return x + jax.random.uniform(key, x.shape)

    x = ramp(1, 4, 4)
    a, b, c = (pixels(augmentation_figure(noisy, x, key=key))[1] for key in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_labels_are_shown_anew_where_they_change():
    def relabelled(key, batch):
        return {**batch, "y": jnp.asarray([[0.0, 0.0, 1.0], [0.3, 0.7, 0.0], [0.4, 0.0, 0.6]])}

    batch = {"x": ramp(3, 4, 4), "y": np.array([2, 1, 0])}
    figure = augmentation_figure(relabelled, batch)
    assert titles(figure) == ["2", "1", "0", "", "1: 0.70\n0: 0.30", "2: 0.60\n0: 0.40"]
    targets = {"x": ramp(2, 4, 4), "y": np.array([0.25, 3.0], np.float32)}
    assert titles(augmentation_figure(doubled, targets)) == ["0.25", "3", "", ""]
    boxes = {"x": ramp(2, 4, 4), "y": ramp(2, 4)}
    assert titles(augmentation_figure(doubled, boxes)) == [""] * 4


def test_many_examples_stand_in_blocks():
    x = ramp(11, 4, 4)
    figure = augmentation_figure(doubled, {"x": x, "y": np.arange(11)}, rows=10)
    assert titles(figure) == [*"01234567", *[""] * 8, "8", "9", "", ""]
    shown = pixels(figure)
    assert np.argsort([image.mean() for image in shown[:8] + shown[16:18]]).tolist() == [*range(10)]


def test_a_flat_picture_and_few_strokes_are_drawn():
    flat = pixels(augmentation_figure(doubled, np.zeros((2, 4, 4), np.float32)))
    np.testing.assert_array_equal(flat, np.zeros((4, 4, 4)))
    stroke = np.zeros((1, 40, 40), np.float32)
    stroke[0, 3, 3] = 2
    before, after = pixels(augmentation_figure(doubled, stroke))
    assert (before[3, 3], after[3, 3], after.sum()) == (0.5, 1, 1)


def test_it_becomes_part_of_a_page():
    text = svg(augmentation_figure(doubled, ramp(2, 4, 4)))
    assert text.count("data:image/png;base64") == 4
    assert 'aria-label="a batch before and after augmentation"' in text


@pytest.mark.parametrize(
    ("x", "options", "error"),
    [
        (ramp(2, 16), {}, r"got shape \(2, 16\); shape=\(height, width\)"),
        (ramp(2, 4, 4, 2), {}, "images of 1 or 3 channels"),
        (ramp(2, 16), {"shape": (5, 5)}, r"rows of 25 values for shape=\(5, 5\).*\(2, 16\)"),
        (ramp(2, 4, 4), {"rows": 0}, "rows must be a positive integer, got 0"),
    ],
)
def test_refusals(x, options, error):
    with pytest.raises(ValueError, match=error):
        augmentation_figure(doubled, {"x": x}, **options)
