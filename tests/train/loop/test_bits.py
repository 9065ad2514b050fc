"""The same bits from the same arguments: chunk lengths, processes, stops, iterators."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxnn
from jaxnn.train.loop import program

PROGRAM = """
import hashlib, json, sys, jax, numpy as np, jaxnn
jax.config.update("jax_num_cpu_devices", 8)
data = jaxnn.data.digits(key=0)
recipe = jaxnn.Recipe(
    model=jaxnn.nn.MLP((32, 10), dropout_rate=0.5),
    loss=jaxnn.losses.softmax_cross_entropy,
    optimizer=jaxnn.optim.adam(1e-3),
    regularizer=jaxnn.regularizers.l2(1e-4),
)
run = jaxnn.fit(recipe, data, epochs=3, batch_size=64, key=5)
leaves = jax.tree.leaves(run.state.params)
print(json.dumps([hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest() for leaf in leaves]))
"""


def test_two_processes():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PATH": "", "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    ]
    assert len(json.loads(outputs[0])) == 4
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("length", [1, 7, 25])
def test_chunk_lengths(tiny, recipe, same_bits, length):
    whole, chunked = (
        jaxnn.fit(recipe, tiny, epochs=2, batch_size=2, key=1, steps_per_call=steps)
        for steps in (None, length)
    )
    same_bits(whole.state, chunked.state)
    same_bits(whole.history.step_series("loss"), chunked.history.step_series("loss"))
    assert len(whole.history.step_series("loss")) == 70


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere every step gathers its own")
@pytest.mark.parametrize("steps_per_call", [pytest.param(None, marks=pytest.mark.slow), 5])
def test_rows_may_be_gathered_for_many_steps_at_once(
    tiny, recipe, same_bits, monkeypatch, steps_per_call
):
    step_bytes = sum(leaf.nbytes for leaf in tiny.train.values()) / 70 * 3
    asked = []

    def run(steps_ahead):
        monkeypatch.setattr(program, "_AHEAD_BYTES", steps_ahead * step_bytes)
        return jaxnn.fit(
            replace(recipe),  # or what was compiled before would be found again
            tiny,
            epochs=2,
            batch_size=3,  # 24 steps, the last of one row
            key=1,
            steps_per_call=steps_per_call,
        )

    def noted(self, data, original=program.Program.steps_ahead):
        asked.append(original(self, data))
        return asked[-1]

    monkeypatch.setattr(program.Program, "steps_ahead", noted)
    each = run(1)
    for steps_ahead in (7, 1000):
        at_once = run(steps_ahead)
        same_bits(each.state, at_once.state)
        same_bits(each.history.step_series("loss"), at_once.history.step_series("loss"))
    assert set(asked) == {1, 7, 24}


def test_another_key_gives_other_bits(tiny, recipe):
    a, b = (
        jaxnn.fit(recipe, tiny, epochs=1, batch_size=32, key=key).state.params for key in (1, 2)
    )
    assert not np.array_equal(a["Dense_0"]["kernel"], b["Dense_0"]["kernel"])


def test_iterating_gives_what_fit_gives(tiny, recipe, same_bits):
    run = jaxnn.fit(recipe, tiny, epochs=3, batch_size=32, key=1)
    epochs = list(jaxnn.train.each_epoch(recipe, tiny, epochs=3, batch_size=32, key=1))
    same_bits(run.state, epochs[-1].state)
    assert [e.record.values["train/loss"] for e in epochs] == list(run.history.series("train/loss"))
    assert [int(e.state.clock) for e in epochs] == [3, 6, 9]  # earlier states stay valid


@pytest.mark.parametrize("stop", [1, 2])
def test_resuming_at_the_end_of_an_epoch(tiny, recipe, same_bits, tmp_path, stop):
    arguments = {"batch_size": 32, "key": 1, "probes": [jaxnn.inspect.GradientNorm()]}
    straight = jaxnn.fit(recipe, tiny, epochs=4, **arguments)
    jaxnn.fit(recipe, tiny, epochs=stop, folder=tmp_path / "run", **arguments)
    resumed = jaxnn.fit(recipe, tiny, epochs=4, resume=tmp_path / "run", **arguments)
    same_bits(straight.state, resumed.state)
    timing = ("seconds", "examples_per_second")
    for a, b in zip(straight.history.epochs, resumed.history.epochs, strict=True):
        assert a.epoch == b.epoch
        assert {k: v for k, v in a.values.items() if k not in timing} == {
            k: v for k, v in b.values.items() if k not in timing
        }
        same_bits(dict(a.steps), dict(b.steps))


def test_resuming_from_an_earlier_checkpoint_drops_the_epochs_after_it(
    tiny, recipe, same_bits, tmp_path
):
    folder = tmp_path / "run"
    straight = jaxnn.fit(recipe, tiny, epochs=4, batch_size=32, key=1)

    class Killed(Exception):
        pass

    def kill(record):
        if record.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        jaxnn.fit(
            recipe,
            tiny,
            epochs=4,
            batch_size=32,
            key=1,
            folder=folder,
            checkpoint_every=2,
            observers=[kill],
        )
    assert len((folder / "history.jsonl").read_text().splitlines()) == 3
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["000002"]
    resumed = jaxnn.fit(recipe, tiny, epochs=4, batch_size=32, key=1, resume=folder)
    same_bits(straight.state, resumed.state)
    lines = (folder / "history.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines]
    assert epochs == [1, 2, 3, 4] == [record.epoch for record in resumed.history.epochs]


def test_resuming_a_run_that_kept_no_checkpoint_begins_again(tiny, recipe, same_bits, tmp_path):
    straight = jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=1)

    def kill(record):
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        jaxnn.fit(
            recipe, tiny, epochs=2, batch_size=32, key=1, folder=tmp_path / "r", observers=[kill]
        )
    with pytest.raises(ValueError, match="cut short"):
        jaxnn.load(tmp_path / "r", recipe)
    resumed = jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=1, resume=tmp_path / "r")
    same_bits(straight.state, resumed.state)
    assert len(resumed.history.epochs) == 2


def test_a_state_that_the_user_holds_stays_valid(tiny, recipe, same_bits):
    state = jaxnn.train.init_state(recipe, 1, tiny.train)
    kept = jax.tree.map(lambda leaf: leaf.copy(), state)
    once = jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=1, state=state)
    again = jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=1, state=state)
    same_bits(kept, state)
    same_bits(once.state, again.state)
