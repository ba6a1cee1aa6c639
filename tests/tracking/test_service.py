"""wandb's service outlives `finish` by a moment, in which a run is not yet on the disk."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnlib.tracking.service import finish
from tests.conftest import wait_until


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_an_offline_run_is_whole_when_it_is_finished(tmp_path: Path, mode: str) -> None:
    """A service that writes half a second after it was told to: on a busy machine it does."""
    file, told, codes = tmp_path / "run-1.wandb", tmp_path / "told", list[int]()
    code = (
        "import sys, time, pathlib; file = open(sys.argv[1], 'w', buffering=1)\n"
        "file.write('begun\\n')\n"
        "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.01)\n"
        "time.sleep(0.5); file.write('whole\\n'); file.close(); time.sleep(1000)"
    )

    def told_to_finish(exit_code: int) -> None:
        codes.append(exit_code)
        told.touch()

    run = SimpleNamespace(finish=told_to_finish, sync_dir=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code, file, told]) as service:
        try:
            wait_until(lambda: file.exists() and file.read_text() == "begun\n", service)
            finish(run, mode, exit_code=3)
            assert codes == [3]
            whole = "begun\nwhole\n" if mode == "offline" else "begun\n"
            assert file.read_text() == whole, "online the server has it"
        finally:
            service.kill()
