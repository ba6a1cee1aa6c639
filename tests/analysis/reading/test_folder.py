"""What a folder is read as: tables from elsewhere, and whose predictions lie in it."""

import json
from pathlib import Path

import pytest

from analysis.reading.columns import Choice
from analysis.reading.folder import read_folder
from analysis.report import main


def folder(path: Path, trials: str) -> Path:
    path.mkdir()
    (path / "trials.csv").write_text(trials)
    return path


def test_more_hyperparameters_than_can_be_compared_are_refused_and_a_choice_is_not(
    tmp_path: Path,
) -> None:
    names = ",".join(f"h{i}" for i in range(2000))
    rows = "".join(f"t{i},{','.join([str(i % 2)] * 2000)},0.{3 + i}\n" for i in range(4))
    sweep = folder(tmp_path / "s", f"trial_id,{names},val_acc\n{rows}")
    with pytest.raises(ValueError, match="2,000 hyperparameters vary, at most 200 are compared"):
        read_folder(sweep)
    assert read_folder(sweep, Choice(("h7", "h9"))).hyperparameters == ["h7", "h9"]


def test_a_table_without_rows_is_nothing_to_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder(tmp_path / "s", "trial_id,lr,val_acc\n"))]) == 2
    assert "has a header and no rows: nothing to report" in capsys.readouterr().err


def test_results_in_a_table_of_ones_own_are_no_hyperparameters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "trial_id,lr,val/loss,f1,state,val_acc\na,1,0.2,0.3,PRUNED,64\nb,2,0.1,0.4,COMPLETE,50\n"
    sweep = read_folder(folder(tmp_path / "s", text))
    assert sweep.hyperparameters == ["lr"]
    assert sweep.trials["status"].tolist() == ["stopped", "completed"]
    assert sweep.trials["val_acc"].tolist() == [0.64, 0.5]
    assert "no hyperparameters: val/loss, f1 (metrics); state (the run's own)" in caplog.text


def test_predictions_of_other_weights_are_not_the_champions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = folder(tmp_path / "s", "trial_id,val_acc\na,0.5\n")
    (sweep / "champion").mkdir()
    rows = "file,label,predicted,confidence\n1.jpg,a,a,0.5\n"
    (sweep / "champion" / "test_predictions.csv").write_text(rows)
    assert read_folder(sweep).predictions is not None
    (sweep / "champion" / "weights.safetensors").write_bytes(b"new")
    test = {"time": "2026-01-01", "champion": "t0", "weights": "old", "test_acc": 0.5}
    (sweep / "champion" / "metrics.json").write_text(json.dumps({"openings": [test]}))
    assert read_folder(sweep).predictions is None
    assert "is of other weights than the champion's" in caplog.text
