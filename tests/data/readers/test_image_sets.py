"""MNIST, Fashion-MNIST and CIFAR-10 from generated files, in a folder and in the cache."""

import os
import tracemalloc

import numpy as np
import pytest
from data.image_files import (
    CIFAR_ARCHIVE,
    CIFAR_FILES,
    CIFAR_FOLDER,
    IDX_FILES,
    cifar_contents,
    cifar_members,
    idx_bytes,
    listing,
    member,
    pictures,
    set_of,
    tar_bytes,
    write_cifar,
    write_idx,
    zipped,
)

from jaxnn.data import image_sets
from jaxnn.data.image_sets import cifar10, fashion_mnist, mnist
from jaxnn.data.preprocess.methods import invert
from jaxnn.data.readers import download, originals

ZIPPED = [f"{name}.gz" for name in IDX_FILES]
PARTS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no way to the network."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("JAXNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def idx_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idx")
    return folder, write_idx(folder)


@pytest.fixture(scope="module")
def cifar_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    return folder, write_cifar(folder)


def rows_of(parts):
    """Label and pixels of every example, sorted."""
    rows = np.concatenate(
        [np.column_stack([p["y"], p["x"].reshape(len(p["x"]), -1)]) for p in parts]
    )
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_every_picture_is_there_once_with_its_label(load, idx_files):
    folder, (train_x, train_y, test_x, test_y) = idx_files
    data = load(key=3, folder=folder, preprocess=None)
    assert data.preprocess is None
    assert [getattr(data, part)["x"].shape for part in PARTS] == [
        (90, 28, 28, 1),
        (10, 28, 28, 1),
        (30, 28, 28, 1),
    ]
    for part in PARTS:
        assert getattr(data, part)["x"].dtype == np.uint8
        assert getattr(data, part)["y"].dtype == np.int32
    want = rows_of([{"x": train_x, "y": train_y}])
    np.testing.assert_array_equal(rows_of([data.train, data.val]), want)
    np.testing.assert_array_equal(data.test["x"][..., 0], test_x)
    np.testing.assert_array_equal(data.test["y"], test_y)


def test_val_is_drawn_by_class_and_by_key(idx_files):
    folder, _ = idx_files
    first, again, other = (mnist(key=key, folder=folder) for key in (3, 3, 4))
    np.testing.assert_array_equal(np.bincount(first.val["y"]), np.ones(10))
    np.testing.assert_array_equal(first.train["x"], again.train["x"])
    assert not np.array_equal(first.val["x"], other.val["x"])
    np.testing.assert_array_equal(first.test["y"], other.test["y"])
    assert len(mnist(key=3, folder=folder, val_fraction=0.3).val["y"]) == 30
    whole = mnist(key=3, folder=folder, val_fraction=None)
    assert whole.val is None and len(whole.train["y"]) == 100


