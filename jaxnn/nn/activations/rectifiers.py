"""ReLU and its relatives: activations that keep positive inputs, or nearly so."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.nn.checks import check_held_knob, numbers

__all__ = ["celu", "elu", "identity", "leaky_relu", "relu", "relu6", "selu", "softplus"]


def knob_like(knob: float | jax.Array, x: jax.Array) -> jax.Array:
    """Cast a knob to the dtype of `x`, or to a floating dtype where `x` holds integers."""
    return jnp.asarray(knob, jnp.result_type(x, 1.0))


def identity(x: jax.Array) -> jax.Array:
    """Return $x$ itself: no activation.

    Args:
      x: array of any shape.

    Returns:
      The same array.

    >>> identity(jnp.array([-1.0, 2.0]))
    Array([-1.,  2.], dtype=float32)
    """
    return numbers("x", x, complex_too=True)


def relu(x: jax.Array) -> jax.Array:
    r"""Apply the rectified linear unit (ReLU), $\max(0, x)$.

    The derivative at exactly 0 is 0, so a unit whose input is exactly 0 gets no gradient.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> relu(jnp.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)

    Source: lectures C, M and S.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.relu(x)


def relu6(x: jax.Array) -> jax.Array:
    r"""Apply ReLU clipped at 6, $\min(\max(0, x), 6)$.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> relu6(jnp.array([-1.0, 2.0, 8.0]))
    Array([0., 2., 6.], dtype=float32)

    Source: Krizhevsky 2010.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.relu6(x)


def leaky_relu(x: jax.Array, negative_slope: float | jax.Array = 0.01) -> jax.Array:
    r"""Apply leaky ReLU, whose gradient is not 0 for negative inputs.

    $$f(x) = \begin{cases} x & x > 0 \\ a x & x \le 0 \end{cases}$$

    For slopes up to 1 this equals $\max(ax, x)$, the form in the lectures. The derivative at
    exactly 0 is a, as in PyTorch (in JAX and Flax it is 1), so a slope of 0 gives `relu`.

    Args:
      x: array of any shape.
      negative_slope: a, any finite number; a float or a traced scalar. Lecture S uses 0.01
        and 0.1, Keras 0.2 or 0.3.

    Returns:
      Array of the same shape and dtype.

    Raises:
      ValueError: if a concrete slope is not finite.

    >>> leaky_relu(jnp.array([-1.0, 0.0, 2.0]), 0.1)
    Array([-0.1,  0. ,  2. ], dtype=float32)

    Source: Maas et al. 2013; lectures C, M and S.
    """
    x = numbers("x", x, complex_too=True)
    check_held_knob("negative_slope", negative_slope)
    return jnp.where(x > 0, x, knob_like(negative_slope, x) * x)


def elu(x: jax.Array, alpha: float | jax.Array = 1.0) -> jax.Array:
    r"""Apply the exponential linear unit (ELU), which saturates at −α.

    $$f(x) = \begin{cases} x & x > 0 \\ \alpha (e^x - 1) & x \le 0 \end{cases}$$

    Args:
      x: array of any shape.
      alpha: α, any finite number; a float or a traced scalar.

    Returns:
      Array of the same shape and dtype.

    Raises:
      ValueError: if a concrete `alpha` is not finite.

    >>> float(elu(jnp.array(-1.0)))
    -0.6321

    Source: Clevert et al. 2015; lectures M and S.
    """
    x = numbers("x", x, complex_too=True)
    check_held_knob("alpha", alpha)
    return jax.nn.elu(x, knob_like(alpha, x))


def celu(x: jax.Array, alpha: float | jax.Array = 1.0) -> jax.Array:
    r"""Apply CELU, an ELU whose derivative is continuous for every α.

    $$f(x) = \max(0, x) + \alpha (e^{\min(0, x)/\alpha} - 1)$$

    Args:
      x: array of any shape.
      alpha: α, above 0; a float or a traced scalar.

    Returns:
      Array of the same shape and dtype.

    Raises:
      ValueError: if a concrete `alpha` is not above 0.

    >>> float(celu(jnp.array(-1.0), 0.5))
    -0.4323

    Source: Barron 2017.
    """
    x = numbers("x", x, complex_too=True)
    check_held_knob("alpha", alpha, 0, low_open=True)
    return jax.nn.celu(x, knob_like(alpha, x))


def selu(x: jax.Array) -> jax.Array:
    r"""Apply the scaled ELU (SELU), which drives activations towards mean 0 and variance 1.

    $$f(x) = \lambda \begin{cases} x & x > 0 \\ \alpha (e^x - 1) & x \le 0 \end{cases}, \qquad
    \alpha = 1.6732632\ldots,\quad \lambda = 1.0507009\ldots$$

    This needs LeCun's initial weights, see `initializer_for`.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(selu(jnp.array(-1.0)))
    -1.1113

    Source: Klambauer et al. 2017; lectures M and S.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.selu(x)


def softplus(x: jax.Array) -> jax.Array:
    r"""Apply softplus, a smooth ReLU: $\log(1 + e^x)$, computed without overflow.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(softplus(jnp.array(0.0)))
    0.6931

    Source: Dugas et al. 2001.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.softplus(x)
