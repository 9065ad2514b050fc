"""Evaluation every so many epochs or steps, seen by the controllers and the history."""

from __future__ import annotations

import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn

KNOBS = {"lr": 0.05, "dropout": 0.3, "l2": 0.0}
RECIPE = make_recipe(KNOBS)  # one for all tests, so that what is compiled is found again
ARGUMENTS = {"batch_size": 10, "key": 0}  # 7 steps an epoch


@pytest.mark.parametrize("way", [{}, {"steps_per_call": 4}])
def test_every_four_steps(tiny, same_bits, way):
    plain = jaxnn.fit(RECIPE, tiny, epochs=4, **ARGUMENTS)
    run = jaxnn.fit(RECIPE, tiny, epochs=4, evaluate_every_steps=4, **ARGUMENTS, **way)
    same_bits(plain.state, run.state)  # to look changes nothing
    losses = run.history.step_series("val/loss")
    assert losses.shape == (28,)
    assert np.flatnonzero(np.isfinite(losses)).tolist() == [3, 7, 11, 15, 19, 23, 27]
    # After the last step of the last epoch both have the same weights.
    assert losses[27] == plain.history.series("val/loss")[-1]
    # An epoch has the values of the last evaluation in it.
    assert run.history.series("val/loss").tolist() == losses[[3, 11, 19, 27]].tolist()


def test_a_stream_is_evaluated_at_the_same_steps(tiny):
    def streamed(part):
        return jaxnn.data.stream(part)

    arguments = {**ARGUMENTS, "epochs": 2, "evaluate_every_steps": 4}
    data = jaxnn.data.Data(train=streamed(tiny.train), val=streamed(tiny.val))
    runs = [jaxnn.fit(RECIPE, part, **arguments) for part in (tiny, data)]
    one, other = (run.history.step_series("val/loss") for run in runs)
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_patience_counts_evaluations_and_stops_within_an_epoch(tiny, tmp_path, same_bits):
    stopping = jaxnn.train.early_stopping(3, min_delta=100.0)  # nothing but the first improves

    def fit(**more):
        recipe = make_recipe(KNOBS, controllers=(stopping,))
        return jaxnn.fit(recipe, tiny, evaluate_every_steps=5, **ARGUMENTS, **more)

    run = fit(epochs=9)
    # The first evaluation, after step 5, is the best; those after 10, 15 and 20 are no better.
    assert [record.step for record in run.history.epochs] == [7, 14, 20]
    assert run.history.epochs[-1].stopped
    best = run.history.step_series("val/loss")[4]
    assert run.evaluate(tiny.val)["loss"] == pytest.approx(best, rel=1e-6)
    fit(epochs=2, folder=tmp_path / "run")
    resumed = fit(epochs=9, resume=tmp_path / "run")
    same_bits(run.state, resumed.state)
    np.testing.assert_array_equal(
        resumed.history.step_series("val/loss"), run.history.step_series("val/loss")
    )


def test_every_second_epoch(tiny):
    halving = jaxnn.train.plateau(0.5, 1, atol=100.0)
    recipe = make_recipe(KNOBS, controllers=(halving,))
    run = jaxnn.fit(recipe, tiny, epochs=5, evaluate_every_epochs=2, **ARGUMENTS)
    seen = np.isfinite(run.history.series("val/loss"))
    assert seen.tolist() == [False, True, False, True, False]
    # Told of two evaluations, of which the first is the best.
    assert float(run.state.control.scale) == 0.5
    epochs = jaxnn.train.each_epoch(recipe, tiny, epochs=2, evaluate_every_epochs=2, **ARGUMENTS)
    assert ["val/loss" in epoch.record.values for epoch in epochs] == [False, True]


def test_refusals(tiny):
    for given, message in (
        ({"evaluate_every_steps": 0}, "evaluate_every_steps must be a positive integer, got 0"),
        ({"evaluate_every_epochs": 1.5}, "evaluate_every_epochs must be a positive integer"),
        ({"evaluate_every_epochs": 1, "evaluate_every_steps": 1}, "exclude each other"),
    ):
        with pytest.raises(ValueError, match=message):
            jaxnn.fit(RECIPE, tiny, epochs=1, **ARGUMENTS, **given)
