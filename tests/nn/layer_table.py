"""The table of layers and models. A row gets the whole contract suite, `test_layer_*.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import numpy as np
import pytest

from jaxnn.nn import MLP, DropConnect, Dropout


@dataclass(frozen=True)
class Row:
    """One module, the knobs it draws by, and its forward pass in evaluation in NumPy."""

    name: str
    factory: Callable[..., nn.Module]  # called with the knobs by name
    knobs: dict[str, float]
    features: int  # of an input
    numpy: Callable[[dict, np.ndarray], np.ndarray]  # (params, x): the outputs
    static: dict[str, Any]  # further arguments
    param_dtypes: bool = False  # whether it takes param_dtype
    draws: tuple[tuple[int, ...], ...] = ()  # shapes of what 16 inputs draw in training

    def make(self, **changes: Any) -> nn.Module:
        return self.factory(**(self.static | self.knobs | changes))


def _mlp(phi: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict, np.ndarray], np.ndarray]:
    def forward(params: dict, h: np.ndarray) -> np.ndarray:
        last = len(params) - 1
        for layer in range(last + 1):
            p = params[f"Dense_{layer}"]
            h = h @ np.asarray(p["kernel"], float) + np.asarray(p["bias"], float)[None]
            h = h if layer == last else phi(h)
        return h

    return forward


def _dense(params: dict, x: np.ndarray, factor: float = 1.0) -> np.ndarray:
    kernel, bias = (np.asarray(params[name], float) for name in ("kernel", "bias"))
    return x @ (factor * kernel) + bias[None]


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


RATES = [0.0, 0.2, 0.5, 0.9, 0.999999]  # an axis of vmap

TABLE = [
    Row("Dropout", Dropout, {"rate": 0.4}, 24, lambda params, x: x, {}, draws=((16, 24),)),
    Row(
        "Dropout-vanilla",
        Dropout,
        {"rate": 0.4},
        24,
        lambda params, x: 0.6 * x,
        {"scale_at": "test"},
        draws=((16, 24),),
    ),
    Row(
        "Dropout-channels",
        Dropout,
        {"rate": 0.4},
        24,
        lambda params, x: x,
        {"broadcast_dims": (-1,)},
        draws=((16, 1),),
    ),
    Row(
        "DropConnect",
        DropConnect,
        {"rate": 0.4},
        12,
        _dense,
        {"features": 5},
        param_dtypes=True,
        draws=((12, 5),),
    ),
    Row(
        "DropConnect-vanilla",
        DropConnect,
        {"rate": 0.4},
        12,
        lambda params, x: _dense(params, x, 0.6),
        {"features": 5, "scale_at": "test"},
        param_dtypes=True,
        draws=((12, 5),),
    ),
    Row(
        "MLP-relu",
        MLP,
        {"dropout_rate": 0.4},
        12,
        _mlp(_relu),
        {"widths": (32, 16, 5)},
        param_dtypes=True,
        draws=((16, 32), (16, 16)),
    ),
    Row(
        "MLP-tanh",
        MLP,
        {"dropout_rate": 0.4},
        12,
        _mlp(np.tanh),
        {"widths": (16, 5), "activation": "tanh"},
        param_dtypes=True,
        draws=((16, 16),),
    ),
]

EVERY_ROW = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
EVERY_KNOB = pytest.mark.parametrize(
    ("row", "knob"),
    [pytest.param(row, knob, id=f"{row.name}-{knob}") for row in TABLE for knob in row.knobs],
)
