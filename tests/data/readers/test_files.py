import csv
import io
import struct
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.data import fit_standardize, from_arrays, from_csv, from_npz, standardize

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype(np.float32)
Y = np.arange(20) % 2


def parts_of(data):
    return [data.train, data.val, data.test]


def same(got, want):
    for a, b in zip(parts_of(got), parts_of(want), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].dtype == b[name].dtype
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_split_as_its_arrays_are(tmp_path, save):
    path = tmp_path / "mine.npz"
    save(path, images=X, labels=Y, other=np.array([{}]))
    arguments = {"key": 3, "stratify": True, "preprocess": "standardize", "fractions": (0.5, 0.5)}
    got = from_npz(path, x="images", y="labels", **arguments)
    want = from_arrays(X, Y, **arguments)
    for a, b in zip(parts_of(got)[:2], parts_of(want)[:2], strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
        np.testing.assert_array_equal(a["y"], b["y"])
    np.testing.assert_array_equal(got.preprocess.mean, want.preprocess.mean)
    assert list(from_npz(path, x="images", y=None, key=0).train) == ["x"]


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(RNG.normal(size=(20, 3, 2))),
        X.astype(">f4"),
        X.astype(np.float16),
        Y > 0,
        np.zeros((20, 0)),
    ],
)
def test_npz_of_any_layout(tmp_path, x):
    path = tmp_path / "mine.npz"
    np.savez(path, x=x)
    got = from_npz(str(path), y=None, key=0, fractions=(1,))
    want = from_arrays(x, key=0, fractions=(1,))
    np.testing.assert_array_equal(got.train["x"], want.train["x"])
    assert got.train["x"].dtype == x.dtype.newbyteorder("=")
    assert got.train["x"].dtype.isnative


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header_of(shape, descr="'<f8'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def archive(tmp_path, x, compression=zipfile.ZIP_DEFLATED):
    path = tmp_path / "hostile.npz"
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("x.npy", x)
    return path


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (npy(np.array([{}, print])), r"hostile.npz: x holds Python objects, a pickle, which can"),
        (header_of("(3,)", "'|O'") + b"cos\nsystem\n(S'false'\ntR.", "x holds Python objects"),
        (header_of("(3,)", "[('a', '|O')]") + bytes(24), "x holds Python objects"),
        (header_of("(3,)", "[('a', '<f8')]") + bytes(24), "plain numbers, got dtype .*'a', '<f8'"),
        (npy(np.ones(9, jnp.bfloat16)), "must hold plain numbers, got dtype"),
        (header_of("(3,)", "'<U0'"), "must hold plain numbers, got dtype <U0"),
        (header_of(f"({2**40},)") + bytes(80), rf"declares shape \({2**40},\) .* holds 80 bytes"),
        (header_of(f"({2**40}, {2**40})") + bytes(8), "declares shape .* and holds 8 bytes"),
        (header_of("(-2, -5)") + bytes(80), r"declares shape \(-2, -5\) of float64, and holds 80"),
        (header_of("(9,)") + bytes(80), r"declares shape \(9,\) of float64, and holds 80 bytes"),
        (header_of("(True, 'a')") + bytes(8), "x is broken: shape is not valid"),
        (header_of(f"(0, {2**70})"), "x is broken: "),
        (header_of("(" * 110), "x is broken: "),
        (header_of("(3,)", "'zebra'"), "x is broken: descr is not a valid dtype"),
        (npy(X)[:60], "x is broken: EOF: reading array header"),
        (b"not an array", "x is broken: the magic string is not correct"),
        (b"", "x is broken: EOF"),
        (b"\x93NUMPY\x02\x00" + bytes(80), r"format is version \(2, 0\), not \(1, 0\)"),
    ],
)
def test_hostile_members_are_refused_by_name(tmp_path, contents, message):
    with pytest.raises(ValueError, match=message):
        from_npz(archive(tmp_path, contents), y=None, key=0)


def test_what_is_pickled_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = tmp_path / "trap.npz"
    np.savez(path, x=np.array([Trap()] * 9, object))
    with pytest.raises(ValueError, match="x holds Python objects"):
        from_npz(path, y=None, key=0)
    assert not tmp_path.joinpath("sprung").exists()


def test_damage_anywhere_is_an_error_or_harmless(tmp_path):
    path = archive(tmp_path, npy(X))
    whole = path.read_bytes()
    want = from_arrays(X, key=0)
    refused = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            got = from_npz(path, y=None, key=0)
        except ValueError as error:
            refused += 1
            assert "hostile.npz" in str(error)
        else:  # a date, a flag, or what is written twice
            np.testing.assert_array_equal(got.train["x"], want.train["x"])
    assert refused > len(whole) / 3 * 0.7


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
def test_files_cut_off_are_refused(tmp_path, share):
    path = archive(tmp_path, npy(X), zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"hostile.npz, which should be an .npz archive, is brok"):
        from_npz(path, y=None, key=0)


