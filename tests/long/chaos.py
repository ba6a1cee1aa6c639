"""Sweeps that are killed again and again, and what must be as if they had not been: make chaos.

python tests/long/chaos.py [--sweeps N] [--kills N] [--slots N] [--seed N]
    [--target driver|worker|raylet|ray|pairs|machines|sleep] [--promote]

`pairs` kills between two files that belong together, whoever writes them: best weights, last state,
journal. `machines` does the same to a sweep in a bucket, with which now one machine goes on and now
another, each with a folder of its own. `sleep` stops a driver until another one has taken the sweep
over, in a bucket or in a folder that both share, and lets it wake. With --promote trials pause at
the rungs, and the best that wait go on.

One at a time, a broken sweep must end with the proposals, decisions and table of the unbroken one.
With more at once the order of reports is free; then no trial may run after its end, no epoch be
missing or computed twice, and the journal must replay. Exit code 1 at the first difference.
"""

import argparse
import logging
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

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cnnlib.journal.events import journal_exists, read_events, segments
from cnnlib.journal.replay import replay
from cnnlib.journal.tables import fold
from cnnlib.storage.buckets import Bucket
from cnnlib.storage.training_files import BEST, epoch_of
from tests.conftest import write_photos

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 900.0  # seconds for a sweep, started once
WORKER = ("ray::ImplicitFunc", "ray::trial")  # as Tune names one, and as we do
PATTERNS = {"worker": WORKER, "raylet": ("/raylet/raylet",), "gcs": ("gcs_server",)}


