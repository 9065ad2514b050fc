"""What holds of every loss: its formula, slopes, knobs and dtypes."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_table import LABELS, LOGITS, ROWS

import jaxnn
from jaxnn import losses
from jaxnn.losses.checks import unwrap

EVERY_ROW = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
KNOBS = [
    pytest.param(row, name, id=f"{id_}-{name}")
    for id_, row in ROWS.items()
    for name in row.settings
]


def slopes(f, x, h=1e-5):
    """Central differences of a NumPy function, entry by entry."""
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    return np.reshape([(f(x + e) - f(x - e)) / (2 * h) for e in steps], x.shape)


def test_every_loss_is_in_the_table():
    tested = {row.loss for row in ROWS.values()}
    public = {getattr(losses, name) for name in losses.__all__}
    assert tested == public - {losses.Loss, losses.check_targets}


@partial(jax.jit, static_argnums=0)
def losses_and_gradient(loss, outputs, targets, settings):
    """What the tests share, settings traced: the loss of each example, and the sum's gradient."""
    found, pullback = jax.vjp(lambda z: loss(z, targets, **settings), outputs)
    return found, pullback(jnp.ones_like(found))[0]


@EVERY_ROW
def test_formula_and_gradient_against_central_differences(row, x64):
    loss, gradient = losses_and_gradient(row.bound, row.outputs, row.targets, row.settings)
    np.testing.assert_allclose(loss, row.expected(row.outputs), rtol=1e-12)
    expected = slopes(lambda z: row.expected(z).sum(), row.outputs)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("row", "name"), KNOBS)
def test_every_knob_may_be_mapped_and_differentiated(row, name, x64):
    """Zero included, which is a value."""
    knob = np.asarray(row.settings[name], float)
    values = np.stack([knob, 0.5 * knob, np.zeros_like(knob) + (name == "delta")])

    def loss(value):
        configured = partial(row.bound, **row.settings | {name: value})
        losses = configured(jnp.asarray(row.outputs), jnp.asarray(row.targets))
        return losses.sum(), losses

    gradient, found = jax.jit(jax.vmap(jax.grad(loss, has_aux=True)))(values)
    for value, slope, by_map in zip(values, gradient, found, strict=True):
        expected = row.expected(row.outputs, **{name: value})
        np.testing.assert_allclose(by_map, expected, rtol=1e-12)
        total = lambda v: row.expected(row.outputs, **{name: v}).sum()  # noqa: E731
        np.testing.assert_allclose(slope, slopes(total, value), rtol=1e-7, atol=1e-8)


@EVERY_ROW
def test_losses_are_float32_at_least_and_gradients_what_came_in(row, x64):
    """Also where a knob is wider than what it meets."""
    outputs = jnp.asarray(row.outputs, "bfloat16")
    floating = row.targets.dtype.kind == "f"
    targets = jnp.asarray(row.targets, "bfloat16" if floating else None)
    loss, gradient = losses_and_gradient(row.bound, outputs, targets, row.settings)
    assert (loss.dtype, gradient.dtype) == ("float32", "bfloat16")
    rounded = row._replace(targets=np.asarray(targets, row.targets.dtype))
    np.testing.assert_allclose(loss, rounded.expected(outputs), rtol=1e-5, atol=1e-6)


CE, NLL, BCE = (
    losses.softmax_cross_entropy,
    losses.negative_log_likelihood,
    losses.sigmoid_cross_entropy,
)
REFUSED = {
    "smoothing": (CE, {"label_smoothing": 1.5}, r"label_smoothing must be in \[0, 1\], got 1.5"),
    "classes": (CE, {"class_weights": np.ones(4)}, r"one weight for each class, shape \(5,\)"),
    "class": (NLL, {"class_weights": [1, 1, 1, 1, -1]}, r"class_weights must be in \[0, inf\)"),
    "binary": (BCE, {"label_smoothing": -0.1}, r"label_smoothing must be in \[0, 1\], got -0.1"),
    "yes": (BCE, {"pos_weight": -1.0}, r"pos_weight must be in \[0, inf\), got -1"),
    "outputs": (BCE, {"pos_weight": np.ones(8)}, "pos_weight must be a scalar or have one"),
    "delta": (losses.huber, {"delta": 0.0}, r"delta must be in \(0, inf\), got 0"),
    # In float32 the first is infinite, and the second 0.
    "infinite delta": (losses.huber, {"delta": 1e300}, "delta must be 0 or in .* float32"),
    "no delta": (losses.huber, {"delta": 1e-40}, "delta must be 0 or in .* float32"),
    "gamma": (losses.sigmoid_focal, {"gamma": 1e300}, "gamma must be 0 or in .* float32"),
    "heavy": (CE, {"class_weights": [1, 1, 1, 1, 1e300]}, "class_weights must be 0 or in"),
    "light": (BCE, {"pos_weight": [1, 1, 1, 1, 1e-40]}, "pos_weight must be 0 or in"),
}


