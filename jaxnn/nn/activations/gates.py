r"""Activations that let an input through by degrees: $x$ times a gate between 0 and 1."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn.arguments import check_knob
from jaxnn.nn.activations.rectifiers import knob_like

__all__ = ["gelu", "gelu_tanh", "glu", "hard_silu", "hard_swish", "mish", "silu", "swish"]

# From here on a gate is 0 or 1 to the last bit, in float64 too; bounding its argument keeps
# the powers of a large one, and the gradients through them, from overflow.
_SATURATED = 64.0
_SATURATED_TANH = 32.0  # its cube must fit into float16


def gelu(
    x: jax.Array, *, approximate: bool = False, alpha: float | jax.Array | None = None
) -> jax.Array:
    r"""Gaussian error linear unit.

    $$f(x) = x\,\Phi(\alpha x), \qquad
    \Phi(z) = \int_{-\infty}^z \frac{e^{-t^2/2}}{\sqrt{2\pi}}\,dt$$

    or, approximately, $\Phi(z) \approx \sigma\bigl(2\sqrt{2/\pi}\,(z + 0.044715 z^3)\bigr)$, which
    is the form with $\tfrac12(1 + \tanh)$ and differs by less than 5e-4.

    Exact by default, as in the lectures, the paper, PyTorch and Keras' layers. Flax, JAX and
    `keras.ops` approximate by default: `approximate=True`, or `gelu_tanh` by name.

    Args:
      x: array of any shape.
      approximate: whether to take the form with tanh.
      alpha: α, the steepness of the gate, any finite number; a float or a traced scalar.
        None: 1, without a multiplication.

    Returns:
      Array of the same shape and dtype.

    Raises:
      ValueError: a concrete `alpha` that is not finite.

    >>> float(gelu(jnp.array(-1.0)))
    -0.1587
    >>> float(gelu(jnp.array(-1.0), alpha=0.5))
    -0.3085

    Source: Hendrycks and Gimpel 2016; lectures M and S.
    """
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
    r"""`gelu` in the form with tanh, which is what Flax and JAX call gelu.

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
    r"""SiLU, also called Swish, $x\,\sigma(x)$: lecture M's choice for deep networks.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(silu(jnp.array(-1.0)))
    -0.2689

    Source: Elfwing et al. 2017; Ramachandran et al. 2017; lecture M.
    """
    return jax.nn.silu(x)


swish = silu


def mish(x: jax.Array) -> jax.Array:
    r"""Mish, $x \tanh(\log(1 + e^x))$.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(mish(jnp.array(-1.0)))
    -0.3034

    Source: Misra 2019; lecture M.
    """
    return jax.nn.mish(x)


def hard_silu(x: jax.Array) -> jax.Array:
    r"""SiLU in straight pieces, $x \cdot \min(\max(x + 3, 0), 6)/6$; also called hard Swish.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(hard_silu(jnp.array(-1.0)))
    -0.3333

    Source: Howard et al. 2019.
    """
    return jax.nn.hard_silu(x)


hard_swish = hard_silu


def glu(x: jax.Array, axis: int = -1) -> jax.Array:
    r"""Gated linear unit, $a\,\sigma(b)$ of the two halves of an axis.

    Args:
      x: array whose size along `axis` is even.
      axis: the axis that is halved.

    Returns:
      Array of the same dtype, half as large along `axis`.

    Raises:
      ValueError: an odd size.

    >>> glu(jnp.array([1.0, 2.0, 0.0, 100.0]))
    Array([0.5, 2. ], dtype=float32)

    Source: Dauphin et al. 2016.
    """
    size = x.shape[axis]
    if size % 2:
        raise ValueError(f"x must have an even size along axis {axis}, got the shape {x.shape}")
    value, gate = jnp.split(x, 2, axis)
    return value * jax.nn.sigmoid(gate)
