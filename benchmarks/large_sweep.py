"""A sweep of many trivial trials: seconds a trial at trial 50, 500 and 2,000, journal, resume.

python benchmarks/large_sweep.py [--trials 2000] [--slots 2]

The driver, Ray and the journal are real, the trials are formulas (tests/e2e/fake_sweep.py). Each
figure is the mean of the 20 trials up to that one, from their first event to the last one's end.
The sweep is then resumed with nothing left to do, which starts no Ray: the time of that command.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cnnlib.journal.events import read_events
from tests.conftest import write_photos

ROOT = Path(__file__).resolve().parent.parent
WINDOW = 20


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--trials", type=int, default=2000)
    flags.add_argument("--slots", type=int, default=2)
    asked = flags.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_photos(folder / "photos", train=4, test=1)
        command = [
            sys.executable, str(ROOT / "tests" / "e2e" / "fake_sweep.py"), str(folder / "photos"),
            scratch, "large", "--slots", str(asked.slots), "--trials", str(asked.trials),
            "--epochs", "3", "--pause", "0",
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        ends = [
            datetime.fromisoformat(event["time"]).timestamp()
            for event in read_events(folder / "large")
            if event["event"] in ("finished", "stopped")
        ]
        for number in (n for n in (50, 500, 2000) if n <= len(ends)):
            each = (ends[number - 1] - ends[number - WINDOW - 1]) / WINDOW
            print(f"trial {number:>5,}: {each:.3f} s a trial")
        size = sum(path.stat().st_size for path in (folder / "large" / "journal").iterdir())
        began = time.monotonic()
        subprocess.run([*command, "--resume"], check=True, stdout=subprocess.DEVNULL)
        print(
            f"{len(ends):,} trials; journal {size / 1e6:.2f} MB; resume "
            f"{time.monotonic() - began:.1f} s"
        )


if __name__ == "__main__":
    main()
