"""Split the columns of a table, encode them as fitted on the training part, and scale them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxnn.arguments import check_choice, check_flag
from jaxnn.data.datasets import Data, from_parts
from jaxnn.data.inputs.columns import Columns, rows_of
from jaxnn.data.preprocess.methods import Chain, Method
from jaxnn.data.preprocess.tables import FILLS, UNKNOWN, encode, fit_encoding
from jaxnn.data.split import check_fractions, split_indices

__all__ = ["check_choices", "from_columns"]

_MISSING = (*FILLS, "drop")


def check_choices(missing: Any, unknown: Any) -> None:
    check_choice("missing", missing, _MISSING)
    check_choice("unknown", unknown, UNKNOWN)


def from_columns(
    columns: Columns,
    y: np.ndarray | None,
    *,
    categorical: Sequence[str] | str,
    missing: str,
    unknown: str,
    key: Any,
    fractions: Sequence[float],
    stratify: bool,
    preprocess: Method | None,
    preprocess_y: Method | None,
) -> Data:
    """Split columns, encode them as fitted on the training part, and scale what comes out."""
    check_fractions(fractions, most=3)
    if check_flag("stratify", stratify) and y is None:
        raise ValueError("stratify=True needs a target, the labels to stratify by, got None")
    encoding: dict[str, Any] = {
        "categorical": categorical,
        "missing": "refuse" if missing == "drop" else missing,  # dropped by now
        "unknown": unknown,
    }
    fit_encoding(columns, **encoding)  # an error names the row of the table, not of a part
    n = len(next(iter(columns.values())))
    rows = split_indices(n, key=key, fractions=fractions, labels=y if stratify else None)
    state = fit_encoding(rows_of(columns, rows[0]), **encoding)
    parts = []
    for chosen in rows:
        part = {"x": encode(state, rows_of(columns, chosen))}
        parts.append(part if y is None else {**part, "y": y[chosen]})
    data = from_parts(*parts, preprocess=preprocess, preprocess_y=preprocess_y)
    after = () if data.preprocess is None else (data.preprocess,)
    whole = Chain((state, *after)) if after else state
    return replace(data, preprocess=whole, columns=state.outputs)
