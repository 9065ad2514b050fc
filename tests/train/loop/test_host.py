"""The host's side of a run: Ctrl-C, observers, debugging modes, devices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.train import unused_accelerator
from jaxnn.train.prepare import prepare

# A test run in the background hands its children a SIGINT that is ignored.
AS_IN_A_TERMINAL = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("experiments.digits", run_name="__main__", alter_sys=True)
"""


def start_digits(folder, *options):
    return subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_TERMINAL, "--folder", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_epochs(folder, count, process):
    history = folder / "history.jsonl"
    for _ in range(600):
        if history.exists() and len(history.read_text().splitlines()) >= count:
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    raise AssertionError("the run did not get going")


def test_ctrl_c_ends_a_run_tidily(tmp_path):
    from experiments.digits import MLP, Config, make_recipe, one_scale

    folder = tmp_path / "run"
    options = ("--epochs", "1000000", "--model", "mlp", "--mlp.hidden", "16")
    process = start_digits(folder, *options)
    wait_for_epochs(folder, 3, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert f"--resume {folder}" in output
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    done = len(lines)
    assert [line["epoch"] for line in lines] == list(range(1, done + 1))
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"{done:06d}"]
    assert f"{done} of 1000000 epochs" in (folder / "report.html").read_text()
    # What was kept is the state of that very epoch.
    recipe = make_recipe(Config(model="mlp", mlp=MLP(hidden=(16,))))
    loaded = jaxnn.load(folder, recipe)
    val = jaxnn.data.digits(key=0, preprocess=one_scale).val
    assert int(loaded.state.clock) == lines[-1]["step"]
    assert loaded.evaluate(val)["loss"] == pytest.approx(lines[-1]["val/loss"], rel=1e-5)


def test_a_second_ctrl_c_does_not_wait(tiny, recipe, tmp_path, request):
    ended = []

    class Impatient(jaxnn.train.Observer):
        def on_epoch(self, record):
            if record.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)  # a bytecode for the handler to run at
                ended.append("waited")

        def on_end(self, run):
            ended.append("ended")

    given = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, given))
    with pytest.raises(KeyboardInterrupt):
        jaxnn.fit(
            recipe,
            tiny,
            epochs=9,
            batch_size=32,
            key=0,
            folder=tmp_path / "run",
            observers=[Impatient()],
        )
    assert ended == ["ended"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len((tmp_path / "run/history.jsonl").read_text().splitlines()) == 2


def test_observers_see_the_run_and_end_with_it_whatever_happens(tiny, recipe):
    seen = []

    class Witness(jaxnn.train.Observer):
        def on_start(self, run):
            seen.append(("start", len(run.history.epochs), run.config["epochs"]))

        def on_epoch(self, record):
            seen.append(("epoch", record.epoch))

        def on_end(self, run):
            seen.append(("end", len(run.history.epochs)))

    jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=0, observers=[Witness()])
    assert seen == [("start", 0, 2), ("epoch", 1), ("epoch", 2), ("end", 2)]
    seen.clear()

    def fail(record):
        raise RuntimeError("an observer's own error")

    with pytest.raises(RuntimeError, match="an observer's own error"):
        jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=0, observers=[Witness(), fail])
    assert seen == [("start", 0, 2), ("epoch", 1), ("end", 1)]


def test_an_observer_that_refuses_to_begin_leaves_no_folder(tiny, recipe, tmp_path):
    class Unwilling(jaxnn.train.Observer):
        def on_start(self, run):
            assert run.folder == tmp_path / "run"
            raise ImportError("something is missing")

    for _ in range(2):  # so that a second try is not refused for what the first left behind
        with pytest.raises(ImportError, match="something is missing"):
            jaxnn.fit(
                recipe,
                tiny,
                epochs=2,
                batch_size=32,
                key=0,
                folder=tmp_path / "run",
                observers=[Unwilling()],
            )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_disable_jit_gives_the_same_run(tiny, recipe):
    compiled = jaxnn.fit(recipe, tiny, epochs=1, batch_size=32, key=0)
    with jax.disable_jit():
        plain = jaxnn.fit(recipe, tiny, epochs=1, batch_size=32, key=0)
    np.testing.assert_allclose(
        compiled.history.step_series("loss"), plain.history.step_series("loss"), rtol=1e-5
    )


def test_debug_nans_finds_the_step_and_leaves_a_sound_run_alone(tiny, recipe):
    def broken_loss(logits, labels):
        return jnp.log(logits[:, 0] - 1e6)

    broken = jaxnn.Recipe(jaxnn.nn.MLP((3,)), broken_loss, jaxnn.optim.sgd(0.1))
    with jax.debug_nans(True):
        jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=0)
        with pytest.raises(FloatingPointError, match="nan"):
            jaxnn.fit(broken, tiny, epochs=2, batch_size=32, key=0)


def aligned(array):
    """A copy at an address that JAX might use as it is."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("devices", [1, "sharded", "pmap"])
def test_data_that_change_while_a_run_goes_on_do_not_change_it(devices):
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((2,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    )

    def losses(spoil):
        x = aligned(np.linspace(-1, 1, 64, dtype=np.float32).reshape(16, 4))
        part = {"x": x, "y": np.arange(16) % 2}
        seen = []
        data = jaxnn.data.Data(train=part, val=part)
        for epoch in jaxnn.train.each_epoch(
            recipe, data, epochs=3, batch_size=8, key=0, devices=devices
        ):
            seen.append(epoch.record.values["val/loss"])
            if spoil:
                x[:] = np.nan
        return seen

    assert losses(spoil=True) == losses(spoil=False)


def test_an_idle_accelerator_is_named_with_the_line_that_mends_it(tmp_path):
    assert not jax.config.jax_platforms, "this test is about a machine whose user chose nothing"
    assert unused_accelerator(tmp_path) is None
    (tmp_path / "nvidia0").touch()
    assert 'pip install -U "jax[cuda13]"' in unused_accelerator(tmp_path)
    (tmp_path / "nvidia0").rename(tmp_path / "accel0")
    assert 'pip install -U "jax[tpu]"' in unused_accelerator(tmp_path)


def test_a_run_beside_an_idle_accelerator_says_so(monkeypatch):
    monkeypatch.setattr(prepare, "unused_accelerator", lambda: "a TPU is there: pip install it")
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((1,)), jaxnn.losses.squared_error, jaxnn.optim.sgd(0.1))
    data = {"x": np.ones((4, 1), np.float32), "y": np.ones((4, 1), np.float32)}
    with pytest.warns(RuntimeWarning, match="a TPU is there") as caught:
        jaxnn.fit(recipe, data, epochs=1, batch_size=4, key=0)
    assert caught[0].filename == __file__
