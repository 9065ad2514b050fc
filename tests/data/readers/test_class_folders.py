"""Images in one folder for each class."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jaxnn.data import from_image_folders


def write(folder, name, pixels, mode=None):
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(folder / name)


@pytest.fixture
def folder(tmp_path):
    for i in range(10):
        write(tmp_path, f"{('dog', 'cat')[i % 2]}/{i}.png", np.full((4, 6, 3), 10 * i))
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".cache").mkdir()
    return tmp_path


def test_pixels_labels_and_names(folder):
    data = from_image_folders(folder, key=0, preprocess=None)
    assert data.classes == ("cat", "dog")
    parts = [data.train, data.val, data.test]
    x, y = (np.concatenate([part[name] for part in parts]) for name in ("x", "y"))
    assert x.dtype == np.uint8 and x.shape == (10, 4, 6, 3) and y.dtype == np.int32
    shades = x[:, 0, 0, 0] // 10
    assert sorted(shades) == list(range(10))
    np.testing.assert_array_equal(y, (shades + 1) % 2)  # the odd ones are cats
    scaled = from_image_folders(folder, key=0, size=(2, 3), channels=1)
    assert scaled.train["x"].shape == (6, 2, 3, 1)
    np.testing.assert_allclose(scaled.train["x"].mean(), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: write(f, "cat/new.png", np.zeros((5, 6, 3))), r"new.png must have the height"),
        (lambda f: (f / "empty").mkdir(), "empty must hold images"),
        (lambda f: (f / "cat" / "b.png").write_bytes(b"no"), "b.png must be a readable image"),
        (
            lambda f: Image.fromarray(np.zeros((4, 6), np.uint16)).save(f / "cat" / "deep.png"),
            "deep.png must be a readable image of 8 bits",
        ),
    ],
)
def test_refusals_name_the_file(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        from_image_folders(folder, key=0)


def test_no_folder_and_no_classes(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a folder with one folder for each class"):
        from_image_folders(tmp_path / "nowhere", key=0)
    with pytest.raises(ValueError, match="must hold one folder for each class, got none"):
        from_image_folders(tmp_path, key=0)
