"""`fit`: check the arguments, run, tell the observers, save."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from jaxnn.arguments import check_positive_int, check_sequence
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.bundle.encoding import encoding_of, read_encoding
from jaxnn.train.control.protocol import finish
from jaxnn.train.devices.choose import Devices, Rules
from jaxnn.train.devices.distributed import is_first
from jaxnn.train.driving import play
from jaxnn.train.keeper import Keeper
from jaxnn.train.loop.loop import Loop
from jaxnn.train.observers import Observer, chunk_listener, with_progress
from jaxnn.train.prepare.prepare import prepare
from jaxnn.train.prepare.settings import recordable
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.record.folder import RunFolder, find_folder
from jaxnn.train.record.history import History
from jaxnn.train.record.records import EpochRecord
from jaxnn.train.run import Run
from jaxnn.train.step.own_state import Step, as_given
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import Probe

__all__ = ["fit"]


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
    progress: bool | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    steps_per_call: int | None = None,
    accumulate: int = 1,
    eval_batch_size: int | None = None,
    steps_per_epoch: int | None = None,
    evaluate_every_epochs: int | None = None,
    evaluate_every_steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    devices: Devices = None,
    rules: Rules | None = None,
    zero1: bool = False,
) -> Run:
    """Train a recipe on data, and return the trained network with its record.

    All devices train together: with several, the batch is split over them and the result is that
    of one device (`devices=` chooses otherwise). The run is a function of (recipe, knobs, data,
    batch size, key): the same arguments give the same bits, for every `steps_per_call`, and
    whether the run was stopped and resumed or not.

    Args:
      recipe: what is trained: a `Recipe`, or `make_recipe: knobs -> Recipe`, which compiles
        once for all values of the knobs. None where `step` and `state` are your own.
      data: a `jaxnn.data.Data`, or one batch (n, …) to train on: a dict of `x` and `y`, a pair
        (x, y), or, for an objective of your own, any pytree. Arrays too large for
        the device are streamed: `jaxnn.data.stream(arrays)`, `jaxnn.data.iterate(batches)`, or
        any loader that is an iterable of batches.
      epochs: the total number of passes over the training data, including those of the run
        that is resumed.
      batch_size: examples of a step, at most the number of training examples. A ragged last
        batch is exact: it is padded with rows of weight 0, or, for a model that keeps running
        statistics and does not take `weight`, run in a shape of its own.
      key: root of every draw: a key or an integer seed.
      knobs: dict of floats for `make_recipe`.
      state: the state to start from; None makes a fresh one.
      step: `(state, batch) -> (state, metrics)`, used instead of `train_step`; metrics are
        scalars or (sum, count) pairs by name.
      probes: diagnostics computed inside the step; see `jaxnn.inspect`.
      observers: objects that watch the run from the host, such as `jaxnn.report.Progress()`.
        A plain function is called with every epoch's record. See `jaxnn.train.Observer`.
      progress: whether each epoch is shown as it ends, by `jaxnn.report.Progress()`. None: in a
        notebook, unless one of the observers shows it already.
      folder: a new folder for settings, history and checkpoints; None writes nothing.
      resume: the folder of this same run, to go on from its last checkpoint. The result equals
        that of a run that never stopped, bit for bit. On other devices it is equal up to
        rounding, and where one of the two runs used "pmap", the draws differ.
      checkpoint_every: epochs between checkpoints; None: 30 seconds between them. The last
        epoch is always kept.
      steps_per_call: steps of one compiled call, a chunk; None: the whole epoch.
      accumulate: the number of micro-batches in which a batch is computed, one after the other,
        to save memory. The update is that of the whole batch. It divides the batch size.
      eval_batch_size: rows of a batch in evaluation; None: 512, or `batch_size` if larger.
      steps_per_epoch: batches of an epoch, for streamed data. The next epoch goes on where the
        one before stood, and what has ended starts anew. None: an epoch is the whole of the
        data. An iterable without a length must then end within 10 million rows. See
        `jaxnn.data.iterate`, whose argument does the same for validation data.
      evaluate_every_epochs: the run is evaluated, and its controllers act, at the end of every
        so many epochs; None: of each.
      evaluate_every_steps: the run is evaluated, and its controllers act, after every so many
        steps of the run instead, also in the middle of an epoch. A patience then counts these
        evaluations. The epoch's record has the values of the last one in it, and
        `history.step_series("val/loss")` has them all. None: at the end of epochs.
      settings: anything JSON-like to record beside the run's own settings.
      devices: None: all devices, sharded where there are several; but one device where
        `jax_default_device` is set. An int n: the first n devices. "sharded": `jit` over a mesh
        of all devices, with the draws and batch statistics of one device; any batch size works.
        "pmap": each device runs a program of its own, with its own draws. A dict: the axes of a
        mesh with their sizes, such as `{"data": 4, "model": 2}`; the batch is split over "data".
      rules: how parameters are split over a mesh, by a regular expression that is searched for
        in their paths: `{"Dense_0/kernel": PartitionSpec(None, "model")}`. The optimizer's
        arrays for a parameter are split as the parameter is.
      zero1: divide the optimizer's state and averaged parameters over the devices, each array
        along its first axis that divides by their number. `config["parallel"]["unsplit"]`
        lists the arrays that have no such axis.

    Returns:
      The run.

    Warns:
      RuntimeWarning: a GPU or TPU is attached, but JAX runs on the CPU. The warning has the
        command that mends it.

    Raises:
      ValueError, TypeError: naming the argument, its value, and what is allowed, before
        anything is compiled.
      FloatingPointError: as many steps in a row as the recipe's `skip_nonfinite` were not
        finite. The message names the step and the parameter. What was written stays.
      KeyboardInterrupt: after Ctrl-C, once the current epoch is done, history and checkpoint
        are written and the observers have been told. A second Ctrl-C does not wait.

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
    watching = with_progress(observers, progress)
    if not is_first():  # of several processes the first alone shows and writes
        watching = []
    files = find_folder(folder, resume, RunFolder)
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
    config = {
        "epochs": total,
        **prepared.config,
        "steps_per_call": steps_per_call,
        "settings": recordable(settings),
    }
    program, start, done = prepared.program, prepared.state, 0
    given = partial(as_given, program.step)
    run = Run(
        given(start),
        History(),
        config,
        None,
        program.make_recipe,
        program.placement,
        encoding_of(data),
    )
    if files is not None:
        run.folder = files.path
        if resume is not None:
            start, done, run.history = _restored(files, start, config)
            run.state = given(start)
            if run.encoding.is_empty:  # resumed with the bare arrays
                run.encoding = read_encoding(files.path)
    loop = Loop(
        program,
        start,
        prepared.train,
        prepared.val,
        prepared.key,
        epoch=done,
        step=run.history.epochs[-1].step if run.history.epochs else 0,
        steps_per_call=steps_per_call,
        on_chunk=chunk_listener(watching),
        cadence=prepared.cadence,
    )
    play(
        run,
        loop,
        total,
        watching=watching,
        files=files,
        keeper=Keeper(files, loop, checkpoint_every, done),
        # A start that the arguments of a resumption do not give.
        keeps_start=state is not None and not done,
        given=given,
        finished=lambda state: given(_finished(program.make_recipe, state)),
    )
    return run


def _finished(make_recipe: MakeRecipe | None, state: TrainState) -> TrainState:
    """The state that the run hands back: each controller puts in place what it kept."""
    if make_recipe is None:
        return state
    return finish(build(make_recipe, state.knobs, state.clock), state)


def _restored(
    files: RunFolder, start: TrainState, config: dict[str, Any]
) -> tuple[TrainState, int, History]:
    """The state that a folder kept last, its epochs, and the history up to there."""
    files.require_same_run(config)
    state, about = files.restore_checkpoint(start) or (start, {"epoch": 0})
    done = about["epoch"]
    if done > config["epochs"]:
        raise ValueError(
            f"epochs must be at least the {done} that {files.path} has done, got {config['epochs']}"
        )
    return state, done, files.history(until=done)
