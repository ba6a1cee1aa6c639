"""What other tools wrote of a search becomes a sweep: their own files, made by make.py."""

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.convert import main
from analysis.reading.tools.events import read_scalars
from analysis.reading.tools.found import read_search
from cnnlib.journal.tables import Results, read_results

DATA = Path(__file__).with_name("data")


def converted(source: object, folder: Path, *flags: str) -> Results:
    assert main([str(source), "--out", str(folder / "out"), *flags]) == 0
    return read_results(folder / "out")


def refused(source: object, folder: Path, capsys: pytest.CaptureFixture, *flags: str) -> str:
    """The line that is said."""
    capsys.readouterr()
    assert main([str(source), "--out", str(folder / "out"), *flags]) == 2
    assert not (folder / "out").exists()
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "optuna.db"
    path.write_bytes(gzip.decompress((DATA / "optuna.db.gz").read_bytes()))
    return path


def check_study(results: Results) -> None:
    """The five trials of make.py."""
    trials = results.trials
    assert trials["trial_id"].astype(str).tolist() == ["0", "1", "2", "3", "4"]
    assert trials["status"].tolist() == [
        "completed", "completed", "stopped", "failed", "completed"
    ]  # fmt: skip
    assert set(results.hyperparameters) == {"learning_rate", "activation", "conv_layers"}
    first = trials.iloc[0]
    assert (first["activation"], first["conv_layers"]) == ("relu", 3)
    assert first["learning_rate"] == pytest.approx(0.00443, rel=1e-3)
    assert first["val_acc"] == pytest.approx(0.3956)


def test_a_study_in_a_database_is_read_with_its_reports(database, tmp_path, capsys) -> None:
    for number, source in enumerate((database, f"sqlite:///{database}")):
        results = converted(source, tmp_path / str(number))
        check_study(results)
        epochs = results.epochs[results.epochs["trial_id"].astype(str) == "2"]
        assert epochs["epoch"].tolist() == [1, 2], "it was pruned at the second report"
        assert results.trials["started"].notna().all()
        assert "val_acc is what the study optimises, its value" in capsys.readouterr().out


def test_a_journal_says_what_the_database_says_and_may_end_in_a_torn_line(tmp_path) -> None:
    check_study(converted(DATA / "optuna.log", tmp_path / "whole"))
    torn = tmp_path / "torn.log"
    torn.write_text((DATA / "optuna.log").read_text() + '{"op_code":4,"wor')
    check_study(converted(torn, tmp_path / "torn"))


def test_a_journal_that_is_damaged_within_is_one_line(tmp_path, capsys) -> None:
    lines = (DATA / "optuna.log").read_text().splitlines()
    bad = tmp_path / "bad.log"
    bad.write_text("\n".join([*lines[:3], "{", *lines[3:]]))
    assert "line 4 is no entry of Optuna's" in refused(bad, tmp_path, capsys)


def test_the_table_that_optuna_makes_itself_says_the_same(tmp_path) -> None:
    check_study(converted(DATA / "optuna.csv", tmp_path, "--rename", "value=val_acc"))


def test_a_study_of_several_or_of_the_other_goal_is_asked_about(database, tmp_path, capsys) -> None:
    line = refused(database, tmp_path, capsys, "--metric", "val_loss")
    assert "to maximize its value, and val_loss is to minimize" in line
    assert "has cnn, not other" in refused(database, tmp_path, capsys, "--study", "other")
    both = tmp_path / "both.log"
    text = (DATA / "optuna.log").read_text()
    both.write_text(text + '{"op_code":0,"study_name":"b","directions":[1]}\n')
    assert "several studies, cnn, b: --study NAME" in refused(both, tmp_path, capsys)
    check_study(converted(both, tmp_path, "--study", "cnn"))


def test_a_database_of_something_else_and_one_on_a_server_are_one_line(tmp_path, capsys) -> None:
    other = tmp_path / "x.db"
    other.write_bytes(b"SQLite format 3\0" + bytes(100))
    assert "no storage of Optuna's" in refused(other, tmp_path, capsys)
    line = refused("postgresql://host/db", tmp_path, capsys)
    assert "trials_dataframe().to_csv" in line
    assert "no file" in refused(f"sqlite:///{tmp_path}/none.db", tmp_path, capsys)
    assert "no storage" in refused(DATA / "optuna.csv", tmp_path, capsys, "--study", "a")


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_lightnings_runs_are_read_with_their_epochs(kind: str, tmp_path: Path) -> None:
    results = converted(DATA / f"lightning_{kind}", tmp_path)
    trials = results.trials.set_index("trial_id")
    assert trials.index.tolist() == ["version_0", "version_1"]
    assert trials["learning_rate"].tolist() == [0.01, 0.05]
    assert trials["activation"].tolist() == ["relu", "gelu"]
    assert trials["val_acc"].tolist() == pytest.approx([0.39, 0.25], abs=1e-6)
    epochs = results.epochs[results.epochs["trial_id"] == "version_0"]
    assert epochs["epoch"].tolist() == [1, 2, 3]
    assert epochs["val_acc"].tolist() == pytest.approx([0.29, 0.34, 0.39], abs=1e-6)
    assert epochs[["train_loss", "val_loss"]].notna().all(axis=None), "of two lines, one epoch"


