"""The album: it stands alone, shows every figure in its place, and escapes words."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from jaxnn.report import write_album
from jaxnn.report.style import plain_style


def picture(label, width=5.0):
    with plain_style():
        figure = Figure(figsize=(width, 3.0), label=label)
        figure.add_subplot(title=label).plot([0, 1], [1, 0])
    return figure


def test_an_album(tmp_path):
    path = tmp_path / "new" / "album.html"
    sections = [
        ("First", "One paragraph.\n\nAnother <b>one</b>.", [picture("a"), picture("b", 9.0)]),
        ("Second", "", [picture("c")]),
    ]
    assert write_album(path, "A & B", sections) == path
    html = path.read_text("utf-8")
    pictures = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    assert [ET.fromstring(found).get("aria-label") for found in pictures] == ["a", "b", "c"]
    assert re.findall(r'<figure class="(.*?)">', html) == ["card", "card whole", "card"]
    assert re.findall(r"<h[12]>(.*?)</h[12]>", html) == ["A &amp; B", "First", "Second"]
    assert re.findall(r'<p class="prose">(.*?)</p>', html) == [
        "One paragraph.",
        "Another &lt;b&gt;one&lt;/b&gt;.",
    ]
    assert "prefers-color-scheme: dark" in html
    ids = re.findall(r' id="(.*?)"', html)
    assert len(ids) == len(set(ids))
    assert [file.name for file in path.parent.iterdir()] == ["album.html"]


def test_an_album_loads_nothing_and_runs_nothing(tmp_path):
    html = write_album(tmp_path / "a.html", "t", [("h", "w", [picture("a")])]).read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe|object|embed|base)\b", html)
    assert set(re.findall(r"https?://[^\"]*", html)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", html))


def test_the_same_figures_give_the_same_bytes(tmp_path):
    once, twice = (
        write_album(tmp_path / name, "t", [("h", "w", [picture("a")])]) for name in ("1", "2")
    )
    assert once.read_bytes() == twice.read_bytes()


@pytest.mark.parametrize("labels", [("a", "a"), ("",)])
def test_figures_without_a_label_of_their_own_are_refused(tmp_path, labels):
    figures = [picture(label) for label in labels]
    with pytest.raises(ValueError, match="every figure must have a label of its own"):
        write_album(tmp_path / "a.html", "t", [("h", "w", figures)])
    assert list(tmp_path.iterdir()) == []
