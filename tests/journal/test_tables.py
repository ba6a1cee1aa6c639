import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cnnlib.journal.columns import CLASS_COLUMNS, EPOCH_COLUMNS
from cnnlib.journal.events import Journal
from cnnlib.journal.tables import fold, read_results
from tests.events import begin
from tests.journal.test_ledger import finished


def epoch(trial_id: str, number: int, val_acc: float, **more: Any) -> dict[str, Any]:
    metrics = dict.fromkeys(EPOCH_COLUMNS, 0.5) | {"val_acc": val_acc, "val_loss": 1 - val_acc}
    return {"event": "epoch", "time": "t", **metrics, "trial_id": trial_id, "epoch": number, **more}


def proposed(trial_id: str) -> dict[str, Any]:
    return {"event": "proposed", "trial_id": trial_id, "config": {"dropout": 0.1}, "time": "t0"}


def event(kind: str, trial_id: str, **more: Any) -> dict[str, Any]:
    return {"event": kind, "trial_id": trial_id, "time": "t1", **more}


EVENTS = [
    proposed("0001"),
    event("started", "0001"),
    proposed("0002"),
    event("started", "0002"),
    epoch("0001", 1, 0.3, node="a", class_counts={"NA": [0, 0], "Fungi": [3, 10]}),
    epoch("0001", 2, 0.6, node="a", class_counts={"NA": [0, 0], "Fungi": [6, 10]}),
    epoch("0002", 1, 0.2, node="b"),
    event("stopped", "0002", rung=1, cutoff=0.3),
    epoch("0001", 3, 0.6, node="a"),
    event("finished", "0001"),
    proposed("0003"),
    event("started", "0003"),
    event("failed", "0003", error="no memory"),
    proposed("0004"),
]


def test_a_trial_has_its_first_best_epoch_and_how_it_ended() -> None:
    trials = fold(EVENTS).trials.set_index("trial_id")
    assert list(trials["status"]) == ["completed", "stopped", "failed", "running"]
    best = trials.loc["0001"]
    assert (best["best_epoch"], best["epochs"], best["val_acc"]) == (2, 3, 0.6)
    assert best["val_loss"] == pytest.approx(0.4)
    assert (best["seconds"], best["node"], best["started"]) == (1.5, "a", "t1")
    assert trials.loc["0003", "error"] == "no memory"
    assert pd.isna(trials.loc["0004", "val_acc"])


def test_the_columns_are_those_of_the_design() -> None:
    results = fold(EVENTS)
    assert list(results.trials.columns) == [
        "trial_id", "status", "dropout", "epochs", "best_epoch", "val_acc", "val_loss", "seconds",
        "node", "error", "started",
    ]  # fmt: skip
    assert list(results.epochs.columns) == EPOCH_COLUMNS
    assert results.hyperparameters == ["dropout"]
    assert list(results.class_recalls.columns) == CLASS_COLUMNS


def test_recalls_by_class_are_those_of_the_epochs_that_were_best_so_far() -> None:
    table = fold(EVENTS).class_recalls
    fungi = table[table["class"] == "Fungi"]
    assert fungi[["trial_id", "epoch", "n"]].to_numpy().tolist() == [
        ["0001", 1, 10],
        ["0001", 2, 10],
    ]
    assert fungi["val_recall"].tolist() == [0.3, 0.6]
    assert table.loc[table["class"] == "NA", "val_recall"].isna().all(), "none to validate on"


def test_a_trial_that_goes_on_keeps_its_epochs_and_its_start() -> None:
    again = EVENTS[1] | {"time": "2027"}
    results = fold([*EVENTS[:2], epoch("0001", 1, 0.4), again, epoch("0001", 2, 0.3)])
    assert results.epochs["epoch"].tolist() == [1, 2]
    assert results.trials.loc[0, "val_acc"] == 0.4
    assert results.trials.loc[0, "started"] == EVENTS[1]["time"]


def test_the_best_trial_is_the_first_of_the_highest() -> None:
    best = fold(EVENTS).best()
    assert best is not None
    assert best["trial_id"] == "0001"
    assert fold([proposed("0001")]).best() is None
    assert fold([]).best() is None


def test_a_trial_that_diverged_has_no_accuracy_whatever_it_had_before() -> None:
    events = [proposed("0001"), epoch("0001", 1, 0.9), epoch("0001", 2, float("nan"))]
    events += [proposed("0002"), epoch("0002", 1, 0.2)]
    results = fold(events)
    best = results.best()
    assert best is not None and best["trial_id"] == "0002"
    assert results.trials["val_acc"].isna().tolist() == [True, False]
    assert results.trials["best_epoch"].isna().tolist() == [True, False]
    assert results.epochs["val_acc"].tolist()[0] == 0.9, "what it had is in the epochs"


def test_a_trial_without_a_single_score_has_none() -> None:
    events = [*EVENTS, proposed("0005"), epoch("0005", 1, float("nan"))]
    trials = fold(events).trials.set_index("trial_id")
    assert trials.loc["0005", "epochs"] == 1
    assert pd.isna(trials.loc["0005", "val_acc"])
    assert pd.isna(trials.loc["0005", "best_epoch"])


