"""Every program's command line: in every encoding, and with values at and beyond their range."""

from __future__ import annotations

import doctest
import io
import runpy
import sys

import pytest
from data.image_files import write_idx

from experiments import options
from experiments.__main__ import programs

NAMES = ("experiments", *programs())

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules after import.*")


@pytest.fixture
def call(monkeypatch, tmp_path):
    """A function that runs a program here, in a folder of its own, and returns what it gave."""
    monkeypatch.chdir(tmp_path)

    def call(name, *words, encoding="utf-8"):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [name, *words])
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            try:
                runpy.run_module(name, run_name="__main__", alter_sys=True)
                code = 0
            except SystemExit as ended:
                code = ended.code or 0
        for stream in streams:
            stream.flush()
        return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)

    return call


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("name", NAMES)
def test_help_in_every_encoding(name, encoding, call):
    code, out, err = call(name, "--help", encoding=encoding)
    assert (code, err) == (0, "")
    assert f"python -m {name}" in out
    assert "\\u" not in out  # every sign of ours has a plain form


def test_a_run_in_ascii(call):
    words = ("--hidden", "4", "--examples", "64", "--epochs", "1", "--compilation-cache", "none")
    code, out, _ = call("experiments.lectures.keras_mlp", *words, encoding="ascii")
    assert code == 0
    assert "test      loss" in out


NUMBERS = ("0", "-1")
REFUSED = {
    "experiments.digits": {
        "--epochs": NUMBERS,
        "--batch-size": (*NUMBERS, "100000"),
        "--seed": ("-1", str(2**32)),
        "--patience": NUMBERS,
        "--log-every": NUMBERS,
        "--average": ("1.0", "-0.1", "nan"),
        "--optimizer.learning-rate": ("-1", "nan", "inf"),
        "--optimizer.b1": ("1.0", "-0.1", "nan"),
        "--optimizer.b2": ("1.0", "-0.1", "nan"),
        "--optimizer.eps": ("-1", "nan", "inf"),
        "--optimizer.weight-decay": ("-1", "nan", "inf"),
        "--augmentation.rotation": ("-1", "nan", "inf"),
        "--augmentation.translation": ("-1", "nan", "inf"),
        "--mlp.hidden": NUMBERS,
        "--mlp.dropout-rate": ("1.0", "-0.1", "nan"),
        "--convnet.channels": NUMBERS,
        "--convnet.convolutions": NUMBERS,
        "--convnet.hidden": NUMBERS,
        "--convnet.dropout-rate": ("1.0", "-0.1", "nan"),
        "--convnet.momentum": ("1.0", "-0.1", "nan"),
        "--folder": ("file", "file/below"),
        "--resume": ("nowhere", "file"),
        "--devices": ("0", "-1", "1000", "all"),
        "--process": ("0",),
        "--processes": ("2",),
        "--coordinator": ("localhost:1",),
    },
    "experiments.mnist": {
        "--epochs": NUMBERS,
        "--batch-size": (*NUMBERS, "100000"),
        "--seed": ("-1", str(2**32)),
        "--patience": NUMBERS,
        "--log-every": NUMBERS,
        "--val-fraction": ("0", "1", "-0.1", "nan"),
        "--optimizer.learning-rate": ("-1", "nan", "inf"),
        "--optimizer.weight-decay": ("-1", "nan", "inf"),
        "--mlp.hidden": NUMBERS,
        "--mlp.dropout-rate": ("1.0", "-0.1", "nan"),
        "--convnet.channels": NUMBERS,
        "--convnet.hidden": NUMBERS,
        "--convnet.dropout-rate": ("1.0", "-0.1", "nan"),
        "--folder": ("file", "file/below"),
        "--data-folder": ("file", "nowhere"),
        "--resume": ("nowhere", "file"),
        "--devices": ("0", "-1", "1000", "all"),
    },
    "experiments.cifar10": {
        "--epochs": NUMBERS,
        "--resnet.depth": ("0", "-4", "21"),
        "--crop": ("-1", "nan"),
        "--flip": ("-0.1", "1.1", "nan"),
        "--data-folder": ("file", "nowhere"),
        "--optimizer.momentum": ("-0.1", "1.1", "nan"),
    },
    "experiments.population_digits": {
        "--members": NUMBERS,
        "--learning-rate.low": ("0", "-1", "2", "nan", "inf"),
        "--learning-rate.high": ("0", "nan", "inf"),
        "--l2.low": ("0", "-1", "nan"),
        "--l2.high": ("0", "nan", "inf"),
        "--dropout.low": ("-0.1", "0.9", "nan"),
        "--dropout.high": ("1.0", "-0.1", "nan"),
        "--init-scale.low": ("0", "-1", "nan"),
        "--init-scale.high": ("0", "nan", "inf"),
        "--hidden": NUMBERS,
        "--epochs": (*NUMBERS, "2"),
        "--batch-size": (*NUMBERS, "100000"),
        "--factor": (*NUMBERS, "1"),
        "--first-rung": (*NUMBERS, "1000"),
        "--best": (*NUMBERS, "1000"),
        "--seed": ("-1", str(2**32)),
        "--cohort": NUMBERS,
        "--devices": ("0", "-1", "1000"),
        "--folder": ("file", "file/below"),
        "--resume": ("nowhere", "file"),
    },
    "experiments.lectures.capacity": {
        "--widths": NUMBERS,
        "--rates": ("0", "-1", "nan", "inf"),
        "--seeds": NUMBERS,
        "--examples": (*NUMBERS, "1797"),
        "--wrong-labels": ("-0.1", "1.1", "nan"),
        "--epochs": NUMBERS,
        "--batch-size": (*NUMBERS, "100000"),
        "--curve-widths": NUMBERS,
        "--curve-epochs": NUMBERS,
        "--seed": ("-1", str(2**32)),
        "--devices": ("0", "-1", "1000"),
        "--page": (".", "file/page.html"),
    },
    "experiments.lectures.activation_statistics": {
        "--layers": NUMBERS,
        "--width": NUMBERS,
        "--batch": NUMBERS,
        "--small": ("-1", "nan", "inf"),
        "--large": ("-1", "nan", "inf"),
        "--seed": ("-1", str(2**32)),
        "--page": (".", "file/page.html"),
    },
    "experiments.lectures.optimizer_paths": {
        "--steps": NUMBERS,
        "--rates": NUMBERS,
        "--lowest-rate": ("0", "-1", "2", "nan"),
        "--highest-rate": ("0", "1e-5", "nan", "inf"),
        "--page": (".", "file/page.html"),
    },
    "experiments.lectures.schedules": {
        "--steps": NUMBERS,
        "--page": (".", "file/page.html"),
    },
    "experiments.lectures.keras_mlp": {
        "--hidden": NUMBERS,
        "--dropout-rate": ("1.0", "-0.1", "nan"),
        "--init-limit": ("-1", "nan", "inf"),
        "--learning-rate": ("-1", "nan", "inf"),
        "--decay": ("-1", "nan", "inf"),
        "--momentum": ("-0.1", "1.1", "nan"),
        "--examples": NUMBERS,
        "--batch-size": (*NUMBERS, "100000"),
        "--epochs": NUMBERS,
        "--seed": ("-1", str(2**32)),
        "--devices": ("0", "-1", "1000", "all"),
    },
    "experiments.lectures.tensorflow_line": {
        "--points": NUMBERS,
        "--steps": NUMBERS,
        "--learning-rate": ("-1", "nan", "inf"),
        "--every": NUMBERS,
        "--seed": ("-1", str(2**32)),
        "--devices": ("0", "-1", "1000", "all"),
    },
    "experiments.lectures.theano_logistic": {
        "--samples": NUMBERS,
        "--features": NUMBERS,
        "--steps": NUMBERS,
        "--learning-rate": ("-1", "nan", "inf"),
        "--penalty": ("-1", "nan", "inf"),
        "--seed": ("-1", str(2**32)),
        "--devices": ("0", "-1", "1000", "all"),
    },
    "experiments.benchmarks": {
        "--only": ("nosuch",),
        "--peers": ("nosuch",),
        "--alternations": NUMBERS,
        "--steps": NUMBERS,
        "--members": NUMBERS,
        "--folder": ("file", "file/below"),
    },
    "experiments.benchmarks.memory": {
        "--task": ("nosuch",),
        "--competitor": ("nosuch",),
        "--steps": NUMBERS,
        "--members": NUMBERS,
    },
    "experiments.benchmarks.alone.dropout_draws": {
        "--only": ("nosuch",),
        "--alternations": NUMBERS,
    },
    "experiments.benchmarks.alone.optimizer_update": {
        "--only": ("nosuch",),
        "--alternations": NUMBERS,
        "--leaves": NUMBERS,
        "--parameters": (*NUMBERS, "9999"),
    },
    "experiments.benchmarks.alone.probe_cost": {
        "--only": ("nosuch",),
        "--alternations": NUMBERS,
        "--steps": NUMBERS,
    },
    "experiments.benchmarks.alone.remat_memory": {"--only": ("nosuch",)},
}
REFUSED["experiments.lectures.hypergradients"] = {
    "--updates": NUMBERS,
    "--steps": NUMBERS,
    "--rows": NUMBERS,
    "--batch-size": (*NUMBERS, "100000"),
    "--learning-rate": ("-1", "0", "nan"),
    "--l2": ("-1", "0", "nan"),
    "--knob-rate": ("-1", "nan"),
    "--seed": ("-1", str(2**32)),
}
REFUSED["experiments.fashion_mnist"] = REFUSED["experiments.mnist"]
NEEDED = {
    "experiments.benchmarks.memory": ("--task", "784-10"),
    "experiments.cifar10": ("--model", "resnet", "--optimizer.kind", "nesterov"),
}
"""Options without which another one would be missing, or would not matter."""


