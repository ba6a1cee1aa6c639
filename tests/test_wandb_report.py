"""A sweep's report in W&B, read back from the files that wandb writes offline."""

import json
import re
import time
from pathlib import Path

import pytest
from test_report import planted_sweep
from test_tracking import API_KEY, no_account, run_python, unanswering  # noqa: F401

from analysis.place import Place
from analysis.report import main
from analysis.sending import send
from cnnlib.wandb_files import read_offline_runs


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


UNANSWERED = """
import sys
from pathlib import Path
import cnnlib.tracking
cnnlib.tracking.RUN_SETTINGS["init_timeout"] = 1.0
from cnnlib.wandb_report import send_report
folder = Path(sys.argv[1])
where = {"folder": folder, "sweep": "s", "started": "", "project": "p"}
print(send_report(folder, summary={"val_acc": 0.5}, **where))
"""


def test_a_server_that_does_not_answer_leaves_the_report_offline(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unanswering: str,  # noqa: F811
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", unanswering)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "trials.csv").write_text("trial_id\n0001\n")
    done = run_python(UNANSWERED, str(tmp_path))
    assert done.returncode == 0 and done.stderr.endswith("; the report goes offline\n")
    assert done.stdout.startswith("W&B: the report offline; send it with: wandb sync ")
    deadline = time.monotonic() + 30  # wandb's service writes on after the process has gone
    while time.monotonic() < deadline:
        run = read_offline_runs(tmp_path)["s-report-offline"]
        if run.summary:
            break
        time.sleep(0.2)
    assert run.summary["val_acc"] == 0.5 and run.history[0]["tables/trials/nrows"] == 1


def test_switched_off_it_is_the_users_to_solve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = planted_sweep(tmp_path / "s", n=3)
    assert main([str(folder), "--wandb"]) == 2
    assert "--wandb: W&B is switched off on this machine" in capsys.readouterr().err
    assert not (folder / "wandb").exists()
