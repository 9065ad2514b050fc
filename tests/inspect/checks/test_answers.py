"""What checks answer: expected losses, reports, and what cannot be judged."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
import subjects as s
from subjects import binary, blobs, classifier, curve, regression, yes_no

import jaxnn
from jaxnn.data import Data
from jaxnn.inspect import check
from jaxnn.inspect.checks import CheckReport, CheckResult, ChecksFailed, class_balance, labels
from jaxnn.inspect.checks.inputs.duplicates import overlap, repeats_by_chance
from jaxnn.inspect.checks.network.initial_loss import expected_loss, initial_loss, regularization
from jaxnn.inspect.checks.network.outputs import output_range
from jaxnn.inspect.checks.subject import prepare


def entropy(shares):
    shares = np.asarray(shares, float)
    return -(shares[shares > 0] * np.log(shares[shares > 0])).sum()


def expected_of(recipe, data):
    subject = prepare(recipe, data, 0)
    return expected_loss(subject, subject.sample), subject.sample


def test_the_expected_loss_of_a_softmax_is_log_c_and_the_entropy_of_shares():
    data = blobs(y=lambda y: np.where(y == 2, 0, y))  # shares of about 2 : 1 : 0
    for smoothing in (None, 0.1):
        loss = partial(jaxnn.losses.softmax_cross_entropy, label_smoothing=smoothing)
        (expected, least), batch = expected_of(classifier(loss=loss), data)
        assert expected == pytest.approx(np.log(3), rel=1e-6)
    train = np.bincount(data.train["y"], minlength=3) / 240
    (_, least), batch = expected_of(classifier(), data)
    seen = np.bincount(batch["y"], minlength=3) / len(batch["y"])
    crossed = -(seen[:2] * np.log(train[:2])).sum()
    assert least == pytest.approx(crossed, rel=1e-3)
    assert least == pytest.approx(entropy(train), rel=0.1)


def test_the_expected_losses_of_a_sigmoid_and_of_squares():
    (expected, least), batch = expected_of(binary(), yes_no(blobs()))
    assert expected == pytest.approx(np.log(2), rel=1e-6)
    assert least < np.log(2)
    (expected, least), batch = expected_of(regression(), curve(lambda y: y + 0.5))
    y = batch["y"].astype(float)
    assert least == pytest.approx(y.var(), rel=1e-5)
    assert expected == pytest.approx((y**2).mean(), rel=1e-5)


def test_regularization_is_left_out_of_the_initial_loss_and_measured_beside_it():
    plain = initial_loss(classifier(), blobs(), 0)
    penalized = classifier(regularizer=jaxnn.regularizers.l2(0.1))
    assert initial_loss(penalized, blobs(), 0).evidence == plain.evidence
    found = regularization(penalized, blobs(), 0)
    params = jaxnn.train.init_state(penalized, 0, {"x": np.zeros((1, s.FEATURES))}).params
    squares = sum((np.asarray(layer["kernel"], float) ** 2).sum() for layer in params.values())
    assert found.evidence["penalty"] == pytest.approx(0.05 * squares, rel=1e-5)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (jnp.tanh, (-1, 1)),
        (lambda x: jnp.maximum(x, 0), (0, np.inf)),
        (lambda x: -jnp.exp(-x), (-np.inf, 0)),
        (lambda x: x, (-np.inf, np.inf)),
    ],
)
def test_the_range_of_outputs(end, expected):
    low, high, _ = output_range(prepare(classifier(s.Ended(end)), blobs(), 0))
    assert (low, high) == pytest.approx(expected, abs=1e-3)


def test_repeats_by_chance_are_those_of_independent_features():
    x = np.tile(np.float32([[0, 0], [0, 1], [1, 0], [1, 1]]), (25, 1))
    data = Data({"x": x, "y": np.zeros((100, 1))}, {"x": x, "y": np.zeros((100, 1))})
    subject = prepare(regression(), data, 0)
    assert repeats_by_chance(subject) == pytest.approx(99 * (49 / 99) ** 2)
    found = overlap(regression(), data, 0)
    assert found.status == "not judged"
    assert "few distinct values" in found.message


def test_an_imbalance_is_said_and_no_fault():
    y = np.zeros((1810, 1), np.float32)
    y[::181] = 1
    found = class_balance(binary(), {"x": np.zeros((1810, 2)), "y": y}, 0)
    assert found.status == "passed"
    assert found.evidence["majority share"] == pytest.approx(1800 / 1810)


def test_a_report_reads_and_raises():
    good = CheckResult("labels", "passed", "fine")
    bad = CheckResult("gradient", "failed", "wrong\nby 2", {"error": 0.5}, "Dense_0", "mend it")
    left = CheckResult("loss", "not judged", "nobody knows")
    report = CheckReport((good, bad, left))
    assert str(report).splitlines() == [
        "passed      labels: fine",
        "failed      gradient: wrong by 2 (Dense_0); mend it",
        "not judged  loss: nobody knows",
        "3 checks: 1 passed, 1 failed, 1 not judged",
    ]
    assert (report.passed, report.failed, report.not_judged) == ((good,), (bad,), (left,))
    assert report["gradient"] is bad
    with pytest.raises(KeyError, match="no check of this report"):
        report["weights"]
    with pytest.raises(ChecksFailed, match=r"wrong by 2 \(Dense_0\)"):
        report.raise_if_failed()
    assert "error = 0.5" in report.explain()


def test_data_that_cannot_be_trained_on_leave_the_rest_unjudged():
    report = check(classifier(), {"x": np.full((9, 6), np.nan), "y": np.zeros(9, int)}, 0)
    assert [found.name for found in report.failed] == ["data"]
    assert "NaN" in report["data"].message
    assert [found.name for found in report.passed] == ["regularization"]


def test_what_is_no_recipe_no_key_or_no_knob_is_refused():
    with pytest.raises(TypeError, match="recipe must be"):
        check(3, blobs(), 0)
    with pytest.raises(TypeError, match="key must be"):
        check(classifier(), blobs(), "zero")
    with pytest.raises(ValueError, match="knobs: lr"):
        check(lambda knobs: classifier(), blobs(), 0, knobs={"lr": np.nan})


def test_knobs_reach_the_recipe():
    def make_recipe(knobs, clock):
        del clock
        return classifier(regularizer=jaxnn.regularizers.l2(knobs["l2"]))

    found = [regularization(make_recipe, blobs(), 0, knobs={"l2": k}) for k in (0.1, 0.2)]
    one, two = (result.evidence["penalty"] for result in found)
    assert two == pytest.approx(2 * one, rel=1e-6)
    assert labels(make_recipe, blobs(), 0, knobs={"l2": 0.1}).status == "passed"
