"""A sweep's report in W&B, read back from the files that wandb writes offline."""

import json
import re
import socket
from pathlib import Path

import pytest

from analysis.page.sending import send
from analysis.reading.place import Place
from analysis.report import main
from cnnlib.tracking.report import send_report
from tests.analysis.test_report import planted_sweep
from tests.tracking.test_follower import API_KEY, no_account  # noqa: F401
from tests.wandb_files import read_offline_runs


def test_a_report_is_one_run_however_often_it_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = planted_sweep(tmp_path / "my sweep", n=30)
    (folder / "champion").mkdir()
    config = {"trial_id": "t00007", "config": {"batch_norm": True}, "val_acc": 0.5}
    (folder / "champion" / "config.json").write_text(json.dumps(config))
    asked = [str(folder), "--no-test", "--wandb", "--wandb-project", "studies"]
    assert main(asked) == 0
    said, shown = capsys.readouterr().out.splitlines()
    page = folder / "report" / "index.html"
    assert shown == str(page)
    assert said.endswith(f"wandb sync '{folder}'/wandb/offline-run-*")
    metrics = {"test_correct": 3, "test_n": 4}
    (folder / "champion" / "metrics.json").write_text(json.dumps(metrics))
    send(Place(folder), page.parent, project="studies")

    ((identifier, run),) = read_offline_runs(folder).items()
    assert (identifier, run.group, run.project) == ("my-sweep-report", "my sweep", "studies")
    assert (run.name, run.job_type, run.exit_code) == ("report", "report", 0)
    summary = run.summary
    assert summary["champion"] == "t00007" and summary["champion/batch_norm"] is True
    assert (summary["val_acc"], summary["test_acc"], summary["num_trials"]) == (0.5, 0.75, 30)
    batch_norm = summary["claims/batch_normalisation_improves_validation_accuracy"]
    assert batch_norm == "supported"
    figures = {path.stem for path in (folder / "report" / "figures").glob("*.png")}
    tables = {path.stem for path in (folder / "report" / "tables").glob("*.csv")}
    assert len(run.history) == 2
    for row in run.history:
        sent = {tuple(re.split("/", key)[:2]) for key in row}
        assert sent == {*(("figures", name) for name in figures),
                        *(("tables", name) for name in tables)}  # fmt: skip
        assert row["tables/trials/nrows"] == 30
        assert row["figures/effects/_type"] == "image-file"


def test_a_server_that_does_not_answer_leaves_the_report_offline(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "trials.csv").write_text("trial_id\n0001\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        said = send_report(
            tmp_path, folder=tmp_path, sweep="s", started="", project="p", summary={"val_acc": 0.5}
        )
    assert caplog.messages == ["W&B: the server does not answer; the report goes offline"]
    files = f"{tmp_path}/wandb/offline-run-*"
    assert said == f"W&B: the report offline; send it with: wandb sync {files}"
    run = read_offline_runs(tmp_path)["s-report"]
    assert run.summary["val_acc"] == 0.5 and run.history[0]["tables/trials/nrows"] == 1


def test_switched_off_it_is_the_users_to_solve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = planted_sweep(tmp_path / "s", n=3)
    assert main([str(folder), "--wandb"]) == 2
    assert "--wandb: W&B is switched off on this machine" in capsys.readouterr().err
    assert not (folder / "wandb").exists()
