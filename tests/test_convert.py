"""W&B's exports become a sweep's two tables, which the report takes."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.convert import convert, main
from analysis.report import write_report
from cnnlib.results import read_results

RUNS = """Name,State,Notes,User,Tags,Created,Runtime,Sweep,activation,dropout,val_accuracy,_step
calm-1,finished,,me,,2025-04-19T11:11:14.000Z,90,s1,relu,0.2,0.3,2
wild-2,crashed,,me,,2025-04-19T11:15:00.000Z,12,s1,gelu,0.3,,0
"""
CHART = """epoch,calm-1 - val_acc,calm-1 - val_acc__MIN,calm-1 - val_acc__MAX,wild-2 - val_acc
0,0.2,0.2,0.2,0.1
1,0.4,0.4,0.4,
2,0.3,0.3,0.3,
"""
LOSS = CHART.replace("val_acc", "validation_loss").replace("0.4", "1.9")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name, text in (("runs", RUNS), ("acc", CHART), ("loss", LOSS)):
        (tmp_path / f"{name}.csv").write_text(text)
    return {p.stem: str(p) for p in tmp_path.glob("*.csv")} | {"out": str(tmp_path / "sweep")}


def test_a_table_of_runs_and_charts_become_a_sweep_that_can_be_reported(files, capsys) -> None:
    arguments = [files["runs"], files["acc"], files["loss"], "--out", files["out"]]
    assert main(arguments) == 0
    assert "2 trials, 4 epochs, hyperparameters activation, dropout ->" in capsys.readouterr().out
    results = read_results(files["out"])
    assert results.hyperparameters == ["activation", "dropout"]
    calm, wild = (row for _, row in results.trials.iterrows())
    assert calm[["trial_id", "status", "epochs", "best_epoch", "val_acc", "val_loss", "seconds"]] \
        .tolist() == ["calm-1", "completed", 3, 2, 0.4, 1.9, 90]  # fmt: skip
    assert (wild["status"], wild["val_acc"]) == ("failed", 0.1)
    assert results.epochs["epoch"].tolist() == [1, 2, 3, 1]
    assert "calm-1" in write_report(Path(files["out"])).read_text()


def test_what_exists_is_not_overwritten(files, capsys) -> None:
    arguments = [files["runs"], files["acc"], "--out", files["out"]]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "holds a sweep already" in capsys.readouterr().err


def test_per_cent_become_fractions_and_metrics_get_their_names() -> None:
    runs = pd.DataFrame({"ID": ["a", "b"], "Name": ["x", "x"], "lr": [1, 2]})
    history = pd.DataFrame({"run": ["a", "a", "b"], "epoch": [1, 2, 1], "score": [20.0, 40, 30]})
    results = convert(runs, [history], {"score": "val_acc"})
    assert results.epochs["val_acc"].tolist() == [0.2, 0.4, 0.3]
    assert results.trials["val_acc"].tolist() == [0.4, 0.3]
    assert results.trials["trial_id"].tolist() == ["a", "b"]


def test_without_a_history_the_summary_is_what_a_run_reached() -> None:
    runs = pd.DataFrame({"Name": ["a", "b"], "lr": [1, 2], "val_acc": [0.2, 0.3]})
    results = convert(runs, [])
    assert results.trials["val_acc"].tolist() == [0.2, 0.3]
    assert results.hyperparameters == ["lr"]


def test_the_learning_rate_is_a_hyperparameter_and_the_speed_is_none() -> None:
    runs = pd.DataFrame({"Name": ["a", "b"], "learning_rate": [0.1, 0.2], "loss": [1.0, 2.0],
                         "train_loss": [1.0, 2.0], "images_per_second": [90, 91]})  # fmt: skip
    history = pd.DataFrame({"run": ["a", "b"], "epoch": 1, "val_acc": [0.2, 0.3]})
    assert convert(runs, [history]).hyperparameters == ["learning_rate"]
    with_rates = history.assign(learning_rate=0.05)
    assert convert(runs, [with_rates]).hyperparameters == ["learning_rate"]


def test_of_two_columns_for_one_metric_the_one_of_our_name_counts_unless_the_user_says() -> None:
    runs = pd.DataFrame({"Name": ["a"], "val_accuracy": [0.1], "val_acc": [0.2], "lr": [1]})
    assert convert(runs, []).trials["val_acc"].tolist() == [0.2]
    chosen = convert(runs, [], {"val_accuracy": "val_acc"}).trials
    assert chosen["val_acc"].tolist() == [0.1]
    history = pd.DataFrame({"run": ["a"], "epoch": [1], "acc": [0.3], "accuracy": [0.4]})
    assert convert(runs, [history]).epochs["train_acc"].tolist() == [0.4]


BAD = {
    "lr\n1\n": "no column Name or ID; has lr",
    "Name,val_acc\na,1\na,2\n": "two runs are called a; export the column ID as well",
    "Name,lr\na,1\n": "no val_acc; say what it is called with --rename",
    "Name,lr\nb,1\n": "not in the table of runs",
    "": "is not a CSV table",
}


@pytest.mark.parametrize("text", BAD)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path, capsys, text: str) -> None:
    runs, history = tmp_path / "runs.csv", tmp_path / "history.csv"
    runs.write_text(text)
    metric = "val_acc" if "not in" in BAD[text] else "other"
    history.write_text(f"epoch,a - {metric}\n1,0.2\n")
    assert main([str(runs), str(history), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert BAD[text] in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_history_that_says_neither_run_nor_epoch_is_refused() -> None:
    runs = pd.DataFrame({"Name": ["a"], "val_acc": [0.2]})
    with pytest.raises(ValueError, match="a history needs columns 'RUN - METRIC' of a chart"):
        convert(runs, [pd.DataFrame({"epoch": [1], "val_acc": [0.2]})])


def test_a_chart_that_names_two_runs_at_once_is_refused() -> None:
    runs = pd.DataFrame({"ID": ["a", "b"], "Name": ["x", "x"], "lr": [1, 2]})
    with pytest.raises(ValueError, match="x: which of the runs of this name is meant"):
        convert(runs, [pd.DataFrame({"epoch": [1], "x - val_acc": [0.2]})])
