"""Tests of cnnlib/photos/table.py and grouped_split.py: photographs that a table lists."""

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlib.photos.dataset import Dataset
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.datamodule import stratified_split


def write_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), tuple(random.Random(path.name).randbytes(3))).save(path)


def write_table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header.split())
        table.writerows(rows)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images/0.png to images/39.png."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    for number in range(40):
        write_photo(tmp_path / "images" / f"{number}.png")
    return tmp_path


def name(number: int) -> str:
    return f"images/{number}.png"


def label(number: int) -> str:
    return ("oak", "elm")[number % 2]


def refusal(data: str) -> str:
    with pytest.raises(ValueError) as error:
        find_dataset(data)
    text = str(error.value)
    assert "\n" not in text
    return text


def labels_of(dataset: Dataset) -> dict[str, str]:
    parts = [dataset.train, *([dataset.test] if dataset.test else [])]
    return {
        path.name: dataset.classes[label]
        for part in parts
        for path, label in zip(part.files, part.labels, strict=True)
    }


def test_columns_are_found_by_name_and_told(here: Path) -> None:
    rows = [(name(n), label(n), "test" if n % 5 == 0 else "training") for n in range(40)]
    write_table(here / "trees.csv", "File_Path Species set", rows)
    found = find_dataset("trees.csv")
    assert found.classes == ("elm", "oak")
    assert labels_of(found) == {f"{n}.png": label(n) for n in range(40)}
    assert found.test and len(found.train.files) == 32 and len(found.test.files) == 8
    assert found.notes == (
        "trees.csv: path from File_Path, label from Species, split from set (--columns says it "
        "otherwise)",
    )


@pytest.mark.parametrize("form", ["parquet", "jsonl", "tsv"])
def test_a_table_of_any_form_is_the_same(here: Path, form: str) -> None:
    frame = pd.DataFrame({"path": map(name, range(40)), "label": map(label, range(40))})
    frame.to_csv("trees.csv", index=False)
    if form == "parquet":
        frame.to_parquet("trees.parquet")
    elif form == "jsonl":
        frame.to_json("trees.jsonl", orient="records", lines=True)
    else:
        frame.to_csv("trees.tsv", index=False, sep="\t")
    assert find_dataset(f"trees.{form}").fingerprint == find_dataset("trees.csv").fingerprint


def test_columns_that_are_given_count(here: Path) -> None:
    rows = [(name(n), "tree", label(n)) for n in range(40)]
    write_table(here / "trees.csv", "path label kind", rows)
    assert find_dataset("trees.csv#label=kind").classes == ("elm", "oak")
    assert "only one class" in refusal("trees.csv")
    assert "trees.csv has the columns path, label, kind" in refusal("trees.csv#label=kinds")
    assert "not by lable" in refusal("trees.csv#lable=kind")


def test_a_column_that_cannot_be_found_is_asked_for(here: Path) -> None:
    write_table(here / "trees.csv", "path what", [(name(0), "oak")])
    assert "which of its columns is the label? Say it by --columns label=NAME" in refusal(
        "trees.csv"
    )


def test_all_that_is_wrong_is_told_at_once_with_counts_and_the_first_three(here: Path) -> None:
    rows = [(name(n), label(n)) for n in range(20)]
    rows += [(f"images/lost{n}.png", "oak") for n in range(5)]
    rows += [(name(20), ""), (name(0), "elm")]
    write_table(here / "trees.csv", "path label", rows)
    text = refusal("trees.csv")
    assert "missing files: 5 (images/lost0.png, images/lost1.png, images/lost2.png and 2 mo" in text
    assert "rows without a label: 1 (images/20.png)" in text
    assert "rows that contradict others: 1 (images/0.png is " in text


def test_rows_listed_twice_count_once(here: Path) -> None:
    rows = [(name(n), label(n)) for n in (*range(40), 3, 3)]
    write_table(here / "trees.csv", "path label", rows)
    found = find_dataset("trees.csv")
    assert len(found.train.files) == 40
    assert any("listed twice: 2 (images/3.png, images/3.png)" in note for note in found.notes)


def test_names_without_folder_or_suffix_are_found_where_they_are_unique(here: Path) -> None:
    write_table(here / "trees.csv", "id label", [(n, label(n)) for n in range(40)])
    found = find_dataset("trees.csv")
    assert labels_of(found) == {f"{n}.png": label(n) for n in range(40)}
    assert any("found below the table's folder by their names" in note for note in found.notes)
    write_photo(here / "others" / "7.png")
    assert "missing files: 1 (7)" in refusal("trees.csv")


def test_a_test_row_without_a_label_is_left_out(here: Path) -> None:
    rows = [(name(n), label(n) if n < 38 else "", "train" if n < 30 else "test") for n in range(40)]
    write_table(here / "trees.csv", "path label split", rows)
    found = find_dataset("trees.csv")
    assert found.test and len(found.test.files) == 8
    assert any("without a label, left out: 2" in note for note in found.notes)


def test_what_a_guessed_split_column_does_not_say_is_told(here: Path) -> None:
    rows = [(name(n), label(n), f"fold{n % 3}") for n in range(40)]
    write_table(here / "trees.csv", "path label fold", rows)
    assert find_dataset("trees.csv").test is None
    assert any("fold holds no train or test" in note for note in find_dataset("trees.csv").notes)
    assert "a set is train, test or val" in refusal("trees.csv#split=fold")


