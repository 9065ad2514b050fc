"""Variants of Adam: Nadam with Nesterov's momentum, AdamW with decoupled weight decay."""

from __future__ import annotations

from typing import Any, Literal

import optax

from jaxnn.optim.adaptive.adam import scale_by_adam
from jaxnn.optim.decay import add_decayed_weights
from jaxnn.optim.knobs import Knob
from jaxnn.optim.rate import scale_by_learning_rate
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
    r"""Build Nadam, which is Adam with Nesterov's momentum.

    It replaces Adam's $\hat m$ by

    $$\hat m = \frac{b_1 m}{1 - b_1^{t+1}} + \frac{(1-b_1)\, g}{1 - b_1^t}$$

    With `momentum_decay` d, the first decay starts near $b_1/2$ and rises:
    $\mu_t = b_1 (1 - \tfrac12\, 0.96^{t d})$. Products of these $\mu$ then replace the powers
    of $b_1$.

    Args:
      learning_rate: α, at least 0.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: ε outside the root, at least 0.
      eps_root: ε inside the root, at least 0.
      mu_dtype: dtype of the first moment. None: the dtype of the parameters.
      momentum_decay: d, at least 0. None: a constant first decay, as in Optax. 1.0 is Keras'
        schedule, 0.004 PyTorch's default.
      eps_before_correction: as in `adam`.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range.

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
    r"""Build AdamW, which is Adam with decoupled weight decay of the weights alone.

    $$\theta \leftarrow \theta - \alpha_t \Big(
    \frac{\hat m}{\sqrt{\hat v + \epsilon_\text{root}} + \epsilon} + \lambda \theta\Big)$$

    The decay is not divided by the root, as the gradient of an L2 penalty would be. Unlike
    Optax, the default decays weights only; `mask=None` or `mask="all"` decays everything and
    gives Optax's numbers.

    Args:
      learning_rate, b1, b2, eps, eps_root, mu_dtype: as in `adam`.
      weight_decay: λ, at least 0. Optax defaults to 1e-4, PyTorch to 1e-2, Keras to 4e-3.
      mask: which parameters decay, see `jaxnn.tree.mask_tree`. None: all of them.
      nesterov, bias_correction, eps_before_correction, amsgrad: as in `adam`.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range.

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
    decay = add_decayed_weights(weight_decay, mask)
    return optax.chain(direction, decay, scale_by_learning_rate(learning_rate))
