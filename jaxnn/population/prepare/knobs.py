"""The knobs of a population: checked before anything is compiled, member by member."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxnn.population.prepare.reading import refuse_missing
from jaxnn.recipe import MakeRecipe, build
from jaxnn.tree import path_name

__all__ = ["check_setting", "checked_knobs", "knobs_of", "member_knobs"]


_RESERVED = ("member", "epochs", "ended", "group")  # columns of a population's table


def checked_knobs(make_recipe: MakeRecipe, knobs: Any, keys: int | None) -> tuple[Any, int]:
    """Bring the knobs of a population to one value a member, and try each member's recipe.

    Args:
      make_recipe: what is trained.
      knobs: pytree of numbers and (members,) arrays or lists of numbers.
      keys: the number of keys where each member has one of its own; None: they share one.

    Returns:
      The pytree with (members,) float64 arrays alone, and the number of members.

    Raises:
      ValueError, TypeError: naming the knob or the member, and what is allowed.
    """
    if not callable(make_recipe):
        raise TypeError(
            "make_recipe must be a function knobs -> Recipe, which a population calls with the "
            f"knobs of its members, got {make_recipe!r}"
        )
    flat, structure = jax.tree_util.tree_flatten_with_path(knobs, is_leaf=_is_column)
    named = [(path_name(path), value) for path, value in flat]
    if taken := [name for name, _ in named if name in _RESERVED]:
        raise ValueError(f"a knob must not be called one of {_RESERVED}, got {taken}")
    columns = [(name, _column(name, value)) for name, value in named]
    lengths = {name: len(column) for name, column in columns if column.ndim}
    if keys is not None:
        lengths["keys"] = keys
    if len(set(lengths.values())) > 1:
        raise ValueError(f"knobs and keys must be arrays of one length, got {lengths}")
    members = next(iter(lengths.values()), 0)
    if not members:
        raise ValueError(
            "a population has at least one member: knobs must hold an array of one value a "
            f"member, or keys= one key a member, got {knobs!r}"
        )
    full = [np.broadcast_to(column, members) for _, column in columns]
    values = jax.tree.unflatten(structure, full)
    refuse_missing(make_recipe, member_knobs(values, 0))
    for member in range(members):
        _try(make_recipe, member_knobs(values, member), member)
    _refuse_static(make_recipe, values)
    return values, members


def check_setting(make_recipe: MakeRecipe, knobs: Any) -> None:
    """Refuse knobs of a single setting that `make_recipe` cannot take.

    Args:
      make_recipe: what is trained.
      knobs: pytree of finite numbers.

    Raises:
      ValueError, TypeError: naming the knob, and what is allowed.

    >>> check_setting(None, {"lr": 0.1})
    Traceback (most recent call last):
    ...
    TypeError: make_recipe must be a function knobs -> Recipe, got None
    """
    if not callable(make_recipe):
        raise TypeError(f"make_recipe must be a function knobs -> Recipe, got {make_recipe!r}")
    numbers = jax.tree.map(np.float64, knobs)
    refuse_missing(make_recipe, numbers)
    _try(make_recipe, numbers)
    _refuse_static(make_recipe, numbers)


def member_knobs(values: Any, member: int) -> Any:
    """The knobs of one member, NumPy numbers.

    >>> member_knobs({"lr": np.array([0.1, 0.2])}, 1)
    {'lr': np.float64(0.2)}
    """
    return jax.tree.map(lambda column: column[member], values)


def knobs_of(values: Any) -> dict[str, np.ndarray]:
    """The columns of a pytree of knobs by their paths.

    >>> knobs_of({"adam": {"lr": np.array([0.1])}})
    {'adam/lr': array([0.1])}
    """
    flat = jax.tree_util.tree_leaves_with_path(values)
    return {path_name(path): np.asarray(column) for path, column in flat}


def _is_column(node: Any) -> bool:
    """Whether this is a list of numbers, which is a knob and no pytree of knobs."""
    numbers = (int, float, np.number)
    return isinstance(node, (list, tuple)) and all(isinstance(each, numbers) for each in node)


def _column(name: str, value: Any) -> np.ndarray:
    is_key = isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key)
    column = np.asarray(None if is_key else value)
    if column.dtype.kind not in "iuf" and not jax.numpy.issubdtype(column.dtype, np.floating):
        raise TypeError(f"knobs: {name} must be a number or an array of numbers, got {value!r}")
    if column.ndim > 1:
        raise ValueError(
            f"knobs: {name} must be a number or an array (members,), got the shape {column.shape}"
        )
    column = column.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(np.atleast_1d(column)))
    if bad.size:
        place = f" of member {bad[0]}" if column.ndim else ""
        raise ValueError(
            f"knobs: {name}{place} must be finite, got {np.atleast_1d(column)[bad[0]]}"
        )
    return column


def _try(make_recipe: MakeRecipe, knobs: Any, member: int | None = None) -> None:
    """Build the recipe of one member from plain numbers, which every factory checks."""
    try:
        build(make_recipe, knobs, np.int32(0))
    except (ValueError, TypeError) as error:
        shown = ", ".join(f"{name} {float(value):g}" for name, value in knobs_of(knobs).items())
        whose = "knobs" if member is None else f"knobs of member {member}"
        raise type(error)(f"{whose} ({shown}): {error}") from error
    except Exception as error:  # of any type: it is make_recipe's own
        raise TypeError(
            f"knobs must be what make_recipe reads, which ended in {type(error).__name__} "
            f"({error}) with {knobs!r}"
        ) from error


def _refuse_static(make_recipe: MakeRecipe, values: Any) -> None:
    """Refuse a `make_recipe` that needs a knob as a plain number, as a width is one."""

    def built(knobs: Any) -> int:
        build(make_recipe, knobs, np.int32(0))
        return 0

    dtype = jax.numpy.result_type(float)
    one = jax.tree.map(lambda column: jax.ShapeDtypeStruct((), dtype), values)
    try:
        jax.eval_shape(built, one)
    except Exception as error:  # of any type: what needs a number may be anything
        raise TypeError(
            f"{_place_in(make_recipe, error)} needs a plain number, such as a size or a choice, "
            "and a knob is traced, as it differs between the members of one program. Members "
            "that differ in it train in groups: fit_populations([(make_recipe, knobs), …]) with "
            "a make_recipe for each value"
        ) from error


def _place_in(make_recipe: Callable[..., Any], error: BaseException) -> str:
    """The line of `make_recipe` that an error came through."""
    function: Any = inspect.unwrap(make_recipe)
    while hasattr(function, "func"):  # of a functools.partial
        function = function.func
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    if not mine:
        return "make_recipe"
    last = mine[-1]
    return f"{last.filename}:{last.lineno}: `{last.line}`"
