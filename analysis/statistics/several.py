"""Several sweeps side by side: which there are, how their champions differ, what changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from analysis.reading.folder import SweepFolder, read_folder
from analysis.reading.measure import Measure
from analysis.reading.values import is_missing, shown
from analysis.statistics.claims import Claim, about
from analysis.statistics.comparison import compare
from analysis.statistics.differences import Difference, paired_difference, unpaired_difference
from analysis.statistics.regression import holm
from analysis.statistics.summary import Share, champion_score, count_epochs
from analysis.statistics.verdicts import Verdict, claims_table, judge
from cnnlib.journal.events import journal_exists
from cnnlib.system.redaction import one_line

SETTINGS = ("search", "trials", "max_epochs", "image_size", "seed", "patience", "rungs",
            "reduction_factor", "last_share", "commit", "command", "started")  # fmt: skip
PARTS = ("data", "space", "versions")  # settings of several parts


@dataclass(frozen=True)
class Duel:
    """Two champions on the test photographs, by the names of their sweeps."""

    first: str
    second: str
    difference: Difference
    p_adjusted: float

    @property
    def is_paired(self) -> bool:
        return self.difference.only_first is not None


@dataclass(frozen=True)
class Compared:
    """Sweeps with what each says of the claims, by name."""

    sweeps: dict[str, SweepFolder]
    verdicts: dict[str, list[Verdict]]
    duels: list[Duel]
    broken: list[str]
    """A line for each sub-folder that should be a sweep and cannot be read."""

    @property
    def scores(self) -> dict[str, Share]:
        """The champions that were tested, the most accurate first."""
        known = {name: champion_score(sweep) for name, sweep in self.sweeps.items()}
        tested = [(name, score) for name, score in known.items() if score is not None]
        return dict(sorted(tested, key=lambda entry: -entry[1].value))

    def claims_table(self) -> pd.DataFrame:
        """A row for each sweep and claim."""
        tables = [claims_table(verdicts) for verdicts in self.verdicts.values()]
        return pd.concat(tables, keys=list(self.verdicts), names=["sweep", ""]).reset_index("sweep")


def is_sweep(folder: Path) -> bool:
    """Whether the folder holds a journal or a table of trials."""
    return journal_exists(folder) or (folder / "trials.csv").is_file()


def sweeps_in(folder: Path) -> list[Path]:
    """The sub-folders that are sweeps, if the folder is none itself."""
    if is_sweep(folder) or not folder.is_dir():
        return []
    return sorted(sub for sub in folder.iterdir() if sub.is_dir() and is_sweep(sub))


def compare_sweeps(folders: Sequence[Path], claims: Sequence[Claim]) -> Compared:
    """The sweeps of these folders. Raises ValueError if fewer than two can be read."""
    sweeps, broken = {}, []
    for folder in folders:
        try:
            sweeps[folder.name] = read_folder(folder)
        except (ValueError, OSError) as error:
            broken.append(f"{folder.name} is left out: {one_line(error)}")
    if len(sweeps) < 2:
        one = "".join(f", report it: python analysis/report.py {s.path}" for s in sweeps.values())
        found = f"{folders[0].parent} holds {len(sweeps) or 'no'} sweep that can be read{one}"
        raise ValueError("; ".join([*broken, found]))
    verdicts = {
        name: judge(about(claims, sweep.network), compare(sweep)) for name, sweep in sweeps.items()
    }
    return Compared(sweeps, verdicts, _duels(sweeps), broken)


def _duels(sweeps: dict[str, SweepFolder]) -> list[Duel]:
    """Each pair of champions that were tested, with p-values corrected for all pairs."""
    pairs = []
    for first, second in combinations(sweeps, 2):
        difference = _difference(sweeps[first], sweeps[second])
        if difference is not None:
            pairs.append((first, second, difference))
    adjusted = holm(np.array([difference.p_value for *_, difference in pairs]))
    return [Duel(*pair, float(p)) for pair, p in zip(pairs, adjusted, strict=True)]


def _difference(first: SweepFolder, second: SweepFolder) -> Difference | None:
    scores = champion_score(first), champion_score(second)
    if scores[0] is None or scores[1] is None:
        return None
    same = _on_same_photographs(first, second)
    if same is not None:
        return paired_difference(*same)
    return unpaired_difference(*((score.count, score.n) for score in scores if score))


def _on_same_photographs(
    first: SweepFolder, second: SweepFolder
) -> tuple[np.ndarray, np.ndarray] | None:
    """Which photographs each champion is right about, in one order; None if they differ."""
    prints = [_data(sweep).get("fingerprint") for sweep in (first, second)]
    tables = [sweep.predictions for sweep in (first, second)]
    if tables[0] is None or tables[1] is None or prints[0] != prints[1]:
        return None
    one, other = (_by_photograph(table) for table in tables if table is not None)
    if not (one.index.is_unique and other.index.is_unique and set(one.index) == set(other.index)):
        return None
    return one.to_numpy(bool), other.loc[one.index].to_numpy(bool)


def _by_photograph(predictions: pd.DataFrame) -> pd.Series:
    """Whether each was right, by its class and its path from the class's folder.

    The folders above may be another machine's.
    """
    names = predictions["file"].map(lambda file: PurePath(file.replace("\\", "/")).parts[-2:])
    index = pd.MultiIndex.from_arrays([predictions["label"], names.map("/".join)])
    return predictions["correct"].set_axis(index)


def _data(sweep: SweepFolder) -> dict[str, object]:
    stated = sweep.settings.get("data")
    return stated if isinstance(stated, dict) else {}


def overview(compared: Compared) -> pd.DataFrame:
    """A row for each sweep: trials, the best of them, the test, effort."""
    rows = []
    for name, sweep in compared.sweeps.items():
        score, epochs = champion_score(sweep), count_epochs(sweep)
        low, high = score.interval if score else (None, None)
        seconds = sweep.settings.get("seconds")
        rows.append(
            {
                "sweep": name,
                "network": sweep.network,
                "search": sweep.settings.get("search"),
                "trials": len(sweep.trials),
                **_bests(sweep, None if common(compared) else sweep.measure),
                "champion": sweep.champion.get("trial_id"),
                "test_acc": score and score.value,
                "test_low": low,
                "test_high": high,
                "test_n": score and score.n,
                "parameters": _parameters(sweep, "all"),
                "trained": _parameters(sweep, "trained"),
                "epochs trained": epochs and epochs.trained,
                "hours": seconds / 3600 if isinstance(seconds, int | float) else None,
                "trial hours": _trial_hours(sweep),
            }
        )
    return pd.DataFrame(rows)


def common(compared: Compared) -> Measure | None:
    """What all these sweeps are compared by; None where they are not compared by the same."""
    measures = {sweep.measure for sweep in compared.sweeps.values()}
    return measures.pop() if len(measures) == 1 else None


def _bests(sweep: SweepFolder, own: Measure | None) -> dict[str, object]:
    """How many trials have a value, and the best; with the metric where it is the sweep's `own`."""
    name = sweep.measure.said if own is None else "a value"
    best = None if sweep.best is None else sweep.best[sweep.measure.name]
    told: dict[str, object] = {} if own is None else {"metric": own.said}
    told |= {f"with {name}": len(sweep.measured)}
    told |= {f"best {'' if own else name}".strip(): best}
    if sweep.measure.name != "val_acc" and sweep.best is not None:
        told["its val_acc"] = sweep.best.get("val_acc")
    return told


