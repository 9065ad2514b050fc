"""Adam: running means of gradients, divided by their running root mean square."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_choice, check_flag
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    floating_dtype,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import bias_correction as correction
from jaxnn.optim.moments import moment, real_like, second_moment, square_root, zeros_like
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.tree import check_held

__all__ = ["AdamState", "adam", "scale_by_adam"]


class AdamState(NamedTuple):
    """State of `scale_by_adam`."""

    count: jax.Array  # () int32: updates so far
    mu: optax.Updates  # first moments, like the parameters
    nu: optax.Updates  # second moments, like the parameters, but real
    nu_max: optax.Updates  # largest second moments so far; () unless `amsgrad` is given
    mu_product: Any  # scalar: product of all first decays; () unless `momentum_decay` is given


def scale_by_adam(
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    eps_root: Knob = 0.0,
    mu_dtype: Any = None,
    *,
    bias_correction: bool = True,
    eps_before_correction: bool = False,
    nesterov: bool = False,
    amsgrad: Literal["raw", "corrected"] | None = None,
    momentum_decay: Knob | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Compute Adam's direction, as a link of a chain, without the learning rate.

    The arguments are those of `adam`, and `momentum_decay` of `nadam`.

    >>> tx = scale_by_adam()
    >>> update, _ = tx.update(jnp.array([3.0, -0.2]), tx.init(jnp.zeros(2)))
    >>> update.round(3)
    Array([ 1., -1.], dtype=float32)
    """
    check_scheduled("b1", b1, 0, 1, high_open=True)
    check_scheduled("b2", b2, 0, 1, high_open=True)
    check_scheduled("eps", eps, 0)
    check_scheduled("eps_root", eps_root, 0)
    mu_dtype = floating_dtype("mu_dtype", mu_dtype)
    bias_correction = check_flag("bias_correction", bias_correction)
    nesterov = check_flag("nesterov", nesterov)
    eps_before_correction = check_flag("eps_before_correction", eps_before_correction)
    if momentum_decay is not None:
        check_scheduled("momentum_decay", momentum_decay, 0)
    if amsgrad is not None:
        check_choice("amsgrad", amsgrad, ("raw", "corrected"))
    if not bias_correction and (nesterov or eps_before_correction or amsgrad == "corrected"):
        raise ValueError(
            "bias_correction must be True with nesterov, eps_before_correction or "
            "amsgrad='corrected', whose formulas use corrected moments, got False"
        )

    def init(params: optax.Params) -> AdamState:
        check_held("eps", eps, params)
        check_held("eps_root", eps_root, params)
        return AdamState(
            count=jnp.zeros((), jnp.int32),
            mu=zeros_like(params, mu_dtype),
            nu=jax.tree.map(real_like, params),
            nu_max=() if amsgrad is None else jax.tree.map(real_like, params),
            mu_product=() if momentum_decay is None else jnp.ones((), float),
        )

    def decay_at(count: jax.Array) -> Any:
        """Compute the first decay of update `count`; with `momentum_decay` it rises towards b1."""
        b = value_at(b1, count - 1)
        if momentum_decay is None:
            return b
        return b * (1 - 0.5 * 0.96 ** (count * value_at(momentum_decay, count - 1)))

    def update(
        updates: optax.Updates,
        state: AdamState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AdamState]:
        del params, extra_args
        count = next_count(state.count)
        beta1, beta2 = value_at(b1, state.count), value_at(b2, state.count)
        mu = moment(beta1, updates, state.mu)
        nu = second_moment(beta2, updates, state.nu)
        nu_max, product = state.nu_max, state.mu_product
        short2 = correction(beta2, count) if bias_correction else jnp.ones((), float)

        if not bias_correction:
            mean = mu
        elif not nesterov:
            mean = _divided(mu, correction(beta1, count))
        else:
            # Nesterov's momentum looks one step ahead: its mean is what Adam's would be after
            # one more decay, with the present gradient standing in for the next one.
            now, then = decay_at(count), decay_at(count + 1)
            if momentum_decay is None:
                short, short_next = correction(beta1, count), correction(beta1, count + 1)
            else:
                product = product * now
                short, short_next = 1 - product, 1 - product * then
            mean = jax.tree.map(
                lambda m, g: (
                    jnp.asarray(then / short_next, m.dtype) * m
                    + jnp.asarray((1 - now) / short, m.dtype) * g
                ),
                mu,
                updates,
            )

        square = _divided(nu, short2) if amsgrad == "corrected" else nu
        if amsgrad is not None:
            nu_max = square = jax.tree.map(jnp.maximum, nu_max, square)
        if bias_correction and amsgrad != "corrected":
            square = _divided(square, short2)
        e, e_root = value_at(eps, state.count), value_at(eps_root, state.count)
        if eps_before_correction:
            # Keras and Torch7 add ε to the root of the raw moment and then correct the quotient,
            # which is the same as a larger ε beside the corrected moment.
            e, e_root = e / jnp.sqrt(short2), e_root / short2

        def direction(g: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
            return (m / square_root(v, e_root, e)).astype(jnp.result_type(g))

        mu = jax.tree.map(lambda m, old: m.astype(old.dtype), mu, state.mu)
        updates = jax.tree.map(direction, updates, mean, square)
        return updates, AdamState(count, mu, nu, nu_max, product)

    return transformation(init, update)


def _divided(tree: optax.Updates, short: jax.Array) -> optax.Updates:
    """Divide every leaf by a scalar."""

    def divide(leaf: jax.Array) -> jax.Array:
        # In half precision the moment was built from a rounded 1 - b, which cancels only if the
        # divisor is rounded the same way. In full precision it is cheaper to divide once and
        # multiply every entry.
        if leaf.dtype.itemsize < 4:
            return leaf / short.astype(leaf.dtype)
        return leaf * (1 / short).astype(leaf.dtype)

    return jax.tree.map(divide, tree)


def adam(
    learning_rate: Knob,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    eps_root: Knob = 0.0,
    mu_dtype: Any = None,
    *,
    bias_correction: bool = True,
    eps_before_correction: bool = False,
    nesterov: bool = False,
    amsgrad: Literal["raw", "corrected"] | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Build Adam, which divides running means of gradients by their root mean square.

    $$m \leftarrow b_1 m + (1-b_1) g, \qquad v \leftarrow b_2 v + (1-b_2) g^2$$
    $$\hat m = \frac{m}{1-b_1^t}, \quad \hat v = \frac{v}{1-b_2^t}, \qquad
    \theta \leftarrow \theta
    - \alpha_t \frac{\hat m}{\sqrt{\hat v + \epsilon_\text{root}} + \epsilon}$$

    Without any ε, a parameter whose v is 0 does not move. Of complex numbers $g^2$ is $|g|^2$.

    Args:
      learning_rate: α, at least 0. The lectures start from 3e-4 (C) or 1e-3 (L).
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: ε outside the root, at least 0, as in Optax and PyTorch.
      eps_root: ε inside the root, at least 0, as lecture L writes it.
      mu_dtype: dtype of the first moment. None: the dtype of the parameters.
      bias_correction: whether to use $\hat m$ and $\hat v$. False uses m and v, as lecture C
        does.
      eps_before_correction: whether to add both ε to the raw moment v and correct afterwards,
        as Keras and Torch7 do. Their ε then counts $1/\sqrt{1-b_2^t}$ times as much.
      nesterov: whether to use Nesterov's momentum, see `nadam`.
      amsgrad: what to divide by instead of the present second moment: "raw", the largest v so
        far (PyTorch, Keras), or "corrected", the largest $\hat v$ so far (Optax). None: the
        present one.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, `bias_correction=False` is combined
        with an argument whose formula uses corrected moments, or, at `init`, ε vanishes or
        overflows in the dtype of a parameter (float16 asks for an `eps` of 1e-7 or more).

    >>> tx = adam(0.1)
    >>> params = jnp.array([1.0, 1.0])
    >>> updates, _ = tx.update(jnp.array([5.0, -0.01]), tx.init(params), params)
    >>> updates.round(3)
    Array([-0.1,  0.1], dtype=float32)

    Source: Kingma and Ba 2015, Reddi et al. 2018; lectures C, L and M.
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
    return optax.chain(direction, scale_by_learning_rate(learning_rate))
