"""The table of probes, each with the numbers that it must record, computed in NumPy float64.

A row is a probe, and a function of the steps of an epoch: for each step the parameters before it
and the real rows of its batch. The model is an MLP of two layers with a ReLU between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect import Activations, GradientNorm

CLASSES = 3


class Step(NamedTuple):
    """One step in float64: what a forward pass and backpropagation by hand give."""

    params: dict[str, np.ndarray]
    z: np.ndarray  # before the ReLU
    h: np.ndarray  # behind it
    outputs: np.ndarray
    losses: np.ndarray  # (n,)
    dz: np.ndarray  # gradient of the summed loss at z
    grads: dict[str, np.ndarray]  # of the mean loss


def by_hand(params: dict[str, Any], batch: dict[str, Any]) -> Step:
    """Forward pass and backpropagation of softmax cross-entropy, over real rows alone."""
    w1, b1, w2, b2 = (
        np.asarray(params[layer][part], float)
        for layer in ("Dense_0", "Dense_1")
        for part in ("kernel", "bias")
    )
    x, y = np.asarray(batch["x"], float), np.asarray(batch["y"])
    z = x @ w1 + b1[None]
    h = np.maximum(z, 0)
    outputs = h @ w2 + b2[None]
    shifted = outputs - outputs.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    delta = np.exp(log_p) - np.eye(CLASSES)[y]
    dz = delta @ w2.T * (z > 0)
    grads = [x.T @ dz, dz.sum(0), h.T @ delta, delta.sum(0)]
    names = ("Dense_0/kernel", "Dense_0/bias", "Dense_1/kernel", "Dense_1/bias")
    return Step(
        dict(zip(names, (w1, b1, w2, b2), strict=True)),
        z,
        h,
        outputs,
        -log_p[np.arange(len(y)), y],
        dz,
        {name: grad / len(y) for name, grad in zip(names, grads, strict=True)},
    )


@dataclass(frozen=True)
class Saved:
    """Records the parameters before each step: what the oracle computes from."""

    steps: int
    needs: ClassVar[tuple[str, ...]] = ("params",)

    def init(self, state, shapes):
        def zeros(leaf):
            return jnp.zeros((self.steps, *leaf.shape), leaf.dtype)

        return jnp.int32(0), jax.tree.map(zeros, shapes.params)

    def update(self, memory, trace):
        at, saved = memory
        return at + 1, jax.tree.map(lambda s, p: s.at[at].set(p), saved, trace.params)

    def summarize(self, memory):
        leaves = jax.tree_util.tree_leaves_with_path(memory[1])
        return {f"saved{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}


@dataclass(frozen=True)
class Distance:
    """A probe that holds an array: how far a kernel is from it, at the last step."""

    reference: Any
    needs: ClassVar[tuple[str, ...]] = ("params",)

    def init(self, state, shapes):
        return jnp.zeros(())

    def update(self, memory, trace):
        return jnp.linalg.norm(trace.params["Dense_0"]["kernel"] - self.reference)

    def summarize(self, memory):
        return {"distance": memory}


@dataclass(frozen=True)
class SquaredGradient:
    """A probe with an argument, of the gradients at a site: a sum that is not linear in them."""

    site: str
    needs: ClassVar[tuple[str, ...]] = ("taps", "loss")

    def reduce(self, tap):
        if tap.site != self.site:
            return None
        assert tap.gradient.shape == tap.real.shape == tap.x.shape
        return {"squares": (tap.gradient**2).sum(), "rows": tap.real[:, 0].sum()}

    def init(self, state, shapes):
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.taps)

    def update(self, memory, trace):
        assert trace.grads is None and trace.params is None and trace.loss is not None
        return jax.tree.map(jnp.add, memory, trace.taps)

    def summarize(self, memory):
        return {f"{path}/{name}": v for path, sums in memory.items() for name, v in sums.items()}


def mean_loss(trace):
    """A plain function as a probe."""
    return {"mean_loss": trace.loss}


def _norms(steps: list[Step]) -> dict[str, float]:
    norms = [np.sqrt(sum((g**2).sum() for g in step.grads.values())) for step in steps]
    return {"gradient_norm/mean": np.mean(norms), "gradient_norm/max": np.max(norms)}


def _activations(steps: list[Step]) -> dict[str, float]:
    of = {"activation/Dense_0": "h", "output/Dense_1": "outputs"}
    values = {
        path: np.concatenate([getattr(step, field).ravel() for step in steps])
        for path, field in of.items()
    }
    return {f"{path}/mean": a.mean() for path, a in values.items()} | {
        f"{path}/zeros": (a == 0).mean() for path, a in values.items()
    }


def _hidden(steps: list[Step]) -> dict[str, float]:
    values = _activations(steps).items()
    return {name: value for name, value in values if "Dense_0" in name}


def _squares(steps: list[Step]) -> dict[str, float]:
    return {
        "preactivation/Dense_0/squares": sum((step.dz**2).sum() for step in steps),
        "preactivation/Dense_0/rows": sum(len(step.dz) for step in steps),
    }


REFERENCE = np.random.default_rng(5).normal(size=(4, 7)).astype(np.float32)


def _distance(steps: list[Step]) -> dict[str, float]:
    return {"distance": np.linalg.norm(steps[-1].params["Dense_0/kernel"] - REFERENCE)}


def _loss(steps: list[Step]) -> dict[str, float]:
    return {"mean_loss": np.mean([step.losses.mean() for step in steps])}


class Row(NamedTuple):
    """A probe, and what it must record of an epoch."""

    make: Callable[[], Any]
    expected: Callable[[list[Step]], dict[str, float]]


TABLE = {
    "GradientNorm": Row(GradientNorm, _norms),
    "Activations": Row(Activations, _activations),
    "Activations of some layers": Row(lambda: Activations("Dense_0"), _hidden),
    "an array": Row(lambda: Distance(REFERENCE.copy()), _distance),
    "an array on the device": Row(lambda: Distance(jnp.asarray(REFERENCE)), _distance),
    "gradients at a site": Row(lambda: SquaredGradient("preactivation"), _squares),
    "a function": Row(lambda: mean_loss, _loss),
}
