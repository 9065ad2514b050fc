"""Which members of a population train, and where each of them lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxnn.train.loop.cohorts import cohorts_for

__all__ = ["Roster", "arrange", "room_for"]


@dataclass(frozen=True, eq=False)
class Roster:
    """The members that train, and the slot of each.

    The arrays of a population have a slot for each place in each cohort, (cohorts, width, …).

    Attributes:
      ids: (members,) int64, in rising order.
      slots: (members,) int64: where each lies, counted through the cohorts.
      live: the number of live cohorts, which come first, int32: () or, where cohorts are spread
        over devices, (devices,) for each device its own.
    """

    ids: np.ndarray
    slots: np.ndarray
    live: np.ndarray

    def of(self, array: np.ndarray) -> np.ndarray:
        """(cohorts, width, …) as (members, …), the members in the order of their ids."""
        return array.reshape(-1, *array.shape[2:])[self.slots]


def arrange(ids: np.ndarray, cohorts: int, width: int, devices: int = 1) -> Roster:
    """Put members into as few cohorts as hold them, which the devices share evenly.

    Args:
      ids: (members,), at least one.
      cohorts: for which the population's arrays have room; a multiple of the devices.
      width: members of a cohort.
      devices: over which the cohorts are spread, so many in a row to each.

    >>> roster = arrange(np.array([2, 5, 7, 8]), cohorts=4, width=1, devices=2)
    >>> roster.slots, roster.live
    (array([0, 2, 1, 3]), array([2, 2], dtype=int32))
    """
    number = np.arange(len(ids))
    in_use = number // width  # the cohorts, counted over the devices in turn
    cohort = in_use % devices * (cohorts // devices) + in_use // devices
    count = -(-len(ids) // width)
    live = np.array([len(range(device, count, devices)) for device in range(devices)], np.int32)
    return Roster(
        np.asarray(ids, np.int64),
        cohort * width + number % width,
        live if devices > 1 else live[0],
    )


def room_for(members: int, width: int, devices: int) -> int:
    """The number of cohorts that a population's arrays have room for.

    >>> room_for(5, width=3, devices=1), room_for(20, width=3, devices=2)
    (2, 8)
    """
    return devices * cohorts_for(-(-members // devices), width)
