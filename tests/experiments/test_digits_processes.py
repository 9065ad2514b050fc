"""The main job in two processes with two devices each: the numbers of one with one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import free_address, run_together

import jaxnn
from experiments import digits
from jaxnn.train import History

SETTINGS = ("--model", "mlp", "--mlp.hidden", "32", "--batch-size", "62")  # 4 do not divide it


def in_two_processes(folders, *options):
    """What each of them shows."""
    job = [sys.executable, "-m", "experiments.digits", *SETTINGS, *options]
    place = ["--distributed", "--coordinator", free_address(), "--processes", "2"]
    env = os.environ | {
        "PYTHONPATH": str(Path(jaxnn.__file__).parents[1]),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    commands = [[*job, *place, "--process", str(process)] for process in range(2)]
    return run_together(commands, env=env, folders=folders)


def results(output):
    """Accuracy and loss on the test part, as printed."""
    found = re.search(r"^test accuracy ([\d.]+)  \(loss ([\d.]+)\)$", output, re.M)
    return float(found[1]), float(found[2])


def assert_same_history(folder, expected, epochs):
    """Every number to 1e-5: 32-bit, summed in another order."""
    run = History.read(folder / "history.jsonl")
    assert [record.epoch for record in run.epochs] == list(range(1, epochs + 1))
    for a, b in zip(run.epochs, expected.history.epochs, strict=True):
        assert a.step == b.step
        for name in set(b.values) - {"seconds", "examples_per_second"}:
            np.testing.assert_allclose(a.values[name], b.values[name], rtol=0, atol=1e-5)
        assert set(a.steps) == set(b.steps) >= {"loss", "accuracy"}
        for name in b.steps:
            np.testing.assert_allclose(a.steps[name], b.steps[name], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_two_processes_are_one_and_go_on(tmp_path, capsys):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    there = folders[0] / "run"
    settings = {"model": "mlp", "mlp": digits.MLP((32,)), "batch_size": 62, "devices": 1}
    new = (("--folder", "run"), {"folder": tmp_path / "one"})
    old = (("--resume", str(there)), {"resume": tmp_path / "one"})
    for epochs, shown, (options, arguments) in ((3, (1, 2, 3), new), (5, (4, 5), old)):
        first, second = in_two_processes(folders, "--epochs", str(epochs), *options)
        one = digits.main(digits.Config(**settings, **arguments, epochs=epochs))
        assert results(first) == pytest.approx(results(capsys.readouterr().out), abs=1.5e-4)
        assert_same_history(there, one, epochs)
        # The first alone shows and writes.
        assert tuple(map(int, re.findall(r"^epoch (\d)/", first, re.M))) == shown
        assert not re.search("epoch|accuracy|page", second)  # only of the connection
        assert {path.name for path in there.iterdir()} >= {"config.json", "final", "report.html"}
        assert not list(folders[1].iterdir())
