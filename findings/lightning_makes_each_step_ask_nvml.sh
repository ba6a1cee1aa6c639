#!/usr/bin/env bash
# pytorch-lightning 2.6.6 with torch 2.15.0: each step of an optimiser asks NVML whether there is a GPU.
#
# Behaviour: torch's optimisers look for an accelerator at every step, which asks the driver and takes
# microseconds. Importing Lightning sets PYTORCH_NVML_BASED_CUDA_CHECK=1, which is meant for a check
# before a fork; from then on the same look goes to NVML, whose library is opened again each time.
# Training on a CPU with the CUDA build (what pip installs on Linux), a step takes about 0.3 ms more: a
# tenth of a step of a small CNN on 32 px photographs. Counted here, not timed.
# Source: lightning_fabric/__init__.py, which sets the variable; torch/optim/optimizer.py,
# Optimizer._accelerator_graph_capture_health_check; torch/cuda/__init__.py, is_available.
# Expected output, of 100 steps each: "asked NVML: 0 times before Lightning's import, 100 after"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.15.0 pytorch-lightning==2.6.6 numpy==2.4.6 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import torch

asked = []
count = torch.cuda._device_count_nvml
torch.cuda._device_count_nvml = lambda: (asked.append(0), count())[1]


def times() -> int:
    """How often NVML is asked in 100 steps of Adam."""
    weight = torch.nn.Parameter(torch.zeros(3))
    adam = torch.optim.Adam([weight])
    asked.clear()
    for _ in range(100):
        weight.grad = torch.ones(3)
        adam.step()
    return len(asked)


before = times()
import pytorch_lightning  # noqa: E402, F401

print(f"asked NVML: {before} times before Lightning's import, {times()} after")
PYTHON
told=$(CUDA_VISIBLE_DEVICES=0 "$folder/venv/bin/python" -W ignore "$folder/show.py" 2> /dev/null)
echo "$told"
[ "$told" = "asked NVML: 0 times before Lightning's import, 100 after" ] || { echo "this has changed"; exit 1; }
