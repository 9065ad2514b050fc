"""Differences against gradients that are known in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import subjects as s
from subjects import blobs, classifier

import jaxnn
from jaxnn.inspect.checks import check_gradient, gradient_check, loss_falls
from jaxnn.inspect.checks.gradient.differences import compare
from jaxnn.inspect.checks.subject import NotJudged

AT = {"w": jnp.asarray([0.7, -1.3]), "b": jnp.asarray(0.4)}


def smooth(params):
    return jnp.sin(params["w"]).sum() * jnp.exp(params["b"])


def compared(function, params=AT, gradient=None):
    return compare(function, params, np.random.default_rng(0), gradient)


def test_a_smooth_function_is_right_to_eight_digits_and_one_sided_to_five():
    found = compared(smooth)
    assert set(found.errors) == {"w", "b"}
    assert found.coordinates == 3
    assert found.kinks == 0
    assert max(found.errors.values()) < 1e-9
    # The error of a one-sided difference is h f″ / 2, with h = 1e-5 times the deviation of w.
    w, b = np.float32([0.7, -1.3]).astype(float), float(np.float32(0.4))
    h = 1e-5 * np.sqrt((w**2).mean())
    slopes = np.cos(w) * np.exp(b)
    expected = np.linalg.norm(h / 2 * np.sin(w) * np.exp(b)) / np.linalg.norm(slopes)
    assert found.one_sided["w"] == pytest.approx(expected, rel=1e-3)
    assert found.one_sided["w"] > 1e4 * found.errors["w"]
    assert found.value == pytest.approx(np.sin(w).sum() * np.exp(b), rel=1e-12)
    assert found.decrease == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.01, -1.0, 0.0])
def test_a_wrong_gradient_is_measured(factor):
    found = compared(
        smooth, gradient=lambda p: {**jax.grad(smooth)(p), "b": factor * jax.grad(smooth)(p)["b"]}
    )
    assert found.wrong == {"b": 1, "w": 0}
    assert found.errors["b"] == pytest.approx(abs(1 - factor) / max(1, abs(factor)), rel=1e-6)


def test_a_function_alone_is_checked():
    labels = jnp.asarray([0, 2])

    def penalty(params):
        return 1e-3 * s.square(params["w"]).sum()

    def loss(logits):
        return jaxnn.losses.softmax_cross_entropy(logits, labels).mean()

    assert check_gradient(loss, jnp.ones((2, 3)), 0).status == "passed"
    found = check_gradient(penalty, AT, 0)
    assert (found.status, found.where) == ("failed", "w")
    assert found.evidence["error of w"] == pytest.approx(0.5, rel=1e-6)
    narrow = check_gradient(lambda x: x.astype(jnp.float32).sum(), jnp.ones(2), 0)
    assert narrow.status == "not judged"
    with pytest.raises(TypeError, match="function must be a function"):
        check_gradient(3, AT, 0)


def test_kinks_are_told_from_faults():
    def relu(params):
        return jnp.maximum(params["w"] - 1, 0).sum() + jnp.abs(params["w"]).sum()

    # At a kink of each, and so close beside one that a step of 1e-5 crosses it. The slope of
    # `maximum` at its kink is the mean of both sides, as the central difference is.
    params = {"w": jnp.asarray([1.0, 0.0, 1.0 + 3e-7, 2.5, -0.5])}
    found = compared(relu, params)
    assert found.wrong == {"w": 0}
    assert found.kinks == 2
    assert found.errors["w"] < 1e-9
    # A slope that is on neither side is a fault at a kink too.
    outside = compared(relu, params, lambda p: {"w": jax.grad(relu)(p)["w"] + 3.0})
    assert outside.wrong == {"w": 5}


@pytest.mark.parametrize(
    ("function", "params", "reason"),
    [
        (lambda p: p["w"].astype(jnp.float32).sum(), AT, "float32"),
        (lambda p: jnp.abs(p["c"]).sum(), {"c": jnp.ones(2, complex)}, "complex"),
        (lambda p: p["i"].sum() * 1.0, {"i": jnp.ones(2, int)}, "no floating-point parameters"),
        (lambda p: p["w"], AT, "one real number"),
        (lambda p: jnp.log(p["w"].sum()), AT, "not finite"),
    ],
)
def test_what_cannot_be_compared_says_why(function, params, reason):
    with pytest.raises(NotJudged, match=reason):
        compared(function, params)


def test_what_is_narrowed_beside_the_way_to_the_result_does_not_matter():
    def function(params):
        jax.debug.callback(lambda x: None, params["w"].astype(jnp.float32))
        return smooth(params)

    assert max(compared(function).errors.values()) < 1e-9


def test_a_recipe_that_computes_in_float32_is_not_judged_and_says_so():
    import flax.linen as nn

    class Narrow(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(s.CLASSES, dtype=jnp.float32)(x)

    for one in (gradient_check, loss_falls):
        found = one(classifier(Narrow()), blobs(), 0)
        assert found.status == "not judged"
        assert "float32" in found.message


def test_float64_stays_within_and_nothing_changes():
    before = dict(jax.config.values)
    found = gradient_check(classifier(), blobs(), 0)
    assert found.status == "passed", found.explain()
    assert dict(jax.config.values) == before
    assert jnp.ones(1).dtype == jnp.float32
    assert found.evidence["relative error"] < 1e-7
    assert found.evidence["one-sided"] > found.evidence["relative error"]
    # A pure function of its arguments.
    assert gradient_check(classifier(), blobs(), 0) == found
