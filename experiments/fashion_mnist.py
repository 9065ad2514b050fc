"""Train on Fashion-MNIST: 70,000 pictures of clothing of 28×28 pixels.

    python -m experiments.fashion_mnist --download

trains two hidden layers of 512 units, with dropout and AdamW, on 54,000 pictures, validates
on 6,000 and ends with the accuracy on the 10,000 of the test part, the run's folder, and a
page with its curves. Without --download the four files are only read: from the cache, or
with --data-folder from a folder that holds them or any of the same names and format.

    python -m experiments.fashion_mnist --data-folder DIR --model convnet --epochs 10

Cost: up to 7 seconds an epoch on two cores of an x86 server, 32 with convolutions, measured on
generated files of the full size while the cores were shared.
Expected, from the literature and not measured here: test accuracy 0.87 for a dense network of
scikit-learn (Xiao et al. 2017), and 0.91 to 0.93 for two convolutions with pooling (their
list of results).
"""

from __future__ import annotations

from dataclasses import dataclass

import jaxnn
from experiments import images
from experiments.program import run
from jaxnn.data.image_sets import fashion_mnist


@dataclass(frozen=True)
class Config(images.GreyConfig):
    """Train a network on Fashion-MNIST."""


def main(config: Config) -> jaxnn.Run:
    """Train, evaluate on the test part, and print where the run is."""
    images.check(config)
    data = fashion_mnist(
        key=config.seed,
        folder=config.data_folder,
        download=config.download,
        val_fraction=config.val_fraction,
    )
    return images.train("fashion-mnist", config, data, config.build())


if __name__ == "__main__":
    run(main, Config, __doc__)
