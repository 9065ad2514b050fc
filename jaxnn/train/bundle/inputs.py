"""What is given for a prediction, brought to the form of the inputs that the model was trained on.

The layout of the training inputs, which a run's config has, tells inputs from a batch, one
example from many, and examples of another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.datasets import Data
from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.inputs.narrowing import narrowed
from jaxnn.tree import path_name

__all__ = ["dense_inputs", "inputs_in", "must_be_tried", "refuse_data", "trained_on"]


def refuse_data(name: str, given: Any) -> None:
    """Refuse a whole data set where one part of it is asked for."""
    if isinstance(given, Data):
        raise TypeError(f"{name} must be one part of the data, such as data.test, got a Data")


def inputs_in(name: str, given: Any, trained: Any) -> Any:
    """Take the inputs out of a batch; what is no batch is inputs already.

    Args:
      name: of what was given, for messages.
      given: inputs, a dict with "x", or a pair (x, y).
      trained: layout of the training inputs; None where nobody knows it.
    """
    if isinstance(given, Mapping):
        are_inputs = isinstance(trained, dict) and trained.keys() == given.keys()
        if are_inputs or (trained is None and "x" not in given):
            return given
        if "x" not in given:
            wanted = f" or {sorted(trained)}" if isinstance(trained, dict) else ""
            raise ValueError(f'{name} must hold "x"{wanted}, got the keys {sorted(given)}')
        return given["x"]
    is_tuple = isinstance(given, (tuple, list)) and not hasattr(given, "_fields")
    if not is_tuple or isinstance(trained, list) or not _is_pair(given):
        return given
    return as_batch(name, given)["x"]


def _is_pair(given: Any) -> bool:
    """Whether a list or tuple holds arrays, and is no array written out."""
    depths = set(map(_depth, given))
    return len(depths) > 1 or any(hasattr(entry, "shape") and np.ndim(entry) for entry in given)


def _depth(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return 1 + (_depth(value[0]) if value else 0)
    return np.ndim(value)


def dense_inputs(name: str, inputs: Any) -> Any:
    """Arrays of numbers, in the dtypes that JAX keeps.

    Raises:
      TypeError, ValueError: anything else.
    """
    return narrowed(name, as_batch(name, inputs, pairs=False))


def must_be_tried(name: str, inputs: Any, trained: Any) -> bool:
    """Whether examples have another shape than in training, so that the model must be asked.

    A convolution may take images of another size; only what no model means is refused here.

    Args:
      name: of the inputs, for messages.
      inputs: arrays (n, …).
      trained: layout of the training inputs; None where nobody knows it.

    Raises:
      ValueError: one example instead of many, another number of arrays or axes, or vectors of
        another width.
    """
    if trained is None:
        return False
    leaves, wanted = jax.tree_util.tree_leaves_with_path(inputs), _shapes(trained)
    if len(leaves) != len(wanted):
        raise ValueError(
            f"{name} must hold {len(wanted)} arrays, as in training, got {len(leaves)}"
        )
    differs = False
    for (path, leaf), want in zip(leaves, wanted, strict=True):
        place = f"{name}: {path_name(path)}" if path else name
        shape = np.shape(leaf)
        if shape == want:
            raise ValueError(
                f"{place} must hold examples along the first axis, {_many(want)}, got a single "
                f"one of shape {shape}; x[None] makes a row of it"
            )
        vectors = len(want) == 1 and jnp.issubdtype(leaf.dtype, jnp.floating)
        if len(shape) != len(want) + 1 or (vectors and shape[1:] != want):
            raise ValueError(trained_on(place, leaf, want))
        differs = differs or shape[1:] != want
    return differs


def trained_on(name: str, inputs: Any, trained: Any) -> str:
    """The message for inputs of another shape than the model was trained on."""
    wanted = [trained] if isinstance(trained, tuple) else _shapes(trained)
    got = [np.shape(leaf) for leaf in jax.tree.leaves(inputs)]
    return (
        f"{name} must have the shape that the model was trained on, "
        f"{', '.join(map(_many, wanted))}, got {', '.join(map(str, got))}"
    )


def _shapes(trained: Any) -> list[tuple[int, ...]]:
    """The shape of one example in each array of a layout."""
    return [tuple(map(int, leaf.split()[2:])) for leaf in jax.tree.leaves(trained)]


def _many(want: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, want))})" if want else "(n,)"
