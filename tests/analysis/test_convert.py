"""W&B's exports become a sweep's two tables, which the report takes."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.convert import convert, main
from analysis.reading.folder import read_folder
from analysis.report import write_report
from cnnlib.journal.tables import read_results

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


def converted(folder: Path, runs: str | bytes, *histories: str, flags: tuple[str, ...] = ()) -> int:
    """The command's exit code; what it writes is in folder/out."""
    paths = []
    for number, text in enumerate([runs, *histories]):
        paths.append(folder / f"{number}.csv")
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
    return main([*map(str, paths), "--out", str(folder / "out"), *flags])


RESULTS = ["val/acc", "val/loss", "train.loss", "train/acc", "test/acc", "f1", "precision",
           "lr-AdamW/pg1", "Validation F1", "eval/samples_per_second", "train/grad_norm",
           "gradients/conv.weight", "best_epoch", "testAccuracy", "valid_top5"]  # fmt: skip
SETTINGS = ["learning_rate", "train_batch_size", "val_split", "epochs", "gradient_clip_val", "lr",
            "loss_weight", "max_grad_norm", "test_size", "early_stopping_patience"]  # fmt: skip


def wide(num_runs: int = 24) -> str:
    """A table of runs with all of those columns: results differ in each run, settings do not."""
    head = ",".join(["Name", "State", "Runtime", "GPU Type", *RESULTS, *SETTINGS, "quality"])
    rows = [
        [f"r{i}", "finished", "9", "T4", *(f"0.{100 + i + j}" for j in range(len(RESULTS)))]
        + [str(1 + i % 3)] * len(SETTINGS)
        + [str(i / 7)]
        for i in range(num_runs)
    ]
    return "\n".join([head, *map(",".join, rows)]) + "\n"


def test_metrics_are_known_by_their_words_and_hyperparameters_by_theirs(tmp_path, capsys) -> None:
    assert converted(tmp_path, wide()) == 0
    found = read_results(tmp_path / "out").hyperparameters
    assert found == [*(s if s != "epochs" else "max_epochs" for s in SETTINGS), "quality"]
    said = capsys.readouterr().out
    assert "val_acc is val/acc\n" in said
    assert "(metrics); Runtime, GPU Type (the run's own)" in said
    assert "epochs, a hyperparameter, is called max_epochs here" in said
    assert "doubtful hyperparameters: quality, different in nearly every run" in said


@pytest.mark.parametrize("flags, expected", [
    (("--hyperparameters", "lr,learning_rate"), ["learning_rate", "lr"]),
    (("--hyperparameters", "f1"), ["f1"]),
    (("--drop", "quality,lr"),
     [s if s != "epochs" else "max_epochs" for s in SETTINGS if s != "lr"]),
])  # fmt: skip
def test_the_user_decides_what_is_a_hyperparameter_also_for_the_report(
    tmp_path, flags, expected
) -> None:
    assert converted(tmp_path, wide(), flags=flags) == 0
    assert read_results(tmp_path / "out").hyperparameters == expected
    assert read_folder(tmp_path / "out").hyperparameters == expected


def test_precision_may_be_one_of_numbers_and_loss_a_name(tmp_path) -> None:
    text = "Name,precision,loss,val_acc\na,16,focal,0.3\nb,32,ce,0.4\n"
    assert converted(tmp_path, text) == 0
    assert read_results(tmp_path / "out").hyperparameters == ["precision", "loss"]


def test_two_columns_that_may_be_val_acc_are_refused_unless_they_agree(tmp_path, capsys) -> None:
    text = "Name,lr,val/acc,eval/acc\na,1,0.3,0.4\n"
    assert converted(tmp_path, text) == 2
    assert "val_acc may be val/acc or eval/acc; say which with --rename" in capsys.readouterr().err
    assert converted(tmp_path, text, flags=("--rename", "val/acc=val_acc")) == 0
    assert read_results(tmp_path / "out").trials["val_acc"].tolist() == [0.3]


def test_names_that_all_are_numbers_stay_names(tmp_path) -> None:
    runs, history = "Name,val_acc\n000,0.5\n001,0.4\n", "run,epoch,val_acc\n000,1,0.6\n001,1,\n"
    assert converted(tmp_path, runs, history) == 0
    trials = read_results(tmp_path / "out").trials
    assert trials["trial_id"].tolist() == ["000", "001"]
    assert trials["val_acc"].tolist() == [0.6, 0.4]


def test_names_that_say_nothing_or_are_numbers_stay_names(tmp_path) -> None:
    runs = "Name,scheduler,val_acc\nNone,None,0.5\n000,NA,0.4\n1e000001,cosine,0.3\n"
    assert converted(tmp_path, runs, "epoch,000 - val_acc\n0,0.2\n1,0.45\n") == 0
    trials = read_results(tmp_path / "out").trials
    assert trials["trial_id"].tolist() == ["None", "000", "1e000001"]
    assert trials["scheduler"].tolist() == ["None", "NA", "cosine"]
    assert trials["val_acc"].tolist() == [0.5, 0.45, 0.3]


def test_a_run_without_a_history_keeps_the_tables_figure_and_the_higher_counts(
    tmp_path, capsys
) -> None:
    runs = "Name,lr,val_acc\n" + "".join(f"r{i},{i},0.6\n" for i in range(4))
    assert converted(tmp_path, runs, "epoch,r0 - val_acc,r1 - val_acc\n1,0.7,0.5\n") == 0
    trials = read_results(tmp_path / "out").trials
    assert trials["val_acc"].tolist() == [0.7, 0.6, 0.6, 0.6]
    assert trials["best_epoch"].isna().tolist() == [False, True, True, True]
    said = capsys.readouterr().out
    assert (
        "2 of 4 runs have no history" in said and "in 1 runs the table's val_acc is higher" in said
    )


