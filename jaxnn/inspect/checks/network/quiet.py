"""The recipe without what hides its faults: dropout, regularization, augmentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.subject import Subject
from jaxnn.keys import Keys, stream
from jaxnn.nn.adapters.forms import as_functional
from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.frozen import evaluated
from jaxnn.nn.modes import keywords_of
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.step.objective import bind, inputs_of

__all__ = ["drawing_layers", "in_both_modes", "quiet", "quiet_maker", "stays_in_training"]


def quiet_maker(subject: Subject) -> MakeRecipe:
    """Make `make_recipe` of the recipe without dropout, regularizer and augmentation."""
    drawing, trains = drawing_layers(subject), stays_in_training(subject)

    def maker(knobs: Any, clock: Any) -> Recipe:
        return quiet(build(subject.maker, knobs, clock), drawing, trains)

    return maker


def quiet(recipe: Recipe, drawing: frozenset[str], trains: bool) -> Recipe:
    """Leave out of a recipe what draws, penalizes, averages or controls.

    Args:
      recipe: any.
      drawing: paths of the layers of a Linen module that draw in training; they are evaluated.
      trains: whether the rest of the network stays in its mode for training.
    """
    model = as_functional(recipe.model, rngs=tuple(recipe.rngs))

    def apply(params: Any, model_state: Any, inputs: Any, *, train: bool, **told: Any) -> Any:
        train = train and trains
        with evaluated(drawing):
            return model.apply(params, model_state, inputs, train=train, **told)

    return replace(
        recipe,
        model=Functional(model.init, apply, model.takes_weight),
        regularizer=None,
        augmentation=None,
        metrics=None if recipe.loss is None else {},
        controllers=(),
        average=None,
        skip_nonfinite=None,
        remat=False,
    )


def stays_in_training(subject: Subject) -> bool:
    """Whether the quiet network stays in its mode for training, to normalize by the batch.

    It does where it keeps statistics, and nothing draws that cannot be turned off.
    """
    if not jax.tree.leaves(subject.state.model_state):
        return False
    if isinstance(subject.recipe.model, nn.Module):
        return True
    _, _, training, again = in_both_modes(subject)
    pairs = zip(jax.tree.leaves(training), jax.tree.leaves(again), strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def in_both_modes(subject: Subject) -> list[Any]:
    """Compute the outputs in evaluation with two keys, and those in training with the same."""
    return subject.once(_in_both_modes)


def _in_both_modes(subject: Subject) -> list[Any]:
    def both(state: Any, inputs: Any) -> list[Any]:
        recipe = build(subject.maker, state.knobs, state.clock)
        found = []
        for train in (False, True):
            for name in ("check one", "check two"):
                keys = Keys(stream(state.key, name), jnp.zeros((), jnp.int32))
                apply = bind(recipe, train=train)
                found.append(apply(state.params, state.model_state, inputs, keys)[0])
        return found

    return compiled(both)(subject.state, inputs_of(subject.sample))


def drawing_layers(subject: Subject) -> frozenset[str]:
    """Find the layers of a Linen module that draw in training, dropout and its relatives."""
    return subject.once(_drawing_layers)


def _drawing_layers(subject: Subject) -> frozenset[str]:
    model = subject.recipe.model
    if not isinstance(model, nn.Module):
        return frozenset()
    found: set[str] = set()

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        layer = context.module
        draws = hasattr(layer, "rng_collection") or isinstance(layer, nn.MultiHeadAttention)
        if draws and layer.path and context.method_name == "__call__":
            found.add("/".join(layer.path))
        return call(*args, **kwargs)

    rows = jax.tree.map(lambda leaf: np.asarray(leaf[:1]), inputs_of(subject.train))
    told = keywords_of(type(model).__call__, train=False)
    with nn.intercept_methods(note):
        jax.eval_shape(lambda: model.init(jax.random.key(0), rows, **told))
    return frozenset(found)
