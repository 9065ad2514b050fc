"""Every test sees eight CPU devices, strict broadcasting, and warnings as errors."""

from __future__ import annotations

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def eight_devices():
    assert len(jax.devices()) == 8, "a JAX operation ran before the test run asked for 8 devices"


@pytest.fixture
def x64():
    """The test runs with 64-bit types."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)
