"""A history in the forms of other libraries: a pandas frame, a matplotlib figure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxnn.arguments import missing_extra
from jaxnn.train.record.records import EpochRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_of", "frame_of"]

_STYLES = {"train": ("#0072b2", "o"), "val": ("#d55e00", "s")}  # as in jaxnn.report
_MARKED = 40  # epochs; of more the markers would touch


def frame_of(epochs: Sequence[EpochRecord], series: Mapping[str, np.ndarray], ids: Any) -> Any:
    """See `History.to_pandas`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "History.to_pandas needs pandas, which is not installed: pip install pandas"
        ) from error
    numbers = [record.epoch for record in epochs]
    steps = np.array([record.step for record in epochs], np.int64)
    if ids is None:
        index = pd.Index(numbers, name="epoch", dtype=np.int64)
        return pd.DataFrame({"step": steps, **series}, index=index)
    index = pd.MultiIndex.from_product([numbers, ids.tolist()], names=["epoch", "member"])
    columns = {name: values.reshape(-1) for name, values in series.items()}
    return pd.DataFrame({"step": np.repeat(steps, len(ids)), **columns}, index=index)


def figure_of(epochs: Sequence[EpochRecord], series: Mapping[str, np.ndarray]) -> Figure:
    """See `History.plot`."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise missing_extra("History.plot", "report") from error
    panels: dict[str, list[str]] = {}
    for name in series:
        split, _, metric = name.partition("/")
        panels.setdefault(metric if split in _STYLES else name, []).append(name)
    figure = Figure(figsize=(4.2 * max(len(panels), 1), 3.0), layout="constrained")
    numbers = [record.epoch for record in epochs]
    for place, (metric, names) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), place)
        for name in names:
            colour, marker = _STYLES.get(name.partition("/")[0], ("#1d2733", "o"))
            many = series[name].ndim > 1
            lines = axes.plot(
                numbers,
                series[name],
                color=colour,
                marker="" if many or len(numbers) > _MARKED else marker,
                markersize=3.6,
                alpha=0.4 if many else 1.0,
            )
            if lines:  # one name for the lines of all members
                lines[0].set_label(_plain(name))
        axes.set_xlabel("epoch")
        axes.set_ylabel(_plain(metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize="small")
    # A figure that belongs to no pyplot would show its name in a notebook.
    figure._repr_png_ = partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _plain(name: str) -> str:
    return name.replace("$", r"\$")  # a dollar sign would start a formula


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
