from typing import Any

from cnnlib.journal.followers import SeenTrial, SeenTrials, telling


class Witness:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def know(self, events: Any) -> None:
        self.seen.extend(events)

    def see(self, event: Any) -> None:
        self.seen.append(event)

    def close(self) -> None:
        self.seen.append("closed")


def test_followers_are_told_what_is_written_and_only_then() -> None:
    written: list[dict[str, Any]] = []
    witness = Witness()

    def write(event: str, **content: Any) -> dict[str, Any]:
        if content.get("full"):
            raise OSError("the disk is full")
        written.append({"event": event, **content})
        return written[-1]

    tell = telling(write, [witness])
    entry = tell("started", trial_id="1")
    assert entry == {"event": "started", "trial_id": "1"} and witness.seen == [entry]
    try:
        tell("epoch", full=True)
    except OSError:
        assert witness.seen == [entry]
    else:
        raise AssertionError("it was not written")


def test_a_trial_is_seen_as_its_events_tell_it() -> None:
    seen = SeenTrials()
    seen.see(
        {"event": "sweep", "space": {"dropout": {"low": 0, "high": 1}, "ema": {"values": [0]}}}
    )
    config = {"dropout": 0.5, "ema": 0.0, "conv_layers": 3}
    seen.see({"event": "proposed", "trial_id": "1", "config": config})

    def epoch(number: int, val_acc: float | None) -> SeenTrial:
        known = {"epoch": number, "val_acc": val_acc, "node": "n", "class_counts": {"a": [1, 2]}}
        trial = seen.see({"event": "epoch", "trial_id": "1", "time": "now", **known})
        assert trial
        return trial

    for number, val_acc in enumerate((0.2, 0.1), 1):
        trial = epoch(number, val_acc)
    assert (trial.best, trial.best_epoch, trial.epoch, trial.diverged) == (0.2, 1, 2, False)
    assert [sorted(row) for row in trial.rows] == [["epoch", "val_acc"]] * 2
    for number, val_acc in enumerate((float("nan"), None, 0.9), 3):
        trial = epoch(number, val_acc)
        assert (trial.best, trial.best_epoch, trial.epoch, trial.diverged) == (-1, 0, number, True)
    assert seen.shown(trial) == {"dropout": 0.5, "conv_layers": 3}
    assert seen.varied(trial) == {"dropout": 0.5}
    assert seen.see({"event": "final", "trial_id": "reference"}) is None
