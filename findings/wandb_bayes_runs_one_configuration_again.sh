#!/usr/bin/env bash
# W&B's package `sweeps` 0.3.0: its Bayes search runs one configuration again and again.
#
# Behaviour: where hyperparameters are lists, half of a sweep's runs and more may go to one configuration,
# which has the same metric each time and need not be the best; others are never run. A run is placed at the
# upper end of its value's part of the line from 0 to 1 (the cumulative distribution counts its own value),
# while a candidate lies anywhere in it. So the lower end of the part of a good value looks good and not yet
# tried, however often it was. Here 4 numbers of filters and 3 dropouts are 12 configurations, whose accuracy
# follows from them without noise.
# Source: sweeps/params.py (cdf and ppf of categorical values) and bayes_search.py of the package, which looks
# for no repeats; https://docs.wandb.ai/guides/sweeps/sweep-config-keys says nothing of them.
# Expected output: "of 24 runs of 12 configurations one took 10 or more in 3 of 3 sweeps by bayes, in 0 of 3 by random"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sweeps==0.3.0 scikit-learn==1.9.1 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import warnings

warnings.filterwarnings("ignore")

from collections import Counter

import numpy as np
import sweeps


def most_runs(method: str, seed: int) -> int:
    """How many of 24 runs the configuration took that was run most often."""
    content = {
        "method": method,
        "metric": {"name": "val_acc", "goal": "maximize"},
        "parameters": {"filters": {"values": [16, 32, 64, 128]}, "dropout": {"values": [0.1, 0.2, 0.3]}},
    }
    accuracy, runs = {16: 0.3, 32: 0.4, 64: 0.5, 128: 0.45}, []
    for number in range(24):
        np.random.seed(100 * seed + number)
        run = sweeps.next_run(content, runs)
        value = {name: each["value"] for name, each in run.config.items()}
        run.state = sweeps.RunState.finished
        run.history = [{"val_acc": accuracy[value["filters"]] - value["dropout"] / 4}]
        run.summary_metrics = run.history[-1]
        runs.append(run)
    return Counter(str(run.config) for run in runs).most_common(1)[0][1]


bayes, random = (
    sum(most_runs(method, seed) >= 10 for seed in range(3)) for method in ("bayes", "random")
)
print(f"of 24 runs of 12 configurations one took 10 or more in {bayes} of 3 sweeps by bayes, in {random} of 3 by random")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "of 24 runs of 12 configurations one took 10 or more in 3 of 3 sweeps by bayes, in 0 of 3 by random" ] || { echo "this has changed"; exit 1; }
