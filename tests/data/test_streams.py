"""Streams: the order of data on the device, positions to go on from, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.data import iterate, stream
from jaxnn.data.batches import epoch_order
from jaxnn.data.streams import as_stream

KEY = jax.random.key(3)


def test_batches_are_those_of_the_device():
    x = np.arange(23)
    for epoch in (0, 1):
        order = np.asarray(epoch_order(KEY, jnp.int32(epoch), 23, 5))[:23]
        batches = list(stream({"x": x}).batches(KEY, epoch, 5))
        assert [len(batch["x"]) for batch in batches] == [5, 5, 5, 5, 3]
        np.testing.assert_array_equal(np.concatenate([batch["x"] for batch in batches]), order)


def test_goes_on_from_any_batch():
    source = stream({"x": np.arange(23)})
    everything = list(source.batches(KEY, 4, 5))
    for start in range(6):
        rest = list(source.batches(KEY, 4, 5, start))
        for a, b in zip(rest, everything[start:], strict=True):
            np.testing.assert_array_equal(a["x"], b["x"])
    number = [{"x": np.full(2, i)} for i in range(4)]
    assert [b["x"][0] for b in iterate(number).batches(None, 0, 2, start=2)] == [2, 3]


def test_a_memory_map_is_read_a_batch_at_a_time(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(60.0).reshape(20, 3))
    mapped = np.load(path, mmap_mode="r")
    (first, *_) = stream(mapped).batches(None, 0, 8)
    np.testing.assert_array_equal(first, np.arange(24.0).reshape(8, 3))
    assert type(first) is np.ndarray


def test_an_iterable_is_asked_anew_for_each_epoch():
    asked = []

    def source():
        asked.append(1)
        yield {"x": np.array([[1.0]])}

    data = iterate(source)
    for epoch in range(3):
        (batch,) = data.batches(KEY, epoch, 4)
        np.testing.assert_array_equal(batch["x"], [[1.0]])
    assert len(asked) == 3


def test_what_is_a_stream_and_what_is_a_batch():
    class Loader:
        def __iter__(self):
            return iter([{"x": np.zeros(2)}])

    assert as_stream(Loader()) is not None
    assert as_stream(lambda: [{"x": np.zeros(2)}]) is not None
    for batch in ({"x": np.zeros(2)}, np.zeros(2), (np.zeros(2), np.ones(2)), jnp.zeros(2)):
        assert as_stream(batch) is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: stream({"x": np.zeros(3), "y": np.zeros(4)}), ValueError, "arrays of one length"),
        (lambda: stream({"x": np.array(["a"])}), TypeError, "must hold numbers"),
        (
            lambda: iterate(iter([1])),
            TypeError,
            "needs an iterable that starts anew for each epoch",
        ),
        (lambda: iterate(3), TypeError, "iterate needs an iterable of batches, got 3"),
        (
            lambda: list(iterate([{"x": np.zeros(9)}]).batches(None, 0, 8)),
            ValueError,
            "batch_size must be at least the 9 rows of batch 0, got 8",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
