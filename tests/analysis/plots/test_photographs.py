"""Photographs with predictions: right way up, marked without need of colour, missing ones too."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.plots.photographs import WRONG, find_photo, plot_photo, square_photo
from analysis.reading.predictions import stratified_sample


def prediction(label: str, predicted: str, confidence: float = 0.61) -> pd.Series:
    return pd.Series({"label": label, "predicted": predicted, "confidence": confidence})


@pytest.fixture
def ax():
    return Figure().add_subplot()


def texts(ax) -> str:
    return ax.get_title(loc="left") + " ".join(text.get_text() for text in ax.texts)


def test_a_wrong_prediction_has_a_cross_both_names_and_a_thick_red_frame(ax):
    plot_photo(ax, np.zeros((8, 8, 3), np.uint8), prediction("Aves", "Fungi"))
    assert "✗ Fungi" in texts(ax) and "true: Aves" in texts(ax) and "61%" in texts(ax)
    assert ax.spines["left"].get_linewidth() > 2
    assert ax.spines["left"].get_edgecolor()[0] > 0.7
    assert WRONG["mark"] == "✗"


def test_a_right_prediction_has_a_tick_and_a_thin_frame(ax):
    plot_photo(ax, np.zeros((8, 8, 3), np.uint8), prediction("Aves", "Aves"))
    assert "✓ Aves" in texts(ax) and "true:" not in texts(ax)
    assert ax.spines["left"].get_linewidth() < 1


def test_a_missing_photograph_is_a_grey_tile_with_words(ax):
    plot_photo(ax, None, prediction("Aves", "Aves", float("nan")))
    assert "not found" in texts(ax) and "%" not in texts(ax)
    assert not ax.images


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    image = Image.new("RGB", (80, 40), "white")
    image.paste("black", (0, 0, 40, 40))  # the left half
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: the left becomes the top
    image.save(tmp_path / "turned.jpg", exif=exif)
    photo = square_photo(tmp_path / "turned.jpg", 20)
    assert photo is not None and photo.shape == (20, 20, 3)
    assert photo[0].mean() < 50 and photo[-1].mean() > 200


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_every_kind_of_photograph_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    Image.new(mode, (30, 50)).save(path)
    photo = square_photo(path, 16)
    assert photo is not None and photo.shape == (16, 16, 3) and photo.dtype == np.uint8


def test_a_broken_photograph_counts_as_missing(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no photograph")
    assert square_photo(tmp_path / "broken.jpg", 16) is None
    assert square_photo(None, 16) is None


def test_photographs_are_found_below_the_data(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.jpg").write_bytes(b"")
    assert find_photo("val/a.jpg", [tmp_path]) == tmp_path / "val" / "a.jpg"
    assert find_photo("val/b.jpg", [tmp_path]) is None


def test_the_sample_is_even_over_classes_and_the_same_every_time():
    table = pd.DataFrame({"label": np.repeat(list("abcdefghij"), 50), "file": range(500)})
    sample = stratified_sample(table, num_photos=30, seed=0)
    assert (sample["label"].value_counts() == 3).all()
    assert sample.equals(stratified_sample(table, num_photos=30, seed=0))
    assert not sample.equals(stratified_sample(table, num_photos=30, seed=1))


def test_the_sample_of_100_classes_has_30_classes_and_a_small_test_is_shown_whole():
    many = pd.DataFrame({"label": np.repeat([f"c{i}" for i in range(100)], 5)})
    assert stratified_sample(many, num_photos=30, seed=0)["label"].nunique() == 30
    few = pd.DataFrame({"label": ["a"] * 12 + ["b"]})
    assert len(stratified_sample(few, num_photos=30, seed=0)) == 13


def test_a_place_that_cannot_be_looked_at_has_no_photograph(tmp_path):
    assert find_photo("x" * 300, [tmp_path]) is None, "as in a home that is somebody else's"
