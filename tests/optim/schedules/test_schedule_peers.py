"""Cyclic and one-cycle schedules against PyTorch's, Keras' cycles, and steps past 2³¹."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn.optim import schedules


def pytorch(make, steps):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler, rates = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize("down", [None, 7])
def test_cyclic(mode, down, x64):
    gamma = {"gamma": 0.99} if mode == "exp_range" else {}
    more = {"mode": mode, "step_size_down": down, "cycle_momentum": False, **gamma}
    expected = pytorch(lambda s, o: s.CyclicLR(o, 0.01, 0.3, 5, **more), 60)
    ours = schedules.cyclic(0.01, 0.3, 5, down, mode=mode, **gamma)(jnp.arange(60))
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle(anneal, three_phase, x64):
    form = {"anneal_strategy": anneal, "three_phase": three_phase, "pct_start": 0.3}
    expected = pytorch(lambda s, o: s.OneCycleLR(o, 0.3, 50, cycle_momentum=False, **form), 49)
    ours = schedules.one_cycle(0.3, 50, counting="pytorch", **form)(jnp.arange(49))
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_one_value_an_epoch():
    schedule = schedules.exponential(1.0, decay_rate=0.1, transition_steps=20)
    ours = schedules.in_epochs(schedule, 7, whole=True)(jnp.arange(70))
    np.testing.assert_allclose(ours, 0.1 ** (np.arange(70) // 7 / 20), rtol=1e-6)


FAR = 2**33
LATE = {
    "linear": (schedules.linear(1.0, 0.0, FAR), optax.linear_schedule(1.0, 0.0, float(FAR))),
    "cosine": (schedules.cosine(1.0, FAR), optax.cosine_decay_schedule(1.0, FAR)),
    "begun": (
        schedules.exponential(1.0, decay_rate=0.5, transition_steps=FAR, transition_begin=FAR),
        optax.exponential_decay(1.0, float(FAR), 0.5, float(FAR)),
    ),
    "pieces": (
        schedules.piecewise_constant([FAR, 3 * FAR], [1.0, 0.5, 0.25]),
        optax.piecewise_constant_schedule(1.0, {float(FAR): 0.5, 3.0 * FAR: 0.5}),
    ),
    "in epochs": (
        schedules.in_epochs(schedules.linear(1.0, 0.0, 2), FAR),
        optax.linear_schedule(1.0, 0.0, 2.0 * FAR),
    ),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("form", [int, np.int64, float])
def test_steps_past_the_largest_int32(name, form):
    ours, theirs = LATE[name]
    for share in (0, 0.25, 0.5, 1, 2, 4):
        count = int(share * FAR)
        np.testing.assert_allclose(ours(form(count)), theirs(float(count)), rtol=1e-6, atol=1e-7)


def test_numpy_integers_are_no_less():
    wide = schedules.step(1.0, every=np.int64(FAR))
    assert [float(wide(count)) for count in (FAR - 1024, FAR)] == [1.0, 0.5]
