"""Reads everything that a sweep's folder may hold for its report; knows the folder's file names."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.reading.columns import Choice, Columns, sort_columns, statuses
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.predictions import read_predictions
from analysis.reading.shapes import SETTINGS, read_mapping
from analysis.reading.values import varied
from cnnlib.journal.columns import CLASS_COLUMNS
from cnnlib.journal.events import journal_exists
from cnnlib.journal.tables import FIXED_TRIAL_COLUMNS, Results, openings, read_results
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.families import is_off, told
from cnnlib.networks.saved_files import WEIGHTS, check_pair, read_classes, read_config, read_metrics
from cnnlib.storage.csv_file import read_table
from cnnlib.storage.files import digest

logger = logging.getLogger(__name__)

MOST = 200
"""Hyperparameters that vary; each is compared with each, which is minutes from here on."""
LEAK_COLUMNS = ("test_file", "train_file", "kind", "similarity", "test_label", "train_label")


@dataclass(frozen=True)
class SweepFolder:
    """A sweep as its folder tells it; what is missing is empty or None."""

    path: Path
    trials: pd.DataFrame
    """One row a trial, the best first; the metric is always there, maybe as NaN.

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
    measure: Measure = ACCURACY
    """What trials are compared by."""

    @property
    def name(self) -> str:
        """What the sweep is called."""
        return str(self.settings.get("name") or self.path.resolve().name)

    @property
    def best(self) -> pd.Series | None:
        """The trial with the best value."""
        return self.measured.iloc[0] if len(self.measured) else None

    @property
    def measured(self) -> pd.DataFrame:
        """The trials that have a value of the metric."""
        return self.trials[self.trials[self.measure.name].notna()]

    @property
    def highlight(self) -> str | None:
        """The trial to point out: the champion's, or else the best."""
        champion = self.champion.get("trial_id")
        if champion is not None and (self.trials["trial_id"] == str(champion)).any():
            return str(champion)
        return None if self.best is None else str(self.best["trial_id"])

    @property
    def rungs(self) -> list[float]:
        """The epochs at which trials were stopped or paused, as far as known."""
        return [at for at in self.settings.get("rungs") or [] if isinstance(at, int | float)]

    @property
    def pauses(self) -> bool:
        """Whether trials pause at the rungs, of which the best go on, in place of stopping."""
        return self.settings.get("stopping") == "promote"

    @property
    def network(self) -> str:
        """The kind of network that was tuned."""
        return str(self.settings.get("network", CNN.name))

    @property
    def role(self) -> str:
        """What the trial to point out is."""
        return "champion" if self.champion else "best trial"


def read_folder(path: Path, choice: Choice | None = None) -> SweepFolder:
    """The sweep in `path`; `choice` says what the hyperparameters of a table from elsewhere are.

    FileNotFoundError without its tables, ValueError if a file is not what its name says.
    """
    settings = read_mapping(path / "sweep.json", SETTINGS)
    results = _sorted_out(path, read_results(path), settings, choice)
    champion = path / "champion"
    summary = champion / "summary.txt"
    network = settings.get("network", CNN.name)
    names = _used(results, network)
    about_champion = read_config(champion) if (champion / "config.json").exists() else {}
    check_pair(champion, about_champion.get("weights"))
    if "config" in about_champion:
        about_champion["config"] = told(about_champion["config"], names, network)
    tests = list(results.openings) if journal_exists(path) else openings(path)
    measure = Measure.of_metric(results.metric)
    return SweepFolder(
        path=path,
        trials=_clean_trials(results.trials, measure),
        epochs=_clean_epochs(results.epochs),
        hyperparameters=names,
        settings=settings,
        champion=about_champion,
        classes=list(read_classes(champion)) if (champion / "classes.json").exists() else [],
        metrics=read_metrics(champion) if (champion / "metrics.json").exists() else {},
        model_summary=summary.read_text("utf-8", "replace") if summary.is_file() else "",
        predictions=_predictions(champion, tests),
        openings=tests,
        leaks=_read_leaks(champion / "leaks.csv"),
        class_recalls=results.class_recalls.assign(
            val_recall=_finite(results.class_recalls["val_recall"])
        ),
        measure=measure,
    )


