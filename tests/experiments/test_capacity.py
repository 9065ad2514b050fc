"""The error against width: its data, its page, and what it promises."""

from __future__ import annotations

import re

import numpy as np
import pytest

from experiments.lectures import capacity
from experiments.lectures.capacity import Config
from experiments.lectures.capacity_drawing import Sweep, exact_widths
from jaxnn.data.datasets import read_digits


def labels_of(rows):
    """The true labels of images as read, which are told apart by their pixels."""
    images, labels = read_digits()
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    return np.array([known[row.astype(np.uint8).tobytes()] for row in rows])


def test_so_many_labels_are_wrong_and_none_that_are_tested():
    data = capacity.noisy_digits(Config(examples=300, wrong_labels=0.25))

    def rows(part):
        return np.rint(part["x"] * data.preprocess.deviation + data.preprocess.mean)

    assert len(data.train["y"]) == 300 and len(data.val["y"]) == 1497
    assert np.sum(labels_of(rows(data.train)) != data.train["y"]) == 75
    np.testing.assert_array_equal(labels_of(rows(data.val)), data.val["y"])
    assert set(data.train["y"]) == set(range(10))


def test_the_width_that_fits_the_labels():
    config = Config(widths=(1, 2, 4), rates=(0.1, 0.2))
    train = np.array([[[0.5, 0.3], [0.5, 0.3]], [[0.04, 0.0], [0.2, 0.0]], [[0, 0], [0.1, 0]]])
    sweep = Sweep(train, train, train, train)
    assert exact_widths(sweep, config) == [2, None]


def test_a_small_run_and_its_page(tmp_path):
    config = Config(
        widths=(8,),
        rates=(1e-2,),
        seeds=2,
        examples=60,
        epochs=12,
        curve_widths=(2,),
        curve_epochs=2,
        devices=1,
        page=tmp_path / "page.html",
    )
    sweep, fits = capacity.main(config)
    assert {field.shape for field in sweep} == {(1, 1, 2)}
    assert np.all(sweep.lowest <= sweep.val)
    assert sweep.train.mean() < 0.6  # 0.9 without learning
    assert sweep.loss[0, 0, 0] != sweep.loss[0, 0, 1]  # seeds differ
    error = np.sqrt(np.mean((fits.outputs - fits.y) ** 2, axis=1))
    np.testing.assert_allclose(fits.errors, error, rtol=1e-6)
    html = config.page.read_text("utf-8")
    labels = re.findall(r'<svg [^>]*aria-label="(.*?)"', html)
    assert len(labels) == len(set(labels)) == 4
    assert "rate 0.01" in html and "20% have a wrong label" in html


@pytest.mark.slow
def test_the_numbers_that_the_program_promises(tmp_path):
    # Half of the widths of the program, which takes minutes.
    widths = (1, 6, 10, 15, 50, 400)
    config = Config(widths=widths, devices=1, page=tmp_path / "page.html")
    sweep, fits = capacity.main(config)
    train, val = sweep.train.mean(axis=-1), sweep.val.mean(axis=-1)
    assert np.all(train[-1] <= 0.01) and np.all(train[0] > 0.5)
    for number in range(2):  # at the two lower rates both descents show
        errors, fitted = val[:, number], int(np.argmax(train[:, number] <= 0.02))
        sweet = int(np.argmin(errors[:fitted]))
        peak = sweet + int(np.argmax(errors[sweet:]))
        assert errors[peak] > errors[sweet] + 0.003  # the lecture's U
        assert errors[-1] < errors[peak] - 0.015  # and the second descent
    assert np.all(val[-1] < 0.2)
    loss = sweep.loss[:, 2].mean(axis=-1)  # its peak lies where the labels are just fitted
    assert loss.max() > 1.5 * loss[-1] and 4 <= config.widths[int(np.argmax(loss))] <= 22
    assert fits.errors[0] > 0.3 and fits.errors[-1] < 0.1  # universal approximation
    assert np.all(np.diff(fits.errors) < 0)
