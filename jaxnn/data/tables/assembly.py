"""Split the columns of a table, encode them as fitted on the training part, and scale them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxnn.arguments import check_choice, check_flag
from jaxnn.data.datasets import Data, from_parts
from jaxnn.data.inputs.columns import Columns, rows_of
from jaxnn.data.preprocess.methods import Chain
from jaxnn.data.preprocess.tables import FILLS, UNKNOWN, encode, fit_encoding
from jaxnn.data.split import split_indices

__all__ = ["check_choices", "from_columns"]

_MISSING = (*FILLS, "drop")


def check_choices(categorical: Any, missing: Any, unknown: Any) -> None:
    check_choice("missing", missing, _MISSING)
    check_choice("unknown", unknown, UNKNOWN)
    if isinstance(categorical, str):
        check_choice("categorical", categorical, ("text",))


def from_columns(
    columns: Columns,
    y: np.ndarray | None,
    encoding: dict[str, Any],
    scaling: dict[str, Any],
    *,
    key: Any,
    fractions: Sequence[float],
    stratify: bool,
) -> Data:
    """Split columns, encode them as fitted on the training part, and scale what comes out."""
    if not 1 <= len(fractions) <= 3:
        raise ValueError(f"fractions must be of train, val and test, at most 3, got {fractions}")
    if check_flag("stratify", stratify) and y is None:
        raise ValueError("stratify=True needs a target, the labels to stratify by, got None")
    fit_encoding(columns, **encoding)  # an error names the row of the table, not of a part
    n = len(next(iter(columns.values())))
    rows = split_indices(n, key=key, fractions=fractions, labels=y if stratify else None)
    state = fit_encoding(rows_of(columns, rows[0]), **encoding)
    parts = []
    for chosen in rows:
        part = {"x": encode(state, rows_of(columns, chosen))}
        parts.append(part if y is None else {**part, "y": y[chosen]})
    data = from_parts(*parts, **scaling)
    after = () if data.preprocess is None else (data.preprocess,)
    whole = Chain((state, *after)) if after else state
    return replace(data, preprocess=whole, columns=state.outputs)