def test_groups_stay_on_one_side_of_the_validation_split(here: Path) -> None:
    rows = [(name(n), label(n), f"p{n // 4}") for n in range(40)]
    write_table(here / "trees.csv", "path label patient", rows)
    found = find_dataset("trees.csv").train
    group = {path: int(path.stem) // 4 for path in found.files}
    for seed in range(20):
        train, val = stratified_split(found.labels, 0.2, seed, found.copies, found.groups)
        sides = [{group[found.files[n]] for n in side} for side in (train, val)]
        assert not sides[0] & sides[1]
        assert len(val) == 8 and sorted({*train, *val}) == list(range(40))
        assert np.bincount(np.array(found.labels)[val]).tolist() == [4, 4]


def test_copies_of_a_group_hang_together_with_it() -> None:
    groups, copies = [(0, 1, 2), (3, 4)], [(2, 3)]
    for seed in range(20):
        _, val = stratified_split((0,) * 5 + (1,) * 5 + (0,) * 20, 0.2, seed, copies, groups)
        assert len({0, 1, 2, 3, 4} & set(val.tolist())) in (0, 5)


def test_groups_as_large_as_classes_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="groups are too large to hold any out"):
        stratified_split((0, 0, 1, 1), 0.5, 0, (), [(0, 1), (2, 3)])


def test_a_group_on_both_sides_of_the_test_is_refused(here: Path) -> None:
    rows = [(name(n), label(n), f"p{n % 9}", "test" if n > 30 else "train") for n in range(40)]
    write_table(here / "trees.csv", "path label group split", rows)
    assert "9 groups stand on both sides of the test (p" in refusal("trees.csv")


def test_the_group_is_part_of_the_fingerprint(here: Path) -> None:
    for table, size in (("a", 4), ("b", 5)):
        rows = [(name(n), label(n), n // size) for n in range(40)]
        write_table(here / f"{table}.csv", "path label group", rows)
    assert find_dataset("a.csv").fingerprint != find_dataset("b.csv").fingerprint


def test_the_latest_are_tested_with_where_a_time_is_asked_for(here: Path) -> None:
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    rows = [(name(n), label(n), days[n]) for n in range(40)]
    write_table(here / "trees.csv", "path label date", rows)
    assert find_dataset("trees.csv").test is None
    found = find_dataset("trees.csv#time=date")
    assert found.test and sorted(int(p.stem) for p in found.test.files) == list(range(32, 40))
    rows[5] = (name(5), "oak", "soon")
    write_table(here / "trees.csv", "path label date", rows)
    assert "date holds 1 cells that are no time (soon)" in refusal("trees.csv#time=date")


def test_rare_classes_are_left_out_where_asked(here: Path) -> None:
    rows = [(name(n), label(n) if n < 37 else "yew") for n in range(40)]
    write_table(here / "trees.csv", "path label", rows)
    assert find_dataset("trees.csv").classes == ("elm", "oak", "yew")
    found = find_dataset("trees.csv#min_per_class=4")
    assert found.classes == ("elm", "oak") and len(found.train.files) == 37
    assert any("fewer than 4 photographs, left out" in n and "yew (3)" in n for n in found.notes)
    assert "no class of trees.csv has 99 photographs" in refusal("trees.csv#min_per_class=99")


def test_rare_classes_of_folders_are_left_out_of_train_and_test(here: Path) -> None:
    for kind, number in (("elm", 9), ("oak", 9), ("yew", 1)):
        for split in ("train", "test"):
            for n in range(number):
                write_photo(here / "trees" / split / kind / f"{split}{kind}{n}.png")
    found = find_dataset("trees#min_per_class=2")
    assert found.classes == ("elm", "oak")
    assert found.test and len(found.test.files) == 18


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_image_folder_of_hugging_face_is_its_metadata(here: Path, form: str) -> None:
    for split, numbers in (("train", range(30)), ("test", range(30, 40))):
        for n in numbers:
            write_photo(here / "faces" / split / f"{n}.png")
        rows = [(f"{n}.png", label(n)) for n in numbers]
        metadata = here / "faces" / split / f"metadata.{form}"
        if form == "csv":
            write_table(metadata, "file_name label", rows)
        else:
            said = [json.dumps({"file_name": file, "label": kind}) for file, kind in rows]
            metadata.write_text("\n".join(said))
    found = find_dataset("faces")
    assert found.test and len(found.train.files) == 30 and len(found.test.files) == 10
    assert labels_of(found) == {f"{n}.png": label(n) for n in range(40)}


def test_metadata_without_labels_leaves_the_folders_their_meaning(here: Path) -> None:
    for n in range(8):
        write_photo(here / "faces" / label(n) / f"{n}.png")
    write_table(here / "faces" / "metadata.csv", "file_name caption", [("oak/0.png", "an oak")])
    assert find_dataset("faces").classes == ("elm", "oak")


@pytest.mark.parametrize("broken", ['{"path": 1\n', "[]\n", '"text"\n'])
def test_a_damaged_line_of_json_is_named(here: Path, broken: str) -> None:
    (here / "trees.jsonl").write_text('{"path": "images/0.png", "label": "oak"}\n' + broken)
    assert "trees.jsonl: line 2 is no JSON object" in refusal("trees.jsonl")
