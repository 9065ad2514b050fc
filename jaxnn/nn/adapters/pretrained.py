"""Parameters from elsewhere, put in place by path, with a report of what went where."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_flag
from jaxnn.tree import path_name

__all__ = ["LoadReport", "load_pretrained"]

Rename = Mapping[str, str | None] | Callable[[str], str | None]


@dataclass(frozen=True)
class LoadReport:
    """What `load_pretrained` found; `print(report)` shows it.

    Attributes:
      matched: paths of parameters that were loaded, each with its path in the source.
      missing: paths of parameters that the source does not have.
      unused: paths in the source that no parameter has.
      dropped: paths in the source that `rename` left out.
      mismatched: paths of parameters whose array in the source does not fit, each with the
        two as text; they were left as they are.
      cast: paths of loaded parameters whose dtype was changed, each with the two.
    """

    matched: dict[str, str]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    dropped: tuple[str, ...]
    mismatched: dict[str, str]
    cast: dict[str, str]

    def __str__(self) -> str:
        moved = [f"{ours} from {theirs}" for ours, theirs in self.matched.items() if ours != theirs]
        blocks = [
            ("missing in the source", self.missing),
            ("unused in the source", self.unused),
            ("left out by rename", self.dropped),
            ("not fitting", [f"{path}: {why}" for path, why in self.mismatched.items()]),
            ("cast", [f"{path}: {why}" for path, why in self.cast.items()]),
        ]
        shown = [(f"{len(self.matched)} loaded", moved), *(block for block in blocks if block[1])]
        return "\n".join("\n  ".join([title, *lines]) for title, lines in shown)


def load_pretrained(
    params: Any,
    source: Any,
    *,
    rename: Rename | None = None,
    strict: bool = True,
    allow_mismatch: bool = False,
) -> tuple[Any, LoadReport]:
    """Parameters with those of a source put in their place, by path.

    An array is cast to the dtype of the parameter whose place it takes, and the report says
    so. Complex numbers are not cast to real ones, nor floats to integers.

    Args:
      params: the model's parameters: a pytree of arrays.
      source: a pytree of arrays; or a flat dict of paths such as "Dense_0/kernel"; or the
        path of an .npz file of arrays by such names, read without pickle.
      rename: from paths of the source to those of `params`: a dict of beginnings, cut at "/"
        ("" is the root), of which the longest that fits counts; or a function of the whole
        path. A path that becomes None is left out.
      strict: whether the two must have the same paths. If not, a parameter that the source
        lacks stays as it is, and what no parameter asks for is left over.
      allow_mismatch: whether a parameter whose array does not fit stays as it is.

    Returns:
      Parameters of the same structure and dtypes, and the report.

    Raises:
      ValueError: nothing matches; a beginning in `rename` that no path has; two arrays for
        one parameter; and, with the whole report, what `strict` and `allow_mismatch` ask.

    >>> params = {name: {"kernel": jnp.zeros((2, 2))} for name in ("Dense_0", "Dense_1")}
    >>> source = {"trunk/fc/kernel": np.ones((2, 2))}
    >>> loaded, report = load_pretrained(
    ...     params, source, rename={"trunk/fc": "Dense_0"}, strict=False
    ... )
    >>> print(report)
    1 loaded
      Dense_0/kernel from trunk/fc/kernel
    missing in the source
      Dense_1/kernel
    cast
      Dense_0/kernel: float64 to float32

    To train from there, give `jaxnn.fit` the start `state=state.replace(params=loaded)` of a
    `state = jaxnn.train.init_state(recipe, key, batch)`. Under
    `jaxnn.optim.freeze("Dense_0", optimizer)` the loaded trunk stays as it is.
    """
    check_flag("strict", strict)
    check_flag("allow_mismatch", allow_mismatch)
    if rename is not None and not isinstance(rename, Mapping) and not callable(rename):
        raise TypeError(f"rename must be a dict of beginnings, a function or None, got {rename!r}")
    theirs = _by_path(_read(source))
    origin, dropped = _renamed(list(theirs), rename)
    matched, mismatched, cast, leaves = {}, {}, {}, {}
    ours = _by_path(params)
    for path, leaf in ours.items():
        if path not in origin:
            continue
        array = theirs[origin[path]]
        why = _misfit(array, leaf)
        if why:
            mismatched[path] = why
            continue
        matched[path] = origin[path]
        leaves[path] = jnp.asarray(array, leaf.dtype)
        if array.dtype != leaf.dtype:
            cast[path] = f"{array.dtype} to {leaf.dtype}"
    report = LoadReport(
        matched=matched,
        missing=tuple(path for path in ours if path not in origin),
        unused=tuple(old for new, old in origin.items() if new not in ours),
        dropped=dropped,
        mismatched=mismatched,
        cast=cast,
    )
    _check(report, strict, allow_mismatch)
    loaded = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaves.get(path_name(path), leaf), params
    )
    return loaded, report


def _read(source: Any) -> Any:
    if not isinstance(source, (str, os.PathLike)):
        return source
    with np.load(source, allow_pickle=False) as file:
        return dict(file)


def _by_path(tree: Any) -> dict[str, Any]:
    pairs = jax.tree_util.tree_leaves_with_path(tree)
    # Arrays of JAX stay where they are.
    arrays = [leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for _, leaf in pairs]
    return {path_name(path): array for (path, _), array in zip(pairs, arrays, strict=True)}


def _renamed(paths: list[str], rename: Rename | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Where the array for each new path stands in the source, and what is left out."""
    if rename is None:
        rename = {}
    if isinstance(rename, Mapping):
        for start in rename:
            if not any(_starts(path, start) for path in paths):
                raise ValueError(f"rename must name paths of the source, got {start!r}")
        rename = _by_beginning(rename)
    origin: dict[str, str] = {}
    dropped = []
    for old in paths:
        new = rename(old)
        if new is None:
            dropped.append(old)
        elif not isinstance(new, str):
            raise TypeError(f"rename must give a path or None, got {new!r} for {old!r}")
        elif new in origin:
            raise ValueError(
                f"rename must give each array a path of its own, got {new!r} for both "
                f"{origin[new]!r} and {old!r}"
            )
        else:
            origin[new] = old
    return origin, tuple(dropped)


