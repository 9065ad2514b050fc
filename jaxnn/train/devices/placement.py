"""Where the arrays of a run lie: a mesh of devices, and the axes that each array is split over.

The batch is split along its leading axis over the mesh axis "data". Everything else lies whole
on every device, unless a rule splits a parameter or ZeRO-1 divides the optimizer's state. The
number of rows need not divide by the devices: the compiler pads the batch, and leaves the
padding out of every sum.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxnn.nn.axis import device_axis
from jaxnn.train.devices.transfer import fetch
from jaxnn.tree import path_name

__all__ = [
    "DATA",
    "Placement",
    "axes_of",
    "bytes_per_device",
    "send",
]

DATA = "data"  # the mesh axis that batches are split over


@dataclass(frozen=True)
class Placement:
    """How a run is spread over devices. It is static, and compares by value.

    Attributes:
      mesh: of devices; its axes are of type Auto and include "data", or, where it says no more
        than which devices hold the data of a population, "members".
      rules: pairs (regular expression, spec): how the parameters are split whose path matches.
      zero1: whether optimizer state and averaged parameters are divided over "data".
      per_device: whether each device runs a program of its own (`pmap`).
      fold_device_index: whether each device makes draws of its own in such a program.
    """

    mesh: Mesh
    rules: tuple[tuple[str, PartitionSpec], ...] = ()
    zero1: bool = False
    per_device: bool = False
    fold_device_index: bool = True

    @property
    def count(self) -> int:
        """The number of devices that a batch is split over."""
        return self.mesh.shape[DATA]

    def describe(self, state: Any) -> dict[str, Any]:
        """Describe the placement for `config.json`."""
        return {
            "kind": "pmap" if self.per_device else "sharded",
            "mesh": dict(self.mesh.shape),
            "rules": {pattern: str(spec) for pattern, spec in self.rules},
            "zero1": self.zero1,
            "unsplit": self.unsplit(state),
            "processes": jax.process_count(),
        }

    def specs(self, state: Any) -> Any:
        """A `PartitionSpec` for each leaf of a state.

        A leaf that belongs to a parameter (a velocity, an average, the best weights so far) is
        matched to it by path suffix and shape, and is split as the parameter is.
        """
        of_params = {
            _names(path): (self._by_rule(path_name(path)), leaf.shape)
            for path, leaf in jax.tree_util.tree_leaves_with_path(state.params)
        }

        def spec(path: Any, leaf: Any) -> PartitionSpec:
            names = _names(path)
            ends = (of_params.get(names[start:]) for start in range(1, len(names)))
            found = next((end[0] for end in ends if end and end[1] == leaf.shape), PartitionSpec())
            return self._divided(found, leaf.shape) if self._is_divided(names) else found

        return jax.tree_util.tree_map_with_path(spec, state)

    def unsplit(self, state: Any) -> list[str]:
        """The leaves that `zero1` could not divide, since no axis divides by the devices."""
        if not self.zero1:
            return []
        specs = jax.tree.leaves(self.specs(state), is_leaf=_is_spec)
        flat = jax.tree_util.tree_leaves_with_path(state)
        return [
            path_name(path)
            for (path, leaf), spec in zip(flat, specs, strict=True)
            if self._is_divided(_names(path)) and leaf.ndim and DATA not in axes_of(spec)
        ]

    def check(self, state: Any) -> None:
        """Refuse rules that do not fit the parameters.

        Raises:
          ValueError: naming the rule, the parameter, and what is allowed.
        """
        leaves = jax.tree_util.tree_leaves_with_path(state.params)
        flat = [(path_name(path), leaf) for path, leaf in leaves]
        for pattern, spec in self.rules:
            if strange := axes_of(spec) - set(self.mesh.shape):
                raise ValueError(
                    f"rules must name axes of the mesh, {dict(self.mesh.shape)}, "
                    f"got {sorted(strange)} in {pattern!r}: {spec}"
                )
            if not any(re.search(pattern, name) for name, _ in flat):
                raise ValueError(
                    f"rules must each find a parameter, {[name for name, _ in flat]}, "
                    f"got {pattern!r}"
                )
        for name, leaf in flat:
            spec = self._by_rule(name)
            parts = [self._parts(entry) for entry in spec]
            if len(parts) > leaf.ndim or any(
                n % k for n, k in zip(leaf.shape, parts, strict=False)
            ):
                raise ValueError(
                    f"rules must divide the axes of a parameter, {leaf.shape} of {name}, "
                    f"got {spec} over a mesh of {dict(self.mesh.shape)}"
                )

    def replicate(self, tree: Any) -> Any:
        """Put a tree whole on every device."""
        return jax.tree.map(lambda leaf: _put(leaf, self._sharding(PartitionSpec())), tree)

    def place(self, state: Any) -> Any:
        """Put a state on the devices by its specs."""
        return jax.tree.map(
            lambda spec, leaf: _put(leaf, self._sharding(spec)),
            self.specs(state),
            state,
            is_leaf=_is_spec,
        )

    # The following are called within `jit`.

    def constrain(self, state: Any) -> Any:
        """Constrain the state to its declared sharding."""
        return jax.tree.map(
            lambda spec, leaf: _constrain(leaf, self._sharding(spec)),
            self.specs(state),
            state,
            is_leaf=_is_spec,
        )

    def everywhere(self, tree: Any) -> Any:
        """Constrain a tree to lie whole on every device."""
        return jax.tree.map(lambda leaf: _constrain(leaf, self._sharding(PartitionSpec())), tree)

    def split(self, batch: Any, axis: int = 0) -> Any:
        """Constrain a batch to have its rows, along `axis`, split over the devices.

        The weights, one number per row, stay whole on every device. So their sum needs no
        communication, and the gradients are all that the devices have to exchange.
        """
        rows = self._sharding(PartitionSpec(*[None] * axis, DATA))
        if isinstance(batch, Mapping) and "weight" in batch:
            others = {name: leaf for name, leaf in batch.items() if name != "weight"}
            return {**self._split(others, rows), "weight": self.everywhere(batch["weight"])}
        return self._split(batch, rows)

    def share(self, values: jax.Array, micro_batches: int = 1) -> jax.Array:
        """Within a per-device program: this device's share of (rows,) values, zero-padded.

        Of an accumulated batch a device has its share of each micro-batch.
        """
        apart = values.reshape(micro_batches, -1)
        rows = self.rows(apart.shape[1])
        filled = jnp.pad(apart, ((0, 0), (0, rows * self.count - apart.shape[1])))
        start = jax.lax.axis_index(DATA) * rows
        return jax.lax.dynamic_slice_in_dim(filled, start, rows, 1).reshape(-1)

    def rows(self, rows: int) -> int:
        """The most rows that one device takes of a batch of this many."""
        return -(-rows // self.count)

    def on_each_device(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as one program per device: its arguments and results are replicated."""
        whole = PartitionSpec()
        return jax.shard_map(
            function, mesh=self.mesh, in_specs=whole, out_specs=whole, check_vma=False
        )

    @contextmanager
    def current(self) -> Iterator[None]:
        """Trace what is within as a device's own program, where steps run per device."""
        if not self.per_device:
            yield
            return
        with device_axis(DATA, fold_device_index=self.fold_device_index):
            yield

    def _split(self, tree: Any, rows: NamedSharding) -> Any:
        return jax.tree.map(lambda leaf: _constrain(leaf, rows), tree)

    def _sharding(self, spec: PartitionSpec) -> NamedSharding:
        return NamedSharding(self.mesh, spec)

    def _by_rule(self, name: str) -> PartitionSpec:
        found = (spec for pattern, spec in self.rules if re.search(pattern, name))
        return next(found, PartitionSpec())

    def _is_divided(self, names: tuple[str, ...]) -> bool:
        return self.zero1 and names[0] in ("opt_state", "averaged")

    def _divided(self, spec: PartitionSpec, shape: tuple[int, ...]) -> PartitionSpec:
        entries = [*spec, *[None] * (len(shape) - len(spec))]
        for axis, (entry, length) in enumerate(zip(entries, shape, strict=True)):
            if entry is None and length and length % self.count == 0:
                return PartitionSpec(*entries[:axis], DATA, *entries[axis + 1 :])
        return spec

    def _parts(self, entry: Any) -> int:
        names = () if entry is None else entry if isinstance(entry, tuple) else (entry,)
        return int(np.prod([self.mesh.shape[name] for name in names], dtype=int))


