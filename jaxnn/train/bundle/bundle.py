"""`Bundle`: a trained model for prediction, and `load_bundle`, which reads one from a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.arguments import check_path
from jaxnn.losses.regression import squared_error
from jaxnn.nn.adapters.forms import Model, as_functional
from jaxnn.recipe import Recipe
from jaxnn.train.bundle.encoding import Encoding, read_encoding
from jaxnn.train.bundle.files import holds_a_bundle, read_bundle
from jaxnn.train.bundle.models import model_of
from jaxnn.train.bundle.network import Network
from jaxnn.train.bundle.predictor import Predictor
from jaxnn.train.bundle.run_folder import run_facts
from jaxnn.train.bundle.variables import nested, parted, variables_of
from jaxnn.train.record.layout import from_layout
from jaxnn.train.step.state import TrainState, fresh_control
from jaxnn.tree import outline, path_name

__all__ = ["Bundle", "load_bundle"]


@dataclass(frozen=True, eq=False)
class Bundle(Predictor):
    """A trained model without what only training needs.

    Attributes:
      model: the model, or None where it is code that was not given.
      params: its parameters, for `model.apply({"params": params, **model_state}, x)`.
      model_state: its other collections, such as running statistics; `{}` without any.
      encoding: preprocessing, class names and the scaling of targets.
      about: what else is known: "inputs", the layout of the training inputs; "model" and "loss",
        their descriptions; "versions" of the packages.
    """

    model: Model | None
    params: Any
    model_state: Any
    encoding: Encoding
    about: Mapping[str, Any]

    def __repr__(self) -> str:
        kind = "a model that was not given" if self.model is None else type(self.model).__name__
        return f"Bundle of {kind}, params: {outline(self.params)}; {self.encoding}"

    def _network(self, method: str) -> Network:
        if self.model is None:
            raise ValueError(
                f"{method} needs the model, whose code a bundle does not hold: "
                "jaxnn.load_bundle(folder, model=...)"
            )
        return self._made_network

    @cached_property
    def _made_network(self) -> Network:
        # Of the recipe the model alone is used: nothing is trained or measured.
        assert self.model is not None  # refused by _network
        recipe = Recipe(
            self.model,
            squared_error,
            optax.identity(),
            rngs=tuple(self.about["rngs"]),
            compute_dtype=self.about["compute_dtype"],
        )
        state = TrainState(
            clock=jnp.zeros((), jnp.int32),
            knobs={},
            params=self.params,
            model_state=self.model_state,
            opt_state=(),
            averaged=None,
            control=fresh_control(),
            key=_key(self.about),
        )
        return Network(recipe.maker, state, None, self.about["inputs"])

    def _loss(self) -> Any:
        return self.about["loss"]


def load_bundle(folder: str | os.PathLike[str], model: Model | None = None) -> Bundle:
    """Load a trained model for prediction, without optimizer, schedules or history.

    Args:
      folder: that `Run.export` wrote, or the folder of a run that has ended. It may come from
        anywhere: nothing is unpickled, and checksums are checked.
      model: the model, as it was given to the recipe. None: a model of `jaxnn.nn` is made from
        its description; of any other the bundle has the parameters alone, and predicts nothing.

    Returns:
      The bundle, whose `predict`, `predict_classes`, `predict_probabilities` and
      `predict_targets` are those of the run.

    Raises:
      ValueError: no bundle and no run that has ended; files that are damaged, missing, or of
        another version; parameters that are not of this model.

    >>> import tempfile
    >>> import jaxnn
    >>> loss, optimizer = jaxnn.losses.softmax_cross_entropy, jaxnn.optim.adam(3e-3)
    >>> recipe = jaxnn.Recipe(jaxnn.nn.MLP((32, 10)), loss, optimizer)
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=5, batch_size=64, key=1)
    >>> folder = run.export(tempfile.mkdtemp())
    >>> bundle = load_bundle(folder)
    >>> raw = jaxnn.data.invert(data.preprocess, data.test["x"])  # pixels from 0 to 16
    >>> bool((bundle.predict_classes(raw) == data.test["y"]).mean() > 0.9)
    True

    Flax alone reads the same files; the inputs are then preprocessed ones:

    >>> from flax.traverse_util import unflatten_dict
    >>> with np.load(folder / "variables.npz") as arrays:
    ...     variables = unflatten_dict(dict(arrays), sep="/")
    >>> logits = jaxnn.nn.MLP((32, 10)).apply(variables, data.test["x"])
    >>> bool(np.allclose(logits, run.predict(data.test["x"]), atol=1e-5))
    True
    """
    path = check_path("folder", folder)
    facts, arrays = read_bundle(path) if holds_a_bundle(path) else run_facts(path)
    encoding = read_encoding(path)
    if model is None:
        model = model_of(facts["model"])
    try:
        leaves = {name: _on_device(name, array) for name, array in arrays.items()}
        if model is None:
            params, model_state = parted(nested(leaves))
        else:
            params, model_state = _of_model(model, facts, leaves)
        _key(facts)
        bundle = Bundle(model, params, model_state, encoding, facts)
        if model is not None:
            bundle._network("load_bundle")  # finds what is wrong before anything is predicted
        return bundle
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error


def _key(facts: Mapping[str, Any]) -> jax.Array:
    stored = facts["key"]
    return jax.random.wrap_key_data(jnp.array(stored["data"], jnp.uint32), impl=stored["impl"])


def _on_device(name: str, array: np.ndarray) -> jax.Array:
    if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
        raise ValueError(
            f"{name} is {array.dtype}, which JAX holds only where jax_enable_x64 is set"
        )
    return jnp.asarray(array)


def _of_model(model: Model, facts: Mapping[str, Any], leaves: dict[str, Any]) -> tuple[Any, Any]:
    """Parameters and state in the structure that the model has."""
    like = jax.eval_shape(
        as_functional(model).init, jax.random.key(0), from_layout(facts["inputs"])
    )
    variables = variables_of(*like)
    flat, structure = jax.tree_util.tree_flatten_with_path(variables)
    shapes = {path_name(path): leaf.shape for path, leaf in flat}
    if shapes.keys() != leaves.keys():
        odd = sorted(shapes.keys() ^ leaves.keys())
        raise ValueError(
            f"model must be the one that was trained: only one of the two has {odd[:5]}"
        )
    for name, shape in shapes.items():
        if leaves[name].shape != shape:
            raise ValueError(
                f"model must be the one that was trained: {name} has the shape "
                f"{leaves[name].shape} there, and {shape} in the model given"
            )
    return parted(jax.tree.unflatten(structure, [leaves[name] for name in shapes]))
