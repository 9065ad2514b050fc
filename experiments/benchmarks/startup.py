"""Time from the start of the process to the end of the first epoch.

`python -m experiments.digits`, without augmentation and averaging, runs against the shortest
hand-written Flax script for the same network. Cold, `experiments.digits` starts with an empty
cache of compiled programs, as at its very first start, and the script, as it stands, with no
cache. Warm, both find every program in a cache of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from experiments.benchmarks.timing import Quartiles, alternate

__all__ = ["Startup", "startup"]


class Startup(NamedTuple):
    """Seconds, and ratios to the hand-written script in the same turn; below 1 jaxnn is faster.

    "jaxnn, warm cache" is over the script with a warm cache, all others over the cold script.
    """

    network: str
    seconds: dict[str, Quartiles]
    ratios: dict[str, Quartiles]


NETWORKS = ("mlp", "convnet")
OURS, OURS_WARM = "jaxnn", "jaxnn, warm cache"
SCRIPT, SCRIPT_WARM = "Flax script", "Flax script, warm cache"


def startup(network: str, alternations: int) -> Startup:
    """Start each program in turn, `alternations` times."""
    # What the script does not do is left out here too.
    options = [f"--augmentation.{move}=0" for move in ("rotation", "translation")]
    ours = ["experiments.digits", f"--model={network}", "--average=None", *options]
    script = ["experiments.benchmarks.peers.flax_script", network]
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "ours"
        works = {
            OURS: partial(_cold, ours),
            OURS_WARM: partial(_first_epoch, [*ours, f"--compilation-cache={full}"]),
            SCRIPT: partial(_first_epoch, script),
            SCRIPT_WARM: partial(_first_epoch, script, Path(folder) / "theirs"),
            "Flax script again": partial(_first_epoch, script),
        }
        for work in works.values():  # so that files have been read once, and caches are full
            work()
        taken = alternate(works, alternations)
    over = dict.fromkeys(taken, SCRIPT) | {OURS_WARM: SCRIPT_WARM}
    return Startup(
        network,
        seconds={name: Quartiles.of(each) for name, each in taken.items()},
        ratios={
            name: Quartiles.of(each / taken[over[name]])
            for name, each in taken.items()
            if name != SCRIPT
        },
    )


def _cold(command: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as empty:
        _first_epoch([*command, f"--compilation-cache={empty}"])


def _first_epoch(command: Sequence[str], cache: Path | None = None) -> None:
    """Run a module in a process of its own until it has printed its first epoch.

    `cache` is a folder of compiled programs for a program that has no option for one.
    """
    environment = {name: v for name, v in os.environ.items() if "COMPILATION_CACHE" not in name}
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    said = []
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", *command],
            cwd=folder,  # a run is written below
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None  # it is a pipe
        for line in process.stdout:
            said.append(line)
            if line.startswith("epoch"):
                break
        process.kill()
        process.communicate()
    if not said or not said[-1].startswith("epoch"):
        raise RuntimeError(f"{command} ended before its first epoch:\n{''.join(said)}")
