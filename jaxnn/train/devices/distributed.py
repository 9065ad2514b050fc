"""Several processes, on one machine or many, that train one network together.

Every process runs the same program on the same data, under the same key, and feeds its own
devices. Each process holds the arrays whole, and its devices take their rows of a batch. The
first process alone writes. A folder that a run is resumed from must be visible to all.

On two machines, the first of which is 10.0.0.1:

    python train.py --coordinator 10.0.0.1:1234 --processes 2 --process 0      # on the first
    python train.py --coordinator 10.0.0.1:1234 --processes 2 --process 1      # on the second

where `train.py` calls `start(...)` with these values before any other JAX operation, and then
`jaxnn.fit` as usual. On a cluster that JAX knows (Slurm, a TPU pod) call `start()`, which asks
the cluster.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxnn.arguments import check_flag, check_positive_int, check_text

__all__ = ["any_process", "is_first", "start", "wait_for_all"]


def start(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Join the processes of a run. Call this before any other JAX operation.

    Args:
      coordinator: "host:port" of the first process, with a port that is free there; None asks
        the cluster for all three.
      processes: the number of processes.
      process: the number of this process, from 0.

    Raises:
      TypeError: `coordinator` is no text.
      ValueError: only some of the three, a number outside its range, a `coordinator` without a
        port, or no cluster to ask.
    """
    given = (coordinator, processes, process)
    if any(value is None for value in given) and any(value is not None for value in given):
        raise ValueError(
            "coordinator, processes and process go together, or are all left to the cluster, "
            f"got {given}"
        )
    if coordinator is not None and processes is not None and process is not None:
        processes = check_positive_int("processes", processes)
        whole = isinstance(process, int) and not isinstance(process, bool)
        if not (whole and 0 <= process < processes):
            raise ValueError(f"process must be in [0, {processes}), got {process!r}")
        if not check_text("coordinator", coordinator).rpartition(":")[2].isdecimal():
            raise ValueError(f'coordinator must be "host:port", got {coordinator!r}')
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # CPUs have none by default
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except ValueError as error:
        if coordinator is not None:
            raise
        raise ValueError(
            "coordinator, processes and process must be given here, since JAX finds no cluster "
            f"to ask: {error}"
        ) from error


def is_first() -> bool:
    """Whether this process is the first, which alone writes.

    >>> is_first()
    True
    """
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether `flag` is true in any process; all processes must call this.

    Raises:
      TypeError: `flag` is not True or False.

    >>> any_process(False)
    False
    """
    flag = check_flag("flag", flag)
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def wait_for_all(what: str) -> None:
    """Wait until every process has reached this place.

    Args:
      what: a name of the place, the same in every process.

    Raises:
      TypeError: `what` is no text.
    """
    check_text("what", what)
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)
