#!/usr/bin/env bash
# W&B's package `sweeps` 0.3.0: whether a grid over q_uniform runs its last point depends on how the
# numbers round in binary.
#
# Behaviour: a grid of {min: 0.1, max: 0.4, q: 0.1} has four points, its max among them; one of
# {min: 0.1, max: 0.5, q: 0.2} has two, without its max, although both intervals are whole multiples
# of q. The points are those of numpy's arange, whose end is left out unless rounding lets it in.
# Source: sweeps/grid_search.py of the package, and numpy's own warning at
# https://numpy.org/doc/stable/reference/generated/numpy.arange.html
# Expected output: "0.1 to 0.4 by 0.1: 4 points, the last 0.4; 0.1 to 0.5 by 0.2: 2 points, the last 0.3"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sweeps==0.3.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import warnings

warnings.filterwarnings("ignore")

import sweeps


def points(low: float, high: float, q: float) -> list[float]:
    """The values that a grid of one hyperparameter runs, one run after the other."""
    entry = {"distribution": "q_uniform", "min": low, "max": high, "q": q}
    config = {"method": "grid", "parameters": {"dropout": entry}}
    runs: list[sweeps.SweepRun] = []
    while (run := sweeps.next_run(config, runs)) is not None:
        run.state = sweeps.RunState.finished
        runs.append(run)
    return [run.config["dropout"]["value"] for run in runs]


told = []
for low, high, q in ((0.1, 0.4, 0.1), (0.1, 0.5, 0.2)):
    found = points(low, high, q)
    told.append(f"{low} to {high} by {q}: {len(found)} points, the last {found[-1]:.1f}")
print("; ".join(told))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "0.1 to 0.4 by 0.1: 4 points, the last 0.4; 0.1 to 0.5 by 0.2: 2 points, the last 0.3" ] || { echo "this has changed"; exit 1; }
