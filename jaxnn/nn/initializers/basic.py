"""Initial weights of a given size, and the table of which suit which activation.

Those whose size follows from the shape are in `jaxnn.nn.variance`, and can be had from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob
from jaxnn.nn.activations.table import Activation, activation_name
from jaxnn.nn.initializers.fans import Initializer, Number, draw, fans, normal_kind
from jaxnn.nn.initializers.variance import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initializer_for",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "orthogonal",
    "positive_mean",
    "variance_scaling",
    "zeros",
]


def constant(value: Number) -> Initializer:
    """Every entry the same.

    For biases: 0, or 0.01 in front of ReLU, so that no unit starts silent. Weights of a layer
    that all start alike stay alike, since their gradients are: it learns one feature only.

    Args:
      value: any finite number; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`; the key is not used.

    Raises:
      ValueError: a concrete `value` that is not finite.

    >>> constant(0.01)(jax.random.key(0), (3,), float)
    Array([0.01, 0.01, 0.01], dtype=float32)

    Source: lectures C, L and S.
    """
    check_knob("value", value)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        del key
        return jnp.full(shape, value, dtype)

    return init


def zeros() -> Initializer:
    """Zeros: for biases; of weights, the lectures' demonstration of what does not learn.

    With weights of 0 every hidden unit, and with it every gradient of a weight but the last
    layer's bias, is 0.

    Returns:
      An initializer `(key, shape, dtype) -> array`; the key is not used.

    >>> zeros()(jax.random.key(0), (3,), float)
    Array([0., 0., 0.], dtype=float32)

    Source: lectures C, L and S.
    """
    return constant(0.0)


def normal(stddev: Number = 0.01, *, truncated: bool = False) -> Initializer:
    r"""Small random numbers, $W \sim \mathcal N(0, s^2)$, whatever the shape.

    Lecture S's first idea: it serves small networks, and in deep ones activations fade away.

    Args:
      stddev: s, at least 0; a float or a traced scalar.
      truncated: whether to cut off at two standard deviations, which stay s.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `stddev` below 0.

    >>> round(float(normal()(jax.random.key(0), (600, 400), float).std()), 4)
    0.01

    Source: lecture S.
    """
    check_knob("stddev", stddev, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw(normal_kind(truncated), stddev, key, shape, dtype)

    return init


def positive_mean(mean: Number = 0.1, scale: Number = 1.0) -> Initializer:
    r"""He's weights around a small positive mean, so that fewer ReLUs start silent.

    $$W \sim \mathcal N\Bigl(\frac{m}{\text{fan-in}}, \frac{2 s^2}{\text{fan-in}}\Bigr)$$

    A lecture's advice without a number. The mean is divided by fan-in, since a unit adds it up
    that often: what it does to a layer does not depend on the layer's width.

    Args:
      mean: m, what the mean adds to a unit whose inputs average 1, at least 0; a float or a
        traced scalar.
      scale: s, factor of the random part, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete argument below 0; of the initializer, a shape without a fan-in.

    >>> weights = positive_mean(60.0)(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.mean()), 3)
    0.1

    Source: lecture L.
    """
    check_knob("mean", mean, 0)
    around_zero = he_normal(scale)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        weights = around_zero(key, shape, dtype)
        return weights + jnp.asarray(mean / fans(shape)[0], weights.dtype)

    return init


def orthogonal(scale: Number = 1.0) -> Initializer:
    r"""A random orthogonal matrix, uniform over all of them: $W^\top W = s^2 I$.

    The kernel counts as a matrix of all axes but the last against the last, so that a
    convolution's filters are orthogonal to each other. Where it has more columns than rows,
    its rows are orthogonal instead: $W W^\top = s^2 I$.

    Args:
      scale: s, at least 0; a float or a traced scalar. √2 suits ReLU.

    Returns:
      An initializer `(key, shape, dtype) -> array`, computed in float32 at least.

    Raises:
      ValueError: a concrete `scale` below 0; of the initializer, fewer than two axes.

    >>> w = orthogonal()(jax.random.key(0), (3, 3, 2), float).reshape(9, 2)
    >>> abs(w.T @ w).round(3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)

    Source: Saxe et al. 2013, in lecture S's reading list.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        fans(shape)  # refuses fewer than two axes
        rows, columns = math.prod(shape[:-1]), shape[-1]
        dtype = jnp.zeros((), dtype).dtype
        tall = (max(rows, columns), min(rows, columns))
        z = jax.random.normal(key, tall, jnp.promote_types(dtype, jnp.float32))
        q, r = jnp.linalg.qr(z)
        # Householder's signs are not random: only with those of R is every Q as likely.
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(q.dtype)[None, :]
        q = q.T if rows < columns else q
        return (q * jnp.asarray(scale, q.dtype)).reshape(shape).astype(dtype)

    return init


_BY_ACTIVATION: dict[str, Callable[[Number], Initializer]] = {
    **dict.fromkeys(("sigmoid", "tanh", "softmax"), glorot_uniform),
    **dict.fromkeys(("hard_sigmoid", "hard_tanh", "log_sigmoid", "soft_sign"), glorot_uniform),
    **dict.fromkeys(("log_softmax", "sparsemax"), glorot_uniform),
    **dict.fromkeys(("relu", "leaky_relu", "PReLU", "elu", "gelu", "silu", "mish"), he_normal),
    **dict.fromkeys(("relu6", "celu", "softplus", "gelu_tanh", "hard_silu"), he_normal),
    **dict.fromkeys(("swish", "hard_swish"), he_normal),
    "selu": lecun_normal,
}


def initializer_for(activation: str | Activation, scale: Number = 1.0) -> Initializer:
    """The initializer that suits an activation.

    He's normal for ReLU and what is like it (leaky ReLU, PReLU, ELU, GELU, Swish, Mish),
    LeCun's for SELU, Glorot's uniform for tanh, sigmoid, softmax and their like.

    Args:
      activation: its name, or the function, or a `functools.partial` of it. One that the
        table does not know gets Glorot, which assumes least.
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> initializer_for("relu").__qualname__, initializer_for("selu").__qualname__
    ('he_normal.<locals>.init', 'lecun_normal.<locals>.init')

    Source: lecture M's table.
    """
    return _BY_ACTIVATION.get(activation_name(activation), glorot_uniform)(scale)
