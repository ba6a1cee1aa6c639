"""Reads everything that a sweep's folder may hold for its report; knows the folder's file names."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.predictions import read_predictions
from cnnlib.config import is_off, told
from cnnlib.facts import read_classes, read_config, read_metrics
from cnnlib.results import CLASS_COLUMNS, Results, openings, read_results


@dataclass(frozen=True)
class SweepFolder:
    """A sweep as its folder tells it; what is missing is empty or None."""

    path: Path
    trials: pd.DataFrame
    """One row a trial, the highest val_acc first; val_acc is always there, maybe as NaN.

    The index tells the order in which the folder lists them.
    """
    epochs: pd.DataFrame
    hyperparameters: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    champion: dict[str, Any] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    model_summary: str = ""
    predictions: pd.DataFrame | None = None
    openings: list[dict[str, Any]] = field(default_factory=list)
    """Each time that the test photographs were opened."""
    leaks: pd.DataFrame | None = None
    """Test photographs that are copies of ones trained on; None where nobody looked."""
    class_recalls: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CLASS_COLUMNS))

    @property
    def name(self) -> str:
        """What the sweep is called."""
        return str(self.settings.get("name") or self.path.resolve().name)

    @property
    def best(self) -> pd.Series | None:
        """The trial with the highest validation accuracy."""
        known = self.trials[self.trials["val_acc"].notna()]
        return known.iloc[0] if len(known) else None

    @property
    def highlight(self) -> str | None:
        """The trial to point out: the champion's, or else the best."""
        champion = self.champion.get("trial_id")
        if champion is not None and (self.trials["trial_id"] == str(champion)).any():
            return str(champion)
        return None if self.best is None else str(self.best["trial_id"])

    @property
    def rungs(self) -> list[float]:
        """The epochs at which trials were stopped, as far as known."""
        return [at for at in self.settings.get("rungs") or [] if isinstance(at, int | float)]

    @property
    def role(self) -> str:
        """What the trial to point out is."""
        return "champion" if self.champion else "best trial"


def read_folder(path: Path) -> SweepFolder:
    """The sweep in `path`.

    FileNotFoundError without its tables, ValueError if a file is not what its name says.
    """
    results = read_results(path)
    champion = path / "champion"
    summary = champion / "summary.txt"
    predictions = champion / "test_predictions.csv"
    names = _used(results)
    about_champion = read_config(champion) if (champion / "config.json").exists() else {}
    if "config" in about_champion:
        about_champion["config"] = told(about_champion["config"], names)
    return SweepFolder(
        path=path,
        trials=_clean_trials(results.trials),
        epochs=_clean_epochs(results.epochs),
        hyperparameters=names,
        settings=_read_json(path / "sweep.json", dict),
        champion=about_champion,
        classes=list(read_classes(champion)) if (champion / "classes.json").exists() else [],
        metrics=read_metrics(champion) if (champion / "metrics.json").exists() else {},
        model_summary=summary.read_text("utf-8", "replace") if summary.exists() else "",
        predictions=read_predictions(predictions) if predictions.exists() else None,
        openings=openings(path),
        leaks=_read_leaks(champion / "leaks.csv"),
        class_recalls=results.class_recalls.assign(
            val_recall=_finite(results.class_recalls["val_recall"])
        ),
    )


def _read_leaks(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    return pd.read_csv(path, dtype=str, keep_default_na=False)  # a class may be called "NA"


def _used(results: Results) -> list[str]:
    """The hyperparameters without those parts of the recipe that no trial used."""
    columns = {name: results.trials[name].dropna() for name in results.hyperparameters}
    return [
        name
        for name, values in columns.items()
        if values.empty or not all(is_off(name, value) for value in values)
    ]


def _clean_trials(trials: pd.DataFrame) -> pd.DataFrame:
    table = trials.assign(trial_id=trials["trial_id"].astype(str))
    table["val_acc"] = _finite(table["val_acc"]) if "val_acc" in table else float("nan")
    if "status" in table:
        status = table["status"].astype(object)
        table["status"] = status.where(status.notna(), "unknown")
    table = table.reset_index(drop=True)
    return table.sort_values("val_acc", ascending=False, kind="stable")


def _clean_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """An infinite loss cannot be drawn, hence counts as not logged."""
    table = epochs.assign(trial_id=epochs["trial_id"].astype(str))
    for name in table.columns.drop("trial_id"):
        table[name] = _finite(table[name])
    return table.dropna(subset=["epoch"])


def _finite(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers))


def _read_json(path: Path, kind: type) -> Any:
    """The file's content, which must be of that kind; empty if there is no such file."""
    if not path.exists():
        return kind()
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(content, kind):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected a {kind.__name__}")
    return content
