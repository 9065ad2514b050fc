"""What observers see while a run goes on: chunks, one late, and the run's present state."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.train.devices import transfer
from jaxnn.train.loop import loop


class Watch(jaxnn.train.Observer):
    """Keeps what it is told, in its order."""

    def __init__(self):
        self.told, self.chunks = [], []

    def on_chunk(self, record):
        self.told.append(("chunk", record.epoch, record.start))
        self.chunks.append(record)

    def on_epoch(self, record):
        self.told.append(("epoch", record.epoch))

    def joined(self, epoch):
        """The loss over the chunks of an epoch; they follow on each other."""
        chunks = [chunk for chunk in self.chunks if chunk.epoch == epoch]
        ends = np.cumsum([len(chunk.steps["loss"]) for chunk in chunks])
        assert [chunk.start for chunk in chunks] == [0, *ends[:-1]]
        return np.concatenate([chunk.steps["loss"] for chunk in chunks])


def fit(recipe, data, epochs=2, batch_size=8, **more):
    watch = Watch()
    run = jaxnn.fit(
        recipe, data, epochs=epochs, batch_size=batch_size, key=1, observers=[watch], **more
    )
    return run, watch


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("steps_per_call", [1, 4, None])
def test_chunks_add_up_to_the_epoch(tiny, recipe, streamed, steps_per_call):
    data = jaxnn.data.Data(jaxnn.data.stream(tiny.train), tiny.val) if streamed else tiny
    run, watch = fit(recipe, data, steps_per_call=steps_per_call)  # 9 steps, the last ragged
    for record in run.history.epochs:
        np.testing.assert_array_equal(watch.joined(record.epoch), record.steps["loss"])
    # Streamed data of this size is one chunk of at most 64 steps, as is the epoch of the other.
    expected = -(-9 // (steps_per_call or 9))
    assert len(watch.chunks) == 2 * expected


def test_chunks_are_told_before_their_epoch_and_the_last_before_the_end(tiny, recipe):
    _, watch = fit(recipe, tiny, steps_per_call=5)
    chunks = [told for told in watch.told if told[0] == "chunk"]
    assert chunks == [("chunk", 1, 0), ("chunk", 1, 5), ("chunk", 2, 0), ("chunk", 2, 5)]
    for epoch in (1, 2):
        assert watch.told.index(("chunk", epoch, 5)) < watch.told.index(("epoch", epoch))


def test_a_chunk_is_told_when_the_next_is_launched(tiny, recipe, monkeypatch):
    order = []

    class Note(Watch):
        def on_chunk(self, record):
            order.append(("told", record.start))

    def launch(program, state, tally, data, rows, start, *more, original=loop.train_chunk):
        order.append(("launched", int(start)))
        return original(program, state, tally, data, rows, start, *more)

    monkeypatch.setattr(loop, "train_chunk", launch)
    jaxnn.fit(recipe, tiny, epochs=1, batch_size=8, key=1, steps_per_call=3, observers=[Note()])
    assert order == [
        ("launched", 0),
        ("launched", 3),
        ("told", 0),
        ("launched", 6),
        ("told", 3),
        ("told", 6),
    ]


def test_a_chunk_is_fetched_once_and_nothing_where_nobody_asks(tiny, recipe, monkeypatch):
    calls = []

    def count(tree, original=transfer.fetch):
        calls.append(len(jax.tree.leaves(tree)))
        return original(tree)

    monkeypatch.setattr(loop, "fetch", count)
    jaxnn.fit(recipe, tiny, epochs=3, batch_size=8, key=1, steps_per_call=3)
    without = len(calls)
    calls.clear()
    fit(recipe, tiny, epochs=3, steps_per_call=3)
    assert len(calls) == without + 3 * 3


@functools.cache
def late_to_fail():
    """A recipe whose loss is not finite from step 10 on, and which stops after three of those."""

    def objective(apply, params, model_state, batch, keys):
        outputs, model_state = apply(params, model_state, batch["x"], keys)
        losses = jnp.square(outputs[:, 0]) + jnp.where(keys.index >= 10, jnp.nan, 0.0)
        count = jnp.sum(batch["weight"])
        return (jnp.sum(losses * batch["weight"]), count), model_state, {}

    return jaxnn.Recipe(
        jaxnn.nn.MLP((2,)), objective=objective, optimizer=jaxnn.optim.sgd(0.01), skip_nonfinite=3
    )


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("steps_per_call", [1, 2, 9])
def test_chunks_of_a_run_that_stops(tiny, streamed, steps_per_call):
    data = jaxnn.data.stream(tiny.train) if streamed else tiny.train
    watch = Watch()
    with pytest.raises(FloatingPointError, match="3 steps in a row"):
        jaxnn.fit(
            late_to_fail(),
            data,
            epochs=5,
            batch_size=8,
            key=1,
            steps_per_call=steps_per_call,
            observers=[watch],
        )
    assert np.isfinite(watch.joined(1)).all() and watch.joined(1).size == 9
    # Steps 9 to 12: one that was taken, and three that were skipped, behind which it stops.
    assert np.isfinite(watch.joined(2)).tolist() == [True, False, False, False]
    assert {chunk.epoch for chunk in watch.chunks} == {1, 2}, "of what was not run nothing is told"


@pytest.mark.parametrize("stored", [False, True])
def test_an_observer_sees_the_present_state_and_history(tiny, recipe, same_bits, tmp_path, stored):
    each = list(jaxnn.train.each_epoch(recipe, tiny, epochs=3, batch_size=32, key=1))
    seen = []

    class Look(jaxnn.train.Observer):
        def on_start(self, run):
            self.run = run

        def on_epoch(self, record):
            assert self.run.history.epochs[-1] is record
            seen.append((record.epoch, len(self.run.history.epochs), self.run.state))

    jaxnn.fit(
        recipe,
        tiny,
        epochs=3,
        batch_size=32,
        key=1,
        observers=[Look()],
        folder=tmp_path / "run" if stored else None,
        checkpoint_every=1,
    )
    assert [told[:2] for told in seen] == [(1, 1), (2, 2), (3, 3)]
    for (_, _, state), epoch in zip(seen, each, strict=True):
        same_bits(state, epoch.state)
