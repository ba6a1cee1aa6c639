import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from cnnlib.champion import final_test as testing
from cnnlib.champion.champion import _bring_back, _remove_earlier, digest, read_champion
from cnnlib.champion.final_test import OpenedBeforeError, test_champion
from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.replay import event_lines
from cnnlib.journal.tables import openings
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.saved_files import read_metrics
from cnnlib.storage.folder_lock import FolderLock, LockedError
from cnnlib.system.limits import cores
from cnnlib.training.trial import save_weights
from tests.champion.test_champion import sweep, trained  # noqa: F401
from tests.events import begin


@pytest.fixture
def journaled(sweep: Path) -> Path:  # noqa: F811
    journal = Journal(sweep)
    begin(journal)
    journal.close()
    return sweep


def other_weights(folder: Path) -> None:
    champion = read_champion(folder)
    torch.manual_seed(5)
    model = CustomCNN(champion.config, num_classes=3, image_size=champion.image_size)
    save_weights(model, champion.folder / "weights.safetensors")


def overflow(folder: Path) -> None:
    """Makes the champion one whose weights are finite and whose outputs are not."""
    champion = read_champion(folder)
    model = champion.model()
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    torch.nn.init.constant_(last.bias, 3e38)
    torch.nn.init.constant_(last.weight, 3e38)
    save_weights(model, champion.folder / "weights.safetensors")


