"""Commands without what each would take to load the libraries, ten seconds of a core.

A command is forked from a server that has loaded them. It is a process of its own, as one that a
shell starts, and much like a Popen.
"""

import atexit
import faulthandler
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from tests.conftest import HANG

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.preloaded"])
TELL = signal.SIGUSR2  # a command writes on stderr where each of its threads is


def _main(arguments: Sequence[str], environment: dict[str, str], said: Sequence[str]) -> None:
    """In the new process: a script, or a module after -m, as if Python had been started with it."""
    from tests.preloaded import SET

    os.environ.clear()
    os.environ.update(environment | SET)
    for number, path in enumerate([os.devnull, *said]):
        file = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(TELL, all_threads=True)
    try:
        if arguments[0] == "-m":
            sys.argv = list(arguments[1:])
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(arguments)
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


class Command:
    """A running command."""

    def __init__(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="command-")
        said = [str(Path(self._folder.name, name)) for name in ("out", "err")]
        self._said = said
        self._process = _forks.Process(
            target=_main,
            args=([str(a) for a in arguments], dict(os.environ if env is None else env), said),
        )
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> "CompletedProcess[str]":
        """What came of it, once it has ended."""
        self._process.join(HANG)
        code = self._process.exitcode
        if code is None:
            self.send_signal(TELL)
            time.sleep(1.0)
            self._process.kill()
        out, err = (Path(path).read_text() for path in self._said)
        assert code is not None, f"it hangs: {out[-1000:]}\n{err}"
        self._folder.cleanup()
        return CompletedProcess([], code, out, err)


def run(*arguments: str | Path, env: Mapping[str, str] | None = None) -> "CompletedProcess[str]":
    """Runs a command to its end."""
    return Command(*arguments, env=env).ended()
