import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.page.blocks import Paragraph, Table
from analysis.page.sections.finals import final_section
from analysis.page.sections.result import reference_figures
from analysis.reading.folder import SweepFolder, read_folder
from analysis.statistics.summary import champion_sentences
from cnnlib.search.decision import divergence
from tests.journal.test_finals import Held


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A sweep of two trials whose finals were won by the second best of the search."""
    held = Held()
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, None), (0.9, 0.9))
    (tmp_path / "champion").mkdir()
    pd.DataFrame(held.finals.rows()).to_csv(tmp_path / "champion" / "finals.csv", index=False)
    config = {"trial_id": held.draw.finalists[1]}
    (tmp_path / "champion" / "config.json").write_text(json.dumps(config))
    (tmp_path / "trials.csv").write_text("trial_id,val_acc\n1,0.5\n")
    (tmp_path / "epochs.csv").write_text("trial_id,epoch,val_acc\n1,1,0.5\n")
    return read_folder(tmp_path)


def test_each_candidate_is_a_row_with_its_luck_and_how_sure_its_mean_is(
    sweep: SweepFolder,
) -> None:
    what, table, luck = final_section(sweep).blocks
    assert isinstance(what, Paragraph)
    assert isinstance(table, Table)
    assert isinstance(luck, Paragraph)
    assert "The best 3 trials of the search and the reference trained again" in what.text
    assert table.head[2:4] == ("seed 4", "seed 5")
    first, second, third, reference = (list(map(str, row)) for row in table.rows)
    assert table.marked == 1
    assert second[2:5] == ["62.0%", "64.0%", "63.0%"]
    low, high = (float(end.rstrip("%")) for end in second[5].split(" to "))
    assert low + high == pytest.approx(126, abs=0.11)
    searched = float(second[1].rstrip("%"))
    assert float(second[6]) == pytest.approx(searched - 63, abs=0.11)
    assert third[2:] == ["40.0%", "failed", "", "", ""]
    assert reference[:2] == ["reference", ""]
    assert reference[-1] == ""
    luck_of_two = (float(first[6]) + float(second[6])) / 2
    assert f"2 finalists had {luck_of_two:+.1f}"[:20] in luck.text


def test_the_summary_says_what_the_champions_figure_is_of(sweep: SweepFolder) -> None:
    for origin, sentence in (
        ("retrained", "Trained again on new seeds it reaches 63.0% on average."),
        ("train", "The champion as it was saved reaches 63.0% on validation."),
    ):
        champion = {"trial_id": "1", "val_acc": 0.63, "origin": origin}
        assert champion_sentences(replace(sweep, champion=champion))[-1] == sentence


def test_there_is_no_section_without_finals(sweep: SweepFolder) -> None:
    (sweep.path / "champion" / "finals.csv").unlink()
    assert not final_section(sweep).blocks


def test_a_seed_that_diverged_is_told_apart_from_one_that_failed(sweep: SweepFolder) -> None:
    path = sweep.path / "champion" / "finals.csv"
    finals = pd.read_csv(path)
    failed = finals["val_acc"].isna()
    finals.loc[failed, "error"] = divergence(2)
    finals.to_csv(path, index=False)
    table = final_section(sweep).blocks[1]
    assert isinstance(table, Table)
    assert list(map(str, table.rows[2]))[2:] == ["40.0%", "diverged", "", "", ""]


def test_the_first_screen_sets_the_untuned_reference_beside_the_champion(
    sweep: SweepFolder,
) -> None:
    assert reference_figures(sweep) == [("90.0%", "validation accuracy of the untuned reference")]
    tested = pd.DataFrame(
        {"label": ["a"] * 9, "predicted": ["a"] * 8 + ["b"], "reference_predicted": ["b"] * 9}
    ).assign(correct=[True] * 8 + [False])
    [(number, words)] = reference_figures(replace(sweep, predictions=tested))
    assert number == "+88.9" and words.startswith("points on the test against the untuned")
    assert "may be chance" not in words
    few = tested.iloc[-3:]
    assert reference_figures(replace(sweep, predictions=few))[0][1].endswith("may be chance")
    (sweep.path / "champion" / "finals.csv").unlink()
    assert reference_figures(sweep) == []
