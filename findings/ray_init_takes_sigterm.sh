#!/usr/bin/env bash
# Ray 2.60.0: ray.init() puts a handler of its own in the place of the one that a program has for
# SIGTERM, and says nothing of it. ray.shutdown() does not give it back.
#
# Behaviour: the program's handler is never called again; SIGTERM, which `ray job stop` sends to a
# driver, ends it by sys.exit(15) wherever it is. SIGINT stays the program's. A driver that has
# results to write when its job is stopped must put its handler there anew after ray.init().
# Source: ray/_private/worker.py of the package, sigterm_handler in init
# Expected output: "before: saves; after ray.init: sigterm_handler; after ray.shutdown: sigterm_handler"
set -euo pipefail
folder=$(mktemp -d) short=$(mktemp -d /tmp/ray.XXXX)
trap 'rm -rf "$folder" "$short"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0 2> /dev/null
cat > "$folder/show.py" <<'PYTHON'
import logging
import signal
import sys

import ray


def saves(number, frame):
    print("saved")


def whose():
    return signal.getsignal(signal.SIGTERM).__name__


signal.signal(signal.SIGTERM, saves)
seen = f"before: {whose()}"
ray.init(
    address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
    logging_level=logging.CRITICAL, _temp_dir=sys.argv[1],
)
seen += f"; after ray.init: {whose()}"
ray.shutdown()
print(f"{seen}; after ray.shutdown: {whose()}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py" "$short" 2> /dev/null)
echo "$seen"
[ "$seen" = "before: saves; after ray.init: sigterm_handler; after ray.shutdown: sigterm_handler" ] \
  || { echo "this has changed"; exit 1; }
