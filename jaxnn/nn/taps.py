"""Taps: places in a model where a diagnostic may look at values and at their gradients.

A tap is the identity. While a listener is set, the listener decides what a tap does; the training
step sets one that sums up what probes ask for. The sums come out of the ordinary backward pass as
the gradient of a sink of zeros, so they need no side channel out of `scan`, `remat` or `vmap`,
where values collected in a dict would be tracers of a trace that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, check_text
from jaxnn.nn.checks import numbers
from jaxnn.tree import path_name

__all__ = [
    "SITES",
    "Bounds",
    "Listener",
    "Tap",
    "belongs_to_tap",
    "is_listening",
    "layer_path",
    "listening",
    "summed",
    "tap",
]

SITES = ("preactivation", "activation", "output")
"""Where a tap stands: before an activation function, behind it, at the output of a layer."""


class Bounds(NamedTuple):
    """The values between which an activation function stays.

    Attributes:
      low: the lower bound, or −∞.
      high: the upper bound, or ∞.
      scale: what a margin is measured in: the range, or where it is infinite the size of the
        bound; 0 where the function is constant at its bound, as ReLU is.
    """

    low: float
    high: float
    scale: float

    def ends(self, margin: float) -> tuple[float, float]:
        """Values at and below the first, and at and above the second, are saturated.

        >>> Bounds(-1.0, 1.0, 2.0).ends(0.01)
        (-0.98, 0.98)
        """
        return self.low + margin * self.scale, self.high - margin * self.scale


class Tap(NamedTuple):
    """What a probe sees of one place in the model, for one (micro-)batch.

    Attributes:
      site: "preactivation", "activation" or "output".
      path: of the layer, as its parameters have it: "Dense_0", "Block_1/Conv_0".
      sites: all sites that have a tap at this path.
      x: the values, in float32 at least; the rows of the batch come first.
      gradient: of the summed loss of the examples by `x`, of its shape and dtype.
      real: booleans of the shape of `x`: False where a row is padding, of weight 0. All are True
        where the leading axis of `x` is not that of the batch's weights.
      bounds: of the activation function, where it has any that are known.
    """

    site: str
    path: str
    sites: tuple[str, ...]
    x: jax.Array
    gradient: jax.Array
    real: jax.Array
    bounds: Bounds | None = None


Listener = Callable[[str, str, jax.Array, Bounds | None], jax.Array]
"""`(site, path, x, bounds) -> x`: called at every tap that is traced while it listens."""

_LISTENER: ContextVar[Listener | None] = ContextVar("jaxnn_tap_listener", default=None)
_SCOPE = "jaxnn_tap"  # names the equations of taps in a jaxpr
# Part of the key of JAX's caches of traces: what was traced without a listener has no taps, and
# what was traced for one listener holds that one's sinks.
_trace_key = jax.make_user_context()


def tap(
    name: str, x: jax.Array, *, site: str = "activation", bounds: Bounds | None = None
) -> jax.Array:
    """Name an array of a model, so that probes of a training run can look at it.

    Models of jaxnn have taps before and behind each activation function, and every Linen module
    has one at the output of each of its submodules. This function is for models of other forms,
    and for further places. Without a probe that asks for taps it returns `x` itself.

    Values that share a name and a site are summed up together. Tap a whole batch: inside
    `jax.vmap` over examples the rows that are padding cannot be told.

    Args:
      name: of the layer or place, such as "Dense_0"; probes record by it.
      x: floating-point array, the rows of the batch first.
      site: "activation", "preactivation" or "output".
      bounds: of the activation function, such as `Bounds(-1.0, 1.0, 2.0)` for tanh, so that a
        probe can tell which values are saturated; None: none are known.

    Returns:
      `x`.

    Raises:
      ValueError: an unknown site.
      TypeError: an array that is not floating-point, or bounds that are none.

    >>> def apply(params, x):
    ...     hidden = tap("hidden", jax.nn.relu(x @ params["w"]))
    ...     return hidden @ params["v"]
    >>> float(apply({"w": jnp.ones((3, 2)), "v": jnp.ones(2)}, jnp.ones(3)))
    6.0
    """
    check_choice("site", site, SITES)
    check_text("name", name)
    x = numbers("x", x)
    if bounds is not None and not isinstance(bounds, Bounds):
        raise TypeError(f"bounds must be jaxnn.nn.taps.Bounds or None, got {bounds!r}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x must be a floating-point array, got {x.dtype} at {name!r}")
    listener = _LISTENER.get()
    if listener is None:
        return x
    with jax.named_scope(_SCOPE):
        return listener(site, name, x, bounds)


def layer_path(layer: nn.Module) -> str:
    """The path of a bound Linen module's parameters, such as "Block_1/Conv_0"."""
    return "/".join(layer.path)