@pytest.fixture
def no_second_look(journaled: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The test of a champion, after which nobody may look at the photographs again."""
    metrics = test_champion(journaled)

    def look(*_: Any, **__: Any) -> None:
        raise AssertionError("the test photographs were opened again")

    monkeypatch.setattr(testing, "predict_test", look)
    monkeypatch.setattr(testing, "find_dataset", look)
    return metrics


def test_the_test_tells_of_uneven_classes_and_of_the_loss_that_was_minimised(
    sweep: Path,  # noqa: F811
) -> None:
    facts = [sweep / "champion" / f"{name}.json" for name in ("config", "metrics")]
    metric = {"name": "val_loss", "goal": "minimize", "said": "valid/loss", "value": 0.7}
    for path in facts:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"metric": metric}))
    metrics = test_champion(sweep)
    table = pd.read_csv(sweep / "champion" / "test_predictions.csv")
    right = table["label"] == table["predicted"]
    recalls = right.groupby(table["label"]).mean()
    assert metrics["test_balanced_acc"] == pytest.approx(recalls.mean())
    f1 = [
        2 * (right & (table["label"] == name)).sum()
        / ((table["label"] == name).sum() + (table["predicted"] == name).sum())
        for name in recalls.index
    ]  # fmt: skip
    assert metrics["test_f1"] == pytest.approx(sum(f1) / len(f1))
    loss = -table["label_probability"].map(math.log).mean()
    assert metrics["test_loss"] == pytest.approx(loss)
    assert read_metrics(sweep / "champion")["test_loss"] == metrics["test_loss"]
    card = (sweep / "champion" / "MODEL_CARD.md").read_text()
    told = f"balanced accuracy {recalls.mean():.3f}, macro F1 {sum(f1) / len(f1):.3f}"
    assert f"- On the same test photographs: {told}, loss {loss:.3f}." in card


def test_a_champion_is_tested_once_and_then_shown_from_the_journal(
    journaled: Path, no_second_look: dict[str, Any]
) -> None:
    (journaled / "champion" / "test_predictions.csv").unlink()
    assert test_champion(journaled) == no_second_look
    [event] = [event for event in read_events(journaled) if event["event"] == "tested"]
    assert event["test_acc"] == no_second_look["test_acc"]
    assert event["weights"] == digest(journaled / "champion" / "weights.safetensors")
    assert event["leaks"] == {"exact": 0, "near": 0}
    assert (event["number"], event["reason"]) == (1, None)
    [line] = event_lines([event])
    assert "tested    opening 1, trial 0001: " in line


def test_another_champion_is_refused_before_anyone_looks(
    journaled: Path, no_second_look: dict[str, Any]
) -> None:
    other_weights(journaled)
    with pytest.raises(OpenedBeforeError, match="were opened for trial 0001 on"):
        test_champion(journaled)
    assert len(openings(journaled)) == 1


def test_other_photographs_than_the_sweeps_are_no_test_of_it(
    journaled: Path,
    photos: Path,
) -> None:
    next((photos / "train").rglob("*.png")).unlink()
    with pytest.raises(ValueError, match="photos are not those of the sweep"):
        test_champion(journaled, data=str(photos))
    assert openings(journaled) == []


def test_a_reason_opens_the_test_again_and_is_written_down(journaled: Path) -> None:
    first = test_champion(journaled)
    other_weights(journaled)
    second = test_champion(journaled, reason="trained longer")
    assert [test["number"] for test in openings(journaled)] == [1, 2]
    assert openings(journaled)[1]["reason"] == "trained longer"
    assert second["test_correct"] != first["test_correct"]


def test_a_folder_without_a_journal_keeps_the_record_in_its_metrics(sweep: Path) -> None:  # noqa: F811
    metrics = test_champion(sweep)
    [record] = openings(sweep)
    assert record["test_acc"] == metrics["test_acc"]
    other_weights(sweep)
    with pytest.raises(OpenedBeforeError):
        test_champion(sweep)


def test_a_kill_after_the_record_loses_no_table(
    journaled: Path, no_second_look: dict[str, Any]
) -> None:
    predictions = journaled / "champion" / "test_predictions.csv"
    before = predictions.read_text()
    predictions.rename(testing._unsettled(read_champion(journaled), predictions.name))
    assert test_champion(journaled) == no_second_look
    assert predictions.read_text() == before


def test_a_killed_tests_predictions_are_never_another_champions(
    journaled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = test_champion(journaled)
    weights, predictions = (
        journaled / "champion" / name for name in ("weights.safetensors", "test_predictions.csv")
    )
    before = predictions.read_text()
    shutil.copy(weights, tmp_path / "first")
    _remove_earlier(journaled / "champion")
    other_weights(journaled)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt  # after the tables, before the record

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(testing, "_write_down", die)
        test_champion(journaled, reason="another")
    assert not predictions.exists()
    shutil.copy(tmp_path / "first", weights)  # the first is champion again
    _bring_back(journaled / "champion")
    assert test_champion(journaled)["test_correct"] == first["test_correct"]
    assert predictions.read_text() == before


def test_the_tests_of_two_champions_are_both_kept(journaled: Path, tmp_path: Path) -> None:
    first = test_champion(journaled)
    weights = journaled / "champion" / "weights.safetensors"
    shutil.copy(weights, tmp_path / "first")
    _remove_earlier(journaled / "champion")
    other_weights(journaled)
    assert not (journaled / "champion" / "test_predictions.csv").exists(), "nor after a kill here"
    _bring_back(journaled / "champion")
    assert not (journaled / "champion" / "test_predictions.csv").exists()
    test_champion(journaled, reason="another")
    _remove_earlier(journaled / "champion")
    shutil.copy(tmp_path / "first", weights)
    _bring_back(journaled / "champion")
    table = pd.read_csv(journaled / "champion" / "test_predictions.csv")
    assert (table["label"] == table["predicted"]).sum() == first["test_correct"]
    assert test_champion(journaled)["test_acc"] == first["test_acc"]


def test_a_sweep_that_runs_is_not_disturbed(
    journaled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: Any, **__: Any) -> None:
        raise AssertionError("the test photographs were opened without a record")

    monkeypatch.setattr(testing, "predict_test", look)
    lock = FolderLock(journaled)
    with pytest.raises(LockedError):
        test_champion(journaled)
    lock.release()
    assert not openings(journaled)
    assert not (journaled / "champion" / "test_predictions.csv").exists()


def test_the_reference_is_tested_on_the_same_photographs(journaled: Path) -> None:
    champion = journaled / "champion"
    reference = champion / "reference"
    reference.mkdir()
    for name in ("config.json", "classes.json", "metrics.json", "weights.safetensors"):
        shutil.copy(champion / name, reference / name)
    test_champion(journaled)
    table = pd.read_csv(champion / "test_predictions.csv")
    assert list(table["reference_predicted"]) == list(table["predicted"])
    guesses = table[["predicted", "second", "third"]]
    assert all(set(row) == {"blue", "green", "red"} for row in guesses.to_numpy())
    right = table["label"] == table["predicted"]
    assert (table["label_probability"][right] == table["confidence"][right]).all()
    assert (table["label_probability"][~right] < table["confidence"][~right]).all()


def test_the_test_takes_all_cores_of_which_ray_gives_a_job_one(journaled: Path) -> None:
    torch.set_num_threads(1)
    test_champion(journaled)
    assert torch.get_num_threads() == cores()


def test_a_network_without_finite_outputs_has_no_test_and_opens_none(journaled: Path) -> None:
    overflow(journaled)
    with pytest.raises(ValueError, match=r"has no finite outputs for 9 of 9 test .* it diverged"):
        test_champion(journaled)
    assert openings(journaled) == []
    assert not list((journaled / "champion").glob("*.csv*"))
    assert "test_acc" not in read_metrics(journaled / "champion")
