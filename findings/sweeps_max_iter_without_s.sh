#!/usr/bin/env bash
# W&B's package `sweeps` 0.3.0: an early_terminate with min_iter and max_iter, but no s, passes the
# check of the sweep and fails when the first run is to be judged.
#
# Behaviour: SweepConfig takes {min_iter: 3, max_iter: 20}, since min_iter alone is enough for it.
# stop_runs then looks at max_iter first, wants s, and raises KeyError: no run is ever stopped.
# Source: sweeps/hyperband_stopping.py and sweeps/config/schema.json of the package
# Expected output: "the check takes it; stop_runs raises KeyError: 's'"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sweeps==0.3.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import warnings

warnings.filterwarnings("ignore")

import sweeps
from sweeps.config import SweepConfig

config = {
    "method": "random",
    "metric": {"name": "val_acc", "goal": "maximize"},
    "parameters": {"dropout": {"values": [0.2, 0.3]}},
    "early_terminate": {"type": "hyperband", "min_iter": 3, "max_iter": 20},
}
checked = SweepConfig(config)
history = [{"val_acc": 0.5} for _ in range(9)]
run = sweeps.SweepRun(name="one", state="running", config={}, history=history, summary_metrics={})
try:
    sweeps.stop_runs(checked, [run])
    seen = "stop_runs judges"
except KeyError as error:
    seen = f"stop_runs raises KeyError: {error}"
print(f"the check takes it; {seen}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "the check takes it; stop_runs raises KeyError: 's'" ] || { echo "this has changed"; exit 1; }