def test_both_of_lightnings_loggers_say_the_same(tmp_path: Path) -> None:
    tables = [
        converted(DATA / f"lightning_{kind}", tmp_path / kind).epochs
        for kind in ("csv", "tensorboard")
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-6)


def test_a_run_alone_is_a_sweep_of_one(tmp_path: Path) -> None:
    results = converted(DATA / "lightning_csv" / "version_1", tmp_path)
    assert results.trials["trial_id"].tolist() == ["version_1"]


def test_objects_of_python_in_hparams_are_text_and_nothing_is_built(tmp_path: Path) -> None:
    shutil.copytree(DATA / "lightning_csv", tmp_path / "runs")
    harm = "!!python/object/apply:os.system ['touch " + str(tmp_path / "harm") + "']"
    text = f"activation: !!python/name:torch.nn.ReLU ''\nlearning_rate: 0.1\nother: {harm}\n"
    (tmp_path / "runs" / "version_0" / "hparams.yaml").write_text(text)
    results = converted(tmp_path / "runs", tmp_path)
    assert results.trials["activation"].tolist() == ["torch.nn.ReLU", "gelu"]
    assert not (tmp_path / "harm").exists()


def test_events_that_a_kill_tore_end_before_the_torn_one(tmp_path: Path) -> None:
    [whole] = (DATA / "lightning_tensorboard" / "version_0").glob("events*")
    torn = tmp_path / whole.name
    table, told = read_scalars([whole])
    content, known = whole.read_bytes(), []
    for length in range(len(content)):
        torn.write_bytes(content[:length])
        known.append(int(read_scalars([torn])[0].notna().sum().sum()))
    assert known == sorted(known) and known[0] == 0
    assert 0 < known[-200] < known[-1] <= table.notna().sum().sum()
    assert float(str(told["runtime"])) >= 0 and str(told["created"]).startswith("20")
    torn.write_bytes(b"\x05" + bytes(11) + b"\xff" * 9)
    with pytest.raises(ValueError, match="no event file"):
        read_scalars([torn])


def test_rays_trials_are_read_with_those_that_failed_and_those_that_were_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    results = converted(DATA / "ray_tune", tmp_path)
    trials = results.trials.set_index(["learning_rate", "model/activation"]).sort_index()
    assert set(results.hyperparameters) == {"learning_rate", "model/activation"}
    assert trials["status"].tolist() == ["completed"] * 2 + ["stopped"] * 2 + ["failed"] * 2
    assert trials["epochs"].tolist()[:4] == [3, 3, 2, 2]
    assert trials["val_acc"].tolist()[:2] == pytest.approx([0.29, 0.39])
    assert trials["val_acc"].isna().tolist()[4:] == [True, True], "they failed before a report"
    assert "before 3 reports were taken for stopped early" in capsys.readouterr().out


def test_a_trial_of_rays_that_has_not_ended_is_running(tmp_path: Path) -> None:
    shutil.copytree(DATA / "ray_tune", tmp_path / "ray")
    for path in tmp_path.glob("ray/experiment_state-*"):
        path.unlink()
    [first] = tmp_path.glob("ray/*_00000_*/result.json")
    first.write_text("".join(first.read_text().splitlines(keepends=True)[:1]) + '{"val_a')
    trials = converted(tmp_path / "ray", tmp_path).trials.set_index("trial_id")
    assert trials.loc["b4e1a_00000", "status"] == "running"
    assert trials.loc["b4e1a_00000", "epochs"] == 1, "the torn report is none"
    assert trials.loc["b4e1a_00003", "status"] == "completed"


def test_a_folder_of_neither_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "empty").mkdir()
    assert "neither Ray Tune's trials" in refused(tmp_path / "empty", tmp_path, capsys)
    assert read_search(str(tmp_path / "no.csv")) is None, "a table, which says what is wrong"
