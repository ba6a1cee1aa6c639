"""Sums up what sweeps found, as `--search curves` begins with it: cnnlib/search/experience.yaml.

python benchmarks/experience.py TABLES [--sweeps FOLDER...] [--write]

TABLES holds tables of learning curves (benchmarks/policies.py), of which those whose names begin
alike, as in KINDS, are of one kind of network; of --sweeps come the tables of sweeps of this
project's own network. It prints how well the trends of all tables of a kind but one foretell that
one: the rank correlation with the best score of each trial, and the regret of the best ten, in
percent of the distance from the median to the best.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import yaml
from scipy.stats import spearmanr

from benchmarks.replay.tables import Curves, find_tables
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.planning.past_sweeps import read_tried
from cnnlib.search.experience import SHIPPED, Early, Experience
from cnnlib.search.trends import DIGITS, Trends, Tried, learn, standing

KINDS = {  # what they are, and the family of this project that trains such networks
    "baker-metaqnn": ("convolutional networks, trained from scratch", ""),
    "lcnet": ("convolutional networks of three layers, trained from scratch", ""),
    "lcbench": ("fully connected networks on tables", ""),
    "quicktune": ("fine-tuned image networks", "pretrained"),
    "taskset": ("recurrent networks on texts", ""),
}
OWN = "this project's convolutional network, trained from scratch"
HEAD = """\
# What the values of hyperparameters gave in public sweeps, all else alike: scores in standard
# deviations of a sweep's trials. benchmarks/experience.py writes it.
"""
BEST = 10
FACTOR, POWERS = 3.0, (4, 3, 2, 1)  # early is after 1/81, 1/27, 1/9 and 1/3 of a training


def learned(tables: Iterable[Curves]) -> Iterator[Experience]:
    """What tables of curves say, one experience of each of KINDS that is there."""
    tables = list(tables)
    for kind, (said, network) in KINDS.items():
        some = [curves for curves in tables if curves.name.startswith(kind)]
        if some:
            trends = _trends(some, [curves.num_epochs for curves in some])
            names, early = tuple(curves.name for curves in some), tuple(_early(some))
            yield Experience(said, len(some), sum(map(len, some)), trends, network, names, early)


def without(
    curves: Curves, known: Sequence[Experience], tables: Iterable[Curves]
) -> Sequence[Experience]:
    """The experiences, or where one was learned from this very table, what the others say."""
    if not any(curves.name in experience.tables for experience in known):
        return known
    return list(learned(table for table in tables if table.name != curves.name))


def _early(some: Sequence[Curves]) -> Iterator[Early]:
    """What the trials gave after a part of their training."""
    before, ends = 0.0, np.concatenate([standing(_best(curves)) for curves in some])
    for power in POWERS:
        epochs = [max(1, round(curves.num_epochs / FACTOR**power)) for curves in some]
        pairs = list(zip(some, epochs, strict=True))
        part = round(float(np.mean([epoch / c.num_epochs for c, epoch in pairs])), DIGITS)
        if before < part < 1:
            then = np.concatenate([standing(_best(curves, epoch)) for curves, epoch in pairs])
            foretells = round(float(np.corrcoef(then, ends)[0, 1]), DIGITS)
            yield Early(part, foretells, _trends(some, epochs))
            before = part


def _trends(some: Sequence[Curves], epochs: Sequence[int]) -> Trends:
    """Of the best score of each trial by these epochs."""
    pairs = zip(some, epochs, strict=True)
    return learn([Tried(curves.values, _best(curves, epoch)) for curves, epoch in pairs])


def _best(curves: Curves, epoch: int | None = None) -> list[float]:
    return curves.scores[:, :epoch].max(axis=1).tolist()


def of_sweeps(folders: Sequence[Path]) -> Experience:
    """What sweeps of this project's own network say, without those that hold too few trials."""
    some = []
    for folder in folders:
        try:
            some.append(read_tried(folder))
        except ValueError as error:
            print(f"left out: {error}")
    trials = sum(len(sweep.scores) for sweep in some)
    trends = {n: t for n, t in learn(some).items() if n in hyperparameters(CNN.config)}
    return Experience(OWN, len(some), trials, trends, CNN.name)


def judged(curves: Curves, others: Experience) -> str:
    """How well what others say foretells a table."""
    trends = {name: trend for name, trend in others.trends.items() if name in curves.values}
    rows = zip(*curves.values.values(), strict=True)
    configs = [SimpleNamespace(**dict(zip(curves.values, row, strict=True))) for row in rows]
    known, scores = replace(others, trends=trends, early=()), np.array(_best(curves))
    hopes = known.foretold(configs, [1.0] * len(configs)).sum(axis=1)
    regret = curves.regret(scores[np.argsort(-hopes)[:BEST]].max())
    rank = spearmanr(hopes, scores).statistic
    return f"{curves.name}: rank correlation {rank:.2f}, regret of the best {BEST} {regret:.0%}"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("tables", type=Path)
    flags.add_argument("--sweeps", type=Path, nargs="+", default=[])
    flags.add_argument("--write", action="store_true")
    asked = flags.parse_args()
    tables = find_tables([asked.tables])
    for kind, curves in product(KINDS, tables):
        alike = [t for t in tables if t.name.startswith(kind) and t is not curves]
        if alike and curves.name.startswith(kind):
            [others] = learned(alike)
            print(judged(curves, others))
    known = [*learned(tables), *([of_sweeps(asked.sweeps)] if asked.sweeps else [])]
    for experience in known:
        print(f"{experience}: {', '.join(experience.trends)}")
    if asked.write:
        content = [experience.as_content() for experience in known]
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
        SHIPPED.write_text(HEAD + text)


if __name__ == "__main__":
    main()
