"""How curved the loss is: the largest eigenvalue of its Hessian, and the sum of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace
from jaxnn.train.step.view import View

__all__ = ["CurvatureTrace", "LargestCurvature"]


class CurvatureSums(NamedTuple):
    """Memory of both probes: sums over steps, and what one step adds."""

    steps: jax.Array  # ()
    values: dict[str, jax.Array]  # name -> ()


@dataclass(frozen=True)
class LargestCurvature:
    r"""The eigenvalue of the Hessian that is largest in size, by power iteration.

    $$v_{k+1} = \frac{H v_k}{\lVert H v_k \rVert}, \qquad \lambda = v_K^\top H v_K, \qquad
    \rho = \frac{\lVert H v_K - \lambda v_K \rVert}{|\lambda|}$$

    H is the Hessian, at the parameters before a step, of what the step minimizes: the mean loss of
    the batch and the penalty, with the draws of the step. It is never built: a product H v is the
    derivative of the gradient along v. Recorded per epoch, as means over the steps measured:
    "curvature/largest", λ, and "curvature/residual", ρ, which is small where the iteration has
    converged; one eigenvalue of H lies within ρ |λ| of λ. Gradient descent is stable along this
    direction for rates below 2 / λ.

    One measurement takes about three times as long as the gradients of `iterations` steps.

    Attributes:
      iterations: the number K of products, at least 1.
      every: steps from one that is measured to the next.

    Raises:
      ValueError: an argument that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probe = LargestCurvature(every=20)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> run.history.epochs[-1].values["curvature/largest"] > 0
    True

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian; lectures L and N on the
    rate and the curvature; Schneider et al. 2021, Cockpit.
    """

    iterations: int = 10
    every: int = 100

    needs: ClassVar[tuple[str, ...]] = ("measured",)

    def __post_init__(self) -> None:
        check_positive_int("iterations", self.iterations)
        check_positive_int("every", self.every)

    def measure(self, view: View) -> CurvatureSums:
        def turn(_: Any, carry: Any) -> Any:
            v = carry[0]
            product = view.hessian_product(view.params, v)
            largest = _dot(v, product)
            rest = jax.tree.map(lambda w, v: w - largest.astype(w.dtype) * v, product, v)
            residual = jnp.sqrt(_dot(rest, rest))
            return _unit(product), largest, residual

        start = _unit(_drawn(view, "largest_curvature", jax.random.normal))
        zero = jnp.zeros_like(_dot(start, start))
        _, largest, residual = jax.lax.fori_loop(0, self.iterations, turn, (start, zero, zero))
        size = jnp.abs(largest)
        # The Hessian of a linear model that is never wrong may be 0.
        share = jnp.where(size > 0, residual / jnp.where(size > 0, size, 1), 0)
        values = {"curvature/largest": largest, "curvature/residual": share}
        return CurvatureSums(jnp.ones_like(zero), values)

    def init(self, state: TrainState, shapes: StepTrace) -> CurvatureSums:
        return _empty(state, shapes)

    def update(self, memory: CurvatureSums, trace: StepTrace) -> CurvatureSums:
        return jax.tree.map(jnp.add, memory, trace.measured)

    def summarize(self, memory: CurvatureSums) -> dict[str, jax.Array]:
        return {name: total / memory.steps for name, total in memory.values.items()}


@dataclass(frozen=True)
class CurvatureTrace:
    r"""The trace of the Hessian, the sum of its eigenvalues, by Hutchinson's estimate.

    $$\widehat{\operatorname{tr} H} = \frac{1}{K} \sum_{k=1}^{K} v_k^\top H v_k, \qquad
    v_k \in \{-1, 1\}^n \text{ drawn at random}$$

    H as in `LargestCurvature`. Recorded per epoch as "curvature/trace", the mean over the steps
    measured. The estimate is unbiased, and exact where H is diagonal.

    One measurement takes about three times as long as the gradients of `draws` steps.

    Attributes:
      draws: the number K of random vectors, at least 1.
      every: steps from one that is measured to the next.

    Raises:
      ValueError: an argument that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probe = CurvatureTrace(every=20)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> run.history.epochs[-1].values["curvature/trace"] > 0
    True

    Source: Hutchinson 1989, A stochastic estimator of the trace; Schneider et al. 2021, Cockpit.
    """

    draws: int = 1
    every: int = 100

    needs: ClassVar[tuple[str, ...]] = ("measured",)

    def __post_init__(self) -> None:
        check_positive_int("draws", self.draws)
        check_positive_int("every", self.every)

    def measure(self, view: View) -> CurvatureSums:
        def add(number: jax.Array, total: jax.Array) -> jax.Array:
            v = _drawn(view, "curvature_trace", jax.random.rademacher, number)
            return total + _dot(v, view.hessian_product(view.params, v))

        zero = jnp.zeros_like(_dot(view.params, view.params))
        total = jax.lax.fori_loop(0, self.draws, add, zero)
        return CurvatureSums(jnp.ones_like(zero), {"curvature/trace": total / self.draws})

    def init(self, state: TrainState, shapes: StepTrace) -> CurvatureSums:
        return _empty(state, shapes)

    def update(self, memory: CurvatureSums, trace: StepTrace) -> CurvatureSums:
        return jax.tree.map(jnp.add, memory, trace.measured)

    def summarize(self, memory: CurvatureSums) -> dict[str, jax.Array]:
        return {name: total / memory.steps for name, total in memory.values.items()}


def _empty(state: TrainState, shapes: StepTrace) -> CurvatureSums:
    del state
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.measured)


def _drawn(view: View, name: str, draw: Callable[..., jax.Array], *numbers: Any) -> Any:
    """Draws like the parameters, at the address (stream, step, numbers, leaf)."""
    key = view.key(name)
    for number in numbers:
        key = jax.random.fold_in(key, number)
    leaves, structure = jax.tree.flatten(view.params)
    drawn = [
        draw(jax.random.fold_in(key, place), leaf.shape).astype(leaf.dtype)
        for place, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, drawn)


def _dot(a: Any, b: Any) -> jax.Array:
    products = jax.tree.map(lambda x, y: jnp.vdot(x, y).astype(float), a, b)
    return jnp.stack(jax.tree.leaves(products)).sum()


def _unit(tree: Any) -> Any:
    norm = jnp.sqrt(_dot(tree, tree))
    scale = jnp.where(norm > 0, 1 / jnp.where(norm > 0, norm, 1), 0)
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), tree)