def send(data: Any, placement: Placement | None) -> Any:
    """Put host arrays on the device, or whole on each of several devices."""
    return jax.tree.map(_as_device_array, data) if placement is None else placement.replicate(data)


def _as_device_array(leaf: Any) -> jax.Array:
    # `jnp.asarray` would compile a program for each shape of NumPy's.
    return jax.device_put(leaf) if isinstance(leaf, np.ndarray) else jnp.asarray(leaf)


def bytes_per_device(tree: Any) -> int:
    """The most memory, in bytes, that a tree takes on any one device.

    Args:
      tree: pytree of JAX arrays.

    Raises:
      TypeError: a leaf that is no JAX array, and so lies on no device.

    >>> bytes_per_device({"w": jnp.ones((10, 10), "float32")})
    400
    """
    totals: dict[Any, int] = {}
    for leaf in jax.tree.leaves(tree):
        if not isinstance(leaf, jax.Array):
            raise TypeError(f"tree must hold JAX arrays, got {leaf!r}")
        for shard in leaf.addressable_shards:
            totals[shard.device] = totals.get(shard.device, 0) + shard.data.nbytes
    return max(totals.values(), default=0)


def _put(leaf: Any, sharding: NamedSharding) -> Any:
    if jax.process_count() == 1:
        return jax.device_put(leaf, sharding)
    # Every process holds the whole array, and puts on its devices the parts that belong there.
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    value = np.asarray(fetch(leaf))
    value = value.astype(jax.dtypes.canonicalize_dtype(value.dtype), copy=False)
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])


def _constrain(leaf: Any, sharding: NamedSharding) -> Any:
    return jax.lax.with_sharding_constraint(leaf, sharding)


def _names(path: Any) -> tuple[str, ...]:
    return tuple(path_name((entry,)) for entry in path)


def axes_of(spec: PartitionSpec) -> set[str]:
    """The mesh axes that a spec names.

    >>> sorted(axes_of(PartitionSpec(None, ("data", "model"))))
    ['data', 'model']
    """
    entries = (entry if isinstance(entry, tuple) else (entry,) for entry in spec)
    return {name for entry in entries for name in entry if name is not None}


def _is_spec(node: Any) -> bool:
    return isinstance(node, PartitionSpec)
