"""One trial of five epochs: ours against the published pipeline in plain Lightning.

python benchmarks/trial.py [--data ZIP_OR_FOLDER] [--image-size PX] [--epochs N] [--seeds N]

Theirs decodes every JPEG anew in every epoch (ImageFolder, DataLoader with two workers), with the
same operations, network, optimiser and split, and Lightning's default Trainer. Times are whole
trials, from nothing to the last epoch's validation; accuracies are the best of a trial. The pixels
are decoded once before, and the time that took is printed too.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytorch_lightning as pl
import torch
from scipy.stats import t as student
from torch.utils.data import DataLoader, Subset
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from cnnlib.augment import COLOUR, CROP_AREA, CROP_RATIO, MEAN, STD
from cnnlib.config import TrialConfig
from cnnlib.dataset import find_dataset
from cnnlib.model import CustomCNN
from cnnlib.pixels import pixels
from cnnlib.trial import Task, data_module, precision, quiet_libraries, train

CONFIG = TrialConfig(
    first_layer_filters=32, filter_org=2.0, conv_layers=4, num_neurons_dense=256,
    use_augmentation=True,
)  # fmt: skip


class PlainCNN(CustomCNN):
    """The same network and steps; metrics are logged as most notebooks log them, every step."""

    def _step(self, stage: str, batch: Any) -> torch.Tensor:
        images, labels = batch
        scores = self(images)
        loss = torch.nn.functional.cross_entropy(scores, labels)
        acc = (scores.argmax(1) == labels).float().mean()
        self.log_dict({f"{stage}_loss": loss, f"{stage}_acc": acc}, on_step=False, on_epoch=True)
        return loss

    def _log_epoch(self, stage: str) -> None:
        if stage == "val" and not self.trainer.sanity_checking:
            self.best = max(
                getattr(self, "best", 0.0), self.trainer.callback_metrics["val_acc"].item()
            )


def theirs(task: Task) -> tuple[float, float]:
    """Seconds and best val_acc of the published pipeline."""
    began = time.perf_counter()
    pl.seed_everything(task.seed, verbose=False)
    size = task.image_size
    end = [T.ToTensor(), T.Normalize(MEAN, STD)]
    augment = [
        T.RandomResizedCrop(size, scale=CROP_AREA, ratio=CROP_RATIO),
        T.RandomHorizontalFlip(),
        T.ColorJitter(COLOUR, COLOUR, COLOUR),
    ]
    folder = task.dataset.train_dir
    split = data_module(CONFIG, task.dataset, image_size=size, seed=task.seed).split_indices
    train_set = Subset(ImageFolder(folder, T.Compose([*augment, *end])), split[0].tolist())
    val_set = Subset(
        ImageFolder(folder, T.Compose([T.Resize((size, size)), *end])), split[1].tolist()
    )
    model = PlainCNN(CONFIG, num_classes=len(task.dataset.classes), image_size=size)
    trainer = pl.Trainer(
        max_epochs=task.max_epochs, precision=precision(), logger=False,  # type: ignore[arg-type]
        enable_progress_bar=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(
        model,
        DataLoader(train_set, CONFIG.batch_size, shuffle=True, num_workers=2),
        DataLoader(val_set, CONFIG.batch_size, num_workers=2),
    )
    return time.perf_counter() - began, model.best


def ours(task: Task) -> tuple[float, float]:
    """Seconds and best val_acc of a trial."""
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        train(CONFIG, task, on_epoch=rows.append, weights=Path(folder) / "best.safetensors")
    return time.perf_counter() - began, max(row["val_acc"] for row in rows)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=32)
    flags.add_argument("--epochs", type=int, default=5)
    flags.add_argument("--seeds", type=int, default=1)
    flags.add_argument("--threads", type=int, default=2)
    asked = flags.parse_args()
    quiet_libraries()
    warnings.filterwarnings("ignore")
    dataset = find_dataset(asked.data)
    began = time.perf_counter()
    pixels(dataset, "train", asked.image_size)
    decoding = time.perf_counter() - began
    rows = []
    for seed in range(asked.seeds):
        task = Task(dataset, asked.image_size, asked.epochs, 0, seed, asked.threads)
        rows.append((*ours(task), *theirs(task)))
    fast, our_acc, slow, their_acc = (statistics.mean(column) for column in zip(*rows, strict=True))
    differences = [row[1] - row[3] for row in rows]
    print(f"{asked.data} at {asked.image_size} px, {asked.epochs} epochs, {asked.seeds} seeds, "
          f"decoded in {decoding:.1f} s")  # fmt: skip
    print(f"seconds a trial: ours {fast:.1f}, theirs {slow:.1f}, ratio {slow / fast:.1f}x")
    print(f"best val_acc: ours {our_acc:.3f}, theirs {their_acc:.3f}")
    if len(rows) > 1:
        half = student.ppf(0.975, len(rows) - 1) * statistics.stdev(differences) / len(rows) ** 0.5
        print(f"difference {statistics.mean(differences):+.3f} +- {half:.3f} (95% interval)")


if __name__ == "__main__":
    main()
