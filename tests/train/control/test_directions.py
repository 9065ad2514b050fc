"""Which of a metric's values is the best: its own function says so, and nobody guesses."""

from __future__ import annotations

import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn
from jaxnn.train import early_stopping, halve_and_go_back, halve_on_rise, keep_best, plateau

KNOBS = {"lr": 0.1, "dropout": 0.0, "l2": 0.0}
FACTORIES = [early_stopping, halve_and_go_back, halve_on_rise, keep_best, plateau]


def unmarked(outputs, targets, weight=None):
    return jaxnn.metrics.accuracy(outputs, targets, weight)


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_controller_has_the_direction_of_its_metric(factory):
    def mode(monitor, metric, **arguments):
        controller = factory(monitor=monitor, **arguments)
        recipe = make_recipe(KNOBS, controllers=(controller,), metrics={"it": metric})
        return recipe.controllers[0].mode

    assert mode("val/it", jaxnn.metrics.accuracy) == "max"
    assert mode("val/it", jaxnn.metrics.mean_squared_error) == "min"
    assert mode("train/it", jaxnn.metrics.higher_is_better(unmarked)) == "max"
    assert mode("val/it", jaxnn.metrics.lower_is_better(unmarked)) == "min"
    assert mode("val/loss", unmarked) == "min"
    assert mode("val/it", unmarked, mode="max") == "max"
    with pytest.raises(ValueError, match=r"mode must be given as 'min' or 'max' for monitor='val/"):
        mode("val/it", unmarked)
    with pytest.raises(ValueError, match=r"mode must be given as 'min' or 'max' for monitor='norm"):
        mode("norm/mean", jaxnn.metrics.accuracy)


def test_the_metrics_that_suit_a_loss_have_directions_too():
    recipe = make_recipe(KNOBS, controllers=(plateau(monitor="val/accuracy"),))
    assert recipe.controllers[0].mode == "max"


def test_a_controller_without_a_recipe_says_what_it_lacks(tiny):
    state = jaxnn.train.init_state(make_recipe(KNOBS), 0, tiny.train)
    for factory in FACTORIES:
        with pytest.raises(ValueError, match=r"mode must be 'min' or 'max' for monitor='val/acc"):
            factory(monitor="val/accuracy").init(state)


def test_early_stopping_on_accuracy_returns_the_most_accurate_weights(tiny):
    stopping = early_stopping(3, monitor="val/accuracy")
    recipe = make_recipe({**KNOBS, "lr": 0.003}, controllers=(stopping,))
    run = jaxnn.fit(recipe, tiny, epochs=200, batch_size=10, key=0)
    accuracies = run.history.series("val/accuracy")
    assert accuracies.max() > accuracies[0]
    assert len(accuracies) == np.argmax(accuracies) + 1 + 3
    assert run.evaluate(tiny.val)["accuracy"] == pytest.approx(accuracies.max())


def test_the_run_records_the_directions(tiny):
    metrics = {"accuracy": jaxnn.metrics.accuracy, "own": unmarked}
    run = jaxnn.fit(make_recipe(KNOBS, metrics=metrics), tiny, epochs=1, batch_size=10, key=0)
    assert run.config["directions"] == {
        "train/accuracy": "max",
        "train/loss": "min",
        "val/accuracy": "max",
        "val/loss": "min",
    }