def declared(path, size, compressed=None):
    """The archive with another size in its directory."""
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    if compressed is not None:
        struct.pack_into("<I", data, place + 20, compressed)
    struct.pack_into("<I", data, place + 24, size)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_sizes_that_an_archive_cannot_hold(tmp_path, compression):
    # As the header and the directory agree, only the archive's own size says otherwise.
    size = 2**31
    contents = header_of(f"({size // 8 - 16},)") + bytes(80)
    path = declared(archive(tmp_path, contents, compression), size)
    with pytest.raises(ValueError, match=f"x declares {size} bytes, which its .* cannot hold"):
        from_npz(path, y=None, key=0)
    declared(path, size, compressed=size)
    with pytest.raises(ValueError, match="cannot hold"):
        from_npz(path, y=None, key=0)


def test_fewer_bytes_than_declared(tmp_path):
    contents = header_of("(100,)") + bytes(80)
    path = declared(archive(tmp_path, contents), 128 + 800)
    with pytest.raises(ValueError, match="x is broken: "):
        from_npz(path, y=None, key=0)


def test_zip_bombs(tmp_path):
    size = 2**31
    contents = header_of(f"({size // 8 - 16},)") + RNG.bytes(2**22)
    path = declared(archive(tmp_path, contents), size)
    with pytest.raises(ValueError, match=r"would grow from .* as a zip bomb does"):
        from_npz(path, y=None, key=0)


def test_names_that_are_not_there(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, images=X, labels=Y)
    with pytest.raises(ValueError, match=r"mine.npz holds no 'x'; it has images, labels"):
        from_npz(path, key=0)
    with pytest.raises(ValueError, match="holds no 'y'"):
        from_npz(path, x="images", key=0)
    with pytest.raises(FileNotFoundError):
        from_npz(tmp_path / "other.npz", key=0)


def test_other_files_and_other_entries(tmp_path):
    path = tmp_path / "alone.npy"
    np.save(path, X)
    with pytest.raises(
        ValueError, match=r"which should be an .npz archive, is broken: File is not"
    ):
        from_npz(path, key=0)
    np.savez(tmp_path / "text.npz", x=np.array(["cat"] * 9))
    with pytest.raises(TypeError, match="x must hold numbers, got dtype <U3"):
        from_npz(tmp_path / "text.npz", y=None, key=0)
    with pytest.raises(ValueError, match="type 14"):
        from_npz(archive(tmp_path, npy(X), zipfile.ZIP_LZMA), y=None, key=0)


def test_a_name_that_is_there_twice(tmp_path):
    path = archive(tmp_path, npy(X))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("x", npy(X))
    with pytest.raises(ValueError, match="holds 'x' twice"):
        from_npz(path, y=None, key=0)


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode(encoding))
    return path


def all_of(path, **arguments):
    return from_csv(path, key=0, fractions=(1,), **arguments)


def in_file_order(data, *, by):
    order = np.argsort(data.train["x"][:, by])
    return {name: leaf[order] for name, leaf in data.train.items()}


def test_csv_is_split_as_its_numbers_are(tmp_path):
    x = RNG.normal(size=(20, 3)) * [1e-8, 1, 1e12]
    path = tmp_path / "mine.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a", "label", "b", "c"]])
        csv.writer(file).writerows([r[0], y, r[1], r[2]] for r, y in zip(x, Y, strict=True))
    arguments = {"key": 3, "stratify": True, "preprocess": fit_standardize}
    got = from_csv(path, target="label", **arguments)
    same(got, from_arrays(x, Y.astype(np.int32), **arguments))
    assert got.classes is None
    state = fit_standardize(from_csv(path, target="label", key=3, stratify=True).train["x"])
    np.testing.assert_array_equal(got.preprocess.mean, state.mean)
    assert standardize(state, x).dtype == np.float64


def test_names_of_classes_become_numbers_and_are_kept(tmp_path):
    path = written(tmp_path, '5.1,3,"Iris, a"\n6.2,1,rose\n7.3,2,"Iris, a"\n')
    data = all_of(path, target=-1)
    assert data.classes == ("Iris, a", "rose")
    batch = in_file_order(data, by=0)
    np.testing.assert_array_equal(batch["x"], [[5.1, 3], [6.2, 1], [7.3, 2]])
    np.testing.assert_array_equal(batch["y"], [0, 1, 0])
    assert batch["y"].dtype == np.int32


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n3,4\n", ","),
        ("\ufeffa,b\r\n1,2\r\n3,4\r\n", ","),
        ('"a"; "b"\n"1";" 2 "\n\n+3.;4e0', ";"),
        ("a\tb\r1\t2\r3\t4", "\t"),
        ("a b\n1 2\n3 4\n\n\n", " "),
        ("1, 2\n3, 4\n", ","),
    ],
)
def test_dialects(tmp_path, text, delimiter):
    batch = in_file_order(all_of(written(tmp_path, text), delimiter=delimiter), by=0)
    np.testing.assert_array_equal(batch["x"], [[1, 2], [3, 4]])
    assert list(batch) == ["x"]


