"""A step that is not finite enters no state; too many of them end the run with their place."""

from __future__ import annotations

import functools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.metrics import weighted
from jaxnn.train import init_state, train_step


class Normed(nn.Module):
    """Running statistics, and a parameter whose gradient a batch can spoil."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(1, name="head")(x)


def spoiled(where):
    """Squared error, with NaN or Inf in the chosen place where the batch's `bad` is set."""

    def objective(apply, params, model_state, batch, keys):
        outputs, model_state = apply(params, model_state, batch["x"], keys)
        losses = jnp.square(outputs[:, 0] - batch["y"])
        bad = batch["bad"].max()
        if where == "loss":
            losses = losses * jnp.where(bad > 0, jnp.nan, 1.0)
        elif where == "inf":
            losses = losses * jnp.where(bad > 0, jnp.inf, 1.0)
        elif where == "state":
            model_state = jax.tree.map(lambda s: s + jnp.where(bad > 0, jnp.nan, 0.0), model_state)
        else:  # a finite loss whose gradient is not: the root has none at 0
            sound = jnp.where(bad > 0, 0.0, 1.0)
            root = jnp.sqrt(sound * (1.0 + jnp.sum(params["head"]["bias"] ** 2)))
            losses = losses + 0.0 * root
        return weighted(losses, batch["weight"]), model_state, {}

    return objective


@functools.cache  # so that what is compiled for a recipe is found again
def make(where="loss", limit=3):
    return jaxnn.Recipe(
        model=Normed(),
        objective=spoiled(where),
        optimizer=jaxnn.optim.adam(0.05),
        average=jaxnn.optim.parameter_average(0.9),
        skip_nonfinite=limit,
    )


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)

    def batch(bad=0.0):
        x = rng.normal(size=(8, 3)).astype(np.float32)
        return {
            "x": x,
            "y": x.sum(1),
            "bad": np.full(8, bad, np.float32),
            "weight": np.ones(8, np.float32),
        }

    return batch


def learned(state):
    """All of a state that a gradient may enter."""
    return state.params, state.model_state, state.opt_state, state.averaged


@pytest.mark.parametrize("where", ["loss", "inf", "state", "gradient"])
def test_a_bad_step_enters_no_state(where, batches, same_bits):
    recipe = make(where)
    step = jax.jit(train_step, static_argnums=0)
    state = init_state(recipe, 0, batches())
    state, _ = step(recipe, state, batches())
    after, metrics = step(recipe, state, batches(bad=1.0))
    same_bits(learned(state), learned(after))
    assert int(after.clock) == int(state.clock) + 1
    assert int(after.control.skips.total) == int(after.control.skips.in_a_row) == 1
    assert int(after.control.skips.step) == 1
    assert [float(part) for part in metrics["skipped"]] == [1.0, 1.0]
    assert [float(part) for part in metrics["loss"]] == [0.0, 0.0]  # it is no part of any mean
    later, metrics = step(recipe, after, batches())
    assert int(later.control.skips.in_a_row) == 0
    assert int(later.control.skips.total) == 1
    assert float(metrics["skipped"][0]) == 0.0
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(learned(later)))


