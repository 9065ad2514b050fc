"""Early stopping, alone and inside the compiled run."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn
from jaxnn.train import early_stopping, init_state


@functools.cache
def start():
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((2,)), jaxnn.losses.squared_error, jaxnn.optim.sgd(0.1))
    return init_state(recipe, 0, {"x": jnp.ones((1, 2))})


def drive(values, **arguments):
    """Early stopping fed by hand: the epoch it stops at, the epoch whose weights it keeps."""
    controller, state = early_stopping(**arguments), start()
    memory, update = controller.init(state), jax.jit(controller.update)
    for epoch, value in enumerate(values, start=1):
        params = jax.tree.map(lambda p, e=epoch: np.full(p.shape, e, p.dtype), state.params)
        memory, state = update(memory, state.replace(params=params), np.float32(value))
        if state.control.stop:
            break
    handed_back = controller.finish(memory, state)
    return epoch, int(handed_back.params["Dense_0"]["bias"][0])


@pytest.mark.parametrize(
    ("values", "arguments", "stopped", "best"),
    [
        ([3, 2, 1, 2, 2, 2], {"patience": 2}, 5, 3),
        ([3, 2, 1, 2, 0.5, 2, 2], {"patience": 2}, 7, 5),
        ([1, 1, 1], {"patience": 1}, 2, 1),  # as good is not better
        ([3, 2.9, 2.8, 2.7], {"patience": 2, "min_delta": 0.15}, 4, 3),
        ([3, 2.95, 2.9], {"patience": 2, "min_delta": 0.15}, 3, 1),
        ([1, 2, 3, 2, 2], {"patience": 2, "mode": "max"}, 5, 3),
        ([np.nan, np.nan, 1], {"patience": 3}, 3, 3),  # NaN is never an improvement
        ([2, np.nan, np.nan], {"patience": 2}, 3, 1),
        ([np.inf, 5, 6], {"patience": 9}, 3, 2),
    ],
)
def test_counting(values, arguments, stopped, best):
    assert drive(values, **arguments) == (stopped, best)


def test_the_best_weights_are_handed_back(tiny):
    stopping = early_stopping(patience=5)
    knobs = {"lr": 0.1, "dropout": 0.0, "l2": 0.0}
    recipe = make_recipe(knobs, controllers=(stopping,))
    run = jaxnn.fit(recipe, tiny, epochs=200, batch_size=10, key=0)
    losses = run.history.series("val/loss")
    best = int(losses.argmin())
    assert len(losses) == best + 1 + 5 < 200
    assert run.evaluate(tiny.val)["loss"] == pytest.approx(losses[best], rel=1e-6)
    assert run.state.control.memory == ()
    # The same parameters as those of a run that was told to end there.
    shorter = jaxnn.fit(make_recipe(knobs), tiny, epochs=best + 1, batch_size=10, key=0)
    np.testing.assert_array_equal(
        run.state.params["Dense_0"]["kernel"], shorter.state.params["Dense_0"]["kernel"]
    )


def test_the_best_weights_are_handed_back_where_nothing_stops(tiny):
    recipe = make_recipe(
        {"lr": 0.1, "dropout": 0.0, "l2": 0.0}, controllers=(early_stopping(patience=1000),)
    )
    run = jaxnn.fit(recipe, tiny, epochs=40, batch_size=10, key=0)
    losses = run.history.series("val/loss")
    assert losses.argmin() < 39
    assert run.evaluate(tiny.val)["loss"] == pytest.approx(losses.min(), rel=1e-6)


def test_resuming_keeps_the_best_and_a_stopped_run_stays_stopped(tiny, tmp_path, same_bits):
    recipe = make_recipe(
        {"lr": 0.1, "dropout": 0.2, "l2": 0.0}, controllers=(early_stopping(patience=4),)
    )
    arguments = {"batch_size": 10, "key": 0}
    straight = jaxnn.fit(recipe, tiny, epochs=100, **arguments)
    ended = len(straight.history.epochs)
    assert 6 < ended < 100
    for stop in (ended - 2, ended - 1):
        folder = tmp_path / str(stop)
        jaxnn.fit(recipe, tiny, epochs=stop, folder=folder, **arguments)
        for _ in range(2):
            resumed = jaxnn.fit(recipe, tiny, epochs=100, resume=folder, **arguments)
            same_bits(straight.state, resumed.state)
            assert len(resumed.history.epochs) == ended


def test_after_the_stop_further_epochs_change_nothing(tiny, same_bits):
    from jaxnn.train.loop.loop import Loop
    from jaxnn.train.prepare.prepare import prepare
    from jaxnn.train.prepare.setup import Setup

    recipe = make_recipe(
        {"lr": 0.1, "dropout": 0.2, "l2": 0.0}, controllers=(early_stopping(patience=1),)
    )
    ready = prepare(Setup(recipe=recipe, data=tiny, batch_size=10, key=0))
    loop = Loop(ready.program, ready.state, ready.train, ready.val, ready.key)
    while not loop.collect(loop.launch()).stopped:
        pass
    at_the_stop = jax.tree.map(lambda leaf: leaf.copy(), loop.state)
    for _ in range(3):
        assert loop.collect(loop.launch()).stopped
    same_bits(at_the_stop, loop.state)


def test_min_delta_is_a_knob(tiny):
    def make(knobs):
        return make_recipe(
            {"lr": 0.03, "dropout": 0.0, "l2": 0.0},
            controllers=(early_stopping(patience=2, min_delta=knobs["min_delta"]),),
        )

    lengths = [
        len(
            jaxnn.fit(
                make, tiny, epochs=30, batch_size=10, key=0, knobs={"min_delta": value}
            ).history.epochs
        )
        for value in (0.0, 10.0)
    ]
    assert lengths[1] == 3 < lengths[0]
    with pytest.raises(ValueError, match=r"min_delta must be in \[0, inf\), got -1"):
        jaxnn.fit(make, tiny, epochs=1, batch_size=10, key=0, knobs={"min_delta": -1.0})


def test_a_monitor_that_is_not_measured_is_refused(tiny):
    knobs = {"lr": 0.1, "dropout": 0.2, "l2": 0.0}
    with pytest.raises(ValueError, match=r"monitor must be .*'accuracy', 'loss'.*got 'val/auc'"):
        make_recipe(knobs, controllers=(early_stopping(monitor="val/auc"),))
    recipe = make_recipe(knobs, controllers=(early_stopping(monitor="val/auc", mode="max"),))
    with pytest.raises(ValueError, match=r"monitor must be one of .*'val/loss'.*got 'val/auc'"):
        jaxnn.fit(recipe, tiny, epochs=1, batch_size=10, key=0)
    with pytest.raises(ValueError, match=r"monitor must be .*got 'val/loss'"):  # no validation part
        jaxnn.fit(
            make_recipe({"lr": 0.1, "dropout": 0.2, "l2": 0.0}, controllers=(early_stopping(),)),
            tiny.train,
            epochs=1,
            batch_size=10,
            key=0,
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": -1}, "patience must be an integer of at least 0, got -1"),
        ({"patience": 1.5}, "patience must be an integer of at least 0, got 1.5"),
        ({"counting": "torch"}, "counting must be one of 'keras', 'pytorch', got 'torch'"),
        ({"baseline": float("nan")}, "baseline must be in"),
        ({"mode": "least"}, "mode must be one of 'min', 'max', got 'least'"),
        ({"min_delta": -0.1}, "min_delta must be in"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        early_stopping(**arguments)


def test_a_state_that_was_handed_back_trains_on_with_fresh_controllers(tiny):
    recipe = make_recipe(
        {"lr": 0.1, "dropout": 0.2, "l2": 0.0}, controllers=(early_stopping(patience=2),)
    )
    first = jaxnn.fit(recipe, tiny, epochs=100, batch_size=10, key=0)
    assert first.history.epochs[-1].stopped
    second = jaxnn.fit(recipe, tiny, epochs=100, batch_size=10, key=1, state=first.state)
    assert int(second.state.clock) > int(first.state.clock)
    assert len(second.history.epochs) >= 3
    assert second.history.series("val/loss")[0] != first.history.series("val/loss")[0]
    assert jax.random.key_data(second.state.key)[1] == 1


def test_knobs_given_with_a_state_are_those_of_the_run(tiny, maker, knobs):
    first = jaxnn.fit(maker, tiny, epochs=1, batch_size=10, key=0, knobs=knobs)
    frozen = jaxnn.fit(
        maker, tiny, epochs=1, batch_size=10, key=0, knobs={**knobs, "lr": 0.0}, state=first.state
    )
    np.testing.assert_array_equal(
        first.state.params["Dense_0"]["kernel"], frozen.state.params["Dense_0"]["kernel"]
    )
