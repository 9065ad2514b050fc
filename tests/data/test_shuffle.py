"""The shuffle without a sort: a permutation for every n, and random by every count we make."""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy import stats

from jaxnn.data.batches import epoch_order
from jaxnn.data.shuffle import permutation
from jaxnn.data.streams import stream as host_stream

KEY = jax.random.key(11)
ORDERS, N = 4000, 150  # two digits of 14 and 11, four numbers outside


@lru_cache
def orders(n=N, count=ORDERS):
    of_epoch = lambda epoch: epoch_order(KEY, epoch, n, n)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(of_epoch))(jnp.arange(count)))


def p_value(counts):
    """Of the chi-square test that all counts come from equally likely cells."""
    return stats.chisquare(np.ravel(counts)).pvalue


def check_random(p):
    # The keys are fixed, so this is no chance: it is how far into the tail the draw may lie.
    assert p > 1e-3


@pytest.mark.parametrize("n", [1, 2, 3, 128, 129, 130, 257, 1078, 1079, 10007, 60000])
def test_every_row_comes_once(n):
    order = np.asarray(jax.jit(permutation, static_argnums=1)(KEY, n))
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.slow
def test_every_row_comes_once_for_many_n():
    for n in (*range(130, 160), *range(160, 700, 19)):  # each is compiled
        np.testing.assert_array_equal(np.sort(permutation(KEY, n)), np.arange(n))


def test_each_row_comes_to_each_place_alike():
    table = np.zeros((N, N))
    np.add.at(table, (np.arange(N), orders()), 1)  # (place, row), all margins given
    chi_square = ((table - ORDERS / N) ** 2 / (ORDERS / N)).sum()
    check_random(stats.chi2.sf(chi_square, (N - 1) ** 2))


@pytest.mark.parametrize("lag", [1, 2, 11, 14, 22])
def test_places_near_or_sharing_a_digit_have_unrelated_rows(lag):
    distance = (orders()[:, lag:] - orders()[:, :-lag]) % N  # 1 … N - 1, alike
    check_random(p_value(np.bincount(distance.ravel(), minlength=N)[1:]))


def test_four_rows_in_a_row_stand_in_any_order():
    ranks = orders()[:, : N // 4 * 4].reshape(-1, 4).argsort(1)
    check_random(p_value(np.unique(ranks, axis=0, return_counts=True)[1]))


def test_runs_up_are_as_long_as_they_vary():
    rises = (np.diff(orders()) > 0).sum(1)  # mean (n - 1)/2, variance (n + 1)/12
    z = (rises.mean() - (N - 1) / 2) / np.sqrt((N + 1) / 12 / ORDERS)
    check_random(2 * stats.norm.sf(abs(z)))
    chi_square = ((rises - (N - 1) / 2) ** 2).sum() / ((N + 1) / 12)
    check_random(stats.chi2.sf(chi_square, ORDERS))
    check_random(stats.chi2.cdf(chi_square, ORDERS))


def test_epochs_share_no_more_places_than_by_chance():
    same = (orders()[1:] == orders()[:-1]).sum(1)  # Poisson with mean 1
    counts = np.bincount(np.minimum(same, 4), minlength=5)
    expected = stats.poisson.pmf(np.arange(5), 1)
    expected[4] = 1 - expected[:4].sum()
    check_random(stats.chisquare(counts, expected * len(same)).pvalue)


def test_what_one_epoch_does_says_nothing_of_the_next():
    # From order to order a row is moved by any distance alike.
    where = np.argsort(orders(), axis=1)
    moved = (where[1:] - where[:-1]) % N
    check_random(p_value(np.bincount(moved.ravel(), minlength=N)))


def test_both_parities_come_out():
    inversions = [np.triu(order[:, None] > order, 1).sum() for order in orders()[:400]]
    odd = np.array(inversions) % 2
    check_random(stats.binomtest(sum(odd), 400).pvalue)


def test_keys_and_epochs_have_their_own_order_mapped_or_not():
    keys = jax.random.split(jax.random.key(0), 3)
    mapped = jax.vmap(lambda key: epoch_order(key, jnp.int32(2), 1079, 100))(keys)
    alone = [epoch_order(key, jnp.int32(2), 1079, 100) for key in keys]
    np.testing.assert_array_equal(mapped, np.stack(alone))
    assert len({tuple(order) for order in np.asarray(mapped).tolist()}) == 3
    assert (mapped[:, 1079:] == 0).all() and mapped.shape == (3, 1100)


@pytest.mark.parametrize("count", [2, 8])
def test_devices_that_share_an_order_have_that_of_one(count):
    of = lambda key: epoch_order(key, jnp.int32(2), 1079, 80)  # noqa: E731
    mesh = Mesh(np.array(jax.devices()[:count]), "data")
    split = NamedSharding(mesh, PartitionSpec("data"))
    shared = jax.jit(of, out_shardings=split)(KEY)
    assert len(shared.sharding.device_set) == count
    np.testing.assert_array_equal(shared, of(KEY))


def test_the_host_takes_the_same_order():
    rows = np.arange(300)
    batches = host_stream({"x": rows}).batches(KEY, 3, batch_size=64)
    there = np.concatenate([batch["x"] for batch in batches])
    np.testing.assert_array_equal(there, epoch_order(KEY, jnp.int32(3), 300, 64)[:300])


def test_with_64_bits_the_order_is_the_same(x64):
    order = permutation(KEY, 1079)
    assert order.dtype == np.int32
    jax.config.update("jax_enable_x64", False)
    np.testing.assert_array_equal(order, permutation(KEY, 1079))
