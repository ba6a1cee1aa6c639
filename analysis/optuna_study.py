"""The table of trials as a study of Optuna's, and Optuna's figures of it; alone knows Optuna.

Optuna draws complete trials only, so that is what any trial with a val_acc is to it. What it draws
is restyled in `interactive`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.values import groups_of, is_log

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

Trace = dict[str, Any]
TARGET = "val_acc"


def study_of(trials: pd.DataFrame, names: Sequence[str]) -> "Study":
    """The trials, which all have a val_acc, in this order with their values of `names`.

    Their numbers count from 0.
    """
    from optuna import create_study
    from optuna.trial import create_trial

    columns = {name: _parameter(trials[name]) for name in names}
    with _quietly():
        study = create_study(direction="maximize", study_name="trials")
        for index, accuracy in trials[TARGET].items():
            held = {n: c for n, c in columns.items() if pd.notna(c[0][index])}
            trial = create_trial(
                value=float(accuracy),
                params={name: values[index] for name, (values, _) in held.items()},
                distributions={name: distribution for name, (_, distribution) in held.items()},
            )
            study.add_trial(trial)
    return study


def _parameter(values: pd.Series) -> tuple[dict[Any, Any], "BaseDistribution"]:
    """The values by index and their distribution: few values are categories, in their order."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    groups = groups_of(values)
    if groups.is_category:
        labels = [label for *_, label in groups.spans]
        column = groups.members.map(dict(enumerate(labels)))
        return column.to_dict(), CategoricalDistribution(labels)
    low, high = float(groups.positions.min()), float(groups.positions.max())
    distribution = FloatDistribution(low, high, log=is_log(groups.positions))
    return groups.positions.to_dict(), distribution


def history(study: "Study") -> list[Trace]:
    """val_acc against the number of the trial, and the best so far."""
    from optuna.visualization import plot_optimization_history

    return _traces(plot_optimization_history(study, target_name=TARGET))


def slice_of(study: "Study", name: str) -> list[Trace]:
    """val_acc against the values of `name`; each marker's colour is the number of its trial."""
    from optuna.visualization import plot_slice

    return _traces(plot_slice(study, params=[name], target_name=TARGET))


def contour(study: "Study", first: str, second: str) -> list[Trace]:
    """val_acc over two hyperparameters, interpolated between the trials."""
    from optuna.visualization import plot_contour

    return _traces(plot_contour(study, params=[first, second], target_name=TARGET))


def distribution(studies: Sequence["Study"]) -> list[Trace]:
    """The share of the complete trials of each study that reach at most each val_acc."""
    from optuna.visualization import plot_edf

    return _traces(plot_edf(studies, target_name=TARGET))


def _traces(figure: Any) -> list[Trace]:
    """A figure's traces; their numbers as arrays, which plotly would write in base64."""
    return [
        trace.to_plotly_json() | {key: trace[key] for key in ("x", "y", "z") if key in trace}
        for trace in figure.data
    ]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the line that Optuna logs for each new study."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
