"""Dropout: its scaling, its statistics, rates at the edges, and that it draws by address."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits
from golden import GOLDEN, cases
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxnn.nn import Dropout, dropout
from jaxnn.nn.layers.draws import threefry, uniform_bits

KEY = jax.random.key(0)


@cases("property", only=lambda case: case["name"] == "dropout_inverted")
def test_golden_the_kept_are_scaled_so_that_the_mean_stays(case):
    settings, expected = case["settings"], case["expected"]
    y = dropout(KEY, jnp.ones(settings["shape"]), settings["rate"])
    np.testing.assert_allclose(y.mean(), expected["mean"], **case["tolerance"])
    np.testing.assert_allclose(np.unique(y), [0.0, expected["max"]], rtol=1e-6)


@cases("property", only=lambda case: case["name"] == "dropout_keep_fraction")
def test_golden_fraction_kept(case):
    n = case["settings"]["elements"]
    for rate in case["settings"]["rates"]:
        kept = np.count_nonzero(dropout(KEY, jnp.ones(n), rate))
        sigma = np.sqrt(n * rate * (1 - rate))
        assert abs(kept - n * (1 - rate)) < case["tolerance"]["sigmas"] * sigma


def test_golden_205_rate_0_is_the_identity():
    assert GOLDEN["205"]["expected"]["rate0"] == "identity"
    x = jnp.asarray([0.0, -0.0, 1e-30, 3.3, -7e37, jnp.inf], jnp.float32)
    assert_same_bits(dropout(KEY, x, 0.0), x)


def test_golden_205_rate_1_is_refused_or_behind_a_tracer_zero():
    """The peers drop everything at 1. The lectures' 1/(1 − r) has no value there."""
    assert GOLDEN["205"]["expected"]["rate1"] == "all zeros and gradient without NaN"
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), got 1.0"):
        dropout(KEY, jnp.ones(3), 1.0)
    slope, y = jax.jit(jax.vjp, static_argnums=0)(partial(dropout, KEY), jnp.ones(100), 1.0)[::-1]
    np.testing.assert_array_equal(y, np.zeros(100))
    np.testing.assert_array_equal(slope(jnp.ones(100))[0], np.zeros(100))


LARGE = np.random.default_rng(1).standard_normal((4000, 1000), np.float32)


@pytest.mark.parametrize("rate", [1e-6, 0.1, 0.5, 0.999, 0.999999])  # 4 are kept at the last
def test_kept_entries_are_exactly_x_over_1_minus_rate(rate):
    x = LARGE
    y = np.asarray(jax.jit(dropout)(KEY, x, jnp.float32(rate)))
    kept = y != 0
    assert kept.any()
    # The rate that arrives is the float32 next to the one written, and so is 1 - rate.
    keep = np.float32(1) - np.float32(rate)
    np.testing.assert_allclose(y[kept], x[kept] / keep, rtol=1.2e-7)
    n, keep = y.size, float(keep)
    assert abs(kept.sum() - n * keep) < 4 * np.sqrt(n * keep * (1 - keep))
    assert np.isfinite(y).all()


def test_vanilla_dropout_scales_at_test_time():
    x = jax.random.normal(jax.random.key(1), (50, 40))
    inverted, vanilla = Dropout(0.3), Dropout(0.3, scale_at="test")
    rngs = {"dropout": KEY}
    y = vanilla.apply({}, x, train=True, rngs=rngs)
    kept = np.asarray(inverted.apply({}, x, train=True, rngs=rngs)) != 0
    assert 0 < kept.mean() < 1
    np.testing.assert_array_equal(y, np.where(kept, x, 0))
    np.testing.assert_allclose(vanilla.apply({}, x), np.asarray(x) * 0.7, rtol=1e-6)
    assert_same_bits(inverted.apply({}, x), x)
    for train in (False, True):  # at rate 0 they are one
        assert_same_bits(Dropout(0.0, scale_at="test").apply({}, x, train=train, rngs=rngs), x)


