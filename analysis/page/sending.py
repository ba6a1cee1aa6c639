"""What the W&B run of a report says in its summary: champion, accuracies, verdicts."""

import re
from pathlib import Path

import pandas as pd

from analysis.reading.folder import SweepFolder, read_folder
from analysis.reading.place import Place
from analysis.reading.values import is_missing
from analysis.statistics.summary import champion_score, champion_value


def send(place: Place, report: Path, *, project: str) -> str:
    """Sends a written report to W&B; a line about where it is.

    Without an account it is kept with the sweep's own runs, or, where the sweep is in a bucket,
    with the report.
    """
    from cnnlib.tracking.report import send_report

    sweep = read_folder(place.folder)
    return send_report(
        report,
        folder=report if place.remote else place.folder,
        sweep=sweep.name,
        started=str(sweep.settings.get("started") or ""),
        project=project,
        summary=summary_of(sweep, pd.read_csv(report / "tables" / "claims.csv")),
    )


def summary_of(sweep: SweepFolder, claims: pd.DataFrame) -> dict[str, object]:
    """By W&B key; what is not known is left out."""
    score, best = champion_score(sweep), sweep.best
    found: dict[str, object] = {
        "champion": sweep.highlight,
        "val_acc": sweep.champion.get("val_acc", None if best is None else best.get("val_acc")),
        "num_trials": len(sweep.trials),
    }
    if sweep.measure.name != "val_acc":
        value = champion_value(sweep)
        reached = None if best is None else float(best[sweep.measure.name])
        found[sweep.measure.said] = reached if value is None else value
    if score is not None:
        low, high = score.interval
        found |= {"test_acc": score.value, "test_low": low, "test_high": high}
        found["test_n"] = score.n
    found |= {f"champion/{name}": value for name, value in sweep.champion.get("config", {}).items()}
    verdicts = zip(claims["claim"], claims["verdict"], strict=True)
    found |= {f"claims/{_key(claim)}": verdict for claim, verdict in verdicts}
    return {name: value for name, value in found.items() if not is_missing(value)}


def _key(sentence: str) -> str:
    """The sentence in characters by which W&B sorts and filters."""
    return re.sub("[^a-z0-9]+", "_", sentence.lower()).strip("_")
