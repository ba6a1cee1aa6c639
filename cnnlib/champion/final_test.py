"""The one test: the test photographs are opened once for a champion, and that is written down.

What was found is shown from the record ever after. A sweep that tests one candidate after another
chooses by the test, and then its accuracy flatters; so another champion is tested only on request,
and the record tells how often and why.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cnnlib.champion.champion import (
    PREDICTIONS,
    WEIGHTS,
    Champion,
    read_champion,
    write_card,
)
from cnnlib.champion.copies import find_leaks
from cnnlib.champion.model_card import card
from cnnlib.champion.prediction import GUESSES
from cnnlib.journal.events import Journal, journal_exists
from cnnlib.journal.scores import wilson_interval
from cnnlib.journal.tables import openings
from cnnlib.networks.classifier import class_means
from cnnlib.networks.family import Family
from cnnlib.networks.layout import safe_layout
from cnnlib.networks.saved_files import check_pair, read_metrics
from cnnlib.photos.dataset import Dataset
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.datamodule import CustomDataModule, evaluation_batch
from cnnlib.search.decision import DIVERGED
from cnnlib.storage.files import digest
from cnnlib.storage.folder_lock import FolderLock
from cnnlib.storage.json_file import read_json, write_json
from cnnlib.system.limits import cores
from cnnlib.system.progress import Progress
from cnnlib.system.redaction import without_secrets

LEAKS = "leaks.csv"


class OpenedBeforeError(ValueError):
    """The test photographs were opened for another champion."""


def test_champion(
    sweep_folder: str | Path,
    *,
    data: str | None = None,
    dataset: Dataset | None = None,
    reason: str | None = None,
    family: Family | None = None,
) -> dict[str, Any]:
    """The champion's metrics with its test, which is made where it was not made yet.

    `data` says where the photographs are now; by default where the sweep found them. `dataset`
    saves reading them again. `reason` allows to open the test again, for another champion than it
    was opened for: OpenedBeforeError without. Raises ValueError where the photographs are other
    ones, there is no test set, or the network diverged and predicts nothing; LockedError while the
    sweep runs. `family` is the champion's kind of network, where that is the user's own.
    """
    folder = Path(sweep_folder)
    champion = read_champion(folder, family)
    check_pair(champion.folder, champion.weights)
    card(champion.folder)  # what could not be written later is told before the test is opened
    with _locked(folder):
        record = _record(folder, champion)
        if record is None:
            earlier = openings(folder)
            if earlier and not reason:
                last = earlier[-1]
                raise OpenedBeforeError(
                    f"the test photographs were opened for trial {last['champion']} on "
                    f"{last['time'][:10]}; testing trial {champion.trial_id} too takes "
                    "--open-test-again REASON"
                )
            dataset = dataset or _dataset(folder, data)
            record = _open(folder, champion, dataset, reason=reason, number=len(earlier) + 1)
        _settle(champion)
    shown = {name: value for name, value in record.items() if name.startswith("test_")}
    metrics = read_metrics(champion.folder) | shown
    write_json(champion.folder / "metrics.json", metrics)
    write_card(champion)
    return metrics


test_champion.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No driver writes the sweep's journal meanwhile, and nobody else opens the test."""
    if not journal_exists(folder):
        yield
        return
    lock = FolderLock(folder)
    try:
        yield
    finally:
        lock.release()


def _record(folder: Path, champion: Champion) -> Mapping[str, Any] | None:
    """What was written down of these weights' test."""
    weights = digest(champion.folder / WEIGHTS)
    return next((test for test in openings(folder) if test["weights"] == weights), None)


def _dataset(folder: Path, data: str | None) -> Dataset:
    about = read_json(folder / "sweep.json")["data"]
    if about.get("address_withheld") and not data:
        raise ValueError(
            f"the photographs came from {about['source']} by an address with a password, a key or "
            "a signature, which is not kept; give it again by --data"
        )
    dataset = find_dataset(data or about["source"])
    if dataset.fingerprint != about["fingerprint"]:
        place = without_secrets(data or about["source"])
        raise ValueError(f"the photographs in {place} are not those of the sweep")
    return dataset