def test_tables_are_the_same_from_the_journal_and_from_its_csv_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "sweep")
    begin(journal)
    for content in EVENTS:
        journal.append(
            content["event"], **{k: v for k, v in content.items() if k not in ("event", "time")}
        )
    journal.close()
    results = read_results(tmp_path / "sweep")
    (tmp_path / "copy").mkdir()
    results.write(tmp_path / "copy")
    copy = read_results(tmp_path / "copy")
    pd.testing.assert_frame_equal(results.epochs, copy.epochs, check_dtype=False)
    pd.testing.assert_frame_equal(results.class_recalls, copy.class_recalls, check_dtype=False)
    pd.testing.assert_frame_equal(
        results.trials.astype(object).where(results.trials.notna(), None),
        copy.trials.astype(object).where(copy.trials.notna(), None),
        check_dtype=False,
    )


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no results in .*: expected trials\.csv"):
        read_results(tmp_path)
    (tmp_path / "trials.csv").write_text("id,status\n1,completed\n")
    with pytest.raises(ValueError, match="no column trial_id; has id, status"):
        read_results(tmp_path)


def test_a_hyperparameters_value_none_is_a_value(tmp_path: Path) -> None:
    text = "trial_id,schedule,val_acc\n001,None,0.5\nNA,cosine,0.4\n"
    (tmp_path / "trials.csv").write_text(text)
    results = read_results(tmp_path)  # without epochs.csv
    assert results.trials["schedule"].tolist() == ["None", "cosine"]
    assert results.trials["trial_id"].tolist() == ["001", "NA"]
    assert list(results.epochs) == ["trial_id", "epoch"] and len(results.epochs) == 0


def test_per_cent_become_fractions_in_both_tables_and_a_line_says_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "trials.csv").write_text("trial_id,lr,val_acc\na,1,64\nb,2,50\n")
    (tmp_path / "epochs.csv").write_text("trial_id,epoch,val_acc\na,1,40\na,2,64\nb,1,50\n")
    results = read_results(tmp_path)
    assert results.trials["val_acc"].tolist() == [0.64, 0.5]
    assert results.epochs["val_acc"].tolist() == [0.4, 0.64, 0.5]
    assert caplog.text.count("is in per cent and was divided by 100") == 2


@pytest.mark.parametrize("name, text, words", [
    ("trials", "trial_id,val_acc\na,0.5\nb,64\nc,0.4\n", "val_acc of b is 64, of others on"),
    ("trials", "trial_id,val_acc\na,0.5\n,0.4\n", "row 2 has no trial_id"),
    ("trials", "trial_id,val_acc\na,0.5\na,0.4\n", "two rows are of trial a"),
    ("trials", "trial_id,epochs\na,1.5\n", "epochs of a is 1.5, which is not a whole number"),
    ("trials", "trial_id,seconds\na,inf\n", "seconds of a is inf, which is not finite"),
    ("epochs", "trial_id,epoch\na,-1\n", "epoch of a is -1, which is not a whole number"),
    ("epochs", "trial_id,epoch,val_acc\na,1,high\n", "val_acc of a is high, which is no number"),
    ("class_recalls", "trial_id,class\na,b\n", "no column val_recall"),
])  # fmt: skip
def test_a_table_of_another_shape_is_refused(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / "trials.csv").write_text("trial_id\na\n")
    (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_results(tmp_path)


@pytest.mark.parametrize("folder", ["cs21m013_A1", "malavika_B_resnet50", "cs21s006_A"])
def test_real_sweeps_of_others_are_read(folder: str) -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "curves" / folder
    if not path.is_dir():
        pytest.skip("needs ../shared/data/curves")
    results = read_results(path)
    assert set(results.epochs["trial_id"]) <= set(results.trials["trial_id"])
    best = results.best()
    assert best is not None
    assert json.dumps(float(best["val_acc"]))


def test_audited_trials_are_marked_with_the_rung_where_others_stopped() -> None:
    sweep = finished(0.5)
    table = fold(sweep.events)
    assert table.hyperparameters == fold(finished(0.0).events).hyperparameters
    assert "audited" not in fold(finished(0.0).events).trials
    marked = table.trials.dropna(subset="audited").set_index("trial_id")["audited"]
    rungs = [e["epoch"] for e in sweep.events if e.get("decision", {}).get("audited")]
    assert sorted(marked) == sorted(rungs) != []
    assert all(sweep.ledger.trials[trial_id].audited for trial_id in marked.index)


def test_tables_are_read_whatever_is_beside_them(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("trial_id,status,val_acc\n1,completed,0.5\n")
    (tmp_path / "champion").mkdir()
    (tmp_path / "champion" / "metrics.json").write_text("{damaged")
    assert list(read_results(tmp_path).trials["val_acc"]) == [0.5]
