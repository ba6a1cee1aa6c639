"""Tests of cnnlib/photos/source_text.py."""

from pathlib import Path

import pytest

from cnnlib.photos.source_text import SourceText, read_by


def test_flags_become_a_part_of_the_text_and_are_read_again() -> None:
    text = read_by("labels.csv", "label=species, path=file", 5)
    assert text == "labels.csv#label=species,path=file,min_per_class=5"
    assert SourceText.parse(text) == SourceText(
        "labels.csv", {"label": "species", "path": "file"}, 5
    )
    assert read_by(text, "label=genus", None) == "labels.csv#label=genus,path=file,min_per_class=5"
    assert read_by("photos", None, None) == "photos"


@pytest.mark.parametrize("columns", ["species", "kind=species", "label=", "label=a=b", ""])
def test_what_is_no_column_is_refused(columns: str) -> None:
    with pytest.raises(ValueError, match=r"^--columns: .*path=file,label=species"):
        read_by("labels.csv", columns, None)


def test_a_folder_with_such_a_name_is_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "photos#label=b"
    assert SourceText.parse(folder).columns == {"label": "b"}
    folder.mkdir()
    assert SourceText.parse(folder) == SourceText(str(folder))


def test_a_mark_that_begins_no_options_is_part_of_the_place() -> None:
    assert SourceText.parse("https://host/a.zip#part").place == "https://host/a.zip#part"


def test_the_absolute_text_keeps_how_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").touch()
    text = SourceText.parse("labels.csv#label=b").absolute
    assert text == f"{tmp_path}/labels.csv#label=b"
    assert SourceText.parse("sample").absolute == "sample"
