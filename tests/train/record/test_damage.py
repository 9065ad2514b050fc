"""Damaged folders are refused where the damage is, and a killed process' last line is not read."""

from __future__ import annotations

import hashlib
import json
import zipfile

import numpy as np
import pytest
from record_makers import assert_same_history, make_record

from jaxnn.train import History
from jaxnn.train.record.lines import sealed
from jaxnn.train.record.writer import HistoryWriter

RECORDS = [make_record(epoch) for epoch in (1, 2, 3, 4)]


@pytest.fixture
def folder(tmp_path):
    """Four epochs in two segments."""
    history = History()
    writer = HistoryWriter(tmp_path, history)
    for record in RECORDS:
        history.epochs.append(record)
        writer.append(record)
        if record.epoch % 2 == 0:
            writer.flush()
    return tmp_path


def read_all(folder):
    history = History.read(folder)
    assert_same_history(history, History(RECORDS))
    return history


def test_the_folder_is_whole(folder):
    read_all(folder)


def test_a_flipped_byte_anywhere_in_a_segment_is_noticed(folder):
    path = folder / "segments/000003-000004.npz"
    raw = path.read_bytes()
    for position in range(0, len(raw), 97):
        path.write_bytes(raw[:position] + bytes([raw[position] ^ 0x10]) + raw[position + 1 :])
        history = History.read(folder)
        assert history.series("train/loss").size == 4, "the scalars stand in the lines"
        assert history.epochs[1].steps["loss"].size == 4, "the other segment is whole"
        with pytest.raises(ValueError, match=r"000003-000004\.npz is damaged or another file"):
            history.step_series("loss")


def test_a_flipped_byte_anywhere_in_a_line_is_noticed(folder):
    for name in ("history.jsonl", "segments/index.jsonl"):
        path = folder / name
        raw = path.read_bytes()
        second = raw.index(b"\n") + 1
        number = raw.count(b"\n")
        for position in range(second, len(raw) - 1):
            path.write_bytes(raw[:position] + bytes([raw[position] ^ 0x01]) + raw[position + 1 :])
            with pytest.raises(ValueError, match=rf"line [2-{number}] of .*{path.name} is damaged"):
                History.read(folder)
        path.write_bytes(raw)
    read_all(folder)


def test_a_line_without_an_end_ends_the_history(folder):
    path = folder / "history.jsonl"
    raw = path.read_bytes()
    fourth = raw[:-1].rindex(b"\n") + 1
    for end in (fourth, fourth + 1, (fourth + len(raw)) // 2, len(raw) - 1):
        path.write_bytes(raw[:end])
        assert_same_history(History.read(folder), History(RECORDS[:3]))


def test_a_segment_that_is_not_yet_listed_is_not_read(folder):
    path = folder / "segments/index.jsonl"
    raw = path.read_bytes()
    path.write_bytes(raw[:-1])
    history = History.read(folder)
    assert len(history.epochs) == 4
    assert not history.epochs[2].steps and not history.epochs[2].arrays
    np.testing.assert_array_equal(
        history.step_series("loss"), np.concatenate([r.steps["loss"] for r in RECORDS[:2]])
    )


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_truncated_segment_is_refused(folder, keep):
    path = folder / "segments/000001-000002.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"000001-000002\.npz is damaged or another file"):
        History.read(folder).epochs[0].arrays["cube"]


def test_a_missing_segment_is_refused(folder):
    (folder / "segments/000001-000002.npz").unlink()
    with pytest.raises(ValueError, match=r"000001-000002\.npz is missing, the segment of epochs 1"):
        History.read(folder).step_series("loss")


def test_swapped_segments_are_refused(folder):
    first, second = sorted((folder / "segments").glob("*.npz"))
    first.rename(folder / "away")
    second.rename(first)
    (folder / "away").rename(second)
    for epoch in (0, 3):
        with pytest.raises(ValueError, match="is damaged or another file"):
            History.read(folder).epochs[epoch].steps["loss"]


def test_a_missing_list_of_segments_is_refused(folder):
    (folder / "segments/index.jsonl").unlink()
    with pytest.raises(ValueError, match=r"index\.jsonl is missing"):
        History.read(folder)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("history.jsonl", 1, r"line 2 of .*history\.jsonl must be of epoch 2, got 3"),
        ("history.jsonl", 0, r"history\.jsonl must begin with epoch 1, .*got 2"),
        ("segments/index.jsonl", 0, r"history\.jsonl must begin with epoch 3, .*got 1"),
    ],
)
def test_a_missing_line_is_refused(folder, name, line, message):
    lines = (folder / name).read_text().splitlines(keepends=True)
    del lines[line]
    (folder / name).write_text("".join(lines))
    with pytest.raises(ValueError, match=message):
        History.read(folder)


def test_an_epoch_that_is_there_twice_is_refused(folder):
    path = folder / "history.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]]))
    with pytest.raises(ValueError, match=r"line 5 of .* must be of epoch 5, got 4"):
        History.read(folder)


def test_segments_that_leave_epochs_out_are_refused(folder):
    path = folder / "segments/index.jsonl"
    second = json.loads(path.read_text().splitlines()[1])
    del second["crc32"]
    with path.open("a") as file:
        file.write(sealed({**second, "first": 7, "last": 8}))
    with pytest.raises(ValueError, match=r"line 3 of .* must begin with epoch 5, got 7"):
        History.read(folder)


def test_lines_of_something_else_are_refused(folder):
    (folder / "history.jsonl").write_text(sealed({"epoch": 1, "loss": 0.5}))
    with pytest.raises(ValueError, match=r"line 1 of .* is not of an epoch"):
        History.read(folder)
    (folder / "history.jsonl").write_text('{"epoch": 1, "step": 2}\n')
    with pytest.raises(ValueError, match=r"line 1 of .* does not end with a checksum"):
        History.read(folder)


def test_an_index_cannot_reach_out_of_the_folder(folder):
    path = folder / "segments/index.jsonl"
    fields = json.loads(path.read_text().splitlines()[0])
    del fields["crc32"]
    path.write_text(sealed({**fields, "file": "../../other.npz"}))
    with pytest.raises(ValueError, match=r"must list files beside it, got '\.\./\.\./other\.npz'"):
        History.read(folder)
    path.write_text(sealed({"file": "000001-000002.npz"}))
    with pytest.raises(ValueError, match="of another version"):
        History.read(folder)


def test_shapes_that_do_not_fit_are_refused_also_under_a_right_checksum(folder):
    path, index = folder / "segments/000001-000002.npz", folder / "segments/index.jsonl"
    with np.load(path) as archive:
        arrays = dict(archive)
    for shapes, message in (
        ([[2**40], [4]], r"000001-000002\.npz: steps/loss: .* elements, and there are 8"),
        ([[-4], [12]], "is no column of shapes"),
        ([[8]], "must have steps/loss of epochs 1 to 2, got 1 arrays"),
    ):
        np.savez(path, **{**arrays, "shapes/steps/loss": np.array(shapes)})
        first, second = (json.loads(line) for line in index.read_text().splitlines())
        first["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        del first["crc32"], second["crc32"]
        index.write_text(sealed(first) + sealed(second))
        with pytest.raises(ValueError, match=message):
            History.read(folder).step_series("loss")


def test_no_pickle_is_ever_written(folder):
    for path in (folder / "segments").glob("*.npz"):
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist()
        with np.load(path, allow_pickle=False) as archive:
            assert all(archive[name].dtype.kind in "fib" for name in archive.files)
