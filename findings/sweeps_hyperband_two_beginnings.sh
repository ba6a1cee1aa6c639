#!/usr/bin/env bash
# W&B's package `sweeps` 0.3.0: an early_terminate with min_iter and with max_iter and s drops min_iter.
#
# Behaviour: with {min_iter: 5} a weak run is stopped at epoch 5. With {min_iter: 5, max_iter: 27, s: 2},
# which is accepted too, it is stopped at epoch 3: the rungs are those of max_iter and s alone, and
# nothing says that min_iter was not looked at.
# Source: sweeps/hyperband_stopping.py of the package; the keys are documented as two ways at
# https://docs.wandb.ai/guides/sweeps/sweep-config-keys
# Expected output: "min_iter 5: stopped at 5; with max_iter 27 and s 2: stopped at 3"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sweeps==0.3.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import warnings

warnings.filterwarnings("ignore")

import sweeps


def stopped_at(**bracket: int) -> int:
    """The first epoch at which a run far below nine others is stopped."""
    config = {
        "method": "random",
        "metric": {"name": "val_acc", "goal": "maximize"},
        "parameters": {"dropout": {"values": [0.2, 0.3]}},
        "early_terminate": {"type": "hyperband", **bracket},
    }

    def run(name: str, epochs: int, val_acc: float) -> sweeps.SweepRun:
        history = [{"val_acc": val_acc} for _ in range(epochs)]
        return sweeps.SweepRun(
            name=name,
            state="running",
            config={},
            history=history,
            summary_metrics={"val_acc": val_acc},
        )

    good = [run(f"good {i}", 27, 0.9) for i in range(9)]
    for epochs in range(1, 28):
        stopped = sweeps.stop_runs(config, [*good, run("weak", epochs, 0.1)])
        if "weak" in {each.name for each in stopped}:
            return epochs
    return 0


alone, both = stopped_at(min_iter=5), stopped_at(min_iter=5, max_iter=27, s=2)
print(f"min_iter 5: stopped at {alone}; with max_iter 27 and s 2: stopped at {both}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "min_iter 5: stopped at 5; with max_iter 27 and s 2: stopped at 3" ] || { echo "this has changed"; exit 1; }
