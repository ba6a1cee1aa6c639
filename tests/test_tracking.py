from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cnnlib.tracking import RUN_SETTINGS, Tracked, Tracking
from cnnlib.wandb_files import (
    BLOCK_BYTES,
    FULL,
    RECORD_HEADER_BYTES,
    OfflineRun,
    _payloads,
    read_offline_runs,
)
from cnnlib.wandb_names import run_name

ROOT = Path(__file__).parent.parent
API_KEY = "0123456789" * 4
CONFIG: dict[str, Any] = {
    "first_layer_filters": 128,
    "filter_org": 1.0,
    "conv_layers": 5,
    "activation": "relu",
    "dropout": 0.3,
    "batch_norm": True,
    "batch_size": 32,
    "learning_rate": 0.001,
    "use_augmentation": True,
    "num_neurons_dense": 256,
}


@pytest.fixture(autouse=True)
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No account and no W&B settings of this machine's user, before and after."""
    for key in list(os.environ):
        if key.startswith("WANDB_"):
            monkeypatch.delenv(key)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")  # set here, so that Tracking's own does not stay
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.chdir(tmp_path)
    yield
    import wandb

    wandb.teardown()  # its settings are read once per process


def epoch_row(trial: int, epoch: int) -> dict[str, float]:
    return {
        "epoch": epoch,
        "val_acc": trial / 10 + epoch / 100,
        "val_loss": 2 / (1 + trial + epoch),
    }


def run_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a user's process: without the two variables that Tracking sets by itself."""
    own = ("WANDB_SILENT", "WANDB_ERROR_REPORTING")
    env = {key: value for key, value in os.environ.items() if key not in own}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=40)


def run_printed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=60)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited 20 s"
        time.sleep(0.05)


