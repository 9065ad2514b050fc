"""The one form in which training knows a model: two pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from jaxnn.arguments import check_flag

__all__ = ["Functional"]


@dataclass(frozen=True, eq=False)
class Functional:
    """A model as two pure functions, its state passed in and handed back.

    Attributes:
      init: `(key, inputs) -> (params, model_state)`: pytrees of arrays, `{}` for no state.
      apply: `(params, model_state, inputs, *, train, keys, weight) -> (outputs, model_state)`.
        `train` is a Python bool; `keys("name")` is the key of this step's stream of that
        name; `weight`, (n,) or (n, tokens) or None, says how much each example counts, in
        training alone: padding has 0. What one has no use for, `**_` takes.
      takes_weight: whether `apply` leaves padding, by its weight, out of what it keeps in
        `model_state`.

    >>> import jax.numpy as jnp
    >>> def apply(params, model_state, inputs, *, train, **_):
    ...     return inputs - params["w"], {"seen": model_state["seen"] + train}
    >>> model = Functional(lambda key, inputs: ({"w": 1.0}, {"seen": 0}), apply)
    >>> params, model_state = model.init(jax.random.key(0), jnp.ones(2))
    >>> model.apply(params, model_state, 3 * jnp.ones(2), train=True, keys=None, weight=None)
    (Array([2., 2.], dtype=float32), {'seen': 1})
    """

    init: Callable[[jax.Array, Any], tuple[Any, Any]]
    apply: Callable[..., tuple[Any, Any]]
    takes_weight: bool = False

    def __post_init__(self) -> None:
        for name in ("init", "apply"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be a function, got {getattr(self, name)!r}")
        check_flag("takes_weight", self.takes_weight)
