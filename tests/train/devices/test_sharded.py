"""A batch split over a mesh of devices: the numbers of one, dropout and statistics included."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import device_runs
import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import jaxnn
from jaxnn import optim
from jaxnn.train.devices.choose import place_on
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.tally import start_tally
from jaxnn.train.prepare.prepare import prepare
from jaxnn.train.prepare.setup import Setup


def test_eight_devices_are_one_with_adam_in_64_bits(x64):
    of = device_runs.recipe(optim.adam(0.01))
    one, eight = (device_runs.fit(of, devices, np.float64) for devices in (1, "sharded"))
    assert one.state.params["Dense_0"]["kernel"].dtype == np.float64
    assert one.state.clock == 21
    device_runs.assert_same_run(eight, one, 1e-9)


def test_eight_devices_are_one_with_momentum_in_32_bits():
    of = device_runs.recipe(optim.sgd(0.05, momentum=0.9))
    one, eight = (device_runs.fit(of, devices) for devices in (1, "sharded"))
    assert one.state.clock == 21
    device_runs.assert_same_run(eight, one, 1e-6)
    # And what is done with the outcome.
    assert len(eight.state.params["Dense_0"]["kernel"].sharding.device_set) == 8
    val = device_runs.data().val
    np.testing.assert_allclose(eight.predict(val["x"]), one.predict(val["x"]), atol=3e-6)
    expected = one.evaluate(val, batch_size=5)
    assert eight.evaluate(val, batch_size=5) == pytest.approx(expected, abs=1e-6)


def test_convolutions_over_eight_devices_are_those_of_one(x64):
    """With statistics of images and of units, and dropout behind both."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 6, 6, 1)), rng.integers(0, 3, 30).astype(np.int32)
    parts = ({"x": x[rows], "y": y[rows]} for rows in (slice(0, 23), slice(23, None)))
    data = jaxnn.data.Data(*parts)  # in batches of 10 the last has 3 rows, and no validation of 8
    of = device_runs.recipe(optim.adam(0.01))
    of = dataclasses.replace(
        of,
        model=jaxnn.nn.ConvNet(
            3,
            channels=(4,),
            hidden=(5,),
            normalization="batch",
            conv_dropout_rate=0.2,
            dropout_rate=0.3,
        ),
    )
    one, eight = (
        jaxnn.fit(of, data, epochs=2, batch_size=10, key=1, devices=devices)
        for devices in (1, "sharded")
    )
    assert one.state.clock == 6
    assert one.state.params["Conv_0"]["kernel"].dtype == np.float64
    assert len(jax.tree.leaves(one.state.model_state)) == 4  # mean and variance of two layers
    device_runs.assert_same_run(eight, one, 1e-9)


@pytest.mark.parametrize(("devices", "dropout_rate"), [("sharded", 0.3), ("pmap", None)])
def test_fewer_rows_than_devices(x64, devices, dropout_rate):
    """To train on, to validate on, and to predict: some devices have nothing but padding."""
    of = device_runs.recipe(optim.adam(0.01), dropout_rate)
    data = device_runs.data(np.float64)
    data = dataclasses.replace(data, val=jax.tree.map(lambda leaf: leaf[:3], data.val))
    one, eight = (
        jaxnn.fit(of, data, epochs=1, batch_size=4, key=1, devices=of_run)
        for of_run in (1, devices)
    )
    assert (one.state.clock, one.config["eval_batch_size"]) == (18, 3)
    device_runs.assert_same_run(eight, one, 1e-9)
    np.testing.assert_allclose(
        eight.predict(data.val["x"]), one.predict(data.val["x"]), rtol=0, atol=1e-8
    )


