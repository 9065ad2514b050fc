"""Why a run ended, and with which weights: seen by real runs."""

from __future__ import annotations

import io
from functools import partial

import jax
import numpy as np
import pytest
from rich.console import Console

import jaxnn
from jaxnn.report.progress.ending import best_epoch, ending
from jaxnn.train import EpochRecord


def fit(*, epochs=4, rate=0.1, observers=(), widths=(2,), **recipe):
    """A run on data of which validation knows nothing, and what its display said last."""
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    data = jaxnn.data.Data(
        train={"x": x, "y": (x[:, 0] > 0).astype(np.int32)},
        val={"x": x, "y": (x[:, 0] < 0).astype(np.int32)},
    )
    text = io.StringIO()
    made = jaxnn.Recipe(
        model=jaxnn.nn.MLP(widths),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.sgd(rate),
        **recipe,
    )
    run = error = None
    try:
        run = jaxnn.fit(
            made,
            data,
            epochs=epochs,
            batch_size=16,
            key=0,
            devices=1,
            observers=[jaxnn.report.Progress(Console(file=text)), *observers],
        )
    except (KeyboardInterrupt, FloatingPointError, RuntimeError) as raised:
        error = raised
    return run, error, text.getvalue().splitlines()[-1]


def test_all_epochs():
    assert fit()[2] == "all 4 epochs done: weights of the last"
    averaged = fit(average=jaxnn.optim.parameter_average(0.9))[2]
    assert averaged == "all 4 epochs done: weights of the last, averaged"


def test_early_stopping_says_whose_weights_it_hands_back():
    # What is learned makes the validation loss rise, so that the first epoch stays the best.
    run, _, line = fit(controllers=(jaxnn.train.early_stopping(patience=2),))
    assert line == "stopped after epoch 3 of 4: weights of epoch 1, with the best val/loss"
    one, _, _ = fit(epochs=1)
    for got, want in zip(*map(jax.tree.leaves, (run.state.params, one.state.params)), strict=True):
        np.testing.assert_array_equal(got, want)
    line = fit(controllers=(jaxnn.train.early_stopping(patience=9),))[2]
    assert line == "all 4 epochs done: weights of epoch 1, with the best val/loss"


def test_an_interrupted_run():
    def press(record):
        if record.epoch == 2:
            raise KeyboardInterrupt

    _, error, line = fit(observers=[press])
    assert isinstance(error, KeyboardInterrupt)
    assert line == "interrupted after epoch 2 of 4"


def test_a_run_that_diverged():
    _, error, line = fit(rate=1e38, widths=(4, 2), skip_nonfinite=1)
    assert isinstance(error, FloatingPointError)
    assert line.startswith("diverged in epoch 1 of 4: ")
    assert line.endswith(str(error))


def test_a_run_that_another_observer_ended():
    def fail(record):
        raise RuntimeError

    assert fit(observers=[fail])[2] == "ended by RuntimeError after epoch 1 of 4"


def test_a_user_s_own_exception_is_not_taken_for_the_run_s(make_run):
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:  # in which fit is called
        assert fit()[2] == "all 4 epochs done: weights of the last"
    assert ending(make_run(epochs=2), KeyboardInterrupt()) == (
        "all 2 epochs done: weights of the last"
    )


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("min_delta", [0.0, 0.25])
def test_the_best_epoch_is_that_of_the_rule(mode, min_delta):
    values = np.random.default_rng(1).normal(size=40).astype(np.float32)
    values[[0, 7]] = np.nan
    records = [EpochRecord(i + 1, i + 1, {"val/loss": float(v)}, {}) for i, v in enumerate(values)]
    keeper = jaxnn.train.early_stopping(patience=99, mode=mode, min_delta=min_delta)
    state = jaxnn.train.init_state(
        jaxnn.Recipe(
            jaxnn.nn.LogisticRegression(2), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(1.0)
        ),
        0,
        {"x": np.zeros((1, 1), np.float32), "y": np.zeros(1, np.int32)},
    )
    memory, update = keeper.init(state), jax.jit(partial(_marked_update, keeper))
    for record in records:
        memory = update(memory, state, record.epoch, record.values["val/loss"])
    kept = int(memory.params["Dense_0"]["bias"][0])
    assert best_epoch(keeper, records) == kept > 1
    assert best_epoch(keeper, records[:1]) is None


def _marked_update(keeper, memory, state, epoch, value):
    """An update on a state whose parameters are the number of the epoch."""
    marked = jax.tree.map(lambda leaf: jax.numpy.full_like(leaf, epoch), state.params)
    return keeper.update(memory, state.replace(params=marked), jax.numpy.float32(value))[0]
