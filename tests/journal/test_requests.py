import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlib.journal.__main__ import main
from cnnlib.journal.events import Journal
from cnnlib.journal.ledger import HANDS, Trial, read_ledger
from cnnlib.journal.replay import event_lines, replay
from cnnlib.journal.requests import requests
from cnnlib.search.decision import Decision
from cnnlib.storage.folder_lock import FolderLock
from tests.events import begin, propose
from tests.journal.test_ledger import TERMS, Sweep
from tests.journal.test_promotion import PROMOTE


def begun(**terms: Any) -> tuple[Sweep, Trial]:
    sweep = Sweep()
    sweep.begin(replace(TERMS, search="random", **terms))
    trial = sweep.ledger.next_trial()
    assert trial is not None
    sweep.ledger.start(trial.trial_id)
    return sweep, trial


def epoch(sweep: Sweep, trial: Trial, val_acc: float = 0.5) -> Decision | None:
    return sweep.ledger.epoch(trial.trial_id, {"epoch": trial.epoch + 1, "val_acc": val_acc})


def check_alike_when_read_again(sweep: Sweep) -> None:
    events = json.loads(json.dumps(sweep.events))
    assert replay(events)[0] is None
    assert read_ledger(events, lambda *_, **__: {}).trials == sweep.ledger.trials


@pytest.mark.parametrize("rungs", [True, False])
def test_a_trial_that_is_asked_to_stop_does_so_after_its_epoch(rungs: bool) -> None:
    sweep, trial = begun(**({} if rungs else {"grace_period": None}))
    sweep.ledger.ask(trial.trial_id, "stop", "r1")
    decision = epoch(sweep, trial)
    assert decision == Decision(True, 1, None)
    assert sweep.ledger.end(trial.trial_id) == "stopped"
    assert "stopped   at epoch 1" in list(event_lines(sweep.events))[-1]
    check_alike_when_read_again(sweep)


def test_one_that_is_asked_to_pause_waits_for_a_person_and_then_comes_first() -> None:
    sweep, trial = begun(grace_period=None, trials=3)
    sweep.ledger.ask(trial.trial_id, "pause", "r1")
    decision = epoch(sweep, trial)
    assert decision is not None and decision.pause
    assert sweep.ledger.end(trial.trial_id) == "paused"
    second = sweep.ledger.next_trial()
    assert second is not None and second.trial_id == "0002"
    sweep.ledger.ask(trial.trial_id, "raise", "r2")
    assert sweep.ledger.next_trial() is trial
    assert (trial.status, trial.epoch) == ("running", 1)
    assert epoch(sweep, trial) is None
    check_alike_when_read_again(sweep)


def test_what_a_person_has_paused_is_stopped_when_nothing_else_is_left() -> None:
    sweep, trial = begun(grace_period=None, trials=1)
    sweep.ledger.ask(trial.trial_id, "pause", "r1")
    epoch(sweep, trial)
    sweep.ledger.end(trial.trial_id)
    assert sweep.ledger.next_trial() is None and not sweep.ledger.waits
    assert trial.status == "stopped"
    check_alike_when_read_again(sweep)


def test_one_that_waits_at_a_rung_is_stopped_held_or_raised() -> None:
    for hand in HANDS:
        sweep, first = begun(trials=6, **{n: getattr(PROMOTE, n) for n in ("stopping", "rungs")})
        epoch(sweep, first)
        sweep.ledger.end(first.trial_id)
        sweep.ledger.ask(first.trial_id, hand, "r")
        following = sweep.ledger.next_trial()
        assert following is not None
        assert first.status == {"stop": "stopped", "pause": "paused", "raise": "running"}[hand]
        assert (following is first) == (hand == "raise")
        if hand == "pause":
            assert sweep.ledger.picked(idle=True) is None
        check_alike_when_read_again(sweep)


def test_one_that_is_raised_runs_to_its_end_whatever_the_rungs_say() -> None:
    for stopping in ("asha", "promote"):
        sweep, good = begun(stopping=stopping)
        bad = sweep.ledger.next_trial()
        assert bad is not None
        epoch(sweep, good, 0.9)
        sweep.ledger.ask(bad.trial_id, "raise", "r")
        for _ in range(TERMS.max_epochs):
            decision = epoch(sweep, bad, 0.1)
            assert decision is None or decision.goes_on
        sweep.ledger.end(bad.trial_id)
        assert bad.status == "completed"
        check_alike_when_read_again(sweep)


def test_a_sweep_that_is_killed_before_a_request_is_done_does_it_when_it_goes_on() -> None:
    sweep, trial = begun(trials=2)
    sweep.ledger.ask(trial.trial_id, "stop", "r1")
    epoch(sweep, trial)
    again = Sweep(json.loads(json.dumps(sweep.events)))
    again.begin(replace(sweep.ledger.terms))
    assert again.ledger.trials[trial.trial_id].status == "stopped"
    assert "r1" in again.ledger.requests


def test_the_command_leaves_a_request_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    for trial_id in ("0001", "0002"):
        propose(journal, trial_id)
    journal.append("finished", trial_id="0002")
    journal.close()

    def run(*flags: str) -> int:
        monkeypatch.setattr("sys.argv", ["journal", str(tmp_path), *flags])
        return main()

    assert run("--stop", "0001") == 0
    assert capsys.readouterr().out == (
        "trial 0001 stops after the epoch that it is in; no driver is at work, so it is done when "
        "one goes on (--resume)\n"
    )
    lock = FolderLock(tmp_path)
    assert run("--pause", "0001") == 0
    assert "no driver" not in capsys.readouterr().out
    lock.release()
    assert [(r.trial_id, r.hand) for r in requests(tmp_path)] == [
        ("0001", "stop"),
        ("0001", "pause"),
    ]
    assert run("--raise", "0002") == 2
    assert f"--raise: trial 0002 has ended, completed in {tmp_path}" in capsys.readouterr().err
    assert run("--stop", "7") == 2
    assert "--stop: no trial 7 in" in capsys.readouterr().err