def test_parts_of_a_batch_and_streamed_data():
    """Accumulated in three parts on five devices, from a stream, as from arrays on one."""
    of = device_runs.recipe(optim.sgd(0.05), normalization=None)
    one, five = (
        jaxnn.fit(of, data, epochs=2, batch_size=30, accumulate=3, key=1, devices=devices)
        for devices, data in (
            (1, device_runs.data().train),
            (5, jaxnn.data.stream(device_runs.data().train)),
        )
    )
    for a, b in zip(*(jax.tree.leaves(run.state.params) for run in (five, one)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    steps = (run.history.step_series("loss") for run in (five, one))
    np.testing.assert_allclose(*steps, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("zero1", "batch_size"), [(False, 30), (True, 64)])
def test_devices_say_one_thing_to_each_other_in_a_step(zero1, batch_size):
    of = device_runs.recipe(optim.adam(0.01), normalization=None)
    rows = {"x": np.ones((128, 6), np.float32), "y": np.zeros(128, np.int32)}
    setup = Setup(
        recipe=of, data=rows, batch_size=batch_size, key=0, devices="sharded", zero1=zero1
    )
    run = prepare(setup)
    placement = run.program.placement
    state, data = placement.place(run.state), run.train.data
    key, zero = placement.replicate(run.key), np.int32(0)
    (chunk,) = run.train.chunks(key, 0, None)
    order, tally = chunk.order, start_tally(run.program, state, data, chunk.capacity)
    lowered = train_chunk.lower(run.program, state, tally, data, order, zero, np.int32(1))
    kinds = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-(?:permute|broadcast)"
    found = Counter(re.findall(rf" ({kinds})(?:-start)?\(", lowered.compile().as_text()))
    # Gradients and the sums of metrics travel together. Where each device has updated a part of
    # a parameter, all get the rest of it from the others: it is what ZeRO-1 costs.
    parameters = len(jax.tree.leaves(state.params))
    assert found == {"all-reduce": 1} | ({"all-gather": parameters} if zero1 else {})


def test_all_devices_are_taken_unless_one_was_chosen():
    assert place_on() is None
    with jax.default_device(None):
        assert dict(place_on().mesh.shape) == {"data": 8}
    assert dict(place_on(3).mesh.shape) == {"data": 3}
    rules = {"kernel": P(None, "model")}
    assert dict(place_on({"data": 2, "model": 3}, rules).mesh.shape) == {"data": 2, "model": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"devices": 0}, "devices must be None, a number of devices, .* got 0"),
        ({"devices": True}, "devices must be None, .* got True"),
        ({"devices": 2.0}, r"devices must be None, .* got 2\.0"),
        ({"devices": "all"}, "devices must be None, .* got 'all'"),
        ({"devices": 9}, "devices must be at most 8, as many as there are, got 9"),
        ({"devices": {"data": 4, "model": 4}}, "devices must be at most 8, .* 'model': 4"),
        ({"devices": {"data": 0}}, "devices must be None, .* got {'data': 0}"),
        (
            {"devices": {"data": 4, "model": 2}},
            r"no mesh axis that nothing is split over.*'model'\]",
        ),
        ({"devices": {"model": 2}}, "a dict of mesh axes with 'data' among them, got"),
        ({"devices": 1, "zero1": True}, "rules and zero1 need several devices, got devices=1"),
        ({"devices": 1, "rules": {"kernel": P("data")}}, "rules and zero1 need several devices"),
        ({"devices": "pmap", "zero1": True}, "rules and zero1 go with devices='sharded', got"),
        (
            {"devices": "sharded", "rules": {"Dense_0/kernel": P(None, "model")}},
            r"rules must name axes of the mesh, {'data': 8}, got \['model'\] in 'Dense_0/kernel'",
        ),
        (
            {"devices": "sharded", "rules": {"Conv": P("data")}},
            "rules must each find a parameter, .*'Dense_0/kernel'.* got 'Conv'",
        ),
        (
            {"devices": {"data": 2, "model": 4}, "rules": {"Dense_0/kernel": P("model")}},
            r"rules must divide the axes of a parameter, \(6, 16\) of Dense_0/kernel, got .*model",
        ),
        (
            {"devices": {"data": 2, "model": 4}, "rules": {"BatchNorm_0/bias": P(None, "model")}},
            r"rules must divide the axes of a parameter, \(16,\) of BatchNorm_0/bias",
        ),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        jaxnn.fit(PLAIN, device_runs.data().train, epochs=1, batch_size=30, key=0, **arguments)


PLAIN = device_runs.recipe(optim.sgd(0.1))
