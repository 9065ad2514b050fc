"""What the checks look at: the recipe, its first state, and the data in the form of batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import jax
import numpy as np
from flax.errors import InvalidRngError

from jaxnn.data import Data
from jaxnn.data.batches import size
from jaxnn.data.validate import check_batch, check_same_layout
from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.keys import as_key, stream
from jaxnn.losses.checks import check_targets
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, build
from jaxnn.train.prepare.check_data import sampled
from jaxnn.train.step.state import TrainState, as_knobs, init_state
from jaxnn.train.step.step import predict_step

__all__ = ["NotJudged", "Subject", "prepare"]

_T = TypeVar("_T")


class NotJudged(Exception):
    """Raised within a check that cannot be made; its text is the reason."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is checked, and what several checks compute once.

    Attributes:
      recipe: built for the knobs, at the first step.
      maker: of the recipe, for what depends on the step.
      knobs: scalar arrays.
      key: root key, under which every draw of the checks has its own stream.
      parts: "train", and "val" and "test" where there are any, as host batches. Of a stream it
        holds the first rows alone.
      problem: why the data cannot be trained on; "" where they can.
    """

    recipe: Recipe
    maker: MakeRecipe
    knobs: Any
    key: jax.Array
    parts: Mapping[str, Any]
    problem: str
    _done: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, compute: Callable[[Subject], _T]) -> _T:
        """Return `compute(self)`, which is computed at the first call alone."""
        if compute not in self._done:
            try:
                self._done[compute] = compute(self)
            except NotJudged as reason:
                self._done[compute] = reason
        found = self._done[compute]
        if isinstance(found, NotJudged):
            raise NotJudged(*found.args)
        return found

    def generator(self, name: str) -> np.random.Generator:
        """Make a generator of the host whose seed is drawn from the stream of that name."""
        seed = jax.random.key_data(stream(self.key, f"check {name}"))
        return np.random.default_rng(np.asarray(seed))

    @cached_property
    def train(self) -> Any:
        """The training part, of data that can be trained on."""
        if self.problem:
            raise NotJudged("the data cannot be trained on, see the first check")
        return self.parts["train"]

    def rows(self, count: int, name: str) -> Any:
        """Take at most `count` training examples of positive weight, drawn by the stream `name`."""
        train = self.train
        n = size(train)
        useful = np.arange(n)
        weight = train.get("weight") if isinstance(train, Mapping) else None
        if weight is not None:
            useful = np.flatnonzero((np.asarray(weight) > 0).reshape(n, -1).any(1))
        chosen = np.sort(self.generator(name).permutation(useful)[:count])
        return jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], train)

    @cached_property
    def sample(self) -> Any:
        """The batch of training examples that the checks of the network share."""
        return self.rows(thresholds.BATCH, "sample")

    @cached_property
    def state(self) -> TrainState:
        """The state before the first step, of data that can be trained on."""
        rows = jax.tree.map(lambda leaf: np.zeros_like(leaf[:1]), self.train)
        return compiled(partial(init_state, self.maker))(self.key, rows, self.knobs)

    @cached_property
    def labelled(self) -> Any:
        """The training part of a recipe with a loss, whose targets the loss takes."""
        if self.recipe.loss is None:
            raise NotJudged("the recipe has an objective of its own, whose targets nobody knows")
        if self.refused_targets:
            raise NotJudged("the loss refuses the targets, see the check of labels")
        return self.train

    @cached_property
    def refused_targets(self) -> str:
        """What the loss's own check of targets says of the first part that it refuses."""
        assert self.recipe.loss is not None
        train = self.train
        for name, part in self.parts.items():
            if not isinstance(train, Mapping) or "y" not in part:
                return f'{name} must hold "y" for the loss'
            try:
                check_targets(
                    self.recipe.loss, f"{name}: y", self.outputs, part["y"], part.get("weight")
                )
            except (ValueError, TypeError) as error:
                return str(error)
        return ""

    @cached_property
    def outputs(self) -> Any:
        """Shapes and dtypes of the model's outputs for one example."""
        if self.draws_in_evaluation:
            raise NotJudged("the model cannot be evaluated, see the check of evaluation")
        return jax.eval_shape(partial(predict_step, self.maker), self.state, self._one_row)

    @cached_property
    def draws_in_evaluation(self) -> str:
        """What Flax says of a model that asks for random numbers in evaluation; "" for others."""
        try:
            jax.eval_shape(partial(predict_step, self.maker), self.state, self._one_row)
        except InvalidRngError as error:
            return str(error)
        return ""

    @cached_property
    def _one_row(self) -> Any:
        train = self.train
        inputs = train["x"] if isinstance(train, Mapping) and "x" in train else train
        return jax.tree.map(lambda leaf: np.asarray(leaf[:1]), inputs)


def prepare(recipe: Recipe | MakeRecipe, data: Any, key: Any, knobs: Any = None) -> Subject:
    """Bring recipe, data and key to the form in which the checks take them.

    Data that cannot be trained on are noted in the subject, and not refused.

    Raises:
      ValueError, TypeError: no recipe, no key, or a knob that is not one finite number.
    """
    maker, key = as_maker(recipe), as_key(key)
    knobs = as_knobs({} if knobs is None else knobs)
    numbers = jax.tree.map(lambda knob: np.asarray(knob)[()], knobs)
    built = build(maker, numbers, np.int32(0))
    parts, problem = {"train": data}, ""
    if isinstance(data, Data):
        listed = {"train": data.train, "val": data.val, "test": data.test}
        parts = {name: part for name, part in listed.items() if part is not None}
    found: dict[str, Any] = {}
    try:
        for name, part in parts.items():
            _, rows = sampled(name, part, thresholds.STREAMED_ROWS, built.loss is not None)
            found[name] = jax.tree.map(np.asarray, rows)
            check_batch(name, found[name])
            if name != "train":
                check_same_layout(found["train"], found[name], name)
    except (ValueError, TypeError) as error:
        problem = str(error)
    return Subject(built, maker, knobs, key, found, problem)
