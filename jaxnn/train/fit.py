"""Training from the outside: `fit` for a whole run, `epochs` for a loop of one's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from jaxnn.arguments import check_positive_int
from jaxnn.recipe import MakeRecipe, Recipe
from jaxnn.train.control import finish
from jaxnn.train.folder import RunFolder
from jaxnn.train.history import EpochRecord, History
from jaxnn.train.interrupt import Interrupt, deferred_interrupt
from jaxnn.train.loop import Loop, Step, has_stopped
from jaxnn.train.prepare import Prepared, prepare
from jaxnn.train.protocols import Observer, Probe
from jaxnn.train.run import Run
from jaxnn.train.state import TrainState
from jaxnn.train.transfer import copy, fetch

__all__ = ["Epoch", "epochs", "fit"]

_CHECKPOINT_SECONDS = 30.0


def fit(
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
    observers: Sequence[Observer | Callable[[EpochRecord], Any]] = (),
    folder: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    steps_per_call: int | None = None,
    eval_batch_size: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Run:
    """Train, and hand back the trained network with its record.

    The run is a function of (recipe, knobs, data, batch size, key): the same arguments give
    the same bits, whatever `steps_per_call`, and whether it was stopped and resumed or not.

    Args:
      recipe: what is trained: a `Recipe`, or `make_recipe: knobs -> Recipe`, which compiles
        once for all values of the knobs. None where `step` and `state` are the user's own.
      data: a `jaxnn.data.Data`, or one batch pytree (n, …) to train on.
      epochs: passes over the training data in all, a resumed run's earlier ones included.
      batch_size: examples of a step, at most those there are. A ragged last batch is exact.
      key: root of every draw: a key or an integer seed.
      knobs: dict of floats for `make_recipe`.
      state: the state to start from; None: a fresh one.
      step: `(state, batch) -> (state, metrics)` instead of `train_step`; metrics are
        scalars or (sum, count) pairs by name.
      probes: diagnostics computed in the step; see `jaxnn.inspect`.
      observers: company on the host, such as `jaxnn.report.Progress()`; a plain function
        is called with every epoch's record.
      folder: a new folder for settings, history and checkpoints; None: nothing is written.
      resume: the folder of this same run, to go on from its last checkpoint. The end
        result is that of a run that never stopped, bit for bit.
      checkpoint_every: epochs between checkpoints; None: whenever 30 seconds have passed.
        The last epoch is always kept.
      steps_per_call: steps of one compiled call; None: the whole epoch.
      eval_batch_size: rows of a batch in evaluation; None: 512 or `batch_size`.
      settings: anything JSON-like to record beside the run's own settings.

    Returns:
      The run.

    Raises:
      ValueError, TypeError: naming the argument, its value, and what is allowed, before
        anything is compiled.
      KeyboardInterrupt: after Ctrl-C, once the epoch under way is done, history and
        checkpoint are written and the observers have ended. A second Ctrl-C does not wait.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     model=jaxnn.nn.MLP((32, 10)),
    ...     loss=jaxnn.losses.softmax_cross_entropy,
    ...     optimizer=jaxnn.optim.adam(3e-3),
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=5, batch_size=64, key=1)
    >>> run.evaluate(data.test)["accuracy"] > 0.9
    True
    """
    total = check_positive_int("epochs", epochs)
    for name, value in (
        ("checkpoint_every", checkpoint_every),
        ("steps_per_call", steps_per_call),
    ):
        if value is not None:
            check_positive_int(name, value)
    company = [_as_observer(observer) for observer in observers]
    files = _check_folder(folder, resume)
    prepared = prepare(
        recipe,
        data,
        batch_size=batch_size,
        key=key,
        knobs=knobs,
        state=state,
        step=step,
        probes=tuple(probes),
        eval_batch_size=eval_batch_size,
    )
    config = {
        "epochs": total,
        **prepared.config,
        "steps_per_call": steps_per_call,
        "settings": None if settings is None else dict(settings),
    }
    run = Run(prepared.state, History(), config, None, prepared.program.make_recipe)
    done = 0 if files is None else _open(files, run, resuming=resume is not None)
    loop = Loop(
        prepared.program,
        run.state,
        prepared.train,
        prepared.val,
        prepared.key,
        epoch=done,
        steps_per_call=steps_per_call,
    )
    keeper = _Keeper(files, loop, checkpoint_every)
    with ExitStack() as stack, deferred_interrupt() as interrupt:
        for observer in company:
            observer.on_start(run)
            stack.callback(observer.on_end, run)
        for record in _records(loop, total, keeper, interrupt):
            run.history.epochs.append(record)
            if files is not None:
                files.append(record)
            for observer in company:
                observer.on_epoch(record)
        keeper.keep_last(len(run.history.epochs))
        run.state = _handed_back(run.make_recipe, loop.state)
        if files is not None:
            files.save_final(run.state, len(run.history.epochs))
        if interrupt.pressed:
            raise KeyboardInterrupt
    return run


class Epoch(NamedTuple):
    """What `epochs` yields."""

    record: EpochRecord
    state: Any  # at the end of the epoch; stays valid


def epochs(
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
    eval_batch_size: int | None = None,
) -> Iterator[Epoch]:
    """The epochs of a run, for a plain `for` with a `break`.

    The same numbers as `fit`, to the last bit; nothing is written, and the caller ends the
    run. What a controller would hand back at its end stays in `state.control`.

    Args:
      recipe, data, epochs, batch_size, key, knobs, state, step, probes, eval_batch_size:
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
    >>> for epoch in jaxnn.train.epochs(recipe, data, epochs=50, batch_size=64, key=1):
    ...     if epoch.record.values["val/accuracy"] > 0.9:
    ...         break
    >>> int(epoch.state.step) == epoch.record.step
    True
    """
    total = check_positive_int("epochs", epochs)
    prepared = prepare(
        recipe,
        data,
        batch_size=batch_size,
        key=key,
        knobs=knobs,
        state=state,
        step=step,
        probes=tuple(probes),
        eval_batch_size=eval_batch_size,
    )
    return _epochs(prepared, total)


def _epochs(prepared: Prepared, total: int) -> Iterator[Epoch]:
    loop = Loop(prepared.program, prepared.state, prepared.train, prepared.val, prepared.key)
    while loop.epoch < total:
        record = loop.collect(loop.launch())
        yield Epoch(record, copy(loop.state))
        if record.stopped:
            return


def _records(
    loop: Loop, total: int, keeper: _Keeper, interrupt: Interrupt
) -> Iterator[EpochRecord]:
    """The epochs up to `total`, the next one always launched before one is waited for."""
    pending = snapshot = None
    going = not fetch(has_stopped(loop.state))  # a resumed run may have ended already
    while going or pending is not None:
        going = going and loop.epoch < total and not interrupt.pressed
        launched = loop.launch() if going else None
        next_snapshot = keeper.snapshot() if going else None
        if pending is not None:
            record = loop.collect(pending)
            yield record
            if record.stopped:
                return  # the epoch just launched finds the run stopped, and changes nothing
            if snapshot is not None:
                keeper.keep(snapshot, record.epoch)
        pending, snapshot = launched, next_snapshot


class _Keeper:
    """Decides when the state is worth a checkpoint, and writes it."""

    def __init__(self, files: RunFolder | None, loop: Loop, every: int | None) -> None:
        self._files, self._loop, self._every = files, loop, every
        self._last = time.monotonic()

    def snapshot(self) -> Any:
        """A copy of the state just launched where it is due, else None."""
        if self._files is None:
            return None
        if self._every is not None:
            due = self._loop.epoch % self._every == 0
        else:
            due = time.monotonic() - self._last > _CHECKPOINT_SECONDS
        return copy(self._loop.state) if due else None

    def keep(self, state: Any, epoch: int) -> None:
        """Write a snapshot."""
        if self._files is not None:
            self._files.save_checkpoint(state, epoch)
            self._last = time.monotonic()

    def keep_last(self, epoch: int) -> None:
        """Write the state that the run ended with."""
        self.keep(self._loop.state, epoch)


def _handed_back(make_recipe: MakeRecipe | None, state: Any) -> Any:
    if make_recipe is None or not isinstance(state, TrainState):
        return state
    return finish(make_recipe(state.knobs), state)


def _as_observer(observer: Any) -> Observer:
    if all(hasattr(observer, name) for name in ("on_start", "on_epoch", "on_end")):
        return observer
    if not callable(observer):
        raise TypeError(f"observers must be Observers or functions of a record, got {observer!r}")
    return _FunctionObserver(observer)


class _FunctionObserver(Observer):
    def __init__(self, function: Callable[[EpochRecord], Any]) -> None:
        self._function = function

    def on_epoch(self, record: EpochRecord) -> None:
        self._function(record)


def _check_folder(folder: Any, resume: Any) -> RunFolder | None:
    if folder is not None and resume is not None:
        raise ValueError("give folder= for a new run or resume= for an old one, not both")
    if resume is not None:
        files = RunFolder(resume)
        files.require_a_run("resume")
        return files
    if folder is None:
        return None
    files = RunFolder(folder)
    files.require_none("folder")
    return files


def _open(files: RunFolder, run: Run, *, resuming: bool) -> int:
    """Begin the folder, or put the run where its folder left it; the epochs done."""
    done = 0
    if resuming:
        files.require_same_run(run.config)
        kept = files.restore_checkpoint(run.state)
        if kept is not None:
            run.state, done = kept
        if done > run.config["epochs"]:
            raise ValueError(
                f"epochs must be at least the {done} that {files.path} has done, "
                f"got {run.config['epochs']}"
            )
        run.history = files.history(until=done)
    run.folder = files.path
    files.begin(run.config, run.history)
    return done
