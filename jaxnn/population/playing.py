"""Train the members of a population that was found in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from jaxnn.population.folder import PopulationFolder
from jaxnn.population.members.crew import Crew
from jaxnn.population.members.fates import fate_of, has_diverged
from jaxnn.population.population import Population
from jaxnn.population.rules.choose import Rules
from jaxnn.population.rules.rungs import Rungs
from jaxnn.train.driving import play
from jaxnn.train.keeper import Keeper
from jaxnn.train.loop.loop import Loop
from jaxnn.train.observers import Observer, chunk_listener
from jaxnn.train.prepare.prepare import Prepared
from jaxnn.train.step.state import TrainState, member_state

__all__ = ["train_members"]


def train_members(
    population: Population,
    prepared: Prepared,
    crew: Crew,
    about: dict[str, Any] | None,
    rules: Rules,
    files: PopulationFolder | None,
    watching: Sequence[Observer],
    checkpoint_every: int | None,
    steps_per_call: int | None,
) -> None:
    """Train to the last epoch, and leave everything in the population and its folder.

    Args:
      population: whose state is that of all members at the start.
      prepared: of one member.
      crew: of the population.
      about: what stood beside the checkpoint that it goes on from; None: it begins.
      rules: what acts between epochs.
      files: its folder, or None.
      watching: observers.
      checkpoint_every, steps_per_call: as in `jaxnn.fit`.
    """
    history, done = population.history, 0 if about is None else about["epoch"]
    state, roster = crew.begin(population.state, about)
    population.lineage = crew.lineage  # grows with the run
    loop = Loop(
        replace(prepared.program, width=crew.width, mesh=crew.mesh),
        state,
        prepared.train,
        prepared.val,
        prepared.key,
        epoch=done,
        step=history.epochs[-1].step if history.epochs else 0,
        steps_per_call=steps_per_call,
        on_chunk=chunk_listener(watching),
        roster=roster,
        cadence=prepared.cadence,
    )
    if files is not None:
        files.belongs_to(crew, loop)
    play(
        population,
        loop,
        population.config["epochs"],
        watching=watching,
        files=files,
        keeper=Keeper(files, loop, checkpoint_every, done),
        keeps_start=False,
        given=partial(_whole, crew, loop),
        finished=partial(_finished, population, crew, loop),
        between=Rungs(crew, loop, history, rules.shrink, rules.evolve, rules.modes),
    )


def _whole(crew: Crew, loop: Loop, state: TrainState) -> TrainState:
    assert loop.roster is not None  # of a population
    return crew.whole(state, loop.roster)


def _finished(population: Population, crew: Crew, loop: Loop, state: TrainState) -> TrainState:
    """The states that the members hand back, and what ended each."""
    assert loop.roster is not None  # of a population
    states = crew.whole(state, loop.roster)
    for member in loop.roster.ids.tolist():
        own = member_state(states, member)
        crew.fates[member] = fate_of(crew.make_recipe, own, population.history, member)
    population.fates = [crew.fates[member] for member in range(crew.members)]
    if all(map(has_diverged, population.fates)):
        loop.failure = (
            f"every member has diverged, the last of them {population.fates[-1]}. Lower learning "
            "rates or clipping may help; look at the data too"
        )
    return crew.finished(state, loop.roster)
