"""Which knobs a `make_recipe` reads: those that it lacks, and those that nothing reads."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.step.state import init_state
from jaxnn.train.step.step import eval_step, train_step
from jaxnn.tree import path_name

__all__ = ["refuse_missing", "refuse_unread"]


class _Watched(dict):
    """Knobs that note which of them are read."""

    def __init__(self, knobs: dict[str, Any], seen: set[str], place: str = "") -> None:
        super().__init__()
        self._seen, self._place = seen, place
        for name, value in knobs.items():
            inner = isinstance(value, dict)
            own = _Watched(value, seen, f"{place}{name}/") if inner else value
            super().__setitem__(name, own)

    def __getitem__(self, name: Any) -> Any:
        self._seen.add(f"{self._place}{name}")
        return super().__getitem__(name)

    def __missing__(self, name: Any) -> Any:
        near = difflib.get_close_matches(str(name), list(map(str, super().__iter__())), 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"make_recipe reads the knob {f'{self._place}{name}'!r}, which knobs= lacks{hint} It "
            f"holds {[f'{self._place}{known}' for known in super().__iter__()]}"
        )

    def __iter__(self) -> Iterator[Any]:
        for name in super().__iter__():
            self._seen.add(f"{self._place}{name}")
            yield name

    def get(self, name: Any, default: Any = None) -> Any:
        if name not in self:
            return default
        return self[name]

    def pop(self, name: Any, *default: Any) -> Any:
        self._seen.add(f"{self._place}{name}")
        return super().pop(name, *default)

    def keys(self) -> Any:
        return list(self)

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]


def _flatten(watched: _Watched) -> tuple[list[Any], tuple[Any, ...]]:
    return watched.values(), tuple(watched.keys())


def _unflatten(names: tuple[Any, ...], values: Any) -> Any:
    return dict(zip(names, values, strict=True))


jax.tree_util.register_pytree_node(_Watched, _flatten, _unflatten)


def refuse_missing(make_recipe: MakeRecipe, knobs: Any) -> None:
    """Refuse knobs among which one is missing that `make_recipe` reads.

    Args:
      make_recipe: what is trained.
      knobs: of one member.

    Raises:
      ValueError: naming it, and the nearest name that there is.
    """
    if not isinstance(knobs, dict):
        return
    try:
        build(make_recipe, _Watched(knobs, set()), np.int32(0))
    except ValueError as error:
        if "which knobs= lacks" in str(error):
            raise
    except Exception:  # of any type: it is told with the member's number
        return


def refuse_unread(make_recipe: MakeRecipe, knobs: Any, key: jax.Array, rows: Any) -> None:
    """Refuse knobs that nothing reads: no factory, no initializer, no step, no evaluation.

    Args:
      make_recipe: what is trained.
      knobs: of one member.
      key: root key of the run.
      rows: a batch, of which shapes and dtypes matter.

    Raises:
      ValueError: naming them, and the nearest name that is read.
    """
    if not isinstance(knobs, dict):
        return
    seen: set[str] = set()

    @functools.wraps(make_recipe)
    def watched(knobs: Any, **told: Any) -> Recipe:
        return make_recipe(_Watched(knobs, seen), **told)

    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(knobs)]
    build(watched, knobs, np.int32(0))
    if set(names) <= seen:
        return

    def whole(knobs: Any) -> Any:
        state = init_state(watched, key, rows, knobs)
        state, _ = train_step(watched, state, rows)
        return eval_step(watched, state, rows, np.int32(0))

    jax.eval_shape(whole, jax.tree.map(lambda _: jnp.asarray(0.0), knobs))
    unread: Sequence[str] = [name for name in names if name not in seen]
    if unread:
        near = difflib.get_close_matches(unread[0], sorted(seen), 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"knobs must be read by make_recipe, which does not read {unread}{hint} It reads "
            f"{sorted(seen)}"
        )
