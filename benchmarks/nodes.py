"""What trials on several nodes cost: decoding, the head, the network; trivial trials on 2 to 8.

python benchmarks/nodes.py [--data sample] [--image-size 32] [--trials 400] [--repeats 3]

The nodes are simulated: raylets here, each with a cache of its own (tests/long/nodes.py).

Ten trials of 2 epochs start together on three nodes of four CPUs. The head is its share of Ray and
the driver, from the first event of the journal to the last trial's end, so the start of all ten
workers is in it, and the driver's imports and champion are not. Bytes are all that went over this
machine's loopback device in that time; this leaves out other programs, as root:
unshare --net sh -c 'ip link set lo up; python benchmarks/nodes.py' 2>/dev/null

Then trials that are formulas (tests/e2e/fake_sweep.py), always eight at once on eight CPUs, which
are those of 2, 4 or 8 nodes: only the number of nodes differs, as this machine's cores do not grow
with it. Timed from when all eight workers are there; the median of the repeats.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from head import sampled
from rows import HEAD, show

from cnnlib.journal.events import read_events
from cnnlib.photos.sources import find_dataset
from tests.conftest import write_photos
from tests.long.nodes import simulated

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 8
IDLE = 5.0  # seconds in which nothing runs, to see what the head uses then


def seconds(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def ten_trials(data: str, image_size: int, folder: Path) -> None:
    """Prints the rows of ten trials that start together on three nodes."""
    settings = {
        "data": data, "storage": str(folder), "name": "ten", "trials": 10, "max_epochs": 2,
        "image_size": image_size, "wandb": "off", "finalists": 0, "max_concurrent": 10,
        "set": ["first_layer_filters=4,8", "conv_layers=2", "num_neurons_dense=16"],
    }  # fmt: skip
    command = [sys.executable, "-c", f"from cnnlib import Sweep; Sweep(**{settings!r}).run()"]
    dataset = find_dataset(data)
    with simulated(folder, [4, 4, 4], dashboard=True) as nodes:
        driver = subprocess.Popen(
            command, env=nodes.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with sampled(nodes, driver) as samples, driver:
            nodes.meet(dataset, 10, driver)
            driver.wait()
            ended = time.time()
            time.sleep(IDLE)
        assert driver.returncode == 0, f"exit code {driver.returncode}"
        decodings, once_each = nodes.decodings(), nodes.once_each()
    events = list(read_events(folder / "ten"))
    ends = [seconds(event) for event in events if event["event"] in ("finished", "stopped")]
    first, *_, last = [s for s in samples if seconds(events[0]) <= s[0] <= max(ends) + 0.2]
    idle = (samples[-1][1] - next(s[1] for s in samples if s[0] > ended)) / IDLE
    _, head, drove, came = (after - before for before, after in zip(first, last, strict=True))
    arrays = " + ".join(str(len(node)) for node in once_each.values())
    builds = " + ".join(str(node.total()) for node in decodings.values())
    rows = (
        (
            f"ten trials at once on three nodes: {arrays} arrays in their caches",
            f"decoded {builds} times",
            "once each" if decodings == once_each else "NOT ONCE EACH",
        ),
        (
            "the head, CPU seconds a trial",
            f"{head / len(ends):.2f} of Ray, {drove / len(ends):.2f} of the driver",
            f"{len(ends)} trials in {last[0] - first[0]:.0f} s; idle {idle:.3f} a second",
        ),
        ("loopback, MB a trial", f"{came / len(ends) / 1e6:.2f}", "all of this machine's"),
    )
    for what, ours, note in rows:
        show(__file__, what, theirs="", ours=ours, ratio=note)


def trivial(num_nodes: int, trials: int, folder: Path) -> float:
    """Seconds a trial, from when all workers are there."""
    command = [
        sys.executable, str(ROOT / "tests" / "e2e" / "fake_sweep.py"), str(folder / "photos"),
        str(folder), "trivial", "--slots", str(AT_ONCE), "--trials", str(trials), "--epochs", "3",
    ]  # fmt: skip
    write_photos(folder / "photos", train=4, test=1)
    with (
        mock.patch.dict(os.environ, {"PAUSE": "0", "TOGETHER": str(AT_ONCE)}),
        simulated(folder, [AT_ONCE // num_nodes] * num_nodes) as nodes,
    ):
        subprocess.run(
            command, check=True, env=nodes.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    events = list(read_events(folder / "trivial"))
    came: dict[str, float] = {}
    for event in (event for event in events if event["event"] == "epoch"):
        came.setdefault(event["node"], seconds(event))
    assert len({name.partition("-")[0] for name in came}) == num_nodes, came
    warm = max(came.values())
    ends = [seconds(e) for e in events if e["event"] in ("finished", "stopped")]
    timed = [end for end in ends if end > warm]
    assert len(timed) > trials - 2 * AT_ONCE, f"only {len(timed)} trials after the last worker came"
    return (max(timed) - warm) / len(timed)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=32)
    flags.add_argument("--trials", type=int, default=400)
    flags.add_argument("--repeats", type=int, default=3)
    asked = flags.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        ten_trials(asked.data, asked.image_size, Path(folder))
    times: dict[int, list[float]] = {2: [], 4: [], 8: []}
    for _ in range(asked.repeats):
        for num_nodes, measured in times.items():
            with tempfile.TemporaryDirectory() as folder:
                measured.append(trivial(num_nodes, asked.trials, Path(folder)))
            print(f"{num_nodes} nodes: {1000 * measured[-1]:.1f} ms a trivial trial", flush=True)
    two, four, eight = (1000 * statistics.median(measured) for measured in times.values())
    show(
        __file__,
        f"ms a trivial trial of {asked.trials}, {AT_ONCE} at once, median of {asked.repeats}",
        theirs=f"2 nodes: {two:.1f}",
        ours=f"4 nodes: {four:.1f}; 8 nodes: {eight:.1f}",
        ratio=f"{eight / two - 1:+.0%}",
    )


if __name__ == "__main__":
    main()
