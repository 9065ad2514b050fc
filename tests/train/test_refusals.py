"""Bad input is refused before anything is compiled, naming argument, value and what is allowed."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn import losses, nn, optim, regularizers

COMPILED = []


@jax.monitoring.register_event_duration_secs_listener
def _note(event, seconds, **about):
    if event == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(about["fun_name"])


def part(n=20, classes=3):
    return {
        "x": np.ones((n, 5), np.float32),
        "y": np.arange(n, dtype=np.int32) % classes,
    }


def changed(leaf, index, value):
    batch = part()
    batch[leaf] = batch[leaf].astype(np.result_type(batch[leaf], type(value)))
    batch[leaf][index] = value
    return batch


def regression(width=1):
    return jaxnn.Recipe(nn.MLP((4, width)), losses.squared_error, optim.sgd(0.1))


def classification(**changed):
    parts = {
        "model": nn.MLP((4, 3), dropout_rate=0.1),
        "loss": losses.softmax_cross_entropy,
        "optimizer": optim.sgd(0.1),
        **changed,
    }
    return jaxnn.Recipe(**parts)


def fit(data=None, recipe=None, **changed):
    arguments = {"epochs": 1, "batch_size": 10, "key": 0, **changed}
    return jaxnn.fit(
        classification() if recipe is None else recipe,
        part() if data is None else data,
        **arguments,
    )


CASES = {
    "label too large": (
        lambda: fit(changed("y", 4, 3)),
        r"train: y must hold classes from 0 to 2, since the model has 3 outputs, got 3",
    ),
    "label negative": (lambda: fit(changed("y", 4, -1)), r"train: y must hold .* got -1"),
    "label too large in val": (
        lambda: fit(jaxnn.data.Data(part(), changed("y", 4, 7))),
        r"val: y must hold classes from 0 to 2.* got 7",
    ),
    "last width too small": (
        lambda: fit(part(classes=5)),
        r"classes from 0 to 2, since the model has 3 outputs, got 4",
    ),
    "one-hot of another width": (
        lambda: fit({"x": part()["x"], "y": np.eye(4, dtype=np.float32)[part()["y"]]}),
        r"y must have shape \(20,\) \(integer classes\) or \(20, 3\) .*, got \(20, 4\)",
    ),
    "labels of the wrong type": (
        lambda: fit(changed("y", 4, 1.5)),
        r"train: y of shape \(20,\) must be integer classes, got float",
    ),
    "soft labels that are no distribution": (
        lambda: fit({"x": part()["x"], "y": np.full((20, 3), 0.5, np.float32)}),
        r"train: y must hold a probability for each class.*\(row 0\)",
    ),
    "targets that would broadcast": (
        lambda: fit({"x": part()["x"], "y": np.ones(20, np.float32)}, regression()),
        r"y must have the shape of the model's outputs, \(n, 1\), got \(20,\); use y\[:, None\]",
    ),
    "no targets": (lambda: fit({"x": part()["x"]}), r'train must hold "y" for the loss'),
    "no inputs": (lambda: fit({"z": part()["x"]}), r'must hold "x"'),
    "different lengths": (
        lambda: fit({"x": part()["x"], "y": part()["y"][:19]}),
        r"train must have arrays of one length, got x 20, y 19",
    ),
    "empty": (lambda: fit(part(0)), "train must hold at least one example, got 0"),
    "NaN": (
        lambda: fit(changed("x", (7, 2), np.nan)),
        r"train: x holds NaN at row 7, column 2",
    ),
    "Inf": (lambda: fit(changed("x", (3, 4), np.inf)), r"train: x holds Inf at row 3, column 4"),
    "batch larger than the data": (
        lambda: fit(batch_size=21),
        "batch_size must be at most the number of training examples, 20, got 21",
    ),
    "batch size 0": (lambda: fit(batch_size=0), "batch_size must be a positive integer, got 0"),
    "batch size 2.5": (lambda: fit(batch_size=2.5), "batch_size must be a positive integer"),
    "epochs 0": (lambda: fit(epochs=0), "epochs must be a positive integer, got 0"),
    "epochs -1": (lambda: fit(epochs=-1), "epochs must be a positive integer, got -1"),
    "epochs True": (lambda: fit(epochs=True), "epochs must be a positive integer, got True"),
    "epochs '3'": (lambda: fit(epochs="3"), "epochs must be a positive integer, got '3'"),
    "chunk of 0": (lambda: fit(steps_per_call=0), "steps_per_call must be a positive integer"),
    "checkpoint 0": (lambda: fit(checkpoint_every=0), "checkpoint_every must be a positive"),
    "rate": (lambda: optim.adam(-1e-3), r"learning_rate must be in \[0, inf\), got -0.001"),
    "rate NaN": (lambda: optim.sgd(float("nan")), r"learning_rate must be in .* got nan"),
    "dropout 1": (
        lambda: nn.MLP((3,), dropout_rate=1.0),
        r"dropout_rate must be in \[0, 1\), got 1",
    ),
    "dropout -0.1": (lambda: nn.Dropout(-0.1), r"rate must be in \[0, 1\), got -0.1"),
    "l2": (lambda: regularizers.l2(-1.0), r"l2 strength must be in \[0, inf\), got -1"),
    "rate as a knob": (
        lambda: fit(
            recipe=lambda k: classification(optimizer=optim.sgd(k["lr"])), knobs={"lr": -0.5}
        ),
        r"learning_rate must be in \[0, inf\), got -0.5",
    ),
    "dropout rate as a knob": (
        lambda: fit(
            recipe=lambda k: classification(model=nn.MLP((3,), dropout_rate=k["rate"])),
            knobs={"rate": np.float32(1.0)},
        ),
        r"dropout_rate must be in \[0, 1\), got 1",
    ),
    "a knob of many values": (
        lambda: fit(
            recipe=lambda k: classification(optimizer=optim.sgd(k["lr"])),
            knobs={"lr": np.ones(3)},
        ),
        r"knobs: lr must be one number, got an array of shape \(3,\)",
    ),
    "knobs of a fixed recipe": (lambda: fit(knobs={"lr": 1.0}), "knobs go with a make_recipe"),
    "validation of another width": (
        lambda: fit(jaxnn.data.Data(part(), {"x": np.ones((5, 4), np.float32), "y": part(5)["y"]})),
        r"val: x must be like train, \(5,\) floating",
    ),
    "loss and objective": (
        lambda: classification(objective=lambda *a: None),
        "needs either loss= or objective=, got both",
    ),
    "neither": (lambda: classification(loss=None), "needs either .* got neither"),
    "metrics named loss": (lambda: classification(metrics={"loss": None}), "must not be named"),
    "no recipe": (lambda: jaxnn.fit(None, part(), epochs=1, batch_size=4, key=0), "recipe may be"),
    "widths": (lambda: nn.MLP((4, 0)), "widths must be a positive integer, got 0"),
    "no widths": (lambda: nn.MLP(()), "widths must name at least"),
    "activation": (lambda: nn.MLP((3,), activation="rleu"), "activation must be one of 'relu'"),
}


@pytest.mark.parametrize("case", CASES)
def test_value_errors(case):
    call, message = CASES[case]
    COMPILED.clear()
    with pytest.raises((ValueError, TypeError), match=message):
        call()
    assert not any(name for name in COMPILED if any(w in name for w in ("chunk", "end_epoch")))


TYPES = {
    "key": (lambda: fit(key="seed"), "key must be one key"),
    "keys": (lambda: fit(key=jax.random.split(jax.random.key(0))), "key must be one key"),
    "model": (lambda: classification(model=lambda x: x), "model must be a flax.linen.Module"),
    "optimizer": (lambda: classification(optimizer=0.1), "optimizer must be an Optax"),
    "recipe": (lambda: fit(recipe=3), "recipe must be a Recipe or a function"),
    "what make_recipe returns": (
        lambda: fit(recipe=lambda k: 3),
        "make_recipe must return a Recipe",
    ),
    "observer": (lambda: fit(observers=[3]), "observers must be"),
    "probe": (lambda: fit(probes=[3]), "probes must have"),
    "misspelt argument": (lambda: fit(epoch=3), "unexpected keyword"),
    "text in the data": (lambda: fit({"x": np.array(["a"] * 20), "y": part()["y"]}), "numbers"),
    "a rate that is no number": (lambda: optim.sgd("fast"), "learning_rate must be a number"),
}


@pytest.mark.parametrize("case", TYPES)
def test_type_errors(case):
    call, message = TYPES[case]
    with pytest.raises(TypeError, match=message):
        call()


def test_raw_keys_and_integers_are_keys(same_bits):
    runs = [fit(key=key).state for key in (3, jax.random.key(3), jax.random.PRNGKey(3))]
    same_bits(runs[0], runs[1])
    same_bits(runs[0], runs[2])


def test_zero_is_a_value(same_bits):
    run = fit(recipe=classification(optimizer=optim.sgd(0.0)))
    start = fit(recipe=classification(optimizer=optax.sgd(0.0)))
    same_bits(run.state.params, start.state.params)


def test_evaluate_and_predict_refuse_too():
    run = fit()
    with pytest.raises(ValueError, match="data: y must hold classes from 0 to 2"):
        run.evaluate(changed("y", 4, 5))
    with pytest.raises(ValueError, match="x holds NaN at row 7, column 2"):
        run.predict(changed("x", (7, 2), np.nan)["x"])
    with pytest.raises(ValueError, match="inputs must hold at least one example"):
        run.predict(np.zeros((0, 5), np.float32))
