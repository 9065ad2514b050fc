"""Every test sees eight CPU devices, strict broadcasting, and warnings as errors.

Compilation is most of a test run, and the programs run for milliseconds. So they are compiled
without optimization, which halves the time of the run; `XLA_FLAGS= pytest` compiles them as
users do, and `.ci/run` runs the slow tests that way.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

import jaxlib.version
import pytest

_QUICK = [
    "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",  # programs this small gain nothing by parts
]
if jaxlib.version.__version_info__ < (0, 11):  # XLA refuses flags that it no longer has
    _QUICK.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(_QUICK))  # read at the first operation

import jax  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


def _cache(run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"jaxnn-tests-{run}"


def pytest_configure(config):
    # Half of a test run is compilation, much of it of the same small programs: the workers of
    # one run share what they compile.
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        jax.config.update("jax_compilation_cache_dir", str(_cache(run)))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


RUNS = set()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node):
    RUNS.add(node.workerinput["testrunuid"])


def pytest_unconfigure():
    for run in RUNS:  # known to the one process that outlives the workers
        shutil.rmtree(_cache(run), ignore_errors=True)


# Bytes of a worker's memory at which it drops what it has compiled. What the tests import takes
# 575 MB, and a single test seldom more than 200 MB.
_MUCH = 1e9


@pytest.fixture(autouse=True)
def memory_stays_small():
    """Drop what JAX has compiled when it has grown large, so that a worker stays under 1.5 GB.

    What is compiled again comes from the cache on disk, which the workers share.
    """
    yield
    if _resident_bytes() > _MUCH:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":  # the C library keeps what was freed, unless it is asked
            ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> float:
    status = Path("/proc/self/statm")
    if not status.exists():
        return math.inf
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session", autouse=True)
def eight_devices():
    assert len(jax.devices()) == 8, "a JAX operation ran before the test run asked for 8 devices"
    # Tests run on one device unless they are about devices, and then they say so.
    jax.config.update("jax_default_device", jax.devices()[0])


@pytest.fixture
def x64():
    """The test runs with 64-bit types."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)
