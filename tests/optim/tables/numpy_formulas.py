"""The lectures' formulas written out in NumPy float64, one generator for each.

Each takes the parameters of one leaf and a function `gradient(t, theta)`, and yields the
parameters after each update without end. A knob is a number or a function of t, the count of
updates before this one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

Trajectory = Iterator[np.ndarray]


def at(knob, t):
    return knob(t) if callable(knob) else knob


def sgd(theta, gradient, learning_rate) -> Trajectory:
    for t in itertools.count():
        theta = theta - at(learning_rate, t) * gradient(t, theta)
        yield theta


def momentum(theta, gradient, learning_rate, decay, inside=False, look=None) -> Trajectory:
    """`look` is None for plain momentum, "ahead" for a gradient taken at θ + μρ, and "current"
    for Nesterov as in Optax, whose step is that of a velocity one decay further on."""
    rho = np.zeros_like(theta)
    for t in itertools.count():
        rate, mu = at(learning_rate, t), at(decay, t)
        if inside:
            g = gradient(t, theta + mu * rho if look == "ahead" else theta)
            rho = mu * rho - rate * g
            theta = theta + (mu * rho - rate * g if look == "current" else rho)
        else:
            g = gradient(t, theta - rate * mu * rho if look == "ahead" else theta)
            rho = mu * rho + g
            theta = theta - rate * (mu * rho + g if look == "current" else rho)
        yield theta


def adagrad(
    theta, gradient, learning_rate, initial_accumulator_value, eps, eps_in_sqrt=True
) -> Trajectory:
    G = np.full_like(theta, initial_accumulator_value)
    for t in itertools.count():
        g = gradient(t, theta)
        G = G + g**2
        e = at(eps, t)
        root = np.sqrt(G + e) if eps_in_sqrt else np.sqrt(G) + e
        theta = theta - at(learning_rate, t) * g / root
        yield theta


def rmsprop(
    theta,
    gradient,
    learning_rate,
    decay,
    eps,
    initial_scale,
    momentum=None,
    eps_in_sqrt=True,
    centered=False,
    nesterov=False,
    rate_in_velocity=True,
    bias_correction=False,
) -> Trajectory:
    G, mean, rho = np.full_like(theta, initial_scale), np.zeros_like(theta), np.zeros_like(theta)
    for t in itertools.count():
        g, lam, e = gradient(t, theta), at(decay, t), at(eps, t)
        G = lam * G + (1 - lam) * g**2
        mean = lam * mean + (1 - lam) * g
        short = 1 - lam ** (t + 1) if bias_correction else 1.0
        variance = G / short - (mean / short) ** 2 if centered else G / short
        step = g / np.sqrt(variance + e) if eps_in_sqrt else g / (np.sqrt(variance) + e)
        rate, mu = at(learning_rate, t), at(momentum or 0.0, t)
        if rate_in_velocity:
            rho = mu * rho + rate * step
            theta = theta - (mu * rho + rate * step if nesterov else rho)
        else:
            rho = mu * rho + step
            theta = theta - rate * (mu * rho + step if nesterov else rho)
        yield theta


def adam(
    theta,
    gradient,
    learning_rate,
    b1,
    b2,
    eps,
    eps_root,
    weight_decay=0.0,
    bias_correction=True,
    eps_before_correction=False,
    nesterov=False,
    amsgrad=None,
    momentum_decay=None,
) -> Trajectory:
    """With `weight_decay`, AdamW: the decay stands beside the step."""
    m, v, v_max, product = np.zeros_like(theta), np.zeros_like(theta), 0.0, 1.0
    for s in itertools.count():
        t, g = s + 1, gradient(s, theta)
        b, c, e, e_root = at(b1, s), at(b2, s), at(eps, s), at(eps_root, s)
        m = b * m + (1 - b) * g
        v = c * v + (1 - c) * g**2
        if momentum_decay is not None:  # Keras: the first decay starts low and rises
            now, then = (
                at(b1, i - 1) * (1 - 0.5 * 0.96 ** (i * at(momentum_decay, i - 1)))
                for i in (t, t + 1)
            )
            product = product * now
            m_hat = then * m / (1 - product * then) + (1 - now) * g / (1 - product)
        elif nesterov:
            m_hat = at(b1, t) * m / (1 - b ** (t + 1)) + (1 - b) * g / (1 - b**t)
        else:
            m_hat = m / (1 - b**t) if bias_correction else m
        short = 1 - c**t if bias_correction else 1.0
        if amsgrad == "raw":
            v_max = np.maximum(v_max, v)
            v_hat = v_max / short
        elif amsgrad == "corrected":
            v_hat = v_max = np.maximum(v_max, v / short)
        else:
            v_hat = v / short
        if eps_before_correction:  # √(1 − c^t) / (√(v + ε_root) + ε), as in Torch 7 and Keras
            step = m_hat * np.sqrt(short) / (np.sqrt(v_hat * short + e_root) + e)
        else:
            step = m_hat / (np.sqrt(v_hat + e_root) + e)
        theta = theta - at(learning_rate, s) * (step + at(weight_decay, s) * theta)
        yield theta


def adamax(theta, gradient, learning_rate, b1, b2, eps) -> Trajectory:
    m, u = np.zeros_like(theta), np.zeros_like(theta)
    for s in itertools.count():
        g, b = gradient(s, theta), at(b1, s)
        m = b * m + (1 - b) * g
        u = np.maximum(at(b2, s) * u, np.abs(g) + at(eps, s))
        theta = theta - at(learning_rate, s) / (1 - b ** (s + 1)) * m / u
        yield theta


def adadelta(theta, gradient, learning_rate, rho, eps, weight_decay=0.0) -> Trajectory:
    squares, moved = np.zeros_like(theta), np.zeros_like(theta)
    for t in itertools.count():
        r, e = at(rho, t), at(eps, t)
        g = gradient(t, theta) + at(weight_decay, t) * theta
        squares = r * squares + (1 - r) * g**2
        step = np.sqrt(moved + e) / np.sqrt(squares + e) * g
        moved = r * moved + (1 - r) * step**2
        theta = theta - at(learning_rate, t) * step
        yield theta


def radam(
    theta, gradient, learning_rate, b1, b2, eps, eps_root, threshold, nesterov=False
) -> Trajectory:
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for s in itertools.count():
        t, g = s + 1, gradient(s, theta)
        b, c = at(b1, s), at(b2, s)
        m = b * m + (1 - b) * g
        v = c * v + (1 - c) * g**2
        limit = 2 / (1 - c) - 1
        rho = limit - 2 * t * c**t / (1 - c**t)
        step = m / (1 - b**t)
        if nesterov:
            step = b * m / (1 - b ** (t + 1)) + (1 - b) * g / (1 - b**t)
        if rho >= threshold:
            r = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            step = r * step / (np.sqrt(v / (1 - c**t) + at(eps_root, s)) + at(eps, s))
        theta = theta - at(learning_rate, s) * step
        yield theta


def lion(theta, gradient, learning_rate, b1, b2, weight_decay) -> Trajectory:
    m = np.zeros_like(theta)
    for t in itertools.count():
        g, b, c = gradient(t, theta), at(b1, t), at(b2, t)
        step = np.sign(b * m + (1 - b) * g) + at(weight_decay, t) * theta
        m = c * m + (1 - c) * g
        theta = theta - at(learning_rate, t) * step
        yield theta


def proximal(theta, gradient, learning_rate, strength) -> Trajectory:
    for t in itertools.count():
        rate = at(learning_rate, t)
        theta = theta - rate * gradient(t, theta)
        theta = np.sign(theta) * np.maximum(np.abs(theta) - rate * at(strength, t), 0)
        yield theta


def decayed(formula, theta, gradient, weight_decay, rate_of=None, **knobs) -> Trajectory:
    """Any formula with W ← W + u − αλW beside it, or W + u − λW if `rate_of` is None."""
    points = {}

    def at_w(t, point):
        return gradient(t, points["w"] + (point - points["bare"]))

    # The formula keeps parameters of its own. Only its steps are used, from the decayed weights.
    points["w"] = points["bare"] = theta
    for t, bare in enumerate(formula(theta, at_w, **knobs)):
        w = points["w"]
        scale = 1.0 if rate_of is None else at(rate_of, t)
        w = w + (bare - points["bare"]) - scale * at(weight_decay, t) * w
        points.update(w=w, bare=bare)
        yield w


def step_decay(init_value, every, factor):
    return lambda t: init_value * factor ** np.floor(t / every)


def max_norm(theta, gradient, learning_rate, c) -> Trajectory:
    for t in itertools.count():
        theta = theta - at(learning_rate, t) * gradient(t, theta)
        if theta.ndim > 1:  # a bias is no weight
            norms = np.sqrt((theta**2).sum(axis=tuple(range(theta.ndim - 1)), keepdims=True))
            theta = theta * np.minimum(1, at(c, t) / norms)
        yield theta


def clipped(theta, gradient, learning_rate, max_delta=None, max_norm=None) -> Trajectory:
    for t in itertools.count():
        g = gradient(t, theta)
        if max_delta is not None:
            g = np.clip(g, -at(max_delta, t), at(max_delta, t))
        else:
            g = g * min(1.0, at(max_norm, t) / np.linalg.norm(g))
        theta = theta - at(learning_rate, t) * g
        yield theta


def plateau(
    theta, gradient, learning_rate, factor, rtol, atol, min_scale, values, patience
) -> Trajectory:
    best, bad, scale = np.inf, 0, 1.0
    for t in itertools.count():
        better = values[t] < best - rtol * abs(best) - atol if np.isfinite(best) else True
        best, bad = (values[t], 0) if better else (best, bad + 1)
        if bad >= patience:
            scale, bad = max(scale * factor, min_scale), 0
        theta = theta - scale * at(learning_rate, t) * gradient(t, theta)
        yield theta
