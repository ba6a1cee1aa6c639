"""A sweep in W&B: one run per trial, sent by a thread of its own.

The journal is the truth and W&B a view of it: whatever goes wrong here costs a line of warning,
never a trial.
"""

from __future__ import annotations

import logging
import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cnnlib.wandb_files import read_offline_runs
from cnnlib.wandb_names import MAX_NAME_LENGTH, refused_id, run_id
from cnnlib.wandb_service import SERVICE_IDLE, connect, disconnect, one_line, resolved_mode

logger = logging.getLogger(__name__)

RUN_SETTINGS: dict[str, Any] = {
    "console": "off",  # never capture the driver's screen
    "init_timeout": 15.0,  # seconds for a server to accept a run, before runs go on offline
    "finish_timeout": 30.0,  # seconds for the last rows of a run
    "finish_timeout_raises": True,
    "stop_fn": lambda: None,  # W&B's stop button on one run would send SIGINT to the whole sweep
    "use_dot_wandb": False,
    "symlink": False,  # `latest-run` means nothing with several runs at once
    "save_code": False,
    "label_disable": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,  # also leaves git alone
    "x_save_requirements": False,
}


@dataclass(frozen=True)
class Tracked:
    """A trial as the journal knows it."""

    trial_id: str
    name: str
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    status: str
    summary: dict[str, Any]


