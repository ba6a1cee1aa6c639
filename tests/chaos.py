"""Sweeps that are killed again and again, and what must be as if they had not been: make chaos.

python tests/chaos.py [--sweeps N] [--kills N] [--slots N] [--target driver|worker|raylet|ray]
    [--seed N]

One at a time, a broken sweep must end with the proposals, decisions and table of the unbroken one.
With more at once the order of reports is free; then no trial may run after its end, no epoch be
missing or computed twice, and the journal must replay. Exit code 1 at the first difference.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cnnlib.journal import journal_exists, read_events
from cnnlib.results import fold
from cnnlib.story import replay
from tests.conftest import write_photos

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 120.0  # seconds for a sweep, started once
WORKER = ("ray::ImplicitFunc", "ray::trial")  # as Tune names one, and as we do
PATTERNS = {"worker": WORKER, "raylet": ("/raylet/raylet",), "gcs": ("gcs_server",)}


def descendants(pid: int) -> dict[int, str]:
    """The processes that came of this one, and their command lines."""
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            commands[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found, border = set[int](), {pid}
    while border:
        border = {child for child, parent in parents.items() if parent in border} - found
        found |= border
    return {child: commands[child] for child in found}


@contextmanager
def driver(folder: Path, name: str, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """A fake sweep's driver; it and all that it started are gone at the end."""
    script = ROOT / "tests" / "e2e" / "fake_sweep.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "photos"), str(folder), name, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        left = descendants(process.pid)
        for pid in [*left, process.pid]:
            kill(pid)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def num_events(sweep: Path) -> int:
    return sum(1 for _ in read_events(sweep)) if journal_exists(sweep) else 0


def break_once(
    process: subprocess.Popen[str], sweep: Path, target: str, generator: random.Random
) -> None:
    """Kills the target at a random moment: some in the start, most while trials run."""
    if target != "worker" and generator.random() < 0.2:
        time.sleep(generator.uniform(0, 8))
    else:
        goal = num_events(sweep) + generator.randint(1, 20)
        wait_until(lambda: num_events(sweep) >= goal or process.poll() is not None)
        time.sleep(generator.uniform(0, 0.05))
    assert process.poll() in (None, 0), process.communicate()[0]
    if target == "driver":
        return kill(process.pid)
    names = PATTERNS if target == "ray" else [target]
    wanted = [pattern for name in names for pattern in PATTERNS[name]]
    for pid, command in descendants(process.pid).items():
        if any(pattern in command for pattern in wanted):
            kill(pid)
    return None


def wait_until(condition: Any) -> None:
    end = time.monotonic() + LONGEST
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


def broken(
    folder: Path, name: str, flags: list[str], *, kills: int, target: str, seed: int
) -> list[dict[str, Any]]:
    """The events of a sweep that is broken so often and then left to its end."""
    generator = random.Random(seed)
    if target == "worker":  # the driver outlives them
        with driver(folder, name, *flags) as process:
            for _ in range(kills):
                break_once(process, folder / name, target, generator)
            said, _ = process.communicate(timeout=LONGEST)
            assert process.returncode == 0 and "Traceback" not in said, said
        return list(read_events(folder / name))
    for _ in range(kills):
        with driver(folder, name, *flags) as process:
            break_once(process, folder / name, target, generator)
            if target == "driver":
                process.wait()
            else:  # the driver notices
                said, _ = process.communicate(timeout=LONGEST)
                assert "Traceback" not in said, said
        if (folder / name).exists():
            flags = [*flags, "--resume"]
    with driver(folder, name, *flags) as process:
        said, _ = process.communicate(timeout=LONGEST)
        assert process.returncode == 0, said
    return list(read_events(folder / name))


def story_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Proposals, epochs with their decisions, and endings, without what is timed."""
    kinds = ("proposed", "epoch", "stopped", "finished", "failed")
    timed = ("time", "seconds", "images_per_second")
    return [
        {name: value for name, value in event.items() if name not in timed}
        for event in events
        if event["event"] in kinds
    ]


def check_sound(sweep: Path, events: list[dict[str, Any]], trials: int) -> None:
    """Every trial ended once, no epoch is missing or was computed twice, and all follows."""
    difference, _ = replay(events)
    assert difference is None, difference
    table = fold(events)
    assert len(table.trials) == trials
    assert set(table.trials["status"]) <= {"completed", "stopped"}
    for _, curve in table.epochs.groupby("trial_id"):
        assert list(curve["epoch"]) == list(range(1, len(curve) + 1))
    computed = Counter((sweep / "computed").read_text().splitlines())
    twice = [line for line, count in computed.items() if count > 1]
    assert not twice, f"computed twice: {twice}"
    known = {
        f"{t} {e}" for t, e in zip(table.epochs["trial_id"], table.epochs["epoch"], strict=True)
    }
    assert set(computed) <= known, "what was computed is in the table"


def check_same(events: list[dict[str, Any]], unbroken: list[dict[str, Any]]) -> None:
    for one, two in zip(story_of(events), story_of(unbroken), strict=True):
        assert one == two, f"{one} is {two} in the unbroken sweep"
    columns = ["started", "node", "seconds"]
    one, two = (fold(e).trials.drop(columns=columns) for e in (events, unbroken))
    assert one.equals(two)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    flags.add_argument("--sweeps", type=int, default=30)
    flags.add_argument("--kills", type=int, default=5, help="at most, for each sweep")
    flags.add_argument("--slots", type=int, default=1)
    flags.add_argument("--trials", type=int, default=12)
    flags.add_argument("--target", choices=("driver", "worker", "raylet", "ray"), default="driver")
    flags.add_argument("--seed", type=int, default=0)
    asked = flags.parse_args()
    size = ["--slots", str(asked.slots), "--trials", str(asked.trials), "--audit", "0.3"]
    generator = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = Path(scratch)
        write_photos(folder / "photos", train=4, test=1)
        unbroken = broken(folder, "unbroken", size, kills=0, target="driver", seed=0)
        check_sound(folder / "unbroken", unbroken, asked.trials)
        for number in range(asked.sweeps):
            kills, began = generator.randint(1, asked.kills), time.monotonic()
            name, seed = f"broken-{number}", generator.randrange(10**6)
            events = broken(folder, name, size, kills=kills, target=asked.target, seed=seed)
            check_sound(folder / name, events, asked.trials)
            if asked.slots == 1:
                check_same(events, unbroken)
            resumed = sum(event["event"] == "resumed" for event in events)
            lost = sum(event["event"] == "lost" for event in events)
            print(
                f"sweep {number + 1}/{asked.sweeps}: {asked.target} killed {kills} times, resumed "
                f"{resumed}, workers lost {lost}, {time.monotonic() - began:.0f} s: as unbroken",
                flush=True,
            )


if __name__ == "__main__":
    main()
