"""Parameters and optimizer state that no device has the whole of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import device_runs
import jax
import numpy as np
from jax.sharding import PartitionSpec as P

import jaxnn
from jaxnn import optim
from jaxnn.train import bytes_per_device
from jaxnn.train.devices.choose import place_on

MESH = {"data": 4, "model": 2}
RULES = {
    "Dense_0/kernel": P(None, "model"),
    "BatchNorm_0/bias": P("model"),
    "Dense_1/kernel": P("model", None),
}


def local_shapes(tree):
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data.shape, tree)


def test_a_layer_split_over_two_devices_is_the_whole_layer():
    """Its momentum split as it is, and both divided among the other devices by ZeRO-1."""
    of = device_runs.recipe(optim.sgd(0.05, momentum=0.9))
    one, split = device_runs.fit(of, 1), device_runs.fit(of, MESH, rules=RULES)
    device_runs.assert_same_run(split, one, 1e-6)
    assert split.config["parallel"]["rules"].keys() == RULES.keys()
    shapes = local_shapes(split.state.params)
    assert shapes["Dense_0"] == {"kernel": (6, 8)}
    assert shapes["BatchNorm_0"] == {"bias": (8,), "scale": (16,)}
    assert shapes["Dense_1"] == {"kernel": (8, 8), "bias": (8,)}
    assert local_shapes(velocity_of(split.state)) == shapes

    divided = replace(split.placement, zero1=True)
    state = divided.place(one.state)
    assert local_shapes(state.params) == shapes
    velocity = local_shapes(velocity_of(state))
    assert velocity["Dense_0"] == {"kernel": (6, 8)}  # 6 does not divide by 4
    assert velocity["Dense_1"] == {"kernel": (8, 2), "bias": (2,)}
    whole = [name.split("/", 2)[-1] for name in divided.unsplit(state)]
    assert whole == ["velocity/BatchNorm_0/bias", "velocity/Dense_0/kernel"]


def velocity_of(state):
    parts = jax.tree.leaves(state.opt_state, is_leaf=lambda part: hasattr(part, "velocity"))
    (found,) = (part.velocity for part in parts if hasattr(part, "velocity"))
    return found


def test_zero1_leaves_a_device_an_eighth_of_the_state(tmp_path, x64):
    of = device_runs.recipe(optim.adam(0.01), average=optim.parameter_average(0.9))
    fit = partial(device_runs.fit, dtype=np.float64)
    one = fit(of, 1)
    divided = fit(of, "sharded", zero1=True, folder=tmp_path / "run", epochs=3)
    assert divided.config["parallel"]["unsplit"] == []
    replicated = place_on("sharded").place(one.state)
    for part in ("opt_state", "averaged"):
        there, here = (getattr(state, part) for state in (replicated, divided.state))
        assert bytes_per_device(here) <= bytes_per_device(there) / 7, part
    parameters = 8 * sum(leaf.size for leaf in jax.tree.leaves(one.state.params))
    assert bytes_per_device(divided.state.params) == parameters
    assert bytes_per_device(replicated.opt_state) >= 2 * parameters
    # What was divided over eight is resumed whole on one, and the other way round.
    done = fit(of, 1, resume=tmp_path / "run", epochs=5)
    assert len(done.state.params["Dense_0"]["kernel"].sharding.device_set) == 1
    again = fit(of, "sharded", zero1=True, resume=tmp_path / "run")
    device_runs.assert_same_run(again, one, 1e-9)
    assert bytes_per_device(again.state.opt_state) == bytes_per_device(divided.state.opt_state)


def test_what_does_not_divide_is_whole_and_listed():
    of = jaxnn.Recipe(
        jaxnn.nn.MLP((16, 3)), jaxnn.losses.softmax_cross_entropy, optim.sgd(0.1, momentum=0.9)
    )
    data = {"x": np.ones((8, 5), np.float32), "y": np.arange(8, dtype=np.int32) % 3}
    run = jaxnn.fit(of, data, epochs=1, batch_size=8, key=0, devices="sharded", zero1=True)
    (name,) = run.config["parallel"]["unsplit"]
    assert name.endswith("velocity/Dense_1/bias")
    velocity = local_shapes(velocity_of(run.state))
    assert velocity["Dense_0"] == {"kernel": (5, 2), "bias": (2,)}
    assert velocity["Dense_1"] == {"kernel": (2, 3), "bias": (3,)}
