import errno
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from cnnlib.journal.followers import telling
from cnnlib.journal.requests import ask
from cnnlib.running.progress import Progress
from cnnlib.running.recorder import METRICS, Recorder, Scheduler, Search
from cnnlib.search.decision import Decision
from cnnlib.storage.folder_lock import LockedError
from cnnlib.storage.training_files import BEST, LAST
from tests.journal.test_ledger import TERMS, Sweep
from tests.journal.test_promotion import PROMOTE


@pytest.fixture
def sweep() -> Sweep:
    sweep = Sweep()
    sweep.begin(replace(TERMS, trials=2))
    return sweep


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def recorder(sweep: Sweep, notes: list[str], tmp_path: Path) -> Recorder:
    return Recorder(sweep.ledger, notes.append, tmp_path / "checkpoints")


def result(epoch: int, val_acc: float) -> dict[str, Any]:
    return dict.fromkeys(METRICS, 0.5) | {"epoch": epoch, "val_acc": val_acc, "node": "n"}


def trial(config: dict[str, Any], **last: Any) -> Any:
    return SimpleNamespace(config=config, last_result=last)


def test_ray_is_given_trials_until_there_are_no_more(recorder: Recorder) -> None:
    search = Search(recorder)
    first, second = search.suggest("a"), search.suggest("b")
    assert isinstance(first, dict) and isinstance(second, dict)
    assert (first["trial_id"], second["trial_id"]) == ("0001", "0002")
    assert (first["max_epochs"], first["after_epoch"]) == (6, 0)
    assert search.suggest("c") is None, "a person may still pause one and let it go on"
    for config in (first, second):
        recorder.on_trial_complete(0, [], trial(config))
    assert search.suggest("c") == Searcher.FINISHED


def test_a_trial_that_pauses_keeps_its_state_and_is_given_to_ray_again(tmp_path: Path) -> None:
    sweep = Sweep()
    sweep.begin(replace(PROMOTE, trials=3))
    recorder = Recorder(sweep.ledger, print, tmp_path)
    search, scheduler = Search(recorder), Scheduler(recorder)
    for name, score in (("a", 0.5), ("b", 0.4), ("c", 0.3)):
        config = search.suggest(name)
        assert isinstance(config, dict)
        for file in (BEST, LAST):
            (tmp_path / config["trial_id"]).mkdir(exist_ok=True)
            (tmp_path / config["trial_id"] / file).touch()
        assert scheduler.on_trial_result(None, trial(config), result(1, score)) == "STOP"
        recorder.on_trial_complete(0, [], trial(config))
    states = {t.trial_id: t.status for t in sweep.ledger.trials.values()}
    assert states == {"0001": "paused", "0002": "stopped", "0003": "stopped"}
    kept = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    assert kept == [f"0001/{BEST}", f"0001/{LAST}", f"0002/{BEST}"], "0002 is the best that ended"
    config = search.suggest("d")
    assert isinstance(config, dict)
    assert (config["trial_id"], config["after_epoch"]) == ("0001", 1)
    assert [e["event"] for e in sweep.events[-1:]] == ["promoted"]
    assert search.suggest("e") is None
    recorder.on_trial_complete(0, [], trial(config))
    assert search.suggest("e") == Searcher.FINISHED


def test_a_report_is_written_before_ray_hears_what_follows(
    recorder: Recorder, sweep: Sweep
) -> None:
    search, scheduler = Search(recorder), Scheduler(recorder)
    one, two = (trial(search.suggest(name)) for name in "ab")  # type: ignore[arg-type]
    assert scheduler.on_trial_result(None, one, result(1, 0.5)) == "CONTINUE"
    assert scheduler.on_trial_result(None, two, result(1, 0.4)) == "STOP"
    assert sweep.events[-1]["decision"] == Decision(True, 1, 0.5).as_event()
    recorder.on_trial_complete(0, [], two)
    assert sweep.events[-1]["event"] == "stopped"


def test_a_trial_that_diverges_is_stopped_and_recorded_as_failed(
    recorder: Recorder, sweep: Sweep
) -> None:
    search, scheduler = Search(recorder), Scheduler(recorder)
    one = trial(search.suggest("a"))  # type: ignore[arg-type]
    assert scheduler.on_trial_result(None, one, result(1, float("nan"))) == "STOP"
    recorder.on_trial_complete(0, [], one)
    assert sweep.events[-1]["event"] == "failed"
    assert sweep.events[-1]["error"].startswith("diverged: ")
    assert sweep.ledger.best is None


