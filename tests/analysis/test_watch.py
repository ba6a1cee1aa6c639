"""The live view: it follows a growing journal, on loopback, and leaves the folder alone."""

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from analysis.page.live import live
from analysis.reading.place import Place
from analysis.report import main, write_report
from analysis.watch import Watch
from cnnlib.journal.events import Journal
from cnnlib.storage.folder_lock import NAME
from tests.conftest import HANG, wait_until
from tests.events import begin, propose

ROOT = Path(__file__).parents[2]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """The journal of a sweep that begins, in a folder whose name needs care."""
    journal = Journal(tmp_path / "my & sweep", "a")
    begin(journal)
    yield journal
    journal.close()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_growing_journal_is_followed_until_ctrl_c(tmp_path: Path, journal: Journal) -> None:
    folder = tmp_path / "my & sweep"
    (folder / "journal").rename(tmp_path / "not yet")
    command = [sys.executable, "analysis/report.py", str(folder), "--watch", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.fullmatch(
                r"watching .* at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", line
            )
            assert found
            url = found[1]

            def version() -> str:
                return requests.get(f"{url}version", timeout=HANG).json()["version"]

            waiting = version()
            page = requests.get(url, timeout=HANG)
            assert "Waiting for the sweep" in page.text and "my &amp; sweep" in page.text
            propose(journal, "0001", 0.25, 0.5)
            propose(journal, "0002")  # has no epoch yet
            (tmp_path / "not yet" / "000002.jsonl").write_text('{"event": "epo')  # torn
            (tmp_path / "not yet").rename(folder / "journal")
            wait_until(lambda: version() != waiting)
            page = requests.get(url, timeout=HANG)
            assert "50.0%" in page.text and "connect-src 'self'" in page.text
            assert requests.get(f"{url}version", timeout=HANG).json()["version"] in page.text
            assert files(folder) == {"journal/000001-a.jsonl", "journal/000002.jsonl"}
            assert requests.get(f"{url}journal/000001-a.jsonl", timeout=HANG).status_code == 404
            elsewhere = requests.get(url, headers={"Host": "example.org:80"}, timeout=HANG)
            assert elsewhere.status_code == 403, "a name that was pointed at loopback"
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(HANG) == 0
            assert process.stdout.read() == ""
        finally:
            process.kill()


def test_the_page_is_made_again_only_when_something_grew(tmp_path: Path) -> None:
    made = []

    def build(report: Path) -> Path:
        made.append(report)
        if len(made) == 2:
            raise ValueError("half\nwritten")
        (report / "index.html").write_text(f"<p>page {len(made)}</p></body>")
        return report / "index.html"

    (tmp_path / "trials.csv").write_text("trial_id\n")
    watch = Watch(Place(tmp_path), build)
    waiting = watch.view.version
    watch.look()
    watch.look()
    assert len(made) == 1 and watch.view.version != waiting
    assert watch.view.note.startswith("Tables without a journal")
    (tmp_path / "trials.csv").write_text("trial_id\na\n")
    for _ in range(2):  # and says so until there is a page again
        watch.look()
        assert watch.view.note == "Not up to date: half written"
    assert "page 1" in watch.view.page, "the last good one stays"
    (tmp_path / "trials.csv").write_text("trial_id\na\nb\n")
    watch.look()
    assert "page 3" in watch.view.page and not any(path.exists() for path in made)
    assert watch.view.note.startswith("Tables without a journal")


def test_it_says_whether_the_sweep_runs(tmp_path: Path, journal: Journal) -> None:
    folder = tmp_path / "my & sweep"
    state = Watch(Place(folder), lambda report: report)
    propose(journal, "0001", 0.5)
    assert state.how_far() == "The sweep is running."
    lock = {"host": "elsewhere", "pid": 1, "since": 0, "alive": time.time() - 600}
    (folder / NAME).write_text(json.dumps(lock))
    assert state.how_far().startswith("No sign of life of the sweep for 10 min")
    journal.append("closed", reason="all trials ended")
    record = {"champion": "0001", "weights": "w", "number": 1, "test_acc": 0.5}
    journal.append("tested", **record)
    assert state.how_far().startswith("The sweep has ended (all trials ended)")
    journal.append("resumed", trials=3, max_epochs=9)
    (folder / NAME).write_text("")
    assert state.how_far() == "The sweep is running."
    journal.append("paused", trial_id="0001", rung=1)
    assert state.how_far() == "The sweep is running, and 1 trial paused."
    journal.append("promoted", trial_id="0001", rung=1)
    assert state.how_far() == "The sweep is running."


def test_what_was_read_of_a_journal_is_not_read_again(tmp_path: Path, journal: Journal) -> None:
    state = Watch(Place(tmp_path / "my & sweep"), lambda report: report)
    journal.append("closed", reason="all trials ended")
    assert state.how_far().startswith("The sweep has ended")
    [segment] = (tmp_path / "my & sweep" / "journal").iterdir()
    segment.write_bytes(b"x" * segment.stat().st_size)  # which would be no event
    assert state.how_far().startswith("The sweep has ended")


def test_only_what_is_served_asks_for_more(tmp_path: Path, journal: Journal) -> None:
    propose(journal, "0001", 0.5)
    offline = write_report(tmp_path / "my & sweep").read_text("utf-8")
    assert "fetch(" not in offline and "connect-src" not in offline
    served, version = live(offline)
    assert version in served and served.count("fetch('version'") == 1
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', served)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert policy.endswith("; connect-src 'self'")
    for script in re.findall(r"<script>(.*?)</script>", served, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


@pytest.mark.parametrize("arguments, words", [
    (["--port", "{port}"], "cannot be served on 127.0.0.1: [Errno 98] Address already in use"),
    (["--port", "70000"], "--port: 70000 cannot be served"),
])  # fmt: skip
def test_a_port_that_is_not_free_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        asked = [argument.format(port=port) for argument in arguments]
        assert main([str(tmp_path), "--watch", *asked]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("flag", [["--wandb"], ["--upload"], ["--out", "elsewhere"]])
def test_what_watching_would_not_do_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: list[str]
) -> None:
    assert main([str(tmp_path), "--watch", *flag]) == 2
    error = capsys.readouterr().err
    assert f"{flag[0]}: --watch writes no report" in error and len(error.splitlines()) == 1


def test_watching_never_opens_the_test_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    folder = tmp_path / "my & sweep"
    propose(journal, "0001", 0.5)
    (folder / "champion").mkdir()
    (folder / "champion" / "config.json").write_text('{"trial_id": "0001"}')
    views = []

    def watched(place: Place, build: Callable[[Path], Path], *, port: int) -> int:
        watch = Watch(place, build)
        watch.look()
        views.append(watch.view)
        return 0

    monkeypatch.setattr("analysis.report.watch", watched)
    monkeypatch.setattr("analysis.report._test_if_untested", lambda *_: pytest.fail("tested"))
    assert main([str(folder), "--watch"]) == 0
    assert "The champion has not been tested." in views[0].page
    assert not (folder / "report").exists()
