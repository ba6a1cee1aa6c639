import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnlib.claim import EXPIRES, NAME, Claim, ClaimedError, read_claim

ROOT = Path(__file__).parent.parent
HOLDER = """if True:
    import pathlib, sys, time
    from cnnlib.claim import Claim
    claim = Claim(pathlib.Path(sys.argv[1]))
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_driver_is_refused_with_the_firsts_host_and_age(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    claim = read_claim(tmp_path / NAME)
    assert claim is not None
    message = rf"written by process {holder.pid} on {claim['host']}, for \d+ s, last seen \d s ago"
    with pytest.raises(ClaimedError, match=message):
        Claim(tmp_path)
    assert read_claim(tmp_path / NAME) == claim


def test_the_claim_of_a_killed_process_expires_at_once(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    Claim(tmp_path).release()


def test_a_released_claim_is_free(tmp_path: Path) -> None:
    Claim(tmp_path).release()
    assert read_claim(tmp_path / NAME) is None
    Claim(tmp_path).release()


def test_another_machines_driver_lives_as_long_as_it_shows(tmp_path: Path) -> None:
    def write(silent: float) -> None:
        now = time.time()
        claim = {"host": "elsewhere", "pid": 7, "since": now - 500, "alive": now - silent}
        (tmp_path / NAME).write_text(json.dumps(claim))

    write(EXPIRES - 5)
    with pytest.raises(ClaimedError, match="process 7 on elsewhere, for 500 s, last seen 55 s ago"):
        Claim(tmp_path)
    write(EXPIRES + 5)
    Claim(tmp_path).release()


def test_signs_of_life_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlib.claim.HEARTBEAT", 0.01)
    claim = Claim(tmp_path)
    first = read_claim(tmp_path / NAME)
    deadline = time.monotonic() + 10
    while read_claim(tmp_path / NAME) == first and time.monotonic() < deadline:
        time.sleep(0.01)
    last = read_claim(tmp_path / NAME)
    claim.release()
    assert first is not None and last is not None
    assert last["alive"] > first["alive"] and last["since"] == first["since"]
