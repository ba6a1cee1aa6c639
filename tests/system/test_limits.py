import os
from pathlib import Path

import pytest

from cnnlib.system import limits
from cnnlib.system.limits import cores, free_memory

GB = 10**9


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 128 cores and 100 GB without limits; the folder where its groups are."""
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(limits, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(limits, "MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {100 * GB // 1024} kB\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(128)))
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_limits_all_is_ours(group: Path) -> None:
    assert cores() == 128
    assert free_memory() == 100 * GB
    (group / "membership").write_text("0::/\n")
    write(group, cpu__max="max 100000\n", memory__max="max\n")
    assert cores() == 128
    assert free_memory() == 100 * GB


def test_cores_by_affinity(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4096)))
    assert cores() == 4096


@pytest.mark.parametrize(
    ("quota", "expected"), [("250000 100000", 2), ("50000 100000", 1), ("99900000 100000", 128)]
)
def test_cores_by_the_quota_of_a_group_of_version_2(group: Path, quota: str, expected: int) -> None:
    (group / "membership").write_text("0::/slice/job/step\n")
    write(group / "slice" / "job" / "step", cpu__max="max 100000\n")
    write(group / "slice", cpu__max=f"{quota}\n")
    assert cores() == expected, "a limit above holds too"


@pytest.mark.parametrize("path", ["/docker/1234", "/"])
def test_limits_of_version_1_hold_where_a_container_sees_them(group: Path, path: str) -> None:
    (group / "membership").write_text(f"5:cpu,cpuacct:{path}\n4:memory:{path}\n0::/\n")
    write(group / "cpu,cpuacct", cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")
    stat = f"cache 5\ntotal_inactive_file {GB}\n"
    write(
        group / "memory",
        memory__limit_in_bytes=f"{8 * GB}",
        memory__usage_in_bytes=f"{3 * GB}",
        memory__stat=stat,
    )
    assert cores() == 3
    assert free_memory() == 6 * GB, "the page cache can be had"


def test_no_quota_of_version_1_is_none(group: Path) -> None:
    (group / "membership").write_text("5:cpu:/a\n4:memory:/a\n")
    write(group / "cpu" / "a", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    write(group / "memory" / "a", memory__limit_in_bytes="9223372036854771712")
    assert cores() == 128
    assert free_memory() == 100 * GB


def test_memory_by_every_group_of_version_2_on_the_way(group: Path) -> None:
    (group / "membership").write_text("0::/kubepods/pod\n")
    write(group / "kubepods" / "pod", memory__max="max", memory__current=f"{GB}")
    write(
        group / "kubepods",
        memory__max=f"{4 * GB}",
        memory__current=f"{2 * GB}",
        memory__stat=f"anon 1\ninactive_file {GB // 2}\n",
    )
    assert free_memory() == 2.5 * GB
    write(group / "kubepods", memory__current=f"{9 * GB}")
    assert free_memory() == 0, "never less than none"


@pytest.mark.parametrize(
    ("job", "megabytes"),
    [
        ({"SLURM_MEM_PER_NODE": "4096"}, 4096),
        ({"SLURM_MEM_PER_CPU": "1000", "SLURM_CPUS_ON_NODE": "3"}, 3000),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
    ],
)
def test_memory_by_what_slurm_was_asked_for(
    group: Path, job: dict[str, str], megabytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    assert free_memory() == (megabytes << 20 if megabytes else 100 * GB)


def test_this_machine_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))
    assert free_memory() > 10**8
