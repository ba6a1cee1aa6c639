"""Every benchmark, one after another, and one table of what they printed.

python benchmarks/all.py --data ZIP_OR_FOLDER [--full-size ZIP_OR_FOLDER]

`--data` are small photographs, measured at 32 and 64 px; `--full-size` are photographs as a camera
takes them, measured at 224 px. The scripts can be run one by one; their docstrings say what "ours"
and "theirs" are. All of them take about two hours on two cores.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from rows import HEAD, START

HERE = Path(__file__).parent


def rows_of(script: str, *arguments: str) -> list[str]:
    """The rows that a script prints; all its lines are passed on as they come."""
    command = [sys.executable, str(HERE / script), *arguments]
    print("$", "benchmarks/" + script, *arguments, flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(process.returncode)
    return [line for line in lines if line.startswith(START)]


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--full-size", help="photographs to measure at 224 px")
    asked = flags.parse_args()
    large = ["--data", asked.full_size, "--image-size", "224"]
    at_32, at_64 = (["--data", asked.data, "--image-size", size] for size in ("32", "64"))
    runs = [
        *([["pixels_build.py", *large], ["pixels_loader.py", *large]] if asked.full_size else []),
        ["pixels_build.py", *at_64],
        ["pixels_loader.py", *at_64],
        ["step.py", *at_32],
        ["step.py", *at_64],
        ["trial.py", *at_32],
        ["trial.py", *at_64],
        ["overhead.py"],
        ["overhead.py", "--own"],
        ["own_network.py"],
        ["proposals.py"],
        ["large_sweep.py"],
        ["nodes.py"],
        ["sweep.py", *at_32],
    ]
    rows = [row for run in runs for row in rows_of(*run)]
    print("\n" + HEAD + "\n" + "".join(rows), end="")


if __name__ == "__main__":
    main()
