"""Which GPUs PyTorch can use on this machine, and why not those that are there."""

import shutil
import subprocess
import warnings

import torch


def usable_gpus() -> tuple[tuple[str, ...], str | None]:
    """Names of the GPUs that PyTorch can use, and why it cannot use those that are there."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if usable:
        count = torch.cuda.device_count()
        return tuple(torch.cuda.get_device_name(index) for index in range(count)), None
    driver = driver_version()
    if driver is None:
        return (), None
    if torch.version.cuda is None:
        return (), f"PyTorch {torch.__version__} is a CPU build; install torch from the registry"
    why = " ".join(str(said[0].message).split()) if said else "PyTorch does not find it"
    return (), (
        f"driver {driver} cannot run PyTorch's CUDA {torch.version.cuda} ({why}); update the "
        "driver, or take a newer image for the machine"
    )


def driver_version() -> str | None:
    """The version of NVIDIA's driver; None where there is no GPU of theirs."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = answer.stdout.split()
    return lines[0] if answer.returncode == 0 and lines else None
