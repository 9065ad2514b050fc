"""What all programs share: the list, the devices, the cache of compiled programs, the errors."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import jax
import numpy as np
import pytest
from data.image_files import write_cifar, write_idx

import jaxnn
from experiments import cifar10, digits, fashion_mnist, images, mnist
from experiments.__main__ import programs
from experiments.lectures import keras_mlp, tensorflow_line, theano_logistic
from experiments.program import default_cache

LINE = "experiments.lectures.tensorflow_line"


def command(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_names_every_program(tmp_path):
    result = command("experiments", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    folder = Path(importlib.import_module("experiments").__file__).parent
    guarded = [p for p in folder.rglob("*.py") if '__name__ == "__main__"' in p.read_text("utf-8")]
    assert len(programs()) == len(guarded) - 1 >= 14  # all but the list itself
    for name, line in programs().items():
        assert line.endswith("."), f"{name} has no docstring of a whole first line"
        assert any(found.split()[2] == name and found.endswith(line) for found in lines if found)


SMALL = {
    digits: {"model": "mlp", "mlp": digits.MLP((8,)), "epochs": 1},
    mnist: {"mlp": images.MLP((8,)), "epochs": 1, "batch_size": 8},
    fashion_mnist: {"mlp": images.MLP((8,)), "epochs": 1, "batch_size": 8},
    cifar10: {"convnet": images.ConvNet((2,), (8,)), "epochs": 1, "batch_size": 8},
    keras_mlp: {"examples": 160, "epochs": 1},
    tensorflow_line: {"steps": 3},
    theano_logistic: {"steps": 3},
}


OF_MEMBERS = ("experiments.population_digits", "experiments.lectures.capacity")
"""Programs that spread members over devices, and not batches."""


def test_every_program_that_trains_takes_devices():
    trains = {module.__name__ for module in SMALL}
    for name in programs():
        if not name.startswith("experiments.benchmarks"):
            config = importlib.import_module(name).Config
            has = "devices" in [field.name for field in fields(config)]
            assert has == (name in trains or name in OF_MEMBERS), name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    grey, colour = tmp_path_factory.mktemp("grey"), tmp_path_factory.mktemp("colour")
    write_idx(grey)
    write_cifar(colour)
    return {mnist: grey, fashion_mnist: grey, cifar10: colour}


class Reached(Exception):
    pass


@pytest.mark.parametrize("devices", ["pmap", None])
@pytest.mark.parametrize("module", SMALL, ids=lambda module: module.__name__.split(".")[-1])
def test_devices_reach_fit(module, devices, pictures, monkeypatch):
    def fit(*arguments, **named):
        raise Reached(named["devices"])

    monkeypatch.setattr(jaxnn, "fit", fit)
    monkeypatch.setattr(jaxnn.train, "each_epoch", fit)
    settings = SMALL[module] | ({"data_folder": pictures[module]} if module in pictures else {})
    with pytest.raises(Reached) as reached:
        module.main(module.Config(**settings, devices=devices))
    assert reached.value.args == (devices,)


@pytest.mark.slow
@pytest.mark.parametrize("module", [digits, keras_mlp, theano_logistic], ids=lambda m: m.__name__)
def test_devices_give_the_numbers_of_one(module, tmp_path, capsys):
    def losses(devices):
        place = {"folder": tmp_path / str(devices)} if module is digits else {}
        result = module.main(module.Config(**SMALL[module], **place, devices=devices))
        capsys.readouterr()
        if module is theano_logistic:
            return result.losses
        return (result if module is digits else result.run).history.series("train/loss")

    np.testing.assert_allclose(losses(2), losses(1), rtol=2e-5)
    assert np.isfinite(losses("pmap")).all()


def test_other_devices_are_one_clear_line(tmp_path):
    result = command(LINE, "--devices", "all", cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: devices must be None, a number of devices, 'sharded', 'pmap'")
    assert line.endswith("got 'all'")


def test_compiled_programs_are_kept_from_the_first_start(tmp_path):
    home, chosen = tmp_path / "home", tmp_path / "chosen"
    kept = home / "jaxnn" / "compiled"
    for options, folder in (((), kept), (("--compilation-cache", str(chosen)), chosen)):
        result = command(LINE, "--steps", "1", *options, cwd=tmp_path, XDG_CACHE_HOME=home)
        assert result.returncode == 0, result.stderr
        assert any(path.name.endswith("-cache") for path in folder.iterdir())
    before = sorted(kept.iterdir())
    options = ("--steps", "1", "--learning-rate", "0.25", "--points", "7")  # not compiled yet
    result = command(
        LINE, *options, "--compilation-cache", "none", cwd=tmp_path, XDG_CACHE_HOME=home
    )
    assert result.returncode == 0, result.stderr
    assert sorted(kept.iterdir()) == before


def test_a_home_that_cannot_be_written_to_stops_nothing(tmp_path):
    (tmp_path / "home").write_text("a file")
    home = {"XDG_CACHE_HOME": tmp_path / "home"}
    result = command(LINE, "--steps", "1", cwd=tmp_path, **home)
    assert result.returncode == 0, result.stderr
    assert "note: compiled programs are not kept: " in result.stderr
    asked = command(LINE, "--compilation-cache", str(tmp_path / "home"), cwd=tmp_path)
    assert asked.returncode == 2
    assert asked.stderr.startswith("error: compilation cache must be a folder")


def test_main_alone_changes_no_setting(tmp_path):
    before = dict(jax.config.values)
    tensorflow_line.main(tensorflow_line.Config(steps=1))
    assert dict(jax.config.values) == before


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/cache"}, "/cache/jaxnn/compiled"),
        ("linux", {}, "/home/me/.cache/jaxnn/compiled"),
        ("darwin", {}, "/home/me/Library/Caches/jaxnn/compiled"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/jaxnn/compiled"),
    ],
)
def test_the_user_s_cache(platform, environment, expected, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name, value in (environment | {"HOME": "/home/me"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        assert default_cache() == Path(expected)
        jax.config.update("jax_compilation_cache_dir", "/of/jax")
        assert default_cache() == Path("/of/jax")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
