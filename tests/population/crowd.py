"""A recipe with many knobs, and small populations of it."""

from __future__ import annotations

import numpy as np

import jaxnn
from jaxnn.population import fit_population

EPOCHS = 6


def make_recipe(knobs):
    return jaxnn.Recipe(
        jaxnn.nn.MLP((8, 3), activation="tanh", dropout_rate=knobs["dropout"]),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.adam(knobs["lr"], b1=knobs["b1"]),
        regularizer=jaxnn.regularizers.l2(knobs["l2"]),
        controllers=(
            jaxnn.train.early_stopping(patience=2, min_delta=knobs["margin"]),
            jaxnn.train.plateau(0.5, patience=1),
        ),
        average=jaxnn.optim.parameter_average(0.9),
    )


def knobs(chosen):
    """Of six settings those chosen; the first stops early, the fourth goes NaN."""
    values = {
        "lr": [0.03, 0.01, 0.003, 1e38, 0.02, 0.001],
        "b1": [0.9, 0.8, 0.9, 0.9, 0.5, 0.95],
        "l2": [0.0, 1e-3, 1e-2, 1.0, 1e-4, 1e-2],
        "dropout": [0.1, 0.2, 0.3, 0.1, 0.5, 0.0],
        "margin": [1e3, 0.0, 0.0, 0.0, 0.0, 0.0],
    }
    return {name: np.array(column)[list(chosen)] for name, column in values.items()}


def trained(chosen, data, epochs=EPOCHS, cohort=2, **settings):
    settings = {"batch_size": 16, "key": 5, "devices": 1, **settings}
    return fit_population(
        make_recipe, knobs(chosen), data, epochs=epochs, cohort=cohort, **settings
    )


def alone(member, data, epochs=EPOCHS, **settings):
    own = {name: float(column[0]) for name, column in knobs([member]).items()}
    settings = {"batch_size": 16, "key": 5, "devices": 1, **settings}
    return jaxnn.fit(make_recipe, data, knobs=own, epochs=epochs, **settings)
