"""Makes and saves the report's figures: sizes, panels and colour bars; the plots are elsewhere."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from analysis.class_figures import plot_calibration, plot_confusion, plot_recalls
from analysis.effect_figures import effect_height, plot_effects, plot_importance
from analysis.effects import Effects
from analysis.figures import plot_curves, plot_hyperparameter, plot_timeline
from analysis.folder import SweepFolder
from analysis.parallel import plot_parallel
from analysis.pictures import find_photo, plot_photo, square_photo
from analysis.predictions import class_order, class_recalls, confusion_counts, stratified_sample
from analysis.style import BLACK, GREY, OUTCOMES, STYLE, by_outcome, font_families
from analysis.values import varied
from analysis.workload import Cost, Workers
from analysis.workload_figures import plot_cost, plot_distribution, plot_pair, plot_workers

WIDTH = 9.6  # inches
PHONE_WIDTH = 4.4
NUM_PHOTOS = 30
WIDE_FROM = 40  # more classes than this do not fit into the page's width
PHOTO_SIDE = 128  # pixels
CURVES = ("val_acc", "train_acc", "val_loss", "train_loss")


@contextlib.contextmanager
def saved_figure(
    path: Path, height: float, *, width: float = WIDTH, photos: bool = False
) -> Iterator[Figure]:
    """A figure of the report's width that is saved to `path` at the end of the block."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font has no bold
    style = STYLE | {"font.family": font_families()}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        yield figure
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if not photos:  # a third of the size; MEDIANCUT would lose the colours of rare marks
        image = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def save_timeline(sweep: SweepFolder, path: Path) -> None:
    """Accuracy against time."""
    with saved_figure(path, 3.9) as figure:
        ax = figure.add_subplot()
        plot_timeline(ax, sweep.trials, highlight=sweep.highlight)
        figure.legend(loc="outside upper right", ncols=4)


def save_parallel(sweep: SweepFolder, path: Path) -> None:
    """Parallel coordinates over the hyperparameters that vary."""
    measured = sweep.trials[sweep.trials["val_acc"].notna()]
    names = varied(measured, sweep.hyperparameters)
    with saved_figure(path, 1.0 + 0.6 * len(names)) as figure:
        plot_parallel(figure.add_subplot(), measured, names, highlight=sweep.highlight)


def save_curves(sweep: SweepFolder, path: Path) -> None:
    """Accuracy and loss, of validation and training, against epoch."""
    rungs = sweep.rungs
    with saved_figure(path, 6.6) as figure:
        axes = figure.subplots(2, 2).ravel()
        for ax, metric in zip(axes, CURVES, strict=True):
            plot_curves(
                ax, sweep.epochs, metric, sweep.trials, highlight=sweep.highlight, rungs=rungs
            )
        if axes[0].lines and axes[1].lines:  # what is learnt and what generalises, on one scale
            low, high = zip(*(ax.get_ylim() for ax in axes[:2]), strict=True)
            for ax in axes[:2]:
                ax.set_ylim(min(low), max(high))
        figure.legend(
            handles=_curve_legend(sweep, bool(rungs)), loc="outside upper center", ncols=6
        )


def _curve_legend(sweep: SweepFolder, has_rungs: bool) -> list[Line2D]:
    drawn = sweep.trials[sweep.trials["trial_id"].isin(sweep.epochs["trial_id"])]
    handles = [
        _handle(
            f"{name} (n = {len(group)})",
            **OUTCOMES[name],
            markersize=4 if name == "stopped" else 0,
        )
        for name, group in by_outcome(drawn)
    ]
    if sweep.highlight is not None:
        handles.append(_handle(sweep.role, linewidth=2.6))
    if has_rungs:
        handles.append(_handle("rung", color=GREY, linestyle=":"))
    return handles


def _handle(label: str, **look: Any) -> Line2D:
    """An entry of a legend, black where nothing else is said."""
    return Line2D([], [], label=label, **{"color": BLACK, **look})


def save_hyperparameters(sweep: SweepFolder, path: Path) -> None:
    """A panel for each hyperparameter that varies."""
    names = varied(sweep.trials[sweep.trials["val_acc"].notna()], sweep.hyperparameters)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with saved_figure(path, 0.5 + 2.65 * rows) as figure:
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for ax, name in zip(axes, names, strict=False):
            plot_hyperparameter(ax, sweep.trials, name, highlight=sweep.highlight)
            ax.tick_params(labelleft=True)
        for ax in axes[len(names) :]:
            ax.remove()
        handles = [
            _handle(name, **OUTCOMES[name] | {"linestyle": ""}, markersize=5)
            for name, _ in by_outcome(sweep.trials[sweep.trials["val_acc"].notna()])
        ]
        handles.append(_handle("median", linewidth=2))
        ring = {"linestyle": "", "marker": "o", "markersize": 9, "markerfacecolor": "none"}
        handles.append(_handle(sweep.role, **ring))
        figure.legend(handles=handles, loc="outside upper center", ncols=6)