TWO = "Name,lr\na,1\nb,2\n"
AXES = {
    "155, 311 end": ("Step,a - val_acc\n155,0.1\n311,0.2\n467,0.3\n", [1, 2, 3], "156 apart"),
    "156, 312 end epochs": ("trainer/global_step,a - val_acc\n156,0.1\n312,0.2\n", [1, 2], "156"),
    "a missing one leaves a gap": ("Step,a - val_acc\n156,0.1\n312,0.2\n624,0.3\n", [1, 2, 4], "1"),
    "each run by its own": ("global step,a - val_acc,b - val_acc\n156,0.1,0.2\n312,0.2,\n78,,0.1\n",
                            [1, 2, 1, 2], "78 to 156 apart"),
    "from 0 as they are": ("Step,a - val_acc\n0,0.1\n1,0.2\n", [1, 2], "taken for the epoch"),
    "uneven ones in order": ("Step,a - val_acc\n3,0.1\n107,0.2\n119,0.3\n", [1, 2, 3], "unevenly"),
    "halves of epochs": ("epoch,a - val_acc\n0.5,0.1\n1.0,0.2\n1.5,0.3\n", [1, 2, 3], "0.5 apart"),
}  # fmt: skip


@pytest.mark.parametrize("name", AXES)
def test_steps_are_numbered_and_no_rows_are_merged(tmp_path, capsys, name: str) -> None:
    chart, epochs, said = AXES[name]
    assert converted(tmp_path, TWO, chart) == 0
    assert read_results(tmp_path / "out").epochs["epoch"].tolist() == epochs
    assert said in capsys.readouterr().out


def test_a_loss_that_is_logged_more_often_counts_at_the_end_of_each_epoch(tmp_path) -> None:
    losses = "Step,a - train_loss\n" + "".join(f"{x},{x}\n" for x in range(49, 500, 50))
    assert converted(tmp_path, TWO, AXES["155, 311 end"][0], losses) == 0
    epochs = read_results(tmp_path / "out").epochs
    assert epochs["epoch"].tolist() == [1, 2, 3] and epochs["train_loss"].tolist() == [
        149,
        299,
        449,
    ]


@pytest.mark.parametrize("histories, words", [
    (["Relative Time (Process),a - val_acc\n12.3,0.1\n12.9,0.2\n"],
     "axis Relative Time (Process) is neither an epoch nor a step"),
    (["Time per Epoch,a - val_acc\n1,0.1\n"], "axis Time per Epoch is neither an epoch nor a"),
    (["run,batch_size,val_acc\na,32,0.1\n"], "a history needs columns 'RUN - METRIC'"),
    (["epoch,a - val_acc\n1,0.1\n", "Step,a - train_loss\n249,0.1\n"],
     "1.csv is drawn against epoch and 2.csv against Step; export both against the epoch"),
    (["run,epoch,val_acc\na,1,high\n"], "val_acc of a is high, which is no number"),
    (["run,epoch,val_acc,val_loss\na,1,0.1,high\n"], "val_loss of a is high, which is no number"),
    (["run,epoch,val_acc\na,one,0.1\n"], "epoch of a is one, which is no number"),
    (["run,epoch,val_acc\na,1,0.1\n,2,0.2\n"], "row 2 has no run"),
    (["epoch,a - val_acc\n1,0.1\n2,2.0\n3,0.2\n"], "val_acc of a is 2, of others on another scale"),
])  # fmt: skip
def test_a_history_that_means_something_else_is_refused(
    tmp_path, capsys, histories: list[str], words: str
) -> None:
    assert converted(tmp_path, TWO, *histories) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_table_of_optuna_is_converted(tmp_path, capsys) -> None:
    text = (
        ",number,value,datetime_start,duration,params_lr,params_opt,user_attrs_x,state\n"
        "0,0,0.5,2025-01-01 10:00:00,0 days 00:01:00,0.1,None,1,COMPLETE\n"
        "1,1,0.4,2025-01-01 10:00:00,0 days 00:00:30,0.2,sgd,1,PRUNED\n"
        "2,2,,2025-01-01 10:00:00,,0.2,sgd,1,FAIL\n"
    )
    assert converted(tmp_path, text) == 2
    assert "no val_acc; say what it is called with --rename" in capsys.readouterr().err
    assert converted(tmp_path, text, flags=("--rename", "value=val_acc")) == 0
    results = read_results(tmp_path / "out")
    assert results.hyperparameters == ["lr", "opt"]
    assert results.trials["status"].tolist() == ["completed", "stopped", "failed"]
    assert results.trials["seconds"].tolist()[:2] == [60, 30]
    assert results.trials["opt"].tolist() == ["None", "sgd", "sgd"]
    (tmp_path / "out" / "epochs.csv").unlink()  # which is optional
    assert len(read_results(tmp_path / "out").epochs) == 0


def test_marked_hyperparameters_are_the_only_ones(tmp_path, capsys) -> None:
    text = "Name,State,config/lr,config/epochs,depth,val_acc\na,finished,0.1,5,3,0.5\n"
    assert converted(tmp_path, text) == 0
    assert read_results(tmp_path / "out").hyperparameters == ["lr", "max_epochs"]
    assert "depth (not marked as such)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["epochs.csv", "class_recalls.csv", "journal/1.jsonl", ".hidden"])
def test_a_folder_that_holds_anything_is_refused(tmp_path, capsys, name: str) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert converted(tmp_path, "Name,lr,val_acc\na,1,0.3\n") == 2
    assert "out holds other files; name another folder" in capsys.readouterr().err
    assert path.read_text() == "mine" and len(list((tmp_path / "out").iterdir())) == 1
