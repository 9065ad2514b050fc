"""Histories: what is written is read back, by series and by record, for a run and for members."""

from __future__ import annotations

import json

import numpy as np
import pytest
from record_makers import assert_same, assert_same_history, make_member_record, make_record

from jaxnn.train import EpochRecord, History
from jaxnn.train.record.writer import write_history


def test_a_run_is_read_back_as_it_was(tmp_path):
    records = [make_record(epoch, steps) for epoch, steps in ((1, 4), (2, 4), (3, 1), (4, 0))]
    write_history(tmp_path, records)
    assert len(list((tmp_path / "segments").glob("*.npz"))) == 1, "of different lengths, one file"
    for path in (tmp_path, tmp_path / "history.jsonl"):
        assert_same_history(History.read(path), History(records))
    assert_same_history(History.read(tmp_path, until=2), History(records[:2]))
    read = History.read(tmp_path)
    np.testing.assert_array_equal(
        read.step_series("loss"), np.concatenate([record.steps["loss"] for record in records])
    )
    np.testing.assert_array_equal(
        read.array_series("cube"), np.stack([record.arrays["cube"] for record in records])
    )
    assert read.array_series("none").shape == (4, 2, 0, 3)
    assert read.array_series("number").tolist() == [1 / 3] * 4
    assert read.members is None


def test_lines_are_strict_json_with_the_scalars_alone(tmp_path):
    write_history(tmp_path, [make_record(1)])
    (line,) = (tmp_path / "history.jsonl").read_text().splitlines()
    fields = json.loads(line, parse_constant=lambda constant: pytest.fail(f"not JSON: {constant}"))
    assert list(fields) == [
        *("epoch", "step", "train/loss", "val/loss", "val/low", "stopped", "crc32")
    ]
    assert (fields["val/loss"], fields["val/low"]) == ("nan", "-inf")


def test_segments_open_without_this_library(tmp_path):
    records = [make_record(1), make_record(2, steps=1)]
    write_history(tmp_path, records)
    with np.load(tmp_path / "segments/000001-000002.npz", allow_pickle=False) as archive:
        assert archive["epochs"].tolist() == [1, 2]
        assert archive["shapes/steps/loss"].tolist() == [[4], [1]]
        first, second = np.split(archive["data/steps/loss"], [4])
    np.testing.assert_array_equal(first, records[0].steps["loss"])
    np.testing.assert_array_equal(second, records[1].steps["loss"])


@pytest.mark.parametrize("records", [[], [EpochRecord(1, 0, {}, {})]])
def test_histories_of_nothing(tmp_path, records):
    write_history(tmp_path, records)
    read = History.read(tmp_path)
    assert_same_history(read, History(records))
    assert read.names == []
    assert read.members is None


def test_a_history_without_epochs_has_empty_series():
    history = History()
    for series in (history.series, history.step_series, history.array_series):
        assert series("train/loss").shape == (0,)


@pytest.mark.parametrize("on_disk", [False, True])
def test_unknown_names_are_refused_with_those_there_are(tmp_path, on_disk):
    history = History([make_record(1)])
    if on_disk:
        write_history(tmp_path, history.epochs)
        history = History.read(tmp_path)
    with pytest.raises(ValueError, match=r"one of \['train/loss', .*got 'loss'"):
        history.series("loss")
    with pytest.raises(ValueError, match=r"one of \['loss', 'penalty'\], got 'train/loss'"):
        history.step_series("train/loss")
    with pytest.raises(ValueError, match=r"one of \['number', .*got 'val/matrix'"):
        history.array_series("val/matrix")
    with pytest.raises(ValueError, match=r"a run, which has none\), got 0"):
        history.member(0)


def test_a_name_that_some_epochs_lack_is_nan_there(tmp_path):
    with_val, without = make_record(1), EpochRecord(2, 8, {"train/loss": 1.0}, {"loss": np.ones(4)})
    write_history(tmp_path, [with_val, without])
    for history in (History([with_val, without]), History.read(tmp_path)):
        np.testing.assert_array_equal(history.series("val/low"), [-np.inf, np.nan])
        cubes = history.array_series("cube")
        np.testing.assert_array_equal(cubes[0], with_val.arrays["cube"])
        assert np.isnan(cubes[1]).all() and cubes.shape == (2, 2, 1, 3)
        penalty = history.step_series("penalty")
        np.testing.assert_array_equal(penalty[:4], with_val.steps["penalty"])
        assert np.isnan(penalty[4:]).all() and penalty.shape == (8,)


def test_arrays_of_different_shapes_are_no_series():
    records = [EpochRecord(n, n, {}, {}, arrays={"a": np.ones(n)}) for n in (1, 2)]
    with pytest.raises(ValueError, match=r"got 'a' with \[\(1,\), \(2,\)\]"):
        History(records).array_series("a")


def test_a_value_may_not_take_a_name_of_the_line(tmp_path):
    with pytest.raises(ValueError, match=r"must not be called.*\['step'\]"):
        write_history(tmp_path, [EpochRecord(1, 1, {"step": 0.5}, {})])


