"""Schedules that rise and fall: one cycle of a whole training, and repeated triangles."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, check_flag
from jaxnn.optim.knobs import Schedule, counted, number
from jaxnn.optim.schedules.decays import completed, raised
from jaxnn.optim.schedules.ramps import fraction
from jaxnn.optim.schedules.waves import half_wave

__all__ = ["cyclic", "one_cycle"]

Number = float | jax.Array


def one_cycle(
    peak_value: Number,
    transition_steps: Number,
    *,
    pct_start: Number = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    three_phase: bool = False,
    counting: Literal["optax", "pytorch"] = "optax",
    clamp: bool = True,
) -> Schedule:
    r"""Rise to a peak and fall almost to 0, along half cosine waves or straight lines.

    The value rises from $\alpha/d$ to α in the first part of the cycle, and then falls to
    $\alpha/(d f)$; with three phases it falls to $\alpha/d$ first, in as many steps as it rose.

    Args:
      peak_value: α, at least 0.
      transition_steps: number of steps T of the whole cycle, above 0.
      pct_start: fraction of the cycle in which the value rises, in (0, 1); with three phases at
        most ½.
      div_factor: d, at least 1.
      final_div_factor: f, at least 1.
      anneal_strategy: "cos" for half cosine waves, "linear" for straight lines.
      three_phase: whether the fall has two parts.
      counting: "optax" reaches the peak at step pT and the end at step T. "pytorch" counts the T
        steps themselves: the peak is at step pT − 1, and step T − 1, the last one, has the last
        value, so that T must be above 1/p.
      clamp: whether the value stays at the end. Otherwise the wave continues and rises again, or
        the line falls on.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> schedule = one_cycle(1.0, 100, pct_start=0.25)
    >>> [round(float(schedule(count)), 4) for count in (0, 25, 100)]
    [0.04, 1.0, 0.0]
    >>> float(one_cycle(1.0, 100, pct_start=0.25, counting="pytorch")(24))
    1.0

    Source: Smith and Topin 2019.
    """
    three_phase, clamp = check_flag("three_phase", three_phase), check_flag("clamp", clamp)
    check_choice("anneal_strategy", anneal_strategy, ("cos", "linear"))
    check_choice("counting", counting, ("optax", "pytorch"))
    peak = number("peak_value", peak_value, 0)
    steps = number("transition_steps", transition_steps, 0, low_open=True)
    most = 0.5 if three_phase else 1
    share = number("pct_start", pct_start, 0, most, low_open=True, high_open=not three_phase)
    div_factor = number("div_factor", div_factor, 1)
    final_div_factor = number("final_div_factor", final_div_factor, 1)
    early = 1 if counting == "pytorch" else 0
    if early and isinstance(steps, float) and isinstance(share, float):
        number("transition_steps * pct_start", steps * share, 1, low_open=True)

    def left(count: Any, begin: Any, end: Any, clamped: bool) -> jax.Array:
        """Compute the share of a way that is left, from 1 at its beginning to 0 at its end."""
        tau = fraction(count, begin, end - begin, clamped)
        return half_wave(tau) if anneal_strategy == "cos" else 1 - tau

    def schedule(count: jax.Array) -> jax.Array:
        t, last = counted(count), steps - early
        top, low = share * steps - early, peak / div_factor
        end = low / final_div_factor
        up = low + (peak - low) * (1 - left(count, 0, top, True))
        if not three_phase:
            return jnp.where(t < top, up, end + (peak - end) * left(count, top, last, clamp))
        # With a share of ½ there is no third phase: a way of no steps would be 0 / 0.
        back = 2 * top
        some = jnp.asarray(last - back) > 0
        rest = left(count, back, jnp.where(some, last, back + 1), clamp)
        down = low + (peak - low) * left(count, top, back, True)
        final = jnp.where(some, end + (low - end) * rest, low)
        return jnp.where(t < top, up, jnp.where(t < back, down, final))

    return schedule


def cyclic(
    init_value: Number,
    peak_value: Number,
    steps_up: Number,
    steps_down: Number | None = None,
    *,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: Number | None = None,
) -> Schedule:
    r"""Rise and fall in straight lines, again and again ("cyclical learning rates").

    $$\alpha_t = \alpha_0 + (\alpha_1 - \alpha_0)\, h_t\, c_t$$

    Here $h_t$ is a triangle that rises from 0 to 1 in u steps and falls to 0 in d steps, and
    $c_t$ is 1, $2^{-k}$ in cycle k (counted from 0), or $\gamma^t$.

    Args:
      init_value: α₀, at least 0, the value between two cycles.
      peak_value: α₁, at least 0. A momentum that falls as the rate rises has an α₁ below α₀.
      steps_up: u, above 0.
      steps_down: d, above 0. None: u.
      mode: "triangular" keeps the height of the cycles, "triangular2" halves it after each, and
        "exp_range" lets it decay at each step.
      gamma: γ, in [0, 1], which "exp_range" needs and the others do not take.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range, or `gamma` does not go with the mode.

    >>> schedule = cyclic(0.0, 1.0, 4, mode="triangular2")
    >>> [float(schedule(count)) for count in (0, 2, 4, 8, 12)]
    [0.0, 0.5, 1.0, 0.0, 0.5]

    Source: Smith 2017.
    """
    check_choice("mode", mode, ("triangular", "triangular2", "exp_range"))
    low, high = number("init_value", init_value, 0), number("peak_value", peak_value, 0)
    up = number("steps_up", steps_up, 0, low_open=True)
    down = up if steps_down is None else number("steps_down", steps_down, 0, low_open=True)
    if (gamma is None) == (mode == "exp_range"):
        raise ValueError(f"gamma must be given with mode='exp_range' alone, got {gamma!r}")
    decay = 1.0 if gamma is None else number("gamma", gamma, 0, 1)

    def schedule(count: jax.Array) -> jax.Array:
        t = counted(count)
        cycle = completed(t, up + down)
        within = t - cycle * (up + down)
        height = jnp.where(within <= up, within / up, (up + down - within) / down)
        if mode == "triangular2":
            height = height * raised(0.5, cycle)
        elif mode == "exp_range":
            height = height * raised(decay, t)
        return low + (high - low) * height

    return schedule
