"""Plots of effects: what each value adds and what each hyperparameter explains, with intervals."""

from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.effects import SIGNIFICANT
from analysis.style import BLUE, GREY, VERMILLION, note
from analysis.values import shortened

MARKS: dict[str, dict[str, Any]] = {
    "surely higher": {"color": BLUE, "marker": "^"},
    "surely lower": {"color": VERMILLION, "marker": "v"},
    "may be chance": {"color": GREY, "marker": "o"},
}
ROWS_APART = 0.75  # between two hyperparameters


def effect_height(effects: pd.DataFrame, importance: pd.DataFrame) -> float:
    """Inches that plot_effects needs."""
    num_rows = len(effects) + len(importance) * (1 + ROWS_APART)
    return 1.2 + 0.19 * num_rows


def outcome(row: pd.Series) -> str:
    """Which mark an effect gets."""
    if row["p_adjusted"] > SIGNIFICANT:
        return "may be chance"
    return "surely higher" if row["effect"] > 0 else "surely lower"


def effect_rows(
    effects: pd.DataFrame, importance: pd.DataFrame
) -> list[tuple[float, str, pd.DataFrame]]:
    """(top, name, rows) of each hyperparameter from the most important down, on a common axis."""
    blocks, top = [], 0.0
    for name in importance["hyperparameter"]:
        rows = effects[effects["hyperparameter"] == name]
        blocks.append((top, name, rows))
        top += 1 + len(rows) + ROWS_APART
    return blocks


def plot_effects(
    ax: Axes, effects: pd.DataFrame, importance: pd.DataFrame, *, when: str, narrow: bool = False
) -> None:
    """Each value a mark with its 95% interval, against the reference of its hyperparameter.

    The most important hyperparameter stands on top; shape and colour tell what is sure. `narrow`
    cuts long names, wraps the label and stacks the legend.
    """
    if effects.empty:
        note(ax, "no two values can be compared")
        return
    blocks = effect_rows(effects, importance)
    ticks, labels, used = [], [], set()
    room = 24 if narrow else 44  # characters
    for top, name, rows in blocks:
        ticks.append(top)
        labels.append(_reference(name, rows.iloc[0], room))
        ax.plot(0, top, "|", color="#1b1f24", markersize=9, markeredgewidth=1.6)
        for number, (_, row) in enumerate(rows.iterrows(), start=1):
            kind = outcome(row)
            y, look = top + number, MARKS[kind]
            ax.hlines(y, 100 * row["low"], 100 * row["high"], color=look["color"], linewidth=2)
            ax.plot(
                100 * row["effect"], y, linestyle="", markersize=6.5, **look,
                label=kind if kind not in used else None,
            )  # fmt: skip
            used.add(kind)
            ticks.append(y)
            labels.append(f"{shortened(str(row['value']), min(28, room))} (n = {row['n']})")
    ax.axvline(0, color="#8c959f", linewidth=1, zorder=0)
    ax.set_yticks(ticks, labels)
    for label in _reference_labels(ax, blocks):
        label.set_fontweight("bold")
    last_top, _, last = blocks[-1]
    ax.set_ylim(last_top + len(last) + 0.6, -0.6)
    ax.grid(visible=False, axis="y")
    _explain(ax, when, narrow)


def _reference(name: str, row: pd.Series, room: int) -> str:
    value = shortened(str(row["reference"]), max(room // 2, room - len(name)))
    return f"{shortened(name, room - len(value))} = {value} (n = {row['n_reference']})"


def _explain(ax: Axes, when: str, narrow: bool) -> None:
    label = f"points of val_acc {when}, against the value in bold, with 95% interval"
    if narrow:
        ax.set_xlabel(fill(label, 34), loc="right")  # it may be wider than the axes
    else:
        ax.set_xlabel(label)
    columns = 1 if narrow else 3
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def _reference_labels(ax: Axes, blocks: list[tuple[float, str, pd.DataFrame]]) -> list:
    """The tick labels that name the references."""
    texts, position, found = ax.get_yticklabels(), 0, []
    for _, _, rows in blocks:
        found.append(texts[position])
        position += 1 + len(rows)
    return found


def plot_importance(ax: Axes, importance: pd.DataFrame) -> None:
    """A bar for each hyperparameter, the share of the variance it explains, with its interval."""
    if importance.empty:
        note(ax, "no two values can be compared")
        return
    for y, row in enumerate(importance.itertuples()):
        is_sure = row.low > 0
        ax.add_patch(
            Rectangle(
                (0, y - 0.32), 100 * row.importance, 0.64, linewidth=0,
                facecolor=BLUE if is_sure else "#b6c2cf",
            )
        )  # fmt: skip
        ax.hlines(y, 100 * row.low, 100 * row.high, color="#1b1f24", linewidth=1.4)
        ax.vlines(
            [100 * row.low, 100 * row.high], y - 0.14, y + 0.14, color="#1b1f24", linewidth=1.4
        )
        ax.annotate(
            f"{row.importance:.0%}", (100 * row.high, y), xytext=(5, 0),
            textcoords="offset points", va="center", fontsize=8, color="#57606a",
        )  # fmt: skip
    ax.set_yticks(
        range(len(importance)), importance["hyperparameter"].map(lambda n: shortened(n, 28))
    )
    ax.set_ylim(len(importance) - 0.4, -0.6)
    ax.set_xlim(0, min(100, 100 * importance["high"].max() * 1.12 + 4))
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("% of the variance of val_acc, with 95% interval; pale where that reaches 0")
