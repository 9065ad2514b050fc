"""How data comes to the compiled loop: all of it on the device, or streamed from the host."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.batches import size, steps_in
from jaxnn.data.streams import Stream
from jaxnn.train.chunk import Tally, next_piece, start_epoch, start_tally
from jaxnn.train.evaluation import evaluate_more
from jaxnn.train.placement import Placement
from jaxnn.train.pmapped import run_chunk, run_rows
from jaxnn.train.program import Program

__all__ = ["Feed", "OnDevice", "Piece", "Streamed"]

_CHUNK_BYTES = 32 * 2**20  # of streamed data sent at once, where the user does not say
_AHEAD = 2  # chunks that are ready before they are needed


class Piece(NamedTuple):
    """The series of some steps in a row."""

    done: Any  # () int32: how many of them were run
    series: dict[str, Any]  # metric -> (at least done,)


class OnDevice:
    """Arrays that fit on the device: an epoch is an order of their rows.

    Of several devices each holds them all, so that a batch of any rows is gathered at home.
    """

    def __init__(self, data: Any, placement: Placement | None = None) -> None:
        self.data = _on_device(placement, _own(data))
        self.examples = size(data)

    def epoch(
        self, program: Program, state: Any, key: jax.Array, epoch: int, steps_per_call: int | None
    ) -> tuple[Any, Tally, list[Piece]]:
        """Launch the steps of an epoch."""
        order, tally = start_epoch(program, state, self.data, key, np.int32(epoch))
        ragged = self.examples % program.batch_size if program.unpadded else 0
        steps = steps_in(self.examples - ragged, program.batch_size)
        every = steps_per_call or max(steps, 1)
        for start in range(0, steps, every):
            count = np.int32(min(every, steps - start))
            state, tally = run_chunk(
                program, state, tally, self.data, order, np.int32(start), count
            )
        if ragged:
            rows = order[steps * program.batch_size :][:ragged]
            state, tally = run_rows(program, state, tally, self.data, rows, np.int32(steps))
        return state, tally, [Piece(tally.done, tally.series)]

    def evaluated(self, program: Program, state: Any) -> tuple[Any, Any]:
        """The data itself, to be evaluated where the epoch ends."""
        return self.data, None


class Streamed:
    """Batches from the host: a few steps' worth is sent while those before it are run.

    Args:
      stream: gives the batches.
      check: what refuses a batch, called with a name and the batch.
    """

    def __init__(self, stream: Stream, check: Callable[[str, Any], Any]) -> None:
        self.examples = stream.examples or 0  # a source that cannot tell is counted as it goes
        self._stream, self._check = stream, check

    def epoch(
        self, program: Program, state: Any, key: jax.Array, epoch: int, steps_per_call: int | None
    ) -> tuple[Any, Tally, list[Piece]]:
        """Launch the steps of an epoch, waiting only until there is room for more data."""
        pieces: list[Piece] = []
        tally, examples, rows = None, 0, program.batch_size
        batches = self._checked(self._stream.batches(key, epoch, rows), f"epoch {epoch + 1}")
        chunks = _chunks(batches, rows, steps_per_call, program.unpadded, fill=True)
        for chunk in _ahead(chunks, program.placement):
            if tally is None:
                tally = start_tally(program, state, chunk.data, chunk.capacity)
            else:
                tally = next_piece(tally)
            order = np.arange(size(chunk.data), dtype=np.int32)
            if chunk.ragged:
                state, tally = run_rows(program, state, tally, chunk.data, order, np.int32(0))
            else:
                state, tally = run_chunk(
                    program, state, tally, chunk.data, order, np.int32(0), np.int32(chunk.steps)
                )
            pieces.append(Piece(*jax.tree.map(jnp.copy, (tally.done, tally.series))))
            examples += chunk.examples
            if len(pieces) > _AHEAD:  # or the data of a whole epoch would pile up on the device
                jax.block_until_ready(pieces[-1 - _AHEAD].done)
        if tally is None:
            raise ValueError(f"the training data gave no batch in epoch {epoch + 1}")
        self.examples = examples
        return state, tally, pieces

    def evaluated(self, program: Program, state: Any) -> tuple[Any, Any]:
        """The metrics of the whole stream, in its own order."""
        if program.make_recipe is None:
            return None, None
        sums, first, rows = None, 0, program.eval_batch_size
        batches = self._checked(self._stream.batches(None, 0, rows), "validation")
        for chunk in _ahead(_chunks(batches, rows, None, False, fill=False), program.placement):
            sums = evaluate_more(program, state, sums, chunk.data, np.int32(first))
            first += chunk.steps
            jax.block_until_ready(sums)
        if sums is None:
            raise ValueError("the validation data gave no batch")
        return None, sums

    def _checked(self, batches: Iterator[Any], name: str) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            self._check(f"{name}, batch {number}", batch)
            yield batch


Feed = OnDevice | Streamed


class _Chunk(NamedTuple):
    """Some batches, one behind the other."""

    data: Any  # pytree (capacity · batch_size, …), or of a ragged batch (rows, …)
    steps: int  # how many of the batches are there
    examples: int  # rows that are no padding
    capacity: int
    ragged: bool = False  # one batch in a shape of its own


def _chunks(
    batches: Iterator[Any], batch_size: int, steps: int | None, unpadded: bool, *, fill: bool
) -> Iterator[_Chunk]:
    """Batches in groups of `steps`, padded with rows of weight 0.

    Args:
      batches: host batches of at most `batch_size` rows.
      batch_size: rows that each is padded to.
      steps: of a group; None: what makes up some megabytes.
      unpadded: whether a smaller batch is handed on alone and as it is.
      fill: whether the last group is filled up to the size of the others.
    """
    group: list[Any] = []
    for batch in batches:
        if steps is None:
            row_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(batch)) / size(batch)
            steps = int(np.clip(_CHUNK_BYTES / (row_bytes * batch_size), 1, 64))
        if unpadded and size(batch) < batch_size:
            if group:
                yield _joined(group, batch_size, steps if fill else len(group))
                group = []
            yield _Chunk(_own(batch), 1, size(batch), steps, ragged=True)
            continue
        group.append(batch)
        if len(group) == steps:
            yield _joined(group, batch_size, steps)
            group = []
    if group:
        assert steps is not None  # set with the first batch
        yield _joined(group, batch_size, steps if fill else len(group))


def _joined(group: list[Any], batch_size: int, capacity: int) -> _Chunk:
    examples = sum(map(size, group))
    padded = [_padded(batch, batch_size) for batch in group]
    empty = [jax.tree.map(np.zeros_like, padded[0])] * (capacity - len(group))
    data = jax.tree.map(lambda *leaves: np.concatenate(leaves), *padded, *empty)
    return _Chunk(data, len(group), examples, capacity)


def _padded(batch: Any, batch_size: int) -> Any:
    """A batch with as many rows as it lacks, of weight 0."""
    rows = size(batch)
    if not isinstance(batch, Mapping):
        if rows != batch_size:
            raise ValueError(
                f"every batch must have {batch_size} rows, since one that is no dict has no place "
                f"for the weights of padding, got {rows}"
            )
        return batch
    weight = batch.get("weight")
    batch = {**batch, "weight": np.ones(rows, np.float32) if weight is None else weight}
    missing = batch_size - rows
    return jax.tree.map(
        lambda leaf: np.pad(leaf, ((0, missing),) + ((0, 0),) * (leaf.ndim - 1)), batch
    )


def _own(data: Any) -> Any:
    """NumPy arrays as copies: JAX uses their memory on CPU, and the user may write to it."""
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, data)


def _on_device(placement: Placement | None, data: Any) -> Any:
    return jax.tree.map(_put, data) if placement is None else placement.replicate(data)


def _put(leaf: Any) -> jax.Array:
    # `jnp.asarray` would compile a program for each shape of NumPy's.
    return jax.device_put(leaf) if isinstance(leaf, np.ndarray) else jnp.asarray(leaf)


def _ahead(chunks: Iterator[_Chunk], placement: Placement | None) -> Iterator[_Chunk]:
    """The same chunks on the device, made by a thread while those before them are used."""
    ready: queue.Queue[Any] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for chunk in chunks:
                if not put(chunk._replace(data=_on_device(placement, chunk.data))):
                    return
        except BaseException as error:  # handed to the thread that waits, and raised there
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=work, name="jaxnn-feed", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
