"""Sixty-four settings of sixteen knobs at once: one compilation, and none for other values."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.population import fit_population

RANGES = {
    "lr": (1e-3, 1e-2),
    "b1": (0.5, 0.95),
    "b2": (0.9, 0.999),
    "eps": (1e-8, 1e-4),
    "decay": (1e-4, 1e-2),
    "clip": (0.5, 2.0),
    "max_norm": (1.0, 3.0),
    "dropout": (0.1, 0.6),
    "noise": (0.01, 0.2),
    "smoothing": (0.01, 0.2),
    "l1": (1e-6, 1e-4),
    "l2": (1e-6, 1e-3),
    "scale": (0.5, 2.0),
    "average": (0.8, 0.99),
    "factor": (0.1, 0.9),
    "min_delta": (0.0, 1e-3),
}


def make_recipe(knobs):
    def loss(logits, labels):
        return jaxnn.losses.softmax_cross_entropy(
            logits, labels, label_smoothing=knobs["smoothing"]
        )

    init = jaxnn.nn.he_normal(knobs["scale"])
    return jaxnn.Recipe(
        jaxnn.nn.MLP((8, 3), dropout_rate=knobs["dropout"], kernel_init=init),
        loss,
        optax.chain(
            jaxnn.optim.clip_by_global_norm(knobs["clip"]),
            jaxnn.optim.adamw(
                knobs["lr"],
                b1=knobs["b1"],
                b2=knobs["b2"],
                eps=knobs["eps"],
                weight_decay=knobs["decay"],
            ),
            jaxnn.optim.max_norm(knobs["max_norm"]),
        ),
        regularizer=jaxnn.regularizers.elastic(knobs["l1"], knobs["l2"]),
        augmentation=jaxnn.data.augment.noise(knobs["noise"]),
        average=jaxnn.optim.parameter_average(knobs["average"]),
        controllers=(
            jaxnn.train.plateau(knobs["factor"], patience=1),
            jaxnn.train.early_stopping(5, min_delta=knobs["min_delta"]),
        ),
    )


COMPILED = []


@jax.monitoring.register_event_duration_secs_listener
def note(event, seconds, **about):
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(about.get("fun_name", ""))


@pytest.mark.slow
def test_one_compilation_for_all_settings(tiny):
    draw, found = np.random.default_rng(0), []
    settings = {"epochs": 2, "batch_size": 16, "key": 0, "cohort": 16, "devices": 1}
    for _ in range(2):
        COMPILED.clear()
        knobs = {name: draw.uniform(*ends, 64) for name, ends in RANGES.items()}
        population = fit_population(make_recipe, knobs, tiny, **settings)
        found.append(sum("train_chunk" in name for name in COMPILED))
        assert len(np.unique(population.history.series("val/loss")[-1])) == 64
    assert found == [1, 0]
    print(f"{len(RANGES)} of {len(RANGES)} knobs vary, 64 settings, {found[0]} compilation")