def is_listening() -> bool:
    """Whether taps that are traced here have a listener."""
    return _LISTENER.get() is not None


def belongs_to_tap(equation: Any) -> bool:
    """Whether an equation of a jaxpr was traced for a tap, and would not be there without."""
    return _SCOPE in str(equation.source_info.name_stack)


@contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Call a listener at every tap that is traced within; None: no listener.

    >>> def double(site, path, x, bounds):
    ...     return 2 * x
    >>> with listening(double):
    ...     float(tap("hidden", 1.5))
    3.0
    """
    token = _LISTENER.set(listener)
    outputs = nullcontext() if listener is None else nn.intercept_methods(_tap_outputs)
    try:
        with _trace_key(listener), outputs:
            yield
    finally:
        _LISTENER.reset(token)


def _tap_outputs(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Tap the floating-point outputs of a submodule of a Linen module."""
    outputs = call(*args, **kwargs)
    path = context.module.path
    # The wrappers of `nn.remat`, `nn.scan` and `nn.jit` call under another name, and contain the
    # call of the module that they wrap.
    if context.method_name != "__call__" or not path:
        return outputs

    def at_leaf(below: Any, leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        # Of several outputs each is told apart by its place among them: "LSTM_0/1".
        name = "/".join(filter(None, (*path, path_name(below))))
        return tap(name, leaf, site="output")

    return jax.tree_util.tree_map_with_path(at_leaf, outputs)


_Sums = TypeVar("_Sums")


def summed(
    reduce: Callable[[jax.Array, jax.Array, jax.Array], _Sums],
    x: jax.Array,
    sink: _Sums,
    real: jax.Array,
    scale: jax.Array | float = 1.0,
) -> jax.Array:
    r"""Return `x`, and make the gradient of `sink` what `reduce` computes from `x`.

    $$y = x, \qquad \bar x = \bar y, \qquad
    \overline{\mathrm{sink}} = \mathrm{reduce}(x, c\, \bar y, \mathrm{real})$$

    Gradients that meet in one sink are added: those of the turns of a `scan`, of micro-batches,
    of several calls. Reverse mode only: `jax.jvp` refuses it.

    Args:
      reduce: `(x, gradient, real) -> sums`, with `x` and the gradient in float32 at least.
      x: floating-point array.
      sink: pytree of zeros, like the sums.
      real: bool array of the shape of `x`.
      scale: c, which turns the cotangent into the gradient that `reduce` is given.

    >>> def reduce(x, gradient, real):
    ...     return {"x": x.sum(), "gradient": gradient.sum()}
    >>> def loss(sink):
    ...     x = jnp.array([1.0, 2.0])
    ...     return (3 * summed(reduce, x, sink, jnp.ones(2, bool))).sum()
    >>> jax.grad(loss)({"x": jnp.zeros(()), "gradient": jnp.zeros(())})
    {'gradient': Array(6., dtype=float32), 'x': Array(3., dtype=float32)}
    """
    return _summed(reduce, x, sink, real, scale)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _summed(reduce: Any, x: jax.Array, sink: Any, real: jax.Array, scale: Any) -> jax.Array:
    del reduce, sink, real, scale
    return x


def _forward(reduce: Any, x: jax.Array, sink: Any, real: jax.Array, scale: Any) -> Any:
    del reduce, sink
    return x, (x, real, scale)


def _backward(reduce: Any, residuals: Any, cotangent: jax.Array) -> Any:
    x, real, scale = residuals
    wide = jnp.promote_types(x.dtype, jnp.float32)
    gradient = cotangent.astype(wide) * jnp.asarray(scale, wide)
    sums = reduce(x.astype(wide), gradient, real)
    # The gradient of a `vmap` adds up what depends on the mapped values, and takes what does not,
    # such as a count, once. So all sums depend on `x`, in a form that XLA takes out again.
    present = jnp.any(x == x)
    sums = jax.tree.map(lambda leaf: jnp.where(present, leaf, leaf), sums)
    # The barrier keeps what is done with the sums out of the loops that compute the gradient:
    # without it, XLA of JAX 0.7 fused them otherwise than without a probe, to other bits.
    return cotangent, jax.lax.optimization_barrier(sums), None, None


_summed.defvjp(_forward, _backward)