def duels_table(duels: Sequence[Duel]) -> pd.DataFrame:
    """The pairs as the comparison's table."""
    rows = [
        (d.first, d.second, d.difference.effect, d.difference.low, d.difference.high,
         d.p_adjusted, d.is_paired, d.difference.only_first, d.difference.only_second)
        for d in duels
    ]  # fmt: skip
    columns = ["first", "second", "effect", "low", "high", "p_adjusted", "same_photographs",
               "only_first_right", "only_second_right"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _parameters(sweep: SweepFolder, which: str) -> int | None:
    """How many the champion's network has, or of those how many trained, where it says so."""
    said = sweep.champion.get("parameters")
    number = said.get(which) if isinstance(said, dict) else None
    return number if isinstance(number, int) else None


def _trial_hours(sweep: SweepFolder) -> float | None:
    seconds = sweep.trials.get("seconds")
    if seconds is None or seconds.isna().all():
        return None
    return float(pd.to_numeric(seconds, errors="coerce").sum()) / 3600


def settings_table(compared: Compared) -> pd.DataFrame:
    """How each sweep was run as text: a row for each setting, a column for each sweep."""
    columns = {}
    for name, sweep in compared.sweeps.items():
        column = {key: sweep.settings.get(key) for key in SETTINGS}
        for part in PARTS:
            stated = sweep.settings.get(part)
            for key, value in (stated if isinstance(stated, dict) else {}).items():
                column[f"{part}: {key}"] = _values(value) if part == "space" else value
        columns[name] = column
    return _as_text(columns)


def champion_table(compared: Compared) -> pd.DataFrame:
    """Each champion's, or else best trial's, configuration as text: a column for each sweep."""
    columns = {}
    for name, sweep in compared.sweeps.items():
        config = sweep.champion.get("config")
        if not isinstance(config, dict):
            config = {} if sweep.best is None else sweep.best[sweep.hyperparameters].to_dict()
        columns[name] = config
    return _as_text(columns)


def _values(space: object) -> object:
    """What a hyperparameter may be: the values, or from where to where."""
    return space["values"] if isinstance(space, dict) and "values" in space else space


def _as_text(columns: dict[str, dict[str, object]]) -> pd.DataFrame:
    names = list(dict.fromkeys(key for column in columns.values() for key in column))
    cells = {
        sweep: [shown(column.get(name), 6) for name in names] for sweep, column in columns.items()
    }
    table = pd.DataFrame(cells, index=pd.Index(names, name="setting"))
    known = [any(not is_missing(c.get(name)) for c in columns.values()) for name in names]
    return table[pd.Series(known, table.index, dtype=bool)]


def that_differ(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in which not all sweeps say the same."""
    return table[table.nunique(axis=1) > 1]