class Tracking:
    """What happens to a sweep's trials, in W&B; start, log and finish return at once."""

    def __init__(
        self, folder: Path, *, mode: str, project: str, sweep: str, started: str = ""
    ) -> None:
        """Runs of `folder`'s sweep; its name is their group and begins their ids.

        When it was `started`, if that is known, tells it from another of that name.
        """
        self.mode = resolved_mode(mode)
        self._folder = folder.absolute()
        self._finished = self._folder / "wandb" / "finished"  # trials whose runs are complete
        self._project = project
        self._sweep = sweep
        self._run_id = partial(run_id, sweep, started=started)
        self._runs: dict[str, Any] = {}  # those open now, by trial
        self._last_epoch: dict[str, int] = {}
        self._num_runs = {"online": 0, "offline": 0}
        self._url = ""
        self._healthy = True
        self._warned: set[str] = set()
        self._wait = 0.0  # seconds until a killed driver's service has written what it had
        self._calls: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None]
        self._calls = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        if self.mode != "off":
            # A daemon: a server that does not answer must not keep the process alive.
            self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
            self._thread.start()

    def start(self, trial_id: str, name: str, config: Mapping[str, object]) -> None:
        """Open the trial's run; a trial that is tried again goes on in the run it had."""
        self._put(self._start, trial_id, name, dict(config))

    def log(self, trial_id: str, metrics: Mapping[str, float]) -> None:
        """Add one epoch's row; `metrics` holds `epoch`, and an epoch sent before is left out."""
        self._put(self._log, trial_id, dict(metrics))

    def finish(self, trial_id: str, status: str, summary: Mapping[str, object]) -> None:
        """Close the trial's run as completed, stopped or failed."""
        self._put(self._finish, trial_id, status, dict(summary))

    def catch_up(self, trials: Iterable[Tracked], silent: float) -> None:
        """Send what a driver that was killed `silent` seconds ago did not, before anything else.

        Its trials are given in full. A run that was finished by then is left alone; of another only
        the epochs that W&B lacks are sent.
        """
        self._wait = max(0.0, SERVICE_IDLE + 2 - silent)
        self._put(self._catch_up, list(trials))

    def close(self, timeout: float = 10.0) -> None:
        """Finish what is open and wait for it, at most `timeout` seconds."""
        if self._thread is None:
            return
        self._calls.put(None)
        self._thread.join(timeout + self._wait)
        if self._thread.is_alive():
            self._warn("close", f"not done after {timeout:g} s, so runs may lack their last epochs")
        self._thread = None

    @property
    def line(self) -> str:
        """Where the runs are, and how to send those that are only on this disk."""
        online, offline = self._num_runs["online"], self._num_runs["offline"]
        parts = []
        if online or self.mode == "online":
            where = self._url or f"project {self._project}, group {self._sweep}"
            parts.append(f"{online} {_runs(online)} online: {where}")
        if offline or (self.mode == "offline" and not online):
            send = f"wandb sync {shlex.quote(str(self._folder))}/wandb/offline-run-*"
            parts.append(f"{offline} {_runs(offline)} offline; send them with: {send}")
        return "W&B: " + ("; ".join(parts) or "off")

    def _put(self, call: Callable[..., None], *args: Any) -> None:
        if self._thread is not None:
            self._calls.put((call, args))

    def _work(self) -> None:
        """The thread: first the connection, then one call after the other."""
        try:
            connect()
        except Exception as error:
            self.mode = "off"
            self._warn("connect", f"off, {one_line(error)}")
            return
        while (item := self._calls.get()) is not None:
            self._attempt(*item)
        for trial_id in list(self._runs):
            self._attempt(self._finish, (trial_id, "interrupted", {}))
        if self._healthy:  # or the service would wait for the runs that it cannot send
            self._attempt(disconnect, ())

    def _attempt(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            call(*args)
        except Exception as error:
            self._warn(f"{call.__name__} {type(error).__name__}", one_line(error))

    def _warn(self, kind: str, message: str) -> None:
        """One line per kind of trouble, however many epochs run into it."""
        if kind not in self._warned:
            self._warned.add(kind)
            logger.warning("W&B: %s", message)

    def _catch_up(self, trials: list[Tracked]) -> None:
        finished = set(self._finished.read_text().split()) if self._finished.exists() else set()
        missing = [trial for trial in trials if trial.trial_id not in finished]
        if not missing:
            return
        time.sleep(self._wait)
        # Online the server tells a run's last step; offline only the files do.
        files = read_offline_runs(self._folder) if self.mode == "offline" else {}
        for trial in missing:
            identifier = self._run_id(trial.trial_id)
            sent = [files[i] for i in (identifier, refused_id(identifier)) if i in files]
            epochs = [int(row["epoch"]) for run in sent for row in run.history]
            self._last_epoch[trial.trial_id] = max(epochs, default=-1)
            self._attempt(self._start, (trial.trial_id, trial.name, trial.config))
            for row in trial.rows:
                self._attempt(self._log, (trial.trial_id, row))
            if trial.status != "running":
                self._attempt(self._finish, (trial.trial_id, trial.status, trial.summary))

    def _start(self, trial_id: str, name: str, config: dict[str, Any]) -> None:
        if trial_id in self._runs:
            return
        identifier = self._run_id(trial_id)
        try:
            self._runs[trial_id] = self._open(identifier, name, config)
        except Exception as error:
            self._healthy = False
            self.mode = "offline"
            self._warn("offline", f"{one_line(error)}; runs go on offline")
            # wandb's service keeps the id of a run that the server did not accept as in use.
            self._runs[trial_id] = self._open(refused_id(identifier), name, config)

    def _open(self, identifier: str, name: str, config: dict[str, Any]) -> Any:
        import wandb

        run = wandb.init(
            project=self._project,
            group=self._sweep,
            job_type="trial",
            id=identifier,
            name=name[:MAX_NAME_LENGTH],
            config=config,
            dir=str(self._folder),
            mode=self.mode,  # type: ignore[arg-type]
            reinit="create_new",
            resume="allow",
            settings=wandb.Settings(**RUN_SETTINGS),
        )
        self._num_runs[self.mode] += 1
        if self.mode == "online":
            self._url = f"{run.project_url}/groups/{quote(self._sweep, safe='')}"
        return run

    def _log(self, trial_id: str, metrics: dict[str, float]) -> None:
        epoch = int(metrics["epoch"])
        if trial_id not in self._runs or epoch <= self._last_epoch.get(trial_id, -1):
            return
        # The epoch is the step, not only a step metric: W&B's x axis is then right by itself, and
        # wandb drops a step that is not past the last one, which the server tells a resumed run.
        # So what a retried trial repeats counts once, also when another process sent it before.
        self._runs[trial_id].log(metrics, step=epoch, commit=True)
        self._last_epoch[trial_id] = epoch

    def _finish(self, trial_id: str, status: str, summary: dict[str, Any]) -> None:
        run = self._runs.pop(trial_id, None)
        if run is None:
            return
        run.summary.update({**summary, "status": status})
        try:
            run.finish(exit_code=0 if status in ("completed", "stopped") else 1)
        except Exception as error:
            self._healthy = False
            if not isinstance(error, TimeoutError):
                raise
            self.mode = "offline"  # or every later run would wait as long
            send = f"wandb sync --include-online {shlex.quote(str(self._folder))}/wandb/run-*"
            raise TimeoutError(f"no answer; send the rest with: {send}") from None
        if status != "interrupted":
            with self._finished.open("a") as file:
                file.write(f"{trial_id}\n")


def _runs(count: int) -> str:
    return "run" if count == 1 else "runs"
