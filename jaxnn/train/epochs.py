"""The epochs of a run as an iterator, for a loop of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxnn.arguments import check_positive_int
from jaxnn.recipe import MakeRecipe, Recipe
from jaxnn.train.devices.choose import Devices, Rules
from jaxnn.train.devices.transfer import copy
from jaxnn.train.loop.loop import Loop
from jaxnn.train.prepare.prepare import Prepared, prepare
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.record.history import EpochRecord
from jaxnn.train.step.own_state import Step, as_given
from jaxnn.train.step.trace import Probe

__all__ = ["Epoch", "each_epoch"]


class Epoch(NamedTuple):
    """What `each_epoch` yields."""

    record: EpochRecord
    state: Any  # at the end of the epoch; stays valid


def each_epoch(
    recipe: Recipe | MakeRecipe | None,
    data: Any,
    *,
    epochs: int,
    batch_size: int,
    key: Any,
    knobs: Any = None,
    state: Any = None,
    step: Step | None = None,
    probes: Sequence[Probe] = (),
    accumulate: int = 1,
    eval_batch_size: int | None = None,
    devices: Devices = None,
    rules: Rules | None = None,
    zero1: bool = False,
) -> Iterator[Epoch]:
    """The epochs of a run, for a plain `for` with a `break`.

    The same numbers as `fit`, to the last bit; nothing is written, and the caller ends the
    run. What a controller would hand back at its end stays in `state.control`.

    Args:
      recipe, data, epochs, batch_size, key, knobs, state, step, probes, accumulate,
      eval_batch_size, devices, rules, zero1:
        as in `fit`.

    Returns:
      An iterator of `Epoch`. The arguments are checked at once, not at the first epoch.

    Raises:
      ValueError, TypeError: as `fit`.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     model=jaxnn.nn.MLP((32, 10)),
    ...     loss=jaxnn.losses.softmax_cross_entropy,
    ...     optimizer=jaxnn.optim.adam(3e-3),
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> for epoch in jaxnn.train.each_epoch(recipe, data, epochs=50, batch_size=64, key=1):
    ...     if epoch.record.values["val/accuracy"] > 0.9:
    ...         break
    >>> int(epoch.state.clock) == epoch.record.step
    True
    """
    total = check_positive_int("epochs", epochs)
    prepared = prepare(
        Setup(
            recipe=recipe,
            data=data,
            batch_size=batch_size,
            key=key,
            knobs=knobs,
            state=state,
            step=step,
            probes=tuple(probes),
            accumulate=accumulate,
            eval_batch_size=eval_batch_size,
            devices=devices,
            rules=rules,
            zero1=zero1,
        )
    )
    return _epochs(prepared, total)


def _epochs(prepared: Prepared, total: int) -> Iterator[Epoch]:
    program = prepared.program
    loop = Loop(program, prepared.state, prepared.train, prepared.val, prepared.key)
    while loop.epoch < total:
        record = loop.collect(loop.launch())
        yield Epoch(record, as_given(program.step, copy(loop.state)))
        if loop.failure is not None:
            raise FloatingPointError(loop.failure)
        if record.stopped:
            return
