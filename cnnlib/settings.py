"""What the user asks of a sweep, and how that becomes its plan: every mistake is found here.

Flags, sweep file and photographs are looked at before PyTorch or Ray are imported, which takes
some seconds: a mistake is told at once.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlib.bounds import LARGEST_SEED, LIMITS, checked
from cnnlib.config import short
from cnnlib.halving import Halving
from cnnlib.redaction import secrets_withheld, without_secrets
from cnnlib.reference import STUDY, read_reference
from cnnlib.space import LISTABLE, Space, num_configurations, with_set
from cnnlib.sweep_file import SweepFile, read_sweep_file, sweep_from_mapping
from cnnlib.tracking.account import resolved_mode

if TYPE_CHECKING:
    from cnnlib.ledger import Terms
    from cnnlib.plan import Plan
    from cnnlib.storage import Mirror
    from cnnlib.tpe import Outcome

SWEEPS = Path(str(files("cnnlib"))) / "sweeps"
TRIALS = 20  # where neither --trials nor the file's run_cap says
MAX_EPOCHS = 50  # the study's
IMAGE_SIZE = 224  # px, the study's
FINALISTS = 3
SEEDS = 3
NAMES = ("data", "sweep", "reference", "storage", "name", "warm_start", "wandb_project")
OPEN = ("storage", "name", "warm_start")  # of those, where None is the default


def check_flags(flags: object) -> None:
    """Raises ValueError for the first flag that is no such number, or too small or too large.

    None asks for the default.
    """
    for name in LIMITS:
        value = getattr(flags, name, None)
        if value is None or (name == "gpus_per_trial" and value == "auto"):
            continue
        flag = f"--{name.replace('_', '-')}"
        if name == "gpus_per_trial" and isinstance(value, str):
            raise ValueError(f"{flag}: {short(value)} is not a number or auto")
        checked(name, value, said=flag)
    for name in NAMES:
        value = getattr(flags, name, "")
        is_text = isinstance(value, str | Path) or (value is None and name in OPEN)
        if not is_text and name != "sweep":  # which may be a dictionary
            raise ValueError(f"--{name.replace('_', '-')}: {short(value)} is not a text")
        if isinstance(value, str | Path) and "\0" in str(value):
            raise ValueError(f"--{name.replace('_', '-')}: {short(value)} holds a NUL character")
    if str(getattr(flags, "name", None)).startswith("-"):
        raise ValueError(f"--name: {short(flags.name)} begins like a flag")  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Settings:
    """What the user asks for; the flags of jobs/tune.py by the same names."""

    data: str | Path = "sample"  # sample, or a folder, zip or URL of photographs
    # A W&B sweep file, or wide, or wandb.sweep's dictionary; None: the file that fits the data.
    sweep: str | Path | Mapping[str, Any] | None = None
    set: Iterable[str] = ()  # 'name=value' fixes, 'name=value,value' narrows
    trials: int | None = None
    max_epochs: int | None = None
    image_size: int | None = None  # px
    gpus_per_trial: float | str | None = None  # or auto, measured before the sweep
    cpus_per_trial: int = 1
    max_concurrent: int | None = None  # None: as many trials as fit
    time_budget: str | None = None  # '2h', '90m', '1h30m'
    audit: float = 0.0  # share of the trials that ASHA would stop and that run on all the same
    patience: int = 5  # epochs without a better val_acc that end a trial; 0: none do
    seed: int = 42
    finalists: int | None = None  # trials that are trained again at the end; 0 or 1: none are
    seeds: int | None = None  # for each of them; 0: none are
    retrain: bool = True  # trains the champion on the validation photographs too
    reference: str | Path = STUDY  # the study's best; a file of hyperparameters; none
    storage: str | Path | None = None  # None: results/, or ~/results in a Ray job
    name: str | None = None  # None: from the data and the time
    resume: bool = False  # goes on with the sweep of this name
    warm_start: str | Path | None = None  # another sweep's folder, whose outcomes TPE is told
    search: str | None = None  # tpe or random; None: as the file's `method` says
    wandb: str = "auto"  # or online, offline, off
    wandb_project: str = "cnnlib"
    verbose: bool = False  # shows what Ray prints

    @secrets_withheld()
    def plan(self) -> "Plan":
        """The sweep as it will run.

        What the user may have got wrong raises here: ValueError or OSError, in one line. So the
        photographs are decoded here too.
        """
        check_flags(self)
        if self.search not in (None, "tpe", "random"):
            raise ValueError(f"--search: {short(self.search)} is not tpe or random")
        time_budget = None if self.time_budget is None else seconds_of(self.time_budget)
        folder = self._folder()
        file = self._sweep_file()
        image_size = self.image_size or file.settings.get("image_size", IMAGE_SIZE)
        space = with_set(file.space, [self.set] if isinstance(self.set, str) else self.set)
        num_points = num_configurations(space, image_size)
        if not self.resume:
            self._num_trials(file, num_points)
            _halving(file, self._max_epochs(file), before=None)
        reference = read_reference(self.reference, space, image_size)
        finals = {"finalists": FINALISTS, "seeds": SEEDS}
        finals = {n: _first(getattr(self, n), file.settings.get(n), v) for n, v in finals.items()}
        if self.seed + finals["seeds"] > LARGEST_SEED:
            raise ValueError(f"--seed: {self.seed} leaves no room for {finals['seeds']} new seeds")
        from cnnlib.sources import find_dataset

        dataset = find_dataset(self.data)
        # From here on it takes time: W&B, storage, PyTorch, decoding.
        wandb = resolved_mode(self.wandb)
        mirror = self._mirror(folder)
        self._check_machine()
        from cnnlib.pixels import decode_ahead
        from cnnlib.plan import Plan
        from cnnlib.resume import check_compatible, read_terms

        before = read_terms(folder) if self.resume else None
        terms = replace(
            self._terms(file, space, image_size, num_points, before),
            fingerprint=dataset.fingerprint,
        )
        if before:
            check_compatible(before, terms)
        began = time.monotonic()
        decode_ahead(dataset, image_size, augmented=terms.augmented)
        plan = Plan(
            settings=self,
            folder=folder,
            mirror=mirror,
            dataset=dataset,
            terms=terms,
            num_points=num_points,
            time_budget=time_budget,
            wandb=wandb,
            decode_seconds=time.monotonic() - began,
            reference=reference,
            notes=self._notes(file),
            **finals,
        )
        _ = plan.disk  # raises where a network of the space has more weights than can be counted
        return plan

    def _sweep_file(self) -> SweepFile:
        if self.sweep is None or isinstance(self.sweep, str | Path):
            return read_sweep_file(_sweep_path(self.sweep, self.data))
        return sweep_from_mapping(self.sweep)

    def _notes(self, file: SweepFile) -> tuple[str, ...]:
        """What of the sweep file is read otherwise than W&B would, and is not to be seen so."""
        shipped = self.sweep is None or str(self.sweep) == "wide"
        if shipped or not file.early_terminate or file.grace_period:
            return file.notes
        rungs = "early_terminate: there is none, so W&B would stop no trial; null stops none here"
        return (*file.notes, rungs)

    def _max_epochs(self, file: SweepFile) -> int:
        return self.max_epochs or file.settings.get("max_epochs", MAX_EPOCHS)

    def _num_trials(self, file: SweepFile, num_points: float) -> int:
        """How many trials are asked for: all of a grid, where nothing says less."""
        asked = self.trials or file.trials
        if not asked and file.is_grid:
            if num_points > LISTABLE:
                points = "endless" if num_points == float("inf") else f"{num_points:,.0f}"
                raise ValueError(
                    f"method: a grid of {points} points is more than {LISTABLE:,} trials; "
                    "take fewer values, give run_cap or --trials, or take method random"
                )
            asked = int(num_points)
        return int(min(asked or TRIALS, num_points))

    def _terms(
        self,
        file: SweepFile,
        space: Space,
        image_size: int,
        num_points: float,
        before: "Terms | None",
    ) -> "Terms":
        """The terms of the search, but for the data.

        A sweep that goes on, and may have been extended, keeps its size where no flag says another.
        """
        from cnnlib.ledger import Terms

        trials, max_epochs = self._num_trials(file, num_points), self._max_epochs(file)
        if before:
            trials = int(min(self.trials or before.trials, num_points))
            max_epochs = self.max_epochs or before.max_epochs
        halving = _halving(file, max_epochs, before)
        return Terms(
            space=space,
            image_size=image_size,
            search=self.search or file.search,
            seed=self.seed,
            trials=trials,
            max_epochs=max_epochs,
            patience=self.patience,
            grace_period=halving.grace_period if halving else None,
            reduction_factor=halving.reduction_factor if halving else None,
            fingerprint="",
            known=self._known(space, before),
            audit=self.audit,
            rungs=halving.named if halving else (),
            strict=file.strict,
            target=file.target,
        )

    def _known(self, space: Space, before: "Terms | None") -> "tuple[Outcome, ...]":
        """What TPE is told of another sweep; a sweep that goes on has it in its journal."""
        from cnnlib.resume import read_known

        if before:
            return before.known
        return read_known(self.warm_start, space) if self.warm_start else ()

    def _check_machine(self) -> None:
        """Whether Ray can start and a trial fits; a cluster may grow, so there all trials do."""
        from cnnlib.gpus import usable_gpus
        from cnnlib.limits import cores
        from cnnlib.node import on_cluster
        from cnnlib.surroundings import check_ray, check_surroundings

        check_surroundings()
        check_ray()
        if on_cluster():
            return
        cpus, (gpus, problem) = cores(), usable_gpus()
        if self.cpus_per_trial > cpus:
            raise ValueError(
                f"--cpus-per-trial: {self.cpus_per_trial} is more than the {cpus} here"
            )
        share = self.gpus_per_trial
        if share != 0 and problem:
            raise ValueError(f"{problem}, or use the CPU by --gpus-per-trial 0")
        if share not in (None, 0) and not gpus:
            raise ValueError(
                f"--gpus-per-trial: {share} and no GPU here; leave it out to use the CPU"
            )
        if not isinstance(share, str) and (share or 0) > len(gpus):
            raise ValueError(f"--gpus-per-trial: {share:g} is more than the {len(gpus)} here")

    def _in_bucket(self) -> bool:
        """Whether the storage is no folder on this machine."""
        return re.match(r"[\w+.-]+:/", str(self.storage or "")) is not None

    def _mirror(self, folder: Path) -> "Mirror | None":
        """Where the folder is copied to; what it holds is fetched to go on with it."""
        if not self._in_bucket():
            return None
        from cnnlib.node import on_cluster
        from cnnlib.storage import Mirror

        mirror = Mirror(str(self.storage), folder, nodes=on_cluster())
        if self.resume:
            mirror.fetch()
        elif mirror.exists():
            raise ValueError(f"{mirror.url} exists; choose another --name, or --resume")
        return mirror

    def _folder(self) -> Path:
        """The sweep's folder, which must be new and one that can be made."""
        if self.resume and not self.name:
            raise ValueError("--resume: which sweep? give its --name")
        name = self.name or f"{data_name(self.data)}-{datetime.now():%Y%m%d-%H%M%S}"
        if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
            said = short(name)
            raise ValueError(f"--name: {said} is not made of letters, digits, '.', '_' and '-'")
        storage = _default_storage()
        if self.storage and not self._in_bucket():
            try:
                storage = Path(self.storage).expanduser()
            except RuntimeError as error:  # ~nobody/
                raise ValueError(f"--storage: {self.storage}: {error}") from None
        folder = storage.absolute() / name
        if self.resume:
            return folder
        if folder.exists():
            raise ValueError(
                f"{folder} exists; nothing is overwritten: choose another --name, or go on with "
                "it by --resume"
            )
        above = next(parent for parent in folder.parents if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(f"--storage: no permission to write in {above}")
        return folder


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _sweep_path(asked: str | Path | None, data: str | Path) -> Path:
    """The file that is asked for, by its path or as the name of one of SWEEPS; or the default."""
    if asked is None:
        return SWEEPS / ("sample.yaml" if data == "sample" else "inaturalist.yaml")
    ours = SWEEPS / f"{asked}.yaml"
    return ours if not Path(asked).exists() and ours.is_file() else Path(asked)


def _default_storage() -> Path:
    """results/ here; in a Ray job the home folder's, because Ray deletes a job's working folder."""
    here = Path.cwd()
    return (Path.home() if "working_dir_files" in here.parts else here) / "results"


def _halving(file: SweepFile, max_epochs: int, before: "Terms | None") -> Halving | None:
    """ASHA's plan. A file that does not speak of it gets rungs at 1/9 and 1/3 of the way.

    A sweep that goes on keeps the rungs that it had.
    """
    if not file.early_terminate:
        return None
    if before and not file.grace_period and before.halving:
        return Halving(max_epochs, before.halving.grace_period, file.reduction_factor)
    if not file.grace_period:
        return Halving.by_default(max_epochs, file.reduction_factor)
    return Halving(max_epochs, file.grace_period, file.reduction_factor, file.rungs)


def data_name(data: str | Path) -> str:
    """A short name of a data set, for folders: nature_12K of a URL that ends in nature_12K.zip."""
    stem = Path(without_secrets(str(data)).rstrip("/")).name.removesuffix(".zip")
    return re.sub(r"[^\w.-]+", "_", stem).strip("._-") or "photos"


def seconds_of(text: str) -> float:
    """'2h', '90m', '1h30m' or '45s' in seconds."""
    number = r"(\d{1,9})"  # of seconds, these are 31 years
    match = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?", str(text).strip())
    if not match or not any(match.groups()):
        said = short(text) or "nothing"
        raise ValueError(f"--time-budget: {said} is not a time like 2h, 90m, 1h30m or 45s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = float(hours * 3600 + minutes * 60 + seconds)
    if not total:
        raise ValueError("--time-budget: there is nothing to do in no time")
    return total
