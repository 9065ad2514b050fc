"""The table of layers, models and their functions: a row gets the whole contract suite."""

from __future__ import annotations

import pytest
from rows_of_image_layers import IMAGE_LAYERS
from rows_of_layers import LAYERS
from rows_of_models import MODELS

TABLE = [*LAYERS, *IMAGE_LAYERS, *MODELS]
ONE_EACH = list({row.covers: row for row in reversed(TABLE)}.values())[::-1]  # the first rows
EVERY_ROW = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
EVERY_ROW_THAT_DRAWS = pytest.mark.parametrize(
    "row", [row for row in TABLE if row.draws], ids=lambda row: row.name
)
EVERY_KNOB = pytest.mark.parametrize(
    ("row", "knob"),
    [pytest.param(row, knob, id=f"{row.name}-{knob}") for row in TABLE for knob in row.knobs],
)
