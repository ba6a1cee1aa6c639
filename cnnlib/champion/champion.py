"""The winner of a sweep: its weights and what to know of them."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cnnlib.champion.model_card import card
from cnnlib.champion.torch_export import PROGRAM, export, preprocessing
from cnnlib.journal.finals import Finals
from cnnlib.journal.scores import SeedScores, mean_interval, standard_error
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.families import check_here, family_of, written_down
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.networks.saved import WEIGHTS, configuration, with_weights
from cnnlib.networks.saved_files import (
    DamagedError,
    check_pair,
    metric_of,
    network_folder,
    read_classes,
    read_config,
)
from cnnlib.networks.summary import scorer, summary
from cnnlib.photos.dataset import Dataset
from cnnlib.photos.levels import UNKNOWN, Levels
from cnnlib.storage.files import digest, replaced
from cnnlib.storage.json_file import read_json, write_json
from cnnlib.storage.training_files import BEST, check_epoch
from cnnlib.system.redaction import named
from cnnlib.system.units import short

PREDICTIONS = "test_predictions.csv"


@dataclass(frozen=True)
class Champion:
    """A trained network and where it came from; `folder` is its own."""

    folder: Path
    trial_id: str
    config: Configuration
    classes: tuple[str, ...]
    image_size: int
    epoch: int  # after which these weights were kept
    val_acc: float | None  # what it is of follows from the origin: MEANINGS
    origin: str = "search"
    seed: int | None = None  # of the training of these weights, where it is not the sweep's
    levels: Levels = UNKNOWN  # what is white in photographs of more than 8 bits
    weights: str | None = None  # digest of its weights, where config.json says it
    family: Family = CNN  # the kind of network
    metric: Metric = VAL_ACC  # that it was chosen by
    value: float | None = None  # of that metric; None: it is val_acc

    @property
    def said(self) -> str:
        """Its validation accuracy, or what else it was chosen by and then its accuracy too."""
        parts = [] if self.value is None else [f"{self.metric.said} {self.value:.3f}"]
        if self.val_acc is not None and (not parts or self.metric.name != VAL_ACC.name):
            parts.append(f"val_acc {self.val_acc:.3f}")
        return ", ".join(parts)

    def model(self) -> Any:
        """The network with its trained weights, ready to predict.

        FileNotFoundError without them, DamagedError where they do not fit, are not finite or are
        those of another champion.
        """
        model = self.with_weights(self.folder / WEIGHTS)
        check_pair(self.folder, self.weights)
        return model

    def with_weights(self, path: Path) -> Any:
        """The network with the weights in another file."""
        check_here(self.family, None, self.folder)
        return with_weights(
            self.family.build,
            self.config,
            num_classes=len(self.classes),
            image_size=self.image_size,
            path=path,
            device="meta" if self.family.digest is None else "cpu",
        )


MEANINGS = {
    "search": "of these weights, the best epoch of the best trial of a search: picked because it "
    "came out high, so it is expected to be a little lucky",
    "final": "the mean over new seeds; these weights are those of the best seed",
    "retrained": "the mean over new seeds of networks that learnt from the training photographs "
    "alone; these weights learnt from the validation photographs too, with the median of the "
    "epochs found, and nothing but a test can measure them",
    "train": "of these weights, the best epoch of one training",
}


def make_champion(
    sweep_folder: Path,
    best: pd.Series,
    dataset: Dataset,
    image_size: int,
    finals: Finals | None = None,
    *,
    family: Family = CNN,
    metric: Metric = VAL_ACC,
    retrained: bool = True,
    exported: bool = True,
) -> Champion:
    """Writes <sweep>/champion/: who won the finals, or where none did the best of the search.

    `retrained` takes weights trained on all photographs where there are any. Without `exported`
    model.pt2 is left out. DamagedError where the weights are not whole or not finite: then the
    champion of before stays as it was.
    """
    folder = sweep_folder / "champion"
    path = sweep_folder / "sweep.json"
    about = read_json(path) if path.exists() else {}
    winner = finals.winner if finals else None
    taken: list[tuple[Champion, Path, dict[str, Any]]]  # with weights, and what was measured
    if finals is None or winner is None:
        found = _best_of_search(sweep_folder, best, dataset, image_size, family, metric)
        taken = [(*found, {})]
    else:
        entrant = partial(_entrant, sweep_folder, finals, dataset, image_size, retrained=retrained)
        places = [(winner, folder), (finals.reference, folder / "reference")]
        taken = [(*entrant(s, p), _measured(s, finals.scores)) for s, p in places if s]
    for champion, weights, _ in taken:
        _check(champion, weights)
    _remove_earlier(folder)
    for champion, weights, metrics in taken:
        _copy(weights, champion.folder / WEIGHTS)
        _write_facts(champion, about, metrics)
    if finals and winner:
        pd.DataFrame(finals.rows()).to_csv(folder / "finals.csv", index=False)
    champion, _, metrics = taken[0]
    write_champion(champion, about=about, metrics=metrics, exported=exported)
    _bring_back(folder)
    return champion


def _check(champion: Champion, weights: Path) -> None:
    """Raises where these weights cannot be the champion's: torn, of another epoch, not finite."""
    check_epoch(weights, champion.epoch)
    try:
        champion.with_weights(weights)
    except DamagedError as error:
        remedy = "take it from a copy, or train its configuration again by jobs/train.py"
        raise DamagedError(weights, error.fault, remedy) from None


