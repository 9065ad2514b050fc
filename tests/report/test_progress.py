"""The progress bar, and the lines it becomes where there is no terminal."""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest
from rich.console import Console

from jaxnn.report import Progress
from jaxnn.report.progress import bar, notebook


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


def shown(text):
    """All that stood on the terminal, without control codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue()).replace("\r", "\n")


def frames(text):
    """What stood on the terminal after each repaint with an epoch that was done."""
    parts = re.split(r"^(?=epoch |compiling|all |interrupted|ended)", shown(text), flags=re.M)
    return [frame for frame in parts if frame.startswith("epoch ")]


def show(progress, run):
    records, run.history.epochs = run.history.epochs, []
    progress.on_start(run)
    for record in records:
        run.history.epochs.append(record)
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
    numbers = "loss 0.4321  accuracy 0.912  val loss 0.3987  val accuracy 0.925"
    speed = "21034 examples/s"
    assert len(lines) == 12
    assert lines[0] == "compiling, epoch 1/10"
    assert lines[1] == f"epoch  1/10  {numbers}"  # what compiles has no speed
    assert lines[3] == f"epoch  3/10  {numbers}  {speed}  0:00:14 left"
    assert lines[10] == f"epoch 10/10  {numbers}  {speed}  0:00:00 left"
    assert lines[11] == "all 10 epochs done: weights of the last"


def test_only_what_was_recorded_is_shown(make_run):
    def change(record):
        record.values = {"train/loss": float("nan"), "train/penalty": 0.1, "train/r[red]": 0.5}

    text, console = plain()
    show(Progress(console), make_run(epochs=1, change=change))
    assert text.getvalue().splitlines()[1] == "epoch 1/1  loss nan  r[red] 0.500"


def test_the_epoch_that_compiles_is_no_estimate(make_run):
    def change(record):
        record.values = {"seconds": 100.0 if record.epoch == 1 else 2.0}

    text, console = plain()
    show(Progress(console), make_run(epochs=2, total=12, change=change))
    assert text.getvalue().splitlines()[1:3] == ["epoch  1/12", "epoch  2/12  0:00:20 left"]


def test_time_left_after_a_resume_counts_this_run_only(make_run):
    def change(record):
        record.values = {"seconds": 50.0 if record.epoch <= 6 else 2.0}

    text, console = plain()
    progress = Progress(console)
    show(progress, make_run(epochs=2, total=9, change=change))
    run, later = resumed(make_run(epochs=7, total=10, change=change), 5)
    progress.on_start(run)
    for record in later:
        progress.on_epoch(record)
    lines = text.getvalue().splitlines()
    assert lines[-3:] == ["compiling, epoch 6/10", "epoch  6/10", "epoch  7/10  0:00:06 left"]


def test_a_resumed_run_with_nothing_left_to_do_does_not_compile(make_run):
    text, console = plain()
    run = make_run(epochs=3)
    progress = Progress(console)
    progress.on_start(run)
    progress.on_end(run)
    assert text.getvalue() == "all 3 epochs done: weights of the last\n"


def test_seconds_that_are_not_finite_are_no_estimate(make_run):
    def change(record):
        record.values = {"seconds": float("nan") if record.epoch == 2 else 3.0}

    text, console = plain()
    show(Progress(console), make_run(epochs=3, total=4, change=change))
    assert text.getvalue().splitlines()[2:4] == ["epoch 2/4", "epoch 3/4  0:00:03 left"]


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
    started = shown(text).strip()
    for record in later:
        progress.on_epoch(record)
    progress.on_end(run)
    finished = frames(text)[-1]
    assert started.startswith("compiling, epoch 16/30")
    assert finished.startswith("epoch 30/30")
    full = finished.count("━")
    assert full > 30
    # The bar is wider while there is nothing yet to be shown beside it.
    assert started.count("━") == pytest.approx((80 - len("compiling, epoch 16/30    ")) / 2, abs=2)
    halfway = frames(text)[-9]
    assert halfway.startswith("epoch 23/30")
    assert halfway.count("━") == pytest.approx(full * 23 / 30, abs=1)


def test_an_interrupted_run_gives_the_terminal_back(make_run):
    text, console = terminal()
    run, (record,) = resumed(make_run(epochs=1, total=30), 0)
    stdout, progress = sys.stdout, Progress(console)
    progress.on_start(run)
    run.history.epochs.append(record)
    progress.on_epoch(record)
    assert text.getvalue().rfind("\x1b[?25l") > text.getvalue().rfind("\x1b[?25h")
    progress.on_end(run)
    assert text.getvalue().rfind("\x1b[?25h") > text.getvalue().rfind("\x1b[?25l")
    assert sys.stdout is stdout
    assert frames(text)[-1].startswith("epoch 1/30")
    assert shown(text).splitlines()[-1] == "ended after epoch 1 of 30"


def test_a_second_run_starts_anew(make_run):
    text, console = terminal()
    progress = Progress(console)
    show(progress, make_run(epochs=3))
    text.truncate(0)
    run = make_run(epochs=0, total=7)
    show(progress, run)
    assert "compiling, epoch 1/7" in shown(text)
    assert "left" not in text.getvalue()


def test_a_dumb_terminal_gets_plain_lines(make_run):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, _environ={"TERM": "dumb"})
    show(Progress(console), make_run(epochs=2))
    starts = [line[:9] for line in text.getvalue().splitlines()]
    assert starts == ["compiling", "epoch 1/2", "epoch 2/2", "all 2 epo"]
    assert "\x1b" not in text.getvalue()


def test_a_notebook_s_line_is_written_anew(make_run, monkeypatch):
    text, clock = io.StringIO(), SimpleNamespace(now=0.0)

    def monotonic():
        clock.now += 1
        return clock.now

    monkeypatch.setattr(bar, "in_notebook", lambda: True)
    monkeypatch.setattr(notebook.time, "monotonic", monotonic)
    with redirect_stdout(text):
        show(Progress(), make_run(epochs=3))
    line, end, rest = text.getvalue().split("\n")
    assert (end, rest) == ("all 3 epochs done: weights of the last", "")
    parts = line.split("\r")
    assert parts[:2] == ["", "compiling, epoch 1/3"]
    assert [part[:9] for part in parts[2:]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3", "epoch 3/3"]
    widths = [len(part) for part in parts[1:]]
    assert widths == sorted(widths)  # nothing of a longer line is left behind


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("live", [True, False])
def test_any_encoding_can_show_any_name(make_run, encoding, live):
    def change(record):
        record.values = {"train/loss": 0.5, "train/κ": 0.25}

    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    environment = {"TERM": "xterm", "COLUMNS": "80"}
    show(Progress(Console(file=stream, force_terminal=live, _environ=environment)), make_run(2))
    show(
        Progress(Console(file=stream, force_terminal=live, _environ=environment)),
        make_run(2, change=change),
    )
    stream.flush()
    name = "κ" if encoding == "utf-8" else "kappa"
    assert f"loss 0.5000  {name} 0.250" in stream.buffer.getvalue().decode(encoding)


class Gone(io.StringIO):
    """A stream whose reader goes away after so many writes."""

    def __init__(self, error, after):
        super().__init__()
        self.error, self.left = error, after

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left on device")])
def test_an_output_that_has_gone_ends_no_run(make_run, error, live, after):
    stdout, stream = sys.stdout, Gone(error, after)
    environment = {"TERM": "xterm", "COLUMNS": "80"}
    console = Console(file=stream, force_terminal=live, _environ=environment)
    show(Progress(console), make_run(5))
    assert stream.left == -1  # it is left alone
    assert console.file is stream
    assert sys.stdout is stdout


def test_a_closed_output_ends_no_run(make_run):
    stream = Gone(None, 9)
    stream.close()
    console = Console(file=stream, force_terminal=False)
    show(Progress(console), make_run(5))
    assert stream.left >= 8  # it is left alone
    assert console.file is stream


def test_what_is_wrong_with_the_display_itself_is_raised(make_run):
    with pytest.raises(ValueError, match="of the display"):
        show(Progress(Console(file=Gone(ValueError("of the display"), 0))), make_run(2))
