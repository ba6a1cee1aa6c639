"""A table is read as it was meant, or refused with the line and the remedy."""

import math
from pathlib import Path

import pandas as pd
import pytest

from cnnlib.storage.csv_file import accuracies, numbers, read_table

OWNERS = pd.Series(["a", "b", "c"])


def read(folder: Path, content: str | bytes, **more: object) -> tuple[pd.DataFrame, list[str]]:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **more)  # type: ignore[arg-type]


def test_a_name_stays_a_name(tmp_path: Path) -> None:
    text = "trial_id,a,b\n000,None,NA\n1e000001,null,nan\n00000012,,x\n"
    table, notes = read(tmp_path, text, text={"trial_id"})
    assert table["trial_id"].tolist() == ["000", "1e000001", "00000012"]
    assert table["a"].tolist()[:2] == ["None", "null"] and table["a"].isna().tolist()[2]
    assert table["b"].tolist() == ["NA", "nan", "x"]
    assert notes == []


def test_columns_are_numbers_or_booleans_where_every_cell_is(tmp_path: Path) -> None:
    table, _ = read(tmp_path, "a,b,c,d\n1,0.1,true,2\n2,,False,x\n")
    assert table["a"].dtype == int and table["b"].tolist()[0] == 0.1 and math.isnan(table["b"][1])
    assert table["c"].tolist() == [True, False] and table["d"].tolist() == ["2", "x"]


@pytest.mark.parametrize("content, note", [
    ("a;b\n0,5;x\n1;y\n", "semicolons were taken for separators, decimal commas by points"),
    ("a\tb\n0.5\tx\n1\ty\n", "tabs were taken for separators"),
    ("a,b\n0.5,x\n1,y\n".encode("utf-16"), "UTF-16, read as such"),
    (",a,b\n0,0.5,x\n1,1,y\n", "column 1, which has no name, is left out"),
    (b"\xef\xbb\xbfa,b\n0.5,x\n1,y\n", None),
])  # fmt: skip
def test_what_is_sure_is_read_and_said(
    tmp_path: Path, content: str | bytes, note: str | None
) -> None:
    table, notes = read(tmp_path, content)
    assert table["a"].tolist() == [0.5, 1.0] and table["b"].tolist() == ["x", "y"]
    assert notes == ([f"t.csv: {note}"] if note else [])


@pytest.mark.parametrize("content, words", [
    ("\u00e9,b\n1,2\n".encode("latin-1"), "line 1 is not UTF-8, perhaps Latin-1"),
    ("a,b\n1,2\n".encode("utf-16-le"), "line 1 holds zero bytes; save the table as CSV in UTF-8"),
    ("lr,lr\n1,2\n", "two columns are called lr; remove or rename one"),
    ("a,b\n1,2\n3\n", "line 3 has 1 cells and the header 2"),
    ('a,b\n"1,2\n', "line 2: unexpected end of data"),
    ("a,,b\n1,x,2\n", "column 2 has no name"),
    ("", "it has no header"),
])  # fmt: skip
def test_what_is_no_table_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path, content)


@pytest.mark.parametrize("cells, expected, note", [
    ([0.5, 0.64, math.nan], [0.5, 0.64, math.nan], None),
    ([64.0, 50.0, 0.0], [0.64, 0.5, 0.0], "divided by 100"),
    (["87.5%", "", "50 %"], [0.875, math.nan, 0.5], "divided by 100"),
    (["0.5", "Infinity", "nan"], [0.5, math.nan, math.nan], "of b is infinite"),
])  # fmt: skip
def test_accuracies_are_fractions(cells: list, expected: list[float], note: str | None) -> None:
    found, notes = accuracies(pd.Series(cells, name="val_acc"), OWNERS, "t.csv")
    assert found.tolist() == pytest.approx(expected, nan_ok=True)
    assert len(notes) == bool(note) and (note or "") in "".join(notes)


@pytest.mark.parametrize("cells, words", [
    ([0.5, 0.64, 2.0], "val_acc of c is 2, of others on another scale"),
    ([64.0, 50.0, 0.63], "val_acc of c is 0.63, of others on another scale"),
    (["87.5%", "50%", "0.6"], "val_acc of c is 0.6, of others on another scale"),
    ([64.0, 50.0, 101.0], "val_acc of c is 101 per cent, and an accuracy is from 0 to 100"),
    ([0.5, -0.1, 0.3], "val_acc of b is -0.1, and an accuracy is from 0 to 1"),
    (["0.64 \u00b1 0.01", "0.6", "0.5"], "val_acc of a is 0.64 \u00b1 0.01, which is no number"),
])  # fmt: skip
def test_a_mixture_is_refused_with_the_name_of_the_run(cells: list, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("%", "%")):
        accuracies(pd.Series(cells, name="val_acc"), OWNERS, "t.csv")


def test_early_epochs_below_one_per_cent_are_no_mixture() -> None:
    values = pd.Series([0.4, 20.0, 40.0, 0.9, 30.0], name="val_acc")
    found, _ = accuracies(values, pd.Series(list("aaabb")), "t.csv")
    assert found.tolist() == pytest.approx([0.004, 0.2, 0.4, 0.009, 0.3])


def test_a_message_repeats_little_of_a_long_cell() -> None:
    with pytest.raises(ValueError) as caught:
        numbers(pd.Series(["x" * 10_000], name="n"), pd.Series(["y" * 10_000]), "t.csv")
    assert len(str(caught.value)) < 300
