"""No bytes in a file that a report or a conversion reads end in a traceback."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.convert import main as convert
from analysis.report import main as report
from tests.damage import NUMBERS, damaged_json, damaged_table, damaged_yaml, faults

SWEEP = {
    "name": "s", "started": "2026-01-02T03:04:05+00:00", "search": "tpe", "trials": 6,
    "max_epochs": 3, "image_size": 32, "seed": 0, "patience": None, "audit": 0.1,
    "rungs": [1, 2], "reduction_factor": 3.0, "seconds": 61.0, "commit": None,
    "space": {"dropout": {"low": 0.1, "high": 0.4, "log": False}, "activation": {"values": ["a"]}},
    "data": {"source": "photos", "fingerprint": "f", "test": 6}, "versions": {"torch": "2"},
}  # fmt: skip
TEST = {"time": "2026-01-02T03:04:05+00:00", "champion": "t1", "weights": "w", "test_acc": 0.5,
        "reason": None}  # fmt: skip
METRICS = {"val_acc": 0.6, "test_acc": 0.5, "test_correct": 3, "test_n": 6, "openings": [TEST]}
CONFIG = {"trial_id": "t1", "config": {"activation": "relu", "dropout": 0.3}, "val_acc": 0.6,
          "image_size": 32, "epoch": 2, "origin": "final", "seed": 1}  # fmt: skip
CLAIMS = [
    {"claim": "a", "higher": {"dropout": {"max": 0.2}}, "lower": {"dropout": {"min": 0.3}}},
    {"claim": "b", "higher": {"activation": ["relu", "gelu"]}, "refuted_by": "c"},
]
STATUS = ["completed", "stopped", "failed"]


def tables() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    ids = [f"t{i}" for i in range(6)]
    trials = pd.DataFrame({
        "trial_id": ids, "status": STATUS * 2, "activation": ["relu", "gelu"] * 3,
        "dropout": [0.1, 0.2, 0.4] * 2, "epochs": [3, 2, 1] * 2, "best_epoch": 1,
        "val_acc": rng.uniform(0.4, 0.6, 6), "val_loss": 1.5, "seconds": 9.0, "node": "a",
        "error": None, "started": "2026-01-02T03:04:05+00:00", "audited": [1, None, None] * 2,
    })  # fmt: skip
    grid = [(i, epoch) for i in ids for epoch in (1, 2, 3)]
    epochs = pd.DataFrame(grid, columns=["trial_id", "epoch"]).assign(
        train_loss=1.2, train_acc=0.5, val_loss=1.4, val_acc=rng.uniform(0.3, 0.6, 18), seconds=3.0
    )
    recalls = pd.DataFrame(
        [(i, 1, name, 0.5, 10) for i in ids for name in ("NA", "b")],
        columns=["trial_id", "epoch", "class", "val_recall", "n"],
    )
    predictions = pd.DataFrame({
        "file": [f"{i}.jpg" for i in range(6)], "label": ["NA", "b", "c"] * 2,
        "predicted": ["NA", "NA", "b", "c", "b", "c"], "second": "b", "third": "c",
        "confidence": rng.uniform(0.4, 0.9, 6), "label_probability": 0.3,
        "reference_predicted": "b",
    })  # fmt: skip
    return {"trials": trials, "epochs": epochs, "class_recalls": recalls,
            "champion/test_predictions": predictions}  # fmt: skip


def texts() -> dict[str, str]:
    return {f"{name}.csv": table.to_csv(index=False) for name, table in tables().items()} | {
        "sweep.json": json.dumps(SWEEP),
        "champion/metrics.json": json.dumps(METRICS),
        "champion/config.json": json.dumps(CONFIG),
        "champion/classes.json": json.dumps(["NA", "b", "c"]),
        "claims.yaml": json.dumps(CLAIMS),
    }


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    still = Image.new("RGB", (4, 4))  # figures are made, but not drawn: that takes a second each
    monkeypatch.setattr("analysis.page.files.picture", lambda figures: still)
    monkeypatch.setattr("analysis.statistics.test.RESAMPLES", 2)
    folder = tmp_path / "s"
    (folder / "champion").mkdir(parents=True)
    for name, text in texts().items():
        (folder / name).write_text(text, "utf-8")
    return folder


DRAWINGS = {".csv": damaged_table, ".json": damaged_json, ".yaml": damaged_yaml}


def test_there_are_at_least_300_cases() -> None:
    assert sum(NUMBERS.values()) >= 300


def test_the_sweep_that_is_damaged_is_whole(sweep: Path) -> None:
    assert report([str(sweep), "--no-test", "--claims", str(sweep / "claims.yaml")]) == 0


@pytest.mark.parametrize("name", texts())
def test_a_damaged_file_gives_a_report_or_a_line(
    sweep: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        done, content = DRAWINGS[Path(name).suffix](texts()[name], rng)
        (sweep / name).write_bytes(content)
        arguments = [str(sweep), "--no-test", "--claims", str(sweep / "claims.yaml")]
        return done, lambda: report(arguments)

    assert not "".join(faults(name, draw, lambda: capsys.readouterr().err))


RUNS = (
    "Name,ID,State,Created,Runtime,activation,dropout,config,val/acc,val_loss,lr-Adam\n"
    + "".join(
        f"run {i},{i:04},finished,2025-04-19,{90 + i},relu,0.{i},,0.{30 + i},1.{i},0.1\n"
        for i in range(6)
    )
)
CHART = "Step," + ",".join(f"run {i} - val_acc" for i in range(3)) + "\n" + "".join(
    f"{156 * epoch},0.{epoch}1,0.{epoch}2,\n" for epoch in (1, 2, 3)
)  # fmt: skip
HISTORY = "run,_step,epoch,val/acc,train_loss\n" + "".join(
    f"000{i},{epoch * 50},{epoch},0.{epoch}{i},2.{epoch}\n" for i in range(4) for epoch in (0, 1, 2)
)


EXPORTS = {"table of runs": RUNS, "chart": CHART, "history": HISTORY}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_damaged_export_is_converted_or_gets_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        done, content = damaged_table(EXPORTS[name], rng)
        for key, text in EXPORTS.items():
            (tmp_path / key).write_bytes(content if key == name else text.encode())
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        files = ["table of runs", "history" if name == "history" else "chart"]
        arguments = [*(str(tmp_path / file) for file in files), "--out", str(tmp_path / "out")]
        return done, lambda: convert(arguments)

    assert not "".join(faults(name, draw, lambda: capsys.readouterr().err))
