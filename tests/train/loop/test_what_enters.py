"""What enters `fit`: pairs, wide integers, streams without an end, batches of one row."""

from __future__ import annotations

from itertools import count

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.data import Data, iterate, stream

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype(np.float32)
Y = RNG.integers(0, 2, 20).astype(np.int32)
BATCH = {"x": X, "y": Y}


class Normalized(linen.Module):
    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dense(2)(linen.BatchNorm(use_running_average=not train)(x))


def recipe(model=None):
    return jaxnn.Recipe(model or linen.Dense(2), jaxnn.losses.softmax_cross_entropy, optax.sgd(0.1))


PLAIN = recipe()


def fit(data, recipe=PLAIN, epochs=1, batch_size=5, **arguments):
    return jaxnn.fit(recipe, data, epochs=epochs, batch_size=batch_size, key=0, **arguments)


def batches(arrays=BATCH, rows=5):
    return [jax.tree.map(lambda a, i=i: a[i : i + rows], arrays) for i in range(0, 20, rows)]


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one.state.params, other.state.params)


def test_a_pair_is_a_dict_of_x_and_y_wherever_it_enters():
    want = fit(BATCH)
    for data in ((X, Y), (X.tolist(), Y.tolist()), (X, Y, np.ones(20, np.float32))):
        same(fit(data), want)
    want = fit(Data(iterate(batches()), val=BATCH))
    same(fit(Data(iterate(batches((X, Y))), val=(X, Y))), want)
    assert fit(stream((X, Y))).history.epochs[0].step == 4


def test_a_torch_loader_of_pairs():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    same(fit(torch.utils.data.DataLoader(pairs, batch_size=5)), fit(iterate(batches())))


WIDE = 1_700_000_000_000


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"x": np.full((20, 3), WIDE)},
            ValueError,
            f"x holds {WIDE} at row 0, column 0, bey",
        ),
        ({"x": np.full((20, 3), 2**32, np.uint64)}, ValueError, "beyond uint32"),
        (
            {"y": Y.astype(np.int64) + 2**32},
            ValueError,
            "y holds 429496729. at row 0, bey",
        ),
        (
            {"x": np.full((20, 3), 1e300)},
            ValueError,
            "x holds 1e.300 at row 0, column 0, bey",
        ),
        (
            {"x": np.zeros((20, 3), "timedelta64[s]")},
            TypeError,
            "x must hold numbers, got dty",
        ),
        ({"x": np.full((20, 3), np.nan)}, ValueError, "x holds NaN at row 0"),
        ({"y": Y + 5}, ValueError, "y "),
        ({"y": Y[:, None] * 1.5}, (ValueError, TypeError), "y "),
    ],
)
def test_what_is_refused_of_arrays_is_refused_of_streams(change, error, message):
    bad = {**BATCH, **change}
    for make in (dict, stream, lambda bad: iterate(batches(bad)), lambda bad: Data(BATCH, bad)):
        with pytest.raises(error, match=message):
            fit(make(bad))
    with pytest.raises(error):  # a good first batch stands for the rest no longer
        fit(iterate([*batches()[:3], batches(bad)[3]]))


@pytest.mark.parametrize("data", [X, [X, X, X, X], 3, "x", {"x": X}, batches()[:2]])
def test_what_is_no_batch_is_said_in_one_line(data):
    with pytest.raises((TypeError, ValueError), match=r"batch|must hold") as caught:
        fit(data)
    assert "\n" not in str(caught.value)


def test_a_streamed_batch_of_one_row_is_not_normalized():
    data = {"x": np.tile(X, (6, 1))[:101], "y": np.tile(Y, 6)[:101]}
    ragged = [jax.tree.map(lambda a, i=i: a[i : i + 25], data) for i in range(0, 101, 25)]
    normalized = recipe(Normalized())
    message = "batch normalization needs at least two rows in training, and train, epoch 1, batch 4"
    with pytest.raises(ValueError, match=message):
        fit(iterate(ragged), normalized, batch_size=25)
    with pytest.raises(ValueError, match="batch normalization needs at least two rows"):
        fit(data, normalized, batch_size=25)
    run = fit(Data(iterate(ragged[:4]), val=iterate(ragged)), normalized, batch_size=25)
    assert np.isfinite(run.history.epochs[0].values["val/loss"])


def numbered(limit=None):
    for i in count() if limit is None else range(limit):
        yield {"x": np.full((5, 3), i, np.float32), "y": np.full(5, i % 2)}


@pytest.mark.parametrize("source", [numbered, numbered()], ids=["function", "iterator"])
def test_epochs_of_a_stream_without_an_end(source):
    run = fit(source, steps_per_epoch=3, epochs=2)
    assert [epoch.step for epoch in run.history.epochs] == [3, 6]
    assert run.config["steps_per_epoch"] == 3
    same(run, fit(iterate(lambda: numbered(6))))
    with pytest.raises(ValueError, match="steps_per_epoch is for data that is streamed"):
        fit(BATCH, steps_per_epoch=3)


def test_positions_of_epochs_of_a_given_length():
    data = iterate([{"x": np.array([i])} for i in range(4)], steps_per_epoch=3)
    taken = [[int(b["x"][0]) for b in data.batches(None, epoch, 1)] for epoch in (0, 1, 2, 1)]
    assert taken == [[0, 1, 2], [3, 0, 1], [2, 3, 0], [3, 0, 1]]  # the last is a resumption
    rows = stream({"x": np.arange(10)})
    key = jax.random.key(0)
    passes = [b["x"].tolist() for epoch in (0, 1) for b in rows.batches(key, epoch, 4)]
    limited = type(rows)(rows.arrays, 2)
    assert [b["x"].tolist() for e in (0, 1, 2) for b in limited.batches(key, e, 4)] == passes
    once = iterate(numbered(4), steps_per_epoch=3)
    list(once.batches(None, 0, 5))
    with pytest.raises(ValueError, match="the iterable ended after 4 batches"):
        list(once.batches(None, 1, 5))


def test_an_epoch_must_end():
    batch = {"x": np.zeros(1_000_000, np.int8)}
    endless = iterate(lambda: (batch for _ in count())).batches(None, 0, 1_000_000)
    with (
        pytest.warns(UserWarning, match="more than 2,000,000 rows"),
        pytest.raises(ValueError, match=r"an epoch must end.*10,000,000 rows.*steps_per_epoch="),
    ):
        list(endless)
    assert len(list(iterate([batch] * 12).batches(None, 0, 1_000_000))) == 12  # of known length
