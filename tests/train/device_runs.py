"""The runs that the tests of several devices compare with a run on one."""

from __future__ import annotations

import jax
import numpy as np

import jaxnn

CLASSES = 8
_N, _VAL = 70, 22  # in batches of 30 the last has 10 rows: of 8 devices, 3 have none


def data(dtype=np.float32):
    """Of 6 features in 8 classes: 70 examples, 22 to validate on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_N + _VAL, 6)).astype(dtype)
    y = (x @ rng.normal(size=(6, CLASSES))).argmax(-1).astype(np.int32)
    parts = ({"x": x[rows], "y": y[rows]} for rows in (slice(0, _N), slice(_N, None)))
    return jaxnn.data.Data(*parts)


def recipe(optimizer, dropout_rate=0.3, normalization="batch", **more):
    """Two layers, the widths of which divide by eight."""
    return jaxnn.Recipe(
        jaxnn.nn.MLP((16, CLASSES), dropout_rate=dropout_rate, normalization=normalization),
        jaxnn.losses.softmax_cross_entropy,
        optimizer,
        regularizer=jaxnn.regularizers.l2(1e-3),
        metrics={"accuracy": jaxnn.metrics.accuracy},
        **more,
    )


def fit(of, devices, dtype=np.float32, **more):
    """Seven epochs of three steps."""
    settings = {"epochs": 7, "batch_size": 30, "key": 1} | more
    return jaxnn.fit(of, data(dtype), devices=devices, **settings)


def assert_same_run(actual, expected, atol):
    """Parameters, running statistics, and all that the history has of losses and metrics."""
    assert actual.state.clock == expected.state.clock
    for part in ("params", "model_state", "averaged"):
        a, b = (jax.tree.leaves(getattr(run.state, part)) for run in (actual, expected))
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, rtol=0, atol=atol)
    assert set(expected.history.epochs[0].values) > {"train/accuracy", "val/loss", "val/accuracy"}
    for a, b in zip(actual.history.epochs, expected.history.epochs, strict=True):
        for name in set(b.values) - {"seconds", "examples_per_second"}:
            np.testing.assert_allclose(a.values[name], b.values[name], rtol=0, atol=atol)
        assert set(a.steps) == set(b.steps) >= {"loss", "accuracy"}
        for name in b.steps:
            np.testing.assert_allclose(a.steps[name], b.steps[name], rtol=0, atol=atol)
