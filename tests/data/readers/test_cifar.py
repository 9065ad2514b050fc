"""Records and the archive that holds them, good, broken and hostile."""

import io
import os
import tarfile
import tracemalloc

import numpy as np
import pytest
from data.image_files import (
    CIFAR_FILES,
    CIFAR_FOLDER,
    cifar_bytes,
    cifar_contents,
    cifar_members,
    listing,
    member,
    pictures,
    tar_bytes,
    zipped,
)

from jaxnn.data.readers.archive import read_members
from jaxnn.data.readers.cifar import read_records

CONTENTS, ARRAYS = cifar_contents(batch=3, test=4)
WANTED = [f"{CIFAR_FOLDER}/{name}" for name in CIFAR_FILES]
MEMBERS = list(cifar_members(CONTENTS))
FIRST = CONTENTS["data_batch_1.bin"]


def read(data):
    return read_members(io.BytesIO(data), "/data/cifar.tar.gz", WANTED, read_records)


def assert_good(values):
    assert set(values) == set(WANTED)
    for path, (x, y) in zip(WANTED, ARRAYS, strict=True):
        np.testing.assert_array_equal(values[path][0], x)
        np.testing.assert_array_equal(values[path][1], y)


def test_records_come_back():
    x, y = pictures(3, 5, (32, 32, 3))
    data = cifar_bytes(x, y)
    got_x, got_y = read_records(io.BytesIO(data), len(data), "batch")
    np.testing.assert_array_equal(got_x, x)
    np.testing.assert_array_equal(got_y, y)
    assert got_x.flags.c_contiguous and got_x.dtype == got_y.dtype == np.uint8


def test_a_pixel_by_hand():
    record = bytearray(3073)
    record[0] = 6
    record[1 + 1 * 1024 + 2 * 32 + 3] = 255  # green, row 2, column 3
    (picture,), (label,) = read_records(io.BytesIO(record), 3073, "batch")
    assert label == 6
    assert np.argwhere(picture).tolist() == [[2, 3, 1]]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "whole number of records of 3073 bytes, at least 1 .* has 0 bytes"),
        (3072, "has 3072 bytes"),
        (3074, "has 3074 bytes"),
        (2**40 // 3073 * 3073, "at most 698823, has 1099511"),
        (2 * 3073, "cut off: 3073 bytes are left where 6146"),
        (-3073, "has -3073 bytes"),
    ],
)
def test_records_of_another_length_are_refused(size, message):
    with pytest.raises(ValueError, match=message):
        read_records(io.BytesIO(bytes(3073)), size, "batch")


@pytest.mark.parametrize("wrap", [bytes, zipped])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_come_back(wrap, format):
    assert_good(read(wrap(tar_bytes(MEMBERS, format))))


def test_archives_of_a_users_own_making_come_back(tmp_path):
    folder = tmp_path / CIFAR_FOLDER
    folder.mkdir()
    for name in reversed(CIFAR_FILES):
        (folder / name).write_bytes(CONTENTS[name])
    path = tmp_path / "own.tar.gz"
    with tarfile.open(path, "w:gz") as tar:  # with times, users and "./", as tar writes them
        tar.add(folder, f"./{CIFAR_FOLDER}")
    assert_good(read(path.read_bytes()))


def lying(name, data=FIRST, **attributes):
    """The good archive and one more member."""
    return [*MEMBERS, member(name, data, **attributes)]


def with_size(size):
    info, data = member(WANTED[0], FIRST)
    info.size = size
    return [(info, data), *MEMBERS[3:]]


def pax(key, value):
    """A header that says something of the next member."""
    record = b" " + key + b"=" + value + b"\n"
    length = len(record) + (1 if len(record) < 9 else 2)
    return member("pax", b"%d" % length + record, type=tarfile.XHDTYPE)


