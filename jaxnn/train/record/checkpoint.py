"""Trees of arrays on disk: orbax behind one door.

A tree is written as its leaves in order, with a manifest of their paths, shapes, dtypes and
SHA-256, which restoring checks: orbax itself hands back a file with a flipped bit as if
nothing were wrong. Typed keys are written as their data and the name of their
implementation. A checkpoint appears under its name when it is whole, and not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnn.train.devices.distributed import is_first
from jaxnn.train.devices.transfer import fetch
from jaxnn.tree import path_name

__all__ = ["restore", "restore_about", "restore_arrays", "save"]


def save(path: Path, tree: Any, about: dict[str, Any]) -> None:
    """Write a tree; replaces what is at `path`.

    Of several processes all call this, since all may have a part, and the first writes.

    Args:
      path: folder to write.
      tree: pytree of arrays and typed keys.
      about: JSON-like, kept beside it.
    """
    import orbax.checkpoint as ocp

    leaves, rows = {}, []
    flat = jax.tree_util.tree_leaves_with_path(tree)
    data = fetch([jax.random.key_data(leaf) if _is_key(leaf) else leaf for _, leaf in flat])
    if not is_first():
        return
    for number, ((key_path, leaf), array) in enumerate(zip(flat, data, strict=True)):
        array = np.asarray(array)
        if array.size:  # orbax refuses to write nothing
            leaves[f"{number:06d}"] = array
        rows.append(
            {
                "path": path_name(key_path),
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                "key": str(jax.random.key_impl(leaf)) if _is_key(leaf) else None,
                "sha256": _sha256(array),
            }
        )
    with _checkpointer() as checkpointer:
        checkpointer.save(
            path.absolute(),
            args=ocp.args.Composite(
                leaves=ocp.args.StandardSave(leaves),
                manifest=ocp.args.JsonSave({"leaves": rows, "about": about}),
            ),
            force=True,
        )


def restore(path: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read what `save` wrote.

    Args:
      path: the folder.
      like: a tree of the same structure, of arrays or `jax.ShapeDtypeStruct`.

    Returns:
      The tree, and what was kept beside it.

    Raises:
      ValueError: the tree there has other leaves, or a leaf is damaged.
    """
    flat, structure = jax.tree_util.tree_flatten_with_path(like)
    rows, arrays, about = _read(path, lambda rows: _check_same_leaves(path, rows, flat))
    leaves = []
    for row, array in zip(rows, arrays, strict=True):
        leaf = jax.numpy.asarray(array)
        if row["key"] is not None:
            leaf = jax.random.wrap_key_data(leaf, impl=row["key"])
        leaves.append(leaf)
    return jax.tree.unflatten(structure, leaves), about


def restore_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays that `save` wrote by their paths, without their tree.

    Raises:
      ValueError: an array is damaged.
    """
    rows, arrays, _ = _read(path, lambda rows: None)
    return {row["path"]: array for row, array in zip(rows, arrays, strict=True)}


def restore_about(path: Path) -> dict[str, Any]:
    """Read what `save` kept beside the tree, and no array."""
    with _checkpointer() as checkpointer:
        return _manifest(checkpointer, path)["about"]


def _read(
    path: Path, check: Callable[[list[dict[str, Any]]], None]
) -> tuple[list[dict[str, Any]], list[np.ndarray], dict[str, Any]]:
    """The rows of the manifest, which are checked before any array is read; the arrays; about."""
    import orbax.checkpoint as ocp

    with _checkpointer() as checkpointer:
        manifest = _manifest(checkpointer, path)
        rows = manifest["leaves"]
        check(rows)
        wanted = {
            f"{number:06d}": jax.ShapeDtypeStruct(tuple(row["shape"]), np.dtype(row["dtype"]))
            for number, row in enumerate(rows)
            if 0 not in row["shape"]
        }
        found = checkpointer.restore(
            path.absolute(), args=ocp.args.Composite(leaves=ocp.args.StandardRestore(wanted))
        )["leaves"]
    arrays = []
    for number, row in enumerate(rows):
        if 0 in row["shape"]:
            array = np.zeros(row["shape"], row["dtype"])
        else:
            array = np.asarray(found[f"{number:06d}"])
        if _sha256(array) != row["sha256"]:
            raise ValueError(
                f"the checkpoint {path} is damaged: {row['path']} is not what was saved"
            )
        arrays.append(array)
    return rows, arrays, manifest["about"]


def _manifest(checkpointer: Any, path: Path) -> dict[str, Any]:
    import orbax.checkpoint as ocp

    return checkpointer.restore(
        path.absolute(), args=ocp.args.Composite(manifest=ocp.args.JsonRestore())
    )["manifest"]


def _checkpointer() -> Any:
    import orbax.checkpoint as ocp

    # A process by itself, also among several: the first writes what all have gathered.
    mine = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=mine, active_processes={mine}, barrier_sync_key_prefix=f"jaxnn_{mine}"
    )
    handlers = {
        "leaves": ocp.StandardCheckpointHandler(multiprocessing_options=alone),
        "manifest": ocp.JsonCheckpointHandler(multiprocessing_options=alone),
    }
    return ocp.Checkpointer(
        ocp.CompositeCheckpointHandler(
            composite_options=ocp.CompositeOptions(multiprocessing_options=alone), **handlers
        ),
        multiprocessing_options=alone,
    )


def _check_same_leaves(path: Path, rows: list[dict[str, Any]], flat: list[Any]) -> None:
    there = [row["path"] for row in rows]
    here = [path_name(key_path) for key_path, _ in flat]
    if there != here:
        odd = sorted(set(there) ^ set(here)) or there
        raise ValueError(
            f"the checkpoint {path} is of another recipe: only one of the two has {odd[:5]}"
        )
    for row, (_, leaf) in zip(rows, flat, strict=True):
        if row["key"] is not None:
            continue  # a key's shape follows from its implementation
        if tuple(row["shape"]) != leaf.shape or row["dtype"] != str(leaf.dtype):
            raise ValueError(
                f"the checkpoint {path} is of another recipe: {row['path']} is "
                f"{row['dtype']}{row['shape']} there, {leaf.dtype}{list(leaf.shape)} here"
            )


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