KILLED = ("driver", "worker", "raylet", "ray")


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
def driver(
    folder: Path, name: str, *flags: str, storage: str | None = None, machine: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A fake sweep's driver; it and all that it started are gone at the end.

    With a `storage` its folder is that of a machine, below results/.
    """
    script = ROOT / "tests" / "e2e" / "fake_sweep.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "photos"), storage or str(folder), name, *flags],
        cwd=machine,
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


EXPIRES = 3.0  # seconds, for drivers that take over from one another


def between_files(
    folder: Path, name: str, flags: list[str], *, kills: int, seed: int, bucket: str | None
) -> tuple[Path, list[dict[str, Any]]]:
    """A sweep in whose steps from one file to the next somebody is killed; its folder and events.

    In a `bucket` each driver that is killed is followed by one on the other machine.
    """
    generator = random.Random(seed)
    goals = sorted(generator.sample(range(2, 120), 3 * kills))
    flags = [*flags, "--die-at", ",".join(map(str, goals))]
    if bucket:
        flags += ["--expires", str(EXPIRES)]
    for number in range(3 * kills + 2):
        machine = folder / f"machine-{number % 2}"
        machine.mkdir(exist_ok=True)
        sweep = machine / "results" / name if bucket else folder / name
        storage = bucket and f"{bucket}/sweeps"
        with driver(folder, name, *flags, storage=storage, machine=machine) as process:
            said, _ = process.communicate(timeout=LONGEST)
        if process.returncode == 0:
            return sweep, list(read_events(sweep))
        # What was not sent before the kill is here only.
        if "have both gone on" in said or "nothing is overwritten" in said:
            sweep.rename(sweep.with_name(f"{name}-aside-{number}"))
        else:
            assert process.returncode == -signal.SIGKILL, said
        if bucket:
            time.sleep(EXPIRES)  # until the dead one's claim has
        if (begun(bucket, name) if bucket else sweep.exists()) and "--resume" not in flags:
            flags = [*flags, "--resume"]
    raise AssertionError(f"it never ends: {said}")


def begun(bucket: str, name: str) -> bool:
    """Whether the bucket holds a sweep of this name."""
    sweep = Bucket(f"{bucket}/sweeps/{name}")
    return any(b"\n" in sweep.content(file) for file in sweep.files("journal"))


def asleep(
    folder: Path, name: str, flags: list[str], *, seed: int, bucket: str | None
) -> tuple[Path, list[dict[str, Any]]]:
    """A sweep that another driver takes over while the first one sleeps; its folder and events."""
    generator = random.Random(seed)
    flags = [*flags, "--expires", str(EXPIRES), "--pause", "0.2"]
    places = [folder / f"machine-{number}" for number in range(2)]
    for place in places:
        place.mkdir(exist_ok=True)
    sweeps = [(place / "results" if bucket else folder) / name for place in places]
    storage = bucket and f"{bucket}/sweeps"
    with driver(
        folder, name, *flags, "--host", "laptop", storage=storage, machine=places[0]
    ) as one:
        goal = generator.randint(8, 25)
        wait_until(lambda: num_events(sweeps[0]) >= goal or one.poll() is not None)
        time.sleep(generator.uniform(0, 2))
        assert one.poll() is None, one.communicate()[0]
        both = [one.pid, *descendants(one.pid)]
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2 * EXPIRES)
        with driver(
            folder, name, *flags, "--resume", "--host", "desk", storage=storage, machine=places[1]
        ) as two:
            wait_until(lambda: resumed(sweeps[1]) or two.poll() is not None)
            for pid in both:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            said, _ = one.communicate(timeout=LONGEST)
            assert "was taken over by desk" in said, said
            assert one.returncode == 2 and "Traceback" not in said, said
            said, _ = two.communicate(timeout=LONGEST)
            assert two.returncode == 0, said
    if bucket:  # what the first one still noted in its own folder came no further
        there = Bucket(f"{bucket}/sweeps/{name}")
        here = {f"journal/{path.name}": path for path in segments(sweeps[1] / "journal")}
        assert sorted(here) == sorted(there.files("journal"))
        for file, path in here.items():
            assert there.content(file) == path.read_bytes(), f"the bucket's {file} is another's"
    return sweeps[1], list(read_events(sweeps[1]))


def resumed(sweep: Path) -> bool:
    return journal_exists(sweep) and any(e["event"] == "resumed" for e in read_events(sweep))


@contextmanager
def s3_server() -> Iterator[str]:
    """A bucket of an S3 server on loopback, which the environment names."""
    import requests
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    requests.put(f"http://{host}:{port}/bucket", timeout=10).raise_for_status()
    try:
        yield "s3://bucket"
    finally:
        server.stop()


def story_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Proposals, epochs with their decisions, and endings, without what is timed."""
    kinds = ("proposed", "promoted", "epoch", "paused", "stopped", "finished", "failed")
    timed = ("time", "seconds", "images_per_second")
    return [
        {name: value for name, value in event.items() if name not in timed}
        for event in events
        if event["event"] in kinds
    ]


def check_sound(
    sweep: Path, events: list[dict[str, Any]], trials: int, *, once: bool = True
) -> None:
    """Every trial ended once, no epoch is missing, the best weights are those, and all follows.

    And no epoch was computed twice, where it had to be `once`.
    """
    difference, _ = replay(events)
    assert difference is None, difference
    table = fold(events)
    assert len(table.trials) == trials
    assert set(table.trials["status"]) <= {"completed", "stopped"}
    for _, curve in table.epochs.groupby("trial_id"):
        assert list(curve["epoch"]) == list(range(1, len(curve) + 1))
    best = table.best()
    assert best is not None
    weights = sweep / "checkpoints" / best["trial_id"] / BEST
    assert epoch_of(weights) == best["best_epoch"], f"{weights} are of epoch {epoch_of(weights)}"
    if not once:
        return
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
    targets = ("driver", "worker", "raylet", "ray", "pairs", "machines", "sleep")
    flags.add_argument("--target", choices=targets, default="driver")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--promote", action="store_true")
    asked = flags.parse_args()
    size = ["--slots", str(asked.slots), "--trials", str(asked.trials), "--audit", "0.3"]
    size += ["--promote"] if asked.promote else []
    generator = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch, s3_server() as bucket:
        folder = Path(scratch)
        write_photos(folder / "photos", train=4, test=1)
        unbroken = broken(folder, "unbroken", size, kills=0, target="driver", seed=0)
        check_sound(folder / "unbroken", unbroken, asked.trials)
        for number in range(asked.sweeps):
            kills, began = generator.randint(1, asked.kills), time.monotonic()
            name, seed = f"broken-{number}", generator.randrange(10**6)
            sweep, once = folder / name, asked.target in KILLED
            if asked.target == "sleep":
                place = bucket if number % 2 == 0 else None
                sweep, events = asleep(folder, name, size, seed=seed, bucket=place)
            elif once:
                events = broken(folder, name, size, kills=kills, target=asked.target, seed=seed)
            else:
                place = bucket if asked.target == "machines" else None
                sweep, events = between_files(
                    folder, name, size, kills=kills, seed=seed, bucket=place
                )
            check_sound(sweep, events, asked.trials, once=once)
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
