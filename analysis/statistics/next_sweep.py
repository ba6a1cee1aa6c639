"""What to try next: values to drop, values beyond the edge, and the sweep file that says so."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from analysis.reading.folder import SweepFolder
from analysis.reading.values import numbers_of, shown
from analysis.statistics.comparison import Comparison
from analysis.statistics.course import Course
from analysis.statistics.effects import (
    MIN_TRIALS,
    SIGNIFICANT,
    Effects,
    best_value,
    effects_against,
)
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.families import family_of
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, Value, hyperparameters
from cnnlib.search.space import num_configurations
from cnnlib.search.sweep_file import sweep_from_mapping

MAX_CHOICES = 6  # more numbers than this are searched as a range
MIN_CAP, TRIALS_A_VALUE = 20, 3
MOST_NAMED = 5
OWN = ("max_epochs", "image_size")  # of the sweep, whatever its network is
HEAD = """\
# What the report suggests to search next, and report.md says why.
# python jobs/tune.py --sweep next_sweep.yaml --data ...{flags}
"""


@dataclass(frozen=True)
class Suggestion:
    """Sentences of advice, and the sweep file that follows it; empty where none would run here."""

    sentences: list[str]
    yaml: str


def suggest(
    sweep: SweepFolder, course: Course, effects: Effects, pairs: pd.DataFrame
) -> Suggestion:
    """What these trials make worth trying.

    Only hyperparameters and values that this package knows go into the sweep file; of the others
    a sentence says that they are missing there.
    """
    sentences: list[str] = []
    parameters: dict[str, Any] = {}
    unknown: list[str] = []
    choosable = hyperparameters(_family(sweep).config)
    sure = pairs[pairs["p_adjusted"] <= SIGNIFICANT]
    for name in sweep.hyperparameters:
        kept = known = sweep.trials[name].dropna()
        if effects.p_values.get(name, 1.0) <= SIGNIFICANT:
            partners = {p.second if p.first == name else p.first for p in sure.itertuples()
                        if name in (p.first, p.second)}  # fmt: skip
            kept, reasons = _without_dead(name, known, course, effects, partners)
            further, edge = _beyond(name, course.comparison, effects, sweep)
            kept = pd.concat([kept, pd.Series(further, dtype=object)])
            sentences += reasons + edge
        if name in choosable:
            entry, missing = _entry(choosable[name], kept, sweep, has_all=len(kept) == len(known))
            parameters |= entry
            unknown += [f"{name} {shown(value)}" for value in missing]
        elif name not in (*OWN, *course.comparison.determined) and not known.empty:
            unknown.append(name)
    sentences += _pair_sentences(sure)
    if not sentences:
        sentences = [
            "Nothing suggests itself: no value is surely worse than another, and none that is"
            " surely better lies at the edge of what was tried. More trials of the same space"
            " would tell more."
        ]
    text = _file(sweep, parameters)
    if text and unknown:
        more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
        sentences.append(
            f"The sweep file leaves out what this package does not know:"
            f" {', '.join(unknown[:MOST_NAMED])}{more}."
        )
    return Suggestion(sentences, text)


def _without_dead(
    name: str, known: pd.Series, course: Course, effects: Effects, partners: set[str]
) -> tuple[pd.Series, list[str]]:
    """The values of trials less those that are surely worse than the best, and a sentence.

    Worse at the end: one that is behind at the first rung may be ahead there, so where nobody
    knows nothing is dropped. Nor is one that is the better with some value of a hyperparameter that
    this one depends on.
    """
    comparison, measure = course.comparison, course.comparison.measure
    best = best_value(effects, name)
    rows = effects_against(comparison, effects, name, best)
    least = measure.negligible(comparison.scores)
    behind = rows[(rows["p_adjusted"] <= SIGNIFICANT) & (rows["high"] < -least)]
    if behind.empty:
        return known, []
    ends, p_value = course.against(name, best)
    is_dead = (ends["p_adjusted"] <= SIGNIFICANT) & (ends["high"] < -least)
    dead = ends[is_dead & ends["value"].isin(behind["value"])]
    if p_value is None or p_value > SIGNIFICANT:
        dead = dead.iloc[:0]
    helped = [value for value in dead["value"] if _helps(comparison, name, value, best, partners)]
    dead = dead[~dead["value"].isin(helped)]
    sentences = _kept_sentences(name, behind, ends, set(dead["value"]), set(helped), course)
    if dead.empty:
        return known, sentences
    is_gone = comparison.levels[name].isin(dead["value"])
    gone = {shown(value, 9) for value in comparison.trials.loc[is_gone, name]}
    losses = [f"{row.value} ({measure.apart(row.effect)})" for row in dead.itertuples()]
    sentence = f"{name}: drop {' and '.join(losses)}; {best} does best."
    return known[~known.map(lambda value: shown(value, 9)).isin(gone)], [sentence, *sentences]


def _kept_sentences(
    name: str, behind: pd.DataFrame, ends: pd.DataFrame, dead: set, helped: set, course: Course
) -> list[str]:
    """Why values that are surely behind early are tried again."""
    why = dict(zip(ends["value"], ends["unknown"], strict=True))
    sentences = []
    for value in behind["value"]:
        if value in dead or value in helped:
            continue
        reason = why.get(value) or f"by epoch {course.epoch} it is not surely behind"
        sentences.append(f"{name} {value}: behind {course.comparison.when}, but keep it; {reason}.")
    return sentences


def _helps(comparison: Comparison, name: str, value: str, best: str, partners: set[str]) -> bool:
    """Whether a value is the better one with some value of a hyperparameter it depends on."""
    for partner in partners:
        groups = comparison.scores.groupby(
            [comparison.levels[partner], comparison.levels[name]], observed=True
        )
        means = groups.mean()[groups.size() >= MIN_TRIALS].unstack()
        if {value, best} <= {*means} and (means[value] >= means[best]).any():
            return True
    return False


def _beyond(
    name: str, comparison: Comparison, effects: Effects, sweep: SweepFolder
) -> tuple[list[Value], list[str]]:
    """The next number past the edge of what was tried, if the best value lies there for sure."""
    best = best_value(effects, name)
    rows = effects_against(comparison, effects, name, best)
    if not ((rows["p_adjusted"] <= SIGNIFICANT) & (rows["effect"] < 0)).any():
        return [], []
    hyperparameter = hyperparameters(_family(sweep).config).get(name)
    numbers = numbers_of(comparison.trials[name])
    if hyperparameter is None or hyperparameter.low is None or numbers is None:
        return [], []
    order = sorted(set(numbers.dropna()))
    of_best = sorted(set(numbers[comparison.levels[name] == best].dropna()))
    if of_best[-1] == order[-1]:
        edge, inner = order[-1], of_best[0] if len(of_best) > 1 else order[-2]
    elif of_best[0] == order[0]:
        edge, inner = order[0], of_best[-1] if len(of_best) > 1 else order[1]
    else:
        return [], []
    is_log = hyperparameter.scale == "log" and order[0] > 0
    further = _valid(hyperparameter, edge * edge / inner if is_log else 2 * edge - inner)
    if further is None or further == edge or not _can_exist(name, further, sweep):
        return [], []
    sentence = (
        f"{name}: the best, {best}, lies at the edge of what was tried; try {shown(further)} too."
    )
    return [further], [sentence]


def _valid(hyperparameter: Hyperparameter, number: float) -> Value | None:
    assert hyperparameter.low is not None and hyperparameter.high is not None
    number = min(max(number, hyperparameter.low), hyperparameter.high)
    return round(number) if hyperparameter.type is int else float(f"{number:.3g}")


def _can_exist(name: str, value: Value, sweep: SweepFolder) -> bool:
    family, image_size = _family(sweep), _size(sweep)
    if image_size is None:
        return True
    return family.impossible(family.configuration({name: value}), image_size) is None


def _entry(
    hyperparameter: Hyperparameter, values: pd.Series, sweep: SweepFolder, *, has_all: bool
) -> tuple[dict[str, Any], list[Any]]:
    """The hyperparameter's entry in a sweep file, by the name that the user's own file has, and
    the values that are none here. A range stays one. Empty where no value is valid.

    `has_all` says that nothing was dropped or added, so that the sweep's own range stays.
    """
    parsed, unknown = [], []
    for raw in values:
        try:
            parsed.append(hyperparameter.parse(raw))
        except ValueError:  # a value of another tool
            unknown.append(raw)
    unknown = list({shown(value): value for value in unknown}.values())
    distinct: list[Any] = sorted(set(parsed))
    if not distinct:
        return {}, unknown
    names = sweep.settings.get("names")
    said = names.get(hyperparameter.name) if isinstance(names, Mapping) else None
    entry = _searched(hyperparameter, distinct, sweep, has_all=has_all)
    return {said if isinstance(said, str) else hyperparameter.name: entry}, unknown


def _searched(
    hyperparameter: Hyperparameter, distinct: list[Any], sweep: SweepFolder, *, has_all: bool
) -> dict[str, Any]:
    """How the values are searched: one, some, or a range."""
    space = sweep.settings.get("space")
    searched = space.get(hyperparameter.name) if isinstance(space, Mapping) else None
    if not isinstance(searched, Mapping):
        searched = {}
    is_range = {"low", "high"} <= searched.keys()
    if len(distinct) == 1 and not is_range:
        return {"value": distinct[0]}
    if hyperparameter.low is None or not (is_range or len(distinct) > MAX_CHOICES):
        return {"values": distinct}
    low, high = distinct[0], distinct[-1]
    if is_range and (has_all or low == high):
        low, high = (hyperparameter.type(searched[end]) for end in ("low", "high"))
    is_log = bool(searched.get("log")) if is_range else hyperparameter.scale == "log" and low > 0
    entry: dict[str, Any] = {"min": low, "max": high}
    if hyperparameter.type is float:
        entry["distribution"] = "log_uniform_values" if is_log else "uniform"
    return entry


def _pair_sentences(pairs: pd.DataFrame) -> list[str]:
    return [
        f"{row.first} and {row.second}: keep searching both together, since what each value does"
        " depends on the other hyperparameter."
        for row in pairs.head(2).itertuples()
    ]


def _family(sweep: SweepFolder) -> Family:
    """The kind of network that was tuned, as far as its folder says it; the built-in one else."""
    try:
        return family_of(sweep.settings)
    except (ValueError, KeyError, TypeError):  # another tool's, or damaged
        return CNN


def _flags(family: Family, rename: Mapping[str, str]) -> str:
    """What else to say to jobs/tune.py: a network that is not its default, whose a name is."""
    network = "" if family.name == CNN.name else f" --network {family.name}"
    pairs = (f"{said}={known}" for said, known in rename.items())
    return network + "".join(f" --rename {shlex.quote(pair)}" for pair in pairs)


def _renamed(sweep: SweepFolder, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What the user said by --rename of names that stand in the file."""
    asked = sweep.settings.get("rename")
    asked = asked if isinstance(asked, Mapping) else {}
    return {str(said): str(known) for said, known in asked.items() if said in parameters}


