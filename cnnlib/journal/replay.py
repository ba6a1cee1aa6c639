"""A sweep told from its journal in lines, and its decisions derived from the journal again."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cnnlib.journal import finals
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.scores import Final
from cnnlib.journal.trial import ENDINGS
from cnnlib.networks.metric import MAXIMIZE, VAL_ACC, Metric
from cnnlib.search.decision import Decision
from cnnlib.storage.traffic import WAYS

Event = Mapping[str, Any]


def event_lines(events: Iterable[Event], *, logs: bool = False) -> Iterator[str]:
    """A readable line for each event; with `logs` the traceback of a failure too."""
    metric = VAL_ACC
    for event in events:
        if event["event"] == "sweep":
            metric = Metric(**event.get("metric", {}))
        said = SAID.get(event["event"], lambda event, metric: "")(event, metric)
        trial = f"trial {event['trial_id']} " if "trial_id" in event else ""
        yield f"{event['time'][:19].replace('T', ' ')}  {trial}{event['event']:<9} {said}".rstrip()
        if logs and "traceback" in event:
            yield event["traceback"].rstrip()


def _sweep(event: Event, metric: Metric) -> str:
    known = f", {len(event['known'])} outcomes known" if event["known"] else ""
    audit = f", audit {event['audit']:.0%}" if event.get("audit") else ""
    wanted = "" if metric == VAL_ACC else f", the {metric.best} {metric.said}"
    return (
        f"{event['trials']} trials of up to {event['max_epochs']} epochs at {event['image_size']} "
        f"px by {event['search']}, seed {event['seed']}{wanted}{audit}{known}"
    )


def _epoch(event: Event, metric: Metric) -> str:
    names = dict.fromkeys((metric.name, "val_acc", "val_loss"))
    told = [f"{_name(n, metric)} {event[n]:.3f}" for n in names if n in event]
    text = f"{event['epoch']}: {', '.join(told)}"
    if "decision" in event:
        decision = event["decision"]
        cutoff = decision["cutoff"]
        against = "no cutoff" if cutoff is None else f"cutoff {metric.value(cutoff):.3f}"
        then = "stop" if decision["stop"] else "pause" if decision.get("pause") else "go on"
        if decision.get("audited"):
            then = "would stop, goes on as an audit"
        text += f"; rung {decision['rung']}, {against}: {then}"
    return text


def _name(name: str, metric: Metric) -> str:
    return metric.said if name == metric.name else name


def _proposed(event: Event, metric: Metric) -> str:
    return ", ".join(f"{name} {value}" for name, value in event["config"].items())


def _moved(event: Event, metric: Metric) -> str:
    ways = [f"{event[way]:,} bytes {way}" for way in WAYS if way in event]
    return f"{event['node']}: {', '.join(ways)}"


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, seeds))


def _final(event: Event, metric: Metric) -> str:
    final = Final.from_event(event)
    if final.error:
        return f"on seed {final.seed}: {final.error}"
    if (found := final.by(metric)) is None:
        return f"on seed {final.seed}: no epoch"
    value = f"{metric.said} {found:.3f}"
    return f"on seed {final.seed}: {value} at epoch {final.best_epoch} of {final.epochs}"


def _champion(event: Event, metric: Metric) -> str:
    lucky = event["luck"] >= 0  # and then it had more of what is maximised
    less = "less" if lucky == (metric.goal == MAXIMIZE) else "more"
    return (
        f"{metric.said} {event['mean']:.3f} on average on seeds {_listed(event['seeds'])}, "
        f"{abs(event['luck']):.3f} {less} than in the search"
    )


def _promoted(event: Event, metric: Metric) -> str:
    idle = ", as a worker had nothing else to do" if {"idle", "spare"} & event.keys() else ""
    return f"goes on after epoch {event['rung']}{idle}"


def _stopped(event: Event, metric: Metric) -> str:
    return Decision(True, event["rung"], event["cutoff"]).why(metric)


SAID: dict[str, Callable[[Event, Metric], str]] = {
    "sweep": _sweep,
    "resumed": lambda e, _: f"up to {e['trials']} trials of up to {e['max_epochs']} epochs",
    "machines": lambda e, _: f"{e['units']:g} of {e['unit']}, {e['units_per_trial']:g} for a trial",
    "proposed": _proposed,
    "moved": _moved,
    "started": lambda e, _: f"after epoch {e['after_epoch']}" if e.get("after_epoch") else "",
    "epoch": _epoch,
    "lost": lambda e, _: f"its worker{' (preempted)' if e['preempted'] else ''}: {e['error']}",
    "paused": lambda e, _: f"after epoch {e['rung']}",
    "promoted": _promoted,
    "asked": lambda e, _: f"by a person: {e['hand']}",
    "stopped": _stopped,
    "failed": lambda e, _: e["error"],
    "tested": lambda e, _: f"opening {e['number']}, trial {e['champion']}: {e['test_acc']:.3f}",
    "closed": lambda e, _: e["reason"],
    "finals": lambda e, _: f"trials {', '.join(e['finalists'])} on seeds {_listed(e['seeds'])}",
    "final_started": lambda e, _: f"on seed {e['seed']}",
    "final": _final,
    "champion": _champion,
    "retrain_started": lambda e, _: f"on all photographs for {e['epochs']} epochs",
    "retrained": lambda e, _: e["error"] or f"on all photographs for {e['epochs']} epochs",
}


def replay(events: Iterable[Event]) -> tuple[str | None, str]:
    """The first event that does not follow from those before it, and what was checked till then."""
    ledger = Ledger(write=lambda event, **content: {"event": event, **content})
    held = finals.Finals(ledger)
    counts: Counter[str] = Counter()
    for number, event in enumerate(events, 1):
        final = ledger.begun and event["event"] in finals.EVENTS
        difference = held.difference(event) if final else _difference(ledger, event)
        if difference:
            trial = f", trial {event['trial_id']}" if "trial_id" in event else ""
            return f"event {number} ({event['event']}{trial}): {difference}", _counted(counts)
        counts[event["event"]] += 1
        counts["decided"] += "decision" in event
        ledger.apply(event)
        held.apply(event)
    return None, _counted(counts)


def _counted(counts: Counter[str]) -> str:
    return (
        f"{counts['proposed']} proposals, {counts['epoch']} epochs, "
        f"{counts['decided']} decisions at rungs"
        f"{', the choice of the champion' if counts['champion'] else ''}"
    )


def _difference(ledger: Ledger, event: Event) -> str | None:
    """How an event differs from what follows from those before it; None where it does not."""
    kind = event["event"]
    if kind == "sweep":
        return "it is not the first" if ledger.begun else None
    if not ledger.begun:
        return "there is no sweep before it"
    if kind == "proposed":
        return _proposal_difference(ledger, event)
    if "trial_id" not in event:
        return None
    trial = ledger.trials.get(event["trial_id"])
    if trial is None:
        return "the trial was not proposed"
    if trial.has_ended:
        return f"the trial had {trial.status} before"
    if trial.status == "paused":
        return _pause_difference(ledger, event)
    if kind == "epoch":
        if trial.stop or trial.pause or trial.diverged or event["epoch"] != trial.epoch + 1:
            return f"epoch {event['epoch']} follows epoch {trial.epoch}"
        decision = ledger.decision(trial.trial_id, event)
        written = Decision(**event["decision"]) if "decision" in event else None
        return None if decision == written else f"derived {decision}, written {written}"
    if kind == "promoted":
        return "the trial does not wait"
    if kind == "failed" or kind not in (*ENDINGS, "paused"):
        return None
    derived = "failed" if trial.diverged else "stopped" if trial.stop else "paused"
    derived = derived if trial.diverged or trial.stop or trial.pause else "finished"
    return None if kind == derived else f"derived {derived}"


def _pause_difference(ledger: Ledger, event: Event) -> str | None:
    """How an event of a trial that waits differs from what follows from those before it."""
    kind, trial_id = event["event"], event["trial_id"]
    if kind == "promoted":
        picked = ledger.picked(idle=event.get("idle", False))
        if event.get("spare"):
            picked = ledger.spared()
        return None if picked == trial_id else f"derived {picked or 'none'}, written {trial_id}"
    if kind == "stopped":
        if not ledger.is_given_up(trial_id):
            ledger.exhausted = ledger.proposal() is None
        return None if ledger.is_given_up(trial_id) else "the trial may go on"
    return None if kind in ("asked", "failed") else "the trial waits"


def _proposal_difference(ledger: Ledger, event: Event) -> str | None:
    trial_id = f"{len(ledger.trials) + 1:04d}"
    if event["trial_id"] != trial_id:
        return f"the next trial is {trial_id}"
    if picked := ledger.picked():
        return f"trial {picked} goes on before"
    config = ledger.proposal()
    # A journal of a former version lacks the hyperparameters that came later, which were off.
    if config == ledger.terms.family.configuration(event["config"]):
        return None
    derived = ledger.terms.written(config) if config else None
    return f"derived {derived}, written {event['config']}"
