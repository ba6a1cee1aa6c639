"""Sends a sweep's trials to W&B as its journal grows: the process `python -m cnnlib.tracking`.

The journal is the truth and W&B a view of it, so everything can be sent again; what W&B surely has
stands in `wandb/sent.jsonl`. Online a run grows with its trial, and after a kill the server knows
how far it is. Offline a run is written in one go when its trial has ended.
"""

import argparse
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from cnnlib.journal.events import JournalTail, journal_exists
from cnnlib.journal.followers import SeenTrial, SeenTrials
from cnnlib.networks.metric import LOGGED
from cnnlib.system.flags import Flags
from cnnlib.system.processes import children, end
from cnnlib.system.redaction import named, one_line
from cnnlib.tracking.account import resolved_mode
from cnnlib.tracking.names import MAX_NAME_LENGTH, refused_id, run_id, run_name, where
from cnnlib.tracking.sent import BEGUN, INTERRUPTED, Part, Sent
from cnnlib.tracking.service import (
    SERVICE,
    finish,
    is_silence,
    leave,
    quieten,
    run_settings,
)

PAUSE = 1.0  # seconds between looks at the journal
RETRY = 60.0  # seconds until a server that did not answer is tried again

Say = Callable[[dict[str, Any]], None]


class SilentError(OSError):
    """The server does not answer, so that nothing more can be sent for now."""


