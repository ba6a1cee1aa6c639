"""The winner of a sweep: its weights and what to know of them, and its test."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file

from cnnlib.config import TrialConfig, hyperparameters
from cnnlib.data import CustomDataModule
from cnnlib.dataset import Dataset, find_dataset
from cnnlib.intervals import wilson_interval
from cnnlib.model import CustomCNN
from cnnlib.results import read_json, write_json

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Champion:
    """A trained network and where it came from; `folder` is the champion's own."""

    folder: Path
    trial_id: str
    config: TrialConfig
    classes: tuple[str, ...]
    image_size: int
    epoch: int
    val_acc: float

    def model(self) -> CustomCNN:
        """The network with its trained weights, ready to predict."""
        model = CustomCNN(self.config, num_classes=len(self.classes), image_size=self.image_size)
        model.load_state_dict(load_file(self.folder / WEIGHTS))
        return model.eval()


def crown(sweep_folder: Path, best: pd.Series, dataset: Dataset, image_size: int) -> Champion:
    """Makes the best trial of a sweep its champion: writes <sweep>/champion/."""
    folder = sweep_folder / "champion"
    folder.mkdir(exist_ok=True)
    trial_id = best["trial_id"]
    weights = sweep_folder / "checkpoints" / trial_id / "best.safetensors"
    shutil.copyfile(weights, folder / WEIGHTS)
    champion = Champion(
        folder=folder,
        trial_id=trial_id,
        config=TrialConfig.from_mapping(
            {name: best[name] for name in hyperparameters() if not pd.isna(best.get(name))}
        ),
        classes=dataset.classes,
        image_size=image_size,
        epoch=int(best["best_epoch"]),
        val_acc=float(best["val_acc"]),
    )
    write_champion(champion)
    return champion


def write_champion(champion: Champion) -> None:
    """Writes what to know of the weights in the champion's folder, beside them."""
    folder = champion.folder
    config = {
        "trial_id": champion.trial_id,
        "config": asdict(champion.config),
        "image_size": champion.image_size,
        "epoch": champion.epoch,
        "val_acc": champion.val_acc,
    }
    write_json(folder / "config.json", config)
    write_json(folder / "classes.json", list(champion.classes))
    write_json(folder / "metrics.json", {"val_acc": champion.val_acc})
    (folder / "summary.txt").write_text(champion.model().summary() + "\n", encoding="utf-8")
    _write_card(champion)


def read_champion(sweep_folder: str | Path) -> Champion:
    """The champion of a sweep's folder; FileNotFoundError where it has none."""
    folder = Path(sweep_folder) / "champion"
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"no champion in {sweep_folder}: expected {folder}/config.json")
    content = read_json(folder / "config.json")
    return Champion(
        folder=folder,
        trial_id=content["trial_id"],
        config=TrialConfig.from_mapping(content["config"]),
        classes=tuple(read_json(folder / "classes.json")),
        image_size=content["image_size"],
        epoch=content["epoch"],
        val_acc=content["val_acc"],
    )


def test_champion(
    sweep_folder: str | Path, *, data: str | None = None, dataset: Dataset | None = None
) -> dict[str, Any]:
    """Tests the champion on the test photographs; returns and writes metrics.json.

    `data` says where the photographs are now; by default where the sweep found them. `dataset`
    saves reading them again. Raises ValueError where they are other ones, or where there is no
    test set.
    """
    champion = read_champion(sweep_folder)
    about = read_json(Path(sweep_folder) / "sweep.json")["data"]
    dataset = dataset or find_dataset(data or about["source"])
    if dataset.fingerprint != about["fingerprint"]:
        raise ValueError(f"the photographs in {data or about['source']} are not those of the sweep")
    predictions = predict_test(champion, dataset)
    predictions.to_csv(champion.folder / "test_predictions.csv", index=False)
    correct, n = int((predictions["label"] == predictions["predicted"]).sum()), len(predictions)
    low, high = wilson_interval(correct, n)
    metrics = read_json(champion.folder / "metrics.json") | {
        "test_acc": correct / n,
        "test_low": low,
        "test_high": high,
        "test_correct": correct,
        "test_n": n,
    }
    write_json(champion.folder / "metrics.json", metrics)
    _write_card(champion)
    return metrics


test_champion.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


def predict_test(champion: Champion, dataset: Dataset) -> pd.DataFrame:
    """A row for each test photograph: file, label, predicted, confidence (0 to 1)."""
    data = CustomDataModule(dataset.train_dir, image_size=champion.image_size, dataset=dataset)
    batches = data.test_dataloader()
    assert dataset.test is not None  # or test_dataloader had raised
    model = champion.model()
    with torch.no_grad():
        probabilities = torch.cat([model(images).softmax(1) for images, _ in batches])
    confidence, predicted = probabilities.max(1)
    return pd.DataFrame(
        {
            "file": [str(file) for file in dataset.test.files],
            "label": [dataset.classes[label] for label in dataset.test.labels],
            "predicted": [champion.classes[index] for index in predicted.tolist()],
            "confidence": confidence.tolist(),
        }
    )


def _write_card(champion: Champion) -> None:
    metrics = read_json(champion.folder / "metrics.json")
    tested = "not tested yet"
    if "test_acc" in metrics:
        tested = (
            f"{metrics['test_acc']:.3f} (95% interval {metrics['test_low']:.3f} to "
            f"{metrics['test_high']:.3f}, {metrics['test_n']:,} photographs)"
        )
    settings = "\n".join(f"| {n} | {v} |" for n, v in asdict(champion.config).items())
    card = f"""# Champion: trial {champion.trial_id}

A convolutional network for {len(champion.classes)} classes: {", ".join(champion.classes)}.

- Input: RGB photographs at {champion.image_size} x {champion.image_size} px, 0 to 1, normalised
  with ImageNet's mean and standard deviation.
- Validation accuracy: {champion.val_acc:.3f} at epoch {champion.epoch}. It is the best of its
  sweep, so it is expected to be a little lucky.
- Test accuracy: {tested}.

| hyperparameter | value |
|---|---|
{settings}
"""
    (champion.folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
