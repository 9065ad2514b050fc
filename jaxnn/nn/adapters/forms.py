"""The forms of models that are accepted, each adapted to a `Functional`.

Training sees a `Functional` and nothing else, so a model enters it by an adapter: a Linen module
and a plain pair (init, apply) by `as_functional`, an NNX module by `from_nnx`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn

from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.adapters.linen import from_linen
from jaxnn.nn.adapters.pairs import from_pair

__all__ = ["Model", "as_functional", "from_nnx", "takes_weight"]


Model = nn.Module | tuple[Callable[..., Any], Callable[..., Any]] | Functional
"""The forms of models: a Linen module, a pair of functions (init, apply), a `Functional`."""


def as_functional(model: Model, *, rngs: tuple[str, ...] = ("dropout",)) -> Functional:
    """A model of any known form as a `Functional`.

    A Linen module is told its mode by the keyword that its `__call__` has (`train`, `training`,
    `is_train`, `is_training`, `deterministic`, `use_running_average`, `inference`, `eval` or
    `is_eval`), and the batch's weights where it has one named `weight`. Its collections beside
    the parameters are the state. A module that has batch statistics or draws in training, and
    has none of these keywords, is refused when it is initialized: it would stay in one mode.

    The parameters of a pair's functions are filled by name, wherever they stand. After the
    first, which is the key of `init` and the parameters of `apply`: `key` or `rng` is one key
    for the step's draws (None in evaluation), `state` the model's state, `weight` the batch's
    weights, the mode as above (in training mode for `init`), and the one that remains the
    inputs. A pair whose `apply` has a `state` returns it beside what it returns, as its
    `init` does. So what `haiku.transform` and `haiku.transform_with_state` make are models as
    they are, and others are a lambda away:

        init, apply = stax.serial(...)                       # jax.example_libraries
        model = (lambda key, x: init(key, x.shape)[1], lambda params, x: apply(params, x))

        net = eqx.nn.MLP(64, 10, 100, 2, key=key)            # Equinox
        static = eqx.partition(net, eqx.is_inexact_array)[1]
        model = (lambda key, x: eqx.filter(make(key), eqx.is_inexact_array),
                 lambda params, x: jax.vmap(eqx.combine(params, static))(x))

    Args:
      model: a `flax.linen.Module`, a pair of functions, or a `Functional`, which is returned.
      rngs: names of the streams that a Linen module draws from in training.

    Returns:
      The model's functions.

    Raises:
      TypeError: a model of no known form; a pair with parameters that nothing fills, or with a
        mode of an unknown name. (`init` of the result raises the ValueError of a Linen module
        that cannot be told its mode.)

    >>> import jax
    >>> import jax.numpy as jnp
    >>> def apply(params, x, *, key, train):
    ...     return x @ params["w"]
    >>> model = as_functional((lambda key, x: {"w": jnp.ones((x.shape[-1], 1))}, apply))
    >>> params, model_state = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> from jaxnn.keys import Keys
    >>> keys = Keys(jax.random.key(0), jnp.int32(0))
    >>> model.apply(params, model_state, jnp.ones((1, 3)), train=True, keys=keys, weight=None)
    (Array([[3.]], dtype=float32), {})
    """
    if not isinstance(rngs, (tuple, list)) or not all(isinstance(name, str) for name in rngs):
        raise TypeError(f"rngs must be a tuple of names of streams, got {rngs!r}")
    if isinstance(model, Functional):
        return model
    if isinstance(model, nn.Module):
        return from_linen(model, rngs)
    if isinstance(model, tuple) and len(model) == 2 and all(map(callable, model)):
        return from_pair(*model)
    raise TypeError(_refusal(model))


def from_nnx(make: Callable[[Any], Any]) -> Functional:
    """An NNX module as a `Functional`.

    The parameters (`nnx.Param`) and the other variables, such as running statistics, are plain
    nested dicts, so that paths such as "Dense_0/kernel" name them. Random streams are no state:
    each is keyed anew at every call, by its name, its path and the step. Before a call the
    module is put in its mode by `train()` or `eval()`, and by the keyword of its `__call__`. One
    whose statistics or dropout do not notice the mode is refused in the first step of training.

    Args:
      make: `nnx.Rngs -> nnx.Module`: a class, a partial or a lambda. It is called whenever the
        model is, since a module is an object; what its initializers draw then is not computed.
        Arrays that are no variables come from this call, so a traced knob may be one.
        (`nnx.Dropout` asks for its rate as a Python number; for a knob call
        `jaxnn.nn.dropout(rngs.dropout(), x, rate)`.)

    Returns:
      The model's functions.

    Raises:
      TypeError: `make` returns something else.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> model = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
    >>> params, model_state = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> jax.tree.map(jnp.shape, (params, model_state))
    ({'bias': (2,), 'kernel': (3, 2)}, {})
    """
    if not callable(make):
        raise TypeError(f"make must be a function nnx.Rngs -> nnx.Module, got {make!r}")
    # Imported here: flax.nnx takes a while to import, and most programs have no NNX module.
    from jaxnn.nn.adapters.nnx import functional

    return functional(make)


def takes_weight(model: Model) -> bool:
    """Whether a model is told the batch's weights, so that padding can be left out.

    >>> takes_weight(nn.Dense(10))
    False
    """
    return as_functional(model).takes_weight


def _refusal(model: Any) -> str:
    kind = model if isinstance(model, type) else type(model)
    if any(base.__module__.startswith("flax.nnx") for base in kind.__mro__):
        name = kind.__name__
        return (
            f"model: an NNX module enters as jaxnn.nn.from_nnx(lambda rngs: {name}(…, rngs=rngs))"
        )
    if isinstance(model, type) and issubclass(model, nn.Module):
        return f"model must be an instance, {model.__name__}(…), got the class {model.__name__}"
    return (
        "model must be a flax.linen.Module, a pair of functions (init, apply), or a "
        f"jaxnn.nn.Functional, as from_nnx makes of an NNX module, got {model!r}"
    )
