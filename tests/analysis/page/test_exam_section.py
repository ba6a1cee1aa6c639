"""The section of the test: what it says holds for any test, and is grammar for one as for many."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.page.blocks import Page, Section
from analysis.page.files import write_page
from analysis.page.sections.test import exam_blocks
from analysis.reading.folder import SweepFolder, read_folder
from analysis.statistics.test import against_reference


def said(folder: Path, **known: Any) -> str:
    """The section of a sweep of which no more than this is known."""
    sweep = SweepFolder(folder, pd.DataFrame(), pd.DataFrame(), [], **known)
    page = Page("", "", [Section("", exam_blocks(sweep))])
    return write_page(page, folder).read_text("utf-8")


def predictions(predicted: str, label: str = "") -> pd.DataFrame:
    """A photograph a letter, 0.jpg and on; recognised where no label is given."""
    table = pd.DataFrame({"label": list(label or predicted), "predicted": list(predicted)})
    table["file"] = [f"{number}.jpg" for number in table.index]
    return table.assign(correct=table["label"] == table["predicted"], confidence=float("nan"))


def copies(kinds: list[str]) -> pd.DataFrame:
    """Test photographs 0.jpg and on, which lie among those trained on under another label."""
    table = pd.DataFrame({"kind": kinds, "similarity": "1", "test_label": "a", "train_label": "b"})
    files = [f"{number}.jpg" for number in table.index]
    return table.assign(test_file=files, train_file=files)


def test_copies_are_counted_and_the_accuracy_without_them_is_told(tmp_path: Path) -> None:
    page = said(tmp_path, predictions=predictions("aab"), leaks=copies(["exact", "near"]))
    assert "2 test photographs are copies of ones that were trained on (1 exact, 1 near" in page
    assert "Without them the accuracy is 100.0%" in page
    assert "2 pairs of them have two labels" in page
    page = said(tmp_path, predictions=predictions("aab"), leaks=copies(["exact"]))
    assert "1 test photograph is a copy of one that was trained on (1 exact" in page
    assert "1 pair of them has two labels" in page


def test_where_all_are_copies_no_accuracy_is_left(tmp_path: Path) -> None:
    page = said(tmp_path, predictions=predictions("a"), leaks=copies(["exact"]))
    assert "None is left without them." in page and "nan" not in page


def test_of_nothing_known_there_is_no_empty_list(tmp_path: Path) -> None:
    assert "<ul>" not in said(tmp_path)
    assert "<ul>" in said(tmp_path, predictions=predictions("a"))


def test_what_the_weights_were_trained_on_stands_beside_the_test(tmp_path: Path) -> None:
    champion = {"pretrained": {"trained_on": "ImageNet-1k"}}
    page = said(tmp_path, predictions=predictions("aab"), champion=champion)
    assert "began with weights that were trained on ImageNet-1k: where test" in page
    assert "began with weights" not in said(tmp_path, predictions=predictions("aab"))


def test_it_says_how_often_the_test_was_opened_for_whom_and_why(tmp_path: Path) -> None:
    first = {"time": "2026-01-02T03:04", "champion": "7", "test_acc": 0.5, "reason": None}
    page = said(tmp_path, openings=[first])
    assert "The test photographs were opened once, on 2026-01-02 for trial 7 (50.0%)." in page
    again = {**first, "reason": "labels corrected"}
    assert "for trial 7 (50.0%), because: labels corrected." in said(tmp_path, openings=[again])
    page = said(tmp_path, openings=[first, again])
    assert "opened 2 times: 2026-01-02 for trial 7 (50.0%); 2026-01-02 for trial 7 (50.0%)," in page


def against(num_won: int, num_lost: int) -> pd.DataFrame:
    """Photographs that one of champion and reference recognises, and two that both do."""
    table = predictions("a" * (num_won + 2) + "b" * num_lost, "a" * (num_won + num_lost + 2))
    return table.assign(reference_predicted=list("b" * num_won + "a" * (num_lost + 2)))


def test_the_test_that_is_named_decides_over_the_reference(tmp_path: Path) -> None:
    table = against(6, 0)
    found = against_reference(table)
    assert found is not None and found.p_value < 0.05
    assert "the champion is better: +75.0" in said(tmp_path, predictions=table)
    table = against(5, 0)
    found = against_reference(table)
    assert found is not None and found.low > 0 and found.p_value > 0.05, "they may differ"
    assert "the champion may be no better: +71.4" in said(tmp_path, predictions=table)
    assert "the champion may be no worse: -71.4" in said(tmp_path, predictions=against(0, 5))


def test_a_champion_that_is_the_reference_has_no_rival(tmp_path: Path) -> None:
    page = said(tmp_path, predictions=predictions("a"))
    assert "No reference configuration other than the champion was tested" in page


def test_a_copy_may_be_of_a_class_called_na(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("trial_id\n")
    (tmp_path / "epochs.csv").write_text("trial_id,epoch\n")
    (tmp_path / "champion").mkdir()
    table = copies(["exact", "near"]).assign(test_label="NA", train_label=["NA", "None"])
    table.to_csv(tmp_path / "champion" / "leaks.csv", index=False)
    page = said(tmp_path, predictions=predictions("aab"), leaks=read_folder(tmp_path).leaks)
    assert "1 pair of them has two labels" in page and "<td>NA</td><td>None</td>" in page
