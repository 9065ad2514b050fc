"""The README's commands and programs are what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)


def test_it_opens_with_the_two_commands():
    first, second = blocks("sh")[0].splitlines()
    assert first == 'pip install -e ".[experiments]" && python -m experiments.digits'
    assert second == 'pip install -e ".[test]" && pytest'
    assert README.read_text().index("```sh") < 30


@pytest.mark.slow
def test_its_programs_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    programs = blocks("python")
    assert len(programs) >= 5
    names = {}
    for program in programs:
        exec(compile(program, "README.md", "exec"), names)
    assert "accuracy" in capsys.readouterr().out
    assert names["run"].history.epochs
    assert names["states"].params["Dense_0"]["kernel"].shape == (8, 64, 100)
