"""The curves: what is drawn stands where it should, and nothing is dropped in silence."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from jaxnn.report import loss_curve, metric_curve, svg

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"


def line(figure, gid):
    return next(line for line in figure.axes[0].lines if line.get_gid() == gid)


def gids(figure):
    return [line.get_gid() for line in figure.axes[0].lines]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def note(figure):
    return figure.get_supxlabel()


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def group(root, name):
    return next(g for g in root.iter(f"{SVG}g") if g.get("id", "").endswith(f"-{name}"))


def with_loss(series):
    """A change of records that sets their losses, one list of steps for each epoch."""

    def change(record):
        steps = np.array(series[record.epoch - 1], dtype=float)
        record.steps = {"loss": steps}
        record.values = {"train/loss": float(steps.mean())}

    return change


def test_steps_stand_at_fractions_of_their_epoch(make_run):
    history = make_run(epochs=2, change=with_loss([[4, 3], [2, 2, 1, 1]])).history
    x, y = line(loss_curve(history), "steps").get_data()
    np.testing.assert_allclose(x, [0.5, 1.0, 1.25, 1.5, 1.75, 2.0])
    np.testing.assert_array_equal(y, [4, 3, 2, 2, 1, 1])


def test_losses_of_the_epochs_stand_at_the_ends_of_the_epochs(make_run):
    history = make_run(epochs=5).history
    figure = loss_curve(history)
    for gid, name in (("training", "train/loss"), ("validation", "val/loss")):
        x, y = line(figure, gid).get_data()
        np.testing.assert_array_equal(x, [1, 2, 3, 4, 5])
        np.testing.assert_array_equal(y, [record.values[name] for record in history.epochs])
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    assert axes.get_xlim() == (0, 5)
    assert legend(figure) == ["each step", "mean of 3 steps", "training", "validation"]


def test_moving_average_is_the_mean_of_a_window_at_its_middle(make_run):
    history = make_run(epochs=10, steps=20).history
    x, y = line(loss_curve(history), "moving-average").get_data()
    loss = np.concatenate([record.steps["loss"] for record in history.epochs])
    np.testing.assert_allclose(y, np.convolve(loss, np.ones(4) / 4, mode="valid"), rtol=1e-12)
    np.testing.assert_allclose(x[:2], [np.mean([1, 2, 3, 4]) / 20, np.mean([2, 3, 4, 5]) / 20])


def test_moving_average_skips_nan_and_keeps_small_losses_after_a_huge_one(make_run):
    series = [[1.0, np.nan, 3.0, np.nan, np.nan, np.nan, 1e30, 1e-3, 1e-3, 1e-3]]
    figure = loss_curve(make_run(epochs=1, change=with_loss(series)).history)
    y = line(figure, "moving-average").get_ydata()
    third = 1e30 / 3
    np.testing.assert_allclose(y, [2, 3, 3, np.nan, 1e30, 1e30 / 2, third, 1e-3], rtol=1e-6)


def test_a_long_run_is_thinned_and_no_spike_is_lost(make_run):
    series = np.full((50, 1000), 0.5)
    series[31, 417] = 8.0
    series[40, 2] = 0.01
    figure = loss_curve(make_run(epochs=50, change=with_loss(series)).history)
    x, y = line(figure, "steps").get_data()
    assert 500 <= len(x) <= 1000
    assert np.all(np.diff(x) > 0)
    assert x[np.argmax(y)] == 31 + 418 / 1000
    assert x[np.argmin(y)] == 40 + 3 / 1000
    assert legend(figure)[0] == "extremes of 100 steps"
    assert len(line(figure, "moving-average").get_xdata()) <= 1000


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([[10.1, 1.0]], "log"),
        ([[9.9, 1.0]], "linear"),
        ([[100.0, 0.0]], "linear"),
        ([[100.0, -1.0]], "linear"),
        ([[100.0, np.nan, 1.0]], "log"),
        ([[np.inf, 2.0, 1.0]], "linear"),
    ],
)
def test_the_scale_is_logarithmic_above_one_decade_of_positive_losses(make_run, losses, scale):
    figure = loss_curve(make_run(epochs=1, change=with_loss(losses)).history)
    assert figure.axes[0].get_yscale() == scale


def test_validation_loss_counts_for_the_scale(make_run):
    def change(record):
        record.steps = {}
        record.values = {"train/loss": 1.0, "val/loss": 50.0}

    assert loss_curve(make_run(epochs=2, change=change).history).axes[0].get_yscale() == "log"


def test_what_is_not_finite_is_left_out_and_said(make_run):
    def change(record):
        if record.epoch == 3:
            record.steps["loss"][1:3] = [np.nan, np.inf]
            record.values["train/loss"] = float("nan")

    figure = loss_curve(make_run(epochs=4, steps=4, change=change).history)
    assert note(figure) == "3 values are NaN or infinite and left out, the first at epoch 2.5"
    assert len(line(figure, "steps").get_xdata()) == 14
    np.testing.assert_array_equal(line(figure, "training").get_xdata(), [1, 2, 4])
    assert note(figure) in svg(figure)


def test_nothing_is_said_where_all_is_finite(make_run):
    history = make_run(epochs=4).history
    assert note(loss_curve(history)) == ""
    assert note(metric_curve(history, "accuracy")) == ""


def test_metric_with_its_gap(make_run):
    history = make_run(epochs=6).history
    figure = metric_curve(history, "accuracy")
    train = np.array([record.values["train/accuracy"] for record in history.epochs])
    val = np.array([record.values["val/accuracy"] for record in history.epochs])
    np.testing.assert_array_equal(line(figure, "training").get_ydata(), train)
    np.testing.assert_array_equal(line(figure, "validation").get_ydata(), val)
    (gap,) = figure.axes[0].collections
    corners = {(x, y) for x, y in gap.get_paths()[0].vertices}
    assert corners == set(zip(range(1, 7), train, strict=True)) | set(
        zip(range(1, 7), val, strict=True)
    )
    assert legend(figure) == [
        "training",
        "validation",
        f"gap, {train[-1] - val[-1]:.4f} at the end",
    ]
    assert figure.axes[0].get_ylabel() == "accuracy"


def test_the_gap_is_drawn_where_both_were_measured(make_run):
    def change(record):
        record.values = {"train/top_5": 0.5 + record.epoch / 100}
        if record.epoch % 2 == 0:
            record.values["val/top_5"] = 0.5

    figure = metric_curve(make_run(epochs=6, change=change).history, "top_5")
    (gap,) = figure.axes[0].collections
    assert {x for x, _ in gap.get_paths()[0].vertices} == {2, 4, 6}
    assert legend(figure)[-1] == "gap, 0.0600 at the end"
    assert figure.axes[0].get_ylabel() == "top 5"


def test_no_validation_no_gap(make_run):
    def change(record):
        record.values = {"train/r2": 0.5}

    figure = metric_curve(make_run(epochs=2, change=change).history, "r2")
    assert gids(figure) == ["training"]
    assert legend(figure) == ["training"]
    assert not figure.axes[0].collections


def test_a_misspelt_metric_is_refused(make_run):
    with pytest.raises(ValueError, match=r"name must be a metric.*'val/accuracy'.*got 'acuracy'"):
        metric_curve(make_run(epochs=2).history, "acuracy")


def test_one_epoch_is_visible(make_run):
    root = ET.fromstring(svg(metric_curve(make_run(epochs=1).history, "accuracy")))
    for name in ("training", "validation"):
        assert len(list(group(root, name).iter(f"{SVG}use"))) == 1


def test_without_an_epoch_or_a_value_the_figure_says_so(make_run):
    empty = make_run(epochs=0).history
    assert texts(loss_curve(empty)) == ["no epoch was completed"]
    assert texts(metric_curve(empty, "accuracy")) == ["no epoch was completed"]

    nan = make_run(epochs=2, change=with_loss([[np.nan], [np.inf]])).history
    assert texts(loss_curve(nan)) == ["no value is finite"]
    assert note(loss_curve(nan)).startswith("4 values are")

    no_loss = make_run(epochs=2, change=lambda r: (r.values.clear(), r.steps.clear())).history
    assert texts(loss_curve(no_loss)) == ["no loss was recorded"]
    assert texts(loss_curve(make_run(epochs=2).history)) == []


def test_the_curves_are_in_the_svg(make_run):
    root = ET.fromstring(svg(loss_curve(make_run(epochs=30, steps=17).history)))
    assert root.tag == f"{SVG}svg"
    assert len(list(group(root, "steps").iter(f"{SVG}use"))) == 30 * 17
    for name in ("training", "validation"):
        path = next(p for p in group(root, name).iter(f"{SVG}path") if not p.get("id"))
        assert len(re.findall("[ML]", path.get("d"))) == 30
    words = {"".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")}
    assert {"epoch", "loss", "each step", "training", "validation"} <= words


def test_svg_stands_alone_inside_a_page(make_run):
    history = make_run(epochs=3).history
    pictures = [svg(loss_curve(history)), svg(metric_curve(history, "accuracy"))]
    pictures.append(svg(metric_curve(history, "loss")))
    ids = []
    for picture in pictures:
        assert picture.startswith("<svg ")
        root = ET.fromstring(picture)
        assert not list(root.iter(f"{SVG}style"))
        own = [element.get("id") for element in root.iter() if element.get("id")]
        named = {element.get(HREF) for element in root.iter() if element.get(HREF)}
        named |= set(re.findall(r"url\((.*?)\)", picture))
        assert named
        assert named <= {f"#{name}" for name in own}
        assert "#1d2733" not in picture
        ids += own
    assert len(ids) == len(set(ids))


def test_the_same_history_gives_the_same_bytes(make_run):
    first, second = make_run(epochs=3), make_run(epochs=3)
    assert svg(loss_curve(first.history)) == svg(loss_curve(second.history))
    assert svg(loss_curve(first.history)) != svg(loss_curve(make_run(epochs=4).history))


def test_the_callers_settings_neither_change_nor_matter(make_run):
    history = make_run(epochs=3).history
    expected = svg(loss_curve(history))
    with matplotlib.rc_context({"axes.grid": False, "font.size": 30, "text.usetex": True}):
        before = dict(matplotlib.rcParams)
        assert svg(loss_curve(history)) == expected
        assert dict(matplotlib.rcParams) == before


def test_a_metrics_name_is_no_formula_and_no_markup(make_run):
    name = "cost $x$ <script> #1d2733"

    def change(record):
        record.values = {f"train/{name}": 0.5}

    picture = svg(metric_curve(make_run(epochs=2, change=change).history, name))
    words = ["".join(text.itertext()).strip() for text in ET.fromstring(picture).iter(f"{SVG}text")]
    assert name in words
    assert "<script" not in picture


def test_nothing_heavy_is_imported_before_it_is_used():
    program = """
import sys
import jaxnn.arguments
before = set(sys.modules)
from types import SimpleNamespace
import jaxnn.report
heavy = {name.partition(".")[0] for name in set(sys.modules) - before}
assert not heavy & {"matplotlib", "jinja2", "rich"}, heavy
jaxnn.report.svg(jaxnn.report.loss_curve(SimpleNamespace(epochs=[])))
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_matplotlib_is_said(make_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "jaxnn\[report\]"') as caught:
        loss_curve(make_run(epochs=1).history)
    assert isinstance(caught.value.__cause__, ImportError)
