"""A program a device: the numbers of one device where the draws are, and draws of its own."""

from __future__ import annotations

import itertools

import device_runs
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn import keys, losses, optim
from jaxnn.train import init_state, pmap_step, train_step

# One for all tests, so that what is compiled is found again.
ADAM = device_runs.recipe(optim.adam(0.01), dropout_rate=None)


def test_eight_devices_are_one_with_adam_in_64_bits(x64):
    one, eight = (device_runs.fit(ADAM, devices, np.float64) for devices in (1, "pmap"))
    assert one.state.params["Dense_0"]["kernel"].dtype == np.float64
    assert one.state.clock == 21
    device_runs.assert_same_run(eight, one, 1e-9)


def test_eight_devices_are_one_with_momentum_in_32_bits():
    of = device_runs.recipe(optim.sgd(0.05, momentum=0.9), dropout_rate=None)
    one, eight = (device_runs.fit(of, devices) for devices in (1, "pmap"))
    assert eight.config["parallel"]["kind"] == "pmap"
    device_runs.assert_same_run(eight, one, 1e-6)


@pytest.mark.parametrize(("normalization", "accumulate"), [("batch", 3), (None, 2)])
def test_parts_of_a_batch_are_those_of_one_device(x64, normalization, accumulate):
    """Each device has its share of every part, so the statistics of a part are of the same rows."""
    of = device_runs.recipe(optim.adam(0.01), dropout_rate=None, normalization=normalization)
    one, eight = (
        device_runs.fit(of, devices, np.float64, epochs=2, accumulate=accumulate)
        for devices in (1, "pmap")
    )
    device_runs.assert_same_run(eight, one, 1e-9)


def test_streamed_data_is_data_on_one_device(x64):
    """A few steps at a time, in parts; and batches of any size, in the order of their source."""
    there = device_runs.data(np.float64)
    streamed = jaxnn.data.Data(jaxnn.data.stream(there.train), jaxnn.data.stream(there.val))
    settings = {"epochs": 2, "batch_size": 30, "key": 1, "accumulate": 3, "eval_batch_size": 8}
    one = jaxnn.fit(ADAM, there, devices=1, **settings)
    eight = jaxnn.fit(ADAM, streamed, devices="pmap", steps_per_call=2, **settings)
    device_runs.assert_same_run(eight, one, 1e-9)

    cuts = itertools.pairwise([0, 30, 34, 41, 70])
    parts = [jax.tree.map(lambda leaf, cut=cut: leaf[slice(*cut)], there.train) for cut in cuts]
    own = jaxnn.data.Data(jaxnn.data.iterate(parts), there.val)
    one, eight = (
        jaxnn.fit(ADAM, own, epochs=2, batch_size=30, key=1, devices=devices)
        for devices in (1, "pmap")
    )
    assert eight.state.clock == 8
    device_runs.assert_same_run(eight, one, 1e-9)


def test_without_its_index_every_device_draws_what_one_does(x64):
    """The same rows on each, under the same masks, are those rows on one."""
    of = device_runs.recipe(optim.adam(0.01))
    rows = jax.tree.map(lambda leaf: leaf[:6], device_runs.data(np.float64).train)
    batch = jax.tree.map(lambda leaf: np.concatenate([leaf] * 8), rows)
    one = alike = own = init_state(of, 1, rows)
    step_alike, step_own = (pmap_step(of, fold_device_index=fold) for fold in (False, True))
    for _ in range(20):
        alike, metrics = step_alike(alike, batch)
        one, expected = STEP(of, one, rows)
    own, _ = step_own(own, batch)
    for a, b in zip(jax.tree.leaves(alike.params), jax.tree.leaves(one.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    for a, b in zip(
        jax.tree.leaves(alike.model_state), jax.tree.leaves(one.model_state), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    for name in ("loss", "accuracy"):
        (total, count), (of_one, rows_of_one) = metrics[name], expected[name]
        np.testing.assert_allclose((total, count), (8 * of_one, 8 * rows_of_one), atol=1e-9)
    first, _ = STEP(of, init_state(of, 1, rows), rows)
    assert not np.allclose(own.params["Dense_0"]["kernel"], first.params["Dense_0"]["kernel"])


STEP = jax.jit(train_step, static_argnums=0)


def test_with_its_index_every_device_draws_its_own():
    """By hand: the masks under the key of each device, the gradient of the mean over all rows."""
    of = jaxnn.Recipe(
        jaxnn.nn.MLP((16, 8), dropout_rate=0.5), losses.softmax_cross_entropy, optim.sgd(0.1)
    )
    rows = jax.tree.map(lambda leaf: leaf[:11], device_runs.data().train)  # 2 a device, 3 short
    state = init_state(of, 3, rows)
    dropout = keys.stream(state.key, "dropout", 0)
    x = np.concatenate([rows["x"], np.zeros((5, 6), np.float32)]).reshape(8, 2, 6)

    @jax.jit
    def loss(params):
        def logits(device, x):
            rngs = {"dropout": jax.random.fold_in(dropout, device)}
            return of.model.apply({"params": params}, x, train=True, rngs=rngs)

        outputs = jax.vmap(logits)(jnp.arange(8), x).reshape(16, 8)[:11]
        return -jax.nn.log_softmax(outputs)[jnp.arange(11), rows["y"]].mean()

    value, grads = jax.value_and_grad(loss)(state.params)
    after, metrics = pmap_step(of)(state, rows)
    assert metrics["loss"][1] == 11
    np.testing.assert_allclose(metrics["loss"][0] / 11, value, rtol=1e-5)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    for a, b in zip(jax.tree.leaves(after.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


class Foreign(nn.Module):
    """Flax's own batch normalization, which knows nothing of weights."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(x))
        return nn.Dense(8)(x)


def test_padding_that_would_be_seen_is_refused():
    foreign = jaxnn.Recipe(Foreign(), losses.softmax_cross_entropy, optim.sgd(0.1))
    with pytest.raises(ValueError, match=r"running statistics and does not take weight=.* 30 rows"):
        device_runs.fit(foreign, "pmap")
    plain = device_runs.recipe(optim.sgd(0.1))
    step = pmap_step(plain)
    with pytest.raises(ValueError, match=r"no dict must divide by the 8 devices, .* got 6 rows"):
        step(None, (np.ones((6, 2)), np.ones(6)))
    with pytest.raises(ValueError, match="accumulate must divide the 6 rows of a batch, got 4"):
        pmap_step(plain, accumulate=4)(None, {"x": np.ones((6, 2))})
    with pytest.raises(ValueError, match="devices='pmap' runs the step of jaxnn, which step="):
        device_runs.fit(plain, "pmap", step=lambda state, batch: (state, {}))
