"""W&B as a follower of the journal: against files that it writes and a server on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnlib.journal.events import Journal, JournalTail
from cnnlib.journal.followers import SeenTrial, telling
from cnnlib.networks.metric import Metric
from cnnlib.storage.folder_lock import LockedError
from cnnlib.system.processes import state
from cnnlib.tracking import Tracking, resolved_mode
from cnnlib.tracking.follower import Sender, SilentError, follow
from cnnlib.tracking.names import run_name
from cnnlib.tracking.sent import Part, Sent, SentElsewhereError
from tests.conftest import wait_until
from tests.journal.test_ledger import TERMS
from tests.wandb_files import OfflineRun, read_offline_runs

ROOT = Path(__file__).parents[2]
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
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account and no W&B settings of this machine's user."""
    for key in list(os.environ):
        if key.startswith("WANDB_"):
            monkeypatch.delenv(key)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.chdir(tmp_path)


def epoch_row(trial: int, epoch: int) -> dict[str, float]:
    return {
        "epoch": epoch,
        "val_acc": trial / 10 + epoch / 100,
        "val_loss": 2 / (1 + trial + epoch),
    }


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def run_printed(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the command that a line ends with."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    command = line.rpartition(" with: ")[2]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    subprocess.run(command, shell=True, check=True, capture_output=True)


class Driver:
    """What a driver of the sweep `s` does: its journal, and whoever follows it."""

    def __init__(self, folder: Path, *, mode: str = "off", sweep: str = "s", **asked: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.journal = Journal(folder)
        mode = resolved_mode(mode)
        self.tracking = Tracking(folder, mode=mode, project="cnn", sweep=sweep, **asked)
        self.write = telling(self.journal.append, [self.tracking])

    def start(self, trial: int, config: dict[str, Any] | None = None) -> None:
        self.write("proposed", trial_id=f"t{trial}", config=config or {"a": trial})
        self.write("started", trial_id=f"t{trial}", after_epoch=0)

    def epochs(self, trial: int, *epochs: int) -> None:
        for epoch in epochs:
            row = epoch_row(trial, epoch)
            self.write("epoch", trial_id=f"t{trial}", node="n", class_counts={}, **row)

    def end(self, trial: int, kind: str = "finished") -> None:
        self.write(kind, trial_id=f"t{trial}")

    def close(self) -> str:
        self.journal.close()
        self.tracking.close()
        return self.tracking.line


def wait_for_end(pid: int) -> None:
    """Until a process that is no child of ours has ended."""
    while fields := state(pid):
        if fields[0] in "ZX":
            return
        time.sleep(0.05)


def _lock(folder: Path) -> int:
    sent = Sent(folder)
    sent.open(wait=True)
    return sent._lock


def epochs_of(runs: dict[str, OfflineRun]) -> dict[str, list[int]]:
    return {name: [row["epoch"] for row in run.history] for name, run in runs.items()}


class AnsweringServer:
    """As much of a W&B server as a run needs: it keeps rows and tells a resumed run its last."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.asked = threading.Condition()
        self.answers = threading.Event()
        self.answers.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
                outer.answers.wait()
                with outer.asked:
                    if self.path == "/graphql":
                        data = outer.data(body["query"], body["variables"])
                        answer: dict[str, Any] = {"data": data}
                    else:
                        answer = outer.stream(self.path.split("/")[-2], body)
                    outer.asked.notify_all()
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

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until a request has made it true."""
        with self.asked:
            self.asked.wait_for(condition)

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


def test_interleaved_trials_are_on_disk_when_the_sweep_says_so(tmp_path: Path) -> None:
    driver = Driver(tmp_path / "my results", mode="auto", sweep="first sweep")
    configs = [CONFIG | {"first_layer_filters": filters} for filters in (32, 64, 128)]
    for trial, config in enumerate(configs):
        driver.start(trial, config)
    for epoch in range(1, 6):
        for trial in range(3):
            driver.epochs(trial, epoch)
    for trial, kind in enumerate(("finished", "stopped", "failed")):
        driver.end(trial, kind)
    line = driver.close()

    files = f"'{tmp_path}/my results'/wandb/offline-run-*"
    assert line == f"W&B: 3 runs offline; send them with: wandb sync {files}"
    runs = read_offline_runs(tmp_path / "my results")
    assert sorted(runs) == ["first-sweep-t0", "first-sweep-t1", "first-sweep-t2"]
    for trial, status in enumerate(("completed", "stopped", "failed")):
        rows = [epoch_row(trial, epoch) for epoch in range(1, 6)]
        assert runs[f"first-sweep-t{trial}"] == OfflineRun(
            name=run_name(configs[trial]),
            group="first sweep",
            project="cnn",
            job_type="trial",
            config=configs[trial],
            history=rows,
            summary=rows[-1] | {"best_epoch": 5, "status": status},
            exit_code=1 if status == "failed" else 0,
        )


def test_a_loss_is_logged_by_the_users_name_and_its_lowest_epoch_is_the_best(
    tmp_path: Path,
) -> None:
    driver = Driver(tmp_path / "s", mode="offline")
    metric = Metric("val_loss", "minimize", "valid/loss")
    driver.write("sweep", **replace(TERMS, metric=metric).as_event())
    driver.start(0)
    for epoch, loss in ((1, 0.9), (2, 0.3), (3, 0.6)):
        driver.write(
            "epoch", trial_id="t0", node="n", epoch=epoch, val_acc=epoch / 10, val_loss=loss
        )
    driver.end(0)
    driver.close()
    [run] = read_offline_runs(tmp_path / "s").values()
    assert [row["valid/loss"] for row in run.history] == [0.9, 0.3, 0.6]
    assert [row["val_loss"] for row in run.history] == [0.9, 0.3, 0.6]
    assert run.summary["best_epoch"] == 2, "the lowest loss, not the highest accuracy"


def test_offline_runs_of_a_sweep_that_was_killed_and_resumed_hold_each_epoch_once(
    tmp_path: Path, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Driver(tmp_path, mode="offline")
    for trial in (1, 2):
        first.start(trial)
        first.epochs(trial, 1, 2)
    first.end(1)
    first.close()  # as where the driver is killed: its follower sees the end of its input

    second = Driver(tmp_path, mode="offline")
    process = second.tracking._process
    assert process
    os.kill(process.pid, signal.SIGKILL)
    second.epochs(2, 3, 4)
    second.end(2)
    line = second.close()  # which starts another
    assert line.startswith("W&B: 2 runs offline; send them with: wandb sync ")
    assert epochs_of(read_offline_runs(tmp_path)) == {"s-t1": [1, 2], "s-t2": [1, 2, 3, 4]}
    assert read_offline_runs(tmp_path)["s-t2"].summary["status"] == "completed"
    run_printed(line, monkeypatch)
    sent = {name: [row["epoch"] for row in rows] for name, rows in server.rows.items()}
    assert sent == {"s-t1": [1, 2], "s-t2": [1, 2, 3, 4]}


def test_online_a_killed_follower_and_its_successor_send_each_epoch_once(
    tmp_path: Path, server: AnsweringServer
) -> None:
    driver = Driver(tmp_path, mode="auto", sweep="a/b")
    driver.start(1)
    driver.epochs(1, 1, 2)
    server.wait_for(lambda: len(server.rows.get("a-b-t1", ())) == 2)
    process = driver.tracking._process
    assert process
    os.kill(process.pid, signal.SIGKILL)
    driver.epochs(1, 3)
    driver.end(1)
    driver.start(2)
    driver.epochs(2, 1)
    line = driver.close()
    assert line == f"W&B: 2 runs online: {server.url}/someone/cnn/groups/a%2Fb"
    assert [(row["_step"], row["epoch"]) for row in server.rows["a-b-t1"]] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert [row["epoch"] for row in server.rows["a-b-t2"]] == [1]
    assert server.exit_codes == {"a-b-t1": 0, "a-b-t2": 1}


def test_online_a_trial_that_pauses_has_one_run_that_goes_on_with_it(
    tmp_path: Path, server: AnsweringServer
) -> None:
    driver = Driver(tmp_path, mode="auto")
    driver.start(1)
    driver.epochs(1, 1)
    driver.write("paused", trial_id="t1", rung=1)
    server.wait_for(lambda: "s-t1" in server.exit_codes)
    driver.write("promoted", trial_id="t1", rung=1)
    driver.write("started", trial_id="t1", after_epoch=1)
    driver.epochs(1, 2, 3)
    driver.end(1)
    assert driver.close().startswith("W&B: 1 run online: ")
    assert [row["epoch"] for row in server.rows["s-t1"]] == [1, 2, 3]
    assert server.exit_codes == {"s-t1": 0}


def test_offline_a_trial_that_waits_is_written_when_it_ended_or_the_driver_has(
    tmp_path: Path,
) -> None:
    first = Driver(tmp_path, mode="offline")
    for trial in (1, 2):
        first.start(trial)
        first.epochs(trial, 1)
        first.write("paused", trial_id=f"t{trial}", rung=1)
    first.write("promoted", trial_id="t1", rung=1)
    first.epochs(1, 2)
    first.end(1)
    first.close()
    runs = read_offline_runs(tmp_path)
    assert epochs_of(runs) == {"s-t1": [1, 2], "s-t2": [1]}
    assert [run.summary["status"] for run in runs.values()] == ["completed", "paused"]
    assert [run.exit_code for run in runs.values()] == [0, 0]


def test_a_server_that_falls_silent_ends_the_wait_and_the_line_sends_the_rest(
    tmp_path: Path, server: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "2")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "60")
    driver = Driver(tmp_path, mode="auto")
    driver.start(1)
    driver.epochs(1, 1)
    server.wait_for(lambda: bool(server.rows.get("s-t1")))
    server.answers.clear()
    driver.epochs(1, 2)
    driver.end(1)
    driver.start(2)
    driver.epochs(2, 1)
    driver.end(2)
    line = driver.close()
    assert line.endswith(f"; 2 runs not sent; send with: python -m cnnlib.tracking {tmp_path}")
    server.answers.set()
    monkeypatch.delenv("WANDB_FINISH_TIMEOUT")
    run_printed(line, monkeypatch)
    sent = {name: [row["epoch"] for row in rows] for name, rows in server.rows.items()}
    assert sent == {"s-t1": [1, 2], "s-t2": [1]}


def test_a_follower_outlives_a_killed_driver_and_sends_what_it_wrote(tmp_path: Path) -> None:
    script = """if True:
        import os, signal, sys
        from pathlib import Path
        from tests.tracking.test_follower import Driver
        driver = Driver(Path(sys.argv[1]), mode="offline")
        driver.start(1)
        driver.epochs(1, 1, 2)
        driver.end(1)
        driver.start(2)
        driver.epochs(2, 1)
        print(driver.tracking._process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    answer = run_python("-c", script, str(tmp_path))
    assert answer.returncode == -signal.SIGKILL
    wait_for_end(int(answer.stdout))
    runs = read_offline_runs(tmp_path)
    assert epochs_of(runs) == {"s-t1": [1, 2], "s-t2": [1]}
    assert (runs["s-t2"].summary["status"], runs["s-t2"].exit_code) == ("interrupted", 1)


def taken_over() -> None:
    raise LockedError("taken over")


def test_a_driver_that_was_taken_over_ends_no_run_of_the_others(
    tmp_path: Path, server: AnsweringServer
) -> None:
    first = Driver(tmp_path, mode="online", check=taken_over)
    first.start(1)
    first.epochs(1, 1, 2)
    server.wait_for(lambda: len(server.rows.get("s-t1", ())) == 2)
    first.epochs(1, 3)
    first.close()
    assert first.tracking._process and first.tracking._process.returncode == 128 + signal.SIGTERM
    assert server.exit_codes == {}
    last = (tmp_path / "wandb" / "sent.jsonl").read_text().splitlines()[-1]
    assert "interrupted" not in last

    second = Driver(tmp_path, mode="online")
    second.epochs(1, 4)
    second.end(1)
    second.close()
    assert [row["epoch"] for row in server.rows["s-t1"]] == [1, 2, 3, 4]
    assert server.exit_codes == {"s-t1": 0}


def test_a_driver_that_was_taken_over_writes_no_run_and_deletes_none(tmp_path: Path) -> None:
    driver = Driver(tmp_path, mode="offline", check=taken_over)
    driver.start(1)
    driver.epochs(1, 1)
    others = tmp_path / "wandb" / "writing" / "wandb" / "offline-run-1"
    wait_until(lambda: driver.tracking._state["left"] is not None)
    others.mkdir(parents=True)
    driver.close()
    assert others.is_dir()
    assert read_offline_runs(tmp_path) == {}


def test_a_sweep_that_ran_without_wandb_is_sent_afterwards_and_once(
    tmp_path: Path, server: AnsweringServer
) -> None:
    folder = tmp_path / "sweep"
    driver = Driver(folder)
    driver.start(1)
    driver.epochs(1, 1, 2)
    driver.end(1)
    assert driver.close() == "W&B: off"
    assert not (folder / "wandb").exists()
    (folder / "sweep.json").write_text(json.dumps({"name": "s", "started": "now"}))
    for _ in range(2):
        answer = run_python("-m", "cnnlib.tracking", str(folder), "--wandb-project", "studies")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout == f"W&B: 1 run online: {server.url}/someone/cnn/groups/s\n"
    [(name, rows)] = server.rows.items()
    assert name.startswith("s-") and name.endswith("-t1")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert json.loads((folder / "wandb" / "sent.jsonl").read_text().split("\n")[0]) == {
        "project": "studies",
        "sweep": "s",
        "started": "now",
    }


def test_a_folder_that_is_no_sweep_or_is_sent_by_another_is_refused_in_a_line(
    tmp_path: Path,
) -> None:
    answer = run_python("-m", "cnnlib.tracking", str(tmp_path))
    assert answer.returncode == 2
    said = f"ValueError: no journal in {tmp_path}; give the folder of a sweep\n"
    assert answer.stderr == said

    Driver(tmp_path).close()
    lock = _lock(tmp_path)
    with pytest.raises(SentElsewhereError):
        Sent(tmp_path).open(wait=False)
    answer = run_python("-m", "cnnlib.tracking", str(tmp_path), "--wandb", "offline")
    os.close(lock)
    assert answer.returncode == 2
    assert answer.stderr == (
        f"SentElsewhereError: another process sends the runs of {tmp_path}; it ends by itself\n"
    )


class Killed(BaseException):
    """What stands for a SIGKILL."""


class Runs:
    """What stands for wandb: offline runs are files here, online ones a server's memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: dict[str, list[int]] = {}
        self.fails: dict[str, Exception] = {}
        self.kill_at = -1
        self._num_made = 0

    def step(self) -> None:
        """One of the moments at which a kill may come."""
        self.kill_at -= 1
        if not self.kill_at:
            raise Killed

    def sender(self, mode: str, said: list[str]) -> Sender:
        """As a process that has just begun."""
        sent = Sent(self.folder)
        os.close(self._locked(sent))
        said.extend(sent.read())
        sent.note_sweep("p", "s", "")
        runs = self

        class Stubbed(Sender):
            def _init(self, trial: SeenTrial, folder: Path) -> Any:
                return runs.open(self._run_id(trial.trial_id), folder, mode)

        append = sent._append

        def stepped(content: dict[str, Any]) -> None:
            self.step()
            append(content)
            self.step()

        sent._append = stepped  # type: ignore[method-assign]
        return Stubbed(sent, mode=mode, say=lambda s: said.append(s.get("say", "")))

    def _locked(self, sent: Sent) -> int:
        sent.open(wait=False)
        return sent._lock

    def open(self, name: str, folder: Path, mode: str) -> Any:
        self.step()
        if name in self.fails:
            raise self.fails[name]
        rows: list[int] = self.server.setdefault(name, []) if mode == "online" else []
        self._num_made += 1
        place = folder / "wandb" / f"offline-run-{self._num_made:03d}-{name}"

        def log(row: dict[str, Any], step: int, commit: bool) -> None:
            self.step()
            rows.append(step)

        def finish(exit_code: int) -> None:
            self.step()
            if mode == "offline":
                (place / f"run-{name}.wandb").write_text(json.dumps(rows))

        if mode == "offline":
            place.mkdir(parents=True)
            (place / f"run-{name}.wandb").touch()
        step = rows[-1] + 1 if rows else 0
        return SimpleNamespace(
            sync_dir=str(place), project_url="http://w/p", step=step, summary={}, log=log,
            finish=finish,
        )  # fmt: skip

    def epochs(self) -> dict[str, list[int]]:
        """What `wandb sync` of all folders would send, and what the server has."""
        found = {name: list(rows) for name, rows in self.server.items()}
        for path in sorted(self.folder.glob("wandb/offline-run-*/run-*.wandb")):
            name = path.stem.removeprefix("run-")
            found.setdefault(name, []).extend(json.loads(path.read_text()))
        return found


def written(folder: Path) -> Driver:
    """A journal of a trial that ended, one that runs, and one that has only begun."""
    driver = Driver(folder)
    for trial, epochs in ((1, (1, 2)), (2, (1, 2, 3)), (3, ())):
        driver.start(trial)
        driver.epochs(trial, *epochs)
    driver.end(1)
    return driver


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_killed_at_any_moment_each_epoch_is_sent_once(tmp_path: Path, mode: str) -> None:
    for moment in range(1, 100):
        folder = tmp_path / str(moment)
        driver, runs = written(folder), Runs(folder)
        runs.kill_at = moment

        def is_killed(folder: Path = folder, runs: Runs = runs) -> bool:
            try:
                follow(runs.sender(mode, []), JournalTail(folder), driver=None)
            except Killed:
                return True
            return False

        killed = is_killed() and not is_killed()
        driver.epochs(2, 4)
        driver.end(2)
        driver.close()
        killed |= is_killed() and not is_killed()
        assert runs.epochs() == {"s-t1": [1, 2], "s-t2": [1, 2, 3, 4]}, moment
        last = runs.sender(mode, [])
        for event in JournalTail(folder).new():
            last.seen.see(event)
        assert last.left == 0
        if not killed:
            break
    assert 15 < moment < 99, "each moment was tried, and then none was left"


def test_a_kill_between_note_and_rename_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path).close()
    runs = Runs(tmp_path)
    sender = runs.sender("offline", [])
    with monkeypatch.context() as patch:

        def killed(self: Path, target: Path) -> Path:
            raise Killed

        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            follow(sender, JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {}
    follow(runs.sender("offline", []), JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t1": [1, 2], "s-t2": [1, 2, 3]}


def test_what_was_offline_and_never_synced_goes_online_whole_and_once(tmp_path: Path) -> None:
    written(tmp_path).close()
    runs = Runs(tmp_path)
    follow(runs.sender("offline", []), JournalTail(tmp_path), driver=None)
    follow(runs.sender("online", []), JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t1": [1, 2], "s-t2": [1, 2, 3]}
    assert sorted(p.name[-4:] for p in tmp_path.glob("wandb/put-aside/*")) == ["s-t1", "s-t2"]


def test_what_was_synced_goes_on_online_after_its_last_epoch(tmp_path: Path) -> None:
    driver, runs = written(tmp_path), Runs(tmp_path)
    follow(runs.sender("offline", []), JournalTail(tmp_path), driver=None)
    runs.server = runs.epochs()
    for path in tmp_path.glob("wandb/offline-run-*/run-*.wandb"):
        path.with_suffix(".wandb.synced").touch()
        path.write_text("[]")  # to be counted once
    driver.epochs(2, 4)
    driver.close()
    follow(runs.sender("online", []), JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t1": [1, 2], "s-t2": [1, 2, 3, 4]}
    assert not (tmp_path / "wandb" / "put-aside").exists()


def test_a_run_that_only_the_server_knows_is_not_guessed_offline(tmp_path: Path) -> None:
    written(tmp_path).close()
    runs, said = Runs(tmp_path), list[str]()
    runs.sender("online", [])._sent.note_part(Part("t2", "online", 0, "begun"))
    sender = runs.sender("offline", said)
    follow(sender, JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t1": [1, 2]}
    assert "trial t2: only the server knows how far its run is; send it online" in said
    assert sender.left == 1


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_trial_that_cannot_be_sent_costs_a_line_and_the_others_are_sent(
    tmp_path: Path, mode: str
) -> None:
    written(tmp_path).close()
    runs, said = Runs(tmp_path), list[str]()
    runs.fails["s-t1"] = RuntimeError("the run was\ndeleted")
    sender = runs.sender(mode, said)
    follow(sender, JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t2": [1, 2, 3]}
    assert "trial t1: the run was deleted" in said
    assert sender.left == 1


def test_a_server_that_does_not_answer_is_asked_once(tmp_path: Path) -> None:
    written(tmp_path).close()
    runs = Runs(tmp_path)
    runs.fails = {f"s-t{n}": TimeoutError("waited") for n in (1, 2)}
    sender = runs.sender("online", [])
    with pytest.raises(SilentError, match="no answer: waited"):
        follow(sender, JournalTail(tmp_path), driver=None)
    assert sender.left == 2


def test_what_is_written_while_a_server_is_silent_is_known_to_be_left(tmp_path: Path) -> None:
    driver, runs, said = written(tmp_path), Runs(tmp_path), list[str]()
    runs.fails = {"s-t1": TimeoutError("waited")}
    sender, tail = runs.sender("online", said), JournalTail(tmp_path)
    reading, writing = os.pipe()
    new = tail.new

    def first_then_more() -> list[dict[str, Any]]:
        """The driver writes on, and ends."""
        events = new()
        if not sender.seen.trials:
            driver.start(4)
            driver.epochs(4, 1)
            os.close(writing)
        return events

    tail.new = first_then_more  # type: ignore[method-assign]
    follow(sender, tail, driver=reading)
    os.close(reading)
    driver.close()
    assert said.count("no answer: waited") == 1
    assert sender.left == 3 and runs.server == {}


def test_a_damaged_note_and_a_torn_one_lose_nothing(tmp_path: Path) -> None:
    driver, runs = written(tmp_path), Runs(tmp_path)
    follow(runs.sender("offline", []), JournalTail(tmp_path), driver=None)
    notes = tmp_path / "wandb" / "sent.jsonl"
    lines = notes.read_bytes().split(b"\n")
    assert b'"t1"' in lines[1]
    notes.write_bytes(b"\n".join([lines[0], b"\xff{", *lines[2:]]) + b'{"trial_id": "t9", "mo')
    driver.epochs(2, 4)
    driver.close()
    said: list[str] = []
    follow(runs.sender("offline", said), JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t1": [1, 2], "s-t2": [1, 2, 3, 4]}
    assert f"{notes}: line 2 is no note and is left out" in said
    assert all(json.loads(line) for line in notes.read_bytes().splitlines() if line[:1] == b"{")


def test_what_a_former_version_sent_is_known_and_what_it_began_is_put_aside(
    tmp_path: Path,
) -> None:
    written(tmp_path).close()
    wandb = tmp_path / "wandb"
    for name in ("s-t1", "s-t2", "s-t2-offline"):
        (wandb / f"offline-run-2026-{name}").mkdir(parents=True)
        (wandb / f"offline-run-2026-{name}" / f"run-{name}.wandb").write_text("[1]")
    (wandb / "finished").write_text("t1\n")
    runs, said = Runs(tmp_path), list[str]()
    follow(runs.sender("offline", said), JournalTail(tmp_path), driver=None)
    assert runs.epochs() == {"s-t1": [1], "s-t2": [1, 2, 3]}, "t1 is as it was"
    assert f"trial t2 is written anew; what was begun of it is in {wandb}/put-aside" in said
    assert len(list((wandb / "put-aside").iterdir())) == 2


def test_auto_is_offline_without_an_account() -> None:
    assert resolved_mode("auto") == "offline"


@pytest.mark.parametrize("by", ["netrc", "environment"])
def test_auto_is_online_with_an_account(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    if by == "netrc":
        entry = f"machine 127.0.0.1:9 login user password {API_KEY}\n"
        Path(os.environ["NETRC"]).write_text(entry)
    else:
        monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    assert resolved_mode("auto") == "online"


@pytest.mark.parametrize(
    ("asked", "mode"), [("offline", "offline"), ("disabled", "off"), ("online", "online")]
)
def test_auto_follows_wandb_mode(monkeypatch: pytest.MonkeyPatch, asked: str, mode: str) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("WANDB_MODE", asked)
    assert resolved_mode("auto") == mode


def test_the_settings_file_that_wandb_offline_writes_counts_unless_online_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    settings = tmp_path / "wandb" / "settings"
    settings.parent.mkdir()
    settings.write_text("[default]\nmode = offline\n")
    assert resolved_mode("auto") == "offline"
    assert resolved_mode("online") == "online"


def test_a_malformed_key_is_named_and_auto_goes_offline(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    assert resolved_mode("auto") == "offline"
    assert "WANDB_API_KEY invalid" in caplog.text
    with pytest.raises(ValueError, match="WANDB_API_KEY invalid"):
        resolved_mode("online")


def test_online_without_an_account_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    rule = r"^wandb: cannot be online, no account.*`wandb login`.*WANDB_API_KEY.*--wandb offline$"
    with pytest.raises(ValueError, match=rule):
        resolved_mode("auto")


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'yes' is not one of auto, online, offline, off"):
        resolved_mode("yes")


@pytest.mark.parametrize("mode", ["off", "offline"])
def test_a_driver_never_imports_wandb(tmp_path: Path, mode: str) -> None:
    script = f"""if True:
        import sys
        from pathlib import Path
        from tests.tracking.test_follower import Driver
        driver = Driver(Path(sys.argv[1]), mode="{mode}")
        driver.start(1)
        driver.close()
        print("wandb" in sys.modules)
    """
    answer = run_python("-c", script, str(tmp_path))
    assert (answer.stdout, answer.stderr) == ("False\n", "")
    assert (tmp_path / "wandb").exists() == (mode == "offline")
