"""Simulated nodes: a Ray cluster on this machine, each node with a cache of its own.

What a node decoded is read from Ray's logs of its workers, where every build has its line, so a
second build is seen even where both left the same file.
"""

import json
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import ray._private.node
from ray.cluster_utils import Cluster

from cnnlib.photos.dataset import Dataset
from cnnlib.storage.files import exclusive
from tests.conftest import HANG

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Nodes:
    """A head, on which no trial runs, and the nodes where they do."""

    head: ray._private.node.Node
    caches: dict[str, Path]  # by Ray's id of a node
    environment: dict[str, str]  # of a driver
    scratch: Path

    def decodings(self) -> dict[str, Counter[str]]:
        """How often each node began to decode photographs, by what its log says of it."""
        said = {node: Counter[str]() for node in self.caches}
        for log in self.scratch.glob("ray/session_2*/logs/worker-*.err"):
            for line in log.read_text().splitlines():
                if '"message": "decoding ' in line:
                    record = json.loads(line)
                    said[record["node_id"]][record["message"]] += 1
        return said

    def once_each(self) -> dict[str, Counter[str]]:
        """What `decodings` says where each array in a node's cache was built once."""
        shapes = {
            node: [np.load(path, mmap_mode="r").shape for path in cache.glob("pixels/*.npy")]
            for node, cache in self.caches.items()
        }
        return {
            node: Counter(f"decoding {N} photographs to {H} px" for N, H, _, _ in found)
            for node, found in shapes.items()
        }

    def meet(self, dataset: Dataset, trials: int, driver: subprocess.Popen[str]) -> None:
        """Lets the first trials of a driver wait for one another before they ask for pixels.

        They do so at the lock through which each trial comes to its photographs, in
        cnnlib.training.on_machine.
        """
        locks = [cache / f"dataset-{dataset.fingerprint}" for cache in self.caches.values()]
        with ExitStack() as held:
            for lock in locks:
                held.enter_context(exclusive(lock))
            end = time.monotonic() + HANG
            while (come := sum(_waiting(Path(f"{lock}.lock")) for lock in locks)) < trials:
                if driver.poll() is not None or time.monotonic() > end:
                    driver.kill()
                    raise RuntimeError(f"{come} of {trials} trials came: {driver.communicate()}")
                time.sleep(0.05)


def _waiting(lock: Path) -> int:
    """How many processes wait for a lock."""
    inode = f":{lock.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("-> FLOCK" in line and inode in line for line in lines)


@contextmanager
def simulated(folder: Path, cpus: Sequence[int], *, dashboard: bool = False) -> Iterator[Nodes]:
    """Nodes with so many CPUs each; their caches are in `folder`, and all processes end."""
    # A socket's path must be short. RAY_TMPDIR keeps Ray from the clusters of others.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as scratch:
        ours = {
            "PYTHONPATH": str(ROOT), "RAY_TMPDIR": scratch, "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        with mock.patch.dict(os.environ, ours):
            cluster = Cluster()
            try:
                cluster.add_node(num_cpus=0, include_dashboard=dashboard, dashboard_port=0)
                caches = {}
                for number, count in enumerate(cpus, 1):
                    cache = folder / f"cache-{number}"
                    mine = {"CNNLIB_CACHE": str(cache), "NODE": str(number)}
                    caches[cluster.add_node(num_cpus=count, env_vars=mine).node_id] = cache
                environment = {
                    **os.environ,
                    "RAY_ADDRESS": cluster.address,
                    "RAY_LOGGING_CONFIG_ENCODING": "JSON",  # workers log what Python's say at INFO
                }
                yield Nodes(cluster.head_node, caches, environment, Path(scratch))
            finally:
                cluster.shutdown()
