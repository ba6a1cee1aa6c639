from typing import Any

from cnnlib.followers import SeenTrials, telling


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
    for epoch, score in enumerate((0.2, float("nan"), None, 0.1), 1):
        known = {"epoch": epoch, "val_acc": score, "node": "n", "class_counts": {"a": [1, 2]}}
        trial = seen.see({"event": "epoch", "trial_id": "1", "time": "now", **known})
    assert trial and (trial.best, trial.best_epoch, trial.epoch) == (0.2, 1, 4)
    assert [sorted(row) for row in trial.rows] == [
        ["epoch", "val_acc"],
        ["epoch", "val_acc"],
        ["epoch"],
        ["epoch", "val_acc"],
    ]
    assert seen.shown(trial) == {"dropout": 0.5, "conv_layers": 3}
    assert seen.varied(trial) == {"dropout": 0.5}
    assert seen.see({"event": "final", "trial_id": "reference"}) is None
