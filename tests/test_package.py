"""What importing costs and changes, and which layer may import which."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

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
    """Each layer and room imports only from those below it."""
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert f"{len(contracts())} kept, 0 broken" in result.stdout


def contracts():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]["contracts"]


@pytest.mark.parametrize("package", ["nn", "data", "train"])
def test_the_rooms_of_a_package_are_layers(package):
    assert [f"jaxnn.{package}"] in [contract.get("containers") for contract in contracts()]


def import_circles(imports):
    """The sets of modules that import each other in a circle, of a dict of imports by module."""

    def reachable(module):
        seen, waiting = set(), [module]
        while waiting:
            for imported in imports[waiting.pop()] - seen:
                seen.add(imported)
                waiting.append(imported)
        return seen

    reach = {module: reachable(module) for module in imports}
    return {
        frozenset(other for other in reach[module] if module in reach[other])
        for module in imports
        if module in reach[module]
    }


def test_circles_are_found():
    chain = {"a": {"b"}, "b": {"c"}, "c": set()}
    assert import_circles(chain) == set()
    assert import_circles(chain | {"c": {"b"}}) == {frozenset("bc")}
    assert import_circles({"a": {"a"}}) == {frozenset("a")}


def test_no_import_circle():
    """Imports for type checking and imports inside functions count too."""
    graph = grimp.build_graph("jaxnn", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    assert import_circles(imports) == set()


def test_every_module_is_in_a_layer():
    layers = next(c["layers"] for c in contracts() if "containers" not in c)
    named = set(re.findall(r"jaxnn\.(\w+)", " ".join(layers)))
    modules = {
        path.stem
        for path in (ROOT / "jaxnn").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert modules - {"__init__"} == named


def test_version_comes_from_one_place():
    from importlib.metadata import version

    assert version("jaxnn") == jaxnn.__version__
