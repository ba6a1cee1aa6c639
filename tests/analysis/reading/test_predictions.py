"""Which test photographs are chosen to be looked at."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.reading.predictions import confused_pairs, read_predictions, surest_mistakes

ROWS = [
    ("1", "cat", "dog", 0.6), ("2", "cat", "dog", 0.9), ("3", "cat", "owl", 0.8),
    ("4", "cat", "cat", 0.99), ("5", "dog", "dog", 0.5), ("6", "dog", "dog", 0.7),
    ("7", "dog", "dog", 0.9), ("8", "dog", "cat", 0.95), ("9", "owl", "cat", None),
]  # fmt: skip
TABLE = pd.DataFrame(ROWS, columns=["file", "label", "predicted", "confidence"])
TABLE["correct"] = TABLE["label"] == TABLE["predicted"]


def test_the_surest_mistakes_come_first_and_only_mistakes_come() -> None:
    assert surest_mistakes(TABLE, 3)["file"].tolist() == ["8", "2", "3"]


def test_a_pair_is_the_surest_mistake_beside_a_middling_right_one() -> None:
    first, *others = confused_pairs(TABLE, 5)
    assert (first.label, first.predicted, first.count, first.n) == ("cat", "dog", 2, 4)
    assert first.mistake["file"] == "2" and first.typical["file"] == "6"
    assert {(pair.label, pair.predicted) for pair in others} == {("dog", "cat"), ("owl", "cat")}


def test_a_class_that_others_are_taken_for_shows_another_photograph_each_time() -> None:
    table = pd.concat([TABLE, pd.DataFrame([{"file": "10", "label": "owl", "predicted": "dog"}])])
    table["correct"] = table["label"] == table["predicted"]
    shown = [p.typical["file"] for p in confused_pairs(table, 9) if p.predicted == "dog"]
    assert len(shown) == len(set(shown)) == 2


def test_the_choice_does_not_depend_on_the_order_of_the_table() -> None:
    def chosen(table: pd.DataFrame) -> list[tuple[str, str]]:
        return [(p.mistake["file"], p.typical["file"]) for p in confused_pairs(table, 5)]

    assert chosen(TABLE) == chosen(TABLE.iloc[::-1])


def test_no_photograph_stands_for_a_class_that_was_never_recognised() -> None:
    assert "owl" not in {pair.predicted for pair in confused_pairs(TABLE, 9)}
    assert confused_pairs(TABLE.iloc[:0], 9) == []


def test_classes_may_be_called_anything(tmp_path: Path) -> None:
    path = tmp_path / "test_predictions.csv"
    path.write_text("file,label,predicted,confidence\n1.jpg,NA,None,0.5\n2.jpg,007,007,\n")
    table = read_predictions(path)
    assert table["label"].tolist() == ["NA", "007"]
    assert table["predicted"].tolist() == ["None", "007"]
    assert table["correct"].tolist() == [False, True]
    assert table["confidence"].isna().tolist() == [False, True]


def test_a_confidence_that_is_none_is_refused_with_its_photograph(tmp_path: Path) -> None:
    path = tmp_path / "test_predictions.csv"
    for cell, why in (("1.5", "1.5, which is not from 0 to 1"), ("high", "high, .* no number")):
        path.write_text(f"file,label,predicted,confidence\n1.jpg,a,b,{cell}\n")
        with pytest.raises(ValueError, match=f"confidence of 1.jpg is {why}"):
            read_predictions(path)
