"""Optuna's storages: a SQLite file, or a journal of one JSON object a line.

Both are read as Optuna 4 and 5 write them, without Optuna. A category is stored as its number in
a distribution; states and directions are stored by name in SQLite and as numbers in journals.
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.reading.tools.search import CONFIG, Search
from cnnlib.system.units import short

STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
GOALS = {"MAXIMIZE": "maximize", "MINIMIZE": "minimize", 2: "maximize", 1: "minimize"}
INFINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


@dataclass
class Trial:
    """One trial of a study."""

    state: str = "RUNNING"
    started: str | None = None
    ended: str | None = None
    params: dict[str, object] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    steps: dict[int, float] = field(default_factory=dict)


@dataclass
class Study:
    """A study: what it optimises, and its trials in order of their numbers."""

    name: str
    goals: list[str]
    trials: list[Trial] = field(default_factory=list)


def read_database(path: Path, name: str | None = None) -> Search:
    """The study of a SQLite file; ValueError where it holds none of this name, or several."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return _search(path, _chosen(path, list(_studies(database)), name))
    except sqlite3.Error as error:
        raise ValueError(f"{path}: no storage of Optuna's ({error})") from None


def _studies(database: sqlite3.Connection) -> Iterator[Study]:
    ask = database.execute
    studies = ask("SELECT study_id, study_name FROM studies ORDER BY study_id").fetchall()
    for number, name in studies:
        goals = ask(
            "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective",
            (number,),
        )
        study = Study(name, [GOALS.get(goal, "") for (goal,) in goals])
        rows = ask(
            "SELECT trial_id, state, datetime_start, datetime_complete FROM trials"
            " WHERE study_id = ? ORDER BY number",
            (number,),
        ).fetchall()
        for trial_id, *told in rows:
            trial = Trial(*told)
            for key, value, distribution in ask(
                "SELECT param_name, param_value, distribution_json FROM trial_params"
                " WHERE trial_id = ? ORDER BY param_id",
                (trial_id,),
            ):
                trial.params[key] = _external(value, distribution)
            trial.values = [
                INFINITE.get(kind, value)
                for value, kind in ask(
                    "SELECT value, value_type FROM trial_values WHERE trial_id = ?"
                    " ORDER BY objective",
                    (trial_id,),
                )
            ]
            for step, value, kind in ask(
                "SELECT step, intermediate_value, intermediate_value_type FROM"
                " trial_intermediate_values WHERE trial_id = ?",
                (trial_id,),
            ):
                trial.steps[step] = INFINITE.get(kind, value)
            study.trials.append(trial)
        yield study


def read_journal(path: Path, name: str | None = None) -> Search:
    """The study of a journal file; a last line that a kill tore is passed over."""
    studies: list[Study | None] = []
    trials: list[Trial] = []
    lines = path.read_text("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            _apply(json.loads(line), studies, trials)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}: line {number} is no entry of Optuna's ({error})") from None
    return _search(path, _chosen(path, [study for study in studies if study], name))


def _apply(entry: dict[str, Any], studies: list[Study | None], trials: list[Trial]) -> None:
    """One line of the journal; what is not about trials is passed over."""
    match entry["op_code"]:
        case 0:
            goals = [GOALS.get(goal, "") for goal in entry["directions"]]
            studies.append(Study(entry["study_name"], goals))
        case 1:
            studies[entry["study_id"]] = None
        case 4:
            trial = Trial(
                STATES[entry.get("state", 0)], entry.get("datetime_start"),
                entry.get("datetime_complete"),
            )  # fmt: skip
            distributions = entry.get("distributions") or {}
            for key, value in (entry.get("params") or {}).items():
                trial.params[key] = _external(value, distributions[key])
            trial.values = _values(entry)
            steps = entry.get("intermediate_values") or {}
            trial.steps = {int(step): float(value) for step, value in steps.items()}
            study = studies[entry["study_id"]]
            assert study is not None
            trials.append(trial)
            study.trials.append(trial)
        case 5:
            value, distribution = entry["param_value_internal"], entry["distribution"]
            trials[entry["trial_id"]].params[entry["param_name"]] = _external(value, distribution)
        case 6:
            trial = trials[entry["trial_id"]]
            trial.state = STATES[entry["state"]]
            trial.started = entry.get("datetime_start", trial.started)
            trial.ended = entry.get("datetime_complete", trial.ended)
            trial.values = _values(entry) or trial.values
        case 7:
            value = float(entry["intermediate_value"])
            trials[entry["trial_id"]].steps[int(entry["step"])] = value


def _values(entry: dict[str, Any]) -> list[float]:
    known = entry.get("values")
    if known is None:
        known = [] if entry.get("value") is None else [entry["value"]]
    return [float(value) for value in known]


def _external(value: float, distribution: str) -> object:
    """A stored number as the value that the trial was given."""
    about = json.loads(distribution)
    attributes = about["attributes"]
    if "choices" in attributes:
        choice = attributes["choices"][int(value)]
        return str(choice) if isinstance(choice, list | dict) else choice
    return int(value) if about["name"].startswith("Int") else float(value)


def _chosen(path: Path, studies: Sequence[Study], name: str | None) -> Study:
    names = [study.name for study in studies]
    if name is not None and name not in names:
        raise ValueError(f"--study: {path} has {short(', '.join(names), 300)}, not {short(name)}")
    if name is None and len(studies) != 1:
        has = f"several studies, {short(', '.join(names), 300)}: --study NAME says which"
        raise ValueError(f"{path} holds {has if studies else 'no study'}")
    return studies[names.index(name) if name is not None else 0]


def _search(path: Path, study: Study) -> Search:
    """A row a trial that began, named as in trials_dataframe; `value` is what is optimised."""
    if len(study.goals) != 1:
        raise ValueError(f"{path}: {study.name} has {len(study.goals)} objectives; one is compared")
    rows, steps = [], []
    for number, trial in enumerate(study.trials):
        if trial.state == "WAITING":
            continue
        row: dict[str, object] = {"ID": str(number), "state": trial.state}
        row |= {"datetime_start": trial.started, "duration": _seconds(trial)}
        row |= {f"{CONFIG}{name}": value for name, value in trial.params.items()}
        if trial.values:
            row["value"] = trial.values[0]
        rows.append(row)
        steps += [(str(number), step, value) for step, value in sorted(trial.steps.items())]
    history = pd.DataFrame(steps, columns=["id", "epoch", "value"])
    return Search(pd.DataFrame(rows), history, f"Optuna's study {study.name}", study.goals[0])


def _seconds(trial: Trial) -> float | None:
    if not trial.started or not trial.ended:
        return None
    begin, end = map(datetime.fromisoformat, (trial.started, trial.ended))
    return (end - begin).total_seconds()
