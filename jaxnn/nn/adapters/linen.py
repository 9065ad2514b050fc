"""Linen modules as pure functions; see `jaxnn.nn.as_functional`."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from jaxnn.keys import Keys
from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.adapters.told import refuse_untold
from jaxnn.nn.frozen import evaluated, frozen_layers, keep_state, owners
from jaxnn.nn.modes import keywords_of

__all__ = ["from_linen"]


def from_linen(model: nn.Module, rngs: tuple[str, ...]) -> Functional:
    """See `jaxnn.nn.as_functional`."""
    call = type(model).__call__

    def init(key: jax.Array, inputs: Any) -> tuple[Any, Any]:
        with refuse_untold(model) as variables:
            variables.update(model.init(key, inputs, **keywords_of(call, train=False)))
        return variables.pop("params", {}), variables

    def apply(
        params: Any, model_state: Any, inputs: Any, *, train: bool, keys: Keys, weight: Any
    ) -> tuple[Any, Any]:
        variables = {"params": params, **model_state}
        if not train:
            return model.apply(variables, inputs, **keywords_of(call, train=False)), model_state
        # A collection lies above the paths of its layers.
        kept = frozen_layers(params, set().union(*map(owners, model_state.values())))
        with evaluated(kept):
            outputs, updated = model.apply(
                variables,
                inputs,
                rngs={name: keys(name) for name in rngs},
                mutable=list(model_state),
                **keywords_of(call, train=True, weight=weight),
            )
        return outputs, {
            name: keep_state(kept, model_state[name], new) for name, new in updated.items()
        }

    return Functional(init, apply, "weight" in keywords_of(call, train=True))
