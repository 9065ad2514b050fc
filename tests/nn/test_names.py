"""Every public name of `jaxnn.nn` is in the table of its kind, or has a test file of its own."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import activation_table
import initializer_table
import layer_table
import pytest

from jaxnn import nn

FOLDER = Path(__file__).parent

TABLES = {
    "layers": {name for row in layer_table.TABLE for name in row.covers},
    "activations": {*activation_table.ELEMENTWISE, *activation_table.OF_SEVERAL} - {"linear"},
    "initializers": {row.covers for row in initializer_table.TABLE}
    | {*initializer_table.CONSTANTS},
}
# Neither a layer nor a function of one array nor an initializer: the file that tests it.
OTHERS = {
    "ACTIVATIONS": "activations/test_activations.py",
    "Functional": "adapters/test_functional.py",
    "Initializer": "tables/initializer_table.py",
    "Layer": "test_layer_summary.py",
    "LoadReport": "adapters/test_pretrained.py",
    "Model": "adapters/test_functional.py",
    "Summary": "test_layer_summary.py",
    "Tap": "test_taps.py",
    "activation": "activations/test_activations.py",
    "as_functional": "adapters/test_functional.py",
    "from_nnx": "adapters/test_functional.py",
    "layer_sequential_unit_variance": "initializers/test_lsuv.py",
    "load_pretrained": "adapters/test_pretrained.py",
    "summary": "test_layer_summary.py",
    "takes_weight": "adapters/test_functional.py",
    "tap": "test_taps.py",
}


def test_every_name_stands_in_one_table():
    named = [*OTHERS, *(name for table in TABLES.values() for name in table)]
    assert sorted(named) == sorted(nn.__all__)


@pytest.mark.parametrize("name", OTHERS)
def test_the_file_of_another_name_speaks_of_it(name):
    assert name in (FOLDER / OTHERS[name]).read_text(encoding="utf-8")


def test_the_package_exports_all_that_it_imports():
    public = {
        name
        for name, value in vars(nn).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(nn.__all__)
