import errno
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cnnlib.journal.finals import Finals, read_finals
from cnnlib.journal.ledger import read_ledger
from cnnlib.journal.replay import replay
from cnnlib.journal.scores import REFERENCE
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.photos.dataset import read_folder
from cnnlib.pixels.datamodule import stratified_split
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.plan import Plan
from cnnlib.planning.settings import Settings
from cnnlib.running.finals import hold_finals, is_due
from cnnlib.running.progress import Progress
from cnnlib.storage.training_files import BEST, LAST
from cnnlib.training.final import Answer, Job, train_job
from cnnlib.training.trial import Task
from tests.journal.test_ledger import Sweep

SMALL = TrialConfig(first_layer_filters=4, conv_layers=2, num_neurons_dense=8, batch_size=8)


@pytest.fixture
def task(photos: Path) -> Task:
    dataset = read_folder(photos / "train")
    return Task(dataset, image_size=8, max_epochs=3, patience=1, seed=5, cpus=1)


def indices_seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, np.ndarray]]:
    """Which photographs each loader is asked for, as training goes on."""
    from cnnlib.pixels import datamodule as data

    seen, build = [], data.CustomDataModule._batches

    def noted(self: Any, split: str, indices: np.ndarray, **settings: Any) -> Any:
        seen.append(("train" if settings else "val", indices))
        return build(self, split, indices, **settings)

    monkeypatch.setattr(data.CustomDataModule, "_batches", noted)
    return seen


def test_a_final_has_weights_of_its_own_seed_and_the_searchs_validation_photographs(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = indices_seen(monkeypatch)
    for seed in (6, 7):
        train_job(task, Job("0001", SMALL, seed, tmp_path / str(seed)), None)
    train, val = stratified_split(task.dataset.train.labels, 0.2, seed=5)
    for split, indices in seen:
        assert np.array_equal(indices, {"train": train, "val": val}[split])
    one, two = (load_file(tmp_path / seed / BEST) for seed in "67")
    assert not torch.equal(one["network.0.weight"], two["network.0.weight"])


def test_retraining_sees_all_photographs_for_a_fixed_number_of_epochs(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = indices_seen(monkeypatch)
    job = Job("0001", SMALL, 5, tmp_path / "all", epochs=4)
    answer = train_job(replace(task, max_epochs=6), job, None)
    assert [row["epoch"] for row in answer["rows"]] == [1, 2, 3, 4], "without patience"
    assert all("val_acc" not in row for row in answer["rows"])
    assert {split for split, _ in seen} == {"train"}, "nothing validates"
    assert len(seen[0][1]) == len(task.dataset.train.files)
    state = torch.load(job.folder / LAST, weights_only=True)["state_dict"]
    kept = load_file(job.folder / BEST)
    assert all(torch.equal(kept[name], state[name].cpu()) for name in kept), "the last ones"


def test_retraining_keeps_the_average_of_the_weights_and_the_schedule_of_the_whole_length(
    task: Task, tmp_path: Path
) -> None:
    config = replace(SMALL, ema=0.9, learning_rate_schedule="step")
    answer = train_job(
        replace(task, max_epochs=6), Job("0001", config, 5, tmp_path, epochs=3), None
    )
    rates = [row["learning_rate"] for row in answer["rows"]]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4])
    content = torch.load(tmp_path / LAST, weights_only=True)
    kept = load_file(tmp_path / BEST)["network.0.weight"]
    assert torch.equal(kept, content["state_dict"]["network.0.weight"])
    assert not torch.equal(kept, content["trained_weights"]["0.weight"])


