"""The layers' and models' formulas in NumPy, in float64: what the layer table is held to.

A formula takes the module's variables and its inputs, (n, …), and gives the outputs of evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np

Formula = Callable[[Mapping[str, Any], np.ndarray], np.ndarray]
Pairs = Sequence[tuple[int, int]]


def float64(leaf: Any) -> np.ndarray:
    return np.asarray(leaf, np.float64)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))


def dense(params: Mapping[str, Any], x: np.ndarray, factor: float = 1.0) -> np.ndarray:
    y = x @ (factor * float64(params["kernel"]))
    return y + float64(params["bias"]) if "bias" in params else y


def maxout(params: Mapping[str, Any], x: np.ndarray, pieces: int) -> np.ndarray:
    maps = dense(params["Dense_0"], x)
    return np.max([maps[..., piece::pieces] for piece in range(pieces)], axis=0)


def normalized(x: np.ndarray, axes: Any, epsilon: float) -> np.ndarray:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def affine(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    return x * float64(params["scale"]) + float64(params["bias"])


def batch_norm(variables: Mapping[str, Any], x: np.ndarray, epsilon: float) -> np.ndarray:
    mean, variance = (float64(variables["batch_stats"][name]) for name in ("mean", "var"))
    return affine(variables["params"], (x - mean) / np.sqrt(variance + epsilon))


def layer_norm(variables: Mapping[str, Any], x: np.ndarray, epsilon: float) -> np.ndarray:
    return affine(variables["params"], normalized(x, -1, epsilon))


def rms_norm(variables: Mapping[str, Any], x: np.ndarray, epsilon: float) -> np.ndarray:
    root = np.sqrt(np.square(x).mean(-1, keepdims=True) + epsilon)
    return x / root * float64(variables["params"]["scale"])


def group_norm(
    variables: Mapping[str, Any], x: np.ndarray, epsilon: float, groups: int
) -> np.ndarray:
    apart = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    return affine(variables["params"], normalized(apart, (1, 3), epsilon).reshape(x.shape))


def cross_correlation(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Sequence[int] | None = None,
    padding: Pairs | None = None,
    dilation: Sequence[int] | None = None,
) -> np.ndarray:
    """Output entry by output entry, kernel entry by kernel entry, over any number of axes."""
    axes = kernel.ndim - 2
    strides, dilation = strides or (1,) * axes, dilation or (1,) * axes
    x = np.pad(x, ((0, 0), *(padding or ((1, 1),) * axes), (0, 0)))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel.shape, dilation, strict=False)]
    outputs = [(x.shape[1 + axis] - reach[axis]) // strides[axis] + 1 for axis in range(axes)]
    y = np.zeros((len(x), *outputs, kernel.shape[-1]))
    for at in np.ndindex(*outputs):
        for entry in np.ndindex(*kernel.shape[:-2]):
            place = zip(at, strides, entry, dilation, strict=True)
            window = tuple(i * s + a * d for i, s, a, d in place)
            y[(slice(None), *at)] += x[(slice(None), *window)] @ kernel[entry]
    return y


def transposed_convolution(
    params: Mapping[str, Any], x: np.ndarray, strides: Sequence[int], padding: Pairs
) -> np.ndarray:
    """Inputs that stand strides apart, with zeros between and around them, and a convolution."""
    sizes = [(size - 1) * step + 1 for size, step in zip(x.shape[1:-1], strides, strict=True)]
    apart = np.zeros((len(x), *sizes, x.shape[-1]))
    apart[(slice(None), *(slice(None, None, step) for step in strides))] = x
    y = cross_correlation(apart, float64(params["kernel"]), padding=padding)
    return y + float64(params["bias"]) if "bias" in params else y


def convolution(params: Mapping[str, Any], x: np.ndarray, groups: int = 1, **geometry: Any) -> Any:
    """The layer: each group of channels with its kernels, and the bias."""
    kernel = float64(params["kernel"])
    parts = zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
    y = np.concatenate([cross_correlation(*part, **geometry) for part in parts], -1)
    return y + float64(params["bias"]) if "bias" in params else y


def windows(x: np.ndarray, window: Any, strides: Any, padding: Any, fill: float = 0) -> np.ndarray:
    """The entries of each window, (n, h', w', channels, entries), by looking at each."""
    (kh, kw), (sh, sw) = np.broadcast_to(window, 2), np.broadcast_to(strides, 2)
    if padding == "SAME":
        totals = [
            max((-(-size // s) - 1) * s + k - size, 0)
            for size, s, k in zip(x.shape[1:3], (sh, sw), (kh, kw), strict=True)
        ]
        padding = [(t // 2, t - t // 2) for t in totals]
    if padding != "VALID":
        x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    rows = range(0, x.shape[1] - kh + 1, sh)
    columns = range(0, x.shape[2] - kw + 1, sw)
    n, channels = len(x), x.shape[3]

    def cut(i: int, j: int) -> np.ndarray:
        return x[:, i : i + kh, j : j + kw].reshape(n, kh * kw, channels).swapaxes(1, 2)

    return np.stack([np.stack([cut(i, j) for j in columns], 1) for i in rows], 1)


def max_pool(x: np.ndarray, window: Any, strides: Any, padding: Any = "VALID") -> np.ndarray:
    return windows(x, window, strides, padding, -np.inf).max(-1)


def pool_probabilities(entries: np.ndarray) -> np.ndarray:
    """With which each entry of a window is drawn."""
    sizes = relu(float64(entries))
    total = sizes.sum(-1, keepdims=True)
    return np.divide(sizes, total, out=np.zeros_like(sizes), where=total > 0)


def regions(x: np.ndarray, axis: int, borders: Sequence[int], overlapping: bool) -> np.ndarray:
    """The largest entry between each border and the next one."""
    parts = [
        np.take(x, range(a, min(b + overlapping, x.shape[axis])), axis).max(axis)
        for a, b in pairwise(borders)
    ]
    return np.stack(parts, axis)


def stochastic_pool_mean(x: np.ndarray, *geometry: Any) -> np.ndarray:
    entries = windows(x, *geometry)
    return (pool_probabilities(entries) * entries).sum(-1)


def mlp(phi: Callable, normalization: str = "", epsilon: float = 1e-5) -> Formula:
    """Dense layers, with a normalization by running statistics before the activation."""

    def forward(variables: Mapping[str, Any], h: np.ndarray) -> np.ndarray:
        params = variables["params"]
        last = sum(name.startswith("Dense_") for name in params) - 1
        for layer in range(last):
            h = dense(params[f"Dense_{layer}"], h)
            if normalization:
                h = batch_norm(within(variables, f"{normalization}_{layer}"), h, epsilon)
            h = phi(h)
        return dense(params[f"Dense_{last}"], h)

    return forward


def convnet(
    stages: Sequence[int], hidden: int, phi: Callable, pool: Callable | None = None
) -> Formula:
    """So many convolutions before each pooling, and so many hidden dense layers."""
    pool = pool or max_pool

    def forward(variables: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
        params, layer = variables["params"], count()
        for convolutions in stages:
            for _ in range(convolutions):
                x = phi(convolution(params[f"Conv_{next(layer)}"], x))
            x = pool(x, 2, 2, "VALID")
        x = x.reshape(len(x), -1)
        for i in range(hidden):
            x = phi(dense(params[f"Dense_{i}"], x))
        return dense(params[f"Dense_{hidden}"], x)

    return forward


def resnet(depth: int) -> Formula:
    """Blocks of two convolutions around a shortcut, each convolution with batch normalization."""

    def forward(variables: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
        layer, large = count(), depth == 18

        def conv_norm(x: np.ndarray, stride: int = 1, pad: int = 1) -> np.ndarray:
            i = next(layer)
            geometry = {"strides": (stride, stride), "padding": [(pad, pad)] * 2}
            y = convolution(variables["params"][f"Conv_{i}"], x, **geometry)
            return batch_norm(within(variables, f"BatchNorm_{i}"), y, 1e-5)

        x = relu(conv_norm(x, 2, 3) if large else conv_norm(x))
        if large:
            x = max_pool(x, 3, 2, [(1, 1), (1, 1)])
        for stage, blocks in enumerate((2,) * 4 if large else ((depth - 2) // 6,) * 3):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                y = conv_norm(relu(conv_norm(x, stride)))
                if x.shape != y.shape and large:
                    x = conv_norm(x, stride, 0)
                elif x.shape != y.shape:
                    new = y.shape[-1] - x.shape[-1]
                    x = np.pad(x[:, ::stride, ::stride], ((0, 0),) * 3 + ((0, new),))
                x = relu(x + y)
        return dense(variables["params"]["Dense_0"], x.mean((1, 2)))

    return forward


def within(variables: Mapping[str, Any], layer: str) -> dict[str, Any]:
    """The variables of one layer of a model."""
    return {kind: layers[layer] for kind, layers in variables.items() if layer in layers}