@pytest.mark.parametrize(("loss", "settings", "message"), REFUSED.values(), ids=REFUSED)
def test_settings_out_of_range_are_refused_in_the_call_and_before_it(loss, settings, message):
    classes = loss in (CE, NLL)
    configured, targets = partial(loss, **settings), LABELS if classes else np.zeros((8, 5))
    with pytest.raises(ValueError, match=message):
        losses.check_targets(configured, "y", jax.ShapeDtypeStruct((8, 5), jnp.float32), targets)
    with pytest.raises(ValueError, match=message):
        configured(jnp.asarray(LOGITS), jnp.asarray(targets))


def test_fit_refuses_the_value_of_a_knob():
    def make_recipe(knobs):
        loss = partial(losses.softmax_cross_entropy, label_smoothing=knobs["a"])
        return jaxnn.Recipe(jaxnn.nn.MLP((3,)), loss, jaxnn.optim.sgd(0.1))

    data = {"x": np.ones((4, 2), np.float32), "y": np.zeros(4, np.int32)}
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\], got 1.5"):
        jaxnn.fit(make_recipe, data, epochs=1, batch_size=2, key=0, knobs={"a": 1.5})


@EVERY_ROW
def test_complex_numbers_and_no_examples_are_refused_and_lists_are_taken(row):
    """Not |d|² where d is real, and something else where it is not."""
    outputs, targets = np.float32(row.outputs), row.targets
    configured = partial(row.bound, **row.settings)
    for pair in ((outputs * 1j, targets), (outputs, targets * 1j)):
        with pytest.raises(TypeError, match="must hold real numbers, got dtype complex64"):
            configured(*(jnp.asarray(part) for part in pair))
    with pytest.raises((TypeError, ValueError), match=r"at least one (example|class)"):
        row.bound(outputs[:0], targets[:0])
    with pytest.raises(TypeError, match="must hold real numbers"):
        configured("no", targets)
    with pytest.raises(ValueError, match="a list of unequal lengths"):
        configured([[1.0], [2.0, 3.0]], targets)
    if not row.static:
        found, expected = (
            configured(outputs.tolist(), targets.tolist()),
            configured(outputs, targets),
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "where" in row.static])
def test_what_does_not_count_may_hold_anything(name):
    row = ROWS[name]
    outputs, where = np.float32(row.outputs), row.static["where"]
    spoilt = np.where(
        where.reshape(where.shape + (1,) * (outputs.ndim - where.ndim)), outputs, np.nan
    )
    (clean, expected), (loss, slope) = (
        losses_and_gradient(row.bound, x, row.targets, row.settings) for x in (outputs, spoilt)
    )
    np.testing.assert_array_equal(loss, clean)
    np.testing.assert_array_equal(slope, expected)
    with pytest.raises(TypeError, match="where must hold True and False"):
        row.loss(outputs, row.targets, where=np.ones(where.shape))
    with pytest.raises(ValueError, match=r"where must have the leading axes of the losses"):
        row.loss(outputs, row.targets, where=where[:3])


def test_ignored_labels_count_in_no_mean_of_fit():
    """PyTorch's mean, over the tokens that are left."""
    x, y = LOGITS.astype(np.float32).reshape(4, 2, 5), LABELS.reshape(4, 2).copy()
    y[0, 1] = y[2] = -100
    loss = partial(losses.softmax_cross_entropy, ignore_index=-100)
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((5,)), loss, jaxnn.optim.sgd(0.0))
    run = jaxnn.fit(recipe, {"x": x, "y": y}, epochs=1, batch_size=3, key=0)
    z, real = np.asarray(run.predict(x), float), y >= 0
    expected = {
        "loss": ROWS["ce"].formula(z[real], y[real]).mean(),
        "accuracy": (z[real].argmax(-1) == y[real]).mean(),
    }
    for name, value in expected.items():
        assert run.history.epochs[-1].values[f"train/{name}"] == pytest.approx(value, rel=1e-5)


def test_unwrap_goes_through_partials():
    assert unwrap(losses.huber) is losses.huber
    assert unwrap(partial(partial(losses.huber, delta=2.0))) is losses.huber


Y, CLASSES, YES = [0.0, 1.0, 1.0, 3.0, 10.0], [0, 1, 1, 2, 2], [1, 0, 1, 1, 1]
ESTIMATES = {
    "mean": (losses.squared_error, Y, 3.0),
    "median": (losses.absolute_error, Y, 1.0),
    "between": (losses.huber, Y, 1.5),  # 1 + 2 (m - 1) - 1 - 1 = 0
    "log-odds": (losses.sigmoid_cross_entropy, YES, np.log(4.0)),
    "log-frequencies": (losses.softmax_cross_entropy, CLASSES, np.log([0.2, 0.4, 0.4])),
}


@pytest.mark.parametrize(("loss", "sample", "estimate"), ESTIMATES.values(), ids=ESTIMATES)
def test_the_least_mean_loss_is_at_the_maximum_of_the_likelihood(loss, sample, estimate, x64):
    def mean(constant):
        outputs = jnp.tile(jnp.asarray(constant), (5,) + (1,) * np.ndim(constant))
        return float(loss(outputs, jnp.asarray(sample)).mean())

    for step in 1e-3 * np.concatenate([np.eye(np.size(estimate)), -np.eye(np.size(estimate))]):
        assert mean(estimate) < mean(estimate + step.reshape(np.shape(estimate)))
