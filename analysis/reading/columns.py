"""What a column of a table of runs is: a hyperparameter, a metric, or the tracking tool's own.

Metrics are known by words, in any case and with any separator: val/acc, eval.loss, Test Accuracy,
lr-AdamW. Where a table marks its hyperparameters (config/x, params_x), the marks decide.
"""

import argparse
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from cnnlib.journal.tables import FIXED_TRIAL_COLUMNS
from cnnlib.networks.families import declared
from cnnlib.storage.csv_file import NOTHING
from cnnlib.system.units import short

TRAIN = {"train", "training", "trn"}
VALIDATION = {"val", "valid", "validation", "eval", "evaluation", "dev"}
SPLITS = TRAIN | VALIDATION | {"test", "testing"}
LOSS = {"loss", "losses"}
ACCURACY = {"acc", "accuracy"}
OUTCOMES = LOSS | ACCURACY | {
    "f1", "f1score", "fscore", "fbeta", "auc", "auroc", "auprc", "roc", "precision", "recall",
    "sensitivity", "specificity", "mse", "rmse", "mae", "mape", "r2", "ap", "map", "iou", "miou",
    "dice", "jaccard", "kappa", "mcc", "perplexity", "ppl", "bleu", "rouge", "wer", "cer", "nll",
    "error", "err", "score", "top1", "top5", "brier", "ece", "psnr", "ssim", "fid", "elbo",
    "reward", "metric", "correct",
}  # fmt: skip
# With one of these words a column says how something is done, not what came out.
SETTINGS = {
    "size", "split", "fraction", "frac", "ratio", "clip", "weight", "weights", "fn", "func",
    "function", "type", "name", "threshold", "patience", "monitor", "smoothing", "gamma",
    "alpha", "beta", "coef", "coefficient", "lambda", "scale", "margin", "reduction", "workers",
    "subset", "percent", "interval", "every", "freq", "frequency", "seed", "augment",
    "augmentation", "transform", "dir", "path", "shuffle", "mode", "check", "dropout", "layers",
    "init", "power", "momentum", "warmup", "temperature", "target", "decay", "delta", "early",
    "stop", "stopping", "limit", "epochs", "optimizer", "schedule", "scheduler",
}  # fmt: skip
STEPS = {"epoch", "step", "global step", "trainer global step", "current epoch", "stopped epoch",
         "iteration", "best epoch", "best step", "timestamp"}  # fmt: skip
RECORDED = re.compile(  # histograms of gradients, what a monitor logs, the machine
    r"lr-[A-Z]\w*.*|lr/(pg|group|param)\w*|(gradients|parameters|grad|system|perf|time)[/.].*"
    r"|(\w+[_ /])?grad(ient)?s?_norm\w*|.*[_ ]per[_ ]sec(ond)?|trainer/.*|_.*"
)
OWN = {
    "name", "id", "state", "notes", "user", "username", "tags", "created", "updated", "runtime",
    "sweep", "group", "job type", "hostname", "commit", "gpu count", "gpu type", "cpu count",
    "end time", "start time", "os", "python version", "host", "command", "url", "path", "entity",
    "project", "description", "relative time", "relative time (process)", "relative time (wall)",
    "wall time", "duration", "last heartbeat", "heartbeat at", "logs", "program", "git commit",
    "git repo", "run path", "run id", "run name", "display name", "cuda version", "cli version",
    "wandb version", "artifact uri", "experiment id", "lifecycle stage",
}  # fmt: skip
MARKS = ("config/", "config.", "params/", "params.", "hparams/", "hparams.")
OPTUNA = "params_"
OPTUNAS_OWN = {"number", "value", "values_0", "state", "datetime_start", "datetime_complete",
               "duration"}  # fmt: skip
USUAL = {"lr", "rate", "decay", "dropout", "momentum", "beta", "beta1", "beta2", "alpha", "gamma",
         "eps", "epsilon", "smoothing", "weight", "clip", "ema", "ratio", "coef", "warmup",
         "temperature", "lambda", "prob", "probability", "wd", "l1", "l2", "reg"}  # fmt: skip
