"""`fit_populations`: populations of different sizes and shapes, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxnn.arguments import check_path, check_positive_int
from jaxnn.population.fit import fit_population
from jaxnn.population.population import Population
from jaxnn.train.run import Run

__all__ = ["Populations", "fit_populations"]


@dataclass(frozen=True, eq=False)
class Populations:
    """Populations that were trained on the same data, with one table.

    Attributes:
      groups: in the order in which they were given.
    """

    groups: tuple[Population, ...]

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[Population]:
        return iter(self.groups)

    def __getitem__(self, group: int) -> Population:
        return self.groups[group]

    def __repr__(self) -> str:
        return f"Populations of {len(self):,} groups, {sum(map(len, self.groups)):,} members"

    def table(self) -> np.ndarray:
        """The rows of all groups, with the field "group" first.

        Returns:
          A NumPy structured array. Where a group has no such knob or value, it is NaN.
        """
        tables = [group.table() for group in self.groups]
        fields = [table.dtype.names or () for table in tables]
        names = dict.fromkeys(name for own in fields for name in own)
        columns: dict[str, np.ndarray] = {
            "group": np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        }
        for name in names:
            parts = [
                table[name] if name in own else np.full(len(table), np.nan)
                for table, own in zip(tables, fields, strict=True)
            ]
            columns[name] = np.concatenate(parts)
        result = np.empty(
            len(columns["group"]), [(name, column.dtype) for name, column in columns.items()]
        )
        for name, column in columns.items():
            result[name] = column
        return result

    def to_pandas(self) -> Any:
        """`table()` as a `pandas.DataFrame`, indexed by "group" and "member".

        Raises:
          ImportError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame.from_records(self.table(), index=["group", "member"])

    def best(self, k: int = 1, by: str = "val/loss", *, over: str | None = None) -> list[Run]:
        """The best members of all groups, the best one first; see `Population.best`.

        Returns:
          Runs, with `run.config["group"]` and `run.config["member"]`.
        """
        k = check_positive_int("k", k)
        found = []
        for number, group in enumerate(self.groups):
            direction = group.config["directions"].get(by)
            for run, score in group.ranked(k, by, over):
                run.config["group"] = number
                found.append((score if direction == "min" else -score, run))
        return [run for _, run in sorted(found, key=lambda pair: pair[0])[:k]]


def fit_populations(
    groups: Sequence[tuple[Any, ...]],
    data: Any,
    *,
    folder: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Populations:
    """Train members that differ in what is fixed: sizes, depths, choices, batch sizes.

    What is fixed is part of the compiled program, so members that differ in it form groups, and
    the groups train one after the other.

    Args:
      groups: pairs `(make_recipe, knobs)`, or triples with a dict of arguments of the group's
        own, such as `{"batch_size": 32}`.
      data: as in `fit_population`.
      folder: a new folder, in which each group has its own: "group-00", "group-01", …
      resume: the folder of these same groups, to go on: those that have ended are resumed at
        their end, those that have not begun begin.
      settings: all other arguments of `fit_population`.

    Returns:
      The populations, with one table.

    Raises:
      ValueError, TypeError: as `fit_population`; no group, or one that is no such pair.

    >>> import jaxnn
    >>> def with_width(width):
    ...     return lambda knobs: jaxnn.Recipe(
    ...         model=jaxnn.nn.MLP((width, 10)),
    ...         loss=jaxnn.losses.softmax_cross_entropy,
    ...         optimizer=jaxnn.optim.adam(knobs["lr"]),
    ...     )
    >>> digits, knobs = jaxnn.data.digits(key=0), {"lr": np.array([1e-3, 1e-2])}
    >>> both = fit_populations(
    ...     [(with_width(8), knobs), (with_width(16), knobs)],
    ...     digits, epochs=1, batch_size=64, key=1, cohort=2, devices=1,
    ... )
    >>> both.table()["group"]
    array([0, 0, 1, 1])
    """
    if not isinstance(groups, Sequence) or not groups:
        raise TypeError(f"groups must be a list of pairs (make_recipe, knobs), got {groups!r}")
    for number, group in enumerate(groups):
        fits = isinstance(group, Sequence) and len(group) in (2, 3)
        if not fits or not all(isinstance(own, Mapping) for own in group[2:]):
            raise TypeError(
                f"groups must hold pairs (make_recipe, knobs), or triples with a dict of "
                f"arguments, got {group!r} as number {number}"
            )
    if folder is not None and resume is not None:
        raise ValueError("give folder= for a new run or resume= for an old one, not both")
    given = folder if resume is None else resume
    root = None if given is None else check_path("folder" if resume is None else "resume", given)
    trained = []
    for number, (make_recipe, knobs, *own) in enumerate(groups):
        places: dict[str, Any] = {}
        if root is not None:
            place = root / f"group-{number:02d}"
            begun = resume is not None and (place / "config.json").exists()
            places = {"resume" if begun else "folder": place}
        arguments = {**settings, **(own[0] if own else {}), **places}
        trained.append(fit_population(make_recipe, knobs, data, **arguments))
    return Populations(tuple(trained))
