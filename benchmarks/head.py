"""What the head of simulated nodes uses while a driver runs: CPU time, and bytes of the network."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.long.chaos import descendants
from tests.long.nodes import Nodes

TICK = os.sysconf("SC_CLK_TCK")  # a second
Sample = tuple[float, float, float, int]  # time; CPU s of the head's Ray and the driver; bytes


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process; 0 where it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(stat[11]) + int(stat[12])) / TICK


def loopback_bytes() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == "lo:")


@contextmanager
def sampled(nodes: Nodes, driver: subprocess.Popen[str]) -> Iterator[list[Sample]]:
    """What the head has used, five times a second."""
    infos = [info for each in nodes.head.all_processes.values() for info in each]
    head = {info.process.pid for info in infos}
    for pid in list(head):
        head |= set(descendants(pid))  # the raylet's agents
    samples: list[Sample] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.2):
            used = sum(map(cpu_seconds, head))
            samples.append((time.time(), used, cpu_seconds(driver.pid), loopback_bytes()))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