"""Words of hyperparameters that a search draws from an interval, so that each run has another."""
DOUBTFUL_FROM = 8  # runs; of fewer most columns differ in each
DOUBTFUL_SHARE = 0.9
SHOWN = 12  # names in a line
STATES = {
    "finished": "completed", "complete": "completed", "completed": "completed",
    "terminated": "completed", "killed": "stopped", "pruned": "stopped", "stopped": "stopped",
    "crashed": "failed", "failed": "failed", "fail": "failed", "error": "failed",
    "preempted": "failed", "running": "running", "pending": "running", "waiting": "running",
    "scheduled": "running", "paused": "running",
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What the user says of the columns."""

    hyperparameters: tuple[str, ...] | None = None
    """These alone; None where the columns' names and values decide."""
    drop: tuple[str, ...] = ()
    """None of these."""

    def check(self, columns: Iterable[str]) -> None:
        """Raises ValueError where a name is no column."""
        known = list(columns)
        for flag, names in (("hyperparameters", self.hyperparameters or ()), ("drop", self.drop)):
            missing = [name for name in names if name not in known]
            if missing:
                has = short(", ".join(known), 300)
                raise ValueError(f"--{flag}: no column {short(missing[0])}; has {has}")


@dataclass
class Columns:
    """What was taken for what; the names are the table's, in its order."""

    hyperparameters: dict[str, str] = field(default_factory=dict)
    """What each is called in the report, by column."""
    metrics: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    """Hyperparameters that differ in nearly every run, as a metric does."""

    def lines(self) -> list[str]:
        """What was left out and why, what has another name here, and what is doubtful."""
        reasons = {"metrics": self.metrics, "the run's own": self.own, "empty": self.empty,
                   "not marked as such": self.unmarked, "dropped": self.unwanted}  # fmt: skip
        parts = [f"{_named(names)} ({why})" for why, names in reasons.items() if names]
        lines = [f"no hyperparameters: {'; '.join(parts)}"] if parts else []
        if "epochs" in self.hyperparameters:
            lines.append("epochs, a hyperparameter, is called max_epochs here")
        if self.doubtful:
            lines.append(
                f"doubtful hyperparameters: {_named(self.doubtful)}, different in nearly every run;"
                " --drop NAME leaves one out, --hyperparameters A,B says which there are"
            )
        return lines


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The flags that say which columns are hyperparameters."""
    parser.add_argument(
        "--hyperparameters", metavar="A,B", help="the columns that are hyperparameters, no others"
    )
    parser.add_argument("--drop", metavar="A,B", default="", help="columns that are none")


def chosen(flags: argparse.Namespace) -> Choice:
    """What those flags say."""
    wanted = flags.hyperparameters
    return Choice(None if wanted is None else _split(wanted), _split(flags.drop))


def _split(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def sort_columns(
    table: pd.DataFrame, choice: Choice | None = None, *, ours: Collection[str] = ()
) -> Columns:
    """What the columns are, but for `ours`, which are known.

    Raises ValueError where the choice names no column.
    """
    choice = choice or Choice()
    found, rest = Columns(), [str(name) for name in table if name not in ours]
    choice.check(rest)
    marked = {} if choice.hyperparameters is not None else _marked(rest)
    for column in rest:
        values = table[column]
        if choice.hyperparameters is not None:
            is_wanted = column in choice.hyperparameters
            if is_wanted and column not in choice.drop:
                found.hyperparameters[column] = column
            else:
                found.unwanted.append(column)
        elif column in choice.drop:
            found.unwanted.append(column)
        elif marked:
            _sort_marked(found, column, marked)
        elif _is_own(column):
            found.own.append(column)
        elif not values.notna().any() and not ours:
            found.empty.append(column)
        elif is_metric(column, values):
            found.metrics.append(column)
        else:
            found.hyperparameters[column] = column
            if _is_doubtful(column, values):
                found.doubtful.append(column)
    _rename(found, ours)
    return found


def _sort_marked(found: Columns, column: str, marked: dict[str, str]) -> None:
    if column in marked:
        found.hyperparameters[column] = marked[column]
    elif _is_own(column) or column in OPTUNAS_OWN:
        found.own.append(column)
    else:
        found.unmarked.append(column)


def _is_own(column: str) -> bool:
    return column.lower().replace("_", " ") in OWN or column.startswith("_")


def _marked(columns: Sequence[str]) -> dict[str, str]:
    """The columns that are marked as hyperparameters, without their mark."""
    marks = [*MARKS, OPTUNA] if OPTUNAS_OWN & set(columns) else [*MARKS]
    pairs = [(c, c.removeprefix(mark)) for mark in marks for c in columns if c.startswith(mark)]
    return {column: name for column, name in pairs if name}


def _rename(found: Columns, ours: Collection[str]) -> None:
    """A name of the tables' fixed columns is no hyperparameter's."""
    for column, name in list(found.hyperparameters.items()):
        taken = set(found.hyperparameters.values()) | set(ours)
        if name == "epochs" and "max_epochs" not in taken:
            found.hyperparameters[column] = "max_epochs"
        elif name in FIXED_TRIAL_COLUMNS:
            del found.hyperparameters[column]
            found.metrics.append(column)


@cache
def words_of(column: str) -> tuple[str, ...]:
    """The words of a column's name in small letters: val/accTop1 is val, acc, top1."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", column)
    return tuple(re.findall(r"[^\W_]+", split.lower()))


def is_metric(column: str, values: pd.Series) -> bool:
    """Whether a column is a result of training, by its name and because it holds numbers."""
    words = set(words_of(column))
    if not holds_numbers(values):
        return False
    is_recorded = RECORDED.fullmatch(column) and not words & {"max", "clip"}
    if is_recorded or " ".join(words_of(column)) in STEPS:
        return True
    if words & SETTINGS or column in declared():
        return False
    if words == {"precision"} and _is_number_format(values):
        return False
    first = words_of(column)[0] if words else ""
    return bool(words & OUTCOMES or (first in SPLITS and "/" in column))


def holds_numbers(values: pd.Series) -> bool:
    """Whether each cell begins as a number does; booleans are none."""
    if pd.api.types.is_bool_dtype(values):
        return False
    if pd.api.types.is_numeric_dtype(values):
        return True
    cells = values.dropna().astype(str).str.strip().str.lower()
    known = cells[~cells.isin(NOTHING)]
    return bool(known.str.match(r"[+-]?(\.?\d|inf)").all())


def _is_number_format(values: pd.Series) -> bool:
    """Whether a column `precision` holds 16 and 32 rather than shares."""
    found = pd.to_numeric(values, errors="coerce")
    return bool(found.isna().any() or found.isin([8, 16, 32, 64]).all())


def _is_doubtful(column: str, values: pd.Series) -> bool:
    known = values.dropna()
    if column in declared() or USUAL & set(words_of(column)):
        return False
    differing = known.astype(str).nunique()
    return len(known) >= DOUBTFUL_FROM and differing >= DOUBTFUL_SHARE * len(known)


def our_name(column: str) -> str | None:
    """val_acc for val/acc, Validation Accuracy or eval_accuracy, and so on; None for others."""
    words = [word for word in words_of(column) if word not in ("summary", "metrics", "epoch")]
    kind = {"loss": LOSS, "acc": ACCURACY}
    for end, names in kind.items():
        if len(words) == 2 and words[1] in names and words[0] in TRAIN | VALIDATION:
            return f"{'train' if words[0] in TRAIN else 'val'}_{end}"
        if len(words) == 1 and words[0] in names:
            return f"train_{end}"
    return None


def statuses(states: pd.Series) -> pd.Series:
    """How runs ended, in this project's words; unknown where a tool says something else."""
    words = states.astype(str).str.lower().str.removeprefix("trialstate.").str.strip()
    return words.map(STATES).fillna("unknown")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(short(name) for name in names[:SHOWN]) + more
