"""--weights of the jobs that train."""

from pathlib import Path

import pytest

from jobs import train, tune


def test_weights_are_a_setting_with_the_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for job in (tune, train):
        out = ["--out", "x"] if job is train else []
        known = job.parser().parse_args(["--set", "k_layers=2", "--weights", "own", *out])
        assert known.set == ["k_layers=2", f"weights={tmp_path}/own"]
        assert job.parser().parse_args(["--weights", "none", *out]).set == ["weights=none"]
