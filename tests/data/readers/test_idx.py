import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
from data.image_files import idx_bytes, pictures, zipped

from jaxnn.data.readers.idx import read_idx

IMAGES, LABELS = pictures(0, 7, (4, 5))
GOOD = idx_bytes(IMAGES)


@pytest.mark.parametrize("wrap", [bytes, zipped, lambda data: zipped(data) + bytes(512)])
def test_arrays_come_back(wrap):
    images = read_idx(io.BytesIO(wrap(GOOD)), "images", axes=3)
    labels = read_idx(io.BytesIO(wrap(idx_bytes(LABELS))), "labels", axes=1)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert images.dtype == labels.dtype == np.uint8


def test_bytes_by_hand():
    data = bytes.fromhex("00000803 00000002 00000001 00000003 0a0b0c 0d0e0f")
    want = [[[10, 11, 12]], [[13, 14, 15]]]
    np.testing.assert_array_equal(read_idx(io.BytesIO(data), "hand", axes=3), want)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


HOSTILE = {
    "empty": (b"", "cut off: 0 bytes are left where 16"),
    "no shape": (GOOD[:9], "cut off: 9 bytes are left where 16"),
    "labels": (idx_bytes(LABELS) + bytes(99), "magic number 0x00000803 .*, got 0x00000801"),
    "floats": (idx_bytes(IMAGES, magic=0x0D03), "got 0x00000d03"),
    "text": (b"<html>not found</html>", "got 0x3c68746d"),
    "no pictures": (idx_bytes(IMAGES[:0]), r"declares 0 \(shape \(0, 4, 5\)\)"),
    "no width": (idx_bytes(IMAGES[:, :, :0]), "declares 0"),
    "one byte short": (GOOD[:-1], "must have the 156 bytes that it declares, has 155"),
    "one byte long": (GOOD + b"\0", "must have the 156 bytes that it declares, has 157"),
    "more than there are": (idx_bytes(IMAGES, shape=(8, 4, 5)), "176 bytes .* has 156"),
    "2^40": (idx_bytes(IMAGES, shape=(2**20, 2**10, 2**10)), "declares 1099511627776"),
    "2^96": (idx_bytes(IMAGES, shape=(2**32 - 1,) * 3), "declares 79228162458924105385"),
    "just below the limit": (idx_bytes(IMAGES, shape=(2**31, 1, 1)), "has 156"),
    "zipped: one byte short": (zipped(GOOD[:-1]), "cut off: 139 bytes are left where 140"),
    "zipped: one byte long": (zipped(GOOD + b"\0"), "more than the 140 bytes"),
    "zipped: 2^40": (zipped(idx_bytes(IMAGES, shape=(2**20, 2**20, 1))), "declares 10995116"),
    "zipped: 2^31": (zipped(idx_bytes(IMAGES, shape=(2**31, 1, 1))), "cut off: 140 bytes"),
    "zipped: bomb": (zipped(GOOD + bytes(2**24)), "more than the 140 bytes"),
    "zipped: cut off": (zipped(GOOD)[:-9], "broken gzip file: it is cut off"),
    "zipped: checksum": (flipped(zipped(GOOD), -8), "broken gzip file: .*incorrect data check"),
    "zipped: data": (flipped(zipped(GOOD), 40), "broken gzip file"),
    "zipped: header alone": (zipped(GOOD)[:5], "broken gzip file"),
    "zipped: length": (flipped(zipped(GOOD), -1), "broken gzip file: .*incorrect length check"),
    "zipped: then zeros": (zipped(GOOD) + bytes(2**21), "broken gzip file: bytes behind its end"),
    "zipped: then garbage": (zipped(GOOD) + b"garbage", "broken gzip file: bytes behind its end"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_and_nothing_is_allocated(case):
    data, message = HOSTILE[case]
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as error:
            read_idx(io.BytesIO(data), "/data/images.idx", axes=3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(error.value).startswith("/data/images.idx ")
    assert peak < len(data) + 3_000_000


def test_a_file_of_2_to_the_40_bytes_is_refused(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(struct.pack(">4I", 0x0803, 2**20, 2**10, 2**10))
    os.truncate(path, 2**40 + 16)  # a hole; it takes no room
    with path.open("rb") as file, pytest.raises(ValueError, match=r"at most .* has 1099511"):
        read_idx(file, str(path), axes=3)
