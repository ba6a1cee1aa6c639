import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cnnlib.system.processes import children, end, has_open
from tests.conftest import wait_until


def test_only_what_is_called_so_and_began_then_is_ended() -> None:
    commands = [["bash", "-c", "sleep 1000; true"], ["bash", "-c", "sleep 1000; true # wandb"]]
    stranger, left = processes = [
        subprocess.Popen(command, start_new_session=True) for command in commands
    ]
    try:
        wait_until(lambda: b"wandb" in Path(f"/proc/{left.pid}/cmdline").read_bytes())
        wait_until(lambda: b"sleep" in Path(f"/proc/{stranger.pid}/cmdline").read_bytes())
        found = children()
        assert {stranger.pid, left.pid} <= found.keys()
        end({stranger.pid: found[stranger.pid], left.pid: "another's"}, b"wandb")
        assert left.poll() is None
        end({pid: found[pid] for pid in (stranger.pid, left.pid)}, b"wandb")
        assert left.wait() == -signal.SIGKILL
        assert stranger.poll() is None
        end({stranger.pid: found[stranger.pid]})
        assert stranger.wait() == -signal.SIGKILL
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_whether_a_process_has_a_file_open_is_known_whatever_the_file_is_called_by_now(
    tmp_path: Path,
) -> None:
    file, other = tmp_path / "one", tmp_path / "other"
    other.touch()
    code = "import sys; file = open(sys.argv[1], 'w'); print(flush=True); input(); file.close()"
    code += "; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdin
        process.stdout.readline()
        assert has_open(process.pid, file) and not has_open(process.pid, other)
        moved = file.rename(tmp_path / "moved")
        assert has_open(process.pid, moved)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert not has_open(process.pid, moved)
    assert not has_open(process.pid, moved)
