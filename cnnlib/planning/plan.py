"""What a sweep will do, worked out and checked before anything starts; and how it is told."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cnnlib.journal.mirror import Mirror
from cnnlib.journal.terms import Terms
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.metric import VAL_ACC
from cnnlib.networks.values import Space
from cnnlib.photos.dataset import Dataset
from cnnlib.pixels.datamodule import VAL_SPLIT, stratified_split
from cnnlib.planning.cost import largest
from cnnlib.planning.settings import Settings
from cnnlib.search.halving import Halving
from cnnlib.search.space import searched
from cnnlib.search.stopping import PROMOTE
from cnnlib.system.redaction import without_secrets
from cnnlib.system.units import byte_size

GPUS_PER_TRIAL = 0.5  # where --gpus-per-trial does not say
SEARCH_SHARE = 0.75  # of the time budget, where finals come after the search


@dataclass(frozen=True)
class Plan:
    """A checked sweep: every question that its settings left open is answered."""

    settings: Settings
    folder: Path
    mirror: Mirror | None  # where the folder is copied to
    dataset: Dataset
    terms: Terms
    num_points: float  # different configurations; infinity where a value is a real number
    time_budget: float | None  # seconds
    wandb: str  # online, offline or off
    decode_seconds: float  # 0 where the pixels of these photographs were there
    finalists: int
    seeds: int
    reference: Configuration | None
    notes: tuple[str, ...] = ()  # what of the sweep file is read otherwise than W&B would

    @property
    def bucket(self) -> str | None:
        """Where the machines of a cluster keep what they train; None where it is the folder."""
        return self.mirror.machines_url if self.mirror else None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def space(self) -> Space:
        return self.terms.space

    @property
    def family(self) -> Family:
        return self.terms.family

    @property
    def search(self) -> str:
        return self.terms.search

    @property
    def trials(self) -> int:
        return self.terms.trials

    @property
    def max_epochs(self) -> int:
        return self.terms.max_epochs

    @property
    def image_size(self) -> int:
        return self.terms.image_size

    @property
    def halving(self) -> Halving | None:
        return self.terms.halving

    @property
    def holds_finals(self) -> bool:
        return min(self.finalists, self.trials) > 1 and self.seeds > 0

    @property
    def search_budget(self) -> float | None:
        """Seconds for the search; the finals have what is left of the budget."""
        if self.time_budget is None:
            return None
        return self.time_budget * (SEARCH_SHARE if self.holds_finals else 1.0)

    @cached_property
    def num_photos(self) -> dict[str, int]:
        return num_photos(self.dataset, self.settings.seed)

    @cached_property
    def expected(self) -> tuple[float, float]:
        """Epochs of the search and trials that reach the last, if scores tell nothing apart."""
        return self.terms.stopping_rule().expected(self.trials)

    @cached_property
    def most_waiting(self) -> int:
        """How many paused trials there are at most, each with what it goes on from."""
        return self.terms.stopping_rule().most_waiting

    @cached_property
    def disk(self) -> tuple[int, int]:
        """Bytes on the disk at most: for each trial at once, and for the best that ended."""
        trial, best = largest(self.space, len(self.dataset.classes), self.image_size, self.family)
        kept = 3  # of the search, as the champion, in model.pt2
        if self.holds_finals:  # each finalist's; the reference's twice; two retrained
            kept += min(self.finalists, self.trials) + 4
        return trial, kept * best

    def __str__(self) -> str:
        """What is searched, how, on what and whereto; when trials stop; what that costs."""
        points = "endless" if self.num_points == float("inf") else f"{self.num_points:,.0f}"
        photos = self.num_photos
        rungs = "no trial is stopped early"
        if self.halving and self.halving.rungs:
            epochs = ", ".join(map(str, self.halving.rungs))
            shares = [f"{self.halving.share(rung):.0%}" for rung in self.halving.rungs]
            best = f"the best {shares[0]} so far"
            if shares[-1] != shares[0]:
                best += f", after epoch {self.halving.rungs[-1]} among {shares[-1]}"
            rungs = f"after epoch {epochs} a trial goes on if it is among {best}"
            if self.most_waiting:
                rungs += ", else it waits until it is or can be no more"
            if self.terms.strict:
                rungs += f", by that epoch's {self.terms.metric.said}"
            if self.terms.audit:
                rungs += f"; {self.terms.audit:.0%} of the others go on all the same, as an audit"
        if self.terms.target is not None:
            said = self.terms.metric.said
            rungs += f"; nothing new is tried after a {said} of {self.terms.target:g}"
        data = without_secrets(str(self.settings.data))
        return (
            f"{self.trials} trials of {points} configurations ({len(searched(self.space))} "
            f"hyperparameters, {self.search}) on {data} ({len(self.dataset.classes)} "
            f"classes; {photos['train']:,} photographs to train on, {photos['val']:,} to validate, "
            f"{photos['test']:,} to test) -> {self._whereto}\n"
            f"up to {self.max_epochs} epochs at {self.image_size} px{self._sought}; {rungs}\n"
            f"{self._begins_with}"
            f"{self._cost}"
            + "".join(f"\nnote: {note}" for note in (*self.notes, *self.dataset.notes))
        )

    @property
    def _sought(self) -> str:
        """What is optimised, where it is not the validation accuracy by its own name."""
        metric = self.terms.metric
        if metric == VAL_ACC:
            return ""
        return f", for the {metric.best} {metric.said}"

    @property
    def _begins_with(self) -> str:
        """A line on what earlier sweeps found, where the search begins with it."""
        found = self.terms.experience
        if not found:
            return ""
        names = ", ".join(found.trends)
        rises = found.early and self.terms.halving and self.terms.stopping == PROMOTE
        then = "; at rungs goes on who by them ends best" if rises else ""
        nothing = "(--past none: nothing)"
        return f"begins with what earlier sweeps found of {names}: {found} {nothing}{then}\n"

    @property
    def _whereto(self) -> str:
        return f"{self.folder}, copied to {self.mirror.url}" if self.mirror else str(self.folder)

    @property
    def _cost(self) -> str:
        """How much is trained, and what the disk must hold."""
        epochs, reached = self.expected
        trial, best = self.disk
        known = f"; {len(self.terms.known)} outcomes known" if self.terms.known else ""
        waiting = ""
        if self.most_waiting:
            total = byte_size(self.most_waiting * trial)
            waiting = f", {total} for the at most {self.most_waiting} that wait"
        return (
            f"expected: {epochs:,.0f} epochs in all, {reached:.0f} trials to the last; on the disk "
            f"at most {byte_size(trial)} for each trial at once{waiting} and {byte_size(best)} for "
            f"the best{known}{self._finals}"
        )

    @property
    def _finals(self) -> str:
        """How the champion will be chosen, where not by the search alone."""
        if not self.holds_finals:
            return ""
        finalists = min(self.finalists, self.trials)
        entrants = f"the best {finalists}{' and a reference' if self.reference else ''}"
        again = "; then the champion on all photographs" if self.settings.retrain else ""
        seeds = f"{self.seeds} new seed{'s' if self.seeds > 1 else ''}"
        return f"\nfinals: {entrants} again, on {seeds} each, up to {self.max_epochs} epochs{again}"


def num_photos(dataset: Dataset, seed: int) -> dict[str, int]:
    """Photographs to train on, to validate with and to test with."""
    photos = dataset.train
    train, val = stratified_split(photos.labels, VAL_SPLIT, seed, photos.copies, photos.groups)
    test = len(dataset.test.files) if dataset.test else 0
    return {"train": len(train), "val": len(val), "test": test}
