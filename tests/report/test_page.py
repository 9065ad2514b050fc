"""The page: it stands alone, tells every setting, and is never seen half written."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jaxnn.report import Page, render, writer

VOID = {"meta", "link", "br", "img", "hr", "input", "base"}


class Reader(HTMLParser):
    """Tags with their attributes, the text of each card, and whether all tags are closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words, self.rows = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        text = " ".join(data.split())
        if text and self.open[-1:] != ["style"]:
            self.words.append(text)
            if "table" in self.open:
                self.rows[-1].append(text)


def cards(html):
    """The headline cards as lines of words."""
    found = re.findall(r'<div class="card">\n<p class="name">.*?</div>', html, re.DOTALL)
    return [" ".join(Reader(card).words) for card in found]


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(writer, "time", clock)
    return clock


def test_the_page_loads_nothing_and_runs_nothing(make_run):
    html = render(make_run(epochs=30, steps=17))
    tags = Reader(html).tags
    names = {tag for tag, _ in tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "image"}
    for _, attributes in tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                assert value.startswith("#")
    targets = re.findall(r"url\((.*?)\)", html)
    assert targets
    assert all(target.startswith("#") for target in targets)
    assert "@import" not in html
    # What is left of addresses are the names of XML's namespaces.
    assert set(re.findall(r"https?://[^\"]*", html)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_the_pictures_are_well_formed_and_share_no_id(make_run):
    html = render(make_run(epochs=5))
    pictures = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    assert [ET.fromstring(picture).get("aria-label") for picture in pictures] == [
        "loss by step and epoch",
        "accuracy by epoch",
    ]
    ids = [attributes["id"] for _, attributes in Reader(html).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_what_comes_from_the_user_is_escaped(make_run):
    evil = "<script>alert('x')</script>"

    def change(record):
        record.values = {f"train/{evil}": 0.5, f"own/{evil}": 1.0}

    config = {
        "recipe": {evil: {"a": evil, "b": 1}, "many\nlines": f"{evil}\n{evil}"},
        "knobs": {evil: 1.0},
        "settings": evil,
        "devices": [evil],
        "note": [{"nested": evil}],
    }
    run = make_run(epochs=2, config=config, folder=Path("/tmp") / "a <b>", change=change)
    html = render(run)
    reader = Reader(html)
    assert "<script" not in html
    assert reader.words.count(evil) >= 6
    assert reader.words[0] == "a <b>"


def test_the_same_run_gives_the_same_page(make_run):
    assert render(make_run(epochs=4)) == render(make_run(epochs=4))


def test_light_and_dark(make_run):
    html = render(make_run(epochs=1))
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html
    assert "currentColor" in html
    assert "var(--train, #0072b2)" in html


def test_headlines_tell_the_best_and_the_last(make_run):
    losses, accuracies = [0.9, 0.3, 0.3, 0.5], [0.5, 0.75, 0.875, 0.625]

    def change(record):
        record.values = {
            "train/loss": 1 / record.epoch,
            "val/loss": losses[record.epoch - 1],
            "val/accuracy": accuracies[record.epoch - 1],
        }

    html = render(make_run(epochs=4, total=9, change=change))
    assert cards(html) == [
        "validation loss 0.3000 lowest, epoch 2; last 0.5000, epoch 4 "
        "training : lowest 0.2500, epoch 4; last 0.2500, epoch 4",
        "validation accuracy 0.8750 highest, epoch 3; last 0.6250, epoch 4",
    ]
    assert Reader(html).words[2] == "4 of 9 epochs · 1,078 training examples · batches of 64"


def test_headlines_of_a_run_that_diverged(make_run):
    def change(record):
        record.values = {"train/loss": 0.5 if record.epoch == 1 else float("nan")}
        record.values["train/r2"] = float("-inf")

    config = {"directions": {"train/loss": "min", "train/r2": "max"}}
    assert cards(render(make_run(epochs=2, change=change, config=config))) == [
        "training loss 0.5000 lowest, epoch 1; last nan, epoch 2",
        "training r2 — never finite; last -inf, epoch 2",
    ]


def test_only_a_direction_says_what_is_best(make_run):
    def change(record):
        calibration = 0.3 - 0.1 * record.epoch  # the lower the better, and nobody said it
        record.values = {"val/calibration": calibration, "train/calibration": calibration / 2}

    run = make_run(epochs=2, change=change)
    untold = "validation calibration 0.1000 last, epoch 2 training : last 0.05000, epoch 2"
    assert cards(render(run)) == [untold]
    run.config["directions"] = {"val/calibration": None}
    assert cards(render(run)) == [untold]
    del run.config["directions"]  # of an older run
    assert cards(render(run)) == [untold]
    run.config["directions"] = {"val/calibration": "min"}
    (told,) = cards(render(run))
    assert told.startswith("validation calibration 0.1000 lowest, epoch 2; last 0.1000, epoch 2 ")
    run.config["directions"] = {"val/calibration": "max"}
    (told,) = cards(render(run))
    assert told.startswith("validation calibration 0.2000 highest, epoch 1; last 0.1000, epoch 2 ")


def test_every_setting_is_told(make_run):
    config = {"settings": {"study": "coarse", "depths": (2, 3)}, "unforeseen": 12345}
    words = Reader(render(make_run(epochs=1, config=config))).words

    def told(value):
        if isinstance(value, dict):
            return all(name in words and told(item) for name, item in value.items())
        if isinstance(value, (list, tuple)):
            return ", ".join(map(str, value)) in words
        return ("none" if value is None else str(value)) in words

    run = make_run(epochs=1, config=config)
    for name, value in run.config.items():
        assert told(value), name
    assert {"unforeseen", "Training", "Recipe", "Knobs", "Versions", "Devices"} <= set(words)
    # The heading, and the card, which a run without settings of its own does not have.
    assert words.count("Settings") == 2
    assert Reader(render(make_run(epochs=1))).words.count("Settings") == 1


def test_names_that_hold_only_each_other_are_told_as_one(make_run):
    clip, adam = {"wrapped": {"clip": {"norm": 1.0}}}, {"wrapped": {"adam": {"b1": 0.9, "b2": 0.5}}}
    recipe = {"optimizer": {"chain": {"parts": [clip, adam]}}, "metrics": {}, "controllers": []}
    words = Reader(render(make_run(epochs=1, config={"recipe": recipe}))).words
    told = words[words.index("Recipe") + 1 : words.index("Training")]
    assert told == [
        *("optimizer › chain › parts", "wrapped › clip › norm", "1.0"),
        *("wrapped › adam", "b1", "0.9", "b2", "0.5"),
        *("metrics", "{}", "controllers", "[]"),
    ]


def test_table_of_epochs(make_run):
    def change(record):
        record.values = {"train/loss": 1 / record.epoch}
        if record.epoch == 2:
            record.values["val/top_1"] = 123456.0

    rows = Reader(render(make_run(epochs=3, change=change))).rows
    assert rows == [
        ["epoch", "training loss", "validation top 1"],
        ["1", "1.000"],
        ["2", "0.5000", "123456"],
        ["3", "0.3333"],
    ]


@pytest.mark.parametrize(
    ("epochs", "shown"),
    [
        (100, list(range(1, 101))),
        (101, [*range(2, 101, 2), 101]),
        (300, list(range(3, 301, 3))),
    ],
)
def test_a_long_table_is_thinned(make_run, epochs, shown):
    html = render(make_run(epochs=epochs, steps=1))
    assert [int(row[0]) for row in Reader(html).rows[1:]] == shown
    assert ("whose number is divisible by" in html) == (epochs > 100)


def test_a_run_without_epochs_has_a_page(make_run):
    html = render(make_run(epochs=0, total=7))
    words = Reader(html).words
    assert "no epoch was completed" in words
    assert words[1:3] == ["Training run", "0 of 7 epochs · 1,078 training examples · batches of 64"]
    assert "<table" not in html


def test_the_page_is_written_at_the_end_into_the_folder(make_run, tmp_path):
    observer = Page()
    for name in ("first", "second"):
        run = make_run(epochs=2, folder=tmp_path / name)
        observer.on_start(run)
        assert observer.path == tmp_path / name / "report.html"
        assert not observer.path.exists()
        observer.on_end(run)
        assert observer.path.read_text(encoding="utf-8") == render(run)
        assert [file.name for file in observer.path.parent.iterdir()] == ["report.html"]


def test_a_long_run_can_be_watched(make_run, tmp_path, clock):
    run = make_run(epochs=4, folder=tmp_path)
    records, run.history.epochs = run.history.epochs, []
    observer, shown = Page(), []
    clock.now = 1000.0
    observer.on_start(run)
    for record, now in zip(records, (29.9, 30.0, 59.9, 60.0), strict=True):
        clock.now = 1000.0 + now
        run.history.epochs.append(record)
        observer.on_epoch(record)
        written = observer.path.exists()
        shown.append(int(Reader(observer.path.read_text("utf-8")).rows[-1][0]) if written else 0)
    assert shown == [0, 2, 2, 4]
    observer.on_end(run)
    assert observer.path.read_text(encoding="utf-8") == render(run)


def test_a_page_is_replaced_as_a_whole(make_run, tmp_path, monkeypatch):
    run = make_run(epochs=2, folder=tmp_path)
    observer = Page()
    observer.on_start(run)
    observer.on_end(run)
    before = observer.path.read_text(encoding="utf-8")

    def fail(*paths):
        raise OSError("power is out")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="power is out"):
        observer.on_end(make_run(epochs=3, folder=tmp_path))
    assert observer.path.read_text(encoding="utf-8") == before


def test_a_run_without_a_folder_is_refused_before_training(make_run):
    with pytest.raises(ValueError, match="pass folder= to fit"):
        Page().on_start(make_run(epochs=0))


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_said_before_training(make_run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r'the report page needs.*"jaxnn\[report\]"'):
        Page().on_start(make_run(epochs=0, folder=tmp_path))
