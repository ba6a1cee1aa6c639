"""Which test photographs are chosen to be looked at."""

import pandas as pd

from analysis.reading.predictions import confused_pairs, surest_mistakes

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
