"""`fit_population`: train many settings of a recipe in one program."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_flag, check_positive_int, check_sequence
from jaxnn.describe import describe
from jaxnn.keys import as_key
from jaxnn.population.folder import PopulationFolder
from jaxnn.population.members.crew import Crew
from jaxnn.population.members.state import start_states
from jaxnn.population.playing import train_members
from jaxnn.population.population import Population
from jaxnn.population.prepare.devices import members_mesh
from jaxnn.population.prepare.keys import stacked_keys
from jaxnn.population.prepare.knobs import checked_knobs, member_knobs
from jaxnn.population.prepare.reading import refuse_unread
from jaxnn.population.prepare.sizing import best_width
from jaxnn.population.rules.choose import checked_rules
from jaxnn.population.rules.evolution import Evolution
from jaxnn.population.rules.shrinking import Shrink
from jaxnn.recipe import MakeRecipe
from jaxnn.train.bundle.encoding import encoding_of, read_encoding
from jaxnn.train.devices.placement import Placement
from jaxnn.train.loop.feed.source import OnDevice
from jaxnn.train.observers import Observer, with_progress
from jaxnn.train.prepare.prepare import prepare
from jaxnn.train.prepare.settings import recordable
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.record.folder import find_folder
from jaxnn.train.record.history import History
from jaxnn.train.record.records import EpochRecord
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import Probe

__all__ = ["fit_population"]


def fit_population(
    make_recipe: MakeRecipe,
    knobs: Any,
    data: Any,
    *,
    epochs: int,
    batch_size: int,
    key: Any,
    keys: Any = None,
    own_batches: bool = False,
    cohort: int | None = None,
    shrink: Shrink | None = None,
    evolve: Evolution | None = None,
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
    devices: int | Mapping[str, int] | None = None,
) -> Population:
    """Train many settings of a recipe at once, each with its own controllers and record.

    The members share the order of batches and the root key, so that they differ by their knobs
    alone. What they share (the shuffle, the gathered rows, the draws of dropout) is computed once
    for a whole cohort. A member is what `fit` would train alone with its knobs: the same batches,
    masks and initial weights, and parameters equal up to rounding. For one width of cohorts and
    one number of devices its bits depend on nothing else: not on its place, its neighbours, or
    on who has left.

    A member whose parameters become NaN or infinite is stopped at the end of that epoch, and
    harms no other.

    Args:
      make_recipe: `knobs -> Recipe`, or `(knobs, clock) -> Recipe`; see `jaxnn.MakeRecipe`.
      knobs: dict, or any pytree, of (members,) arrays or lists of numbers. A single number holds
        for all.
      data, epochs, batch_size: as in `jaxnn.fit`.
      key: root of every draw: a key or an integer seed.
      keys: one key a member, (members,), or a sequence of keys and integer seeds: initial weights
        and draws are then each member's own, as of an ensemble over seeds. The batches and their
        order stay those of `key`.
      own_batches: whether each member also has its own order of batches, that of `fit` with its
        key. It costs a gather a member.
      cohort: members that train side by side, the width of a cohort. None: what is fastest here,
        as measured before training, which is recorded; a resumed run keeps it.
      shrink: a rule that takes members out: `successive_halving`, `median_stopping`.
      evolve: a rule by which members copy others: `exploit_and_explore`.
      probes, observers, progress, folder, resume, checkpoint_every, steps_per_call, accumulate,
      eval_batch_size, steps_per_epoch, evaluate_every_epochs, evaluate_every_steps, settings:
        as in `jaxnn.fit`. Records have an axis of members.
      devices: over how many devices the cohorts are spread, or a dict `{"members": number}`.
        None: all there are, but one where `jax_default_device` is set or the members are fewer.

    Returns:
      The population.

    Raises:
      ValueError, TypeError: naming the argument, the member, and what is allowed, before anything
        is compiled.
      FloatingPointError: every member has diverged.
      KeyboardInterrupt: as in `jaxnn.fit`.

    >>> import jaxnn
    >>> def make_recipe(knobs):
    ...     return jaxnn.Recipe(
    ...         model=jaxnn.nn.MLP((16, 10), dropout_rate=knobs["dropout"]),
    ...         loss=jaxnn.losses.softmax_cross_entropy,
    ...         optimizer=jaxnn.optim.adam(knobs["lr"]),
    ...     )
    >>> knobs = {"lr": np.logspace(-5, -2, 4), "dropout": 0.1}
    >>> digits = jaxnn.data.digits(key=0)
    >>> population = fit_population(
    ...     make_recipe, knobs, digits, epochs=3, batch_size=64, key=1, cohort=4
    ... )
    >>> [run] = population.best(1, by="val/accuracy")
    >>> round(run.config["knobs"]["lr"], 4)
    0.01
    """
    total = check_positive_int("epochs", epochs)
    for name, value in (
        ("checkpoint_every", checkpoint_every),
        ("steps_per_call", steps_per_call),
        ("cohort", cohort),
    ):
        if value is not None:
            check_positive_int(name, value)
    watching = with_progress(observers, progress)
    files = find_folder(folder, resume, PopulationFolder)
    root = as_key(key)
    own_keys = None if keys is None else stacked_keys(keys)
    values, members = checked_knobs(make_recipe, knobs, None if own_keys is None else len(own_keys))
    rules = checked_rules(make_recipe, member_knobs(values, 0), shrink, evolve, total)
    if check_flag("own_batches", own_batches) and own_keys is None:
        raise ValueError("own_batches goes with keys=, by which members differ; give both")
    mesh = members_mesh(devices, members)
    prepared = prepare(
        Setup(
            recipe=make_recipe,
            data=data,
            batch_size=batch_size,
            key=root,
            knobs=member_knobs(values, 0),
            probes=check_sequence("probes", probes),
            accumulate=accumulate,
            eval_batch_size=eval_batch_size,
            steps_per_epoch=steps_per_epoch,
            evaluate_every_epochs=evaluate_every_epochs,
            evaluate_every_steps=evaluate_every_steps,
            devices=1,
        ),
        None if mesh is None else Placement(mesh),
    )
    rows = jax.tree.map(lambda leaf: leaf[:2], prepared.sample)
    refuse_unread(make_recipe, member_knobs(values, 0), root, rows)
    if own_batches:
        if not isinstance(prepared.train, OnDevice):
            raise ValueError("own_batches needs arrays as data, since a stream has one order")
        prepared.train.own_orders = True
        prepared.program = replace(prepared.program, own_batches=True)
    spread = 1 if mesh is None else mesh.size

    def states_of(count: int) -> TrainState:
        rows = np.arange(count) % members
        some = root if own_keys is None else own_keys[rows]
        chosen = jax.tree.map(lambda column: column[rows], values)
        return start_states(make_recipe, some, prepared.sample, chosen, count)

    if cohort is None and files is not None and resume is not None:
        cohort = files.config()["population"]["cohort"]
    if cohort is None:
        cohort = best_width(
            prepared.program,
            lambda width: Crew(make_recipe, width * spread, width, mesh),
            states_of,
            prepared.train,
            root,
            members,
        )
    crew = Crew(make_recipe, members, cohort, mesh)
    config = {
        "epochs": total,
        **prepared.config,
        "knobs": jax.tree.map(lambda column: column.tolist(), values),
        "population": {
            "members": members,
            "cohort": cohort,
            "devices": crew.devices,
            "keys": None if own_keys is None else jax.random.key_data(own_keys).tolist(),
            "own_batches": own_batches,
            "shrink": describe(shrink),
            "evolve": describe(evolve),
        },
        "rungs": [
            epoch
            for epoch in range(1, total)
            if any(rule is not None and rule.acts(epoch) for rule in (shrink, evolve))
        ],
        "steps_per_call": steps_per_call,
        "settings": recordable(settings),
    }
    states, about, history = states_of(members), None, History()
    if files is not None and resume is not None:
        files.require_same_run(config)
        if found := files.restore_checkpoint(states):
            states, about = found
            history = files.history(until=about["epoch"])
    done = 0 if about is None else about["epoch"]
    if done > total:
        raise ValueError(f"epochs must be at least the {done} that are done, got {total}")
    path = None if files is None else files.path
    encoding = encoding_of(data)
    if files is not None and resume is not None and encoding.is_empty:
        encoding = read_encoding(files.path)  # resumed with the bare arrays
    population = Population(states, history, config, path, make_recipe, encoding=encoding)
    train_members(
        population,
        prepared,
        crew,
        about,
        rules,
        files,
        watching,
        checkpoint_every,
        steps_per_call,
    )
    return population
