"""Small files in the formats of MNIST and CIFAR-10, and originals made of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np

from jaxnn.data.readers.originals import ImageSet, Original

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
CIFAR_FOLDER = "cifar-10-batches-bin"


def pictures(seed, n, shape):
    """Noise around one picture per class, (n, *shape) uint8, and its labels, (n,) uint8."""
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(n) % 10).astype(np.uint8)
    of_class = np.random.default_rng(10).integers(0, 200, (10, *shape))
    return (of_class[labels] + draw.integers(0, 56, (n, *shape))).astype(np.uint8), labels


def idx_bytes(array, *, magic=None, shape=None):
    """An IDX file, by its definition; `magic` and `shape` may tell a lie."""
    magic = 0x0800 + array.ndim if magic is None else magic
    shape = array.shape if shape is None else shape
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + array.tobytes()


def zipped(data):
    return gzip.compress(data, mtime=0)


def write_idx(folder, *, train=100, test=30, size=(28, 28), compress=True):
    """The four files of MNIST; the arrays in them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [*pictures(0, train, size), *pictures(1, test, size)]
    for name, array in zip(IDX_FILES, arrays, strict=True):
        data = idx_bytes(array)
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(zipped(data) if compress else data)
    return arrays


def cifar_bytes(x, y):
    """A file of records, from x (n, 32, 32, 3) and y (n,)."""
    return b"".join(
        bytes([label]) + b"".join(picture[:, :, c].tobytes() for c in range(3))
        for picture, label in zip(x, y, strict=True)
    )


def cifar_contents(batch=20, test=30):
    """The six files of CIFAR-10 by name, and the arrays in each."""
    counts = [batch] * 5 + [test]
    arrays = [pictures(seed, n, (32, 32, 3)) for seed, n in enumerate(counts)]
    return {
        name: cifar_bytes(*pair) for name, pair in zip(CIFAR_FILES, arrays, strict=True)
    }, arrays


def member(name, data=b"", **attributes):
    """A member of a tar archive with its data; attributes such as `type` and `size` may lie."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, data


def tar_bytes(members, format=tarfile.GNU_FORMAT):
    """An uncompressed archive, header by header."""
    blocks = [
        info.tobuf(format) + data + b"\0" * (-len(data) % tarfile.BLOCKSIZE)
        for info, data in members
    ]
    return b"".join(blocks) + b"\0" * tarfile.RECORDSIZE


def cifar_members(contents):
    yield member(f"{CIFAR_FOLDER}/", type=tarfile.DIRTYPE)
    yield member(f"{CIFAR_FOLDER}/batches.meta.txt", b"airplane\n")
    for name, data in contents.items():
        yield member(f"{CIFAR_FOLDER}/{name}", data)


def write_cifar(folder, *, batch=20, test=30, packed=True):
    """CIFAR-10, its archive or its files; the arrays of each file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents, arrays = cifar_contents(batch, test)
    if packed:
        (folder / CIFAR_ARCHIVE).write_bytes(zipped(tar_bytes(cifar_members(contents))))
    else:
        for name, data in contents.items():
            (folder / name).write_bytes(data)
    return arrays


def original_of(path):
    data = Path(path).read_bytes()
    return Original(Path(path).name, len(data), hashlib.sha256(data).hexdigest())


def set_of(name, folder, files, mirrors=("http://127.0.0.1:9/",)):
    """The files of a folder as the originals of a data set."""
    return ImageSet(name, tuple(original_of(Path(folder) / file) for file in files), mirrors)


def listing(folder):
    """Every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def stream(data):
    return io.BytesIO(data)
