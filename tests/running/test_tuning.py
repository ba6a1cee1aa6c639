import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune.execution import class_cache

from cnnlib.running import tuning
from cnnlib.running.tuning import session


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Ray is told when it starts, which it does not here."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(ray, "init", lambda **asked: told.append(asked))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CNNLIB_CACHE", os.environ["CNNLIB_CACHE"])
    return told


def test_a_ray_of_our_own_has_the_cores_that_are_ours(
    started: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "cores", lambda: 3)
    monkeypatch.setenv("TMPDIR", "/" + 130 * "x")
    with session(verbose=False):
        pass
    [told] = started
    assert (told["address"], told["num_cpus"], told["_temp_dir"]) == ("local", 3, "/tmp/ray")
    token = tmp_path / ".ray" / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_a_clusters_size_is_its_own(
    started: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with session(verbose=False):
        pass
    [told] = started
    assert told["address"] == "10.0.0.1:6379"
    assert not {"num_cpus", "_temp_dir"} & told.keys()
    assert not (tmp_path / ".ray").exists()


def test_workers_find_a_cache_that_was_named_from_here(
    started: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", "here")
    with session(verbose=False):
        assert os.environ["CNNLIB_CACHE"] == str(tmp_path / "here")


def test_a_ray_that_does_not_start_is_a_line(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "init", fail)
    with (
        pytest.raises(ConnectionError, match="Ray does not start: The current node timed out dur"),
        session(verbose=False),
    ):
        pass


SLOW = "The current node timed out during startup. This could happen because the GCS\nis busy"


@pytest.mark.parametrize(
    ("texts", "tried"),
    [([SLOW, SLOW, ""], 3), ([SLOW] * 100, tuning.STARTS), (["no such address", SLOW], 1)],
)
def test_a_machine_that_is_slow_to_start_ray_is_waited_for(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, texts: list[str], tried: int
) -> None:
    left = list(texts)

    def start(**_: Any) -> None:
        if text := left.pop(0):
            raise Exception(text)

    monkeypatch.setattr(ray, "init", start)
    if "" in texts:
        with session(verbose=False):
            pass
    else:
        with pytest.raises(ConnectionError, match=r"^Ray does not start: "), session(verbose=False):
            pass
    assert len(texts) - len(left) == tried


def test_what_a_vain_start_of_ray_has_started_is_ended(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def start(**_: Any) -> None:
        begun.append(subprocess.Popen(["sleep", "1000"]))
        if len(begun) < 3:
            raise Exception(SLOW)

    monkeypatch.setattr(ray, "init", start)
    try:
        with session(verbose=False):
            assert [process.poll() for process in begun] == [-signal.SIGKILL] * 2 + [None]
    finally:
        for process in begun:
            process.kill()
            process.wait()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_while_ray_starts_is_one_like_any_other(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, by: int
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def start(**_: Any) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray's does
        begun.append(subprocess.Popen(["sleep", "1000"]))
        signal.raise_signal(by)

    monkeypatch.setattr(ray, "init", start)
    ours = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt), session(verbose=False):
            pass
        assert signal.getsignal(signal.SIGTERM) is ours
        assert [process.poll() for process in begun] == [-signal.SIGKILL]
    finally:
        signal.signal(signal.SIGTERM, ours)
        for process in begun:
            process.kill()
            process.wait()


def test_ray_s_own_exit_is_no_interruption(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: sys.exit("Ray gives up"))
    with pytest.raises(SystemExit, match="Ray gives up"), session(verbose=False):
        pass


def test_tune_loads_no_wandb_into_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.air.integrations.wandb", None)  # to load it fails
    controller: Any = ray.tune.tune
    assert not controller.air_usage.tag_callbacks([ray.tune.Callback()])


def test_tune_puts_no_key_into_the_runtime_environment_that_ray_logs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SECURITY_TOKEN", "SESSION_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", "SECRET")

    class Trainable:
        pass

    actor = class_cache._ActorClassCache().get(Trainable)
    assert "SECRET" not in str(actor._default_options["runtime_env"])
    assert actor._default_options["runtime_env"]["env_vars"]
