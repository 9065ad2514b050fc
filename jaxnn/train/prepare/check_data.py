"""Checks of the data of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax

from jaxnn.arguments import check_positive_int
from jaxnn.data.batches import size
from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.inputs.narrowing import narrowed
from jaxnn.data.streams import Stream, as_stream
from jaxnn.data.validate import check_batch, check_batch_size, check_same_layout
from jaxnn.losses.checks import check_targets
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.step.objective import inputs_of
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.step import predict_step

__all__ = [
    "check_labels",
    "check_sizes",
    "check_streamed",
    "eval_rows",
    "fed",
    "sampled",
]

_EVAL_ROWS = 512  # of an evaluation batch, at least, where the user does not say


def sampled(
    name: str, data: Any, batch_size: Any, pairs: bool, steps_per_epoch: int | None = None
) -> tuple[Stream | None, Any]:
    """Bring a part of the data to the form of a batch; a stream's first batch stands for the rest.

    Args:
      name: of the part, "train" or "val".
      data: of the part, or None.
      batch_size: rows of a batch.
      pairs: whether a pair is taken for a dict of x and y, and other things refused.
      steps_per_epoch: batches of an epoch of a stream, or None.

    Returns:
      The stream, or None, and the first batch or the data, in the dtypes that JAX keeps.

    Raises:
      ValueError, TypeError: what cannot be trained on.
    """
    batch_size = check_positive_int("batch_size", batch_size)
    stream = None if data is None else as_stream(data, steps_per_epoch)
    if stream is None:
        if steps_per_epoch is not None and data is not None:
            raise ValueError(
                f"steps_per_epoch is for data that is streamed, and {name} is arrays on the "
                f"device; jaxnn.data.stream(arrays) streams them, got {steps_per_epoch}"
            )
        return None, None if data is None else fed(name, data, pairs)
    if name != "train" and getattr(stream, "once", False):
        raise TypeError(
            f"{name} is evaluated again and again, which an iterator cannot be; give a function "
            "that returns one"
        )
    first = stream.first(batch_size)
    if first is None:
        raise ValueError(f"{name} must hold at least one batch, got an empty stream")
    return stream, fed(f"{name}, batch 0", first, pairs)


def fed(name: str, data: Any, pairs: bool = True) -> Any:
    """Bring data to the form of a batch, in the dtypes that JAX keeps.

    Args:
      name: of the data, for messages.
      data: dict, pair, triple or, without `pairs`, any pytree of arrays, lists or frames.
      pairs: whether a pair is taken for a dict of x and y, and other things refused.

    Raises:
      ValueError, TypeError: no batch, or numbers that JAX would change.
    """
    return narrowed(name, as_batch(name, data, pairs=pairs))


def check_sizes(
    train: Any,
    val: Any,
    batch_size: Any,
    eval_batch_size: Any,
    train_stream: Stream | None,
    val_stream: Stream | None,
) -> tuple[int, int]:
    """Check the sizes of both parts and of their batches.

    Returns:
      The batch size and the rows of a batch in evaluation.
    """
    n = check_batch("train", train)
    # Of an iterable of batches any may be smaller than the largest.
    counted = train_stream is None or train_stream.examples is not None
    batch_size = check_batch_size(batch_size, n if counted else max(n, batch_size))
    n_val = 0
    if val is not None:
        n_val = check_batch("val", val)
        check_same_layout(train, val, "val")
    if eval_batch_size is None and val_stream is not None:
        eval_batch_size = batch_size
    if eval_batch_size is None:
        eval_batch_size = eval_rows(val if n_val else train, max(batch_size, _EVAL_ROWS))
    eval_batch_size = check_positive_int("eval_batch_size", eval_batch_size)
    # More rows than there are would be padding.
    counted_eval = val_stream.examples if val_stream is not None else n_val or n
    if isinstance(train, Mapping) and counted_eval is not None:
        eval_batch_size = min(eval_batch_size, counted_eval)
    if not isinstance(train, Mapping):
        for name, rows, total, stream in (
            ("batch_size", batch_size, n, train_stream),
            ("eval_batch_size", eval_batch_size, n_val, val_stream),
        ):
            total = total if stream is None else stream.examples
            if total is not None and total % rows:
                raise ValueError(
                    f"{name} must divide the {total} examples, since a batch that is no dict has "
                    f"no place for the weights of a ragged end, got {rows}"
                )
    return batch_size, eval_batch_size


def eval_rows(data: Any, limit: int) -> int:
    """Choose the rows of an evaluation batch, at most `limit`.

    A batch that is no dict has no place for weights, so there the rows divide the examples.
    """
    n = size(data)
    rows = min(n, limit)
    if isinstance(data, Mapping):
        return rows
    return max(divisor for divisor in range(1, rows + 1) if n % divisor == 0)


def check_labels(make_recipe: MakeRecipe, state: TrainState, name: str, data: Any) -> None:
    """Refuse targets that the loss cannot take from this model.

    Args:
      make_recipe: of the recipe.
      state: holds knobs and parameters.
      name: of the data, for the message.
      data: pytree of arrays (n, …).

    Raises:
      ValueError, TypeError: what the loss's check of targets says.
    """
    loss = build(make_recipe, state.knobs, state.clock).loss
    if loss is None or not isinstance(data, Mapping):
        return
    inputs_of(data)
    if "y" not in data:
        raise ValueError(f'{name} must hold "y" for the loss, got the keys {sorted(data)}')
    row = jax.tree.map(_one_row, data)
    outputs = jax.eval_shape(partial(_outputs, make_recipe), state, row["x"])
    check_targets(loss, f"{name}: y", outputs, data["y"], data.get("weight"))


def _one_row(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True)
    return jax.ShapeDtypeStruct((1, *leaf.shape[1:]), dtype)


# Jitted, so that a second run finds the trace.
_outputs = partial(jax.jit, static_argnums=0)(predict_step)


def check_streamed(
    make_recipe: MakeRecipe | None,
    state: Any,
    name: str,
    sample: Any,
    pairs: bool,
    check_rows: Callable[[str, int], None],
    place: str,
    batch: Any,
) -> Any:
    """Refuse of a streamed batch what is refused of arrays, and what the first batch is not.

    Args:
      make_recipe: of the recipe, or None.
      state: holds knobs and parameters.
      name: of the part, "train" or "val".
      sample: the first batch.
      pairs: as in `fed`.
      check_rows: refuses a number of rows; called with the batch's name and their number.
      place: of the batch in the part, for messages.
      batch: as the stream gave it.

    Returns:
      The batch in the form and the dtypes in which it is trained on.

    Raises:
      ValueError, TypeError: naming the part and the batch.
    """
    place = f"{name}, {place}"
    batch = fed(place, batch, pairs)
    check_rows(place, check_batch(place, batch))
    check_same_layout(sample, batch, place)
    if make_recipe is not None:
        check_labels(make_recipe, state, place, batch)
    return batch