@pytest.mark.parametrize("scale_at", ["train", "test"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_a_rate_near_1_is_not_rounded_to_the_dtype_of_x(dtype, scale_at):
    """In bfloat16 0.999 is 1, and the kept fraction of 0.9 is off by far more than 4 sigma."""
    x = jnp.ones((1000, 1000), dtype)
    for rate in (0.9, 0.999):
        layer = Dropout(rate, scale_at=scale_at)
        y = layer.apply({}, x, train=True, rngs={"dropout": KEY})
        assert y.dtype == dtype
        kept = np.count_nonzero(np.asarray(y, np.float32))
        assert abs(kept - 1e6 * (1 - rate)) < 4 * np.sqrt(1e6 * rate * (1 - rate))
        expected = np.asarray(1 / (1 - rate) if scale_at == "train" else 1).astype(dtype)
        assert np.asarray(y).max() == expected
        tested = np.asarray(1 - rate if scale_at == "test" else 1).astype(dtype)
        assert_same_bits(layer.apply({}, x[0, :1]), tested[None])


def test_what_one_rate_drops_every_higher_rate_drops():
    x = jnp.ones(10_000)
    masks = [np.asarray(dropout(KEY, x, rate)) != 0 for rate in (0.1, 0.5, 0.9)]
    for lower, higher in itertools.pairwise(masks):
        assert (lower | ~higher).all() and (lower != higher).any()


def test_broadcast_dims_drop_whole_channels():
    x = jax.random.normal(jax.random.key(1), (40, 5, 6, 30))
    y = np.asarray(dropout(KEY, x, 0.4, broadcast_dims=(1, -2)))
    gone = y == 0
    whole = gone[:, 0, 0, :]
    np.testing.assert_array_equal(gone, np.broadcast_to(whole[:, None, None, :], gone.shape))
    assert abs(whole.mean() - 0.4) < 4 * np.sqrt(0.24 / whole.size)
    np.testing.assert_allclose(y[~gone], np.asarray(x)[~gone] / 0.6, rtol=1e-6)
    layer = Dropout(0.4, broadcast_dims=(0, 1, 2, 3))
    all_or_none = layer.apply({}, x, train=True, rngs={"dropout": KEY})
    assert np.unique(np.asarray(all_or_none) == 0).size == 1
    with pytest.raises(ValueError, match=r"broadcast_dims must be axes of .*, got 4"):
        dropout(KEY, x, 0.4, broadcast_dims=(4,))


def test_the_gradient_is_the_mask_over_1_minus_rate():
    x = jax.random.normal(jax.random.key(1), (1000,))
    y, pullback = jax.vjp(lambda x: dropout(KEY, x, 0.75), x)
    (slope,) = pullback(jnp.ones(1000))
    np.testing.assert_array_equal(slope, np.where(y != 0, 4.0, 0.0))


def test_the_gradient_of_a_rate_near_1_is_finite():
    loss = lambda rate: dropout(KEY, jnp.ones(100), rate).sum()  # noqa: E731
    slope = jax.jit(jax.grad(loss))(jnp.float32(0.999999))
    np.testing.assert_array_equal(slope, 0.0)  # none of 100 is kept, so the sum is 0 around it
    # Two of four kept at rate r: 2/(1 - r) has the derivative 2/(1 - r)^2.
    kept = np.count_nonzero(dropout(KEY, jnp.ones(100), 0.5))
    np.testing.assert_allclose(jax.grad(loss)(0.5), kept / 0.25, rtol=1e-6)


def test_threefry_is_that_of_jax():
    """Its blocks are what `split` makes keys of: the counter is the position."""
    rows = jnp.zeros(1000, jnp.uint32)
    words = threefry(jax.random.key_data(KEY), rows, jnp.arange(1000, dtype=jnp.uint32))
    expected = jax.random.key_data(jax.random.split(KEY, 1000))
    np.testing.assert_array_equal(jnp.stack(words, -1), expected)
    # The known answers of Salmon et al.'s own tests.
    for number, answer in (
        (0, (0x6B200159, 0x99BA4EFE)),
        (0xFFFFFFFF, (0x1CB996FC, 0xBB002BE7)),
    ):
        word = jnp.uint32(number)
        assert tuple(map(int, threefry((word, word), word, word))) == answer


@pytest.mark.parametrize("on_cpu", [True, False])
def test_the_bits_are_words_by_row_and_column_and_the_same_turned(monkeypatch, on_cpu):
    if not on_cpu:
        take_default = lambda *args, default, **_: default(*args)  # noqa: E731
        monkeypatch.setattr(jax.lax, "platform_dependent", take_default)
    shape, words = (5, 3, 7), 2 * 6  # a row has 21 columns, of which 12 have words of their own
    rows, columns = map(jnp.asarray, np.indices((5, words)).astype(np.uint32))
    a, b = threefry(jax.random.key_data(KEY), rows, columns)
    word = np.asarray(a ^ b)
    turned = word.view(np.uint16).reshape(5, words, 2)[..., ::-1].copy().view(np.uint32)[..., 0]
    expected = np.concatenate([word, turned], axis=1)[:, :21].reshape(shape)
    np.testing.assert_array_equal(uniform_bits.__wrapped__(KEY, shape), expected)


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 0), (70,), (70, 4, 4, 3)])
def test_further_rows_change_no_earlier_draw(shape):
    drawn = uniform_bits(KEY, shape)
    assert (drawn.shape, drawn.dtype) == (shape, np.uint32)
    if shape:
        longer = uniform_bits(KEY, (shape[0] + 2, *shape[1:]))
        np.testing.assert_array_equal(longer[: shape[0]], drawn)