class AnsweringServer:
    """As much of a W&B server as a run needs: it keeps rows and tells a resumed run its last."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.answers = threading.Event()
        self.answers.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
                outer.answers.wait(30)
                if self.path == "/graphql":
                    answer: dict[str, Any] = {"data": outer.data(body["query"], body["variables"])}
                else:
                    answer = outer.stream(self.path.split("/")[-2], body)
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "UpsertBucket" in query:
            self.rows.setdefault(variables["name"], [])
            project = {"id": "p", "name": "cnn", "entity": {"id": "e", "name": "someone"}}
            bucket = {"id": "b", "name": variables["name"], "displayName": "", "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "RunResumeStatus" in query:
            rows = self.rows.get(variables["name"])
            return {"model": {"id": "p", "bucket": None if rows is None else self.bucket(rows)}}
        if "CreateRunFiles" in query:
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}
        return {}

    def bucket(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        texts = {
            "summaryMetrics": "{}",
            "config": "{}",
            "eventsTail": "[]",
            "wandbConfig": '{"t": {}}',
        }
        tail = json.dumps([json.dumps(row) for row in rows[-1:]])
        counts = {"historyLineCount": len(rows), "eventsLineCount": 0, "logLineCount": 0}
        return {"id": "b", "name": "b", "historyTail": tail, "tags": [], **texts, **counts}

    def stream(self, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        history = (body.get("files") or {}).get("wandb-history.jsonl")
        if history:
            rows = [json.loads(line) for line in history["content"]]
            self.rows[identifier][history["offset"] :] = rows
        if body.get("complete"):
            self.exit_codes[identifier] = body["exitcode"]
        return {}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringServer]:
    answering = AnsweringServer()
    monkeypatch.setenv("WANDB_BASE_URL", answering.url)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    yield answering
    answering.server.shutdown()
    answering.server.server_close()


@pytest.fixture
def unanswering() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_interleaved_trials_are_on_disk_as_they_were_logged(tmp_path: Path) -> None:
    tracking = Tracking(tmp_path / "results", mode="auto", project="cnn", sweep="first sweep")
    configs = [CONFIG | {"first_layer_filters": filters} for filters in (32, 64, 128)]
    statuses = ["completed", "stopped", "failed"]
    for trial, config in enumerate(configs):
        tracking.start(f"t{trial}", run_name(config), config)
    for epoch in range(1, 6):
        for trial in range(3):
            tracking.log(f"t{trial}", epoch_row(trial, epoch))
    for trial, status in enumerate(statuses):
        tracking.finish(f"t{trial}", status, {"val_acc": 0.9 + trial / 100, "best_epoch": trial})
    tracking.close()

    runs = read_offline_runs(tmp_path / "results")
    assert sorted(runs) == ["first-sweep-t0", "first-sweep-t1", "first-sweep-t2"]
    for trial, (config, status) in enumerate(zip(configs, statuses, strict=True)):
        rows = [epoch_row(trial, epoch) for epoch in range(1, 6)]
        summary = {"val_acc": 0.9 + trial / 100, "best_epoch": trial, "status": status}
        assert runs[f"first-sweep-t{trial}"] == OfflineRun(
            name=run_name(config),
            group="first sweep",
            project="cnn",
            job_type="trial",
            config=config,
            history=rows,
            summary=rows[-1] | summary,
            exit_code=1 if status == "failed" else 0,
        )


def test_a_file_with_records_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    tracking = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    long_text = "x" * 100_000  # a record in four fragments
    tracking.start("t", "name", {"text": long_text})
    for epoch in range(300):  # and then enough records to cross blocks
        tracking.log("t", epoch_row(0, epoch))
    tracking.close()

    run = read_offline_runs(tmp_path)["s-t"]
    assert run.config == {"text": long_text}
    assert [row["epoch"] for row in run.history] == list(range(300))


def test_a_file_is_read_past_a_padded_block_and_up_to_a_record_that_is_cut_off() -> None:
    def record(payload: bytes) -> bytes:
        return struct.pack("<IHB", 0xFFFFFFFF, len(payload), FULL) + payload

    header = b":W&B\xe1\xbe\x00"
    first = b"1" * (BLOCK_BYTES - len(header) - RECORD_HEADER_BYTES - 3)
    content = header + record(first) + b"\0\0\0" + record(b"2") + record(b"cut off")[:-1]
    assert list(_payloads(content)) == [first, b"2"]


def test_the_epochs_that_a_retried_trial_repeats_count_once(tmp_path: Path) -> None:
    tracking = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    tracking.start("open", "name", {})
    tracking.start("failed", "name", {})
    for trial_id in ("open", "failed"):
        for epoch in (1, 2, 3):
            tracking.log(trial_id, epoch_row(0, epoch))
    tracking.finish("failed", "failed", {})
    for trial_id in ("open", "failed"):
        tracking.start(trial_id, "name", {})
        for epoch in (2, 3, 4):
            tracking.log(trial_id, epoch_row(0, epoch))
    tracking.close()

    runs = read_offline_runs(tmp_path)
    for trial_id in ("open", "failed"):
        assert [row["epoch"] for row in runs[f"s-{trial_id}"].history] == [1, 2, 3, 4]
    assert runs["s-open"].summary["status"] == "interrupted"
    assert runs["s-open"].exit_code == 1


def tracked(trial: int, epochs: int, status: str) -> Tracked:
    rows = [epoch_row(trial, epoch) for epoch in range(1, epochs + 1)]
    return Tracked(f"t{trial}", "name", {"a": trial}, rows, status, {"best_epoch": epochs})


def test_what_a_killed_driver_did_not_send_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.tracking.SERVICE_IDLE", 0)
    first = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    for trial in (1, 2, 3):
        first.start(f"t{trial}", "name", {"a": trial})
        for epoch in (1, 2):
            first.log(f"t{trial}", epoch_row(trial, epoch))
    first.finish("t1", "completed", {"best_epoch": 2})
    first.close()

    trials = [tracked(1, 2, "completed"), tracked(2, 4, "stopped"), tracked(3, 3, "running")]
    second = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    second.catch_up([*trials, tracked(4, 2, "failed")], silent=9.0)
    second.start("t3", "name", {"a": 3})
    second.log("t3", epoch_row(3, 4))
    second.finish("t3", "completed", {"best_epoch": 4})
    second.close()

    runs = read_offline_runs(tmp_path)
    lengths = {"s-t1": 2, "s-t2": 4, "s-t3": 4, "s-t4": 2}
    assert {name: len(run.history) for name, run in runs.items()} == lengths
    for name, run in runs.items():
        assert [row["epoch"] for row in run.history] == list(range(1, lengths[name] + 1))
    assert {name: run.summary["status"] for name, run in runs.items()} == {
        "s-t1": "completed",
        "s-t2": "stopped",
        "s-t3": "completed",
        "s-t4": "failed",
    }
    files = [path.name for path in tmp_path.glob("wandb/offline-run-*/run-s-t1.wandb")]
    assert len(files) == 1, "a run that was finished is left alone"
    assert second.line.startswith("W&B: 3 runs offline")


def test_what_went_offline_when_the_server_refused_it_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.tracking.SERVICE_IDLE", 0)
    first = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    first.start("t2-offline", "name", {"a": 2})  # so it is called where the server refuses it
    for epoch in (1, 2):
        first.log("t2-offline", epoch_row(2, epoch))
    first.close()
    (tmp_path / "wandb" / "offline-run-20260101_000000-x").mkdir()
    torn = tmp_path / "wandb" / "offline-run-20260101_000000-x" / "run-x.wandb"
    torn.write_bytes(b"")  # of a process that was killed
    second = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    second.catch_up([tracked(2, 3, "completed")], silent=9.0)
    second.close()
    rows = [row["epoch"] for run in read_offline_runs(tmp_path).values() for row in run.history]
    assert sorted(rows) == [1, 2, 3]


def test_online_the_server_knows_what_a_killed_driver_sent(
    tmp_path: Path, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.tracking.SERVICE_IDLE", 0)
    first = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    first.start("t1", "name", {"a": 1})
    for epoch in (1, 2):
        first.log("t1", epoch_row(1, epoch))
    first.close(30)
    second = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    second.catch_up([tracked(1, 4, "completed")], silent=9.0)
    second.close(30)
    assert [row["epoch"] for row in server.rows["s-t1"]] == [1, 2, 3, 4]
    assert server.exit_codes == {"s-t1": 0}


def test_an_online_run_resumed_by_another_process_repeats_no_epoch(
    tmp_path: Path, server: AnsweringServer
) -> None:
    for epochs in ((1, 2, 3), (2, 3, 4)):
        tracking = Tracking(tmp_path, mode="auto", project="cnn", sweep="a/b")
        tracking.start("t", "name", CONFIG)
        for epoch in epochs:
            tracking.log("t", epoch_row(0, epoch))
        tracking.finish("t", "completed", {})
        tracking.close(30)

    assert [(row["_step"], row["epoch"]) for row in server.rows["a-b-t"]] == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
    ]
    assert server.exit_codes == {"a-b-t": 0}
    assert tracking.line == f"W&B: 1 run online: {server.url}/someone/cnn/groups/a%2Fb"


def test_a_server_that_falls_silent_costs_one_wait_and_a_command_sends_the_rest(
    tmp_path: Path,
    server: AnsweringServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(RUN_SETTINGS, "finish_timeout", 2.0)
    tracking = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    tracking.start("t", "name", {})
    tracking.log("t", epoch_row(0, 1))
    wait_for(lambda: "s-t" in server.rows)
    server.answers.clear()
    tracking.log("t", epoch_row(0, 2))
    tracking.finish("t", "completed", {})
    tracking.start("later", "name", {})
    began = time.monotonic()
    tracking.close(30)
    assert time.monotonic() - began < 10  # 2 s, and not another 15 s for the later run
    server.answers.set()

    send = f"wandb sync --include-online {tmp_path}/wandb/run-*"
    assert f"W&B: no answer; send the rest with: {send}\n" in caplog.text
    assert "; 1 run offline; send them with: " in tracking.line
    run_printed(send, monkeypatch)
    assert [row["epoch"] for row in server.rows["s-t"]] == [1, 2]


def test_the_printed_command_sends_offline_runs(
    tmp_path: Path, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my results"
    for epochs in ((1, 2), (3, 4)):  # a sweep that was resumed: two files of one run
        tracking = Tracking(folder, mode="offline", project="cnn", sweep="s")
        for trial in (1, 2):
            tracking.start(f"t{trial}", "name", {})
            for epoch in epochs:
                tracking.log(f"t{trial}", epoch_row(trial, epoch))
        tracking.close()
        time.sleep(1.1)  # wandb orders a run's files by the second they were begun in
    start = f"W&B: 2 runs offline; send them with: wandb sync '{folder}'/wandb/offline-run-*"
    assert tracking.line == start

    command = tracking.line.partition("send them with: ")[2]
    run_printed(command, monkeypatch)
    for trial in (1, 2):
        assert [row["epoch"] for row in server.rows[f"s-t{trial}"]] == [1, 2, 3, 4]


def test_auto_is_offline_without_an_account(tmp_path: Path) -> None:
    tracking = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    tracking.close()
    assert tracking.mode == "offline"
    assert tracking.line == (
        f"W&B: 0 runs offline; send them with: wandb sync {tmp_path}/wandb/offline-run-*"
    )


def test_auto_is_online_with_an_account_in_the_environment_or_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    Path(os.environ["NETRC"]).write_text(f"machine 127.0.0.1:9 login user password {API_KEY}\n")
    by_netrc = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    by_netrc.close()
    assert by_netrc.mode == "online"

    Path(os.environ["NETRC"]).unlink()
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    by_key = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    by_key.close()
    assert by_key.mode == "online"
    assert by_key.line == "W&B: 0 runs online: project cnn, group s"


@pytest.mark.parametrize(
    ("asked", "mode"), [("offline", "offline"), ("disabled", "off"), ("online", "online")]
)
def test_auto_follows_wandb_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, mode: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("WANDB_MODE", asked)
    tracking = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    tracking.close()
    assert tracking.mode == mode


def test_auto_follows_the_settings_file_that_wandb_offline_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    settings = tmp_path / "wandb" / "settings"
    settings.parent.mkdir()
    settings.write_text("[default]\nmode = offline\n")
    tracking = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    tracking.close()
    assert tracking.mode == "offline"


def test_a_malformed_key_is_named_and_auto_goes_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    tracking = Tracking(tmp_path, mode="auto", project="cnn", sweep="s")
    tracking.close()
    assert tracking.mode == "offline"
    assert "WANDB_API_KEY invalid" in caplog.text
    with pytest.raises(ValueError, match="WANDB_API_KEY invalid"):
        Tracking(tmp_path, mode="online", project="cnn", sweep="s")


def test_online_without_an_account_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = r"^wandb: cannot be online, no account.*`wandb login`.*WANDB_API_KEY.*--wandb offline$"
    with pytest.raises(ValueError, match=rule):
        Tracking(tmp_path, mode="online", project="cnn", sweep="s")
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(ValueError, match=rule):
        Tracking(tmp_path, mode="auto", project="cnn", sweep="s")


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'yes' is not one of auto, online, offline, off"):
        Tracking(tmp_path, mode="yes", project="cnn", sweep="s")


def test_off_neither_imports_wandb_nor_writes(tmp_path: Path) -> None:
    script = """if True:
        import pathlib, sys
        from cnnlib.tracking import Tracking
        tracking = Tracking(pathlib.Path(sys.argv[1]), mode="off", project="cnn", sweep="s")
        tracking.start("t", "name", {})
        tracking.log("t", {"epoch": 1, "val_acc": 0.5})
        tracking.finish("t", "completed", {})
        tracking.close()
        print(tracking.mode, tracking.line, "wandb" in sys.modules)
    """
    folder = tmp_path / "results"
    assert run_python(script, str(folder)).stdout == "off W&B: off False\n"
    assert not folder.exists()


def test_an_exception_in_wandb_is_one_line_and_tracking_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from wandb.sdk.wandb_run import Run

    def broken(self: Run, *_: object, **__: object) -> None:
        raise RuntimeError("disk\nis full")

    monkeypatch.setattr(Run, "log", broken)
    tracking = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    tracking.start("t", "name", {})
    for epoch in (1, 2, 3):
        tracking.log("t", epoch_row(0, epoch))
    tracking.finish("t", "completed", {"val_acc": 0.5})
    tracking.close()

    warnings = [record for record in caplog.records if record.name == "cnnlib.tracking"]
    assert [record.getMessage() for record in warnings] == ["W&B: disk is full"]
    assert warnings[0].levelname == "WARNING" and warnings[0].exc_info is None
    assert read_offline_runs(tmp_path)["s-t"].summary == {"val_acc": 0.5, "status": "completed"}


UNANSWERED = """if True:
    import pathlib, signal, sys, time
    from cnnlib.tracking import Tracking
    exit_before, hook_before = sys.exit, sys.excepthook
    tracking = Tracking(pathlib.Path(sys.argv[1]), mode="online", project="cnn", sweep="s")
    began = time.monotonic()
    for trial in range(3):
        tracking.start(f"t{trial}", "name", {})
        tracking.log(f"t{trial}", {"epoch": 1, "val_acc": 0.5})
    calls = time.monotonic() - began
    tracking.finish("t0", "completed", {})
    tracking.close(float(sys.argv[2]))
    assert calls < 0.1 and sys.exit is exit_before and sys.excepthook is hook_before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print(round(time.monotonic() - began))
