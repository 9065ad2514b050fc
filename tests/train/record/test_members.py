"""What is fetched of a population becomes the records that its members' runs would have."""

from __future__ import annotations

import numpy as np
import pytest
from members import loop_of_members
from record_makers import assert_same, assert_same_history
from train_recipes import make_recipe

import jaxnn
from jaxnn.train import History
from jaxnn.train.loop.collect import Piece, chunk_record, epoch_record
from jaxnn.train.loop.roster import arrange
from jaxnn.train.record.writer import write_history

COHORTS, WIDTH, MEMBERS, STEPS = 2, 3, 5, 4
ROSTER = arrange(np.arange(MEMBERS), COHORTS, WIDTH)
NONE = {"seconds": 2.0, "examples_per_second": 35.0}


def cohorts(members, padding):
    """(members, …) as (cohorts, width, …), the slot behind filled with what must not be seen."""
    slots = np.concatenate([members, np.full_like(members[:1], padding)])
    return slots.reshape(COHORTS, WIDTH, *members.shape[1:])


def fetched(done, pieces=1, skipped=None, stopped=None):
    """What a population of five and, as a list, each member's run alone would fetch of an epoch.

    Args:
      done: steps of each member, (members,).
      pieces: in how many the series come, as those of streamed data do.
      skipped: (members, steps) of 0 and 1, or None.
      stopped: of each member; None: those with fewer steps than others.
    """
    draw = np.random.default_rng(3)
    series = {"loss": draw.normal(size=(MEMBERS, STEPS)).astype(np.float32)}
    if skipped is not None:
        series["skipped"] = skipped.astype(np.float32)
    done = np.array(done, np.int32)
    values = {
        "train/loss": draw.normal(size=MEMBERS).astype(np.float32),
        "train/skipped": draw.normal(size=MEMBERS).astype(np.float32),
        "val/confusion": draw.normal(size=(MEMBERS, 2, 2)).astype(np.float32),
    }
    stopped = done < done.max() if stopped is None else np.array(stopped)
    size = STEPS // pieces

    def parts(rows):
        for start in range(0, STEPS, size):
            taken = np.clip(done[rows] - start, 0, size)
            shown = {name: array[rows, start : start + size] for name, array in series.items()}
            yield Piece(taken, shown)

    of_all = [
        Piece(cohorts(p.done, 99), {name: cohorts(s, 77.0) for name, s in p.series.items()})
        for p in parts(slice(None))
    ]
    together = ({n: cohorts(v, 55.0) for n, v in values.items()}, of_all, cohorts(stopped, True))
    alone = [
        ({n: v[i] for n, v in values.items()}, list(parts(i)), stopped[i]) for i in range(MEMBERS)
    ]
    return together, alone


def record_of(parts, step, roster=None):
    values, pieces, stopped = parts
    return epoch_record(3, step, values, pieces, stopped, NONE, roster)


SKIPPED = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]])


@pytest.mark.parametrize("pieces", [1, 2, 4])
@pytest.mark.parametrize("skipped", [None, SKIPPED])
@pytest.mark.parametrize("done", [(4, 4, 4, 4, 4), (4, 3, 2, 4, 1), (2, 1, 2, 2, 2)])
def test_five_members_in_two_cohorts_of_three(pieces, skipped, done):
    together, alone = fetched(done, pieces, skipped)
    record = record_of(together, 8, ROSTER)
    assert record.step == 8 + max(done)
    assert record.members.tolist() == [0, 1, 2, 3, 4]
    assert record.done.tolist() == list(done)
    assert record.stopped.tolist() == [d < max(done) for d in done]
    assert record.values["seconds"].tolist() == [2.0] * 5
    assert record.values["train/loss"].shape == (5,)
    assert record.steps["loss"].shape == (5, max(done))
    assert record.arrays["val/confusion"].shape == (5, 2, 2)
    for member in range(MEMBERS):
        assert_same(record.member(member), record_of(alone[member], 8))
        assert np.isnan(record.steps["loss"][member, done[member] :]).all()


