"""Load MNIST, Fashion-MNIST and CIFAR-10, from a folder or downloaded on request.

Without `folder` the files are in the cache (see `jaxnn.data.readers.download.cache_folder`), and
there only the original files are accepted: each is checked by its SHA-256 whenever it is read. A
`folder` may hold any files of the same names and format, of any number of pictures; they are
checked for form only, unless `verify` asks for the originals. Nothing is downloaded unless
`download` asks for it, and every download is checked by its SHA-256.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from jaxnn.arguments import check_flag, check_knob
from jaxnn.data.datasets import Data, from_parts
from jaxnn.data.preprocess.methods import Method
from jaxnn.data.readers.image_folders import Pictures, read_binary, read_idx_files
from jaxnn.data.readers.originals import CIFAR10, FASHION_MNIST, MNIST
from jaxnn.data.split import split_indices

__all__ = ["cifar10", "fashion_mnist", "mnist"]


def mnist(
    *,
    key: Any,
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    verify: bool = False,
    preprocess: Method | None = "channel_standardize",
    val_fraction: float | None = 0.1,
) -> Data:
    """Load MNIST: 70,000 handwritten digits of 28×28 pixels in ten classes.

    Args:
      key: typed key, raw key or integer seed of the validation split.
      folder: where the four files are, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, with `.gz` or unpacked, of any
        number and size of pictures. None: the cache, where they must be the originals.
      download: whether to fetch the files that are missing.
      verify: whether the files in `folder`, too, must be the originals, by their SHA-256.
      preprocess: the preprocessing that is fitted on the training part and applied to all
        parts, as in `from_arrays`; by default mean 0 and deviation 1 for each channel. None:
        `x` stays uint8 from 0 to 255.
      val_fraction: share of the original training part that becomes `val`, stratified by
        class, in (0, 1); None: no validation part.

    Returns:
      Parts of `x`, (n, 28, 28, 1) float32 or uint8, and `y`, (n,) int32 from 0 to 9; `test`
      is the original test part. `preprocess` is the fitted state.

    Raises:
      FileNotFoundError: files that are not there, without `download`.
      OSError: a download that failed.
      ValueError: a file that is damaged, is not the original, or does not match the others.

    >>> mnist(key=0, folder="nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: mnist lacks train-images-idx3-ubyte.gz, ... in nowhere; fetch them, ...

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
    """
    parts = read_idx_files(MNIST, folder, *_flags(download, verify))
    return _as_data(*parts, key, preprocess, val_fraction)


def fashion_mnist(
    *,
    key: Any,
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    verify: bool = False,
    preprocess: Method | None = "channel_standardize",
    val_fraction: float | None = 0.1,
) -> Data:
    """Load Fashion-MNIST: 70,000 pictures of clothing, 28×28 pixels, in ten classes.

    The classes are T-shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker, bag and
    ankle boot. Files and arguments are as for `mnist`.

    Args:
      key: typed key, raw key or integer seed of the validation split.
      folder: where the four files are, see `mnist`. None: the cache.
      download: whether to fetch the files that are missing.
      verify: whether the files in `folder`, too, must be the originals, by their SHA-256.
      preprocess: the preprocessing that is fitted on the training part and applied to all
        parts, as in `from_arrays`; by default mean 0 and deviation 1 for each channel. None:
        `x` stays uint8 from 0 to 255.
      val_fraction: share of the original training part that becomes `val`, stratified by
        class, in (0, 1); None: no validation part.

    Returns:
      As `mnist` does.

    Raises:
      FileNotFoundError, OSError, ValueError: as `mnist` does.

    >>> fashion_mnist(key=0, folder="nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: fashion_mnist lacks train-images-idx3-ubyte.gz, ...

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv 1708.07747, 2017.
    """
    parts = read_idx_files(FASHION_MNIST, folder, *_flags(download, verify))
    return _as_data(*parts, key, preprocess, val_fraction)


def cifar10(
    *,
    key: Any,
    folder: str | os.PathLike[str] | None = None,
    download: bool = False,
    verify: bool = False,
    preprocess: Method | None = "channel_standardize",
    val_fraction: float | None = 0.1,
) -> Data:
    """Load CIFAR-10: 60,000 colour pictures of 32×32 pixels in ten classes.

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck.
    The binary version is read; the other version consists of Python pickles, which can run any
    code.

    Args:
      key: typed key, raw key or integer seed of the validation split.
      folder: where `cifar-10-binary.tar.gz` is or, unpacked, `data_batch_1.bin` to
        `data_batch_5.bin` and `test_batch.bin`, in it or in its `cifar-10-batches-bin`. Of
        any number of pictures. None: the cache, where it must be the original archive.
      download: whether to fetch the archive if it is missing.
      verify: whether the archive in `folder`, too, must be the original, by its SHA-256.
      preprocess: the preprocessing that is fitted on the training part and applied to all
        parts, as in `from_arrays`; by default mean 0 and deviation 1 for each channel. None:
        `x` stays uint8 from 0 to 255, which takes a quarter of the memory.
      val_fraction: share of the original training part that becomes `val`, stratified by
        class, in (0, 1); None: no validation part.

    Returns:
      Parts of `x`, (n, 32, 32, 3) float32 or uint8, and `y`, (n,) int32 from 0 to 9; `test`
      is the original test part. `preprocess` is the fitted state.

    Raises:
      FileNotFoundError: the archive is not there, without `download`.
      OSError: a download that failed.
      ValueError: a file that is damaged, is not the original, or declares impossible sizes.

    >>> cifar10(key=0, folder="nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: cifar10 lacks cifar-10-binary.tar.gz in nowhere; fetch them, 170.1 MB, ...

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    parts = read_binary(CIFAR10, folder, *_flags(download, verify))
    return _as_data(*parts, key, preprocess, val_fraction)


def _flags(download: Any, verify: Any) -> tuple[bool, bool]:
    return check_flag("download", download), check_flag("verify", verify)


def _as_data(
    train: Pictures,
    test: Pictures,
    key: Any,
    preprocess: Method | None,
    val_fraction: float | None,
) -> Data:
    val = None
    if val_fraction is not None:
        check_knob("val_fraction", val_fraction, 0, 1, low_open=True, high_open=True)
        fractions = (1 - val_fraction, val_fraction)
        try:
            rows = split_indices(len(train.y), key=key, fractions=fractions, labels=train.y)
        except ValueError as error:
            raise ValueError(f"val_fraction={val_fraction} cannot be: {error}") from error
        train, val = (Pictures(train.x[chosen], train.y[chosen]) for chosen in rows)
    return from_parts(
        _batch(train),
        None if val is None else _batch(val),
        _batch(test),
        preprocess=preprocess,
    )


def _batch(part: Pictures) -> dict[str, Any]:
    return {"x": part.x, "y": part.y.astype(np.int32)}
