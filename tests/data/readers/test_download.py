"""Downloads, from a server on this machine that serves files well, badly, or without end."""

import contextlib
import hashlib
import http.server
import threading

import numpy as np
import pytest
from data.image_files import listing

from jaxnn.data.readers import download
from jaxnn.data.readers.originals import ImageSet, Original

GOOD = np.random.default_rng(0).bytes(200_000)
FILE = Original("a.gz", len(GOOD), hashlib.sha256(GOOD).hexdigest())


class Handler(http.server.BaseHTTPRequestHandler):
    """Behaves as the first part of the path says."""

    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.split("/")[1]
        if kind == "absent":
            self.send_error(404)
            return
        self.send_response(302 if kind == "moved" else 200)
        if kind == "moved":
            self.send_header("Location", "/good/a.gz")
        if kind == "closed":
            self.send_header("Content-Length", str(len(GOOD)))
        if kind == "declares":
            self.send_header("Content-Length", str(2**40))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(
                {
                    "short": GOOD[:-1],
                    "closed": GOOD[:1000],
                    "empty": b"",
                    "moved": b"",
                    "wrong": GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
                    "page": b"<html>Sign in to the network</html>",
                }.get(kind, GOOD)
            )
            if kind == "long":
                self.wfile.write(b"\0")
            while kind in ("endless", "declares"):
                self.server.sent += self.wfile.write(bytes(65536))

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.sent = [], 0
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mirror(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.asked.clear()
    return lambda kind: f"http://127.0.0.1:{server.server_port}/{kind}/"


def source(*mirrors):
    return ImageSet("letters", (FILE,), mirrors)


@pytest.mark.parametrize("kind", ["good", "moved"])
def test_a_good_file_arrives(mirror, tmp_path, kind, capsys):
    folder = tmp_path / "cache" / "letters"
    download.provide(source(mirror(kind)), [FILE], folder, True)
    assert listing(tmp_path) == {folder / "a.gz": GOOD}
    captured = capsys.readouterr()
    assert "a.gz" in captured.err and captured.out == ""


FAILURES = {
    "absent": "HTTP Error 404: Not Found",
    "short": "199999 bytes instead of 200000",
    "closed": "1000 bytes instead of 200000",
    "empty": "0 bytes instead of 200000",
    "page": "35 bytes instead of 200000",
    "wrong": f"SHA-256 .* instead of {FILE.sha256}",
    "long": "more than the expected 200000 bytes",
    "endless": "more than the expected 200000 bytes",
    "declares": "more than the expected 200000 bytes",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_bad_file_leaves_nothing_behind(mirror, server, tmp_path, kind):
    before = {tmp_path / "b.gz": b"of somebody else"}
    (tmp_path / "b.gz").write_bytes(b"of somebody else")
    server.sent = 0
    with pytest.raises(OSError, match=FAILURES[kind]) as error:
        download.provide(source(mirror(kind)), [FILE], tmp_path, True)
    assert listing(tmp_path) == before
    assert server.sent < 50_000_000  # what the buffers of the connection hold, no more
    message = str(error.value)
    for part in ("letters lacks a.gz", str(tmp_path), mirror(kind), "by hand", "folder="):
        assert part in message
    assert "\n" not in message


def test_mirrors_are_tried_in_order(mirror, server, tmp_path):
    mirrors = [mirror(kind) for kind in ("absent", "wrong", "good", "endless")]
    download.download_files([FILE], mirrors, tmp_path)
    assert listing(tmp_path) == {tmp_path / "a.gz": GOOD}
    assert server.asked == ["/absent/a.gz", "/wrong/a.gz", "/good/a.gz"]


def test_every_failed_mirror_is_named(mirror, tmp_path):
    with pytest.raises(OSError, match=r"/absent/a.gz: HTTP Error 404.*/wrong/a.gz: SHA-256"):
        download.download_files([FILE], [mirror("absent"), mirror("wrong")], tmp_path)


def test_a_broken_file_is_replaced_only_by_a_good_one(mirror, tmp_path):
    (tmp_path / "a.gz").write_bytes(b"broken")
    with pytest.raises(OSError, match="bytes instead of"):
        download.download_files([FILE], [mirror("short")], tmp_path)
    assert listing(tmp_path) == {tmp_path / "a.gz": b"broken"}
    download.download_files([FILE], [mirror("good")], tmp_path)
    assert listing(tmp_path) == {tmp_path / "a.gz": GOOD}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_download_leaves_nothing_behind(mirror, tmp_path, error):
    shown = []

    def show(done):
        shown.append(listing(tmp_path))
        if done > 100_000:
            raise error

    with pytest.raises(error):
        download._from_any(FILE, [mirror("good")], tmp_path, show)
    assert all(len(files) == 1 for files in shown), "it was being written"
    assert not any(tmp_path / "a.gz" in files for files in shown), "under another name"
    assert listing(tmp_path) == {}


def test_a_disk_that_cannot_be_written_is_no_failure_of_the_mirror(mirror, server, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NotADirectoryError):
        download.provide(source(mirror("good"), mirror("good")), [FILE], tmp_path / "file/x", True)
    assert len(server.asked) == 1


def test_offline_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "letters"
    with pytest.raises(OSError, match=r"letters lacks a\.gz in .*refused.*by hand") as error:
        download.provide(source("http://127.0.0.1:9/"), [FILE], folder, True)
    assert str(folder) in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_without_being_asked_nothing_is_downloaded(mirror, server, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        download.provide(source(mirror("good")), [FILE], tmp_path / "letters", False)
    assert str(error.value) == (
        f"letters lacks a.gz in {tmp_path}/letters; fetch them, 0.2 MB, with download=True "
        f"(--download), or put them into {tmp_path}/letters by hand (they are at "
        f"{mirror('good')}), or name the folder that holds them with folder= (--data-folder)"
    )
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ada")
    for name in ("JAXNN_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert str(download.cache_folder("mnist")) == "/home/ada/.cache/jaxnn/mnist"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert str(download.cache_folder("mnist")) == "/var/cache/jaxnn/mnist"
    monkeypatch.setenv("JAXNN_DATA", "~/data")
    assert str(download.cache_folder("mnist")) == "/home/ada/data/mnist"


def test_an_original_is_held_to_its_hash(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(GOOD)
    with download.opened(path, FILE) as file:
        assert file.read() == GOOD
    path.write_bytes(GOOD[:-1])
    with download.opened(path, None) as file:
        assert file.read() == GOOD[:-1]
    with (
        pytest.raises(ValueError, match=r"a\.gz must have 200000 bytes, got 199999"),
        download.opened(path, FILE),
    ):
        pass
