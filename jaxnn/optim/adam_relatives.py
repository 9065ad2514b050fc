"""Nadam and AdamW: Adam with Nesterov's momentum, Adam beside decoupled weight decay."""

from __future__ import annotations

from typing import Any, Literal

import optax

from jaxnn.optim.adam import scale_by_adam
from jaxnn.optim.decay import weight_decay as decayed_weights
from jaxnn.optim.rate import Knob, scale_by_learning_rate
from jaxnn.tree import Mask

__all__ = ["adamw", "nadam"]


def nadam(
    learning_rate: Knob,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    eps_root: Knob = 0.0,
    mu_dtype: Any = None,
    *,
    momentum_decay: Knob | None = None,
    eps_before_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Nadam: Adam with Nesterov's momentum.

    $$\hat m = \frac{b_1 m}{1 - b_1^{t+1}} + \frac{(1-b_1)\, g}{1 - b_1^t}$$

    in place of Adam's. With `momentum_decay` d the first decay starts near $b_1/2$ and rises,
    $\mu_t = b_1 (1 - \tfrac12\, 0.96^{t d})$, and products of the $\mu$ stand in place of the
    powers.

    Args:
      learning_rate: α, at least 0.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: ε outside the root, at least 0.
      eps_root: ε inside the root, at least 0.
      mu_dtype: of the first moment; None: that of the parameters.
      momentum_decay: None: a constant first decay, as in Optax; 1.0: Keras' schedule;
        0.004: PyTorch's default.
      eps_before_correction: see `adam`.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value outside its range.

    >>> import jax.numpy as jnp
    >>> tx = nadam(0.1)
    >>> params = jnp.array([1.0])
    >>> tx.update(jnp.array([5.0]), tx.init(params), params)[0].round(3)
    Array([-0.147], dtype=float32)

    Source: Dozat 2016; lecture M.
    """
    direction = scale_by_adam(
        b1,
        b2,
        eps,
        eps_root,
        mu_dtype,
        eps_before_correction=eps_before_correction,
        nesterov=True,
        momentum_decay=momentum_decay,
    )
    return optax.chain(direction, scale_by_learning_rate(learning_rate))


def adamw(
    learning_rate: Knob,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    eps_root: Knob = 0.0,
    mu_dtype: Any = None,
    weight_decay: Knob = 1e-4,
    mask: Mask | None = "weights_only",
    *,
    nesterov: bool = False,
    bias_correction: bool = True,
    eps_before_correction: bool = False,
    amsgrad: Literal["raw", "corrected"] | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""AdamW: Adam beside decoupled weight decay; biases and norm scales are left alone.

    $$\theta \leftarrow \theta - \alpha_t \Big(
    \frac{\hat m}{\sqrt{\hat v + \epsilon_\text{root}} + \epsilon} + \lambda \theta\Big)$$

    Unlike L2 through the gradient, the decay is not divided by the root: see `weight_decay`.
    Optax decays biases and norm scales too; `mask=None` or "all" gives its numbers.

    Args:
      learning_rate, b1, b2, eps, eps_root, mu_dtype: as in `adam`.
      weight_decay: λ, at least 0: 1e-4 in Optax, 1e-2 in PyTorch, 4e-3 in Keras.
      mask: what is decayed, see `jaxnn.tree.mask_tree`; None: everything, as in Optax.
      nesterov, bias_correction, eps_before_correction, amsgrad: as in `adam`.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value outside its range.

    >>> import jax, jax.numpy as jnp
    >>> tx = adamw(0.1, weight_decay=0.5)
    >>> params = {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}
    >>> zero = jax.tree.map(jnp.zeros_like, params)
    >>> tx.update(zero, tx.init(params), params)[0]
    {'bias': Array([-0.], dtype=float32), 'kernel': Array([[-0.05]], dtype=float32)}

    Source: Loshchilov and Hutter 2019; lecture M.
    """
    direction = scale_by_adam(
        b1,
        b2,
        eps,
        eps_root,
        mu_dtype,
        bias_correction=bias_correction,
        eps_before_correction=eps_before_correction,
        nesterov=nesterov,
        amsgrad=amsgrad,
    )
    decay = decayed_weights(weight_decay, mask=mask)
    return optax.chain(direction, decay, scale_by_learning_rate(learning_rate))
