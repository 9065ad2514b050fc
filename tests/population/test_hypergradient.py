"""The derivative of the validation loss by every knob, against central differences."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.optim import schedules
from jaxnn.population.hypergradient import hypergradient

STEPS, ROWS = 5, 12


def data(steps=STEPS):
    """Batches and validation data; the first pixel is dead, so its gradients are exactly 0."""
    rng = np.random.default_rng(3)

    def part(*shape):
        x = rng.normal(size=(*shape, 5))
        x[..., 0] = 0
        return {"x": x, "y": rng.integers(0, 3, shape)}

    return part(steps, ROWS), part(20)


def make_recipe(optimizer, knobs):
    return jaxnn.Recipe(
        jaxnn.nn.MLP(
            (6, 3),
            activation="tanh",
            dropout_rate=knobs["dropout"],
            kernel_init=jaxnn.nn.glorot_normal(knobs["scale"]),
        ),
        partial(jaxnn.losses.softmax_cross_entropy, label_smoothing=knobs["smoothing"]),
        optimizer(knobs),
        regularizer=jaxnn.regularizers.per_layer(jaxnn.regularizers.l2, knobs["l2"]),
    )


def with_momentum(knobs):
    rate = schedules.exponential(knobs["lr"], transition_steps=2, decay_rate=knobs["fall"])
    return jaxnn.optim.momentum(rate, knobs["momentum"])


def with_adam(knobs):
    rate = schedules.cosine(knobs["lr"], decay_steps=2 * STEPS, alpha=knobs["floor"])
    return jaxnn.optim.adam(rate, knobs["b1"], knobs["b2"], knobs["eps"])


MAKERS = {"momentum": partial(make_recipe, with_momentum), "adam": partial(make_recipe, with_adam)}
COMMON = {
    "dropout": 0.3,
    "smoothing": 0.1,
    "scale": 1.3,
    "l2": {"Dense_0": 0.02, "Dense_1": 0.05},
}
KNOBS = {
    "momentum": {**COMMON, "lr": 0.2, "momentum": 0.8, "fall": 0.7},
    "adam": {**COMMON, "lr": 0.05, "b1": 0.8, "b2": 0.95, "eps": 1e-6, "floor": 0.1},
}


@partial(jax.jit, static_argnums=0)
def loss_after(maker, knobs, batches, val):
    """The same as `hypergradient`, by hand: steps one by one, and one evaluation."""
    take = lambda number: jax.tree.map(lambda leaf: leaf[number], batches)  # noqa: E731
    state = jaxnn.train.init_state(maker, 7, take(0), knobs)
    for number in range(len(batches["y"])):
        state, _ = jaxnn.train.train_step(maker, state, take(number))
    total, count = jaxnn.train.eval_step(maker, state, val)["loss"]
    return total / count


@pytest.mark.parametrize("name", MAKERS)
def test_against_central_differences(x64, name):
    maker, knobs = MAKERS[name], KNOBS[name]
    batches, val = data()
    loss, slopes = hypergradient(maker, knobs, None, batches, val, key=7)
    assert loss.dtype == jnp.float64
    np.testing.assert_allclose(loss, loss_after(maker, knobs, batches, val), rtol=1e-12)
    assert jax.tree.structure(slopes) == jax.tree.structure(knobs)
    flat, structure = jax.tree.flatten(knobs)
    assert len(flat) >= 8
    named = jax.tree_util.tree_leaves_with_path(slopes)
    for place, (path, slope) in enumerate(named):
        h = 1e-4 * flat[place]

        def at(step, place=place):
            moved = [value + step * (place == other) for other, value in enumerate(flat)]
            return float(loss_after(maker, structure.unflatten(moved), batches, val))

        # Of the fourth order, so that neither the step nor rounding shows in the fifth digit.
        difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        tolerance = 1e-3 if "eps" in jax.tree_util.keystr(path) else 1e-5
        np.testing.assert_allclose(slope, difference, rtol=tolerance, err_msg=str(path))


def plain(knobs):
    return jaxnn.Recipe(
        jaxnn.nn.MLP((3,), kernel_init=jaxnn.nn.normal(knobs["scale"])),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.sgd(knobs["lr"]),
    )


def test_goes_on_from_a_state(x64):
    """Given a state, what the knobs did before it is constant; without one it is not."""
    batches, val = data()
    knobs = {"lr": 0.2, "scale": 0.5}
    first = {name: leaf[0] for name, leaf in batches.items()}
    state = jaxnn.train.init_state(plain, 7, first, knobs)
    whole, slopes = hypergradient(plain, knobs, None, batches, val, key=7)
    fixed = lambda own: plain({**own, "scale": 0.5})  # noqa: E731
    lr = {"lr": 0.2}
    loss, from_state = hypergradient(fixed, lr, state.replace(knobs=lr), batches, val)
    np.testing.assert_allclose([loss, from_state["lr"]], [whole, slopes["lr"]], rtol=1e-12)
    assert slopes["scale"] != 0
    with pytest.raises(ValueError, match=r"differentiable path.* these have not: scale"):
        hypergradient(plain, knobs, state, batches, val)

    # In parts of the validation data, one of them ragged, and mapped over knobs under jit.
    parts = hypergradient(fixed, lr, state.replace(knobs=lr), batches, val, eval_batch_size=8)
    np.testing.assert_allclose(parts[1]["lr"], from_state["lr"], rtol=1e-12)
    mapped = jax.jit(
        jax.vmap(lambda rate: hypergradient(fixed, {"lr": rate}, state, batches, val))
    )(jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(mapped[1]["lr"][1], from_state["lr"], rtol=1e-12)
    assert mapped[0].shape == (2,)


def compared(knobs):
    """A knob that acts through a comparison alone."""
    threshold = knobs["threshold"]

    def objective(apply, params, model_state, batch, keys):
        outputs, model_state = apply(params, model_state, batch["x"], keys)
        large = jnp.abs(outputs) > threshold
        return (jnp.sum(jnp.where(large, outputs**2, 0)), outputs.size), model_state, {}

    return jaxnn.Recipe(
        jaxnn.nn.MLP((3,)), optimizer=jaxnn.optim.sgd(knobs["lr"]), objective=objective
    )


def steered(knobs):
    stop = jaxnn.train.early_stopping(patience=2, min_delta=knobs["margin"])
    return jaxnn.Recipe(
        jaxnn.nn.MLP((3,)),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.lion(knobs["lr"], b1=knobs["b1"]),
        controllers=(stop,),
    )


LARGE = {"lr": 0.1, "scale": 1.0}


@pytest.mark.parametrize(
    ("maker", "knobs", "settings", "message"),
    [
        (compared, {"lr": 0.1, "threshold": 0.5}, {}, "have not: threshold. They act"),
        (steered, {"lr": 0.1, "b1": 0.9, "margin": 0.0}, {}, "have not: b1, margin. They act"),
        (plain, {**LARGE, "lr": -1.0}, {}, r"knobs \(lr -1.*learning_rate must be in \[0"),
        (plain, {**LARGE, "lr": np.ones(2)}, {}, "lr must be one number.*shape"),
        (plain, {**LARGE, "lr": np.nan}, {}, "lr must be in .*nan"),
        (plain, {**LARGE, "decay": 0.1}, {}, "differentiable path.*decay"),
        (plain, {"lr": 0.1, "scala": 1.0}, {}, "'scale'.*did you mean 'scala'"),
        (plain, {}, {}, "at least one number"),
        (plain(LARGE), LARGE, {}, "make_recipe must be a function"),
        (plain, LARGE, {"key": None}, "key must be given"),
        (plain, LARGE, {"state": 3, "key": None}, "state must be a TrainState"),
        (plain, LARGE, {"accumulate": 0}, "accumulate must be a positive integer"),
        (plain, LARGE, {"accumulate": 5}, "accumulate must divide the 12 rows"),
        (plain, LARGE, {"eval_batch_size": 0}, "eval_batch_size must be a positive integer"),
        (plain, LARGE, {"batches": {"x": np.ones(3), "y": np.ones(3)}}, r"\(steps, rows, …\)"),
        (plain, LARGE, {"val": {"x": np.ones((0, 5))}}, "val must hold at least one example"),
    ],
)
def test_refused(maker, knobs, settings, message):
    batches, val = data()
    settings = {"state": None, "batches": batches, "val": val, "key": 0, **settings}
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        hypergradient(maker, knobs, **settings)


def test_a_state_of_many_or_of_another_recipe_is_refused():
    batches, val = data()
    first = {name: leaf[0] for name, leaf in batches.items()}
    state = jaxnn.train.init_state(plain, 0, first, LARGE)
    several = jax.tree.map(lambda leaf: leaf[None], state)
    with pytest.raises(ValueError, match="state must be that of one run"):
        hypergradient(plain, LARGE, several, batches, val)
    with pytest.raises(ValueError, match="key goes with state=None"):
        hypergradient(plain, LARGE, state, batches, val, key=0)
    with pytest.raises(ValueError, match="state must be of this recipe"):
        hypergradient(MAKERS["adam"], KNOBS["adam"], state, batches, val)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_steps():
    from jaxnn.population.hypergradient import _differentiate

    def temporaries(steps):
        batches, val = data(steps)
        knobs = jaxnn.train.step.state.as_knobs(KNOBS["adam"])
        key = jax.random.key(0)
        lowered = _differentiate.lower(MAKERS["adam"], 1, 20, knobs, key, batches, val)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    few, many = temporaries(5), temporaries(500)
    assert many <= 1.05 * few
