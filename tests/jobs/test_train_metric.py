"""jobs/train.py by another metric: the weights kept are those of its best epoch."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

import jobs.train
from tests.conftest import write_photos


def train(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    monkeypatch.setattr(sys, "argv", ["train.py", *flags])
    return jobs.train.main()


def test_the_epoch_of_the_lowest_loss_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = write_photos(tmp_path / "photos", train=10, test=2, size=8), tmp_path / "out"
    small = ["conv_layers=2", "first_layer_filters=4", "learning_rate=0.1", "batch_size=4"]
    flags = ["--data", str(photos), "--image-size", "16", "--max-epochs", "4", "--out", str(out)]
    flags += [part for setting in small for part in ("--set", setting)]
    assert train(monkeypatch, *flags, "--metric", "valid/loss") == 0
    losses = pd.read_csv(out / "epochs.csv").set_index("epoch")["val_loss"]
    assert losses.idxmin() != losses.idxmax()
    assert json.loads((out / "config.json").read_text())["epoch"] == losses.idxmin()
    stated = json.loads((out / "metrics.json").read_text())["metric"]
    assert stated == {"name": "val_loss", "goal": "minimize", "said": "valid/loss",
                      "value": pytest.approx(losses.min())}  # fmt: skip
    said = capsys.readouterr().out
    assert "note: --metric: valid/loss is val_loss" in said
    assert f"best: valid/loss {losses.min():.3f}, val_acc" in said


def test_a_goal_against_the_metric_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert train(monkeypatch, "--data", "sample", "--goal", "minimize", "--out", str(out)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "val_acc is maximised here" in line and not out.exists()
