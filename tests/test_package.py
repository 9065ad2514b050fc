"""What importing costs and changes, and which layer may import which."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jaxnn

ROOT = Path(__file__).parents[1]

IMPORTS = """
import json, sys
import jax, flax.linen, optax
before = set(sys.modules)
settings = dict(jax.config.values)
import jaxnn
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({
    "new": sorted(new),
    "settings": settings == dict(jax.config.values),
    "backends": bool(jax._src.xla_bridge._backends),
}))
"""


def test_import_brings_in_nothing_heavy_and_changes_no_setting():
    output = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    ).stdout
    found = json.loads(output)
    heavy = {
        "orbax",
        "rich",
        "tyro",
        "matplotlib",
        "optuna",
        "jinja2",
        "chex",
        "sklearn",
        "IPython",
    }
    assert heavy & set(found["new"]) == set()
    assert "jaxnn" in found["new"]
    assert found["settings"], "a global JAX setting was changed"
    assert not found["backends"], "a device was opened"


def test_layers():
    """Each line of the layout imports only from lines above it."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "3 kept, 0 broken" in result.stdout


def test_every_module_is_in_a_layer():
    text = (ROOT / "pyproject.toml").read_text()
    named = set(re.findall(r"jaxnn\.(\w+)", text.partition("[[tool.importlinter.contracts]]")[2]))
    modules = {
        path.stem
        for path in (ROOT / "jaxnn").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert modules - {"__init__"} == named


def test_version_comes_from_one_place():
    from importlib.metadata import version

    assert version("jaxnn") == jaxnn.__version__