HOSTILE = {
    "..": (lying("../escaped.bin"), r"'../escaped.bin' leads out"),
    ".. within": (lying(f"{CIFAR_FOLDER}/../../escaped.bin"), "leads out"),
    ".. a folder": (lying("..", b"", type=tarfile.DIRTYPE), "leads out"),
    "absolute": (lying("/tmp/escaped.bin"), r"'/tmp/escaped.bin' leads out"),
    "absolute and wanted": (lying(f"/{WANTED[0]}"), "leads out"),
    "of Windows": (lying("C:\\escaped.bin"), "leads out"),
    ".. of Windows": (lying("a\\..\\..\\escaped.bin"), "leads out"),
    "symlink": (lying("x", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
    "hard link": (lying("x", b"", type=tarfile.LNKTYPE, linkname=WANTED[0]), "is a link"),
    "link in place": (
        [member(WANTED[0], type=tarfile.SYMTYPE, linkname="/etc/passwd"), *MEMBERS[3:]],
        "data_batch_1.bin' is a link",
    ),
    "device": (lying("x", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "a device"),
    "block device": (lying("x", b"", type=tarfile.BLKTYPE), "a device"),
    "fifo": (lying("x", b"", type=tarfile.FIFOTYPE), "a device"),
    "unknown type": (lying("x", b"", type=b"Q"), "a device"),
    "folder in place": (
        [member(WANTED[0], type=tarfile.DIRTYPE), *MEMBERS[3:]],
        "data_batch_1.bin must be there once, and as a file",
    ),
    "twice": (lying(WANTED[0]), "data_batch_1.bin must be there once"),
    "twice, spelled otherwise": (lying(f"./{WANTED[0]}"), "must be there once"),
    "missing": (MEMBERS[:-1], "must hold cifar-10-batches-bin/test_batch.bin$"),
    "in another folder": (
        [member(info.name.replace(CIFAR_FOLDER, "x"), data) for info, data in MEMBERS[1:]],
        "must hold cifar-10-batches-bin/data_batch_1.bin, ",
    ),
    "none": ([], "is a broken tar archive: empty file|must hold"),
    "half a record": (with_size(len(FIRST) - 1), "data_batch_1.bin must have a whole number"),
    "empty member": ([member(WANTED[0]), *MEMBERS[3:]], "whole number .* has 0 bytes"),
    "2^40": (with_size(2**40), "declares 1099511627776 bytes"),
    "2^40, not wanted": (lying("big", size=2**40), "declares 1099511627776 bytes"),
    "2^40 in records": (with_size(2**40 // 3073 * 3073), "declares 1099511"),
    "2^31 in records": (with_size(2**31 // 3073 * 3073), "broken tar archive|cut off"),
    "below 0": (lying("x", size=-512), "broken tar archive|declares"),
    "long name of 2^40": (lying("x", type=tarfile.GNUTYPE_LONGNAME, size=2**40), "1099511627776"),
    "long link of 2^40": (lying("x", type=tarfile.GNUTYPE_LONGLINK, size=2**40), "1099511627776"),
    "pax of 2^40": (lying("x", type=tarfile.XHDTYPE, size=2**40), "1099511627776"),
    "global pax of 2^40": (lying("x", type=tarfile.XGLTYPE, size=2**40), "1099511627776"),
    "long name of 2^30": (lying("x", type=tarfile.GNUTYPE_LONGNAME, size=2**30), "1073741824"),
    "pax that leads out": (
        [*MEMBERS, pax(b"path", b"../x.bin"), member("good", FIRST)],
        "'../x.bin' leads out",
    ),
    "pax that declares 2^40": (
        [*MEMBERS, pax(b"size", b"1099511627776"), member("good", FIRST)],
        "declares 1099511627776",
    ),
    "sparse": (
        [*MEMBERS, pax(b"GNU.sparse.map", b"0,1099511627776"), member("good", FIRST)],
        "is a link, a device or sparse",
    ),
    "nonsense of sparse": (
        [*MEMBERS, pax(b"GNU.sparse.map", b"a,b"), member("good", FIRST)],
        "is a broken tar archive: invalid literal",
    ),
    "sparse of old": (lying("x", b"", type=tarfile.GNUTYPE_SPARSE), "sparse|broken"),
    "pax upon pax": (
        [pax(b"a", b"b")] * 1500 + MEMBERS,
        "broken tar archive",
    ),
    "a thousand members": ([member(f"f{i}") for i in range(1001)], "more than 1000 members"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused(case, tmp_path, monkeypatch):
    members, message = HOSTILE[case]
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    data = zipped(tar_bytes(members))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as error:
            read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(error.value).startswith("/data/cifar.tar.gz")
    assert peak < 20_000_000
    assert listing(tmp_path) == {}


PLAIN = tar_bytes(MEMBERS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is a broken tar archive: empty file"),
        (b"<html>not found</html>" * 50, "is a broken tar archive"),
        (zipped(b"no archive"), "is a broken tar archive"),
        (PLAIN[: len(PLAIN) // 2], "cut off|is a broken tar archive|must hold"),
        (zipped(PLAIN)[:-100], "is a broken gzip file"),
        (zipped(PLAIN)[:-4], "is a broken gzip file"),
        (zipped(PLAIN)[:-8] + bytes(8), "is a broken gzip file: .*incorrect data check"),
        (zipped(PLAIN[:3000] + bytes(2**25)), "must hold|whole number|broken"),
    ],
)
def test_broken_archives_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        read(data)


def test_a_file_of_2_to_the_40_bytes_is_refused(tmp_path):
    path = tmp_path / "x.tar"
    info, data = member("big", size=2**40)
    path.write_bytes(info.tobuf() + data)
    os.truncate(path, 2**41)  # a hole; it takes no room
    with path.open("rb") as file, pytest.raises(ValueError, match=r"at most .* has 2199023255552"):
        read_members(file, str(path), WANTED, read_records)


def test_random_damage_to_headers_gives_an_error_or_the_data():
    draw = np.random.default_rng(0)
    members = [member(name, bytes([i]) * 9) for i, name in enumerate(["a", "b", "c"])]
    good = tar_bytes([pax(b"a", b"b"), *members])[: 9 * 512]
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for at in draw.integers(0, len(data), draw.integers(1, 9)):
            data[at] = draw.integers(256)
        start = int(draw.integers(0, 8)) * 512  # a checksum that is right lets more through
        header = data[start : start + 512]
        total = sum(header[:148]) + 256 + sum(header[156:])
        data[start + 148 : start + 156] = b"%06o\0 " % total
        try:
            values = read_members(
                io.BytesIO(bytes(data)), "x.tar", ["a", "b", "c"], lambda s, n, _: s.read(9)
            )
        except ValueError as error:
            assert str(error).startswith("x.tar")
            refused += 1
        else:
            assert set(values) == {"a", "b", "c"}
    assert refused > 100
