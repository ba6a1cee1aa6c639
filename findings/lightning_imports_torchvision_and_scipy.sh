#!/usr/bin/env bash
# pytorch-lightning 2.6.6 with torchmetrics 1.9.0: its import loads torchvision, torch._dynamo, scipy.signal
# and matplotlib where they are installed, though nothing of them is used.
#
# Behaviour: Lightning imports torchmetrics for a few checks of types. torchmetrics imports every metric
# that it has, and those look for optional packages by importing them: an image metric torchvision (whose
# operators load torch._dynamo), an audio metric scipy.signal, its plots matplotlib. In an environment with
# these four `import pytorch_lightning` takes twice what `import torch` takes (7.2 and 3.4 s of a core), in
# every worker that Ray starts. Counted here, not timed: without them the same import loads none.
# Source: lightning_fabric/utilities/imports.py (torchmetrics' import), torchmetrics/functional/image/arniqa.py,
# torchmetrics/functional/audio/_deprecated.py, torchmetrics/utilities/plot.py.
# Expected output: "loaded with Lightning: matplotlib, scipy.signal, torch._dynamo, torchvision.models"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.15.0 torchvision==0.29.2 \
  pytorch-lightning==2.6.6 torchmetrics==1.9.0 numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import sys

import torch  # noqa: F401

WATCHED = ("matplotlib", "scipy.signal", "torch._dynamo", "torchvision.models")
before = [name for name in WATCHED if name in sys.modules]
import pytorch_lightning  # noqa: E402, F401

loaded = [name for name in WATCHED if name in sys.modules and name not in before]
print("loaded with Lightning:", ", ".join(loaded))
PYTHON
told=$("$folder/venv/bin/python" -W ignore "$folder/show.py" 2> /dev/null)
echo "$told"
[ "$told" = "loaded with Lightning: matplotlib, scipy.signal, torch._dynamo, torchvision.models" ] || { echo "this has changed"; exit 1; }