def _starts(path: str, start: str) -> bool:
    return start in ("", path) or path.startswith(f"{start}/")


def _by_beginning(table: Mapping[str, str | None]) -> Callable[[str], str | None]:
    def rename(path: str) -> str | None:
        start = max((start for start in table if _starts(path, start)), key=len, default=None)
        if start is None:
            return path
        new = table[start]
        rest = path[len(start) :].strip("/")
        return None if new is None else "/".join(part for part in (new, rest) if part)

    return rename


_ORDER = (np.bool_, np.integer, np.floating, np.complexfloating)


def _kind(dtype: Any) -> int | None:
    kinds = [i for i, kind in enumerate(_ORDER) if jnp.issubdtype(dtype, kind)]
    return kinds[0] if kinds else None


def _misfit(array: Any, leaf: Any) -> str | None:
    """Why an array cannot stand for a leaf; None where it can."""
    if array.shape != leaf.shape:
        return f"{array.shape} in the source, {leaf.shape} here"
    theirs, ours = _kind(array.dtype), _kind(leaf.dtype)
    if array.dtype != leaf.dtype and (theirs is None or ours is None or theirs > ours):
        return f"{array.dtype} in the source, {leaf.dtype} here"
    return None


def _check(report: LoadReport, strict: bool, allow_mismatch: bool) -> None:
    wrong = []
    if not report.matched:
        wrong.append("source must have a parameter of the model, got none (rename= maps paths)")
    if report.mismatched and not allow_mismatch:
        wrong.append("source must fit, or allow_mismatch=True leave what does not")
    if strict and (report.missing or report.unused):
        wrong.append("source must have the paths of the model, or strict=False allow others")
    if wrong:
        raise ValueError("; ".join(wrong) + f"\n{report}")
