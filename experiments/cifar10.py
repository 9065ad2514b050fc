r"""Train on CIFAR-10: 60,000 colour pictures of 32×32 pixels.

    python -m experiments.cifar10 --download

trains a convolutional network with batch normalization, random crops and flips on 45,000
pictures, validates on 5,000 and ends with the accuracy on the 10,000 of the test part, the
run's folder, and a page with its curves. Without --download the binary archive is only read:
from the cache, or with --data-folder from a folder that holds it, unpacked or not, or any files of
the same names and format. A residual network, about as its authors trained it, is

    python -m experiments.cifar10 --model resnet --optimizer.kind nesterov \
        --optimizer.learning-rate 0.1 --batch-size 128 --epochs 180

Cost: up to 75 seconds an epoch on two cores of an x86 server, and up to 200 for ResNet-20,
measured on generated files while the cores were shared; 2 GB of memory.
Expected, from the literature and not measured here: test accuracy 0.9125 for ResNet-20 after
64,000 steps (He et al. 2016, who step the rate down twice and use plain momentum).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import flax.linen as nn

import jaxnn
from experiments import images
from experiments.program import run
from jaxnn.arguments import check_knob
from jaxnn.data import augment
from jaxnn.data.augment import Augmentation
from jaxnn.data.image_sets import cifar10
from jaxnn.nn import models


@dataclass(frozen=True)
class ResNet:
    """Residual network of He et al. for small pictures."""

    depth: int = 20
    """Layers with weights: 6n + 2 with n at least 1, so 20, 32, 44, 56, …; or 18."""

    def build(self) -> nn.Module:
        """Build the network."""
        return models.ResNet(classes=images.CLASSES, depth=self.depth)


@dataclass(frozen=True)
class Config(images.Config):
    """Train a network on CIFAR-10."""

    model: Literal["convnet", "resnet"] = "convnet"
    """The network to train."""
    convnet: images.ConvNet = field(
        default_factory=lambda: images.ConvNet(channels=(32, 64, 128), normalization="batch")
    )
    resnet: ResNet = field(default_factory=ResNet)
    crop: float | None = 4
    """Pixels by which a training picture is shifted at most, its border filled with the mean;
    None: no shift."""
    flip: float | None = 0.5
    """Probability of mirroring a training picture left to right, in [0, 1]; None: never."""

    def build(self) -> nn.Module:
        """Build the chosen network."""
        return (self.convnet if self.model == "convnet" else self.resnet).build()

    def augmentation(self) -> Augmentation | None:
        """Build the chosen augmentation."""
        parts = []
        if self.crop is not None:
            parts.append(augment.crop(self.crop))
        if self.flip is not None:
            parts.append(augment.flip_horizontal(self.flip))
        return augment.compose(*parts) if parts else None


def main(config: Config) -> jaxnn.Run:
    """Train, evaluate on the test part, and print where the run is."""
    images.check(config)
    if config.crop is not None:
        check_knob("crop", config.crop, 0)
    if config.flip is not None:
        check_knob("flip", config.flip, 0, 1)
    model, augmentation = config.build(), config.augmentation()
    data = cifar10(
        key=config.seed,
        folder=config.data_folder,
        download=config.download,
        val_fraction=config.val_fraction,
    )
    return images.train("cifar10", config, data, model, augmentation)


if __name__ == "__main__":
    run(main, Config, __doc__)
