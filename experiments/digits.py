"""Handwritten digits: the main job of jaxnn on the data set that comes with it.

    python -m experiments.digits

trains a network of one hidden layer, with dropout and L2, on 1,078 of the 1,797 digits of
8×8 pixels, and ends with its accuracy on the 359 of the test part, the run's folder, and a
page with its curves. Every setting is an option, such as

    python -m experiments.digits --optimizer.learning-rate 3e-3 --epochs 5 --seed 7

Cost: about 5 seconds on two CPU cores, import and compilation included.
Expected: test accuracy 0.981 on average over seeds 0 to 9, 0.969 to 0.992 for a single one.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import jaxnn


@dataclass(frozen=True)
class Model:
    """The network."""

    hidden: tuple[int, ...] = (512,)
    """Units of each hidden layer."""
    activation: Literal["relu", "tanh"] = "relu"
    """Activation behind each hidden layer; the initial weights follow it."""
    dropout_rate: float | None = 0.5
    """Probability of dropping a hidden unit, in [0, 1); None draws nothing."""


@dataclass(frozen=True)
class Optimizer:
    """Adam."""

    learning_rate: float = 1e-3
    """Step size α, at least 0."""
    b1: float = 0.9
    """Decay of the first moment, in [0, 1)."""
    b2: float = 0.999
    """Decay of the second moment, in [0, 1)."""
    eps: float = 1e-8
    """Added to the root of the second moment, at least 0."""


@dataclass(frozen=True)
class Config:
    """Train a network on the handwritten digits."""

    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    l2: float = 1e-3
    """Strength λ of the penalty ½λ‖W‖², at least 0."""
    patience: int | None = None
    """Stop after this many epochs without a lower validation loss, and hand back the best
    weights; None trains to the last epoch."""
    epochs: int = 100
    """Passes over the training part."""
    batch_size: int = 64
    """Examples of a step."""
    seed: int = 0
    """Of the split, the initial weights, the shuffle and dropout."""
    folder: Path | None = None
    """Where the run is written, a new folder; None: runs/digits-DATE-TIME-seedN."""
    resume: Path | None = None
    """The folder of an earlier run with these settings, to go on from its last checkpoint."""


def make_recipe(config: Config) -> jaxnn.Recipe:
    """What is trained."""
    model, optimizer = config.model, config.optimizer
    controllers = ()
    if config.patience is not None:
        controllers = (jaxnn.train.early_stopping(patience=config.patience),)
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP(
            (*model.hidden, 10), activation=model.activation, dropout_rate=model.dropout_rate
        ),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(
            optimizer.learning_rate, b1=optimizer.b1, b2=optimizer.b2, eps=optimizer.eps
        ),
        regularizer=jaxnn.regularizers.l2(config.l2),
        controllers=controllers,
    )


def main(config: Config) -> jaxnn.Run:
    """Train, evaluate on the test part, and say where the run is."""
    data = jaxnn.data.digits(key=config.seed)
    folder = config.folder
    if folder is None and config.resume is None:
        folder = Path("runs") / time.strftime(f"digits-%Y%m%d-%H%M%S-seed{config.seed}")
    if mending := jaxnn.train.unused_accelerator():
        print(f"note: {mending}", file=sys.stderr)
    page = jaxnn.report.Page()
    try:
        run = jaxnn.fit(
            make_recipe(config),
            data,
            epochs=config.epochs,
            batch_size=config.batch_size,
            key=config.seed,
            probes=[jaxnn.inspect.GradientNorm()],
            observers=[jaxnn.report.Progress(), page],
            folder=folder,
            resume=config.resume,
            settings=_plain(config),
        )
    except KeyboardInterrupt:
        print(f"interrupted; to go on: --resume {folder or config.resume}, same settings")
        raise
    test = run.evaluate(data.test)
    print(f"test accuracy {test['accuracy']:.4f}  (loss {test['loss']:.4f})")
    print(f"run           {run.folder}")
    print(f"page          {page.path}")
    return run


def _plain(config: Config) -> dict:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
    }


if __name__ == "__main__":
    import tyro

    try:
        main(tyro.cli(Config, description=__doc__))
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