def test_channels_are_standardized_by_the_training_part(cifar_files):
    folder, _ = cifar_files
    data = cifar10(key=3, folder=folder)
    raw = cifar10(key=3, folder=folder, preprocess=None)
    train = raw.train["x"].astype(np.float64)
    mean, deviation = train.mean((0, 1, 2)), train.std((0, 1, 2))
    np.testing.assert_allclose(data.preprocess.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(data.preprocess.deviation, deviation, rtol=1e-12)
    for part in PARTS:
        x, raw_x = getattr(data, part)["x"], getattr(raw, part)["x"]
        assert x.dtype == np.float32 and x.shape == raw_x.shape
        np.testing.assert_allclose(x, (raw_x - mean) / deviation, rtol=1e-5, atol=1e-6)


def test_another_preprocessing(idx_files):
    folder, _ = idx_files
    raw = mnist(key=3, folder=folder, preprocess=None)
    data = mnist(key=3, folder=folder, preprocess="mean_image")
    mean = raw.train["x"].astype(np.float64).mean(0)
    np.testing.assert_allclose(data.test["x"], raw.test["x"] - mean, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(invert(data.preprocess, data.test["x"]), raw.test["x"], atol=1e-4)


@pytest.mark.parametrize("below", ["", CIFAR_FOLDER])
def test_unpacked_files_are_the_same_data(tmp_path, cifar_files, idx_files, below):
    write_cifar(tmp_path / "c" / below, packed=False)
    write_idx(tmp_path / "m", compress=False)
    for load, here, there in (
        (cifar10, tmp_path / "c", cifar_files[0]),
        (mnist, str(tmp_path / "m"), str(idx_files[0])),
    ):
        got, want = load(key=0, folder=here), load(key=0, folder=there)
        for part in PARTS:
            np.testing.assert_array_equal(getattr(got, part)["x"], getattr(want, part)["x"])
            np.testing.assert_array_equal(getattr(got, part)["y"], getattr(want, part)["y"])


def test_cifar_is_its_batches_in_order(cifar_files):
    folder, arrays = cifar_files
    data = cifar10(key=0, folder=folder, preprocess=None, val_fraction=None)
    np.testing.assert_array_equal(data.train["x"], np.concatenate([x for x, _ in arrays[:5]]))
    np.testing.assert_array_equal(data.train["y"], np.concatenate([y for _, y in arrays[:5]]))
    np.testing.assert_array_equal(data.test["x"], arrays[5][0])


@pytest.mark.parametrize(
    ("load", "files"),
    [(mnist, ZIPPED), (fashion_mnist, ZIPPED), (cifar10, [CIFAR_ARCHIVE])],
)
def test_what_is_missing_is_said_once_and_clearly(load, files, cache):
    with pytest.raises(FileNotFoundError) as error:
        load(key=0)
    message = str(error.value)
    for part in (*files, str(cache / load.__name__), "download=True", "--data-folder", "by hand"):
        assert part in message
    assert "\n" not in message and not cache.exists()


def test_only_what_is_missing_is_named(tmp_path, idx_files):
    write_idx(tmp_path)
    (tmp_path / ZIPPED[2]).unlink()
    with pytest.raises(FileNotFoundError) as error:
        mnist(key=0, folder=tmp_path)
    assert f"mnist lacks {ZIPPED[2]} in {tmp_path};" in str(error.value)
    assert ZIPPED[0] not in str(error.value)


@pytest.mark.parametrize("load", [mnist, fashion_mnist, cifar10])
def test_generated_files_are_no_originals(load, cache, tmp_path):
    for folder in (cache / load.__name__, tmp_path / "own"):
        (write_cifar if load is cifar10 else write_idx)(folder)
    name = CIFAR_ARCHIVE if load is cifar10 else ZIPPED[0]
    for arguments in ({}, {"folder": tmp_path / "own", "verify": True}):
        with pytest.raises(ValueError, match=rf"{name} must have \d+ bytes, got \d+; .* delete"):
            load(key=0, **arguments)
    load(key=0, folder=tmp_path / "own")


def test_the_cache_takes_no_unpacked_files(cache):
    write_idx(cache / "mnist", compress=False)
    write_cifar(cache / "cifar10", packed=False)
    for load in (mnist, cifar10):
        with pytest.raises(FileNotFoundError, match="lacks"):
            load(key=0)


def test_downloading_asks_for_the_missing_files_alone(tmp_path, idx_files, monkeypatch):
    folder, _ = idx_files
    asked = []

    def download_files(files, mirrors, where):
        for file in files:
            asked.append(file.name)
            (where / file.name).write_bytes((folder / file.name).read_bytes())

    monkeypatch.setattr(download, "download_files", download_files)
    write_idx(tmp_path)
    (tmp_path / ZIPPED[1]).unlink()
    (tmp_path / ZIPPED[3]).unlink()
    data = mnist(key=0, folder=tmp_path, download=True)
    assert asked == [ZIPPED[1], ZIPPED[3]]
    np.testing.assert_array_equal(data.test["y"], mnist(key=0, folder=folder).test["y"])


def corrupted(data, draw):
    """The bytes with a flipped bit, some cut off, or some put in, at a random place."""
    at = int(draw.integers(len(data)))
    some = draw.bytes(int(draw.integers(1, 30)))
    kind = draw.integers(5)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << int(draw.integers(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + some + data[at:]
    if kind == 3:
        return data[:at] + data[at + len(some) :]
    return (data[:at] + some + data[at + len(some) :])[: len(data)]


@pytest.mark.parametrize("load", [mnist, cifar10])
def test_no_corruption_of_a_hashed_file_is_accepted(load, cache, monkeypatch):
    name = load.__name__
    folder = cache / name
    files = [CIFAR_ARCHIVE] if load is cifar10 else ZIPPED
    (write_cifar if load is cifar10 else write_idx)(folder)
    monkeypatch.setattr(image_sets, name.upper(), set_of(name, folder, files))
    load(key=0)  # these are the originals now
    draw = np.random.default_rng(0)
    good = listing(cache)
    refused = 0
    for turn in range(220):
        path = folder / files[turn % len(files)]
        bad = corrupted(good[path], draw)
        if bad == good[path]:
            continue
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=rf"{path.name} must have .* it is broken"):
            load(key=0)
        refused += 1
        path.write_bytes(good[path])
    assert refused >= 200 and listing(cache) == good
    load(key=0)


def test_another_date_in_a_gzip_header_is_a_corruption_too(cache, monkeypatch):
    folder = cache / "mnist"
    write_idx(folder)
    monkeypatch.setattr(image_sets, "MNIST", set_of("mnist", folder, ZIPPED))
    path = folder / ZIPPED[0]
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\x01" + data[5:])
    mnist(key=0, folder=folder)  # gzip itself does not mind
    with pytest.raises(ValueError, match="must have SHA-256"):
        mnist(key=0)


IMAGES, LABELS = pictures(5, 30, (28, 28))
BAD_IDX = {
    "fewer labels": (1, idx_bytes(LABELS), "a label for each of the 100 pictures .* got 30"),
    "label 10": (3, idx_bytes(np.r_[LABELS[1:], np.uint8(10)]), "0 to 9, got 10 at index 29"),
    "labels as pictures": (0, idx_bytes(LABELS), "magic number 0x00000803"),
    "another size": (2, idx_bytes(IMAGES[:, 1:]), r"\(28, 28\), got \(27, 28\)"),
    "cut off": (2, idx_bytes(IMAGES)[:-1], "cut off"),
    "2^40": (2, idx_bytes(IMAGES, shape=(2**20, 2**10, 2**10)), "declares 1099511627776"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_files_that_do_not_go_together_are_refused(case, tmp_path):
    which, data, message = BAD_IDX[case]
    write_idx(tmp_path)
    path = tmp_path / ZIPPED[which]
    path.write_bytes(zipped(data))
    before = listing(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        mnist(key=0, folder=tmp_path)
    assert str(error.value).startswith(str(path))
    assert listing(tmp_path) == before


CONTENTS, _ = cifar_contents()
BAD_CIFAR = {
    "label 10": ("data_batch_3.bin", b"\x0a" + CONTENTS["data_batch_3.bin"][1:], "got 10 at index"),
    "half a record": ("test_batch.bin", CONTENTS["test_batch.bin"][:-1], "whole number of records"),
    "empty": ("data_batch_1.bin", b"", "has 0 bytes"),
}


@pytest.mark.parametrize("case", BAD_CIFAR)
@pytest.mark.parametrize("packed", [True, False])
def test_bad_records_are_refused(case, packed, tmp_path):
    name, data, message = BAD_CIFAR[case]
    write_cifar(tmp_path, packed=packed)
    if packed:
        archive = tar_bytes(cifar_members({**CONTENTS, name: data}))
        (tmp_path / CIFAR_ARCHIVE).write_bytes(zipped(archive))
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name} must .*{message}"):
        cifar10(key=0, folder=tmp_path)


@pytest.mark.parametrize(
    "hostile",
    [
        member("../escaped.bin", b"x"),
        member("/tmp/jaxnn-escaped.bin", b"x"),
        member("link", type=b"2", linkname="/etc/passwd"),
        member("big", size=2**40),
    ],
    ids=["..", "absolute", "link", "2^40"],
)
def test_hostile_archives_write_nothing(hostile, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    archive = tar_bytes([*cifar_members(CONTENTS), hostile])
    (folder / CIFAR_ARCHIVE).write_bytes(zipped(archive))
    before = listing(tmp_path)
    with pytest.raises(ValueError, match=r"leads out|is a link|declares 1099511627776 bytes"):
        cifar10(key=0, folder=folder)
    assert listing(tmp_path) == before
    assert not os.path.lexists("/tmp/jaxnn-escaped.bin")


@pytest.mark.parametrize("name", [CIFAR_ARCHIVE, CIFAR_FILES[0], IDX_FILES[0], ZIPPED[0]])
def test_a_file_of_2_to_the_40_bytes_is_refused(name, tmp_path, cache, monkeypatch):
    """A hole in a file, which takes no room; read as what it claims to be, and as an original."""
    load = cifar10 if name in (CIFAR_ARCHIVE, *CIFAR_FILES) else mnist
    cached = cache / load.__name__
    for folder in (tmp_path, cached):
        write_cifar(folder, packed=name == CIFAR_ARCHIVE)
        write_idx(folder, compress=name != IDX_FILES[0])
        os.truncate(folder / name, 2**40)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=name):
            load(key=0, folder=tmp_path)
        if name in (CIFAR_ARCHIVE, ZIPPED[0]):
            with pytest.raises(ValueError, match=r"must have \d+ bytes, got 1099511627776"):
                load(key=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_the_table_of_originals():
    for source in (originals.MNIST, originals.FASHION_MNIST, originals.CIFAR10):
        for file in source.files:
            assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 4000
        assert source.mirrors and all(mirror.endswith("/") for mirror in source.mirrors)
    assert [file.name for file in originals.MNIST.files] == ZIPPED
    assert [file.name for file in originals.FASHION_MNIST.files] == ZIPPED
    assert [file.name for file in originals.CIFAR10.files] == [CIFAR_ARCHIVE]
    assert originals.MNIST.files[0].sha256.startswith("440fcabf73cc546f")