def test_bits_are_uniform_and_independent():
    """Each of the 32 bits, and each pair of a row's entries, those that share a word included."""
    drawn = np.asarray(uniform_bits(KEY, (4000, 96)))
    bits = (drawn[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    assert (np.abs(bits.mean((0, 1)) - 0.5) < 5 * np.sqrt(0.25 / drawn.size)).all()
    for threshold in (0.5, 0.3, 0.1):
        dropped = (drawn < threshold * 2**32) - threshold
        sigma = threshold * (1 - threshold) / np.sqrt(4000)
        covariance = dropped.T @ dropped / 4000
        assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 6 * sigma
        rows = (dropped[1:] * dropped[:-1]).mean()
        assert abs(rows) < 4 * threshold * (1 - threshold) / np.sqrt(dropped[1:].size)


def test_entries_are_independent_of_one_another():
    """Neither neighbours along an axis nor the two halves of the counter go together."""
    y = np.asarray(dropout(KEY, jnp.ones((1000, 1000)), 0.5)) - 1  # -1 or 1
    for a, b in [(y[1:], y[:-1]), (y[:, 1:], y[:, :-1]), (y[:500], y[500:])]:
        assert abs(np.mean(a * b)) < 4 / np.sqrt(a.size)


def test_keys_of_any_kind_draw():
    x = jnp.ones((100, 100))
    expected = dropout(jax.random.key(5), x, 0.3)
    for key in (5, jax.random.PRNGKey(5)):
        assert_same_bits(dropout(key, x, 0.3), expected)
    for name in ("rbg", "unsafe_rbg"):
        key = jax.random.key(5, impl=name)
        kept = np.count_nonzero(dropout(key, x, 0.3))
        assert abs(kept - 7000) < 4 * np.sqrt(2100)


def test_under_vmap_over_keys_each_draws_what_it_draws_alone(x64):
    keys = jax.random.split(KEY, 3)
    together = jax.jit(jax.vmap(lambda key: uniform_bits(key, (4, 10))))(keys)
    for drawn, key in zip(together, keys, strict=True):
        np.testing.assert_array_equal(drawn, uniform_bits(key, (4, 10)))


def test_no_device_waits_for_another_one_to_draw():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    x = jnp.ones((64, 4, 3))
    run = jax.jit(partial(dropout, KEY))
    spread = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    compiled = run.lower(spread, 0.5).compile().as_text()
    for communication in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
        assert communication not in compiled
    assert_same_bits(run(spread, 0.5), run(x, 0.5))


def test_what_is_no_key_is_refused():
    with pytest.raises(TypeError, match="key must be"):
        dropout("key", jnp.ones(3), 0.5)
