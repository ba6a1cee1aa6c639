"""The finals: the best trials of a search trained again on new seeds, and the choice among them.

The best of many noisy trials is a lucky one: it was picked because it came out high. Scores on new
seeds were not picked, so the champion is chosen on their mean. Like the ledger this is a fold over
the journal: what happens is written first and applied then.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cnnlib.journal.ledger import Ledger
from cnnlib.journal.scores import REFERENCE, Final, SeedScores, row_of, seed_scores, standard_error
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family

EVENTS = ("finals", "final_started", "final", "champion", "retrain_started", "retrained")


@dataclass(frozen=True)
class Draw:
    """Who is trained again, and how; the event `finals`."""

    finalists: tuple[str, ...]  # trials, the best of the search first
    seeds: tuple[int, ...]  # of the training; the split into training and validation stays
    max_epochs: int
    reference: str | None = None  # a finalist, REFERENCE, or None
    reference_config: Configuration | None = None

    @property
    def entrants(self) -> tuple[str, ...]:
        """The finalists, and the reference where it is none of them."""
        return (*self.finalists, REFERENCE) if self.reference == REFERENCE else self.finalists

    @classmethod
    def from_event(cls, event: Mapping[str, Any], family: Family = CNN) -> "Draw":
        config = event["reference_config"]
        return cls(
            tuple(event["finalists"]),
            tuple(event["seeds"]),
            event["max_epochs"],
            event["reference"],
            config and family.configuration(config),
        )


@dataclass(frozen=True)
class Retrained:
    """One trained on the validation photographs too, for a fixed number of epochs."""

    trial_id: str
    seed: int
    epochs: int
    train_acc: float | None = None
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Taken:
    """The training of an entrant whose weights are taken."""

    origin: str  # retrained, or final: the best of its finals
    folder: Path
    seed: int
    epoch: int


@dataclass
class Finals:
    """The state of the finals, changed by events of the journal only."""

    ledger: Ledger
    draw: Draw | None = None
    ended: dict[tuple[str, int], Final] = field(default_factory=dict)  # by id and seed
    retrained: dict[str, Retrained] = field(default_factory=dict)  # by id, the last
    chosen: dict[str, Any] | None = None  # the last choice

    def next_draw(
        self, num_finalists: int, num_seeds: int, reference: Configuration | None
    ) -> Draw | None:
        """Who would be trained again if the search ended now; None where there is no choice.

        The new seeds follow that of the search.
        """
        finalists = self._leaders(num_finalists)
        if len(finalists) < 2 or not num_seeds:
            return None
        terms = self.ledger.terms
        same = [t for t in finalists if self.ledger.trials[t].config == reference]
        return Draw(
            finalists=finalists,
            seeds=tuple(terms.seed + n for n in range(1, num_seeds + 1)),
            max_epochs=terms.max_epochs,
            reference=(same or [REFERENCE])[0] if reference else None,
            reference_config=reference,
        )

    def _leaders(self, count: int) -> tuple[str, ...]:
        """The best trials of the search; one that raised would raise again."""
        trials = [t for t in self.ledger.trials.values() if t.best_epoch and t.status != "failed"]
        best = sorted(trials, key=lambda trial: -trial.best)[:count]  # the first of equals
        return tuple(trial.trial_id for trial in best)

    def begin(self, drawn: Draw) -> None:
        """Holds the finals of this draw, unless they are held already."""
        if drawn != self.draw:
            self._record("finals", **asdict(drawn))

    def stale(self, drawn: Draw) -> set[str]:
        """Whose trainings do not count in this draw: all of other epochs, or another reference."""
        if self.draw is None:
            return set()
        if self.draw.max_epochs != drawn.max_epochs:
            return {*self.draw.entrants, *self.retrained, *(trial_id for trial_id, _ in self.ended)}
        return {REFERENCE} if self.draw.reference_config != drawn.reference_config else set()

    def config(self, trial_id: str) -> Configuration:
        """The configuration of a finalist, or of the reference."""
        if trial_id != REFERENCE:
            return self.ledger.trials[trial_id].config
        assert self.draw and self.draw.reference_config
        return self.draw.reference_config

    @property
    def unfinished(self) -> list[tuple[str, int]]:
        """What is to be trained yet, seed by seed, so that an early end leaves whole rounds."""
        if self.draw is None:
            return []
        pairs = [(t, seed) for seed in self.draw.seeds for t in self.draw.entrants]
        return [pair for pair in pairs if pair not in self.ended]

    @property
    def unretrained(self) -> list[SeedScores]:
        """Champion and reference, as far as they were not yet trained on all photographs."""
        both = [s for s in (self.winner, self.reference) if s]
        return [s for s in both if self._retrained(s) is None]

    def _retrained(self, candidate: SeedScores) -> Retrained | None:
        done = self.retrained.get(candidate.trial_id)
        return done if done and done.epochs == candidate.epochs else None

    @property
    def scores(self) -> list[SeedScores]:
        """Finalists in the order of the search, then the reference."""
        if self.draw is None:
            return []
        trials, metric = self.ledger.trials, self.ledger.terms.metric
        search = {
            t: metric.value(trials[t].best) if t in trials else None for t in self.draw.entrants
        }
        ended = {pair: final for pair, final in self.ended.items() if pair[1] in self.draw.seeds}
        return seed_scores(ended, search, metric)

    @property
    def winner(self) -> SeedScores | None:
        """The finalist with the best mean, the search's better one of equals.

        None where no seed was finished by all, or a training of each raised.
        """
        able = [s for s in self.scores if s.whole and s.trial_id != REFERENCE]
        return max(able, key=lambda candidate: candidate.score, default=None)

    @property
    def reference(self) -> SeedScores | None:
        """The reference, where it was trained and is not the champion."""
        winner, wanted = self.winner, self.draw and self.draw.reference
        for candidate in self.scores:
            if candidate.trial_id == wanted and candidate.whole and winner:
                return None if wanted == winner.trial_id else candidate
        return None

    @property
    def choice(self) -> dict[str, Any] | None:
        """The event `champion` that follows from the finals that ended."""
        winner = self.winner
        if winner is None:
            return None
        return {
            "trial_id": winner.trial_id,
            "seeds": [final.seed for final in winner.finals],
            "mean": winner.mean,
            "standard_error": standard_error(winner, self.scores),
            "luck": winner.luck,
            "epochs": winner.epochs,
        }

    def choose(self) -> None:
        """Writes the choice, where it is another than before."""
        if self.choice and self.choice != self.chosen:
            self._record("champion", **self.choice)

    def start(self, trial_id: str, seed: int, epochs: int | None) -> None:
        """A training starts: a final, or on all photographs for a number of epochs."""
        if epochs is None:
            self._record("final_started", trial_id=trial_id, seed=seed)
        else:
            self._record("retrain_started", trial_id=trial_id, seed=seed, epochs=epochs)

    def end(self, training: Final | Retrained) -> None:
        """A training ended."""
        kind = "final" if isinstance(training, Final) else "retrained"
        self._record(kind, **asdict(training))

    def _record(self, event: str, **content: Any) -> None:
        self.apply(self.ledger.write(event, **content))

    def apply(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the journal into account, where it is one of the finals."""
        kind = event["event"]
        if kind == "finals":
            drawn = Draw.from_event(event, self.ledger.terms.family)
            stale = self.stale(drawn)
            self.ended = {pair: f for pair, f in self.ended.items() if pair[0] not in stale}
            self.retrained = {t: r for t, r in self.retrained.items() if t not in stale}
            self.draw = drawn
        elif kind == "final":
            self.ended[event["trial_id"], event["seed"]] = Final.from_event(event)
        elif kind == "champion":
            self.chosen = _without_time(event)
        elif kind == "retrained":
            content = {f.name: event[f.name] for f in fields(Retrained)}
            self.retrained[event["trial_id"]] = Retrained(**content)

    def difference(self, event: Mapping[str, Any]) -> str | None:
        """How an event of the finals differs from what follows from those before it, else None."""
        kind = event["event"]
        if kind == "finals":
            drawn, written = self._leaders(len(event["finalists"])), tuple(event["finalists"])
            return None if drawn == written else f"derived {drawn}, written {written}"
        if self.draw is None:
            return "there are no finals before it"
        if kind == "champion":
            choice, content = self.choice, _without_time(event)
            return None if choice == content else f"derived {choice}, written {content}"
        if event["trial_id"] not in self.draw.entrants:
            return "it is not in the finals"
        if kind == "final" and (event["trial_id"], event["seed"]) in self.ended:
            return f"it had ended on seed {event['seed']} before"
        return None

    def best(self, trial_id: str) -> Final:
        """Of all its finals the best one."""
        metric = self.ledger.terms.metric

        def rank(final: Final) -> tuple[float, int]:
            value = final.by(metric)
            return metric.worst if value is None else metric.score(value), -final.seed

        return max((f for f in self.ended.values() if f.trial_id == trial_id), key=rank)

    def taken(self, sweep: Path, candidate: SeedScores, *, retrained: bool) -> Taken:
        """Whose weights stand for an entrant: retrained if asked for and done."""
        done = self._retrained(candidate)
        if retrained and done and not done.error:
            folder = retrained_folder(sweep, candidate.trial_id, done.epochs)
            return Taken("retrained", folder, done.seed, done.epochs)
        best = self.best(candidate.trial_id)
        folder = final_folder(sweep, best.trial_id, best.seed)
        return Taken("final", folder, best.seed, best.best_epoch)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The finals of this draw that ended, as rows of finals.csv."""
        for candidate in self.scores:
            for seed in self.draw.seeds if self.draw else ():
                if final := self.ended.get((candidate.trial_id, seed)):
                    yield row_of(final, candidate)


def final_folder(sweep: Path, trial_id: str, seed: int) -> Path:
    return sweep / "finals" / f"{trial_id}-s{seed}"


def retrained_folder(sweep: Path, trial_id: str, epochs: int) -> Path:
    return sweep / "finals" / f"{trial_id}-all-{epochs}"


def _without_time(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("event", "time")}


def read_finals(events: Iterable[Mapping[str, Any]], ledger: Ledger) -> Finals:
    """The finals that these events amount to; `ledger` knows what they say of the search."""
    finals = Finals(ledger)
    for event in events:
        finals.apply(event)
    return finals
