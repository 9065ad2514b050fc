"""The programs for MNIST, Fashion-MNIST and CIFAR-10, on generated files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from data.image_files import write_cifar, write_idx

import jaxnn
from experiments import cifar10, fashion_mnist, images, mnist


@pytest.fixture(scope="module")
def idx_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idx")
    write_idx(folder)
    return folder


@pytest.fixture(scope="module")
def cifar_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    write_cifar(folder)
    return folder


def command(name, *options, cwd):
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *options],
        cwd=cwd,
        env={**os.environ, "JAXNN_DATA": str(cwd / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(tmp_path, idx_folder):
    result = command(
        "mnist", "--data-folder", idx_folder, "--epochs", "3", "--seed", "7", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    accuracy, folder, page = (line.split()[2:] for line in result.stdout.splitlines()[-3:])
    run = tmp_path / result.stdout.splitlines()[-2].split()[-1]
    assert run.name.startswith("mnist-") and run.name.endswith("-seed7")
    assert (run / "report.html").exists() and not folder and not page
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert (settings["epochs"], settings["data_folder"]) == (3, str(idx_folder))
    assert float(accuracy[0]) > 0.9  # the ten pictures behind the noise are easy to tell


def test_without_files_the_command_says_what_to_do(tmp_path):
    name = "cifar10"
    result = command(name, cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    for part in (
        f"error: {name} lacks",
        str(tmp_path / "cache" / name),
        "--download",
        "--data-folder",
    ):
        assert part in line
    assert not list(tmp_path.iterdir())


def test_help_explains_every_option(tmp_path):
    result = command("cifar10", "--help", cwd=tmp_path)
    assert result.returncode == 0
    options = re.findall(r"^│ (--[\w.-]+)", result.stdout, re.M)
    assert {
        "--folder",
        "--data-folder",
        "--download",
        "--model",
        "--resnet.depth",
        "--crop",
    } <= set(options)
    text = " ".join(result.stdout.replace("│", " ").split())
    for option in options:
        explanation = text[text.index(option + " ") :].partition("(default")[0]
        assert len(explanation.split()) >= 4, f"{option} is not explained"


def test_a_broken_file_is_one_clear_line(tmp_path, idx_folder):
    write_idx(tmp_path / "own")
    path = tmp_path / "own" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-3])
    result = command("fashion_mnist", "--data-folder", "own", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.strip() == f"error: own/{path.name} is a broken gzip file: it is cut off"


@pytest.mark.slow
def test_an_interrupted_run_goes_on(tmp_path, idx_folder):
    settings = {
        "data_folder": idx_folder,
        "epochs": 3,
        "mlp": images.MLP(hidden=(16,), dropout_rate=0.2),
        "optimizer": images.Optimizer(kind="nesterov", learning_rate=0.05),
    }

    class Interrupt(jaxnn.train.Observer):
        def on_epoch(self, record):
            raise KeyboardInterrupt

    straight = fashion_mnist.main(fashion_mnist.Config(**settings, folder=tmp_path / "straight"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxnn.report, "Progress", Interrupt)
        with pytest.raises(KeyboardInterrupt):
            fashion_mnist.main(fashion_mnist.Config(**settings, folder=tmp_path / "stopped"))
    resumed = fashion_mnist.main(fashion_mnist.Config(**settings, resume=tmp_path / "stopped"))
    for got, want in zip(
        resumed.history.series("val/loss"), straight.history.series("val/loss"), strict=True
    ):
        assert got == want


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (mnist.Config(), 784 * 512 + 512 + 512 * 512 + 512 + 5130),
        (mnist.Config(model="convnet"), 320 + 18496 + 49 * 64 * 128 + 128 + 1290),
        (
            cifar10.Config(),
            # kernels, and the scale and bias of batch normalization in place of biases
            (864 + 18432 + 73728 + 16 * 128 * 128 + 1290) + 2 * (32 + 64 + 128 + 128),
        ),
        (cifar10.Config(model="resnet"), 269722),
    ],
)
def test_each_model_has_the_parameters_it_should(config, parameters):
    shape = (1, 32, 32, 3) if isinstance(config, cifar10.Config) else (1, 28, 28, 1)
    tree = jax.eval_shape(config.build().init, jax.random.key(0), np.zeros(shape, np.float32))
    assert sum(leaf.size for leaf in jax.tree.leaves(tree["params"])) == parameters


def test_cifars_augmentation_shifts_and_mirrors():
    x = np.random.default_rng(0).normal(size=(64, 32, 32, 3)).astype(np.float32)
    batch = {"x": x, "y": np.zeros(64, np.int32)}
    config = cifar10.Config(crop=1, flip=0.5)
    got = np.asarray(config.augmentation()(jax.random.key(0), batch)["x"])
    seen = set()
    for before, after in zip(x, got, strict=True):
        for mirrored in (False, True):
            inner = (after[:, ::-1] if mirrored else after)[1:-1, 1:-1]
            for down in range(3):
                for right in range(3):
                    if np.array_equal(inner, before[down : down + 30, right : right + 30]):
                        seen.add((mirrored, down, right))
    assert len(seen) == 18
    assert cifar10.Config(crop=None, flip=None).augmentation() is None


def test_the_rate_falls_along_a_cosine_over_the_whole_run():
    recipe = images.make_recipe(mnist.Config(), mnist.Config().build(), steps=100)
    params = {"kernel": np.ones((1, 1), np.float32)}
    state, rates = recipe.optimizer.init(params), []
    for _ in range(100):
        _, state = recipe.optimizer.update(params, state, params)
        rates.append(float(jaxnn.optim.rate.last_rate(state)))
    want = 1e-3 * 0.5 * (1 + np.cos(np.pi * np.arange(100) / 100))
    np.testing.assert_allclose(rates, want, rtol=1e-4, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["convnet", "resnet"])
def test_cifar_learns_generated_pictures(model, tmp_path, capsys):
    write_cifar(tmp_path / "data", batch=60, test=60)
    config = cifar10.Config(
        data_folder=tmp_path / "data",
        model=model,
        epochs=30,
        folder=tmp_path / "run",
        flip=None,
        crop=None,
    )
    cifar10.main(config)
    accuracy = re.search(r"test accuracy ([\d.]+)", capsys.readouterr().out)
    assert float(accuracy[1]) > 0.9