def test_what_is_read_may_be_written_to(tmp_path):
    write_history(tmp_path, [make_record(1)])
    history = History.read(tmp_path)
    history.epochs[0].steps["loss"][:] = 0
    np.testing.assert_array_equal(history.epochs[0].steps["loss"], make_record(1).steps["loss"])


def test_members_are_read_back_as_they_were(tmp_path):
    records = [
        make_member_record(1),
        make_member_record(2, stopped=[1]),
        make_member_record(3, members=[2, 0, 5], steps=3),  # one left, another came
    ]
    write_history(tmp_path, records)
    names = sorted(path.name for path in (tmp_path / "segments").glob("*.npz"))
    assert names == ["000001-000002.npz", "000003-000003.npz"]
    with np.load(tmp_path / "segments/000003-000003.npz") as archive:
        assert archive["members"].tolist() == [2, 0, 5]
    assert_same_history(History.read(tmp_path), History(records))
    for history in (History(records), History.read(tmp_path)):
        assert history.members.tolist() == [0, 1, 2, 5]
        assert history.names == ["train/loss", "seconds"]
        losses = history.series("train/loss")
        nan = np.nan
        first, second, third = (record.values["train/loss"] for record in records)
        np.testing.assert_array_equal(
            losses,
            [
                [*first, nan],
                [second[0], nan, second[2], nan],
                [third[1], nan, third[0], third[2]],
            ],
        )
        steps = history.step_series("loss")
        assert steps.shape == (4, 11)
        np.testing.assert_array_equal(steps[2, 8:], records[2].steps["loss"][0])
        assert np.isnan(steps[1, 4:]).all() and np.isnan(steps[3, :8]).all()
        assert history.array_series("val/confusion").shape == (3, 4, 2, 2)
        np.testing.assert_array_equal(
            history.array_series("val/confusion")[2, 3], records[2].arrays["val/confusion"][2]
        )


@pytest.mark.parametrize("on_disk", [False, True])
def test_one_member_has_the_history_of_a_run(tmp_path, on_disk):
    records = [make_member_record(1), make_member_record(2, stopped=[1])]
    history = History(records)
    if on_disk:
        write_history(tmp_path, records)
        history = History.read(tmp_path)
    alone = history.member(1)
    assert alone.members is None and len(alone.epochs) == 1, "it stopped before the second epoch"
    assert_same(
        alone.epochs[0],
        EpochRecord(
            1,
            4,
            {"train/loss": float(records[0].values["train/loss"][1]), "seconds": 0.5},
            {"loss": records[0].steps["loss"][1]},
            arrays={"val/confusion": records[0].arrays["val/confusion"][1]},
        ),
    )
    whole = history.member(2)
    np.testing.assert_array_equal(whole.series("train/loss"), history.series("train/loss")[:, 2])
    np.testing.assert_array_equal(whole.step_series("loss"), history.step_series("loss")[2])
    with pytest.raises(ValueError, match=r"one of \[0, 1, 2\]\), got 3"):
        history.member(3)
    with pytest.raises(ValueError, match="member 1 had stopped before epoch 2"):
        history.epochs[1].member(1)


def test_members_that_are_read_need_not_be_in_memory(tmp_path):
    write_history(tmp_path, [make_member_record(epoch) for epoch in (1, 2)])
    (segment,) = (tmp_path / "segments").glob("*.npz")
    segment.unlink()
    history = History.read(tmp_path)
    assert len(history.epochs) == 2
    with pytest.raises(ValueError, match="is missing, the segment of epochs 1 to 2"):
        history.series("train/loss")


def test_values_as_a_pandas_frame():
    pd = pytest.importorskip("pandas")
    records = [make_record(1), EpochRecord(2, 8, {"train/loss": 1.0}, {})]
    frame = History(records).to_pandas()
    assert frame.index.name == "epoch" and frame.index.tolist() == [1, 2]
    assert frame.columns.tolist() == ["step", "train/loss", "val/loss", "val/low"]
    assert frame["train/loss"][2] == 1.0 and pd.isna(frame["val/low"][2])
    assert History().to_pandas().shape == (0, 1)

    members = [make_member_record(1), make_member_record(2, stopped=[1])]
    frame = History(members).to_pandas()
    assert frame.index.names == ["epoch", "member"]
    assert frame.loc[(2, 2), "train/loss"] == members[1].values["train/loss"][2]
    assert pd.isna(frame.loc[(2, 1), "train/loss"])


def test_values_as_a_figure():
    pytest.importorskip("matplotlib")
    records = [
        EpochRecord(n, n, {"train/loss": 1 / n, "val/loss": 2.0, "$": 3.0}, {}) for n in (1, 2)
    ]
    figure = History(records).plot()
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert drawn == {"train/loss": [1.0, 0.5], "val/loss": [2.0, 2.0]}
    assert axes.get_ylabel() == "loss"
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert len(History(records).plot(["$", "val/loss"]).axes) == 2
    assert len(History([make_member_record(1)]).plot("train/loss").axes[0].lines) == 3
    with pytest.raises(ValueError, match="got 'loss'"):
        History(records).plot("loss")


def test_a_name_is_refused_also_where_no_epoch_has_a_value():
    with pytest.raises(ValueError, match=r"one of \[\], got 'loss'"):
        History([EpochRecord(1, 1, {}, {})], partly=True).series("loss")
