"""Replays searches over tables of real learning curves, ours and other projects', by the clock.

python benchmarks/policies.py FOLDER... [--workers 1 2 8] [--seeds 20] [--policies NAME...]
    [--jobs N] [--out policies.csv]

A folder is a table (trials.csv, epochs.csv or epochs.csv.gz, with the seconds of each epoch) or
holds tables. A search proposes a configuration, for which the nearest one of the table that was not
tried yet is trained (Gower's distance), and sees its epochs one after the other, each after its
seconds. Regret is what the best score so far lacks, in percent of the distance from the median of
the table to its best; the target is a regret of 5%. Times are in full trainings' worth of all
workers together: 10 with 2 workers is as long as 5 mean configurations take one after another.
What did not come to the target within 60 counts as 60, and is counted in `reached`.

Ours run the ledger, the searcher and the stopping rule of a sweep, and begin with what earlier
sweeps found, as a sweep does; for a table from which that was learned it is learned anew, from the
others that are given. `alone` is the same without it; `today` is TPE with ASHA's two rungs. Each
seed's ratio is a geometric mean over its tables; intervals are 95% over the seeds.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.experience import without
from benchmarks.replay import clock, peers
from benchmarks.replay.ours import Ours
from benchmarks.replay.tables import Curves, find_tables
from cnnlib.search.experience import Experience, shipped

POLICIES: dict[str, clock.Made] = {
    "ours": Ours,
    "alone": Ours,
    "today": partial(Ours, search="tpe", stopping="asha"),
    "random": peers.AtRandom,
    "ray": peers.RayTune,
    "optuna": peers.Optuna,
    "optuna-hyperband": partial(peers.Optuna, pruner="HyperbandPruner"),
    "syne-tune": peers.SyneTune,
}
NEEDS = {"optuna": "optuna", "optuna-hyperband": "optuna", "syne-tune": "syne_tune"}
OURS = "ours"
REGRETS = [f"regret_{budget}" for budget in clock.BUDGETS]
CONFIDENCE = 0.95


Case = tuple[Curves, int, str, int, Sequence[Experience]]


def run(case: Case) -> dict[str, object]:
    """One search: a table, the number of workers, a policy, a seed and what ours know before; a
    row of the CSV.
    """
    curves, workers, name, seed, known = case
    warnings.simplefilter("ignore")
    began = time.process_time()
    made = partial(Ours, known=known) if name == OURS else POLICIES[name]
    result = clock.replay(curves, made(curves, workers, seed), workers)
    return {
        "family": curves.family,
        "table": curves.name,
        "workers": workers,
        "policy": name,
        "seed": seed,
        **dict(zip(REGRETS, result.regrets, strict=True)),
        "to_target": result.to_target,
        "reached": result.reached,
        "trials": result.trials,
        "epochs": result.epochs,
        "cpu_seconds": round(time.process_time() - began, 2),
    }


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """By family and policy: regrets in percent, and the geometric mean of the time to the target.

    `all` is the mean of the families, since they differ in size.
    """
    log = rows.assign(to_target=np.log(rows["to_target"]))
    columns = [*REGRETS, "to_target", "reached"]
    tables = log.groupby(["family", "table", "policy"])[columns].mean()
    families = tables.groupby(["family", "policy"]).mean()
    everything = pd.concat({"all": families.groupby("policy").mean()}, names=["family"])
    found = pd.concat([families, everything])
    found["to_target"] = np.exp(found["to_target"])
    found[[*REGRETS, "reached"]] *= 100
    return found


def ratios(rows: pd.DataFrame, ours: str = OURS) -> pd.DataFrame:
    """Our time to the target by each other policy's: geometric mean and interval, by family."""
    log = rows.assign(log=np.log(rows["to_target"]))
    each = log.pivot_table(index=["family", "table", "seed"], columns="policy", values="log")
    less = each.rsub(each[ours], axis=0).drop(columns=ours)
    seeds = less.groupby(["family", "seed"]).mean()
    everything = pd.concat({"all": seeds.groupby("seed").mean()}, names=["family"])
    by_table = pd.concat({"all tables": less.groupby("seed").mean()}, names=["family"])
    return pd.concat([seeds, everything, by_table]).groupby("family").agg(interval)


def interval(logs: pd.Series) -> str:
    """A geometric mean with its interval over the seeds: 0.50 (0.45 to 0.56)."""
    logs = logs.dropna()
    mean = logs.mean()
    if len(logs) < 2:
        return f"{np.exp(mean):.2f}"
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1) * logs.sem()
    return f"{np.exp(mean):.2f} ({np.exp(mean - half):.2f} to {np.exp(mean + half):.2f})"


def report(rows: pd.DataFrame, ours: str = OURS) -> Iterator[str]:
    """What is printed of one number of workers."""
    found = means(rows)
    yield found.round(1).to_string()
    peers_only = found.loc["all"].drop(index=[ours, "alone", "today"], errors="ignore")
    if len(peers_only) and ours in found.loc["all"].index:
        yield f"\ntime to the target, {ours} by theirs:\n{ratios(rows, ours).to_string()}"
        best = peers_only["regret_10"].idxmin()
        of_ours = found.loc[("all", ours), "regret_10"]
        yield (
            f"\nregret after 10: {of_ours:.1f}, of the best peer ({best}) "
            f"{peers_only.loc[best, 'regret_10']:.1f}"
        )


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    flags.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8])
    flags.add_argument("--seeds", type=int, default=20)
    flags.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    flags.add_argument("--jobs", type=int, default=1, help="processes")
    flags.add_argument("--out", type=Path, default=Path("policies.csv"))
    asked = flags.parse_args()
    tables = find_tables(asked.folders)
    if not tables:
        flags.error(f"no tables in {', '.join(map(str, asked.folders))}")
    names = []
    for name in asked.policies:
        if name in NEEDS and not peers.is_there(NEEDS[name]):
            print(f"{name}: {NEEDS[name]} is not installed, left out", flush=True)
        else:
            names.append(name)
    public = shipped()
    known = {curves.name: without(curves, public, tables) for curves in tables}
    cases = [
        (curves, workers, name, seed, known[curves.name])
        for workers, seed, curves, name in product(asked.workers, range(asked.seeds), tables, names)
    ]
    rows = []
    with ProcessPoolExecutor(asked.jobs) as pool:
        for row in pool.map(run, cases):
            rows.append(row)
            pd.DataFrame([row]).to_csv(
                asked.out, mode="a" if rows[1:] else "w", header=not rows[1:], index=False
            )
    table = pd.DataFrame(rows)
    for workers, part in table.groupby("workers"):
        print(f"\n{workers} workers, {len(tables)} tables, {asked.seeds} seeds")
        for text in report(part):
            print(text)


if __name__ == "__main__":
    main()