def _remove_earlier(folder: Path) -> None:
    """What an earlier champion of this sweep had and this one may not have.

    Its predictions are kept under a name that tells its weights: before those are replaced.
    """
    folder.mkdir(exist_ok=True)
    predictions = folder / PREDICTIONS
    if predictions.exists() and (weights := digest(folder / WEIGHTS)):
        predictions.rename(_kept(predictions, weights))
    for name in ("finals.csv", PROGRAM, "summary.txt", "MODEL_CARD.md"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "reference", ignore_errors=True)


def _bring_back(folder: Path) -> None:
    """The predictions of these weights, where they were champion before."""
    predictions, weights = folder / PREDICTIONS, digest(folder / WEIGHTS)
    if weights and (kept := _kept(predictions, weights)).exists():
        kept.rename(predictions)


def _kept(predictions: Path, weights: str) -> Path:
    return predictions.with_stem(f"{predictions.stem}-{weights[:8]}")


def _best_of_search(
    sweep_folder: Path,
    best: pd.Series,
    dataset: Dataset,
    image_size: int,
    family: Family,
    metric: Metric,
) -> tuple[Champion, Path]:
    """The best trial, and where its weights are."""
    champion = Champion(
        folder=sweep_folder / "champion",
        trial_id=best["trial_id"],
        config=family.configuration(
            {n: best[n] for n in hyperparameters(family.config) if not pd.isna(best.get(n))}
        ),
        family=family,
        classes=dataset.classes,
        levels=dataset.levels,
        image_size=image_size,
        epoch=int(best["best_epoch"]),
        val_acc=None if pd.isna(best.get("val_acc")) else float(best["val_acc"]),
        metric=metric,
        value=float(best[metric.name]),
    )
    return champion, sweep_folder / "checkpoints" / champion.trial_id / BEST


def _entrant(
    sweep_folder: Path,
    finals: Finals,
    dataset: Dataset,
    image_size: int,
    candidate: SeedScores,
    folder: Path,
    *,
    retrained: bool,
) -> tuple[Champion, Path]:
    """One of the finals, and where its weights are."""
    taken = finals.taken(sweep_folder, candidate, retrained=retrained)
    champion = Champion(
        folder=folder,
        trial_id=candidate.trial_id,
        config=finals.config(candidate.trial_id),
        family=finals.ledger.terms.family,
        classes=dataset.classes,
        levels=dataset.levels,
        image_size=image_size,
        epoch=taken.epoch,
        val_acc=candidate.val_acc,
        metric=candidate.metric,
        value=candidate.mean,
        origin=taken.origin,
        seed=taken.seed,
    )
    return champion, taken.folder / BEST


def _copy(weights: Path, place: Path) -> None:
    def copy(part: Path) -> None:
        shutil.copyfile(weights, part)

    replaced(place, copy)


def _measured(candidate: SeedScores, table: Sequence[SeedScores]) -> dict[str, Any]:
    """What the finals say of one of them."""
    accs = [final.val_acc for final in candidate.finals]
    is_val_acc = candidate.metric.name == VAL_ACC.name
    return {
        "search_val_acc" if is_val_acc else "search_value": candidate.search,
        "luck": candidate.luck,
        "finals": {
            "seeds": [final.seed for final in candidate.finals],
            "val_accs": [acc for acc in accs if acc is not None],
            **({} if is_val_acc else {"values": candidate.values}),
            "sd": candidate.sd,
            "standard_error": standard_error(candidate, table),
            "interval": mean_interval(candidate, table),
        },
    }


