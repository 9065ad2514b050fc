"""Two processes with two devices each train one network, keep it, and go on with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import device_runs
import jax
import numpy as np
import pytest
from processes import free_address, run_together

import jaxnn
from jaxnn import optim
from jaxnn.train.devices import distributed

WORKER = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
from jaxnn.train.devices import distributed
distributed.start(sys.argv[1], 2, int(sys.argv[2]))
assert (jax.device_count(), jax.local_device_count()) == (4, 2)

import json
import numpy as np
import device_runs
from jaxnn import optim
from jaxnn.train import bytes_per_device

way = sys.argv[4]
settings = {"devices": way, "dtype": np.float64, "zero1": way == "sharded"}
# Each device has draws of its own under "pmap", so there the comparison is without dropout.
of = device_runs.recipe(optim.adam(0.01), dropout_rate=0.3 if way == "sharded" else None)
seen = []
device_runs.fit(of, epochs=3, folder=sys.argv[3], observers=[seen.append], **settings)
run = device_runs.fit(of, resume=sys.argv[3], **settings)
evaluated = run.evaluate(device_runs.data(np.float64).val)
predicted = run.predict(device_runs.data(np.float64).val["x"])
print(json.dumps({
    "shown": len(seen),
    "loss": list(map(float, run.history.step_series("loss"))),
    "evaluated": evaluated,
    "predicted": predicted.tolist(),
    "bytes": bytes_per_device(run.state.opt_state),
    "processes": run.config["parallel"]["processes"],
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["sharded", "pmap"])
def test_two_processes_are_one(tmp_path, x64, way):
    folder, address = tmp_path / "run", free_address()
    path = f"{Path(device_runs.__file__).parent}:{Path(jaxnn.__file__).parents[1]}"
    outputs = run_together(
        [
            [sys.executable, "-c", WORKER, address, str(process), str(folder), way]
            for process in range(2)
        ],
        env={"PATH": "", "PYTHONPATH": path},
        folders=[tmp_path, tmp_path],
    )
    first, second = (json.loads(output.splitlines()[-1]) for output in outputs)
    assert (first.pop("shown"), second.pop("shown")) == (3, 0)  # the first alone shows and writes
    assert first == second
    assert first["processes"] == 2

    of = device_runs.recipe(optim.adam(0.01), dropout_rate=0.3 if way == "sharded" else None)
    one = device_runs.fit(of, 1, np.float64)
    np.testing.assert_allclose(first["loss"], one.history.step_series("loss"), rtol=0, atol=1e-9)
    val = device_runs.data(np.float64).val
    np.testing.assert_allclose(first["predicted"], one.predict(val["x"]), rtol=0, atol=1e-8)
    assert first["evaluated"] == pytest.approx(one.evaluate(val), abs=1e-9)
    total = sum(leaf.nbytes for leaf in jax.tree.leaves(one.state.opt_state))
    if way == "sharded":  # ZeRO-1 divides by the four devices; each has the count of steps
        assert first["bytes"] < total / 3.5

    # What they kept is a run like any other.
    loaded = jaxnn.load(folder, of)
    assert [record.epoch for record in loaded.history.epochs] == list(range(1, 8))
    device_runs.assert_same_run(loaded, one, 1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("10.0.0.1:1234",), "coordinator, processes and process go together, .*None, None"),
        (("10.0.0.1:1234", 2, 2), r"process must be in \[0, 2\), got 2"),
        (("10.0.0.1:1234", 2, -1), r"process must be in \[0, 2\), got -1"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        distributed.start(*arguments)
