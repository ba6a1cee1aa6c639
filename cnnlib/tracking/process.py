"""The process that sends a sweep to W&B, as its driver sees it."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cnnlib.journal.followers import Event
from cnnlib.storage.folder_lock import LockedError
from cnnlib.tracking.names import where
from cnnlib.tracking.service import child_environment

logger = logging.getLogger(__name__)

RETRY = 60.0  # seconds from the start of a process that was killed to that of another
PATIENCE = 300.0  # seconds without a sign of progress after which the end of a sweep waits no more


class Tracking:
    """Follows a journal by a process that reads it for itself, so that the sweep never waits.

    That process outlives the driver: it ends when nobody has the other end of its input any more
    and all is sent.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mode: str,
        project: str,
        sweep: str,
        started: str = "",
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """The runs of `folder`'s journal; the sweep's name is their group and begins their ids.

        When it was `started`, if that is known, tells it from another of that name. `mode` is one
        that `resolved_mode` gave. `check` raises LockedError where another driver has the folder.
        """
        self.mode = mode
        self._check = check
        self._folder = folder.absolute()
        self._names: dict[str, Any] = {"project": project, "sweep": sweep}
        self._command = [
            sys.executable, "-m", "cnnlib.tracking", str(self._folder), "--wandb", self.mode,
            "--wandb-project", project, "--follow", json.dumps([sweep, started]),
        ]  # fmt: skip
        self._state: dict[str, Any] = {"left": None}
        self._said: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        if self.mode != "off":
            self._start()

    def know(self, events: Iterable[Event]) -> None:
        """Nothing: the process reads them."""

    def see(self, event: Event) -> None:
        """Nothing but a look whether the process that reads it is there."""
        if self._process is None or self._thread.is_alive():  # which hears of its end
            return
        if time.monotonic() > self._began + RETRY:
            self._start()

    def close(self) -> None:
        """Waits until all is sent, as long as that gets on, and the process has ended.

        Where another driver has the folder its runs are left as they are, for that one to end.
        """
        if self._process is None:
            return
        try:
            self._check()
            self._wait(self._process)
            if self._process.poll() not in (0, 1):  # it was killed: another one does the rest
                self._wait(self._start())
        except LockedError:
            self._process.terminate()
            self._thread.join()  # which reads what it says, to the end
            with self._process:
                pass
        except KeyboardInterrupt:  # who will not wait need not: it goes on alone
            return

    @property
    def line(self) -> str:
        """Where the runs are, and how to send those that are only on this disk."""
        if self.mode == "off":
            return "W&B: off"
        return where(self._folder, mode=self.mode, **self._names, **self._state)

    def _start(self) -> "subprocess.Popen[bytes]":
        wandb = self._folder / "wandb"
        wandb.mkdir(parents=True, exist_ok=True)
        if self._process and self._process.stdin:  # of one that was killed
            self._process.stdin.close()
        self._began = self._heard = time.monotonic()
        with (wandb / "follower.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=child_environment(),
                start_new_session=True,  # Ctrl-C is for the sweep, and hanging up too
            )
        self._thread = threading.Thread(
            target=self._listen, args=(self._process,), name="tracking", daemon=True
        )
        self._thread.start()
        return self._process

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin
        process.stdin.close()
        self._heard = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(1.0)
            if time.monotonic() > self._heard + PATIENCE:
                return self._warn(f"nothing was sent for {PATIENCE:g} s, so it is not waited for")
        process.wait()
        if process.returncode == 2:
            self._warn(f"it cannot be sent, see {self._folder}/wandb/follower.log")

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        """The thread: takes note of what the process tells."""
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                self._heard = time.monotonic()
                state = json.loads(line)
                if "say" in state:
                    self._warn(state["say"])
                else:
                    self._state = state

    def _warn(self, message: str) -> None:
        """One line per kind of trouble, however often it comes."""
        if message not in self._said:
            self._said.add(message)
            logger.warning("W&B: %s", message)
