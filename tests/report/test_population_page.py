"""The page of a population: it stands alone, shows every member, and runs its own script only."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess

import html5lib
import numpy as np
import pytest
from crowd import trained
from rich.console import Console

from jaxnn.data import Data
from jaxnn.population import successive_halving
from jaxnn.report import Page, PopulationPage, Progress, render, write_population_page
from jaxnn.report.population import page as population_page
from jaxnn.report.population.columns import columns_of
from jaxnn.report.population.endings import fates_so_far
from jaxnn.report.population.page import render_population
from jaxnn.report.population.scales import Scale, fitting_scale
from jaxnn.report.population.source import source_of
from jaxnn.report.population.telling import most_telling
from jaxnn.train import History

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def tiny():
    """70 examples of 5 features in 3 classes, 30 to validate on."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(100, 5)).astype(np.float32)
    y = (x @ draw.normal(size=(5, 3))).argmax(-1).astype(np.int32)
    return Data(train={"x": x[:70], "y": y[:70]}, val={"x": x[70:], "y": y[70:]})


def parsed(html):
    """The tree of the page, which is without any error of syntax."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def data_of(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


def members_of(html):
    [table] = [each for each in parsed(html).iter("table") if each.get("id") == "members"]
    rows = [[text_of(cell) for cell in row] for row in table.iter("tr")]
    return rows[0], rows[1:]


@pytest.mark.parametrize(
    "settings",
    [
        {"members": 12, "epochs": 6, "rungs": (2,)},
        {"members": 2, "epochs": 0, "total": 5},
        {"members": 1, "epochs": 1},
        {"members": 3, "epochs": 2, "knobs": {"lr": np.full(3, 0.1)}, "names": ["own"]},
    ],
)
def test_a_page_is_valid_and_runs_only_its_own_script(make_population, settings):
    html = render(make_population(**settings))
    tree = parsed(html)
    styles, scripts = list(tree.iter("style")), list(tree.iter("script"))
    assert [script.get("type") for script in scripts] == ["application/json", None]
    digests = [
        base64.b64encode(hashlib.sha256(each.text.encode()).digest()).decode()
        for each in (*styles, scripts[1])
    ]
    [policy] = [meta for meta in tree.iter("meta") if meta.get("http-equiv")]
    assert policy.get("http-equiv") == "Content-Security-Policy"
    assert policy.get("content") == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    allowed = {"id", "class", "type", "value", "selected", "content", "name", "charset", "lang"}
    allowed |= {"role", "scope", "tabindex", "min", "max", "step", "placeholder", "http-equiv"}
    for element in tree.iter():
        if isinstance(element.tag, str):
            assert element.tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
            for name in element.attrib:
                assert name in allowed or name.startswith(("aria-", "data-")), name
    assert "@import" not in html and "url(" not in html
    assert "innerHTML" not in html


def test_names_are_escaped(make_population):
    knobs = {EVIL: np.logspace(-3, 0, 6), "</script>": np.arange(6.0), "lr": np.full(6, 0.01)}
    population = make_population(
        members=6, epochs=3, knobs=knobs, names=[f"val/{EVIL}", "val/loss"]
    )
    population.config["directions"] = {f"val/{EVIL}": "max", "val/loss": "min"}
    population.fates[0] = f"diverged at step 1: NaN or Inf in {EVIL}"
    html = render(population)
    tree = parsed(html)
    assert len(list(tree.iter("script"))) == 2
    assert EVIL not in html
    # label() writes the slash of a name as a space.
    assert f"best validation {EVIL.replace('/', ' ')}" in text_of(tree)
    assert [column["label"] for column in data_of(html)["columns"][:2]] == ["</script>", EVIL]


def test_a_thousand_members_fit(make_population):
    members, draw = 1000, np.random.default_rng(1)
    knobs = {f"layer_{n}/strength": 10 ** draw.uniform(-6, 0, members) for n in range(12)}
    knobs["lr"] = 10 ** draw.uniform(-4, 0, members)
    names = [f"{split}/{metric}" for split in ("train", "val") for metric in "abcdefgh"]
    html = render(make_population(members, 60, knobs, rungs=(5, 20), names=names))
    assert len(html.encode()) < 3e6
    assert len(members_of(html)[1]) == members
    data = data_of(html)
    for curve in data["curves"]:
        points = len(base64.b64decode(curve["points"])) / 2
        assert points == members * len(data["epochs"]) >= members * 30
    assert data["epochs"][0] == 1 and data["epochs"][-1] == 60


def test_of_very_many_members_some_are_drawn(make_population, monkeypatch):
    monkeypatch.setattr(population_page, "_MOST_MEMBERS", 20)
    html = render(make_population(members=50, epochs=2))
    assert "20 of 50 members, evenly spread" in text_of(parsed(html))
    rows = members_of(html)[1]
    assert sorted(int(row[0]) for row in rows) == data_of(html)["members"]
    monkeypatch.undo()
    every = members_of(render(make_population(members=50, epochs=2)))[1]
    assert (len(rows), len(every)) == (20, 50)
    assert (rows[0], rows[-1]) == (every[0], every[-1])  # the best and the worst


def test_the_table_begins_with_the_best(make_population):
    population = make_population(members=12, epochs=5, rungs=(3,))
    head, rows = members_of(render(population))
    scores = np.nanmax(np.nan_to_num(population.history.series("val/accuracy"), nan=-1), axis=0)
    assert [int(row[0]) for row in rows] == np.argsort(-scores, kind="stable").tolist()
    assert head[:4] == ["member", "dropout", "l2", "lr"]  # and not b1, which all share
    assert head[4] == "best validation accuracy" and head[-2:] == ["epochs trained", "ended"]
    assert [row[-1] for row in rows] == [population.fates[int(row[0])] for row in rows]
    head, rows = members_of(render_population(population, by="val/loss"))
    assert head[4] == "best validation loss"
    values = [float(row[4]) for row in rows if row[4]]
    assert values == sorted(values)


def test_curves_are_where_they_were_measured(make_population):
    population = make_population(members=9, epochs=7, rungs=(4,))
    data = data_of(render(population))
    curve = data["curves"][0]
    assert curve["label"] == "validation accuracy"
    codes = np.frombuffer(base64.b64decode(curve["points"]), "<u2").reshape(9, 7).astype(float)
    scale = curve["scale"]
    found = scale["low"] + (codes - 1) / 65534 * (scale["high"] - scale["low"])
    found[codes == 0] = np.nan
    np.testing.assert_allclose(found, population.history.series("val/accuracy").T, atol=2e-5)


def test_who_ended_where(make_population):
    html = render(make_population(members=8, epochs=6, rungs=(3,)))
    [table] = list(parsed(html).iter("table"))[:1]
    rows = [[text_of(cell) for cell in row] for row in table.iter("tr")]
    assert rows[0] == ["epoch", "taken out", "stopped early", "diverged", "members"]
    assert rows[1] == ["1", "", "", "1", "1"]
    assert rows[2] == ["2", "", "1", "", "2"]
    assert rows[3][:4] == ["3", "2", "", ""]


def test_while_it_trains_the_record_tells_who_ended(make_population):
    population = make_population(members=8, epochs=6, rungs=(3,))
    told = population.fates
    known = fates_so_far(History(list(population.history.epochs)), 8)
    assert [fate.partition(" at step")[0].partition(" in ")[0] for fate in known] == [
        fate.partition(" at step")[0] for fate in told
    ]
    population.fates = []
    html = render(population)
    assert "diverged in epoch 1" in html and "taken out after epoch 3" in html


def test_the_knobs_are_those_of_the_end(make_population):
    event = {"epoch": 2, "parents": {"3": 0}, "knobs": {"lr": {"3": 0.125}}}
    html = render(make_population(members=5, epochs=4, lineage=[event]))
    assert "3 copied 0" in text_of(parsed(html))
    assert next(row for row in members_of(html)[1] if row[0] == "3")[3] == "0.125"


@pytest.mark.parametrize(
    ("values", "settings", "kind"),
    [
        ([1e-4, 1e-1], {"knob": True}, "log"),
        ([0.0, 1e-4, 1e-1], {"knob": True}, "log0"),
        ([-1.0, 1e-4, 1e-1], {"knob": True}, "linear"),
        (np.random.default_rng(0).uniform(0, 0.5, 500), {"knob": True}, "linear"),
        (10 ** np.random.default_rng(0).uniform(-4, 0, 500), {"knob": True}, "log"),
        ([0.01, 1.0], {"may_be_log": False}, "linear"),
        ([np.nan, np.inf], {}, "linear"),
    ],
)
def test_a_scale_fits_its_values(values, settings, kind):
    assert fitting_scale(np.array(values), **settings).kind == kind


def test_an_outlier_does_not_squeeze_an_outcome():
    values = np.append(np.linspace(0.1, 0.9, 200), 1e30)
    scale = fitting_scale(values)
    assert scale.cropped and scale.high < 2
    assert fitting_scale(values, knob=True) == Scale("log", 0.1, 1e30)


def test_the_colour_at_first_is_the_knob_that_tells_most(make_population):
    source = source_of(make_population(members=100, epochs=5))
    columns = columns_of(source, "val/accuracy")
    assert most_telling(columns, columns.columns[3]).name == "lr"


def test_what_is_refused(make_population, make_run, tmp_path):
    population = make_population(members=4, epochs=2)
    with pytest.raises(ValueError, match=r"by must be a value of the record.*got 'acuracy'"):
        PopulationPage(by="acuracy").on_start(population)
    with pytest.raises(ValueError, match=r"colour must be .*'lr'\], got 'b1'"):
        PopulationPage(colour="b1").on_start(population)
    with pytest.raises(ValueError, match="pass folder="):
        PopulationPage().on_start(population)
    with pytest.raises(ValueError, match="path must be given"):
        write_population_page(population)
    with pytest.raises(ValueError, match="got a single run"):
        PopulationPage().on_start(make_run(folder=tmp_path))
    with pytest.raises(ValueError, match="population must be the folder of a run"):
        write_population_page(tmp_path)
    with pytest.raises(TypeError, match="population must be a Population or the folder of one"):
        write_population_page(3)


def test_a_population_that_trains(tiny, tmp_path):
    text, page = io.StringIO(), PopulationPage(by="val/loss")
    population = trained(
        range(6),
        tiny,
        shrink=successive_halving(2, first=2),
        folder=tmp_path / "crowd",
        observers=[page, Progress(Console(file=text, force_terminal=False))],
    )
    written = page.path.read_text("utf-8")
    assert written == render_population(population, by="val/loss")
    # All that the page tells lies in the folder.
    again = write_population_page(population.folder, tmp_path / "again.html", by="val/loss")
    assert again.read_text("utf-8") == written
    page = Page()
    page.on_start(population)
    page.on_end(population)
    assert page.path.read_text("utf-8") == render(population)
    lines = text.getvalue().splitlines()
    assert lines[1].startswith("epoch 1/6  5/6 alive  best val accuracy ")
    assert lines[-1].startswith("all 6 epochs done: 1 trained to epoch 6, 3 taken out")
    assert len(lines) == 8


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a browser")
def test_a_browser_draws_it(make_population, tmp_path):
    path = write_population_page(
        make_population(members=40, epochs=6, rungs=(3,)), tmp_path / "p.html"
    )
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=3000", "--enable-logging=stderr", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in shown.stderr
    tree = html5lib.parse(shown.stdout, namespaceHTMLElements=False)
    pictures = [each for each in tree.iter() if str(each.tag).endswith("svg")]
    assert len(pictures) == 6  # curves, three knobs, parallel coordinates, endings
    assert all(len(picture.get("aria-label")) > 30 for picture in pictures)
    curves = [each for each in pictures[0].iter() if each.get("class", "").startswith("line ")]
    assert {int(each.get("data-row")) for each in curves} == set(range(40)) - {1}
