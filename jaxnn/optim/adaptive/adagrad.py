"""AdaGrad: the rate of each parameter falls with the sum of its squared gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_flag, check_knob
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import absolute_square, check_updates, real_like, square_root
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.tree import check_held

__all__ = ["RssState", "adagrad", "over_root", "scale_by_rss"]


def over_root(g: jax.Array, square: jax.Array, eps: Any, eps_in_sqrt: bool) -> jax.Array:
    """Divide a gradient by the root of an accumulated square, with ε inside or outside it."""
    root = square_root(square, eps, 0.0) if eps_in_sqrt else square_root(square, 0.0, eps)
    return g / root


class RssState(NamedTuple):
    """State of `scale_by_rss`."""

    count: jax.Array  # () int32: updates so far
    sum_of_squares: optax.Updates  # like the parameters, but real


def scale_by_rss(
    initial_accumulator_value: float | jax.Array = 0.1,
    eps: Knob = 1e-7,
    *,
    eps_in_sqrt: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Divide gradients by the root of the sum of their squares, as `adagrad` does.

    This is AdaGrad's direction as a link of a chain, without the learning rate. The arguments
    are those of `adagrad`.

    >>> tx = scale_by_rss(0.0, eps=0.0)
    >>> update, _ = tx.update(jnp.array([3.0, 0.0]), tx.init(jnp.zeros(2)))
    >>> update
    Array([1., 0.], dtype=float32)
    """
    check_knob("initial_accumulator_value", initial_accumulator_value, 0)
    check_scheduled("eps", eps, 0)
    eps_in_sqrt = check_flag("eps_in_sqrt", eps_in_sqrt)

    def init(params: optax.Params) -> RssState:
        check_held("eps", eps, params)
        check_held("initial_accumulator_value", initial_accumulator_value, params)
        start = jax.tree.map(lambda p: real_like(p, initial_accumulator_value), params)
        return RssState(count=jnp.zeros((), jnp.int32), sum_of_squares=start)

    def update(
        updates: optax.Updates,
        state: RssState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RssState]:
        del params, extra_args
        check_updates(updates, state.sum_of_squares)
        squares = jax.tree.map(lambda g, s: s + absolute_square(g), updates, state.sum_of_squares)
        e = value_at(eps, state.count)
        updates = jax.tree.map(lambda g, s: over_root(g, s, e, eps_in_sqrt), updates, squares)
        return updates, RssState(count=next_count(state.count), sum_of_squares=squares)

    return transformation(init, update)


def adagrad(
    learning_rate: Knob,
    initial_accumulator_value: float | jax.Array = 0.1,
    eps: Knob = 1e-7,
    *,
    eps_in_sqrt: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Build AdaGrad, which lowers the rate of each parameter by its squared gradients.

    $$G \leftarrow G + g^2, \qquad
    \theta \leftarrow \theta - \alpha_t \frac{g}{\sqrt{G + \epsilon}}$$

    With `eps_in_sqrt=False` the step is $g / (\sqrt G + \epsilon)$. Either way G contains the
    square of the gradient that it divides, as in the paper and in all three lectures. Lecture L
    writes $G_{t-1}$ beside $g(\theta_{t-1})$: its $G_{t-1}$ ends with the square of this very
    gradient, and only its sum starts one step late, at $t' = 1$ instead of 0. Lecture C writes
    no ε: with `eps=0` a parameter whose G is 0 does not move. Of complex numbers $g^2$ is $|g|^2$.

    Args:
      learning_rate: α, at least 0.
      initial_accumulator_value: G before the first update, at least 0. Optax and Keras start
        at 0.1, PyTorch and the lectures at 0.
      eps: ε, at least 0.
      eps_in_sqrt: whether ε is inside the root (lectures L and M, Optax, Keras) or outside
        (PyTorch).

    Each float may be a traced scalar, and all but `initial_accumulator_value` a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, or, at `init`, vanishes or overflows in
        the dtype of a parameter.

    >>> tx = adagrad(1.0, 0.0, eps=1.0)
    >>> params = jnp.array([0.0])
    >>> tx.update(jnp.array([1.0]), tx.init(params), params)[0]
    Array([-0.70710677], dtype=float32)

    Source: Duchi et al. 2011; lectures C, L and M.
    """
    return optax.chain(
        scale_by_rss(initial_accumulator_value, eps, eps_in_sqrt=eps_in_sqrt),
        scale_by_learning_rate(learning_rate),
    )