class Sender:
    """Sends trials; `say` is told how far it is, and what went wrong in a line."""

    def __init__(self, sent: Sent, *, mode: str, say: Say) -> None:
        """The sweep's name is the group of its runs and begins their ids."""
        self.seen = SeenTrials()
        self.say = say
        self._sent = sent
        self._mode = mode
        self._run_id = partial(run_id, sent.sweep, started=sent.started)
        self._settled: set[str] = set()  # trials that ended and are sent
        self._given_up: set[str] = set()  # by this process
        self._runs: dict[str, Any] = {}  # open online, by trial
        self._after: dict[str, int] = {}  # the last epoch that was logged, by trial

    @property
    def left(self) -> int:
        """How many trials have something that W&B surely lacks."""
        return sum(
            trial.started and trial_id not in self._settled and not self._has_all(trial)
            for trial_id, trial in self.seen.trials.items()
        )

    @property
    def state(self) -> dict[str, Any]:
        """How far it is, as `names.where` says it."""
        num_runs = {mode: self._sent.num_runs(mode) for mode in ("online", "offline")}
        return {**num_runs, "left": self.left, "url": self._sent.url}

    def tell(self) -> None:
        """Says how far it is."""
        self.say(self.state)

    def connect(self) -> None:
        """Starts wandb's service, and notes that it goes with this process."""
        quieten()
        import wandb

        wandb.setup()
        self._sent.note_processes(children())
        self.tell()

    def send(self, *, is_last: bool) -> None:
        """Sends what is new; with `is_last` the runs of trials that have not ended are closed too.

        Raises SilentError where the server does not answer. A trial that cannot be sent for another
        reason costs a line, and the others are sent.
        """
        for trial_id, trial in self.seen.trials.items():
            if not trial.started or trial_id in self._settled or trial_id in self._given_up:
                continue
            act = self._send_online if self._mode == "online" else self._send_offline
            try:
                act(trial, is_last=is_last)
            except Exception as error:
                if is_silence(error) and self._mode == "online":
                    raise SilentError(f"no answer: {one_line(error)}") from None
                self._given_up.add(trial_id)
                self.say({"say": f"trial {trial_id}: {one_line(error)}"})

    def _has_all(self, trial: SeenTrial) -> bool:
        last = self._sent.last(trial.trial_id)
        if last is None:
            return not trial.has_ended and not trial.rows  # nothing to show
        status = _status(trial)
        return not last.mode or (last.epoch, last.status) == (trial.epoch, status)

    def _settle(self, trial: SeenTrial) -> None:
        if trial.has_ended:
            self._settled.add(trial.trial_id)

    def _send_offline(self, trial: SeenTrial, *, is_last: bool) -> None:
        if not (trial.has_ended or is_last):
            return
        last = self._sent.last(trial.trial_id)
        if last is None:
            self._look_for_former(trial)
        if last and (last.mode, last.status) == ("online", BEGUN):
            raise ValueError("only the server knows how far its run is; send it online")
        if not self._has_all(trial):
            self._write(trial, last.epoch if last else 0)
        self._settle(trial)

    def _look_for_former(self, trial: SeenTrial) -> None:
        """Half a run by a former version of this program, or of a note that was lost."""
        identifier = self._run_id(trial.trial_id)
        for name in (identifier, refused_id(identifier)):
            if self._sent.synced(name) and self._mode == "offline":
                raise ValueError("`wandb sync` has sent a part of its run; send the rest online")
            if folders := self._sent.unsynced(name):
                self._sent.put_aside(folders)
                text = f"what was begun of it is in {self._sent.folder}/put-aside"
                self.say({"say": f"trial {trial.trial_id} is written anew; {text}"})

    def _write(self, trial: SeenTrial, after: int) -> None:
        """Writes a run from the epoch after `after` on, as a whole."""
        self._sent.writing.mkdir(exist_ok=True)
        run = self._init(trial, self._sent.writing)
        folder = Path(run.sync_dir)
        self._log(run, trial, after)
        self._finish(run, trial)
        if (self._sent.folder / folder.name).exists():  # wandb names folders by the second
            time.sleep(1)
            return self._write(trial, after)
        for file in folder.glob("*.wandb"):
            _sync(file)
        status = _status(trial)
        self._sent.note_part(Part(trial.trial_id, "offline", trial.epoch, status, folder.name))
        self.tell()

    def _send_online(self, trial: SeenTrial, *, is_last: bool) -> None:
        trial_id = trial.trial_id
        leaves = trial.status != "running"  # its worker: what is paused has a run no more
        if trial_id not in self._runs:
            if self._is_online(trial) or (is_last and not leaves and not trial.rows):
                return self._settle(trial)
            self._open(trial)
        run = self._runs[trial_id]
        self._log(run, trial, self._after[trial_id])
        self._after[trial_id] = trial.epoch
        if leaves or is_last:
            del self._runs[trial_id]
            self._finish(run, trial)
            self._sent.note_part(Part(trial_id, "online", trial.epoch, _status(trial)))
            self._settle(trial)
            self.tell()

    def _is_online(self, trial: SeenTrial) -> bool:
        """Whether the server has all of a trial, or had it by a `wandb sync` of its folders."""
        last = self._sent.last(trial.trial_id)
        return self._has_all(trial) and not (
            last and last.mode == "offline" and self._sent.unsynced(self._run_id(trial.trial_id))
        )

    def _open(self, trial: SeenTrial) -> None:
        """Opens a run of the server's, or goes on with it."""
        trial_id, last = trial.trial_id, self._sent.last(trial.trial_id)
        if last is None:
            self._look_for_former(trial)
        elif last.mode == "offline":  # the server is sent all of it, so it must not be synced too
            self._sent.put_aside(self._sent.unsynced(self._run_id(trial_id)))
        if last is None or last.mode != "online":
            self._sent.note_part(Part(trial_id, "online", 0, BEGUN))
        run = self._init(trial, self._sent.folder.parent)
        url = f"{run.project_url}/groups/{quote(self._sent.sweep, safe='')}"
        self._sent.note_url(url)
        self._after[trial_id] = int(run.step) - 1  # a run that is resumed goes on after its last
        self._runs[trial_id] = run
        self.tell()

    def _init(self, trial: SeenTrial, folder: Path) -> Any:
        import wandb

        config = self.seen.shown(trial)
        return wandb.init(
            project=self._sent.project,
            group=self._sent.sweep,
            job_type="trial",
            id=self._run_id(trial.trial_id),
            name=run_name(config)[:MAX_NAME_LENGTH],
            config=config,
            dir=str(folder),
            mode=self._mode,  # type: ignore[arg-type]
            reinit="create_new",
            resume="allow",
            settings=run_settings(),
        )

    def _log(self, run: Any, trial: SeenTrial, after: int) -> None:
        # The epoch is the step, not only a step metric: W&B's x axis is then right by itself.
        for row in trial.rows:
            if row["epoch"] > after:
                run.log(self._as_said(row), step=int(row["epoch"]), commit=True)

    def _as_said(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with the metric by the user's name too, which W&B's own charts look for."""
        metric = self.seen.metric
        return {metric.said: values[metric.name], **values} if metric.name in values else values

    def _finish(self, run: Any, trial: SeenTrial) -> None:
        status = _status(trial)
        best: dict[str, Any] = {}
        if trial.best_epoch:
            row = trial.rows[trial.best_epoch - 1]
            values = {name: row[name] for name in (*LOGGED, self.seen.metric.name) if name in row}
            best = self._as_said(values) | {"best_epoch": trial.best_epoch}
        run.summary.update({**best, "status": status})
        is_good = status in ("completed", "stopped", "paused")
        finish(run, self._mode, exit_code=0 if is_good else 1)


def _status(trial: SeenTrial) -> str:
    """A trial's status as W&B is told it when its run is closed."""
    return INTERRUPTED if trial.status == "running" else trial.status


def _sync(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())


def follow(sender: Sender, tail: JournalTail, *, driver: int | None) -> None:
    """Sends what the journal gets, until nobody has the other end of the pipe `driver` any more.

    Where the server falls silent it only reads on, and after RETRY seconds returns: only another
    process can try again. Raises SilentError where there is no driver to try again.
    """
    silent_since = math.inf
    while True:
        for event in tail.new():
            sender.seen.see(event)
        try:
            if silent_since == math.inf:
                sender.send(is_last=driver is None)
        except SilentError as error:
            if driver is None:
                raise
            silent_since = time.monotonic()
            sender.say({"say": one_line(error)})
        if driver is None or time.monotonic() > silent_since + RETRY:
            return
        readable, _, _ = select.select([driver], [], [], PAUSE)
        if readable and not os.read(driver, 100):  # its end
            driver = None


def main() -> int:
    """Sends the runs of a folder; ends the process with 0, 1 where something is left, or 2."""
    flags = Flags(prog="python -m cnnlib.tracking", description="Sends the runs of a sweep to W&B.")
    flags.add_argument("folder", type=Path, help="a sweep's folder, or what jobs/train.py wrote")
    flags.add_argument("--wandb", choices=("auto", "online", "offline"), default="auto")
    flags.add_argument("--wandb-project", metavar="NAME", help="W&B project (default cnnlib)")
    flags.add_argument("--follow", help=argparse.SUPPRESS)  # by a driver: the sweep and its start
    asked = flags.parse_args()
    folder = asked.folder.absolute()
    sent = Sent(folder)
    try:
        journal = next((f for f in (folder, folder / "wandb") if journal_exists(f)), None)
        if journal is None:
            raise ValueError(f"no journal in {asked.folder}; give the folder of a sweep")
        mode = asked.wandb if asked.follow else resolved_mode(asked.wandb)
        if mode == "off":
            raise ValueError("W&B is switched off on this machine (WANDB_MODE)")
        end(sent.open(wait=bool(asked.follow)), SERVICE)
        faults = list(sent.read())
    except (ValueError, OSError) as error:
        print(named(error), file=sys.stderr)
        return 2
    if asked.follow:
        sweep, started = json.loads(asked.follow)
        sent.note_sweep(asked.wandb_project, sweep, started)
        signal.signal(signal.SIGTERM, _leave)
        say, driver = _to_driver(), sys.stdin.fileno()
    else:
        sent.note_sweep(asked.wandb_project or "cnnlib", *_sweep(folder))
        say, driver = _to_screen, None
    if asked.wandb_project and asked.wandb_project != sent.project:
        faults.append(
            f"the runs of this sweep are in project {sent.project}; delete {sent.folder} to send "
            "all of them anew"
        )
    for fault in faults:
        say({"say": fault})
    sender = Sender(sent, mode=mode, say=say)
    code = _send(sender, sent, JournalTail(journal), driver)
    if not asked.follow:
        print(where(folder, mode=mode, project=sent.project, sweep=sent.sweep, **sender.state))
    leave(code)


def _send(sender: Sender, sent: Sent, tail: JournalTail, driver: int | None) -> int:
    """Sends until all is sent, or nothing more can be; the exit code."""
    try:
        sender.connect()
        follow(sender, tail, driver=driver)
        code = 1 if sender.left else 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # nobody else would tell it
        sender.say({"say": one_line(error)})
        code = 1
    sender.tell()
    sent.close()
    return code


def _leave(*_: object) -> NoReturn:
    """The driver's folder is another's now: nothing is sent, finished or deleted any more."""
    leave(128 + signal.SIGTERM)


def _sweep(folder: Path) -> tuple[str, str]:
    """A sweep's name and when it was begun, by its sweep.json."""
    try:
        about = json.loads((folder / "sweep.json").read_text("utf-8"))
        return str(about.get("name", folder.name)), str(about.get("started", ""))
    except (OSError, ValueError, AttributeError):
        return folder.name, ""


def _to_screen(state: dict[str, Any]) -> None:
    if "say" in state:
        print(f"W&B: {state['say']}", file=sys.stderr)


def _to_driver() -> Say:
    """Lines of JSON to whoever started this process, as long as it is there."""
    pipe = os.dup(1)  # which what is started here does not get
    os.dup2(2, 1)

    def say(state: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # the driver is gone
            os.write(pipe, json.dumps(state).encode() + b"\n")

    return say
