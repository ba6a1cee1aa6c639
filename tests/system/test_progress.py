"""Tests of cnnlib/system/progress.py."""

import io
import sys

import pytest

from cnnlib.system import progress
from cnnlib.system.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_with_a_rate_shows_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with Progress("decoding", 40, "photo", done=10) as shown:
        for _ in range(30):
            shown.update()
    assert "decoding" in screen.getvalue()
    assert "40/40" in screen.getvalue()
    assert "photo/s" in screen.getvalue()


def test_a_log_gets_a_line_every_so_often(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 10.0, 40.0, 50.0, 80.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with Progress("decoding", 4000, "photo", done=1000) as shown:
        for _ in range(4):
            shown.update(500)
    assert capsys.readouterr().err.splitlines() == [
        "decoding: 2,000 of 4,000 photos, 25.0/s, 1:20 left",
        "decoding: 3,000 of 4,000 photos, 25.0/s, 0:40 left",
    ]


def test_what_ends_soon_and_what_was_done_say_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("reading", 3, "file") as shown:
        shown.update(3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with Progress("reading", 0, "file"):
        pass
    assert screen.getvalue() == ""


def test_bytes_of_unknown_number_are_told_in_megabytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with Progress("photos.zip", None, "B") as shown:
        shown.update(80_000_000)
    assert capsys.readouterr().err == "photos.zip: 80 MB, 2.0/s\n"
