"""The terms of a search from what the user asks: how many trials, which rungs, what is known."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlib.networks.metric import SHARES
from cnnlib.networks.values import Space
from cnnlib.planning.settings import Settings
from cnnlib.search.halving import Halving
from cnnlib.search.priors import read_priors
from cnnlib.search.searchers import WITH_EXPERIENCE
from cnnlib.search.space import LISTABLE
from cnnlib.search.stopping import default_rule, default_rungs
from cnnlib.search.sweep_file import SweepFile
from cnnlib.system.units import short

if TYPE_CHECKING:
    from cnnlib.journal.terms import Terms
    from cnnlib.search.experience import Experience
    from cnnlib.search.searcher import Outcome

TRIALS = 20  # where neither --trials nor the file's run_cap says
MAX_EPOCHS = 50  # the study's
NONE = "none"  # in place of folders
ASKED = (
    "first",
    "priors",
    "explore",
    "stop_when",
    "noise_of",
)  # of a person; a sweep that goes on has them


def max_epochs_asked(settings: Settings, file: SweepFile) -> int:
    return settings.max_epochs or file.settings.get("max_epochs", MAX_EPOCHS)


def num_trials(settings: Settings, file: SweepFile, num_points: float) -> int:
    """How many trials are asked for: all of a grid, where nothing says less."""
    asked = settings.trials or file.trials
    if not asked and file.is_grid:
        if num_points > LISTABLE:
            points = "endless" if num_points == float("inf") else f"{num_points:,.0f}"
            raise ValueError(
                f"method: a grid of {points} points is more than {LISTABLE:,} trials; "
                "take fewer values, give run_cap or --trials, or take method random"
            )
        asked = int(num_points)
    return int(min(asked or TRIALS, num_points))


def make_terms(
    settings: Settings,
    file: SweepFile,
    space: Space,
    image_size: int,
    num_points: float,
    before: "Terms | None",
) -> "Terms":
    """The terms of the search, but for the data.

    A sweep that goes on, and may have been extended, keeps its size where no flag says another.
    """
    from cnnlib.journal.terms import Terms

    trials, max_epochs = num_trials(settings, file, num_points), max_epochs_asked(settings, file)
    if before:
        trials = int(min(settings.trials or before.trials, num_points))
        max_epochs = settings.max_epochs or before.max_epochs
    experience = _experience(settings, space, file, before)
    halving = halving_asked(settings, file, max_epochs, before, experience)
    return Terms(
        space=space,
        image_size=image_size,
        search=_search(settings, file),
        seed=settings.seed,
        trials=trials,
        max_epochs=max_epochs,
        patience=settings.patience,
        grace_period=halving.grace_period if halving else None,
        reduction_factor=halving.reduction_factor if halving else None,
        fingerprint="",
        known=_known(settings, space, file, before),
        experience=experience,
        audit=settings.audit,
        rungs=halving.named if halving else (),
        last_share=halving.last_share if halving else None,
        stopping=_stopping(settings, file, before),
        strict=file.strict,
        metric=file.metric,
        target=file.target,
        family=file.family,
    )


def asked_first(
    settings: Settings, file: SweepFile, space: Space, image_size: int
) -> dict[str, Any]:
    """What a person wants tried and believes, of the terms; what nobody asks for is not there."""
    asked: dict[str, Any] = {}
    if _past(settings) and _search(settings, file) not in WITH_EXPERIENCE:
        who = " or ".join(f"--search {name}" for name in WITH_EXPERIENCE)
        raise ValueError(f"--past: {_search(settings, file)} asks no earlier sweeps; add {who}")
    if settings.first is not None:
        from cnnlib.search.first import read_first  # which reads tables by pandas

        asked["first"] = read_first(settings.first, space, image_size, file.family, file.names)
        trials = settings.trials or file.trials or TRIALS
        if len(asked["first"]) > trials and not (settings.resume or file.is_grid):
            raise ValueError(
                f"--first: {settings.first} holds {len(asked['first'])} configurations, more than "
                f"the {trials} trials; raise --trials"
            )
    if priors := read_priors(settings.prior, space, file.family):
        asked["priors"] = priors
    if settings.explore is not None:
        asked["explore"] = settings.explore
    return asked | _asked_gain(settings, file)


def _asked_gain(settings: Settings, file: SweepFile) -> dict[str, Any]:
    """The gain for which a sweep goes on, of the terms; 1 of `noise_of` stands for noise."""
    asked = settings.stop_when
    if asked is None:
        return {}
    if asked == "noise":
        if not file.metric.is_share:
            raise ValueError(
                f"--stop-when: noise is known of {', '.join(SHARES)} only; give the gain of "
                f"{file.metric.said} below which nothing new is tried"
            )
        return {"noise_of": 1}
    number = isinstance(asked, Real) and not isinstance(asked, bool)
    if not number or not 0 <= asked < math.inf:  # type: ignore[operator]
        raise ValueError(f"--stop-when: {short(asked)} is not a gain from 0 on, nor noise")
    return {"stop_when": float(asked)}


def _known(
    settings: Settings, space: Space, file: SweepFile, before: "Terms | None"
) -> "tuple[Outcome, ...]":
    """What TPE is told of another sweep; a sweep that goes on has it in its journal."""
    from cnnlib.planning.resume import read_known

    if before:
        return before.known
    if settings.warm_start is None:
        return ()
    return read_known(settings.warm_start, space, file.family, file.metric)


def _search(settings: Settings, file: SweepFile) -> str:
    return settings.search or file.search


def _past(settings: Settings) -> list[str]:
    """The folders of --past, or NONE alone."""
    asked: Any = settings.past
    asked = [asked] if isinstance(asked, str | Path) else asked
    if not isinstance(asked, Iterable) or isinstance(asked, Mapping):
        raise ValueError(f"--past: {short(asked)} is not a list of folders")
    for folder in (folders := list(asked)):
        if not isinstance(folder, str | Path) or "\0" in str(folder):
            raise ValueError(f"--past: {short(folder)} is not the path of a folder")
    return [str(folder) for folder in folders]


def _experience(
    settings: Settings, space: Space, file: SweepFile, before: "Terms | None"
) -> "Experience | None":
    """What the search begins with; a sweep that goes on has it in its journal."""
    folders = _past(settings)
    if before:
        return before.experience
    if _search(settings, file) not in WITH_EXPERIENCE or folders == [NONE]:
        return None
    from cnnlib.planning.past_sweeps import past_sweeps
    from cnnlib.search.experience import fitting, shipped

    known = [past_sweeps(folders)] if folders else shipped()
    found = fitting(known, space, file.family)
    if folders and not found:
        raise ValueError(
            f"--past: the sweeps say something of {', '.join(known[0].trends) or 'nothing'}, which "
            "is less than half of what is searched here"
        )
    return found


def is_beyond(file: SweepFile, max_epochs: int) -> bool:
    """Whether the file's first rung lies beyond the last epoch."""
    return (file.grace_period or 0) > max_epochs


def _stopping(settings: Settings, file: SweepFile, before: "Terms | None") -> str:
    """The rule at the rungs: the file's, that of the sweep that goes on, or the searcher's."""
    said = file.stopping or (before and before.stopping)
    return said or default_rule(_search(settings, file))


def halving_asked(
    settings: Settings,
    file: SweepFile,
    max_epochs: int,
    before: "Terms | None",
    experience: "Experience | None" = None,
) -> Halving | None:
    """The rungs. A file that does not speak of them gets some by default: to stop trials at 1/9 and
    1/3 of the way, to pause them at 1/27 too, and earlier where earlier sweeps say so.

    A sweep that goes on keeps the rungs that it had. None where no trial is ever stopped, also as
    W&B has it: because the first rung lies beyond the last epoch.
    """
    if not file.early_terminate or is_beyond(file, max_epochs):
        return None
    factor = file.reduction_factor
    if file.grace_period:
        return Halving(max_epochs, file.grace_period, factor, file.rungs)
    if before and before.halving:
        return replace(before.halving, max_epochs=max_epochs, reduction_factor=factor)
    return default_rungs(_stopping(settings, file, before), max_epochs, factor, experience)
