#!/usr/bin/env bash
# W&B's package `sweeps` 0.3.0: its Bayes search takes a list of texts for numbers in the order of the list.
#
# Behaviour: the Gaussian process of `method: bayes` is told where a run lies by the place of its value in the
# list, as a share of the list's length. So of four activations the first is three times as far from the last
# as from the second, and what was found of one is believed of those beside it; another order of the same
# list is another model. A grid and a random search do not depend on it.
# Source: sweeps/params.py of the package (the cumulative distribution of categorical values, by which
# bayes_search.py normalises runs); https://docs.wandb.ai/guides/sweeps/sweep-config-keys names no order.
# Expected output: "relu, gelu, silu, mish: gelu is 0.25 and mish 0.75 from relu; relu, mish, silu, gelu: gelu is 0.75 and mish 0.25 from relu"
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
from sweeps.params import HyperParameterSet


def told(activations: list[str]) -> str:
    """How far runs with gelu and mish are from one with relu, as the Gaussian process sees them."""
    content = {
        "method": "bayes",
        "metric": {"name": "val_acc", "goal": "maximize"},
        "parameters": {"activation": {"values": activations}},
    }
    runs = [
        sweeps.SweepRun(config={"activation": {"value": name}}, state=sweeps.RunState.finished)
        for name in ("relu", "gelu", "mish")
    ]
    searched = HyperParameterSet.from_config(SweepConfig(content)["parameters"])
    relu, gelu, mish = searched.normalize_runs_as_array(runs)[:, 0]
    far = f"gelu is {abs(gelu - relu):.2f} and mish {abs(mish - relu):.2f} from relu"
    return f"{', '.join(activations)}: {far}"


orders = ["relu", "gelu", "silu", "mish"], ["relu", "mish", "silu", "gelu"]
print("; ".join(map(told, orders)))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py")
echo "$seen"
[ "$seen" = "relu, gelu, silu, mish: gelu is 0.25 and mish 0.75 from relu; relu, mish, silu, gelu: gelu is 0.75 and mish 0.25 from relu" ] || { echo "this has changed"; exit 1; }
