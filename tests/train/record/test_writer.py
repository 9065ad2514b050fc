"""Histories that are written while a run goes on: segments, resumption, memory, readers."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from record_makers import assert_same_history, make_member_record, make_record

import jaxnn
from jaxnn.train import EpochRecord, History
from jaxnn.train.record import writer
from jaxnn.train.record.writer import HistoryWriter

TIMING = {"seconds", "examples_per_second"}


def segments_of(folder):
    return sorted(path.name for path in (folder / "segments").glob("*.npz"))


def write(folder, history, records, flush=True):
    """Append records to a history and its folder."""
    going = HistoryWriter(folder, history)
    for record in records:
        history.epochs.append(record)
        going.append(record)
    if flush:
        going.flush()


def without_timing(history):
    """A history whose numbers are a function of recipe, data and key."""
    return History(
        EpochRecord(
            record.epoch,
            record.step,
            {name: value for name, value in record.values.items() if name not in TIMING},
            record.steps,
            record.stopped,
            record.arrays,
        )
        for record in history.epochs
    )


def test_lines_come_at_once_and_series_with_a_flush(tmp_path):
    history = History()
    records = [make_record(epoch) for epoch in (1, 2, 3)]
    write(tmp_path, history, records[:2])
    write(tmp_path, history, records[2:], flush=False)
    read = History.read(tmp_path)
    np.testing.assert_array_equal(read.series("train/loss"), history.series("train/loss"))
    assert not read.epochs[2].steps and not read.epochs[2].arrays
    assert read.step_series("loss").size == 8
    assert_same_history(history, History(records))


def test_a_reader_before_the_first_segment_finds_no_series(tmp_path):
    write(tmp_path, History(), [make_record(1)], flush=False)
    read = History.read(tmp_path)
    assert read.step_series("loss").shape == (0,)
    assert np.isnan(read.array_series("cube")).all()


def test_epochs_of_a_population_appear_with_their_segment(tmp_path):
    history = History()
    write(tmp_path, history, [make_member_record(1)])
    write(tmp_path, history, [make_member_record(2)], flush=False)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2
    assert [record.epoch for record in History.read(tmp_path).epochs] == [1]
    assert [record.epoch for record in history.epochs] == [1, 2]


@pytest.mark.parametrize("make", [make_record, make_member_record])
def test_a_resumption_drops_what_lies_beyond_and_rewrites_no_segment(tmp_path, make):
    records = [make(epoch) for epoch in range(1, 8)]
    history = History()
    write(tmp_path, history, records[:2])
    write(tmp_path, history, records[2:4])
    write(tmp_path, history, records[4:6])
    write(tmp_path, history, records[6:], flush=False)
    (tmp_path / "segments/000007-000007.npz.tmp").write_bytes(b"half written")
    kept = {name: (tmp_path / "segments" / name).stat() for name in segments_of(tmp_path)[:2]}
    resumed = History.read(tmp_path, until=4)
    others = [make(epoch) for epoch in (5, 6)]
    write(tmp_path, resumed, others)
    assert segments_of(tmp_path) == ["000001-000002.npz", "000003-000004.npz", "000005-000006.npz"]
    assert not list((tmp_path / "segments").glob("*.tmp"))
    for name, stat in kept.items():
        now = (tmp_path / "segments" / name).stat()
        assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    for found in (resumed, History.read(tmp_path)):
        assert_same_history(found, History([*records[:4], *others]))


def test_a_resumption_from_the_start_drops_all(tmp_path):
    write(tmp_path, History(), [make_record(1), make_record(2)])
    write(tmp_path, History(), [make_record(1, steps=2)])
    assert segments_of(tmp_path) == ["000001-000001.npz"]
    assert_same_history(History.read(tmp_path), History([make_record(1, steps=2)]))


def test_damage_beyond_the_resumption_does_not_hinder_it(tmp_path):
    write(tmp_path, History(), [make_record(1)])
    write(tmp_path, History.read(tmp_path), [make_record(2)])
    lines = (tmp_path / "history.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "history.jsonl").write_text(lines[0] + lines[1].replace("step", "stop"))
    with pytest.raises(ValueError, match=r"line 2 of .* is damaged"):
        History.read(tmp_path)
    write(tmp_path, History.read(tmp_path, until=1), [make_record(2)])
    assert_same_history(History.read(tmp_path), History([make_record(1), make_record(2)]))


def test_a_segment_across_the_resumption_is_refused(tmp_path):
    write(tmp_path, History(), [make_record(epoch) for epoch in (1, 2, 3)])
    before = (tmp_path / "history.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"must end with epoch 2, .*got epochs 1 to 3"):
        HistoryWriter(tmp_path, History.read(tmp_path, until=2))
    assert (tmp_path / "history.jsonl").read_bytes() == before


def test_other_columns_begin_a_segment(tmp_path):
    records = [
        make_record(1),
        EpochRecord(2, 8, {"train/loss": 1.0}, {"loss": np.ones(4)}),
        EpochRecord(3, 12, {"train/loss": 1.0}, {"loss": np.ones(4)}),
        EpochRecord(4, 16, {}, {}, arrays={"a": np.ones(2)}),
        EpochRecord(5, 20, {}, {}, arrays={"a": np.ones((2, 2))}),
    ]
    write(tmp_path, History(), records)
    assert segments_of(tmp_path) == [
        f"{first:06d}-{last:06d}.npz" for first, last in ((1, 1), (2, 3), (4, 4), (5, 5))
    ]
    assert_same_history(History.read(tmp_path), History(records))


def test_a_long_run_keeps_few_series_in_memory(tmp_path, monkeypatch):
    epochs, steps = 2000, 50
    series_bytes = epochs * steps * 8
    monkeypatch.setattr(writer, "_BYTES", series_bytes // 50)

    def grown(folder):
        history = History()
        going = None if folder is None else HistoryWriter(folder, history)
        tracemalloc.start()
        for epoch in range(1, epochs + 1):
            loss = np.random.default_rng(epoch).normal(size=steps)
            record = EpochRecord(epoch, epoch * steps, {"train/loss": loss.mean()}, {"loss": loss})
            history.epochs.append(record)
            if going is not None:
                going.append(record)
        del record, loss
        snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()
        numpy = [trace.size for trace in snapshot.traces if trace.domain != 0]
        return history, sum(numpy)

    in_memory, whole = grown(None)
    on_disk, little = grown(tmp_path)
    assert whole >= series_bytes
    assert little < series_bytes / 20
    assert 40 <= len(segments_of(tmp_path)) <= 60
    np.testing.assert_array_equal(on_disk.step_series("loss"), in_memory.step_series("loss"))
    assert_same_history(on_disk, in_memory)


def test_series_are_written_after_some_seconds(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: now[0])
    history = History()
    going = HistoryWriter(tmp_path, history)
    for epoch in range(1, 6):
        now[0] += 20.0
        record = make_record(epoch)
        history.epochs.append(record)
        going.append(record)
    assert segments_of(tmp_path) == ["000001-000002.npz", "000003-000004.npz"]


def fit(recipe, data, epochs=5, **more):
    return jaxnn.fit(recipe, data, epochs=epochs, batch_size=32, key=1, **more)


def test_runs_with_and_without_a_folder_have_equal_histories(tiny, recipe, tmp_path):
    plain = fit(recipe, tiny)
    stored = fit(recipe, tiny, folder=tmp_path / "run", checkpoint_every=2)
    assert segments_of(tmp_path / "run") == [
        f"{first:06d}-{last:06d}.npz" for first, last in ((1, 2), (3, 4), (5, 5))
    ]
    assert_same_history(without_timing(plain.history), without_timing(stored.history))
    assert_same_history(stored.history, History.read(tmp_path / "run"))
    plain.save(tmp_path / "kept")
    assert_same_history(plain.history, History.read(tmp_path / "kept"))
    stored.save(tmp_path / "copied")
    assert_same_history(stored.history, History.read(tmp_path / "copied"))


@pytest.mark.parametrize(("killed", "kept"), [(1, 0), (3, 2), (4, 2), (5, 4)])
def test_a_killed_run_that_goes_on_has_the_whole_history(tiny, recipe, tmp_path, killed, kept):
    straight = fit(recipe, tiny)

    def kill(record):
        if record.epoch == killed:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fit(recipe, tiny, folder=tmp_path / "run", checkpoint_every=2, observers=[kill])
    left = History.read(tmp_path / "run")
    assert_same_history(
        without_timing(left), History(without_timing(straight.history).epochs[:killed])
    )
    resumed = fit(recipe, tiny, resume=tmp_path / "run", checkpoint_every=2)
    assert_same_history(without_timing(straight.history), without_timing(resumed.history))
    assert_same_history(resumed.history, History.read(tmp_path / "run"))
    np.testing.assert_array_equal(
        left.series("seconds")[:kept], resumed.history.series("seconds")[:kept]
    )


def test_a_quick_run_does_not_write_a_segment_an_epoch(tiny, recipe, tmp_path):
    fit(recipe, tiny, epochs=40, folder=tmp_path / "run")
    assert len(segments_of(tmp_path / "run")) <= 3


def test_an_observer_reads_the_folder_while_the_run_goes_on(tiny, recipe, tmp_path):
    seen = []

    def look(record):
        history = History.read(tmp_path / "run")
        assert history.epochs[-1].values == record.values
        seen.append((len(history.epochs), history.step_series("loss").size))
        last = (tmp_path / "run/history.jsonl").read_text().splitlines()[-1]
        assert json.loads(last)["train/loss"] == record.values["train/loss"]

    fit(recipe, tiny, folder=tmp_path / "run", checkpoint_every=2, observers=[look])
    # Three steps an epoch; a segment is written at a checkpoint, behind the observers.
    assert seen == [(1, 0), (2, 0), (3, 6), (4, 6), (5, 12)]
