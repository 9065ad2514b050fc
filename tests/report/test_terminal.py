"""Writing to a stream of any encoding, and to one whose reader has gone."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from jaxnn.report.terminal import SurvivingStream, writable


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "koi8-r", "utf-8"])
def test_every_letter_can_be_written(encoding):
    text = "".join(map(chr, (*range(32, 0xD800, 7), 0x1F600)))
    plain = writable(text, encoding)
    assert plain.encode(encoding).decode(encoding) == plain
    assert writable("plain", encoding) == "plain"
    assert writable(text, None) == text


def test_lone_surrogates_of_a_file_s_name_can_be_written():
    assert writable("run-\udcff", "utf-8") == "run-\\udcff"


def test_print_survives_an_encoding():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    print("λ is ½", file=SurvivingStream(stream), flush=True)
    assert stream.buffer.getvalue().decode("cp1252").split() == ["lambda", "is", "½"]


def test_print_survives_a_closed_pipe():
    program = (
        "import sys\n"
        "from jaxnn.report.terminal import SurvivingStream\n"
        "sys.stdout = SurvivingStream(sys.stdout)\n"
        "for line in range(100000): print(line)\n"
        "print('the end', file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == "the end\n"
        assert process.wait() == 0
