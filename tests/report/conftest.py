"""Runs and populations as observers get them, without training anything."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from jaxnn.train import EpochRecord, History


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


def _make_population(
    members=12, epochs=6, knobs=None, rungs=(), names=None, folder=None, total=None, lineage=()
):
    """A population whose losses fall the faster the nearer `lr` is to 0.01.

    At each rung the better half stays; member 1 diverges in the first epoch, member 2 stops in
    the second.
    """
    draw = np.random.default_rng(0)
    if knobs is None:
        knobs = {
            "lr": np.logspace(-4, 0, members)[draw.permutation(members)],
            "l2": np.where(draw.random(members) < 0.2, 0.0, 10 ** draw.uniform(-6, -2, members)),
            "dropout": draw.uniform(0, 0.5, members),
            "b1": np.full(members, 0.9),
        }
    names = names or ["train/loss", "val/loss", "train/accuracy", "val/accuracy"]
    skill = np.exp(-((np.log10(np.clip(knobs["lr"], 1e-9, None)) + 2) ** 2) / 2)
    alive, ended, records = np.arange(members), {}, []
    for epoch in range(1, epochs + 1):
        fraction = 1 - np.exp(-epoch * (0.1 + skill) / 4)
        loss = 0.05 + 2.3 * (1 - fraction) * draw.lognormal(0, 0.03, members)
        accuracy = np.clip(0.1 + 0.88 * fraction + 0.01 * draw.normal(size=members), 0, 1)
        columns = {name: accuracy if "accuracy" in name else loss for name in names}
        if epoch == 1 and members > 1:
            ended[1] = "diverged at step 3: NaN or Inf in Dense_0/kernel"
        if epoch == 2 and members > 2:
            ended[2] = "stopped after epoch 2"
        done = np.array([0 if m in ended and epoch > min(m, 2) else 4 for m in alive])
        values = {
            name: np.where(done > 0, column[alive], np.nan) for name, column in columns.items()
        }
        if epoch == 1 and members > 1:
            for column in values.values():
                column[alive == 1] = np.nan
        values |= {"seconds": np.full(len(alive), 0.5 * len(alive) / members)}
        stopped = np.array([m in ended for m in alive])
        steps = (
            {"loss": np.repeat(values["train/loss"][:, None], 4, 1)}
            if "train/loss" in values
            else {}
        )
        records.append(EpochRecord(epoch, 4 * epoch, values, steps, stopped, {}, alive, done))
        if epoch in rungs and epoch < epochs:
            order = np.argsort(np.where(stopped, np.inf, loss[alive]))
            leaving = alive[order[(len(alive) + 1) // 2 :]]
            for member in leaving.tolist():
                ended.setdefault(member, f"taken out after epoch {epoch}")
            alive = np.setdiff1d(alive, leaving)
    config = {
        **_make_run(epochs=0, total=total or epochs).config,
        "knobs": {name: column.tolist() for name, column in knobs.items()},
        "population": {"members": members, "cohort": 4, "devices": 1, "keys": None},
        "rungs": list(rungs),
    }
    config["directions"] = {
        name: "max" if "accuracy" in name else "min" for name in names if "/" in name
    }
    fates = [ended.get(member, f"trained to epoch {epochs}") for member in range(members)]
    return SimpleNamespace(
        history=History(records),
        config=config,
        folder=folder,
        fates=fates,
        lineage=list(lineage),
        make_recipe=None,
    )


@pytest.fixture
def make_population():
    return _make_population
