"""The table of probes, each with the numbers that it must record, computed in NumPy float64.

A row is a probe, and a function of the steps of an epoch: for each step the parameters before it
and the real rows of its batch. The model is an MLP of two layers with a ReLU between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn import keys
from jaxnn.inspect import (
    Activations,
    Alpha,
    Average,
    CurvatureTrace,
    GradientNoise,
    GradientNorm,
    Histograms,
    LargestCurvature,
    LossDecrease,
    Norms,
    UpdateCosine,
)
from jaxnn.tree import path_name

CLASSES = 3
RATE = 0.5  # of gradient descent


class Step(NamedTuple):
    """One step in float64: what a forward pass and backpropagation by hand give."""

    params: dict[str, np.ndarray]
    z: np.ndarray  # before the ReLU
    h: np.ndarray  # behind it
    outputs: np.ndarray
    losses: np.ndarray  # (n,)
    delta: np.ndarray  # gradient of the summed loss at outputs
    dh: np.ndarray  # at h
    dz: np.ndarray  # at z
    grads: dict[str, np.ndarray]  # of the mean loss
    batch: dict[str, np.ndarray]  # its real rows
    clock: int = 0  # steps done before
    key: Any = None  # the root of the run's draws

    @property
    def updates(self) -> dict[str, np.ndarray]:
        """What plain gradient descent changes."""
        return {name: -RATE * grad for name, grad in self.grads.items()}


PARAMETERS = ("Dense_0/kernel", "Dense_0/bias", "Dense_1/kernel", "Dense_1/bias")


def by_hand(params: dict[str, Any], batch: dict[str, Any], clock: int = 0, key: Any = None) -> Step:
    """Forward pass and backpropagation of softmax cross-entropy, over real rows alone.

    Args:
      params: arrays by path.
      batch: its real rows.
      clock: steps done before.
      key: the root of the run's draws.
    """
    w1, b1, w2, b2 = (np.asarray(params[name], float) for name in PARAMETERS)
    x, y = np.asarray(batch["x"], float), np.asarray(batch["y"])
    z = x @ w1 + b1[None]
    h = np.maximum(z, 0)
    outputs = h @ w2 + b2[None]
    shifted = outputs - outputs.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    delta = np.exp(log_p) - np.eye(CLASSES)[y]
    dh = delta @ w2.T
    dz = dh * (z > 0)
    grads = [x.T @ dz, dz.sum(0), h.T @ delta, delta.sum(0)]
    return Step(
        dict(zip(PARAMETERS, (w1, b1, w2, b2), strict=True)),
        z,
        h,
        outputs,
        -log_p[np.arange(len(y)), y],
        delta,
        dh,
        dz,
        {name: grad / len(y) for name, grad in zip(PARAMETERS, grads, strict=True)},
        batch,
        clock,
        key,
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
        return {f"saved/{path_name(path)}": leaf for path, leaf in leaves}


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


def _parameter_norms(steps: list[Step]) -> dict[str, float]:
    kinds = {"parameter": "params", "gradient": "grads", "update": "updates"}
    norms = {
        f"{kind}/{name}/norm": np.array([np.linalg.norm(getattr(s, field)[name]) for s in steps])
        for kind, field in kinds.items()
        for name in PARAMETERS
    }
    values = {name: of_steps.mean() for name, of_steps in norms.items()}
    for name in PARAMETERS:
        weight, update = norms[f"parameter/{name}/norm"], norms[f"update/{name}/norm"]
        measured = weight > 0
        values[f"update/{name}/ratio"] = np.nan
        if measured.any():
            values[f"update/{name}/ratio"] = (update[measured] / weight[measured]).mean()
    return values


def _kernel_norms(steps: list[Step]) -> dict[str, float]:
    return {name: value for name, value in _parameter_norms(steps).items() if "kernel" in name}


LAYERS = {"activation/Dense_0": ("h", "dh"), "output/Dense_1": ("outputs", "delta")}


def rows_of(steps: list[Step], field: str) -> np.ndarray:
    return np.concatenate([getattr(step, field) for step in steps])


def _activations(steps: list[Step]) -> dict[str, float]:
    values = {}
    for path, (of_values, of_gradients) in LAYERS.items():
        a, g = rows_of(steps, of_values), rows_of(steps, of_gradients)
        for kind, of in (("", a), ("gradient_", g)):
            values[f"{path}/{kind}mean"] = of.mean()
            values[f"{path}/{kind}std"] = of.std()
            values[f"{path}/{kind}zeros"] = (of == 0).mean()
        values[f"{path}/dead"] = (a == 0).all(axis=0).mean()
    values["activation/Dense_0/saturated"] = values["activation/Dense_0/zeros"]
    return values


def _hidden(steps: list[Step]) -> dict[str, float]:
    values = _activations(steps).items()
    return {name: v for name, v in values if "Dense_0" in name and "gradient" not in name}


def _squares(steps: list[Step]) -> dict[str, float]:
    return {
        "preactivation/Dense_0/squares": sum((step.dz**2).sum() for step in steps),
        "preactivation/Dense_0/rows": sum(len(step.dz) for step in steps),
    }


LOW, HIGH = -12, 2


def _shares(values: np.ndarray) -> np.ndarray:
    """Shares in the bins from −2^HIGH over ±2^LOW to 2^HIGH, those at the ends open."""
    inner = 2.0 ** np.arange(LOW, HIGH)
    size = np.searchsorted(inner, np.abs(values.ravel()), side="right")
    place = np.where(values.ravel() < 0, -size, size) + len(inner)
    return np.bincount(place, minlength=2 * len(inner) + 1) / values.size


def _histograms(steps: list[Step]) -> dict[str, np.ndarray]:
    found = {}
    for path, (of_values, of_gradients) in LAYERS.items():
        found[f"{path}/histogram"] = _shares(rows_of(steps, of_values))
        found[f"{path}/gradient_histogram"] = _shares(rows_of(steps, of_gradients))
    for name in PARAMETERS:
        found[f"parameter/{name}/histogram"] = _shares(steps[0].params[name])
    return found


def _gradients_of_rows(step: Step) -> np.ndarray:
    """The gradient of the loss of each row, (rows, parameters)."""
    rows = [{name: of[i : i + 1] for name, of in step.batch.items()} for i in range(len(step.h))]
    return np.stack([flat(by_hand(step.params, row).grads) for row in rows])


def flat(tree: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([tree[name].ravel() for name in sorted(tree)])


def moved(step: Step, by: np.ndarray) -> Step:
    """The same batch at other parameters."""
    params, at = {}, 0
    for name in sorted(step.params):
        leaf = step.params[name]
        params[name] = leaf + by[at : at + leaf.size].reshape(leaf.shape)
        at += leaf.size
    return by_hand(params, step.batch)


def _noise(steps: list[Step]) -> dict[str, float]:
    variances, signals, counts = [], [], []
    for step in steps:
        rows = _gradients_of_rows(step)
        variances.append(rows.var(axis=0, ddof=1).sum())
        counts.append(len(rows))
        signals.append((rows.mean(axis=0) ** 2).sum() - variances[-1] / len(rows))
    return {
        "noise/example_variance": np.mean(variances),
        "noise/batch_variance": np.mean(np.divide(variances, counts)),
        "noise/scale": np.mean(variances) / np.mean(signals) if np.mean(signals) > 0 else np.inf,
    }


def _cosines(steps: list[Step]) -> dict[str, float]:
    def cosines(of: Callable[[Step], np.ndarray]) -> float:
        found = []
        for old, new in pairwise(steps):
            a, b = of(old), of(new)
            found.append(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
        return np.mean(found) if found else np.nan

    values = {f"update/{n}/cosine": cosines(lambda s, n=n: s.updates[n]) for n in PARAMETERS}
    return {**values, "update/cosine": cosines(lambda s: flat(s.updates))}


def _decrease(steps: list[Step]) -> dict[str, float]:
    before = [step.losses.mean() for step in steps]
    after = [moved(step, flat(step.updates)).losses.mean() for step in steps]
    return {
        "batch_loss/before": np.mean(before),
        "batch_loss/after": np.mean(after),
        "batch_loss/decreased": np.mean(np.less(after, before)),
    }


def _alpha(steps: list[Step]) -> dict[str, float]:
    """A weighted least-squares fit of a parabola to losses and slopes at both ends."""
    found = []
    for step in steps:
        direction = flat(step.updates)
        ends = [step, moved(step, direction)]
        rows = [end.losses for end in ends] + [_gradients_of_rows(end) @ direction for end in ends]
        fit = np.array([[1, 0, 0], [1, 1, 1], [0, 1, 0], [0, 1, 2]])
        weights = 1 / np.array([of.std(ddof=1) for of in rows])
        means = np.array([of.mean() for of in rows])
        _, b, c = np.linalg.lstsq(fit * weights[:, None], means * weights, rcond=None)[0]
        if b < 0:
            found.append(1 / (-b / (2 * c)) - 1)
    return {"alpha": np.mean(found) if found else np.nan}


def hessian(step: Step) -> np.ndarray:
    """By central differences of the gradient, over parameters in the order of their paths."""
    eye = 1e-6 * np.eye(len(flat(step.params)))
    columns = [flat(moved(step, e).grads) - flat(moved(step, -e).grads) for e in eye]
    return np.stack(columns) / 2e-6


def drawn(step: Step, name: str, draw: Callable[..., Any], *numbers: int) -> np.ndarray:
    key = keys.stream(step.key, name, step.clock)
    for number in numbers:
        key = jax.random.fold_in(key, number)
    shapes = [step.params[path].shape for path in sorted(step.params)]
    leaves = [draw(jax.random.fold_in(key, i), shape) for i, shape in enumerate(shapes)]
    return np.concatenate([np.asarray(leaf, float).ravel() for leaf in leaves])


def _largest_curvature(steps: list[Step]) -> dict[str, float]:
    found = []
    for step in steps:
        h, v = hessian(step), drawn(step, "largest_curvature", jax.random.normal)
        for _ in range(ITERATIONS - 1):
            v = h @ v
            v /= np.linalg.norm(v)
        v /= np.linalg.norm(v)
        largest = v @ h @ v
        found.append((largest, np.linalg.norm(h @ v - largest * v) / abs(largest)))
    largest, residual = np.mean(found, axis=0)
    return {"curvature/largest": largest, "curvature/residual": residual}


def _curvature_trace(steps: list[Step]) -> dict[str, float]:
    found = []
    for step in steps:
        h = hessian(step)
        for number in range(DRAWS):
            v = drawn(step, "curvature_trace", jax.random.rademacher, number)
            found.append(v @ h @ v)
    return {"curvature/trace": np.mean(found)}


ITERATIONS, DRAWS = 4, 2
REFERENCE = np.random.default_rng(5).normal(size=(4, 7)).astype(np.float32)


def _distance(steps: list[Step]) -> dict[str, float]:
    return {"distance": np.linalg.norm(steps[-1].params["Dense_0/kernel"] - REFERENCE)}


def _loss(steps: list[Step]) -> dict[str, float]:
    return {"mean_loss": np.mean([step.losses.mean() for step in steps])}


class Row(NamedTuple):
    """A probe, and what it must record of an epoch."""

    make: Callable[[], Any]
    expected: Callable[[list[Step]], dict[str, Any]]
    rtol: float = 2e-5  # in float32


ROWS = 1000  # of these groups each is a row
TABLE = {
    "GradientNorm": Row(GradientNorm, _norms),
    "Activations": Row(Activations, _activations),
    "Activations of some layers": Row(lambda: Activations("Dense_0", gradients=False), _hidden),
    "Norms": Row(Norms, _parameter_norms),
    "Norms of some parameters": Row(lambda: Norms("kernel"), _kernel_norms),
    "Histograms": Row(lambda: Histograms(low=LOW, high=HIGH), _histograms),
    "GradientNoise": Row(lambda: GradientNoise(ROWS, every=1), _noise, 1e-4),
    "UpdateCosine": Row(UpdateCosine, _cosines, 1e-4),
    "LossDecrease": Row(lambda: LossDecrease(every=1), _decrease),
    "LargestCurvature": Row(
        lambda: LargestCurvature(ITERATIONS, every=1), _largest_curvature, 1e-4
    ),
    "CurvatureTrace": Row(lambda: CurvatureTrace(DRAWS, every=1), _curvature_trace, 1e-4),
    "Alpha": Row(lambda: Alpha(ROWS, every=1), _alpha, 1e-4),
    "an array": Row(lambda: Distance(REFERENCE.copy()), _distance),
    "an array on the device": Row(lambda: Distance(jnp.asarray(REFERENCE)), _distance),
    "gradients at a site": Row(lambda: SquaredGradient("preactivation"), _squares),
    "a function": Row(lambda: mean_loss, _loss),
    "Average": Row(lambda: Average(mean_loss, needs=("loss",)), _loss),
}
