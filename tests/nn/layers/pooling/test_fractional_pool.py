"""Fractional pooling: how its regions are drawn, and what it takes of them."""

from __future__ import annotations

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_formulas import regions

from jaxnn.nn import fractional_max_pool

SIZE = 11
RAMP = jnp.arange(float(SIZE)).reshape(1, SIZE, 1)


def draws(count, ratio, **options):
    """The regions' last entries, which are the largest of a ramp."""
    keys = jax.random.split(jax.random.key(0), count)
    run = jax.vmap(lambda key: fractional_max_pool(key, RAMP, (ratio,), **options)[0, :, 0])
    return np.asarray(jax.jit(run)(keys)).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("pseudo_random", [False, True])
@pytest.mark.parametrize(("ratio", "outputs"), [(1.0, 11), (1.5, 7), (2.0, 5), (3.5, 3)])
def test_regions_cover_the_axis_in_steps_that_differ_by_at_most_one(ratio, outputs, pseudo_random):
    ends = draws(50, ratio, overlapping=False, pseudo_random=pseudo_random)
    borders = np.pad(ends + 1, ((0, 0), (1, 0)))
    assert ends.shape == (50, outputs) and (borders[:, -1] == SIZE).all()
    assert set(np.unique(np.diff(borders))) <= {SIZE // outputs, SIZE // outputs + 1}


def test_every_order_of_sizes_is_equally_likely():
    """4 regions of 2 and 3 of 1: 35 orders."""
    counts = Counter(map(tuple, draws(7000, 1.5, overlapping=False)))
    assert len(counts) == 35
    assert max(abs(n - 200) for n in counts.values()) < 5 * np.sqrt(200)


def test_pseudo_random_borders_are_those_of_the_formula():
    u = np.random.default_rng(0).uniform(size=(5000, 1))
    alpha, i = SIZE / 7, np.arange(1, 8)
    ends = np.floor(alpha * (i + u)) - np.floor(alpha * u) - 1
    ours = draws(5000, 1.5, overlapping=False, pseudo_random=True)
    expected, found = (Counter(map(tuple, rows.astype(int))) for rows in (ends, ours))
    assert expected.keys() == found.keys() and len(found) == 7
    assert max(abs(n - 5000 / 7) for n in found.values()) < 5 * np.sqrt(5000 / 7)


@pytest.mark.parametrize("overlapping", [False, True])
def test_the_largest_of_each_region_and_its_gradient(overlapping, x64):
    x = np.random.default_rng(1).permutation(9 * 7 * 2).reshape(1, 9, 7, 2).astype(float)
    ramps = [np.broadcast_to(np.arange(9.0)[:, None], (9, 7)), np.tile(np.arange(7.0), (9, 1))]
    down, right = (
        np.asarray(fractional_max_pool(3, ramp[None, ..., None], 1.5, overlapping=False))[0, ..., 0]
        for ramp in ramps
    )
    borders = [[0, *(ends.astype(int) + 1)] for ends in (down[:, 0], right[0])]
    expected = regions(regions(x, 2, borders[1], overlapping), 1, borders[0], overlapping)
    y, pullback = jax.vjp(lambda x: fractional_max_pool(3, x, 1.5, overlapping=overlapping), x)
    np.testing.assert_array_equal(y, expected)
    (slope,) = pullback(jnp.ones_like(y))
    taken = Counter(np.asarray(y).ravel().tolist())
    np.testing.assert_array_equal(slope, np.vectorize(lambda value: taken[value])(x))


def test_nan_is_not_hidden():
    assert np.isnan(fractional_max_pool(0, RAMP.at[0, 4].set(jnp.nan), (1.5,))).any()
