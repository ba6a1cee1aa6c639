"""What an event of the journal looks like in this version: its fields, and what each may hold.

Events of later versions, and fields that are unknown here, are passed over by whoever reads.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cnnlib.networks.metric import MAXIMIZE, MINIMIZE, VAL_ACC, Metric

Rule = Callable[[Any], bool]
Event = Mapping[str, Any]

_ID = re.compile(r"\w[\w.-]*")
LARGEST = 2**53  # of whole numbers: what a table can hold


# JSON gives objects of these types themselves, and a journal has a million of them: `type` is fast.


def _text(value: Any) -> bool:
    return type(value) is str


def _flag(value: Any) -> bool:
    return type(value) is bool


def _whole(value: Any) -> bool:
    return type(value) is int and -LARGEST < value < LARGEST


def _number(value: Any) -> bool:
    return type(value) is float or _whole(value)  # NaN is one: a training may diverge


def _scalar(value: Any) -> bool:
    return value is None or type(value) in (str, bool, float) or _whole(value)


def _trial_id(value: Any) -> bool:
    """It names a folder too."""
    return type(value) is str and _ID.fullmatch(value) is not None


def _time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _maybe(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


def _each(rule: Rule) -> Rule:
    return lambda value: isinstance(value, list) and all(map(rule, value))


def _by_name(rule: Rule) -> Rule:
    return lambda value: isinstance(value, dict) and all(map(rule, value.values()))


def _only(needed: dict[str, Rule], optional: dict[str, Rule] | None = None) -> Rule:
    """A dictionary of these keys and no others."""
    rules = needed | (optional or {})
    return lambda value: (
        isinstance(value, dict)
        and needed.keys() <= value.keys() <= rules.keys()
        and all(rules[name](inner) for name, inner in value.items())
    )


_config = _by_name(_scalar)
_values: dict[str, Rule] = {"values": lambda values: _each(_scalar)(values) and bool(values)}
_choice = _only(_values)
_weighted_fields = _only(_values | {"weights": _each(_number)})
_interval = _only(
    {"low": _number, "high": _number}, {"log": _flag, "step": _number, "rounded": _flag}
)


def _weighted(content: Any) -> bool:
    """Values, with a weight for each."""
    return _weighted_fields(content) and len(content["weights"]) == len(content["values"])


_known = _only(
    {"config": _config, "score": _maybe(_number)},
    {
        "epochs": _whole,
        "max_epochs": _whole,
        "seconds": _maybe(_number),
        "earlier": _each(lambda pair: _each(_number)(pair) and len(pair) == 2),
    },
)
_decision = _only(
    {"stop": _flag, "rung": _whole, "cutoff": _maybe(_number)}, {"audited": _flag, "pause": _flag}
)


def _counts(value: Any) -> bool:
    """Of each class the photographs that were recognised, and all."""
    return type(value) is dict and all(
        type(counts) is list and len(counts) == 2 and _whole(counts[0]) and _whole(counts[1])
        for counts in value.values()
    )


_trial: dict[str, Rule] = {"trial_id": _trial_id}
_metric = _only({"name": _text, "goal": lambda value: value in (MAXIMIZE, MINIMIZE), "said": _text})
_training = _trial | {"seed": _whole}

# Kind of event: the fields that it has.
NEEDED: dict[str, dict[str, Rule]] = {
    "sweep": {
        "space": _by_name(lambda v: _choice(v) or _interval(v) or _weighted(v)),
        "image_size": _whole,
        "search": _text,
        "seed": _whole,
        "trials": _whole,
        "max_epochs": _whole,
        "patience": _whole,
        "grace_period": _maybe(_number),
        "reduction_factor": _maybe(_number),
        "fingerprint": _text,
        "known": _each(_known),
    },
    "resumed": {"trials": _whole, "max_epochs": _whole},
    "machines": {"units": _number, "unit": _text, "units_per_trial": _number},
    "moved": {"node": _text},
    "proposed": _trial | {"config": _config},
    "started": _trial,
    "epoch": _trial | {"epoch": _whole},
    "lost": _trial | {"error": _text, "preempted": _flag},
    "stopped": _trial | {"rung": _whole, "cutoff": _maybe(_number)},
    "paused": _trial | {"rung": _whole},
    "promoted": _trial | {"rung": _whole},
    "asked": _trial | {"hand": _text, "request": _text},
    "finished": _trial,
    "failed": _trial | {"error": _text},
    "closed": {"reason": _text},
    "tested": {"champion": _trial_id, "weights": _text, "number": _whole, "test_acc": _number},
    "finals": {
        "finalists": _each(_trial_id),
        "seeds": _each(_whole),
        "max_epochs": _whole,
        "reference": _maybe(_trial_id),
        "reference_config": _maybe(_config),
    },
    "final_started": _training,
    "final": _training
    | {
        "epochs": _whole,
        "best_epoch": _whole,
        "val_acc": _maybe(_number),
        "val_loss": _maybe(_number),
        "seconds": _number,
        "error": _maybe(_text),
    },
    "champion": _trial
    | {
        "seeds": _each(_whole),
        "mean": _number,
        "standard_error": _maybe(_number),
        "luck": _number,
        "epochs": _whole,
    },
    "retrain_started": _training | {"epochs": _whole},
    "retrained": _training
    | {
        "epochs": _whole,
        "train_acc": _maybe(_number),
        "seconds": _number,
        "error": _maybe(_text),
    },
}
# And those that it may have.
OPTIONAL: dict[str, dict[str, Rule]] = {
    "sweep": {
        "network": _text,
        "names": _by_name(_text),
        "rename": _by_name(_text),
        "network_digest": _text,
        "declared": _each(lambda entry: isinstance(entry, dict)),
        "num_initial": _whole,
        "audit": _number,
        "rungs": _each(_whole),
        "last_share": _maybe(_number),
        "strict": _flag,
        "stopping": _text,
        "first": _each(_config),
        "priors": _by_name(_each(_scalar)),
        "experience": _maybe(lambda value: isinstance(value, dict)),
        "explore": _number,
        "target": _maybe(_number),
        "stop_when": _maybe(_number),
        "noise_of": _whole,
        "metric": _metric,
    },
    "machines": {"accelerator": _maybe(_text)},
    "moved": {"fetched": _whole, "sent": _whole},
    "proposed": {"max_epochs": _whole, "by": _text},
    "started": {"after_epoch": _whole},
    "promoted": {"idle": _flag, "spare": _flag},
    "epoch": {
        "val_acc": _number,
        "val_loss": _number,
        "seconds": _number,
        **dict.fromkeys(
            ("train_loss", "train_acc", "learning_rate", "images_per_second"), _maybe(_number)
        ),
        "node": _text,
        "class_counts": _counts,
        "decision": _decision,
    },
    "final": {"value": _maybe(_number)},
    "failed": {"traceback": _text},
    "tested": {
        "reason": _maybe(_text),
        "test_low": _number,
        "test_high": _number,
        "test_correct": _whole,
        "test_n": _whole,
        "test_balanced_acc": _number,
        "test_f1": _number,
        "test_loss": _number,
        "leaks": _by_name(_whole),
    },
}
RULES = {kind: (needed, needed | OPTIONAL.get(kind, {})) for kind, needed in NEEDED.items()}
# Fields of an epoch that are not what a network logs.
OWN_FIELDS = {"event", "time", "trial_id", "epoch", "node", "class_counts", "decision", "seconds"}
OF_TRIALS = (
    "started", "epoch", "lost", "paused", "promoted", "asked", "stopped", "finished", "failed",
)  # fmt: skip


class EventOrder:
    """What the events so far allow the next one to speak of."""

    def __init__(self) -> None:
        self._begun = self._decides = False
        self._metric = VAL_ACC
        self._proposed: set[str] = set()

    def fault(self, event: Any) -> str | None:
        """Why this is not the next event of a sweep's journal, or None, and then it is taken in."""
        fault = _fault(event) or self._fault(event)
        if fault is None and event["event"] == "sweep":
            self._begun = True
            self._metric = Metric(**event.get("metric", {}))
            self._decides = None not in (event["grace_period"], event["reduction_factor"])
        if fault is None and event["event"] == "asked":
            self._decides = True
        if fault is None and event["event"] == "proposed":
            self._proposed.add(event["trial_id"])
        return fault

    def _fault(self, event: Event) -> str | None:
        kind = event["event"]
        if (kind == "sweep") == self._begun:
            return "a second `sweep`" if kind == "sweep" else "there is no `sweep` before it"
        spoken_of = [event["trial_id"]] if kind in OF_TRIALS else event.get("finalists", [])
        if kind in NEEDED and (unknown := [t for t in spoken_of if t not in self._proposed]):
            return f"trial {unknown[0]} was not proposed before it"
        if kind == "epoch" and event["epoch"] < 1:
            return f"epoch: {event['epoch']} is not at least 1"
        if kind == "epoch" and not _number(event.get(self._metric.name)):
            return _faulty(event, self._metric.name)
        if kind == "epoch" and "decision" in event and not self._decides:
            return "decision: the sweep has no rungs"
        return None


def _fault(event: Any) -> str | None:
    """Which field of an event is not as it must be, or None."""
    if type(event) is not dict or not _text(event.get("event")):
        return "it has no kind `event`"
    if not _time(event.get("time")):
        return f"time: {_short(event.get('time'))}"
    needed, rules = RULES.get(event["event"], ({}, {}))
    ruled = ((rules[name], value) for name, value in event.items() if name in rules)
    if needed.keys() <= event.keys() and all(rule(value) for rule, value in ruled):
        return None
    for name, rule in rules.items():  # which is the first in the order of the rules
        if name in needed if name not in event else not rule(event[name]):
            return _faulty(event, name)
    return None


def _faulty(event: Event, name: str) -> str:
    """Says that a field is not there, or not as it must be."""
    kind = event["event"]
    return (
        f"`{kind}` with {name}: {_short(event[name])}"
        if name in event
        else f"`{kind}` without {name}"
    )


def _short(value: Any) -> str:
    """A value as a line can show it."""
    text = repr(value) if _scalar(value) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:40]}..."
