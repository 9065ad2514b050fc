"""Every notebook runs from top to bottom, and says what its paired script says."""

from __future__ import annotations

import os
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def source(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_there_is_a_quickstart():
    assert "quickstart" in [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pair(path):
    notebook, script = nbformat.read(path, as_version=4), path.with_suffix(".py")
    assert source(notebook) == source(jupytext.read(script)), (
        f"jupytext --to ipynb {script} brings the two together again"
    )
    assert all(not cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    badge = f"https://colab.research.google.com/github/jaxnn/jaxnn/blob/main/notebooks/{path.name}"
    assert f"({badge})" in notebook.cells[0].source


# Of each notebook, what it shows: pictures, and texts.
SHOWN = {
    "quickstart": (2, ["cpu:0 (cpu)", "epoch 50/50", "all 50 epochs done", "test accuracy"]),
    "raw_inputs": (0, ["best val/f1", "evaluated 17 times", "test accuracy 0.9"]),
    "populations": (1, ["on 1 device(s)", "instead of 96", "behind epoch 4", "8 devices, cohorts"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")  # the kernel's own, which is another process
def test_it_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS", "default"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    text = "".join(output.get("text", "") for output in outputs)
    count, texts = SHOWN[path.stem]
    assert len(pictures) == count
    for expected in texts:
        assert expected in text
