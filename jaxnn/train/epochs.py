"""`each_epoch`: the epochs of a run as an iterator, for a loop of your own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxnn.arguments import check_positive_int, check_sequence
from jaxnn.recipe import MakeRecipe, Recipe
from jaxnn.train.devices.choose import Devices, Rules
from jaxnn.train.devices.transfer import copy
from jaxnn.train.loop.loop import Loop
from jaxnn.train.prepare.prepare import Prepared, prepare
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.record.records import EpochRecord
from jaxnn.train.step.own_state import Step, as_given
from jaxnn.train.step.trace import Probe

__all__ = ["Epoch", "each_epoch"]


class Epoch(NamedTuple):
    """One epoch, as `each_epoch` yields it."""

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
    steps_per_epoch: int | None = None,
    evaluate_every_epochs: int | None = None,
    evaluate_every_steps: int | None = None,
    devices: Devices = None,
    rules: Rules | None = None,
    zero1: bool = False,
) -> Iterator[Epoch]:
    """Iterate over the epochs of a run, in a plain `for` that may `break`.

    The numbers are those of `fit`, to the last bit. Nothing is written. What a controller puts
    in place at the end of a run, such as the best weights, stays in `state.control`.

    Args:
      recipe, data, epochs, batch_size, key, knobs, state, step, probes, accumulate,
      eval_batch_size, steps_per_epoch, evaluate_every_epochs, evaluate_every_steps, devices, rules,
      zero1:
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
            probes=check_sequence("probes", probes),
            accumulate=accumulate,
            eval_batch_size=eval_batch_size,
            steps_per_epoch=steps_per_epoch,
            evaluate_every_epochs=evaluate_every_epochs,
            evaluate_every_steps=evaluate_every_steps,
            devices=devices,
            rules=rules,
            zero1=zero1,
        )
    )
    return _epochs(prepared, total)


def _epochs(prepared: Prepared, total: int) -> Iterator[Epoch]:
    program = prepared.program
    loop = Loop(
        program,
        prepared.state,
        prepared.train,
        prepared.val,
        prepared.key,
        cadence=prepared.cadence,
    )
    while loop.epoch < total:
        record = loop.collect(loop.launch())
        yield Epoch(record, as_given(program.step, copy(loop.state)))
        if loop.failure is not None:
            raise FloatingPointError(loop.failure)
        if record.stopped:
            return
