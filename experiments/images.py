"""What the programs for MNIST, Fashion-MNIST and CIFAR-10 share: options, recipe, training."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax

import jaxnn
from experiments.options import check_folder, check_networks, check_numbers, check_seed
from experiments.program import Devices, plain
from experiments.step_lines import StepLines
from jaxnn import optim
from jaxnn.arguments import check_knob
from jaxnn.data.augment import Augmentation
from jaxnn.nn import models
from jaxnn.optim import schedules

CLASSES = 10


@dataclass(frozen=True)
class Optimizer:
    """AdamW, or gradient descent with Nesterov momentum."""

    kind: Literal["adamw", "nesterov"] = "adamw"
    """The optimizer; both with decoupled weight decay."""
    learning_rate: float = 1e-3
    """Step size α of the first step, at least 0; 0.1 is usual for nesterov."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Whether α falls to 0 along half a cosine wave, or stays constant."""
    momentum: float = 0.9
    """Decay of nesterov's velocity, in [0, 1]."""
    weight_decay: float = 1e-4
    """Strength λ of α·λ·W taken off the weights W at each step, at least 0."""


@dataclass(frozen=True)
class MLP:
    """Settings of the dense network, which sees an image as a row of pixels."""

    hidden: tuple[int, ...] = (512, 512)
    """Units of each hidden layer."""
    dropout_rate: float | None = 0.5
    """Probability of dropping a hidden unit, in [0, 1); None draws nothing."""

    def build(self) -> nn.Module:
        """Build the network, for pictures (n, height, width, channels)."""
        return Flattened(models.MLP((*self.hidden, CLASSES), dropout_rate=self.dropout_rate))


@dataclass(frozen=True)
class ConvNet:
    """Settings of the convolutional network; a 2×2 max-pool follows each convolution."""

    channels: tuple[int, ...] = (32, 64)
    """Channels of each 3×3 convolution."""
    hidden: tuple[int, ...] = (128,)
    """Units of each dense layer before the last."""
    dropout_rate: float | None = 0.5
    """Probability of dropping a unit of the dense layers, in [0, 1); None draws nothing."""
    normalization: Literal["batch", "layer", "group"] | None = None
    """Normalization between each layer and its activation."""

    def build(self) -> nn.Module:
        """Build the network, for pictures (n, height, width, channels)."""
        return models.ConvNet(
            CLASSES,
            channels=self.channels,
            hidden=self.hidden,
            dropout_rate=self.dropout_rate,
            normalization=self.normalization,
        )


class Flattened(nn.Module):
    """Flatten pictures to rows of numbers before a network."""

    body: nn.Module

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        return self.body(x.reshape(x.shape[0], -1), train=train)


@dataclass(frozen=True)
class Config:
    """Options of all three programs."""

    data_folder: Path | None = None
    """Folder of the data set's files: the originals, or any of the same names and format. None:
    the cache ($JAXNN_DATA/NAME, or ~/.cache/jaxnn/NAME), for the originals only."""
    download: bool = False
    """Fetch missing original files, and check them."""
    val_fraction: float = 0.1
    """Share of the original training part that is held out for validation, in (0, 1)."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    epochs: int = 20
    """Passes over the training part."""
    batch_size: int | None = None
    """Examples of a step. None: 64, or all examples where there are fewer."""
    patience: int | None = None
    """Stop after this many epochs without a lower validation loss, and return the best weights;
    None trains to the last epoch."""
    seed: int = 0
    """Seed of the split, the initial weights, the shuffle, dropout and augmentation."""
    folder: Path | None = None
    """New folder in which the run is written; None: runs/NAME-DATE-TIME-seedN."""
    resume: Path | None = None
    """Folder of an earlier run with these settings, to resume from its last checkpoint."""
    log_every: int | None = None
    """Print the mean training loss after so many steps too; None: only after each epoch."""
    devices: Devices = None
    """How devices share each batch. N: the first N devices; sharded: all of them, with the
    numbers of one; pmap: all of them, each with its own draws and batch statistics. None: like
    sharded where there are several."""


@dataclass(frozen=True)
class GreyConfig(Config):
    """Options of the programs for MNIST and Fashion-MNIST."""

    model: Literal["mlp", "convnet"] = "mlp"
    """The network to train."""
    mlp: MLP = field(default_factory=MLP)
    convnet: ConvNet = field(default_factory=ConvNet)

    def build(self) -> nn.Module:
        """Build the chosen network."""
        return (self.mlp if self.model == "mlp" else self.convnet).build()


def check(config: Config) -> None:
    """Refuse options before any file is read or fetched."""
    check_seed(config.seed)
    check_numbers(config, "epochs", "batch_size", "patience", "log_every")
    check_folder("folder", config.folder)
    check_knob("val_fraction", config.val_fraction, 0, 1, low_open=True, high_open=True)
    if config.data_folder is not None and not config.download and not config.data_folder.is_dir():
        raise ValueError(f"data_folder must be a folder, got {config.data_folder}")
    check_networks(config)
    check_knob("optimizer.learning_rate", config.optimizer.learning_rate, 0)
    check_knob("optimizer.momentum", config.optimizer.momentum, 0, 1)
    check_knob("optimizer.weight_decay", config.optimizer.weight_decay, 0)


def train(
    name: str,
    config: Config,
    data: jaxnn.data.Data,
    model: nn.Module,
    augmentation: Augmentation | None = None,
) -> jaxnn.Run:
    """Train, evaluate on the test part, and print where the run is."""
    folder = config.folder
    if folder is None and config.resume is None:
        folder = Path("runs") / time.strftime(f"{name}-%Y%m%d-%H%M%S-seed{config.seed}")
    batch_size = config.batch_size or min(64, len(data.train["y"]))
    steps = config.epochs * data.steps_per_epoch(batch_size)
    page = jaxnn.report.Page()
    observers = [jaxnn.report.Progress(), page]
    if config.log_every is not None:
        observers.append(StepLines())
    try:
        run = jaxnn.fit(
            make_recipe(config, model, steps, augmentation),
            data,
            epochs=config.epochs,
            batch_size=batch_size,
            key=config.seed,
            probes=[jaxnn.inspect.GradientNorm()],
            observers=observers,
            steps_per_call=config.log_every,
            folder=folder,
            resume=config.resume,
            devices=config.devices,
            settings=plain(asdict(config)),
        )
    except KeyboardInterrupt:
        print(f"interrupted; to resume: --resume {folder or config.resume}, same settings")
        raise
    test = run.evaluate(data.test)
    print(f"test accuracy {test['accuracy']:.4f}  (loss {test['loss']:.4f})")
    print(f"run           {run.folder}")
    print(f"page          {page.path}")
    return run


def make_recipe(
    config: Config, model: nn.Module, steps: int, augmentation: Augmentation | None = None
) -> jaxnn.Recipe:
    """Make the recipe for a run of so many steps."""
    controllers = ()
    if config.patience is not None:
        controllers = (jaxnn.train.early_stopping(patience=config.patience),)
    return jaxnn.Recipe(
        model=model,
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=make_optimizer(config.optimizer, steps),
        augmentation=augmentation,
        controllers=controllers,
    )


def make_optimizer(settings: Optimizer, steps: int) -> Any:
    """Make the optimizer, with its rate scheduled over so many steps."""
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        rate = schedules.cosine(rate, steps)
    if settings.kind == "adamw":
        return optim.adamw(rate, weight_decay=settings.weight_decay)
    return optim.with_decoupled_weight_decay(
        optim.nesterov(rate, decay=settings.momentum), settings.weight_decay
    )
