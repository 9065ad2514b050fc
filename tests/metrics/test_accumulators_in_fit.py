"""Accumulators on their way through training: records, files, micro-batches, skipped steps."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn import metrics
from jaxnn.train import init_state, train_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 5)).astype(np.float32)
Y = (X @ RNG.normal(size=(5, 3))).argmax(-1).astype(np.int32)
SPOILT = X[:50].copy()
SPOILT[20] = 3e38  # finite, and overflows in the model: one step of an epoch is skipped
DATA = jaxnn.data.Data({"x": SPOILT, "y": Y[:50]}, {"x": X[50:], "y": Y[50:]})


def recipe(**more):
    return jaxnn.Recipe(
        jaxnn.nn.MLP((8, 3)),
        partial(jaxnn.losses.softmax_cross_entropy, label_smoothing=0.1),
        jaxnn.optim.adam(0.01),
        **{
            "metrics": {
                "confusion": metrics.confusion_matrix,
                "calibration": metrics.calibration_error,
                "top": partial(metrics.top_k_accuracy, k=2),
            },
            **more,
        },
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return jaxnn.fit(
        recipe(skip_nonfinite=3),
        DATA,
        epochs=2,
        batch_size=16,
        accumulate=2,
        eval_batch_size=7,
        key=0,
        folder=folder,
    )


def confusion(logits, labels):
    counts = np.zeros((3, 3))
    np.add.at(counts, (labels, logits.argmax(1)), 1)
    return counts


def test_arrays_stand_beside_the_values(run):
    record = run.history.epochs[-1]
    assert set(record.arrays) == {"train/confusion", "val/confusion"}
    assert {"train/calibration", "val/calibration", "val/top"} <= set(record.values)
    assert set(record.steps) == {"loss", "skipped", "calibration", "top"}
    expected = confusion(run.predict(X[50:]), Y[50:])
    np.testing.assert_array_equal(record.arrays["val/confusion"], expected)


def test_a_skipped_step_is_in_no_matrix(run):
    sizes = np.array([16, 16, 16, 2])  # the last batch is ragged, the others are whole
    for record in run.history.epochs:
        skipped = record.steps["skipped"] == 1
        assert skipped.sum() == 1
        assert record.arrays["train/confusion"].sum() == sizes[~skipped].sum()
        np.testing.assert_array_equal(np.isnan(record.steps["calibration"]), skipped)


def test_arrays_are_read_back_from_the_folder(run):
    read = jaxnn.train.History.read(run.folder / "history.jsonl")
    for ours, theirs in zip(run.history.epochs, read.epochs, strict=True):
        assert ours.arrays.keys() == theirs.arrays.keys()
        for name, array in ours.arrays.items():
            assert array.dtype == theirs.arrays[name].dtype == np.float64
            np.testing.assert_array_equal(array, theirs.arrays[name])


@pytest.mark.parametrize("batch_size", [7, 64])
def test_evaluate_gives_arrays_whatever_the_batch_size(run, batch_size):
    values = run.evaluate({"x": X, "y": Y}, batch_size=batch_size)
    logits = run.predict(X)
    np.testing.assert_array_equal(values["confusion"], confusion(logits, Y))
    assert isinstance(values["confusion"], np.ndarray) and isinstance(values["top"], float)
    whole = metrics.calibration_error(jnp.asarray(logits), jnp.asarray(Y)).result()
    assert values["calibration"] == pytest.approx(float(whole), rel=1e-5)


def test_r2_over_micro_batches_is_that_of_the_whole():
    """A merge of its own, in the step and in evaluation, on targets far from 0."""
    y = (1e4 + X[:, :1] - X[:, 1:2]).astype(np.float32)
    model = jaxnn.Recipe(
        jaxnn.nn.MLP((1,)),
        jaxnn.losses.squared_error,
        jaxnn.optim.sgd(0.0),
        metrics={"r2": metrics.r2},
    )
    batch = {"x": jnp.asarray(X), "y": jnp.asarray(y)}
    state = init_state(model, 0, batch)
    # A model that is nearly right, so that R² is a number of order 1.
    dense = {"kernel": jnp.asarray([[0.9], [-1.1], [0], [0], [0]]), "bias": jnp.asarray([1e4])}
    state = state.replace(params={"Dense_0": dense})
    predicted = X.astype(float) @ np.float64(dense["kernel"]) + 1e4
    y = y.astype(float)
    expected = 1 - ((predicted - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    for accumulate in (1, 7):
        step = jax.jit(partial(train_step, model, accumulate=accumulate))
        assert float(step(state, batch)[1]["r2"].result()) == pytest.approx(expected, abs=1e-4)


def test_a_controller_cannot_watch_an_array():
    stop = jaxnn.train.early_stopping(monitor="val/confusion", patience=1, mode="max")
    with pytest.raises(ValueError, match="monitor must be one of the values that the run measures"):
        jaxnn.fit(recipe(controllers=(stop,)), DATA, epochs=1, batch_size=16, key=0)
