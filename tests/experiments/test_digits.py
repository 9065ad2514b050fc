"""The main job, from the outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from experiments import digits


def command(*options, cwd):
    return subprocess.run(
        [sys.executable, "-m", "experiments.digits", *options],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(tmp_path):
    result = command(
        "--optimizer.learning-rate",
        "3e-3",
        "--epochs",
        "5",
        "--seed",
        "7",
        "--average",
        "None",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    _, folder, page = (line.split()[-1] for line in result.stdout.splitlines()[-3:])
    assert "test accuracy" in result.stdout.splitlines()[-3]
    folder, page = tmp_path / folder, tmp_path / page
    assert page == folder / "report.html"
    assert "<svg" in page.read_text()
    assert len(re.findall(r"^epoch +\d/5 ", result.stdout, re.M)) == 5
    assert len((folder / "history.jsonl").read_text().splitlines()) == 5
    settings = json.loads((folder / "config.json").read_text())["settings"]
    assert settings["optimizer"]["learning_rate"] == 3e-3
    assert (settings["epochs"], settings["seed"]) == (5, 7)
    # 0.955 to 0.98 over seeds; the running statistics of batch normalization must be up to date.
    assert float(result.stdout.splitlines()[-3].split()[2]) > 0.9


def test_help_explains_every_option(tmp_path):
    result = command("--help", cwd=tmp_path)
    assert result.returncode == 0
    options = re.findall(r"^│ (--[\w.-]+)", result.stdout, re.M)
    assert len(options) >= 14
    text = " ".join(result.stdout.replace("│", " ").split())
    for option in options:
        explanation = text[text.index(option + " ") :].partition("(default")[0]
        assert len(explanation.split()) >= 4, f"{option} is not explained"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--optimizer.learning-rate", "-1"), "learning_rate must be in [0, inf), got -1.0"),
        (("--batch-size", "5000"), "batch_size must be at most the number of training examples"),
        (("--resume", "nowhere"), "resume must be the folder of a run, got nowhere"),
        (("--devices", "0"), "devices must be None, a number of devices"),
        (("--processes", "2"), "coordinator, processes and process go with --distributed"),
        (("--distributed",), "JAX finds no cluster to ask"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, options, message):
    result = command(*options, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_main_serves_a_notebook_too_and_resumes(tmp_path):
    config = digits.Config(model="mlp", epochs=2, folder=tmp_path / "run", patience=50)
    run = digits.main(config)
    assert len(run.history.epochs) == 2
    again = digits.main(digits.Config(model="mlp", epochs=3, resume=tmp_path / "run", patience=50))
    assert [record.epoch for record in again.history.epochs] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "expected"), [("convnet", 0.988), ("mlp", 0.975)])
def test_accuracy_over_ten_seeds(tmp_path, capsys, model, expected):
    accuracies = []
    for seed in range(10):
        digits.main(digits.Config(model=model, seed=seed, folder=tmp_path / str(seed)))
        output = capsys.readouterr().out
        accuracies.append(float(re.search(r"test accuracy ([\d.]+)", output)[1]))
    print(model, np.round(accuracies, 4), np.mean(accuracies))
    assert np.mean(accuracies) >= expected
