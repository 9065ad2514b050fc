"""Describe the parts of a recipe as plain data: names and numbers instead of objects.

Optimizers, losses and initializers are closures, which can neither be compared nor printed. Their
free variables are the arguments of their factories. A description of those tells two recipes
apart, is written to `config.json`, and is the same in another process.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

__all__ = ["describe", "differences"]

_SMALL = 16  # arrays of at most this many entries are written out, larger ones as a checksum


def describe(thing: Any) -> Any:
    """Describe a thing by data that `json` can write.

    Args:
      thing: numbers, strings, containers, arrays, dataclasses (such as Linen modules), functions
        with their closures, Optax transformations.

    Returns:
      Nested dicts, lists, strings and numbers.

    >>> from jaxnn.optim import scale_by_learning_rate
    >>> describe(scale_by_learning_rate(0.5))
    {'jaxnn.optim.rate.scale_by_learning_rate': {'learning_rate': 0.5}}
    """
    return _describe(thing, ())


def _describe(thing: Any, above: tuple[int, ...]) -> Any:
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if isinstance(thing, (np.ndarray, np.generic, jax.Array)):
        return _describe_array(thing)
    if isinstance(thing, np.dtype):
        return thing.name
    if id(thing) in above:
        return "…"  # a closure may hold itself
    within = (*above, id(thing))
    if isinstance(thing, functools.partial):
        inner = {**dict(enumerate(thing.args)), **thing.keywords}
        return {_name(thing.func): _describe(inner, within)}
    if hasattr(thing, "init") and hasattr(thing, "update") and isinstance(thing, tuple):
        return _describe(getattr(thing, "update"), within)  # noqa: B009  # by name for the type checker; init closes over the same as update
    if isinstance(thing, Mapping):
        return {str(key): _describe(value, within) for key, value in thing.items()}
    if isinstance(thing, (tuple, list)):
        return [_describe(value, within) for value in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted((_describe(value, within) for value in thing), key=str)
    if isinstance(thing, re.Pattern):
        return {"re.compile": {"pattern": thing.pattern, "flags": int(thing.flags)}}
    if hasattr(thing, "__wrapped__"):  # jitted or decorated: the wrapped function
        return {_name(type(thing)): _describe(thing.__wrapped__, within)}
    if isinstance(thing, types.MethodType):
        owner = _describe(thing.__self__, within)
        return {_name(thing.__func__): {"self": owner}}
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {_name(type(thing)): _describe(_fields(thing), within)}
    if hasattr(thing, "__code__"):
        return _describe_function(thing, within)
    return _name(thing if isinstance(thing, type) or hasattr(thing, "__name__") else type(thing))


def _describe_array(array: Any) -> Any:
    if isinstance(array, Tracer):
        return "traced"
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    values = np.asarray(array)
    if values.size <= _SMALL:
        return values.tolist()
    checksum = zlib.crc32(np.ascontiguousarray(values).tobytes())
    return {"shape": list(values.shape), "dtype": str(values.dtype), "crc32": checksum}


def _describe_function(function: Any, above: tuple[int, ...]) -> Any:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    inner = {name: _describe(cell.cell_contents, above) for name, cell in cells}
    # Users bind values by defaults as well as by closure; jaxnn's factories only by closure.
    if _name(function).partition(".")[0] not in ("jaxnn", "optax"):
        defaults = (function.__defaults__ or (), function.__kwdefaults__ or {})
        inner |= {"defaults": _describe(defaults, above)} if any(defaults) else {}
    return {_name(function): inner} if inner else _name(function)


def _fields(thing: Any) -> dict[str, Any]:
    # A Linen module's parent and unset name say where it is used, not how it computes.
    values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    values.pop("parent", None)
    if values.get("name", "") is None:
        del values["name"]
    return values


def _name(thing: Any) -> str:
    module = (getattr(thing, "__module__", None) or "").removesuffix(".__init__")
    qualname = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return f"{_public(module)}.{qualname.split('.<locals>')[0]}"


def _public(module: str) -> str:
    return ".".join(part for part in module.split(".") if not part.startswith("_"))


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """List where two descriptions differ, one line for each place.

    >>> differences({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]})
    ['b/1: 2 there, 3 here']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = dict.fromkeys([*old, *new])
        pairs = [(key, old.get(key, "nothing"), new.get(key, "nothing")) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(old, new, strict=True))]
    else:
        same = old == new or (old != old and new != new)  # NaN equals itself here
        return [] if same else [f"{path or 'it'}: {old} there, {new} here"]
    return [
        line
        for key, a, b in pairs
        for line in differences(a, b, f"{path}/{key}" if path else str(key))
    ]
