"""A sweep in a bucket is reported on like one on this disk."""

from pathlib import Path

import pytest

from analysis.reading.place import NOT_FETCHED, opened
from analysis.report import main
from cnnlib.journal.events import Journal
from cnnlib.journal.mirror import Mirror
from cnnlib.storage.buckets import RemoteFolder
from tests.analysis.test_report import EPOCHS_HEAD, write_tables
from tests.events import begin

ROWS = "trial_id,dropout,val_acc\na,0.2,0.31\nb,0.3,0.42\n"


@pytest.fixture
def stored(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a sweep in a bucket; the working folder is an empty one."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    folder = write_tables(tmp_path / "elsewhere" / "mine", ROWS)
    for part in NOT_FETCHED:
        (folder / part).mkdir()
        (folder / part / "large.pt").write_bytes(b"0" * 1000)
    assert Mirror(bucket, folder).close() is None
    return f"{bucket}/mine"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_report_of_a_bucket_is_written_here_and_sent_there_if_asked(
    stored: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a test must be recorded where the sweep is, and this is a copy
    monkeypatch.setattr("analysis.report._test_if_untested", lambda *_: pytest.fail("tested"))
    assert main([stored]) == 0
    assert capsys.readouterr().out.strip() == "mine-report/index.html"
    page = Path("mine-report/index.html").read_text("utf-8")
    assert "42.0%" in page and "Hyperparameter sweep mine" in page
    RemoteFolder(stored).fetch(tmp_path / "before")
    assert "report/index.html" not in names(tmp_path / "before")

    assert main([f"{stored}/", "--upload", "--out", "mine-report"]) == 0
    RemoteFolder(stored).fetch(tmp_path / "after")
    sent = {f"report/{name}" for name in names(Path("mine-report"))}
    assert names(tmp_path / "after") == names(tmp_path / "before") | sent
    assert names(tmp_path / "here") == {f"mine-{name}" for name in sent}


def test_what_is_new_in_the_bucket_is_fetched_while_it_is_looked_at(
    stored: str, tmp_path: Path
) -> None:
    with opened(stored) as place:
        assert names(place.folder) == {"trials.csv", "epochs.csv"}
        (place.folder / "trials.csv").write_text("as it was fetched")
        place.refresh()
        assert (place.folder / "trials.csv").read_text() == "as it was fetched", "once is enough"
        journal = Journal(tmp_path / "elsewhere" / "mine", "a")
        begin(journal)
        journal.append("closed", reason="done")
        journal.close()
        Mirror(stored.rpartition("/")[0], tmp_path / "elsewhere" / "mine").close()
        place.refresh()
        assert (place.folder / "journal" / "000001-a.jsonl").exists()
    assert not place.folder.exists()


def test_several_sweeps_in_a_bucket_are_compared(stored: str, tmp_path: Path, bucket: str) -> None:
    other = write_tables(tmp_path / "elsewhere" / "other", ROWS, EPOCHS_HEAD)
    assert Mirror(bucket, other).close() is None
    assert main([bucket, "--upload"]) == 0
    page = Path(f"{bucket.rpartition('/')[2]}-report", "index.html")
    assert "Comparison of mine, other" in page.read_text("utf-8")
    RemoteFolder(bucket).fetch(tmp_path / "all")
    assert "comparison/index.html" in names(tmp_path / "all")


@pytest.mark.parametrize("arguments, words", [
    (["s3://bucket/sweeps/nothing"], "no results in s3://bucket/sweeps/nothing: expected"),
    (["s3://no bucket"], "FOLDER: s3://no bucket is no storage: "),
    ([".", "--upload"], "--upload: FOLDER is on this disk"),
    (["{stored}", "--out", "../elsewhere"], "--out: ../elsewhere holds other files than a report"),
])  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(
    stored: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main([argument.format(stored=stored) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


def test_a_query_of_the_url_is_no_part_of_the_sweeps_name(stored: str) -> None:
    for url in (f"{stored}?region=us-east-1", f"{stored}/?region=us-east-1"):
        with opened(url) as place:
            assert place.report("report").name == "mine-report"
            assert (place.folder / "trials.csv").read_text() == ROWS