def save_effects(effects: Effects, when: str, path: Path, *, narrow: bool = False) -> None:
    """What each value adds."""
    height = effect_height(effects.effects, effects.importance) + 0.7 * narrow
    with saved_figure(path, height, width=PHONE_WIDTH if narrow else WIDTH) as figure:
        plot_effects(
            figure.add_subplot(), effects.effects, effects.importance, when=when, narrow=narrow
        )


def save_importance(effects: Effects, path: Path) -> None:
    """What each hyperparameter explains."""
    with saved_figure(path, 0.9 + 0.3 * len(effects.importance)) as figure:
        plot_importance(figure.add_subplot(), effects.importance)


def save_pair(cells: pd.DataFrame, first: str, second: str, path: Path) -> None:
    """The scores of the strongest pair."""
    with saved_figure(path, 1.2 + 0.55 * cells["first"].nunique()) as figure:
        ax = figure.add_subplot()
        plot_pair(ax, cells, first, second)
        figure.colorbar(ax.images[0], ax=ax, fraction=0.03, pad=0.02).set_label("mean val_acc")


def save_cost(cost: Cost, highlight: str | None, path: Path) -> None:
    """Accuracy against cost."""
    with saved_figure(path, 3.9) as figure:
        plot_cost(figure.add_subplot(), cost, highlight=highlight)
        figure.legend(loc="outside upper right", ncols=4)


def save_distribution(trials: pd.DataFrame, path: Path) -> None:
    """How val_acc is distributed over the trials."""
    with saved_figure(path, 3.2) as figure:
        plot_distribution(figure.add_subplot(), trials)
        figure.legend(loc="outside upper right", ncols=2)


def save_workers(workers: Workers, trials: pd.DataFrame, path: Path) -> None:
    """Which worker ran which of these trials when."""
    with saved_figure(path, min(9.0, 1.3 + 0.3 * len(workers.names))) as figure:
        plot_workers(figure.add_subplot(), workers, trials)
        figure.legend(loc="outside upper right", ncols=5)


def save_confusion(predictions: pd.DataFrame, classes: list[str], path: Path) -> None:
    """The confusion matrix with the scale of its shading."""
    order = class_order(predictions, classes)
    wide = len(order) > WIDE_FROM
    height = 2.4 + 0.112 * len(order) if wide else min(8.4, 3.2 + 0.46 * len(order))
    with saved_figure(path, height, width=height + 1 if wide else WIDTH) as figure:
        ax = figure.add_subplot()
        plot_confusion(ax, confusion_counts(predictions, order))
        bar = figure.colorbar(ax.images[0], ax=ax, fraction=0.03, pad=0.02)
        bar.set_label("share of the true class (row)")


def save_calibration(bins: pd.DataFrame, path: Path) -> None:
    """The reliability diagram."""
    with saved_figure(path, 5.2, width=6.4) as figure:
        plot_calibration(figure.add_subplot(), bins)


def save_recalls(predictions: pd.DataFrame, classes: list[str], path: Path) -> None:
    """Recall by class."""
    recalls = class_recalls(predictions, class_order(predictions, classes))
    step = 0.34 if len(recalls) <= 30 else 0.135
    with saved_figure(path, 1.0 + step * len(recalls)) as figure:
        plot_recalls(figure.add_subplot(), recalls)


def save_photographs(
    predictions: pd.DataFrame, folders: list[Path], path: Path, *, seed: int = 0
) -> None:
    """Thirty test photographs, ten columns of three, column by column in order of class."""
    sample = stratified_sample(predictions, num_photos=NUM_PHOTOS, seed=seed)
    rows = 3
    with saved_figure(path, 0.2 + rows * (WIDTH / 10 + 0.34), photos=True) as figure:
        axes = figure.subplots(rows, 10, squeeze=False)
        for number in range(rows * 10):
            ax = axes[number % rows, number // rows]
            if number >= len(sample):
                ax.remove()
                continue
            row = sample.iloc[number]
            plot_photo(ax, square_photo(find_photo(row["file"], folders), PHOTO_SIDE), row)
