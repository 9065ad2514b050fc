"""The arguments that `fit`, `epochs` and populations share, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxnn.recipe import MakeRecipe, Recipe
from jaxnn.train.devices.choose import Devices, Rules
from jaxnn.train.step.own_state import Step
from jaxnn.train.step.trace import Probe

__all__ = ["Setup"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What a run is asked to be, as the user gave it; `jaxnn.fit` describes each argument."""

    recipe: Recipe | MakeRecipe | None
    data: Any
    batch_size: int
    key: Any
    knobs: Any = None
    state: Any = None
    step: Step | None = None
    probes: tuple[Probe, ...] = ()
    accumulate: int = 1
    eval_batch_size: int | None = None
    evaluate_every_epochs: int | None = None
    evaluate_every_steps: int | None = None
    devices: Devices = None
    rules: Rules | None = None
    zero1: bool = False
    steps_per_epoch: int | None = None
