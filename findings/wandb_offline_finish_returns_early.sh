#!/usr/bin/env bash
# wandb 0.31.0, offline: run.finish() returns before the run is in its file.
#
# Behaviour: the history and the summary of a short run are in the memory of wandb's service until the
# service closes the run, which it begins only after finish() was answered. Mostly that takes a
# millisecond. Where the machine is busy, the file holds its 7 bytes of header when finish() returns;
# who copies or syncs it then, or ends all processes, as a job's end does, has a run without rows.
# The service is made to wait here: it has the lowest priority beside busy processes, as on a machine
# that trains. wandb.teardown() does wait.
# Source: wandb/sdk/wandb_run.py, Run._finish: inform_finish, the last message, is not answered; the
# docstring of finish() says that it ensures that all data is synced.
# Expected output: "8 runs: some files grew after finish(), none after teardown()"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check wandb==0.31.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import os
import subprocess
import sys
import time
from pathlib import Path

import wandb

SETTINGS = wandb.Settings(console="off", disable_git=True, silent=True)


def wait_behind_others() -> None:
    """The lowest priority for wandb's service."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_child = f"PPid:\t{os.getpid()}\n" in (process / "status").read_text()
            if is_child and b"wandb-core" in (process / "cmdline").read_bytes():
                for thread in (process / "task").iterdir():
                    os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)
        except OSError:  # it has ended
            pass


def growth(name: str, teardown: bool) -> int:
    """By how many bytes the run's file grows after it was finished."""
    run = wandb.init(project="p", id=name, dir=".", mode="offline", settings=SETTINGS)
    wait_behind_others()
    for step in range(3):
        run.log({"loss": 1 / (step + 1)})
    [file] = Path(run.sync_dir).glob("*.wandb")
    run.finish()
    if teardown:
        wandb.teardown()
    before = file.stat().st_size
    time.sleep(2)
    return file.stat().st_size - before


busy = [sys.executable, "-c", "while True: pass"]
others = [subprocess.Popen(busy) for _ in range(2 * os.cpu_count())]
try:
    after_finish = [growth(f"finish-{number}", False) for number in range(8)]
    after_teardown = [growth(f"teardown-{number}", True) for number in range(8)]
finally:
    for other in others:
        other.kill()
said = ["some" if any(grown) else "none" for grown in (after_finish, after_teardown)]
print(f"8 runs: {said[0]} files grew after finish(), {said[1]} after teardown()")
PYTHON
cd "$folder"
seen=$("$folder/venv/bin/python" show.py 2> /dev/null)
echo "$seen"
[ "$seen" = "8 runs: some files grew after finish(), none after teardown()" ] || { echo "this has changed"; exit 1; }