def test_skipping_costs_nothing_but_the_batch(batches):
    """The run is the one in which the bad batch was never there, but for its draws."""
    recipe = make("loss")
    good = [batches() for _ in range(4)]
    step = jax.jit(train_step, static_argnums=0)
    straight = disturbed = init_state(recipe, 0, good[0])
    for number, batch in enumerate(good):
        straight, _ = step(recipe, straight, batch)
        if number == 2:
            disturbed, _ = step(recipe, disturbed, batches(bad=1.0))
        disturbed, _ = step(recipe, disturbed, batch)
    for a, b in zip(
        jax.tree.leaves(straight.params), jax.tree.leaves(disturbed.params), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_without_skipping_one_bad_step_is_the_end(batches):
    recipe = jaxnn.Recipe(Normed(), objective=spoiled("loss"), optimizer=optax.adam(0.05))
    state = init_state(recipe, 0, batches())
    state, _ = train_step(recipe, state, batches(bad=1.0))
    assert np.isnan(state.params["head"]["kernel"]).all()


@pytest.fixture
def poisoned(batches):
    """48 rows in shuffled batches of 8: about one batch in three has a bad row."""
    parts = [batches() for _ in range(6)]
    data = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    data["bad"][[3, 30]] = 1.0
    return data


def test_a_run_goes_on_past_bad_batches(poisoned):
    run = jaxnn.fit(make(limit=20), poisoned, epochs=100, batch_size=8, key=0)
    skipped = run.history.series("train/skipped")
    assert set(np.round(skipped * 6)) <= {1.0, 2.0}
    assert int(run.state.control.skips.total) == round(float(skipped.sum() * 6))
    assert run.history.series("train/loss")[-1] < 0.35 * run.history.series("train/loss")[0]
    assert np.isfinite(run.history.series("train/loss")).all()


def test_too_many_in_a_row_end_the_run_with_step_and_place(batches, tmp_path):
    data = batches(bad=1.0)
    data["bad"][:] = 0.0
    calls = []

    def explode(apply, params, model_state, batch, keys):
        """Sound for ten steps, then a gradient that is Inf in the kernel alone."""
        outputs, model_state = apply(params, model_state, batch["x"], keys)
        late = keys.index >= 10
        factor = jnp.where(late, jnp.inf, 1.0)
        kernel = params["head"]["kernel"]
        poison = jnp.sum((kernel - jax.lax.stop_gradient(kernel)) * factor)
        losses = jnp.square(outputs[:, 0] - batch["y"])
        return weighted(losses + jnp.where(late, poison, 0.0), batch["weight"]), model_state, {}

    class Watch(jaxnn.train.Observer):
        def on_end(self, run):
            calls.append(len(run.history.epochs))
            calls.append(run.state)

    recipe = jaxnn.Recipe(
        Normed(), objective=explode, optimizer=jaxnn.optim.sgd(0.01), skip_nonfinite=3
    )
    with pytest.raises(FloatingPointError) as caught:
        jaxnn.fit(
            recipe,
            data,
            epochs=100,
            batch_size=4,
            key=0,
            folder=tmp_path / "run",
            observers=[Watch()],
        )
    message = str(caught.value)
    assert "3 steps in a row were not finite, the last of them step 12" in message
    assert "the loss" in message or "head/kernel" in message
    lines = (tmp_path / "run/history.jsonl").read_text().splitlines()
    assert len(lines) == 7 == calls[0]  # steps 12 and 13 are those of the seventh epoch
    assert json.loads(lines[-1])["stopped"] is True
    assert json.loads(lines[-1])["step"] == 13
    (loss,) = jaxnn.train.History.read(tmp_path / "run").epochs[-1].steps["loss"]
    assert np.isnan(loss), "a step that was left out has no loss, and one not run no entry"
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(calls[1].params))
    with pytest.raises(ValueError, match="cut short"):
        jaxnn.load(tmp_path / "run", recipe)
    with pytest.raises(FloatingPointError, match="3 steps in a row"):  # it does not mend itself
        jaxnn.fit(recipe, data, epochs=100, batch_size=4, key=0, resume=tmp_path / "run")


def test_the_parameter_is_named(batches):
    """Where the loss is finite and one gradient is not, its path is what is said."""
    recipe = make("gradient", limit=1)
    data = batches(bad=1.0)
    with pytest.raises(FloatingPointError, match="NaN or Inf in head/bias"):
        jaxnn.fit(recipe, data, epochs=1, batch_size=8, key=0)


def test_epochs_raises_too_after_the_record(batches):
    seen = []
    with pytest.raises(FloatingPointError, match="1 steps in a row"):
        for epoch in jaxnn.train.each_epoch(
            make(limit=1), batches(bad=1.0), epochs=9, batch_size=8, key=0
        ):
            seen.append(epoch.record.epoch)
    assert seen == [1]


def test_members_of_a_population_are_skipped_alone(batches):
    recipe = make("loss")
    state = init_state(recipe, 0, batches())
    good, bad = batches(), batches(bad=1.0)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), good, bad)
    after, _ = jax.vmap(lambda batch: train_step(recipe, state, batch))(both)
    assert after.control.skips.total.tolist() == [0, 1]
    kernel = after.params["head"]["kernel"]
    assert not np.array_equal(kernel[0], state.params["head"]["kernel"])
    np.testing.assert_array_equal(kernel[1], state.params["head"]["kernel"])
