"""What a machine says of itself: its libraries, GPUs and memory, and what it finds of a sweep."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cnnlib.photos.sources import find_dataset
from cnnlib.system.gpus import usable_gpus
from cnnlib.system.limits import cores, free_memory
from cnnlib.system.redaction import one_line


@dataclass(frozen=True)
class Machine:
    """One machine."""

    name: str
    versions: tuple[str, str]  # of Python, to its second number, and of torch
    fingerprint: str | None  # of the photographs that it finds; None: none, or was not asked
    problem: str | None  # why it finds none
    sees_storage: bool | None  # whether it sees what the driver wrote; None: was not asked
    gpus: tuple[str, ...]
    gpu_problem: str | None  # why PyTorch cannot use a GPU that is there
    gpu_bytes: int  # memory of its first GPU
    free_bytes: int  # memory that is free
    resources: Mapping[str, float]  # CPUs and GPUs for trials; in a cluster Ray says how many

    @classmethod
    def here(cls, source: str | None, probe: str | None = None) -> "Machine":
        """This machine. `source` names the photographs, if it needs them.

        `probe` is the path of a file that the driver has written.
        """
        fingerprint, problem = None, None
        try:
            fingerprint = find_dataset(source).fingerprint if source else None
        except (ValueError, OSError) as error:
            problem = one_line(error).removeprefix("data: ")
        gpus, gpu_problem = usable_gpus()
        major, minor, _ = platform.python_version_tuple()
        return cls(
            name=platform.node(),
            versions=(f"{major}.{minor}", torch.__version__),
            fingerprint=fingerprint,
            problem=problem,
            sees_storage=None if probe is None else Path(probe).is_file(),
            gpus=gpus,
            gpu_problem=gpu_problem,
            gpu_bytes=torch.cuda.get_device_properties(0).total_memory if gpus else 0,
            free_bytes=free_memory(),
            resources={"CPU": cores(), "GPU": len(gpus)},
        )

    @property
    def is_here(self) -> bool:
        return self.name == platform.node()

    @property
    def told_versions(self) -> str:
        python, pytorch = self.versions
        return f"Python {python} and torch {pytorch}"
