"""A report takes the place of the one before, and of nothing else."""

from pathlib import Path

import pytest

from analysis.reading.report_folder import MARK, check_ours, replaced_report


def written(folder: Path, page: str, *figures: str) -> None:
    with replaced_report(folder) as new:
        for name in figures:
            (new / "figures" / name).write_text(name)
        (new / "tables" / "trials.csv").write_text("trial_id")
        (new / "report.md").write_text(f"# {page}\n\nHyperparameter sweep\n")
        (new / "index.html").write_text(page)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_a_report_no_longer_has_goes_and_what_is_not_its_own_stays(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    written(folder, "first", "curves.png", "pair.png")
    mine = [folder / "notes.txt", folder / "figures" / "mine.png"]
    for path in mine:
        path.write_text("mine")
    written(folder, "second", "curves.png")
    assert (folder / "index.html").read_text() == "second"
    assert names(folder) == {
        MARK, "index.html", "report.md", "tables/trials.csv", "figures/curves.png", "notes.txt",
        "figures/mine.png",
    }  # fmt: skip
    assert [path.read_text() for path in mine] == ["mine", "mine"]


def test_a_report_that_is_killed_leaves_the_old_one_whole(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    written(folder, "first", "curves.png")
    before = names(folder)
    with pytest.raises(KeyboardInterrupt), replaced_report(folder) as new:
        (new / "index.html").write_text("half of")
        assert (folder / "index.html").read_text() == "first", "a kill -9 comes here"
        raise KeyboardInterrupt
    assert names(folder) == before and (folder / "index.html").read_text() == "first"
    left = folder / ".new-killed"
    left.mkdir()
    written(folder, "second", "curves.png")
    assert names(folder) == before and not left.exists()


def test_nothing_is_made_where_the_first_report_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError), replaced_report(tmp_path / "report"):
        raise ValueError
    assert not (tmp_path / "report").exists()


def foreign(folder: Path, content: dict[str, str]) -> Path:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("content", [
    {"report.md": "# my own report", "index.html": "mine"},
    {"report.md": "# my\n\nown words\n", "figures/a.png": "", "tables/b.csv": ""},
    {"report.md": "# my\n\nHyperparameter sweep of my own\n", "notes/a.txt": "mine"},
    {"index.html": "mine"},
    {".hidden": "mine"},
])  # fmt: skip
def test_what_is_no_report_of_ours_is_refused_and_untouched(
    tmp_path: Path, content: dict[str, str]
) -> None:
    folder = foreign(tmp_path / "report", content)
    with pytest.raises(ValueError, match="holds other files than a report"):
        written(folder, "second")
    assert {name: (folder / name).read_text() for name in names(folder)} == content


def test_a_report_from_before_there_was_a_mark_is_ours(tmp_path: Path) -> None:
    text = "# s\n\nHyperparameter sweep, started x\n![a](figures/a.png)\nIn tables/claims.csv."
    old = {"report.md": text, "figures/a.png": "", "tables/trials.csv": "", "index.html": "",
           "tables/claims.csv": "", "tables/classes.csv": ""}  # fmt: skip
    mine = {"figures/mine.png": "", "tables/mine.csv": "", "notes.txt": ""}
    written(foreign(tmp_path / "report", old | mine), "second")
    assert (tmp_path / "report" / "index.html").read_text() == "second"
    made = {MARK, "report.md", "index.html", "tables/trials.csv"}
    assert names(tmp_path / "report") == made | mine.keys(), "its figure and tables are gone"


def test_a_file_in_the_reports_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        check_ours(tmp_path / "report")


def test_a_report_that_is_being_made_survives_another_one_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    with replaced_report(folder) as slow:
        (slow / "index.html").write_text("slow")
        with replaced_report(folder) as quick:
            (quick / "index.html").write_text("quick")
        assert (folder / "index.html").read_text() == "quick"
        (slow / "tables" / "trials.csv").touch()
    assert (folder / "index.html").read_text() == "slow"
    assert not list(folder.glob(".new-*"))
