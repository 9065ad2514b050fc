r"""Gated activations: the input times a gate between 0 and 1 that depends on the input."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn.arguments import check_flag, check_knob
from jaxnn.nn.activations.rectifiers import knob_like
from jaxnn.nn.checks import check_axes, numbers

__all__ = ["gelu", "gelu_tanh", "glu", "hard_silu", "hard_swish", "mish", "silu", "swish"]

# Beyond these arguments a gate is exactly 0 or 1, in float64 too. The argument is clipped there,
# so that the powers of a large argument, and the gradients through them, do not overflow.
_SATURATED = 64.0
_SATURATED_TANH = 32.0  # the cube of this bound must fit into float16


def gelu(
    x: jax.Array, *, approximate: bool = False, alpha: float | jax.Array | None = None
) -> jax.Array:
    r"""Apply the Gaussian error linear unit (GELU).

    $$f(x) = x\,\Phi(\alpha x), \qquad
    \Phi(z) = \int_{-\infty}^z \frac{e^{-t^2/2}}{\sqrt{2\pi}}\,dt$$

    The approximation is $\Phi(z) \approx \sigma\bigl(2\sqrt{2/\pi}\,(z + 0.044715 z^3)\bigr)$.
    It equals the form with $\tfrac12(1 + \tanh)$ and differs from the exact f by less than 5e-4.

    GELU is exact by default, as in the lectures, the paper, PyTorch and Keras' layers. Flax, JAX
    and `keras.ops` approximate it by default; `approximate=True` or `gelu_tanh` gives their form.

    Args:
      x: array of any shape.
      approximate: whether to use the approximation.
      alpha: α, the steepness of the gate, any finite number; a float or a traced scalar.
        None means 1 and leaves the multiplication out.

    Returns:
      Array of the same shape and dtype.

    Raises:
      ValueError: if a concrete `alpha` is not finite.

    >>> float(gelu(jnp.array(-1.0)))
    -0.1587
    >>> float(gelu(jnp.array(-1.0), alpha=0.5))
    -0.3085

    Source: Hendrycks and Gimpel 2016; lectures M and S.
    """
    check_flag("approximate", approximate)
    x = numbers("x", x)
    z = x
    if alpha is not None:
        check_knob("alpha", alpha)
        z = knob_like(alpha, x) * x
    if approximate:
        z = jnp.clip(z, -_SATURATED_TANH, _SATURATED_TANH)
        return x * jax.nn.sigmoid(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))
    z = jnp.clip(z, -_SATURATED, _SATURATED)
    return x * (0.5 * lax.erfc(-math.sqrt(0.5) * z))


def gelu_tanh(x: jax.Array) -> jax.Array:
    r"""Apply `gelu` in its approximation by tanh, which Flax and JAX call gelu.

    $$f(x) = \tfrac12 x \bigl(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3))\bigr)$$

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(gelu_tanh(jnp.array(-1.0)))
    -0.1588

    Source: Hendrycks and Gimpel 2016.
    """
    return gelu(x, approximate=True)


def silu(x: jax.Array) -> jax.Array:
    r"""Apply SiLU, also called Swish: $x\,\sigma(x)$.

    Lecture M recommends it for deep networks.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(silu(jnp.array(-1.0)))
    -0.2689

    Source: Elfwing et al. 2017; Ramachandran et al. 2017; lecture M.
    """
    x = numbers("x", x, inexact=True, complex_too=True)
    return jax.nn.silu(x)


swish = silu


def mish(x: jax.Array) -> jax.Array:
    r"""Apply Mish, $x \tanh(\log(1 + e^x))$.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(mish(jnp.array(-1.0)))
    -0.3034

    Source: Misra 2019; lecture M.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.mish(x)


def hard_silu(x: jax.Array) -> jax.Array:
    r"""Apply hard SiLU, also called hard Swish: $x \cdot \min(\max(x + 3, 0), 6)/6$.

    It is SiLU with a piecewise linear gate.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(hard_silu(jnp.array(-1.0)))
    -0.3333

    Source: Howard et al. 2019.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.hard_silu(x)


hard_swish = hard_silu


def glu(x: jax.Array, axis: int = -1) -> jax.Array:
    r"""Apply the gated linear unit, $a\,\sigma(b)$, where a and b are the halves of an axis.

    Args:
      x: array whose size along `axis` is even.
      axis: the axis that is split into halves.

    Returns:
      Array of the same dtype, half as long along `axis`.

    Raises:
      ValueError: if the size along `axis` is odd.

    >>> glu(jnp.array([1.0, 2.0, 0.0, 100.0]))
    Array([0.5, 2. ], dtype=float32)

    Source: Dauphin et al. 2016.
    """
    x = numbers("x", x, inexact=True, complex_too=True)
    check_axes("axis", axis, x)
    size = x.shape[axis]
    if size % 2:
        raise ValueError(f"x must have an even size along axis {axis}, got the shape {x.shape}")
    value, gate = jnp.split(x, 2, axis)
    return value * jax.nn.sigmoid(gate)