def test_a_broken_training_goes_on_from_its_last_epoch(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Job("0001", SMALL, 6, tmp_path / "whole")
    unbroken = train_job(replace(task, patience=0), whole, None)
    job = Job("0001", SMALL, 6, tmp_path / "broken")
    train_job(replace(task, patience=0, stop_after=2), job, None)  # as if killed
    answer = train_job(replace(task, patience=0), job, None)
    assert [r["val_loss"] for r in answer["rows"]] == [r["val_loss"] for r in unbroken["rows"]]


def test_what_raises_is_told_with_its_reason(task: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = train_job(task, Job("0001", SMALL, 6, tmp_path / "file"), None)
    assert answer["error"].startswith(("NotADirectoryError: ", "FileExistsError: "))
    assert not answer["disk"]


class Executor:
    """Answers each job with a score of its own, `limit` of them; the rest has no time."""

    def __init__(self, limit: int = 99) -> None:
        self.limit = limit
        self.jobs: list[Job] = []

    def __call__(
        self, jobs: Sequence[Job], started: Callable[[Job], None]
    ) -> Iterator[tuple[Job, Answer]]:
        for job in jobs:
            started(job)
            if len(self.jobs) == self.limit:
                return
            self.jobs.append(job)
            job.folder.mkdir(parents=True, exist_ok=True)
            for name in (BEST, LAST, f".{job.seed}.part"):  # the last: a worker was killed
                (job.folder / name).write_text(str(job))
            val_acc = 0.5 + job.seed / 100 + (job.trial_id == REFERENCE) / 10
            row = {"epoch": 1, "val_acc": val_acc, "val_loss": 1.0, "train_acc": 0.9}
            yield job, {"rows": [{**row, "seconds": 2.0}] * (job.epochs or 1)}


@pytest.fixture
def plan(photos: Path, tmp_path: Path) -> Plan:
    return make_plan(Settings(
        data=photos, storage=tmp_path, name="s", image_size=32, wandb="off", trials=12,
        max_epochs=6, finalists=3, seeds=2, seed=3,
    ))  # fmt: skip


def searched() -> Sweep:
    sweep = Sweep()
    sweep.begin()
    sweep.run()
    return sweep


def hold(plan: Plan, sweep: Sweep, execute: Executor) -> str:
    said = io.StringIO()
    finals = read_finals(sweep.events, sweep.ledger)
    hold_finals(plan, finals, execute, Progress(12, stream=said))
    assert replay(sweep.events)[0] is None
    return said.getvalue()


def test_the_finals_go_on_where_they_were_cut_short_and_nothing_trains_twice(plan: Plan) -> None:
    sweep, unbroken = searched(), searched()
    whole = Executor()
    hold(plan, unbroken, whole)
    assert len(whole.jobs) == 4 * 2 + 2
    trained: list[Job] = []
    for limit in (0, 3, 3, 3, 3):
        events = list(sweep.events)
        ledger = read_ledger(events, sweep._write)
        sweep.ledger = ledger
        assert is_due(plan, Finals(ledger))
        assert is_due(plan, read_finals(events, ledger))
        part = Executor(limit)
        hold(plan, sweep, part)
        trained += part.jobs
    assert [(j.trial_id, j.seed, j.epochs) for j in trained] == [
        (j.trial_id, j.seed, j.epochs) for j in whole.jobs
    ]
    assert not is_due(plan, read_finals(sweep.events, sweep.ledger))
    kinds = [event["event"] for event in sweep.events]
    assert "final" not in kinds[kinds.index("retrain_started") :], "the choice may change till then"
    one, two = (read_finals(s.events, s.ledger) for s in (sweep, unbroken))
    assert one.choice == two.choice


def test_the_screen_tells_the_finals_and_their_weights_are_pruned(plan: Plan) -> None:
    sweep, execute = searched(), Executor()
    said = hold(plan, sweep, execute)
    best = execute.jobs[0].trial_id
    assert "finals: the best 3 trials and the reference again, on 2 new seeds each: 8" in said
    assert f"trial {best} on seed 4: val_acc 0.540 at epoch 1 of 1\n" in said
    assert f"finals: trial {best} has the highest mean, 0.545 on 2 new seeds; in the " in said
    assert f"trial {best} on all photographs for 1 epoch: train_acc 0.900\n" in said
    kept = sorted(p.relative_to(plan.folder / "finals") for p in plan.folder.rglob("*.*"))
    finalists = sorted({job.trial_id for job in execute.jobs})
    folders = [f"{trial_id}-s5" for trial_id in finalists]
    folders += [f"{best}-all-1", "reference-all-1"]
    assert kept == sorted(Path(folder, BEST) for folder in folders)


def test_a_kill_right_after_an_event_leaves_no_state_behind(plan: Plan) -> None:
    sweep, execute = searched(), Executor(2)
    hold(plan, sweep, execute)
    last = execute.jobs[0].folder / LAST
    last.write_text("not deleted yet")
    hold(plan, sweep, Executor(0))
    assert not last.exists()


def test_another_reference_does_not_go_on_from_the_state_of_the_one_before(plan: Plan) -> None:
    sweep = searched()
    hold(plan, sweep, Executor(4))  # a seed of each
    half = plan.folder / "finals" / "reference-s5" / LAST
    half.parent.mkdir()
    half.write_text("of the reference before")
    hold(replace(plan, reference=TrialConfig(dropout=0.1)), sweep, Executor(0))
    assert not half.exists() and not (plan.folder / "finals" / "reference-s4").exists()
    assert len(list((plan.folder / "finals").glob("*-s4"))) == 3, "those of the finalists stay"
    execute = Executor()
    hold(replace(plan, reference=TrialConfig(dropout=0.1)), sweep, execute)
    assert sum(job.trial_id == REFERENCE and job.epochs is None for job in execute.jobs) == 2


def test_weights_of_the_best_seed_outlast_a_round_that_was_cut_short(plan: Plan) -> None:
    sweep = searched()
    hold(plan, sweep, Executor(5))  # four on seed 4, and the best on seed 5
    finals = read_finals(sweep.events, sweep.ledger)
    assert finals.winner is not None
    assert len(finals.winner.finals) == 1
    for candidate in finals.scores:
        taken = finals.taken(plan.folder, candidate, retrained=True)
        assert (taken.folder / BEST).is_file()


def test_without_retraining_nothing_learns_from_validation_photographs(plan: Plan) -> None:
    execute = Executor()
    plan = replace(plan, settings=replace(plan.settings, retrain=False))
    hold(plan, searched(), execute)
    assert all(job.epochs is None for job in execute.jobs)


def test_what_diverges_has_no_score_is_told_and_is_not_taken(plan: Plan) -> None:
    """The best finalist diverges on a seed, the champion on all photographs."""

    class Diverging(Executor):
        def __call__(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Any:
            best = jobs[0].trial_id
            for job, answer in super().__call__(jobs, started):
                row = answer["rows"][-1]
                name = "train_acc" if job.epochs else "val_acc"
                kept = {n: v for n, v in row.items() if not (job.epochs and n == "val_acc")}
                if job.epochs or (job.trial_id, job.seed) == (best, 5):
                    answer["rows"].append(kept | {"epoch": 2, name: math.nan})
                yield job, answer

    sweep, execute = searched(), Diverging()
    said = hold(plan, sweep, execute)
    best = execute.jobs[0].trial_id
    line = "diverged: outputs, loss or weights are not finite after epoch 2"
    assert f"trial {best} on seed 5: {line}\n" in said
    finals = read_finals(sweep.events, sweep.ledger)
    winner = finals.winner
    assert winner is not None and winner.trial_id != best
    first = next(s for s in finals.scores if s.trial_id == best)
    assert first.diverged and not first.whole and first.values == [0.54]
    assert f"trial {winner.trial_id} on all photographs for 1 epoch: {line}; the weights of" in said
    taken = finals.taken(plan.folder, winner, retrained=True)
    assert taken.origin == "final" and (taken.folder / BEST).is_file()
    assert not is_due(plan, finals), "it would diverge again"


def test_a_full_disk_is_no_fault_of_the_training(plan: Plan) -> None:
    def full(jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, Answer]]:
        yield jobs[0], {"rows": [], "error": "OSError: no space", "disk": True}

    sweep = searched()
    with pytest.raises(OSError, match="cannot write") as caught:
        hold_finals(plan, Finals(sweep.ledger), full, Progress(12, stream=io.StringIO()))
    assert caught.value.errno == errno.ENOSPC
    assert sweep.events[-1]["event"] == "finals", "it is trained again"