def test_an_audited_trial_goes_on_and_is_shown(tmp_path: Path) -> None:
    sweep = Sweep()
    sweep.begin(replace(TERMS, audit=1.0))
    screen = io.StringIO()
    progress = Progress(2, stream=screen)
    recorder = Recorder(sweep.ledger, progress.note, tmp_path / "checkpoints")
    progress.know(sweep.events)
    sweep.ledger.write = telling(sweep.ledger.write, [progress])
    search = Search(recorder)
    assert search.suggest("a") and search.suggest("b")
    assert recorder.goes_on("0001", result(1, 0.5))
    assert recorder.goes_on("0002", result(1, 0.4))
    said = "trial 0002 audited    at epoch 1, below the cutoff 0.500, goes on all the same\n"
    assert said in screen.getvalue()
    assert ", 0 failed, 1 audited, best" in progress.line
    resumed = Progress(2, stream=screen)
    resumed.know(sweep.events)
    resumed.see({"event": "resumed"})
    assert ", 0 failed, 1 audited, best" in resumed.line


def test_what_a_person_asks_for_is_noted_once_and_its_file_goes(
    recorder: Recorder, sweep: Sweep, notes: list[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("cnnlib.running.recorder.CHECKS", -1.0)
    config = Search(recorder).suggest("a")
    assert isinstance(config, dict)
    request = ask(tmp_path, "0001", "stop")
    ask(tmp_path, "0009", "stop")
    (tmp_path / "requests" / "torn.json").write_text('{"trial_id": "00')
    for _ in range(2):
        recorder.on_step_begin(0, [])
    [event] = sweep.told("asked")
    assert (event["trial_id"], event["hand"], event["request"]) == ("0001", "stop", request.name)
    assert notes == ["trial 0009 is not there any more to stop"]
    assert [path.name for path in (tmp_path / "requests").iterdir()] == ["torn.json"]
    request.path.write_text('{"trial_id": "0001", "hand": "stop"}')  # a kill came before
    recorder.on_step_begin(0, [])
    assert len(sweep.told("asked")) == 1 and not request.path.exists()
    assert not recorder.goes_on("0001", result(1, 0.9))
    recorder.on_trial_complete(0, [], trial(config))
    assert sweep.ledger.trials["0001"].status == "stopped"


def test_nothing_begins_that_does_not_reach_its_first_rung_in_the_time(
    sweep: Sweep, tmp_path: Path
) -> None:
    def begins(seconds: float) -> Any:
        told = Recorder(sweep.ledger, print, tmp_path, seconds=seconds, cost=lambda config: 100.0)
        return Search(told).suggest("a")

    assert begins(99.0) == Searcher.FINISHED
    assert sweep.ledger.out_of_time and sweep.ledger.trials == {}
    sweep.begin(replace(TERMS, trials=2))  # goes on, with time of its own
    assert begins(1000.0)["trial_id"] == "0001"


def test_what_a_trial_repeats_after_a_loss_counts_once(recorder: Recorder, sweep: Sweep) -> None:
    config = Search(recorder).suggest("a")
    assert isinstance(config, dict)
    for epoch in (1, 2, 1, 2, 3):
        assert recorder.goes_on("0001", result(epoch, epoch / 10))
    assert [e["epoch"] for e in sweep.told("epoch")] == [1, 2, 3]
    assert [e["val_acc"] for e in sweep.told("epoch")] == [0.1, 0.2, 0.3]


def test_what_is_known_of_classes_goes_into_the_journal(recorder: Recorder, sweep: Sweep) -> None:
    assert isinstance(Search(recorder).suggest("a"), dict)
    counts = {"class_counts/Fungi": [3, 10]}  # as Tune makes it of a dictionary
    recorder.goes_on("0001", result(1, 0.3) | counts)
    recorder.goes_on("0001", result(2, 0.2))
    assert [e.get("class_counts") for e in sweep.told("epoch")] == [{"Fungi": [3, 10]}, None]


def test_what_a_trial_waits_for_and_moves_is_told(
    recorder: Recorder, sweep: Sweep, notes: list[str]
) -> None:
    assert isinstance(Search(recorder).suggest("a"), dict)
    assert recorder.goes_on("0001", {"waiting": "fetching photographs", "node": "w1"})
    assert notes == ["trial 0001 waits      w1: fetching photographs"]
    moved = {"bytes_moved/fetched": 7, "bytes_moved/sent": 2, "node": "w1"}
    assert recorder.goes_on("0001", result(1, 0.3) | moved)
    [event] = sweep.told("moved")
    assert (event["node"], event["fetched"], event["sent"]) == ("w1", 7, 2)


def test_a_failure_is_recorded_and_a_full_disk_is_no_failure(
    recorder: Recorder, sweep: Sweep
) -> None:
    search = Search(recorder)
    one, two = (search.suggest(name) for name in "ab")
    assert isinstance(one, dict) and isinstance(two, dict)
    report = {"error": "OutOfMemoryError: x", "disk": False}
    assert recorder.goes_on("0001", report)
    recorder.on_trial_complete(0, [], trial(one, **report))
    assert sweep.events[-1]["error"] == "OutOfMemoryError: x"
    with pytest.raises(OSError, match="trial 0002 cannot write: OSError: full") as caught:
        recorder.goes_on("0002", {"error": "OSError: full", "disk": True})
    assert caught.value.errno == errno.ENOSPC
    assert sweep.ledger.trials["0002"].status == "running"


@pytest.mark.parametrize(
    ("error", "preempted", "said"),
    [
        (SimpleNamespace(preempted=True), True, "SimpleNamespace"),
        (SimpleNamespace(preempted=False), False, "SimpleNamespace"),
        (None, False, "the death of its machine"),
    ],
)
def test_a_lost_worker_is_noted(
    recorder: Recorder, sweep: Sweep, error: SimpleNamespace | None, preempted: bool, said: str
) -> None:
    config = Search(recorder).suggest("a")
    assert isinstance(config, dict)
    lost = trial(config)
    lost.get_pickled_error = lambda: error
    recorder.on_trial_recover(0, [], lost)
    assert sweep.events[-1]["event"] == "lost"
    assert sweep.events[-1]["preempted"] is preempted
    assert sweep.events[-1]["error"] == said


def test_checkpoints_are_pruned_as_trials_end(
    recorder: Recorder, sweep: Sweep, tmp_path: Path
) -> None:
    search = Search(recorder)
    configs = [search.suggest(name) for name in "ab"]
    for number in ("0001", "0002"):
        for name in ("best.safetensors", "last.pt"):
            path = tmp_path / "checkpoints" / number / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def trial_folder() -> list[str]:
        return sorted(f"{p.parent.name} {p.name}" for p in tmp_path.glob("checkpoints/*/*"))

    recorder.goes_on("0001", result(1, 0.5))
    recorder.on_trial_complete(0, [], trial(configs[0]))  # type: ignore[arg-type]
    assert trial_folder() == ["0001 best.safetensors", "0002 best.safetensors", "0002 last.pt"]
    recorder.goes_on("0002", result(1, 0.6))
    recorder.on_trial_complete(0, [], trial(configs[1]))  # type: ignore[arg-type]
    assert trial_folder() == ["0002 best.safetensors"]


def test_on_a_cluster_they_are_pruned_where_the_nodes_keep_them(
    sweep: Sweep, tmp_path: Path, disk: str
) -> None:
    bucket = tmp_path / "there" / "checkpoints"
    folder = tmp_path / "checkpoints"
    recorder = Recorder(sweep.ledger, print, folder, f"{disk}/checkpoints")
    config = Search(recorder).suggest("a")
    (bucket / "0001").mkdir(parents=True)
    for name in ("best.safetensors", "last.pt"):
        (bucket / "0001" / name).touch()
    recorder.goes_on("0001", result(1, 0.5))
    recorder.on_trial_complete(0, [], trial(config))  # type: ignore[arg-type]
    assert [path.name for path in bucket.glob("*/*")] == ["best.safetensors"]


def test_a_driver_that_may_not_go_on_ends_while_trials_run(sweep: Sweep, tmp_path: Path) -> None:
    taken_over = [False, True]

    def check() -> None:
        if taken_over.pop(0):
            raise LockedError("taken over")

    recorder = Recorder(sweep.ledger, print, tmp_path, check=check)
    recorder.on_step_begin(0, [])
    with pytest.raises(LockedError):
        recorder.on_step_begin(0, [])
