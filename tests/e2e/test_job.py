"""The two lines of the README that run a sweep as a job of a Ray cluster."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from cnnlib.journal.tables import read_results
from tests.conftest import HANG, wait_until
from tests.long.chaos import descendants

ROOT = Path(__file__).parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
# What `ray job submit` says of a head that has no dashboard yet, or no agent beside it.
NOT_YET = ("onnect", "No available agent to submit job, please try again later")


def free_ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def cluster(home: Path) -> Iterator[dict[str, str]]:
    """A head node of our own with token authentication; the environment to talk to it."""
    gcs, dashboard, agent, client = free_ports(4)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "HOME": str(home),  # where the token and the results go
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_metrics_report_interval_ms": "2000",
    }
    subprocess.run(
        [RAY, "get-auth-token", "--generate"], env=environment, check=True, capture_output=True
    )
    scratch = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path must be short
    head = subprocess.Popen(
        [
            RAY, "start", "--head", "--block", "--num-cpus", "2", "--temp-dir", scratch,
            "--port", gcs, "--dashboard-port", dashboard, "--dashboard-agent-listen-port", agent,
            "--ray-client-server-port", client,
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    (home / "address").write_text(f"127.0.0.1:{gcs}")
    (home / "head").write_text(str(head.pid))
    yield environment
    head.terminate()  # `ray start --block` ends what it started, and nothing else
    try:
        head.wait(HANG)
    finally:
        if head.poll() is None:
            os.killpg(head.pid, signal.SIGKILL)
        shutil.rmtree(scratch, ignore_errors=True)


def watching(head: int, dashboard: str, token: str) -> Callable[[], tuple[set[str], str]]:
    """Looks at the processes of a Ray and its metrics until what it returns is called.

    That gives the names of its processes, which the dashboard shows as it takes a look now and
    then, and the node's metrics with trials in them.
    """
    named, metrics, ended = set[str](), list[str](), threading.Event()
    headers = {"Authorization": f"Bearer {token}"}
    port: int | None = None

    def look() -> None:
        nonlocal port
        while not ended.wait(1):
            named.update(descendants(head).values())
            with suppress(requests.RequestException, LookupError, ValueError):
                if port is None:
                    said = requests.get(
                        f"{dashboard}/nodes?view=summary", headers=headers, timeout=5
                    )
                    [node] = said.json()["data"]["summary"]
                    port = node["raylet"]["metricsExportPort"]
                text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
                metrics.extend([text] if "ray_cnnlib_" in text else [])

    thread = threading.Thread(target=look, daemon=True)
    thread.start()

    def seen() -> tuple[set[str], str]:
        ended.set()
        thread.join()
        return named, "".join(metrics[-1:])

    return seen


def test_a_submitted_job_runs_a_sweep_and_leaves_its_results(
    cluster: dict[str, str], home: Path
) -> None:
    size = ["--trials", "3", "--max-epochs", "2", "--finalists", "0", "--image-size", "32"]
    size += ["--set", "first_layer_filters=4,8", "--set", "conv_layers=3"]
    token = (home / ".ray" / "auth_token").read_text().strip()
    head = int((home / "head").read_text())
    seen = watching(head, cluster["RAY_API_SERVER_ADDRESS"], token)
    job = ["python", "jobs/tune.py", *size, "--name", "job"]
    command = [RAY, "job", "submit", "--working-dir", ".", "--", *job, "--wandb", "off"]

    def submitted() -> "subprocess.CompletedProcess[str] | None":
        """None while the head does not accept jobs yet, for some seconds."""
        answer = subprocess.run(command, cwd=ROOT, env=cluster, capture_output=True, text=True)
        said = answer.stdout + answer.stderr
        is_early = any(word in said for word in NOT_YET) and "submitted successfully" not in said
        return None if is_early else answer

    answer = wait_until(submitted)
    said = answer.stdout + answer.stderr
    named, metrics = seen()
    assert answer.returncode == 0, said
    assert "succeeded" in said
    assert any(re.match(r"ray::trial 000[123] ac-", name) for name in named), named
    shown = re.findall(r'^ray_cnnlib_val_acc{.*trial="(000\d) ac-.*} (0\.\d+)', metrics, re.M)
    assert shown, "no trial's accuracy among Ray's metrics"
    assert "champion: trial " in said
    sweep = home / "results" / "job"
    assert len(read_results(sweep).trials) == 3
    assert (sweep / "champion" / "weights.safetensors").is_file()
    assert (sweep / "report" / "index.html").is_file()


def test_the_doctor_asks_the_machines_and_says_when_the_token_is_another(
    cluster: dict[str, str], home: Path, tmp_path: Path
) -> None:
    address = (home / "address").read_text()
    plan = [sys.executable, "jobs/tune.py", "--plan", "--wandb", "off", "--set", "conv_layers=2"]
    plan += ["--storage", str(tmp_path / "results")]
    environment = cluster | {"RAY_ADDRESS": address, "HOME": str(tmp_path)}
    shutil.copytree(home / ".ray", tmp_path / ".ray")

    def planned() -> "subprocess.CompletedProcess[str] | None":
        """None while the head does not answer yet."""
        answer = subprocess.run(plan, cwd=ROOT, env=environment, capture_output=True, text=True)
        return None if "onnect" in answer.stdout + answer.stderr else answer

    answer = wait_until(planned)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "ok     cluster: 1 machines, 2 cores, 0 GPUs" in answer.stdout
    assert "ok     data: all photographs are on this machine" in answer.stdout
    (tmp_path / ".ray" / "auth_token").write_text("f" * 64)
    answer = subprocess.run(plan, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert answer.returncode == 2
    [fault] = [line for line in answer.stdout.splitlines() if line.startswith("FAULT")]
    assert f"FAULT  cluster: {address} does not take us" in fault
    assert "the token the cluster's" in fault
