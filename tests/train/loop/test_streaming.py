"""Training from the host: the numbers of data on the device, and errors where they arise."""

from __future__ import annotations

import itertools
import threading

import jax
import numpy as np
import pytest

import jaxnn
from jaxnn.data import Data, iterate, stream


def streamed(data):
    return Data(stream(data.train), stream(data.val))


@pytest.mark.parametrize("steps_per_call", [None, 2])
def test_a_stream_trains_to_the_bits_of_the_device(tiny, recipe, same_bits, steps_per_call):
    settings = {"epochs": 2, "batch_size": 30, "key": 1, "eval_batch_size": 30}
    there = jaxnn.fit(recipe, tiny, **settings)
    here = jaxnn.fit(recipe, streamed(tiny), steps_per_call=steps_per_call, **settings)
    same_bits(here.state.params, there.state.params)
    for a, b in zip(here.history.epochs, there.history.epochs, strict=True):
        assert a.step == b.step
        np.testing.assert_array_equal(a.steps["loss"], b.steps["loss"])
        for name, value in b.values.items():
            if name not in ("seconds", "examples_per_second"):
                assert a.values[name] == pytest.approx(value, rel=1e-6), name


def test_a_stream_resumes_to_the_same_bits(tiny, recipe, same_bits, tmp_path):
    settings = {"batch_size": 30, "key": 1}
    whole = jaxnn.fit(recipe, streamed(tiny), epochs=3, **settings)
    jaxnn.fit(recipe, streamed(tiny), epochs=1, folder=tmp_path / "run", **settings)
    resumed = jaxnn.fit(recipe, streamed(tiny), epochs=3, resume=tmp_path / "run", **settings)
    same_bits(resumed.state.params, whole.state.params)
    assert [e.step for e in resumed.history.epochs] == [e.step for e in whole.history.epochs]


def test_epochs_of_a_given_length_resume_to_the_same_bits(tiny, recipe, same_bits, tmp_path):
    settings = {"batch_size": 30, "steps_per_epoch": 2, "key": 1}  # a pass over the rows has 3
    whole = jaxnn.fit(recipe, stream(tiny.train), epochs=3, **settings)
    jaxnn.fit(recipe, stream(tiny.train), epochs=1, folder=tmp_path / "run", **settings)
    resumed = jaxnn.fit(recipe, stream(tiny.train), epochs=3, resume=tmp_path / "run", **settings)
    same_bits(resumed.state.params, whole.state.params)
    assert [epoch.step for epoch in resumed.history.epochs] == [2, 4, 6]


def test_any_iterable_of_batches(tiny, recipe):
    """In the source's order, ragged batches anywhere, and padded exactly."""
    cuts = [0, 30, 47, 62, 70]
    parts = [slice(*pair) for pair in itertools.pairwise(cuts)]
    batches = [jax.tree.map(lambda a, part=part: a[part], tiny.train) for part in parts]
    run = jaxnn.fit(recipe, iterate(batches), epochs=1, batch_size=30, key=1)
    state = jaxnn.train.init_state(recipe, 1, batches[0])
    step = jax.jit(jaxnn.train.train_step, static_argnums=0)
    for batch in batches:
        state, _ = step(recipe, state, batch)
    for a, b in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert run.history.epochs[0].step == 4


def test_a_fault_in_a_later_batch_is_said_and_ends_the_thread(tiny, recipe):
    good = jax.tree.map(lambda a: a[:30], tiny.train)
    bad = {**good, "x": np.where(np.arange(30)[:, None] == 7, np.nan, good["x"])}
    with pytest.raises(ValueError, match=r"train, epoch 1, batch 2: x holds NaN at row 7"):
        jaxnn.fit(recipe, iterate([good, good, bad]), epochs=1, batch_size=30, key=1)

    def broken():
        yield good
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        jaxnn.fit(recipe, iterate(broken), epochs=1, batch_size=30, key=1)
    assert not [t for t in threading.enumerate() if t.name == "jaxnn-feed"]


def test_an_empty_stream_is_refused(recipe):
    with pytest.raises(ValueError, match="train must hold at least one batch"):
        jaxnn.fit(recipe, iterate([]), epochs=1, batch_size=30, key=1)