def test_the_examples_of_the_checks():
    failed, tried = doctest.testmod(options, optionflags=doctest.ELLIPSIS)
    assert failed == 0 and tried >= 6


def test_every_program_is_tried():
    assert set(REFUSED) == set(programs())


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_out_of_range_is_refused_before_any_work(name, call, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "data").mkdir()
    before = sorted(tmp_path.rglob("*"))
    if "mnist" in name:
        write_idx(tmp_path / "data")
        before = sorted(tmp_path.rglob("*"))
    for option, values in REFUSED[name].items():
        for value in values:
            needed = dict(zip(NEEDED.get(name, ())[::2], NEEDED.get(name, ())[1::2], strict=True))
            if "mnist" in name:
                needed["--data-folder"] = "data"
            words = [w for pair in (needed | {option: value}).items() for w in pair]
            if "benchmarks" not in name:
                words += ["--compilation-cache", "none"]
            code, out, err = call(name, *words)
            case = f"{name} {option} {value}"
            assert code == 2, f"{case} ended with {code}: {out}{err}"
            assert err.startswith("error: ") and err.count("\n") == 1, f"{case} says: {err}"
            noun = option.rpartition(".")[2].removeprefix("--").replace("-", "_")
            assert noun in err, f"{case} says: {err}"
            assert out == "", f"{case} has begun: {out}"
            assert sorted(tmp_path.rglob("*")) == before, f"{case} has written"
