import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cnnlib.champion import crown, read_champion, test_champion
from cnnlib.config import TrialConfig
from cnnlib.dataset import read_folder
from cnnlib.results import write_json
from cnnlib.trial import Task, train


@pytest.fixture
def sweep(photos: Path, tmp_path: Path) -> Path:
    """A sweep's folder with one trained trial, crowned."""
    folder = tmp_path / "sweep"
    dataset = read_folder(photos / "train")
    config = TrialConfig(
        first_layer_filters=4, conv_layers=2, num_neurons_dense=8, learning_rate=0.01
    )
    rows: list[dict[str, Any]] = []
    task = Task(dataset, image_size=8, max_epochs=8, patience=0, seed=1, cpus=1)
    weights = folder / "checkpoints" / "0001" / "best.safetensors"
    train(config, task, on_epoch=rows.append, weights=weights)
    best = max(rows, key=lambda row: row["val_acc"])
    row = pd.Series(
        {**vars(config), "trial_id": "0001", "best_epoch": best["epoch"]}
        | {name: best[name] for name in ("val_acc", "val_loss")}
    )
    crown(folder, row, dataset, 8)
    about = {"source": str(photos), "fingerprint": dataset.fingerprint}
    write_json(folder / "sweep.json", {"data": about})
    return folder


def test_a_champion_is_read_back_whole(sweep: Path) -> None:
    champion = read_champion(sweep)
    assert champion.config.first_layer_filters == 4
    assert champion.classes == ("blue", "green", "red")
    assert {path.name for path in champion.folder.iterdir()} == {
        "weights.safetensors", "config.json", "classes.json", "metrics.json", "summary.txt",
        "MODEL_CARD.md", "preprocessing.json", "model.pt2",
    }  # fmt: skip
    assert not champion.model().training


def test_the_test_counts_every_photograph_once(sweep: Path) -> None:
    metrics = test_champion(sweep)
    predictions = pd.read_csv(sweep / "champion" / "test_predictions.csv")
    assert len(predictions) == metrics["test_n"] == 9
    assert [Path(file).parent.name for file in predictions["file"]] == list(predictions["label"])
    right = (predictions["label"] == predictions["predicted"]).mean()
    assert metrics["test_acc"] == pytest.approx(right)
    assert right > 0.6
    assert predictions["confidence"].between(1 / 3, 1).all()
    assert json.loads((sweep / "champion" / "metrics.json").read_text()) == metrics
    assert f"Test accuracy: {right:.3f}" in (sweep / "champion" / "MODEL_CARD.md").read_text()


def test_a_trial_from_before_the_recipe_is_crowned_with_it_off(sweep: Path, photos: Path) -> None:
    champion = read_champion(sweep)
    row = pd.Series({**vars(champion.config), "trial_id": "0001", "best_epoch": 1})
    row = row.drop(["optimizer", "head"])
    row = pd.concat([row, pd.Series({"val_acc": 0.5, "val_loss": 0.5})])
    row["ema"] = math.nan  # as beside trials that have it
    assert crown(sweep, row, read_folder(photos / "train"), 8).config == champion.config
    path = sweep / "champion" / "config.json"
    content = json.loads(path.read_text())
    for name in ("optimizer", "head", "ema"):
        del content["config"][name]
    path.write_text(json.dumps(content))
    assert read_champion(sweep).config == champion.config


def test_other_photographs_than_the_sweeps_are_refused(sweep: Path, photos: Path) -> None:
    shutil.copytree(photos, photos.parent / "moved")
    assert test_champion(sweep, data=str(photos.parent / "moved"))["test_n"] == 9
    (photos / "val" / "red" / "000.png").unlink()
    with pytest.raises(ValueError, match="are not those of the sweep"):
        test_champion(sweep)


def test_a_folder_without_a_champion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no champion in"):
        read_champion(tmp_path)
