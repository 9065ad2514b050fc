"""Every optimizer computes its formula: the NumPy transcriptions, on a noisy quadratic."""

from __future__ import annotations

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits
from optimizer_table import EVERY_ROW, TABLE, rows

from jaxnn import optim

SCALES = {"kernel": 0.5 + np.arange(12.0).reshape(4, 3) / 6, "bias": np.array([0.7, 1.0, 2.0])}


class Hill:
    r"""$\tfrac12 s (\theta - \theta^*)^2$ in every entry, with a noise in its gradient."""

    def __init__(self, row, steps, seed=2):
        rng = np.random.default_rng(seed)
        names = ["kernel"] if row.coupled else ["bias", "kernel"]
        self.row, self.steps = row, steps
        self.start = {name: rng.normal(size=SCALES[name].shape) for name in names}
        self.minimum = {name: rng.normal(size=SCALES[name].shape) for name in names}
        self.noise = {name: 0.3 * rng.normal(size=(steps, *SCALES[name].shape)) for name in names}

    def gradient(self, name, point, noise):
        return SCALES[name] * (point - self.minimum[name]) + noise

    def in_numpy(self, knobs, steps=None):
        """The path of each leaf, a bias by the knobs that it has of its own."""
        path = {}
        for name, start in self.start.items():
            own = knobs | (self.row.bias if name == "bias" else {})
            noise = self.noise[name]

            def gradient(t, theta, name=name, noise=noise):
                return self.gradient(name, theta, noise[t])

            leaf = self.row.numpy(start, gradient, **own)
            path[name] = np.stack(list(itertools.islice(leaf, steps or self.steps)))
        return path


def assert_paths_close(ours, expected):
    assert set(ours) == set(expected)
    for name in ours:
        assert ours[name].dtype == np.float64
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-10, atol=1e-12)


@EVERY_ROW
def test_numpy_transcription_over_100_steps_and_vmap_over_every_knob(row, x64, descend):
    """At the defaults over 100 steps, over 20 with each knob away from its own.

    Not over more of these: with a small decay RMSProp steps by the sign, and near the minimum
    the rounding of a sign is a step the other way. All settings are members of one mapped
    program, and NumPy is the loop over them; array scalars that are not mapped do the same.
    """
    hill = Hill(row, 100)
    names = [name for name, knob in row.knobs.items() for _ in knob.sweep]
    values = [value for knob in row.knobs.values() for value in knob.sweep]
    settings = [row.values] + [
        row.values | {name: value} for name, value in zip(names, values, strict=True)
    ]
    stacked = {name: jnp.asarray([s[name] for s in settings]) for name in row.knobs}

    def run(knobs):
        return descend(row.factory(**knobs), hill.start, hill.gradient, hill.noise)

    @jax.jit
    def both(stacked):
        return jax.vmap(run)(stacked), run({name: leaf[0] for name, leaf in stacked.items()})

    together, alone = both(stacked)
    assert_paths_close(alone, {name: leaf[0] for name, leaf in together.items()})
    ends = {name: {} for name in row.knobs}
    for i, knobs in enumerate(settings):
        steps = 100 if i == 0 else 20
        path = {name: leaf[i, :steps] for name, leaf in together.items()}
        assert_paths_close(path, hill.in_numpy(knobs, steps))
        if i > 0:
            ends[names[i - 1]][values[i - 1]] = np.asarray(path["kernel"]).tobytes()
    for name, found in ends.items():
        assert len(set(found.values())) > 1, f"{name} changes nothing"


def ramp(low, high, steps=30):
    """A schedule that NumPy and JAX both read: from one value to another and back."""
    return lambda t: low + (high - low) * (1 - abs(t * 1.0 - steps / 2) / (steps / 2))


def scheduled(row, build):
    return {name: build(knob) for name, knob in row.knobs.items() if knob.scheduled}


SCHEDULED = rows(lambda row: any(knob.scheduled for knob in row.knobs.values()))


@SCHEDULED
def test_every_knob_takes_a_schedule(row, x64, descend):
    """All at once, each with its own: scheduled momenta, decays and epsilons against NumPy."""
    hill = Hill(row, 30, seed=4)
    # Towards the default, so that no ramp passes a value at which the formula explodes.
    ramps = scheduled(row, lambda knob: ramp(knob.value, knob.sweep[1]))
    constants = scheduled(row, lambda knob: optim.schedules.constant(knob.value))

    @jax.jit
    def run(start):
        return [
            descend(row.make(**knobs), start, hill.gradient, hill.noise)
            for knobs in (ramps, constants)
        ]

    on_ramps, on_constants = run(hill.start)
    assert_paths_close(on_ramps, hill.in_numpy(row.values | ramps))
    assert_paths_close(on_constants, hill.in_numpy(row.values))
    assert not np.allclose(on_ramps["kernel"], on_constants["kernel"], rtol=1e-7)


@pytest.mark.slow
@rows(lambda row: row.quadratic is not None)
def test_converges_on_a_noisy_quadratic(row, descend):
    hill = Hill(row, 2000, seed=6)
    tx = row.make(**row.quadratic)
    start, minimum, noise = jax.tree.map(
        lambda x: np.asarray(x, np.float32), (hill.start, hill.minimum, hill.noise)
    )
    noise = {name: leaf / 3 for name, leaf in noise.items()}

    def gradient(name, point, xi):
        return jnp.asarray(SCALES[name], jnp.float32) * (point - minimum[name]) + xi

    path = jax.jit(lambda s: descend(tx, s, gradient, noise))(start)
    for name, leaf in path.items():
        distance = np.linalg.norm(start[name] - minimum[name])
        # A last point jumps with the noise; the mean of the last half, hardly.
        assert np.linalg.norm(leaf[-1] - minimum[name]) < 0.15 * distance, name
        assert np.linalg.norm(leaf[1000:].mean(0) - minimum[name]) < 0.03 * distance, name


@rows(lambda row: row.rate is not None)
def test_rate_scale_is_a_factor_of_the_rate(row, params, grads):
    """The step at a scale of 1/4 is that of an optimizer whose rate is a quarter."""
    g = jax.tree.map(lambda g: jnp.asarray(g[0]), grads(1))
    tx = row.make()

    @jax.jit
    def update(state, scale, rate):
        tx = row.make(**{row.rate: rate})
        return row.update(tx, g, state, params, rate_scale=scale)

    state, rate = tx.init(params), jnp.float32(row.values[row.rate])
    for _ in range(2):  # the second time there is a history
        plain, after = update(state, jnp.float32(1.0), rate)
        scaled, after_scaled = update(state, jnp.float32(0.25), rate)
        of_a_quarter, _ = update(state, jnp.float32(1.0), 0.25 * rate)
        assert_same_bits(scaled, of_a_quarter)
        assert not np.array_equal(scaled["dense"]["kernel"], plain["dense"]["kernel"])
        # The state says what rate was applied.
        assert optim.last_rate(after_scaled) == 0.25 * optim.last_rate(after)
        state = after


def test_every_public_transformation_has_a_row():
    factories = {
        name
        for name in optim.__all__
        if inspect.isfunction(getattr(optim, name))
        and "GradientTransformation"
        in str(inspect.signature(getattr(optim, name)).return_annotation)
    }
    assert len(factories) > 20, "the search finds nothing, so it shows nothing"
    covered = {row.name for row in TABLE} | {name for row in TABLE for name in row.covers}
    assert factories <= covered, f"no row for {sorted(factories - covered)}"
