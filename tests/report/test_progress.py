"""The progress bar, and the lines it becomes where there is no terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console

from jaxnn.report import Progress


def plain():
    text = io.StringIO()
    return text, Console(file=text, force_terminal=False)


def terminal(width=80):
    # Without colours only the finished part of the bar is drawn, so its length can be read.
    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=True,
        color_system=None,
        width=width,
        legacy_windows=False,
        _environ={"TERM": "xterm"},
    )
    return text, console


def frames(text):
    """What stood on the terminal after each repaint, without control codes."""
    clean = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue()).replace("\r", "\n")
    return [frame for frame in re.split(r"(?=epoch )", clean) if frame.startswith("epoch ")]


def show(progress, run):
    progress.on_start(run)
    for record in run.history.epochs:
        progress.on_epoch(record)
    progress.on_end(run)


def resumed(run, done):
    """The same run at the moment when it goes on after `done` epochs, and what follows."""
    later = run.history.epochs[done:]
    run.history.epochs = run.history.epochs[:done]
    return run, later


def test_one_plain_line_for_each_epoch(make_run):
    def change(record):
        record.values = {
            "train/loss": 0.43214,
            "train/accuracy": 0.9124,
            "val/loss": 0.39871,
            "val/accuracy": 0.925,
            "examples_per_second": 21034.4,
            "seconds": 2.0,
        }

    text, console = plain()
    show(Progress(console), make_run(epochs=10, change=change))
    lines = text.getvalue().splitlines()
    numbers = "loss 0.4321  accuracy 0.912  val loss 0.3987  val accuracy 0.925  21034 examples/s"
    assert len(lines) == 10
    assert lines[2] == f"epoch  3/10  {numbers}  0:00:14 left"
    assert lines[9] == f"epoch 10/10  {numbers}  0:00:00 left"


def test_only_what_was_recorded_is_shown(make_run):
    def change(record):
        record.values = {"train/loss": float("nan"), "train/penalty": 0.1, "train/r[red]": 0.5}

    text, console = plain()
    show(Progress(console), make_run(epochs=1, change=change))
    assert text.getvalue() == "epoch 1/1  loss nan  r[red] 0.500\n"


def test_time_left_hardly_feels_the_compilation(make_run):
    def change(record):
        record.values = {"seconds": 100.0 if record.epoch == 1 else 2.0}

    text, console = plain()
    show(Progress(console), make_run(epochs=3, total=13, change=change))
    assert text.getvalue().splitlines()[-1] == "epoch  3/13  0:00:20 left"


def test_time_left_after_a_resume_counts_this_run_only(make_run):
    def change(record):
        record.values = {"seconds": 50.0 if record.epoch <= 5 else 2.0}

    text, console = plain()
    progress = Progress(console)
    show(progress, make_run(epochs=2, total=9, change=change))
    run, later = resumed(make_run(epochs=6, total=9, change=change), 5)
    progress.on_start(run)
    progress.on_epoch(later[0])
    progress.on_end(run)
    assert text.getvalue().splitlines()[-1] == "epoch 6/9  0:00:06 left"


def test_seconds_that_are_not_finite_are_no_estimate(make_run):
    def change(record):
        record.values = {"seconds": float("nan") if record.epoch == 1 else 3.0}

    text, console = plain()
    show(Progress(console), make_run(epochs=2, total=3, change=change))
    assert text.getvalue().splitlines() == ["epoch 1/3", "epoch 2/3  0:00:03 left"]


def test_terminal_shows_the_numbers_within_its_width(make_run):
    text, console = terminal()
    run = make_run(epochs=4)
    show(Progress(console), run)
    last = frames(text)[-1]
    values = run.history.epochs[-1].values
    assert last.startswith("epoch 4/4 ")
    assert "0:00:00 left" in last
    assert f"loss {values['train/loss']:.4f}  accuracy {values['train/accuracy']:.3f}" in last
    assert f"val accuracy {values['val/accuracy']:.3f}" in last
    assert "21034 examples/s" in last
    assert max(len(line) for frame in frames(text) for line in frame.splitlines()) <= 80


def test_bar_grows_with_the_epochs_and_starts_where_a_resumed_run_does(make_run):
    text, console = terminal()
    run, later = resumed(make_run(epochs=30), 15)
    progress = Progress(console)
    progress.on_start(run)
    started = frames(text)[-1]
    for record in later:
        progress.on_epoch(record)
    progress.on_end(run)
    finished = frames(text)[-1]
    assert started.startswith("epoch 15/30")
    assert finished.startswith("epoch 30/30")
    full = finished.count("━")
    assert full > 30
    # The bar is wider while there is nothing yet to be shown beside it.
    assert started.count("━") == pytest.approx((80 - len("epoch 15/30    ")) / 2, abs=2)
    halfway = frames(text)[-9]
    assert halfway.startswith("epoch 23/30")
    assert halfway.count("━") == pytest.approx(full * 23 / 30, abs=1)


def test_an_interrupted_run_gives_the_terminal_back(make_run):
    text, console = terminal()
    run = make_run(epochs=2, total=30)
    stdout, progress = sys.stdout, Progress(console)
    progress.on_start(run)
    progress.on_epoch(run.history.epochs[0])
    assert text.getvalue().rfind("\x1b[?25l") > text.getvalue().rfind("\x1b[?25h")
    progress.on_end(run)
    assert text.getvalue().rfind("\x1b[?25h") > text.getvalue().rfind("\x1b[?25l")
    assert sys.stdout is stdout
    assert frames(text)[-1].startswith("epoch 1/30")


def test_a_second_run_starts_anew(make_run):
    text, console = terminal()
    progress = Progress(console)
    show(progress, make_run(epochs=3))
    text.truncate(0)
    run = make_run(epochs=0, total=7)
    show(progress, run)
    assert frames(text)[0].startswith("epoch 0/7")
    assert "left" not in text.getvalue()


def test_a_dumb_terminal_gets_plain_lines(make_run):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, _environ={"TERM": "dumb"})
    show(Progress(console), make_run(epochs=2))
    starts = [line[:9] for line in text.getvalue().splitlines()]
    assert starts == ["epoch 1/2", "epoch 2/2"]
    assert "\x1b" not in text.getvalue()