def _open(
    folder: Path, champion: Champion, dataset: Dataset, *, reason: str | None, number: int
) -> Mapping[str, Any]:
    """Looks for copies, tests, and writes the record.

    The tables are on the disk before it, under names that `_settle` changes: a kill loses neither.
    """
    if dataset.test is None:
        raise ValueError(f"no test photographs beside {dataset.train_dir}")
    leaks = find_leaks(dataset, champion.image_size)
    predictions = predict_test(champion, dataset)
    if (champion.folder / "reference" / WEIGHTS).exists():
        reference = predict_test(
            read_champion(champion.folder / "reference", champion.family), dataset
        )
        predictions["reference_predicted"] = reference["predicted"]
    predictions.to_csv(_unsettled(champion, PREDICTIONS), index=False)
    leaks.to_csv(_unsettled(champion, LEAKS), index=False)
    correct, n = int((predictions["label"] == predictions["predicted"]).sum()), len(predictions)
    low, high = wilson_interval(correct, n)
    return _write_down(
        folder,
        {
            "champion": champion.trial_id,
            "weights": digest(champion.folder / WEIGHTS),
            "number": number,
            "reason": reason,
            "test_acc": correct / n,
            "test_low": low,
            "test_high": high,
            "test_correct": correct,
            "test_n": n,
            **_by_class(predictions, champion),
            "leaks": {kind: int((leaks["kind"] == kind).sum()) for kind in ("exact", "near")},
        },
    )


def _by_class(predictions: pd.DataFrame, champion: Champion) -> dict[str, float]:
    """What tells more than the accuracy where classes are uneven, and the loss if it was chosen by.

    As scikit-learn's balanced_accuracy_score and f1_score(average="macro").
    """
    labels, predicted = predictions["label"], predictions["predicted"]
    found_by_class = (labels[labels == predicted], labels, predicted)
    counts = [
        of.value_counts().reindex(champion.classes, fill_value=0).tolist() for of in found_by_class
    ]
    balanced_acc, f1 = class_means(torch.tensor(counts, dtype=torch.float64))
    found = {"test_balanced_acc": float(balanced_acc), "test_f1": float(f1)}
    if champion.metric.name == "val_loss":
        smallest = torch.finfo(torch.float32).tiny  # of a probability that is no longer 0
        found["test_loss"] = float(
            -np.log(predictions["label_probability"].clip(lower=smallest)).mean()
        )
    return found


def _settle(champion: Champion) -> None:
    """Gives the tables of these weights' test, which is written down, their names."""
    for name in (PREDICTIONS, LEAKS):
        new = _unsettled(champion, name)
        if new.exists():
            new.replace(champion.folder / name)


def _unsettled(champion: Champion, name: str) -> Path:
    """What a table is called until its test is written down: after the weights that were tested.

    Another champion of this folder never takes it for its own.
    """
    weights = digest(champion.folder / WEIGHTS)
    return champion.folder / f"{name}.{weights[:16] if weights else 'none'}.new"


def _write_down(folder: Path, record: dict[str, Any]) -> Mapping[str, Any]:
    """The record as it stands in the journal, or without one in metrics.json."""
    if journal_exists(folder):
        journal = Journal(folder)
        written = journal.append("tested", **record)
        journal.close()
        return written
    path = folder / "champion" / "metrics.json"
    record = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **record}
    write_json(path, read_metrics(path.parent) | {"openings": [*openings(folder), record]})
    return record


def predict_test(champion: Champion, dataset: Dataset) -> pd.DataFrame:
    """A row for each test photograph, in the order of the data set.

    Columns: file, label, the GUESSES as far as there are classes, confidence (the probability of
    the first, 0 to 1) and label_probability (that of the true class).
    """
    data = CustomDataModule(
        dataset.train_dir,
        image_size=champion.image_size,
        batch_size=evaluation_batch(champion.image_size, "cpu"),
        dataset=dataset,
        layout=safe_layout(champion.family),
    )
    batches = data.test_dataloader()
    assert dataset.test is not None  # or test_dataloader had raised
    model = champion.model()
    torch.set_num_threads(cores())  # in a Ray job it has one
    number, num = len(dataset.test.files), 0
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    with torch.no_grad(), Progress("testing", number, "photo") as progress:
        for images, of_batch in batches:  # all scores of many photographs would fill the memory
            scores = model(images)
            num += int((~scores.isfinite().all(1)).sum())
            probabilities = scores.softmax(1)
            best = probabilities.topk(min(len(GUESSES), len(champion.classes)), dim=1)
            of_label = probabilities.gather(1, of_batch[:, None])[:, 0]
            parts.append((best.indices, best.values[:, 0], of_label))
            progress.update(len(images))
    if num:  # argmax would make them the first class
        raise ValueError(
            f"no test accuracy: the network in {champion.folder} has no finite outputs for {num} "
            f"of {number} test photographs; it {DIVERGED}, so train it anew"
        )
    likeliest, confidence, label_probability = map(torch.cat, zip(*parts, strict=True))
    guesses = {
        name: [champion.classes[index] for index in indices.tolist()]
        for name, indices in zip(GUESSES, likeliest.T, strict=False)
    }
    return pd.DataFrame(
        {
            "file": [str(file) for file in dataset.test.files],
            "label": [dataset.classes[label] for label in dataset.test.labels],
            **guesses,
            "confidence": confidence.tolist(),
            "label_probability": label_probability.tolist(),
        }
    )
