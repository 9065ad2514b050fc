"""The rules of a population, checked against its recipe and its epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxnn.population.rules.evolution import Evolution
from jaxnn.population.rules.shrinking import Shrink
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.control.protocol import Mode

__all__ = ["Rules", "checked_rules"]


@dataclass(frozen=True)
class Rules:
    """What acts on a population between epochs.

    Attributes:
      shrink: who goes, or None.
      evolve: who copies whom, or None.
      modes: of what these two monitor, by its name.
    """

    shrink: Shrink | None
    evolve: Evolution | None
    modes: dict[str, Mode]


def checked_rules(
    make_recipe: MakeRecipe, knobs: Any, shrink: Any, evolve: Any, epochs: int
) -> Rules:
    """Check the rules, and find which of the values that they monitor is the best.

    Raises:
      ValueError, TypeError: no rule, one that would never act, or a direction that nobody says.
    """
    recipe, modes = build(make_recipe, knobs, np.int32(0)), {}
    for name, rule, kind in (("shrink", shrink, Shrink), ("evolve", evolve, Evolution)):
        if rule is None:
            continue
        if not isinstance(rule, kind):
            raise TypeError(
                f"{name} must be a rule of jaxnn.population, such as successive_halving() for "
                f"shrink and exploit_and_explore(every=…) for evolve, got {rule!r}"
            )
        if rule.first_rung > epochs:
            raise ValueError(
                f"{name} must act within the {epochs} epochs, got a first rung behind epoch "
                f"{rule.first_rung}"
            )
        mode = rule.mode or recipe.direction_of(rule.monitor)
        if mode is None:
            raise ValueError(
                f"mode must be given as 'min' or 'max' for monitor={rule.monitor!r} of {name}, "
                "since nobody says which of its values is the best"
            )
        modes[rule.monitor] = mode
    return Rules(shrink, evolve, modes)