@pytest.mark.parametrize(
    ("text", "arguments", "rows"),
    [
        ("1,2\n3,4\n", {"header": True}, 1),  # names that are numbers
        ("1,2\n3,4\n", {"target": "2"}, 1),
        ("1,2\n3,4\n", {"header": False}, 2),
        ("5,rose\n6,iris\n", {"target": 1}, 2),  # one number: no names
    ],
)
def test_headers(tmp_path, text, arguments, rows):
    assert len(all_of(written(tmp_path, text), **arguments).train["x"]) == rows


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_an_index_without_a_name_is_left_out(tmp_path, name):
    path = written(tmp_path, f"{name},a,b\n0,4,1\n1,5,0\n2,6,1\n")
    with pytest.warns(UserWarning, match="the first column has no name") as caught:
        data = from_csv(path, key=0, target="b", fractions=(1,))
    assert caught[0].filename == __file__
    assert data.columns == ("a",)
    np.testing.assert_array_equal(np.sort(data.train["x"], 0), [[4], [5], [6]])


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["3", "-4", "+5"], np.int32),
        (["3", "4.0", "5"], np.float64),
        (["3", "4", str(2**31)], np.float64),
        (["1e3", "4", "5"], np.float64),
    ],
)
def test_dtype_of_targets(tmp_path, cells, dtype):
    text = "x,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    batch = in_file_order(all_of(written(tmp_path, text), target="y"), by=0)
    assert batch["y"].dtype == dtype
    np.testing.assert_array_equal(batch["y"], np.array(cells, float))


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("a,b\n1,2\n3,\n", {}, "mine.csv: line 3, column 'b', is empty"),
        ("a,b\n1,2\n  ,3\n", {}, "line 3, column 'a', is empty"),
        ("a,b\n1,2\n3,old\n", {}, "line 3, column 'b', must hold a number, got 'old'"),
        ("1,2\n3,4\n\nx,6\n", {}, "line 4, column 0, must hold a number, got 'x'"),
        ('a,b\n"1\n",2\n3,4_0\n', {}, "line 4, column 'b', must hold a number, got '4_0'"),
        ("a,b\n1,٣\n", {}, "line 2, column 'b', must hold a number, got '٣'"),
        ("a,b\n1,1,5\n", {"delimiter": ","}, "line 2 has 3 cells, the first row 2"),
        ('a;b\n1;"1,5"\n', {"delimiter": ";"}, "must hold a number, got '1,5'"),
        ("a,b\n1,2\n3,nan\n", {}, "line 3, column 'b', must hold a finite number, got nan"),
        ("a,t,b\n1,2,3\n3,1,1e999\n", {"target": "t"}, "column 'b', must hold a finite .* inf"),
        ("a,b,c\n1,2,3\n4,5\n", {}, "mine.csv: line 3 has 2 cells, the first row 3"),
        ("id,2019\n1,2\n", {}, "line 1, column 0, must hold a number, got 'id'"),
        ("a,b\n1,2\n", {"target": "c"}, "target must name one column of .*, a, b, got 'c'"),
        ("a,a,b\n1,2,3\n", {"target": "a"}, "target must name one column"),
        ("a,b\n1,2\n", {"target": 2}, "index of one of 2 columns, got 2"),
        ("a,b\n1,2\n", {"target": -3}, "index of one of 2 columns, got -3"),
        (
            "1,2\n",
            {"target": "a", "header": False},
            "target must be an index where header=False says",
        ),
        ("a,t\n1,2\n2,\n", {"target": "t"}, "line 3, column 't', is empty"),
        ("a,t\n1,2\n2,?\n", {"target": "t"}, "line 3, column 't', holds text, '\\?', and line 2 a"),
        (
            "a,t\n1,x\n2,3\n",
            {"target": "t"},
            "line 3, .* holds a number, '3', and line 2 text, 'x'",
        ),
        ("t\n1\n", {"target": "t"}, "holds no column but the target"),
        ("", {}, "mine.csv holds no rows"),
        ("\n\n", {}, "holds no rows"),
        ("a,b\n", {}, "holds no rows but the header"),
        ('a,b\n1,"2\n3,4\n', {}, "after line 3 no CSV in UTF-8: unexpected end of data"),
        ('a,b\n1,"2"3\n', {}, "no CSV in UTF-8: ',' expected after '\"'"),
        ("a,b\n1,2\n", {"delimiter": ", "}, "delimiter must be one character"),
        ("a,b\n1,2\n", {"delimiter": '"'}, "delimiter must be one character"),
    ],
)
def test_csv_that_is_no_table_of_numbers(tmp_path, text, arguments, message):
    with pytest.raises(ValueError, match=message):
        all_of(written(tmp_path, text), **arguments)


def test_other_encodings_are_refused(tmp_path):
    path = written(tmp_path, "größe,b\n1,2\n", "latin-1")
    with pytest.raises(ValueError, match=r"mine.csv: after line 0 no CSV in UTF-8"):
        all_of(path)
    with pytest.raises(ValueError, match="no CSV in UTF-8"):
        all_of(written(tmp_path, "a,b\n1,2\n", "utf-16"))