def _size(sweep: SweepFolder) -> int | None:
    size = sweep.settings.get("image_size")
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None


def _file(sweep: SweepFolder, parameters: dict[str, Any]) -> str:
    """The sweep file as YAML; empty where jobs/tune.py would not take it."""
    num_values = sum(len(entry.get("values", ())) for entry in parameters.values())
    if not parameters:
        return ""
    settings = {name: sweep.settings.get(name) for name in OWN}
    content: dict[str, Any] = {
        "method": "bayes",
        "metric": {"name": sweep.measure.said, "goal": sweep.measure.goal},
        "run_cap": max(MIN_CAP, TRIALS_A_VALUE * num_values),
        "parameters": parameters
        | {name: {"value": v} for name, v in settings.items() if isinstance(v, int) and v > 0},
    }
    rename = _renamed(sweep, parameters)
    try:
        family = _family(sweep)
        space = sweep_from_mapping(content, family, rename=rename).space
        num = num_configurations(space, _size(sweep) or 224, family)
    except ValueError:
        return ""
    if num <= 1:  # nothing is left to search
        return ""
    content["run_cap"] = int(min(content["run_cap"], num))
    return HEAD.format(flags=_flags(family, rename)) + yaml.safe_dump(
        content, sort_keys=False, default_flow_style=None
    )
