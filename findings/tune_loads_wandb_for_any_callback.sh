#!/usr/bin/env bash
# Ray Tune 2.60.0 with wandb 0.31.0: a tuning with any callback loads wandb into the driver, and
# mlflow and comet_ml where they are installed, also with Ray's usage statistics switched off.
#
# Behaviour: tune.run counts the callbacks for the usage statistics before anything runs. To tell
# Ray's own from a user's it imports its loggers for W&B, MLflow and Comet, which import their
# libraries. Without a callback it does not. It costs each driver the time and memory of libraries
# that the tuning does not use.
# Source: ray/air/_internal/usage.py of the package, _count_callbacks; ray/tune/tune.py
# Expected output: "no callback: wandb is not loaded; a callback of one's own: wandb is loaded"
set -euo pipefail
folder=$(mktemp -d) short=$(mktemp -d /tmp/ray.XXXX)
trap 'rm -rf "$folder" "$short"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'ray[tune]==2.60.0' wandb==0.31.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import logging
import sys

import ray
from ray import tune


class Own(tune.Callback):
    pass


def train(config):
    tune.report({"score": 1.0})


ray.init(
    address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
    logging_level=logging.CRITICAL, _temp_dir=sys.argv[1],
)
seen = []
for name, callbacks in (("no callback", []), ("a callback of one's own", [Own()])):
    where = tune.RunConfig(storage_path=sys.argv[2], callbacks=callbacks, verbose=0)
    tune.Tuner(train, run_config=where).fit()
    seen.append(f"{name}: wandb is {'' if 'wandb' in sys.modules else 'not '}loaded")
ray.shutdown()
print("; ".join(seen))
PYTHON
export RAY_USAGE_STATS_ENABLED=0 RAY_AIR_NEW_OUTPUT=0
seen=$("$folder/venv/bin/python" "$folder/show.py" "$short" "$folder/results" 2> /dev/null)
echo "$seen"
[ "$seen" = "no callback: wandb is not loaded; a callback of one's own: wandb is loaded" ] \
  || { echo "this has changed"; exit 1; }
