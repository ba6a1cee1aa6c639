"""No bytes in a file that a report or a conversion reads end in a traceback."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.convert import main as convert
from analysis.report import main as report
from tests.damage import Damaged, damaged_json, damaged_tables, damaged_yaml

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
    monkeypatch.setattr("analysis.statistics.exam.RESAMPLES", 2)
    folder = tmp_path / "s"
    (folder / "champion").mkdir(parents=True)
    for name, text in texts().items():
        (folder / name).write_text(text, "utf-8")
    return folder


def asked(
    command: Callable[[list[str]], int], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Asserts that the command ends with code 0, or with 1 or 2 and one line of at most 1,000."""
    code = command(arguments)
    error = capsys.readouterr().err
    assert code in (0, 1, 2)
    assert "Traceback" not in error
    if code:
        assert len(error.splitlines()) == 1 or "taken" in error
        assert 20 < len(error) < 1000 * (1 + error.count("\n"))


DAMAGED: dict[str, Callable[[str, int], Iterator[Damaged]]] = {
    name: lambda text, number: damaged_tables(text, number=number, seed=1)
    for name in texts() if name.endswith(".csv")
} | {
    name: lambda text, number: damaged_json(json.loads(text), number=number, seed=2)
    for name in texts() if name.endswith(".json")
}  # fmt: skip
DAMAGED["claims.yaml"] = lambda text, number: damaged_yaml(json.loads(text), number=number, seed=3)


def test_the_sweep_that_is_damaged_is_whole(sweep: Path) -> None:
    assert report([str(sweep), "--no-test", "--claims", str(sweep / "claims.yaml")]) == 0


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_gives_a_report_or_a_line(
    sweep: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for done, content in DAMAGED[name](texts()[name], 30):
        (sweep / name).write_bytes(content)
        try:
            asked(report, [str(sweep), "--no-test", "--claims", str(sweep / "claims.yaml")], capsys)
        except Exception as error:
            raise AssertionError(f"{name}: {done}") from error


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


@pytest.mark.parametrize("name", ["runs", "chart", "history"])
def test_a_damaged_export_is_converted_or_gets_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    whole = {"runs": RUNS, "chart": CHART, "history": HISTORY}
    for done, content in damaged_tables(whole[name], number=60, seed=4):
        for key, text in whole.items():
            (tmp_path / f"{key}.csv").write_bytes(content if key == name else text.encode())
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        other = "history.csv" if name == "history" else "chart.csv"
        arguments = [str(tmp_path / "runs.csv"), str(tmp_path / other), "--out"]
        try:
            asked(convert, [*arguments, str(tmp_path / "out")], capsys)
        except Exception as error:
            raise AssertionError(f"{name}: {done}") from error