"""


def test_close_and_exit_do_not_wait_for_a_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unanswering: str
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", unanswering)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    began = time.monotonic()
    done = run_python(UNANSWERED, str(tmp_path), "2")
    assert time.monotonic() - began < 60, "far less than the server would take"
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n"
    assert done.stderr == "W&B: not done after 2 s, so runs may lack their last epochs\n"


def test_runs_that_no_server_accepts_go_on_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unanswering: str
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", unanswering)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    impatient = "import cnnlib.tracking; cnnlib.tracking.RUN_SETTINGS['init_timeout'] = 2.0\n"
    done = run_python(impatient + UNANSWERED.replace("online", "auto"), str(tmp_path), "30")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("; runs go on offline\n") and done.stderr.count("\n") == 1
    deadline = time.monotonic() + 30  # wandb's service writes on after the process has gone
    while time.monotonic() < deadline:
        runs = read_offline_runs(tmp_path)
        if sum(len(run.history) for run in runs.values()) == 3:
            break
        time.sleep(0.2)
    assert sorted(runs) == ["s-t0-offline", "s-t1", "s-t2"]
    for run in runs.values():
        assert run.history == [{"epoch": 1, "val_acc": 0.5}]


def test_wandb_prints_nothing(tmp_path: Path) -> None:
    script = UNANSWERED.replace("online", "offline")
    done = run_python(script, str(tmp_path), "30")
    assert (done.stderr, done.returncode) == ("", 0)


def test_close_ends_the_service_once_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb.sdk.lib.service import service_process

    started: list[Any] = []
    start = service_process.start_detached

    def noted(*arguments: Any, **options: Any) -> Any:
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(service_process, "start_detached", noted)
    tracking = Tracking(tmp_path, mode="offline", project="cnn", sweep="s")
    tracking.start("t", "name", {})
    tracking.close()
    assert [service._process.poll() for service in started] == [0]
