"""The members of a population on their way: who trains, who has left, and with which state."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxnn.population.members.fates import fate_of
from jaxnn.population.members.state import (
    axes_of_members,
    finished_states,
    laid_out,
    rows_of,
    taken_from,
    with_rows,
)
from jaxnn.recipe import MakeRecipe
from jaxnn.train.loop.cohorts import MEMBERS
from jaxnn.train.loop.loop import Loop
from jaxnn.train.loop.roster import Roster, arrange, room_for
from jaxnn.train.record.history import History
from jaxnn.train.step.state import TrainState, member_state

__all__ = ["Crew"]


class Crew:
    """Lays a population's members out in cohorts, and keeps those that have left.

    Args:
      make_recipe: of the recipe.
      members: how many there are at the start.
      width: of a cohort.
      mesh: of the devices that share the cohorts, or None.
    """

    def __init__(
        self, make_recipe: MakeRecipe, members: int, width: int, mesh: Mesh | None
    ) -> None:
        self.make_recipe, self.members, self.width, self.mesh = make_recipe, members, width, mesh
        devices = 1 if mesh is None else mesh.shape[MEMBERS]
        self.devices, self.cohorts = devices, room_for(members, width, devices)
        self.fates: dict[int, str] = {}  # of those that have left
        self.lineage: list[dict[str, Any]] = []  # who copied whom; see `exploit_and_explore`
        self._left: dict[int, TrainState] = {}  # their states, on the host

    def about(self, alive: np.ndarray) -> dict[str, Any]:
        """What a checkpoint says beside the states, for JSON."""
        fates = {str(member): fate for member, fate in self.fates.items()}
        return {"alive": alive.tolist(), "fates": fates, "lineage": self.lineage}

    def begin(self, states: TrainState, about: dict[str, Any] | None) -> tuple[TrainState, Roster]:
        """Lay out the members, those that are alive where a checkpoint says so.

        Args:
          states: of all members, (members, …).
          about: of the checkpoint; None: the run begins.
        """
        alive = np.arange(self.members)
        if about is not None:
            alive = np.array(about["alive"], np.int64)
            self.fates = {int(member): fate for member, fate in about["fates"].items()}
            self.lineage = list(about["lineage"])
            gone = sorted(self.fates)
            kept = taken_from(states, np.array(gone, np.int64))
            self._left = {member: member_state(kept, row) for row, member in enumerate(gone)}
        return self._lay_out(states, alive, alive)

    def whole(self, state: TrainState, roster: Roster) -> TrainState:
        """The states of all members, (members, …), also of those that have left."""
        places = np.zeros(self.members, np.int64)
        places[roster.ids] = roster.slots
        return with_rows(rows_of(state, places), self._left)

    def finished(self, state: TrainState, roster: Roster) -> TrainState:
        """The states that all members hand back, (members, …)."""
        return finished_states(self.make_recipe, self.whole(state, roster))

    def part_with(self, loop: Loop, leaving: dict[int, str], history: History) -> None:
        """Let members go, whose states are kept, and close the ranks.

        Args:
          loop: with no epoch under way.
          leaving: a reason for each id; "" where its own state says it.
          history: of the population.
        """
        roster = loop.roster
        assert roster is not None  # of a population
        rows = [int(np.flatnonzero(roster.ids == member)[0]) for member in leaving]
        if rows:
            states = rows_of(loop.state, roster.slots[rows])
            for row, (member, reason) in enumerate(leaving.items()):
                state = member_state(states, row)
                self.fates[member] = reason or fate_of(self.make_recipe, state, history, member)
                self._left[member] = state
        stay = ~np.isin(roster.ids, list(leaving))
        self.rearrange(loop, roster.ids[stay], np.flatnonzero(stay))

    def rearrange(self, loop: Loop, ids: np.ndarray, rows: np.ndarray) -> None:
        """Lay members out anew.

        Args:
          loop: with no epoch under way.
          ids: who goes on.
          rows: for each of them, whose state it goes on with, a row of the roster.
        """
        roster = loop.roster
        assert roster is not None  # of a population
        loop.rearrange(*self._lay_out(rows_of(loop.state, roster.slots), ids, rows))

    def place(self, state: TrainState) -> TrainState:
        """Spread the cohorts over the devices."""
        if self.mesh is None:
            return jax.device_put(state)
        own = NamedSharding(self.mesh, PartitionSpec(MEMBERS))
        whole = NamedSharding(self.mesh, PartitionSpec())
        flags = axes_of_members(state)
        leaves = [
            jax.device_put(leaf, own if flag else whole)
            for leaf, flag in zip(jax.tree.leaves(state), flags, strict=True)
        ]
        return jax.tree.unflatten(jax.tree.structure(state), leaves)

    def _lay_out(
        self, states: TrainState, ids: np.ndarray, rows: np.ndarray
    ) -> tuple[TrainState, Roster]:
        roster = arrange(ids, self.cohorts, self.width, self.devices)
        return self.place(laid_out(states, rows, roster, self.cohorts, self.width)), roster
