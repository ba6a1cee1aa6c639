"""How the plots look: colours, fonts, the mark of each outcome."""

from typing import Any

import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes

BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"  # Okabe-Ito
BLUE, VERMILLION, PURPLE, GREY = "#0072b2", "#d55e00", "#cc79a7", "#6e7781"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8c959f",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e7ebef",
    "grid.linewidth": 0.7,
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called "$5 & up"
    "figure.dpi": 110,
    "savefig.dpi": 110,
}
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "WenQuanYi Zen Hei",
    "Droid Sans Fallback", "Hiragino Sans GB", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic",
)  # fmt: skip
OUTCOMES: dict[str, dict[str, Any]] = {
    "completed": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "stopped": {"color": ORANGE, "marker": "s", "linestyle": "--"},
    "failed": {"color": VERMILLION, "marker": "X", "linestyle": ":"},
    "running": {"color": GREEN, "marker": "^", "linestyle": "-."},
    "unknown": {"color": GREY, "marker": "D", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
}


def font_families() -> list[str]:
    """The report's font, and those installed that have Chinese, Japanese and Korean as well."""
    known = font_manager.get_font_names()
    return [STYLE["font.family"], *(name for name in CJK_FONTS if name in known)]


def by_outcome(trials: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The trials of each outcome that occurs, the commonest outcomes drawn first."""
    if "status" not in trials:
        return [("unknown", trials)] if len(trials) else []
    status = trials["status"].where(trials["status"].isin(list(OUTCOMES)), "unknown")
    return [(name, trials[status == name]) for name in OUTCOMES if (status == name).any()]


def note(ax: Axes, text: str) -> None:
    """A sentence where a plot would be."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="#57606a")
