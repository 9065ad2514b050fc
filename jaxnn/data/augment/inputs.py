"""What all augmentations share: the inputs of a batch, and random draws per row.

Draws have the row as their leading axis, and with threefry keys (`jax_threefry_partitionable`,
JAX's default) a row's draw depends on the key and the row's number alone: further rows, padding
and a batch spread over devices change none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_choice, check_knob
from jaxnn.keys import as_key

__all__ = ["Augmentation", "Fill", "Knob"]

Augmentation = Callable[[Any, Any], Any]
"""`(key, batch) -> batch`, the batch a mapping with "x", or an array of inputs alone."""

LARGEST = float(np.finfo(np.float32).max)
"""The most that an amount may be: augmentations compute in float32, or wider."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""The least that a factor above 0 may be: what is smaller becomes 0 in float32."""

Knob = float | jax.Array
Fill = float | jax.Array | str


def on_inputs(change: Callable[[jax.Array], jax.Array], batch: Any) -> Any:
    """Change the inputs of a batch, and leave everything else as it was."""
    if isinstance(batch, Mapping):
        return {**batch, "x": change(floating(inputs_of(batch)))}
    return change(floating(batch))


def inputs_of(batch: Mapping[str, Any]) -> Any:
    if "x" not in batch:
        raise ValueError(
            f'batch must hold "x", the inputs to augment, got the keys {sorted(batch)}'
        )
    return batch["x"]


def floating(x: Any) -> jax.Array:
    """Return `x` as an array of examples; refuse values that are not floats."""
    if not hasattr(x, "dtype"):
        raise TypeError(f"x must be an array of inputs (n, …), got {type(x).__name__}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"x must hold floating-point values to be augmented, got {x.dtype}; convert the data "
            "first, as with jaxnn.data.standardize or x.astype(numpy.float32) / 255"
        )
    if x.ndim == 0:
        raise ValueError("x must have a leading axis of examples, got a scalar")
    return jnp.asarray(x)


def check_images(x: Any) -> None:
    if getattr(x, "ndim", None) != 4:
        got = f"shape {x.shape}" if hasattr(x, "shape") else repr(x)
        raise ValueError(
            "x must hold images of shape (n, height, width, channels), got "
            f"{got}; augment.as_images(shape, augmentation) takes rows of other shapes"
        )


def check_fill(fill: Fill) -> None:
    if isinstance(fill, str):
        check_choice("fill", fill, ("edge",))
    else:
        check_knob("fill", fill, -LARGEST, LARGEST, array=True)  # one number, or one a channel


def check_amount(
    name: str,
    amount: Any,
    *shapes: tuple[int, ...],
    low: float = -LARGEST,
    high: float = LARGEST,
    **open_ends: bool,
) -> None:
    """Refuse an amount that is not of numbers in a range, or has none of the given shapes."""
    check_knob(name, amount, low, high, array=True, **open_ends)
    if np.shape(amount) not in shapes:
        raise ValueError(
            f"{name} must have the shape {' or '.join(map(str, shapes))}, got {np.shape(amount)}"
        )


def wide(x: jax.Array) -> Any:
    """Return the dtype to compute in: float32 at least, whatever the inputs are stored in."""
    return jnp.promote_types(x.dtype, jnp.float32)


def per_row(amount: Any, x: jax.Array) -> jax.Array:
    """Reshape an amount, (), (n,) or (n, channels), so that it broadcasts against `x`."""
    amount = jnp.asarray(amount, wide(x))
    between = (1,) * (x.ndim - amount.ndim)
    return amount.reshape(amount.shape[:1] + between + amount.shape[1:]) if amount.ndim else amount


def unless(still: jax.Array, x: jax.Array, changed: jax.Array) -> jax.Array:
    """Return `x` itself where nothing changes: arithmetic would lose the sign of −0, and Inf."""
    return jnp.where(still, x, changed.astype(x.dtype))


def uniform(key: Any, x: jax.Array, *more: int) -> jax.Array:
    """Draw from [0, 1) for each row; `more` is the shape of a row's draws."""
    return jax.random.uniform(as_key(key), (x.shape[0], *more), wide(x))


def symmetric(key: Any, x: jax.Array, bound: Knob, *more: int) -> jax.Array:
    """Draw from [−bound, bound) for each row; a bound of 0 gives exactly 0."""
    return (2 * uniform(key, x, *more) - 1) * jnp.asarray(bound, wide(x))
