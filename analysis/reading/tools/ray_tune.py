"""Ray Tune's folder of results: a folder a trial, with params.json and result.json.

A trial that failed before its first report has an empty result.json, and error.txt tells. The last
report of a function that returned says that it is not done; of one that was stopped, that it is.
"""

import json
from pathlib import Path

import pandas as pd

from analysis.reading.tools.search import CONFIG, Search, flat

PARAMS, RESULT, ERROR = "params.json", "result.json", "error.txt"
STATES = "experiment_state-*.json"
OWN = {
    "trial_id", "date", "timestamp", "time_this_iter_s", "time_total_s", "pid", "hostname",
    "node_ip", "config", "time_since_restore", "iterations_since_restore", "done",
    "training_iteration", "experiment_tag", "checkpoint_dir_name", "should_checkpoint",
}  # fmt: skip


def read_results(folder: Path) -> Search | None:
    """The trials below the folder; None where there are none."""
    places = sorted(path.parent for path in folder.rglob(PARAMS))
    if not places:
        return None
    trials = [(place, _lines(place / RESULT)) for place in places]
    longest, states = max((len(lines) for _, lines in trials), default=0), _states(folder)
    runs, history = [], []
    for place, lines in trials:
        last = lines[-1] if lines else {}
        name = str(last.get("trial_id") or place.name)
        state = "running"
        if (place / ERROR).exists() or states.get(place.name) == "ERROR":
            state = "failed"
        elif last.get("done") and len(lines) < longest:
            state = "stopped"
        elif last and (len(lines) == longest or states.get(place.name) == "TERMINATED"):
            state = "completed"
        run: dict[str, object] = {"ID": name, "state": state, "runtime": last.get("time_total_s")}
        if lines and isinstance(lines[0].get("timestamp"), int | float):
            begin = lines[0]["timestamp"] - (lines[0].get("time_total_s") or 0)
            run["created"] = pd.Timestamp(begin, unit="s", tz="UTC").isoformat()
        params = flat(_read(place / PARAMS))
        runs.append(run | {f"{CONFIG}{key}": value for key, value in params.items()})
        for number, line in enumerate(lines, start=1):
            metrics = {
                key: value
                for key, value in flat(line).items()
                if key not in OWN and not key.startswith("config/")
            }
            epoch = line.get("training_iteration", number)
            history.append({"epoch": epoch, **metrics, "id": name})
    notes = []
    if any(run["state"] == "stopped" for run in runs):
        notes.append(f"trials that ended before {longest} reports were taken for stopped early")
    return Search(pd.DataFrame(runs), pd.DataFrame(history), "Ray Tune's results", notes=notes)


def _states(folder: Path) -> dict[str, str]:
    """How Ray says that trials ended, by the name of their folder; its newest file counts."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob(STATES)):
        content = _read(path)
        entries = content.get("trial_data", []) if isinstance(content, dict) else []
        for entry in entries:
            about = json.loads(entry[0])
            found[Path(about.get("relative_logdir") or "").name] = str(about.get("status"))
    return found


def _lines(path: Path) -> list[dict]:
    """The reports of a trial; a last line that a kill tore is passed over."""
    if not path.exists():
        return []
    found, lines = [], path.read_text("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            if number < len(lines):
                raise ValueError(f"{path}: line {number} is no report ({error})") from None
    return found


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
