"""The table of layers, models and their functions: a row gets the whole contract suite."""

from __future__ import annotations

import pytest
from rows_of_convolutions import CONVOLUTIONS
from rows_of_layers import LAYERS
from rows_of_models import MODELS
from rows_of_pooling import POOLING

TABLE = [*LAYERS, *CONVOLUTIONS, *POOLING, *MODELS]
ONE_EACH = list({row.covers: row for row in reversed(TABLE)}.values())[::-1]  # the first rows
EVERY_ROW = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
EVERY_ROW_THAT_DRAWS = pytest.mark.parametrize(
    "row", [row for row in TABLE if row.draws], ids=lambda row: row.name
)
EVERY_KNOB = pytest.mark.parametrize(
    ("row", "knob"),
    [pytest.param(row, knob, id=f"{row.name}-{knob}") for row in TABLE for knob in row.knobs],
)
