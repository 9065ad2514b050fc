"""Runs as `jaxnn.fit` hands them to observers, without training anything."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest


def _make_run(epochs=3, steps=4, folder=None, total=None, config=None, change=None):
    """A run whose losses fall from epoch to epoch; `change(record)` alters each record."""
    draw = np.random.default_rng(0)
    records = []
    for epoch in range(1, epochs + 1):
        at = epoch - 1 + np.arange(1, steps + 1) / steps
        loss = 0.1 + 2.2 * np.exp(-at / 4) * draw.lognormal(0, 0.2, steps)
        fraction = 1 - np.exp(-epoch / 3)
        values = {
            "train/loss": float(loss.mean()),
            "train/accuracy": 0.3 + 0.69 * fraction,
            "val/loss": float(0.25 + 1.9 * np.exp(-epoch / 4) + 0.004 * epoch),
            "val/accuracy": 0.3 + 0.65 * fraction + 0.004 * float(draw.normal()),
            "gradient_norm/mean": float(1.5 * np.exp(-epoch / 9)),
            "seconds": 6.0 if epoch == 1 else 1.3,
            "examples_per_second": 21034.4,
            "rate_scale": 1.0,
        }
        record = SimpleNamespace(epoch=epoch, values=values, steps={"loss": loss}, stopped=False)
        if change is not None:
            change(record)
        records.append(record)
    base = {
        "epochs": total or epochs,
        "batch_size": 64,
        "steps_per_epoch": steps,
        "train_examples": 1078,
        "key": {"implementation": "threefry2x32", "data": [0, 1]},
        "recipe": {
            "model": {"name": "MLP", "features": [100, 100, 10], "dropout_rate": 0.5},
            "loss": "softmax_cross_entropy",
            "optimizer": "adam(learning_rate=0.001, b1=0.9, b2=0.999)",
            "regularizer": {"name": "l2", "strength": 0.0001},
            "augmentation": None,
        },
        "knobs": {"lr": 0.001, "dropout": 0.5},
        "versions": {"jax": "0.10.0", "flax": "0.12.0", "python": "3.11.2"},
        "devices": ["TFRT_CPU_0", "TFRT_CPU_1"],
        "settings": None,
        "directions": {
            f"{split}/{name}": best
            for split in ("train", "val")
            for name, best in (("loss", "min"), ("accuracy", "max"))
        },
    }
    history = SimpleNamespace(epochs=records)
    config = base | (config or {})
    return SimpleNamespace(history=history, config=config, folder=folder, make_recipe=None)


@pytest.fixture
def make_run():
    return _make_run