def _sorted_out(
    path: Path, results: Results, settings: dict[str, Any], choice: Choice | None
) -> Results:
    """The tables with hyperparameters alone beside the fixed columns.

    A journal says which they are, and so does sweep.json of what convert.py wrote; of a table from
    elsewhere it is told by the columns, and a line says what was taken for what.
    """
    if journal_exists(path):
        if choice and (choice.hyperparameters is not None or choice.drop):
            raise ValueError("--hyperparameters and --drop are for tables without a journal")
        return results
    trials, ours = results.trials, [*FIXED_TRIAL_COLUMNS, results.metric.name]
    stated = settings.get("hyperparameters")
    if stated is not None and not (choice and choice.hyperparameters is not None):
        known = tuple(name for name in stated if name in trials)
        choice = Choice(known, choice.drop if choice else ())
        columns = sort_columns(trials, choice, ours=ours)
    else:
        columns = sort_columns(trials, choice, ours=ours)
        for line in columns.lines():
            logger.warning("%s: %s", path / "trials.csv", line)
    num_varied = len(varied(trials, list(columns.hyperparameters)))
    if num_varied > MOST:
        raise ValueError(
            f"{path / 'trials.csv'}: {num_varied:,} hyperparameters vary, at most {MOST} are"
            " compared; --hyperparameters A,B says which"
        )
    return replace(results, trials=_kept(trials, columns, ours))


def _kept(trials: pd.DataFrame, columns: Columns, ours: list[str]) -> pd.DataFrame:
    """The fixed columns and the hyperparameters, these without their marks."""
    state = next((name for name in columns.own if name.lower() == "state"), None)
    if state is not None and "status" not in trials:
        trials = trials.assign(status=statuses(trials[state]))
    kept = [c for c in trials if c in ours or c in columns.hyperparameters]
    return trials[kept].rename(columns=columns.hyperparameters)


def _predictions(champion: Path, tests: list[dict[str, Any]]) -> pd.DataFrame | None:
    """The champion's predictions of the test photographs; None where they are not its own."""
    path = champion / "test_predictions.csv"
    if not path.exists():
        return None
    recorded = {test["weights"] for test in tests if isinstance(test.get("weights"), str)}
    weights = digest(champion / WEIGHTS)
    if recorded and weights and weights not in recorded:
        logger.warning("%s is of other weights than the champion's, and left out", path)
        return None
    return read_predictions(path)


def _read_leaks(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    table, _ = read_table(path, None)  # a class may be called "NA"
    missing = [name for name in LEAK_COLUMNS if name not in table]
    if missing:
        raise ValueError(f"{path}: column {missing[0]} is missing; remove the file")
    return table


def _used(results: Results, network: str) -> list[str]:
    """The hyperparameters without those parts of the recipe that no trial used."""
    columns = {name: results.trials[name].dropna() for name in results.hyperparameters}
    return [
        name
        for name, values in columns.items()
        if values.empty or not all(is_off(name, value, network) for value in values)
    ]


def _clean_trials(trials: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    table = trials.assign(trial_id=trials["trial_id"].astype(str))
    if measure.name not in table:
        table[measure.name] = float("nan")
    for name in {measure.name, "val_acc"} & {*table}:
        table[name] = _finite(table[name])
    if "status" in table:
        status = table["status"].astype(object)
        table["status"] = status.where(status.notna(), "unknown")
    table = table.reset_index(drop=True)
    return measure.sorted(table)


def _clean_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """An infinite loss cannot be drawn, hence counts as not logged."""
    table = epochs.assign(trial_id=epochs["trial_id"].astype(str))
    for name in table.columns.drop("trial_id"):
        table[name] = _finite(table[name])
    return table.dropna(subset=["epoch"])


def _finite(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers))