def write_champion(
    champion: Champion,
    *,
    about: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    exported: bool = True,
) -> None:
    """Writes what to know of the weights in the champion's folder, beside them.

    `about` is what sweep.json says of data and versions, `metrics` is measured beside val_acc.
    """
    _write_facts(champion, about or {}, metrics or {})
    folder, model = champion.folder, champion.model()
    write_json(folder / "preprocessing.json", preprocessing(champion.image_size, champion.levels))
    table = summary(scorer(model), champion.image_size)
    (folder / "summary.txt").write_text(table + "\n", encoding="utf-8")
    if exported:
        _export(model, champion)
    write_card(champion)


def _export(model: Any, champion: Champion) -> None:
    """Writes model.pt2; of a user's own network only where torch.export takes it."""
    path, size = champion.folder / PROGRAM, champion.image_size
    try:
        known = read_json(champion.folder / "config.json").get("pretrained")
        about: dict[str, Any] = {"image_size": size, "pretrained": known}
        export(model, champion.classes, path, champion.levels, **about)
    except Exception as error:
        if champion.family.digest is None or isinstance(error, OSError):
            raise
        said = short(named(error), 200)
        logging.getLogger(__name__).warning("no %s, torch.export refuses it: %s", PROGRAM, said)


def _write_facts(champion: Champion, about: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """classes.json, metrics.json and config.json: all that `read_champion` needs.

    The last tells the weights that all of it belongs to: see `check_pair`.
    """
    config = {
        "trial_id": champion.trial_id,
        **written_down(champion.family),
        "config": asdict(champion.config),
        "image_size": champion.image_size,
        "epoch": champion.epoch,
        "val_acc": champion.val_acc,
        "val_acc_is": MEANINGS[champion.origin],
        **_metric(champion),
        "origin": champion.origin,
        "seed": champion.seed,
        "levels": asdict(champion.levels),
        "weights": digest(champion.folder / WEIGHTS),
        **_pretrained(champion),
        **{name: about[name] for name in ("name", "data", "versions", "commit") if name in about},
    }
    write_json(champion.folder / "classes.json", list(champion.classes))
    measured = {
        "val_acc": champion.val_acc,
        "val_acc_is": MEANINGS[champion.origin],
        **_metric(champion),
        **metrics,
    }
    write_json(champion.folder / "metrics.json", measured)
    write_json(champion.folder / "config.json", config)


def _metric(champion: Champion) -> dict[str, Any]:
    """What it was chosen by and what it has of that, where that is not the validation accuracy."""
    if champion.metric == VAL_ACC:
        return {}
    return {"metric": asdict(champion.metric) | {"value": champion.value}}


def _pretrained(champion: Champion) -> dict[str, Any]:
    """Where the weights began, if they began anywhere, and how many of them trained."""
    said: dict[str, Any] = {}
    if origin := champion.family.origin:
        said["pretrained"] = dict(origin(champion.config))
    if champion.family.face:  # a network of a user's may not tell
        with torch.device("meta"):
            sizes = len(champion.classes), champion.image_size
            model: Any = champion.family.build(champion.config, *sizes)
        said["parameters"] = dict(zip(("all", "trained"), model.num_parameters, strict=True))
    return said


def read_champion(folder: str | Path, family: Family | None = None) -> Champion:
    """The champion of a sweep's folder, or of its own; FileNotFoundError where there is none.

    `family` is a network of the user's own that the champion may be of; nothing is imported
    because the folder names it. DamagedError where a file of it is not what it should be.
    """
    own = network_folder(folder)
    content = read_config(own, "trial_id", "config", "image_size", "epoch", "val_acc")
    asked, family = family, family_of(content, family)
    if asked is not None:
        check_here(family, asked, own)
    return Champion(
        folder=own,
        trial_id=str(content["trial_id"]),
        config=configuration(own, content, family.config),
        classes=read_classes(own),
        image_size=content["image_size"],
        epoch=content["epoch"],
        val_acc=content["val_acc"],
        origin=content.get("origin", "search"),
        seed=content.get("seed"),
        levels=Levels(**content.get("levels", {})),
        weights=content.get("weights"),
        family=family,
        metric=metric_of(content),
        value=content.get("metric", {}).get("value"),
    )


def write_card(champion: Champion) -> None:
    """Writes MODEL_CARD.md, from what the other files of the folder say now."""
    (champion.folder / "MODEL_CARD.md").write_text(card(champion.folder), encoding="utf-8")