def test_a_member_whose_steps_were_all_skipped_measured_nothing():
    together, _ = fetched((4, 4, 2, 4, 4), skipped=SKIPPED)
    record = record_of(together, 0, ROSTER)
    assert np.isnan(record.values["train/loss"]).tolist() == [False, False, True, False, False]
    assert np.isfinite(record.values["train/skipped"]).all()


def test_a_member_that_had_stopped_is_nan_everywhere():
    together, _ = fetched((4, 0, 4, 4, 4))
    record = record_of(together, 8, ROSTER)
    for name in ("train/loss", "train/skipped"):
        assert np.isnan(record.values[name]).tolist() == [False, True, False, False, False]
    assert np.isnan(record.arrays["val/confusion"][1]).all()
    assert np.isnan(record.steps["loss"][1]).all()
    with pytest.raises(ValueError, match="member 1 had stopped before epoch 3"):
        record.member(1)


def test_a_chunk_of_members():
    together, alone = fetched((4, 3, 2, 4, 1), skipped=SKIPPED)
    (piece,), epoch = together[1], record_of(together, 0, ROSTER)
    record = chunk_record(3, 2, 2, piece, ROSTER)
    assert (record.epoch, record.start) == (3, 2)
    assert record.done.tolist() == [2, 1, 0, 2, 0]
    np.testing.assert_array_equal(record.steps["loss"], epoch.steps["loss"][:, 2:])
    for member in range(MEMBERS):
        (own,) = alone[member][1]
        single = chunk_record(3, 2, 2, own, None)
        if single is None:  # it had stopped before the chunk
            assert record.member(member).steps["loss"].size == 0
        else:
            np.testing.assert_array_equal(record.member(member).steps["loss"], single.steps["loss"])


def test_a_chunk_in_which_nobody_takes_a_step_is_none():
    together, alone = fetched((2, 1, 2, 2, 2))
    assert chunk_record(3, 2, 2, together[1][0], ROSTER) is None
    assert chunk_record(3, 2, 2, alone[0][1][0], None) is None


def test_the_records_of_a_population_are_those_of_its_members_runs(tiny, tmp_path):
    """Through the loop: in epoch and chunks, in memory and on disk."""
    rates = np.array([0.001, 0.003, 0.01, 0.03, 0.1])
    knobs = {"lr": rates, "dropout": np.full(5, 0.5), "l2": np.full(5, 1e-3)}
    arguments = {"batch_size": 8, "key": 1}
    loop = loop_of_members(make_recipe, knobs, tiny, WIDTH, steps_per_call=4, **arguments)
    chunks = []
    loop._on_chunk = chunks.append
    history = History(loop.collect(loop.launch()) for _ in range(3))
    loop.show_last_chunk()
    write_history(tmp_path, history.epochs)
    assert_same_history(History.read(tmp_path), history)
    assert history.series("val/loss").shape == (3, 5)
    assert history.step_series("loss").shape == (5, 27)
    assert [(c.epoch, c.start) for c in chunks] == [(e, s) for e in (1, 2, 3) for s in (0, 4, 8)]
    np.testing.assert_array_equal(
        np.concatenate([chunk.steps["loss"] for chunk in chunks], axis=1),
        history.step_series("loss"),
    )
    for member in range(MEMBERS):
        own = {name: float(values[member]) for name, values in knobs.items()}
        alone = jaxnn.fit(make_recipe, tiny, knobs=own, epochs=3, devices=1, **arguments).history
        ours = history.member(member)
        assert [record.step for record in ours.epochs] == [9, 18, 27]
        assert set(ours.names) == set(alone.names)
        for name in set(alone.names) - set(NONE):
            np.testing.assert_allclose(ours.series(name), alone.series(name), rtol=1e-4)
        np.testing.assert_allclose(ours.step_series("loss"), alone.step_series("loss"), rtol=1e-4)
