"""One form for the models of every library: two pure functions.

Training sees a `Functional` and nothing else, so a model enters it by an adapter: a Linen module
and a plain pair (init, apply) by `as_functional`, an NNX module by `from_nnx`.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax

from jaxnn.keys import Keys

__all__ = ["Functional", "Model", "as_functional", "from_nnx", "keywords_of", "takes_weight"]


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


Model = nn.Module | tuple[Callable[..., Any], Callable[..., Any]] | Functional
"""The forms of models: a Linen module, a pair of functions (init, apply), a `Functional`."""


def as_functional(model: Model, *, rngs: tuple[str, ...] = ("dropout",)) -> Functional:
    """A model of any known form as a `Functional`.

    A Linen module is told its mode by the keyword that its `__call__` has (`train`,
    `training`, `is_training` or `deterministic`), and the batch's weights where it has one
    named `weight`. Its collections beside the parameters are the state.

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
      TypeError: a model of no known form; a pair with parameters that nothing fills.

    >>> import jax.numpy as jnp
    >>> def apply(params, x, *, key, train):
    ...     return x @ params["w"]
    >>> model = as_functional((lambda key, x: {"w": jnp.ones((x.shape[-1], 1))}, apply))
    >>> params, model_state = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> keys = Keys(jax.random.key(0), jnp.int32(0))
    >>> model.apply(params, model_state, jnp.ones((1, 3)), train=True, keys=keys, weight=None)
    (Array([[3.]], dtype=float32), {})
    """
    if isinstance(model, Functional):
        return model
    if isinstance(model, nn.Module):
        return _from_linen(model, rngs)
    if isinstance(model, tuple) and len(model) == 2 and all(map(callable, model)):
        return _from_pair(*model)
    raise TypeError(_refusal(model))


def from_nnx(make: Callable[[Any], Any]) -> Functional:
    """An NNX module as a `Functional`.

    The parameters (`nnx.Param`) and the other variables, such as running statistics, are plain
    nested dicts, so that paths such as "Dense_0/kernel" name them. Random streams are no state:
    each is keyed anew at every call, by its name, its path and the step. Before a call the
    module is put in its mode by `train()` or `eval()`, and by the keyword of its `__call__`.

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

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> model = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
    >>> params, model_state = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> jax.tree.map(jnp.shape, (params, model_state))
    ({'bias': (2,), 'kernel': (3, 2)}, {})
    """
    # Imported here, so that only who has NNX modules waits for it.
    from jaxnn.nn.adapters.nnx import functional

    return functional(make)


def takes_weight(model: Model) -> bool:
    """Whether a model is told the batch's weights, so that padding can be left out.

    >>> takes_weight(nn.Dense(10))
    False
    """
    return as_functional(model).takes_weight


_MODES = {"train": True, "training": True, "is_training": True, "deterministic": False}


def keywords_of(function: Callable[..., Any], *, train: bool, weight: Any = None) -> dict[str, Any]:
    """What a module's `__call__` is told: its mode, and the weights where it asks for them.

    >>> keywords_of(lambda x, *, deterministic: x, train=True)
    {'deterministic': False}
    """
    names = inspect.signature(function).parameters
    keywords = {name: train is on for name, on in _MODES.items() if name in names}
    return keywords | ({"weight": weight} if "weight" in names else {})


def _from_linen(model: nn.Module, rngs: tuple[str, ...]) -> Functional:
    call = type(model).__call__

    def init(key: jax.Array, inputs: Any) -> tuple[Any, Any]:
        variables = dict(model.init(key, inputs, **keywords_of(call, train=False)))
        return variables.pop("params", {}), variables

    def apply(
        params: Any, model_state: Any, inputs: Any, *, train: bool, keys: Keys, weight: Any
    ) -> tuple[Any, Any]:
        variables = {"params": params, **model_state}
        if not train:
            return model.apply(variables, inputs, **keywords_of(call, train=False)), model_state
        outputs, updated = model.apply(
            variables,
            inputs,
            rngs={name: keys(name) for name in rngs},
            mutable=list(model_state),
            **keywords_of(call, train=True, weight=weight),
        )
        return outputs, dict(updated)

    return Functional(init, apply, "weight" in keywords_of(call, train=True))


def _from_pair(init: Callable[..., Any], apply: Callable[..., Any]) -> Functional:
    of_init = _roles("init", init, "key", tuple(_MODES))
    of_apply = _roles("apply", apply, "params", ("state", "key", "rng", "weight", *_MODES))
    stateful = "state" in of_apply.values()

    def initialize(key: jax.Array, inputs: Any) -> tuple[Any, Any]:
        made = _call(init, of_init, {"key": key, "inputs": inputs, **_MODES})
        return made if stateful else (made, {})

    def run(
        params: Any, model_state: Any, inputs: Any, *, train: bool, keys: Keys, weight: Any
    ) -> tuple[Any, Any]:
        key = keys("model") if train else None
        given = {"params": params, "inputs": inputs, "state": model_state, "weight": weight}
        modes = {name: train is on for name, on in _MODES.items()}
        outputs = _call(apply, of_apply, {**given, **modes, "key": key, "rng": key})
        return outputs if stateful else (outputs, model_state)

    return Functional(initialize, run, "weight" in of_apply.values())


def _roles(
    what: str, function: Callable[..., Any], first: str, known: tuple[str, ...]
) -> dict[str, str]:
    """What each parameter of a function is filled with."""
    signature = inspect.signature(function)
    roles: dict[str, str] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not roles:
            roles[name] = first
        elif name in known:
            roles[name] = name
        elif "inputs" not in roles.values():
            roles[name] = "inputs"
        elif parameter.default is parameter.empty:
            roles[name] = "nothing"
    if "inputs" not in roles.values() or "nothing" in roles.values():
        raise TypeError(
            f"model: {what} must have the parameters {first}, inputs, and what it needs of "
            f"{', '.join(known)}, got {signature}; a lambda around it can give it these"
        )
    return roles


def _call(function: Callable[..., Any], roles: dict[str, str], given: dict[str, Any]) -> Any:
    # By place where there is one: what a decorator wraps may know it by another name.
    arguments = OrderedDict((name, given[role]) for name, role in roles.items())
    bound = inspect.BoundArguments(inspect.signature(function), arguments)
    return function(*bound.args, **bound.kwargs)


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
