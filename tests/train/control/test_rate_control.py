"""Controllers of the rate: fed by hand against transcriptions, and inside the compiled run."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from train_recipes import make_recipe

import jaxnn
from jaxnn.train import halve_and_go_back, halve_on_rise, init_state, plateau
from jaxnn.train.control.protocol import control

KNOBS = {"lr": 0.05, "dropout": 0.2, "l2": 0.0}


def drive(controller, values):
    """Scales after each value, the state's parameters being the number of the evaluation."""
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((2,)),
        jaxnn.losses.squared_error,
        jaxnn.optim.momentum(0.1),
        average=jaxnn.optim.parameter_average(),
        controllers=(controller,),
    )
    state = init_state(recipe, 0, {"x": jnp.ones((1, 2))})
    memory, scales, points = state.control.memory[0], [], []
    update = jax.jit(controller.update)
    for epoch, value in enumerate(values, start=1):
        numbered = jax.tree.map(
            lambda leaf, e=epoch: np.full(leaf.shape, e, leaf.dtype),
            (state.params, state.opt_state, state.averaged),
        )
        params, opt_state, averaged = numbered
        state = state.replace(params=params, opt_state=opt_state, averaged=averaged)
        memory, state = update(memory, state, jnp.asarray(value, float))
        scales.append(float(state.control.scale))
        leaves = jax.tree.leaves((state.params, state.opt_state, state.averaged))
        numbers = {float(np.ravel(leaf)[0]) for leaf in leaves}
        points.append(int(numbers.pop()))
        assert not numbers, "parts of the state are of different points"
    return scales, points


def test_halve_on_rise():
    """S7: after every epoch in which the error rose above that of the epoch before."""
    scales, points = drive(halve_on_rise(), [3, 2, 2.5, 2.4, 2.4, 3, np.nan, 1])
    assert scales == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert points == list(range(1, 9))
    scales, _ = drive(halve_on_rise(0.1, mode="max"), [1, 2, 1.5, 1.6])
    np.testing.assert_allclose(scales, [1, 1, 0.1, 0.1], rtol=1e-6)


def test_halve_and_go_back():
    """S8: keep the rate while it improves, else halve it and return to the previous point."""
    scales, points = drive(halve_and_go_back(), [3, 2, 2.5, 1.9, 1.9, np.nan, 1])
    assert scales == [1, 1, 0.5, 0.5, 0.25, 0.125, 0.125]
    assert points == [1, 2, 2, 4, 4, 4, 7]


def test_halve_and_go_back_with_patience_returns_to_the_best_point():
    scales, points = drive(halve_and_go_back(patience=2), [3, 1, 2, 2, 2, 2, 2, 2, 0.5])
    assert scales == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert points == [1, 2, 3, 4, 2, 6, 7, 2, 9]


def test_plateau_takes_the_mean_of_several_evaluations_as_one():
    scales, _ = drive(plateau(0.5, patience=1, accumulation_size=2), [3, 1, 2, 2.5, 1, 1, 4, 4])
    assert scales == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]  # of the means 2, 2.25, 1, 4


def test_plateau_composes_with_another_controller_of_the_rate():
    """Each contributes its own factor; neither undoes the other's."""
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((2,)),
        jaxnn.losses.squared_error,
        jaxnn.optim.sgd(0.1),
        controllers=(plateau(0.1, patience=1), halve_on_rise()),
    )
    state = init_state(recipe, 0, {"x": jnp.ones((1, 2))})
    scales = []
    for value in (1.0, 1.0, 2.0):
        state = control(recipe, state, {"val/loss": jnp.float32(value)})
        scales.append(float(state.control.scale))
    np.testing.assert_allclose(scales, [1, 0.1, 0.1 * 0.1 * 0.5], rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["jaxnn", "optax"])
def test_in_a_run_the_rate_follows_the_record(tiny, optimizer):
    """S9 on the training loss, which a huge threshold makes stagnate at once."""
    tx = jaxnn.optim.sgd(0.1) if optimizer == "jaxnn" else optax.sgd(0.1)
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((3,)),
        jaxnn.losses.softmax_cross_entropy,
        tx,
        controllers=(plateau(0.1, patience=2, monitor="train/loss", atol=100.0, min_scale=0.01),),
    )
    run = jaxnn.fit(recipe, tiny, epochs=7, batch_size=70, key=0)
    # The rate of an epoch is what the evaluations before it decided: 1, 1, 1, .1, .1, .01, .01
    expected = np.array([1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    if optimizer == "jaxnn":
        np.testing.assert_allclose(run.history.series("learning_rate"), 0.1 * expected, rtol=1e-6)
    else:
        np.testing.assert_allclose(run.history.series("rate_scale"), expected, rtol=1e-6)
    # And that is what moves the parameters: the step by hand, with these rates.
    state = init_state(recipe, 0, tiny.train)
    w = np.asarray(state.params["Dense_0"]["kernel"], np.float64)
    b = np.zeros(3)
    x, y = tiny.train["x"].astype(np.float64), tiny.train["y"]
    for scale in expected:
        z = x @ w + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        delta = (p - np.eye(3)[y]) / 70
        w, b = w - 0.1 * scale * x.T @ delta, b - 0.1 * scale * delta.sum(0)
    np.testing.assert_allclose(run.state.params["Dense_0"]["kernel"], w, rtol=1e-4, atol=1e-6)


def test_going_back_in_a_run_resumes_to_the_same_bits(tiny, tmp_path, same_bits):
    recipe = make_recipe({**KNOBS, "lr": 0.3}, controllers=(halve_and_go_back(),))
    arguments = {"batch_size": 10, "key": 0}
    straight = jaxnn.fit(recipe, tiny, epochs=12, **arguments)
    rates = straight.history.series("learning_rate")
    assert rates[-1] < rates[0], "the run never went back, so this shows nothing"
    jaxnn.fit(recipe, tiny, epochs=7, folder=tmp_path / "run", **arguments)
    resumed = jaxnn.fit(recipe, tiny, epochs=12, resume=tmp_path / "run", **arguments)
    same_bits(straight.state, resumed.state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plateau(2.0), r"factor must be in \[0, 1\], got 2"),
        (lambda: plateau(patience=-1), "patience must be an integer of at least 0, got -1"),
        (lambda: plateau(rtol=-0.1), r"rtol must be in \[0, inf\), got -0.1"),
        (lambda: plateau(cooldown=1.5), "cooldown must be an integer of at least 0, got 1.5"),
        (lambda: plateau(mode="lowest"), "mode must be one of 'min', 'max'"),
        (lambda: plateau(counting="torch"), "counting must be one of 'optax', 'pytorch', 'keras'"),
        (lambda: plateau(min_scale=-1.0), r"min_scale must be in \[0, inf\), got -1"),
        (lambda: halve_on_rise(1.5), r"factor must be in \[0, 1\], got 1.5"),
        (lambda: halve_and_go_back(patience=-2), "patience must be an integer of at least 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
