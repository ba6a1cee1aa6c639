"""How many cores and how much memory this process may use: affinity, cgroups (v1 and v2), Slurm.

A container or a batch system gives a process a part of a machine whose whole size `os.cpu_count`
and /proc/meminfo tell.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")


def cores() -> int:
    """CPU cores that this process may use, at least 1; of a quota of 2.5 cores these are 2."""
    quotas = [int(quota) for quota in _quotas()]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def free_memory() -> int:
    """Bytes that programs can have here, page cache counted as free."""
    return max(0, min([_free_of_the_machine(), *_free_of_cgroups(), *_of_slurm(os.environ)]))


def _quotas() -> Iterator[float]:
    """Cores of each limit on CPU time."""
    for folder in _folders("cpu"):
        quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota is not None and period:  # a quota of -1 is none
            yield quota / period
        limit = _text(folder / "cpu.max").split()
        if len(limit) == 2 and limit[0].isdigit():
            yield int(limit[0]) / int(limit[1])


def _free_of_the_machine() -> int:
    fields = dict(line.partition(":")[::2] for line in MEMINFO.read_text().splitlines())
    return 1024 * int(fields["MemAvailable"].split()[0])


def _free_of_cgroups() -> Iterator[int]:
    """What each limit leaves, with the page cache that is the first to go."""
    files = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for folder in _folders("memory"):
        for most, used, cache in files:
            limit = _number(folder / most)
            if limit is not None:
                stat = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
                yield limit - (_number(folder / used) or 0) + int(stat.get(cache, 0))


def _of_slurm(environment: Mapping[str, str]) -> Iterator[int]:
    """What a job asked for, in MB, where Slurm does not say it to the kernel; 0 is everything."""
    each = environment.get("SLURM_MEM_PER_CPU", "")
    cpus = environment.get("SLURM_CPUS_ON_NODE", "")
    if each.isdigit() and cpus.isdigit():
        yield int(each) * int(cpus) << 20
    node = environment.get("SLURM_MEM_PER_NODE", "")
    if node.isdigit() and int(node):
        yield int(node) << 20


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's groups and those above, whose limits hold as well.

    In a container the path is that on the host, and what is mounted begins at the group itself, so
    folders that are not there are passed over.
    """
    for line in _text(MEMBERSHIP).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2, at the top or beside version 1
            roots = [CGROUPS, CGROUPS / "unified"]
        elif controller in controllers.split(","):
            roots = [CGROUPS / controller, CGROUPS / controllers]
        else:
            continue
        group = Path(path.lstrip("/"))
        for root in roots:
            yield from (root / part for part in (group, *group.parents))


def _number(file: Path) -> int | None:
    """What a limit says; None where there is none."""
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # no such limit here
        return ""
