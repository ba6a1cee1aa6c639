"""Draws figures with matplotlib: the same dictionaries that plotly.js draws on the page.

It knows what our figures use of plotly and refuses anything else, so that nothing is on the screen
that is not in print: traces of kind scatter, bar, heatmap and contour, linear and logarithmic axes,
lines, boxes and words. What only a pointer can reach (hovering, dragging) is left out.
"""

import contextlib
import html
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter
from PIL import Image

from analysis.plots.style import INK, QUIET, Figure, Trace

DPI = 110
PIXELS = 96  # of the page to an inch
POINT = 72 / PIXELS  # to a pixel
WIDTH = 9.6  # inches
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
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called "$5 & up"
    "figure.dpi": DPI,
}
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "WenQuanYi Zen Hei",
    "Droid Sans Fallback", "Hiragino Sans GB", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic",
)  # fmt: skip
SYMBOLS = {
    "circle": "o", "square": "s", "x": "X", "triangle-up": "^", "triangle-down": "v",
    "diamond": "D", "circle-open": "o",
}  # fmt: skip
DASHES: dict[str, Any] = {
    "solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdashdot": (0, (8, 2, 1, 2)),
}  # fmt: skip
HATCHES = {"": "", "/": "//", "x": "xx", ".": "..", "-": "--"}

_UNSEEN = {"type", "name", "legendgroup", "meta", "hoverinfo", "hovertemplate", "customdata"}
KNOWN = {
    "scatter": {"mode", "x", "y", "line", "marker", "opacity", "error_x", "error_y", "text"},
    "bar": {"orientation", "x", "y", "base", "width", "marker", "error_x", "text", "textposition"},
    "heatmap": {"z", "text", "texttemplate", "xgap", "ygap", "colorscale", "zmin", "zmax",
                "colorbar"},
    "contour": {"x", "y", "z", "line", "colorscale", "zmin", "zmax", "colorbar"},
}  # fmt: skip


def picture(figures: Sequence[Figure]) -> Image.Image:
    """The figures in a grid as on a wide page, one legend above them."""
    columns = num_columns(len(figures))
    rows = [figures[start : start + columns] for start in range(0, len(figures), columns)]
    heights = [max(drawn["layout"]["height"] for drawn in row) for row in rows]
    entries = legend_of(figures)
    longest = max((len(trace["name"]) for trace in entries), default=0)
    side_by_side = max(1, min(len(entries), 112 // (longest + 7)))
    legend_rows = -(-len(entries) // side_by_side)
    width = figures[0]["layout"].get("width", WIDTH * PIXELS)
    size = width / PIXELS, (sum(heights) + 20 * legend_rows) / PIXELS
    with drawing(size) as canvas:
        axes = canvas.subplots(len(rows), columns, squeeze=False, height_ratios=heights).ravel()
        for ax, drawn in zip(axes, figures, strict=False):
            draw(ax, drawn)
        for ax in axes[len(figures) :]:
            ax.remove()
        if entries:
            handles = [_handle(trace) for trace in entries]
            canvas.legend(handles=handles, loc="outside upper left", ncols=side_by_side)
        return rendered(canvas).quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )  # a third of the size; MEDIANCUT would lose the colours of rare marks


def num_columns(num_figures: int) -> int:
    """How many figures stand side by side, as in the page's style sheet."""
    return 1 if num_figures == 1 else 2 if num_figures <= 4 else 3


@contextlib.contextmanager
def drawing(size: tuple[float, float]) -> Iterator[Canvas]:
    """An empty figure of that size in inches, in the report's style."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font has no bold
    known = font_manager.get_font_names()
    families = [STYLE["font.family"], *(name for name in CJK_FONTS if name in known)]
    with mpl.rc_context(STYLE | {"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield Canvas(figsize=size, layout="constrained")


def rendered(canvas: Canvas) -> Image.Image:
    """The figure as an RGB picture; to be called where it is drawn."""
    agg = FigureCanvasAgg(canvas)
    agg.draw()
    return Image.fromarray(np.asarray(agg.buffer_rgba())).convert("RGB")


def draw(ax: Axes, drawn: Figure) -> None:
    """One figure on one Axes, without its legend."""
    layout = drawn["layout"]
    for name in ("x", "y"):
        if layout[f"{name}axis"].get("type") == "log":
            ax.set(**{f"{name}scale": "log"})
    for order, trace in enumerate(drawn["data"]):
        unknown = trace.keys() - KNOWN.get(trace["type"], set()) - _UNSEEN
        assert trace["type"] in KNOWN and not unknown, f"{trace['type']}: {unknown} not in print"
        _TRACES[trace["type"]](ax, trace, 2 + order / 100)
    for shape in layout.get("shapes", ()):  # they are in sight, as on the page
        ax.update_datalim([(shape["x0"], shape["y0"])], updatey=shape.get("yref") != "paper")
    ax.autoscale_view()
    _draw_axis(ax, "x", layout["xaxis"])
    _draw_axis(ax, "y", layout["yaxis"])
    ax.autoscale(enable=False)
    for shape in layout.get("shapes", ()):
        _draw_shape(ax, shape)
    for annotation in layout.get("annotations", ()):
        _draw_note(ax, annotation)
    if "title" in layout:
        text, weight = _text(layout["title"]["text"])
        ax.set_title(text, fontweight=weight)


def _text(markup: str) -> tuple[str, str]:
    """Plotly's markup as text, and its weight."""
    text = html.unescape(re.sub("</?b>", "", markup.replace("<br>", "\n")))
    return text, "bold" if markup.startswith("<b>") else "normal"


def _floats(values: Any) -> np.ndarray:
    """Numbers, with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _draw_scatter(ax: Axes, trace: Trace, order: float) -> None:
    x, y = _floats(trace["x"]), _floats(trace["y"])
    assert trace["mode"] in ("lines", "markers"), trace["mode"]
    for name in ("error_x", "error_y"):
        if name in trace:
            _draw_error(ax, x, y, name, trace[name], order)
    if trace["mode"] == "markers":
        ax.plot(x, y, zorder=order, **_marker(trace["marker"]))
        return
    stroke = trace["line"]
    if stroke.get("shape") == "hv":
        x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    gaps = np.flatnonzero(np.isnan(x) | np.isnan(y))
    parts = [part[~np.isnan(part).any(axis=1)] for part in np.split(np.column_stack([x, y]), gaps)]
    lines = LineCollection(
        [part for part in parts if len(part) > 1],
        colors=stroke["color"], linestyles=DASHES[stroke["dash"]],
        linewidths=stroke["width"] * POINT, alpha=trace.get("opacity"), zorder=order,
    )  # fmt: skip
    ax.add_collection(lines)
    ax.autoscale_view()


def _marker(marker: dict[str, Any]) -> dict[str, Any]:
    """matplotlib's words for a marker."""
    edge = marker.get("line", {})
    is_open = marker["symbol"].endswith("-open")
    colour = marker["color"]
    return {
        "linestyle": "", "marker": SYMBOLS[marker["symbol"]], "alpha": marker.get("opacity"),
        "markersize": marker["size"] * POINT, "markerfacecolor": "none" if is_open else colour,
        "markeredgecolor": edge.get("color", colour),
        "markeredgewidth": edge.get("width", 0) * POINT,
    }  # fmt: skip


def _draw_error(
    ax: Axes, x: np.ndarray, y: np.ndarray, name: str, error: dict[str, Any], order: float
) -> None:
    ends = [_floats(error["arrayminus"]), _floats(error["array"])]
    asked: dict[str, Any] = {f"{name[-1]}err": ends}
    ax.errorbar(
        x, y, fmt="none", ecolor=error["color"], elinewidth=error["thickness"] * POINT,
        capsize=error["width"] * POINT, zorder=order, **asked,
    )  # fmt: skip


def _draw_bar(ax: Axes, trace: Trace, order: float) -> None:
    assert trace["orientation"] == "h"
    marker, x, y = trace["marker"], _floats(trace["x"]), _floats(trace["y"])
    base = _floats(trace["base"]) if "base" in trace else 0
    ax.barh(
        y, x, left=base, height=trace["width"], color=marker["color"], zorder=order,
        hatch=HATCHES[marker["pattern"]["shape"]], edgecolor="white",
        linewidth=marker.get("line", {}).get("width", 0) * POINT,
    )  # fmt: skip
    if "error_x" in trace:
        _draw_error(ax, x, y, "error_x", trace["error_x"], order)


def _colours(trace: Trace) -> dict[str, Any]:
    stops = [(place, colour) for place, colour in trace["colorscale"]]
    norm = Normalize(trace["zmin"], trace["zmax"])
    return {"cmap": LinearSegmentedColormap.from_list("", stops), "norm": norm}


def _draw_heatmap(ax: Axes, trace: Trace, order: float) -> None:
    values = np.array([_floats(row) for row in trace["z"]])
    colours = _colours(trace)
    image = ax.imshow(values, aspect="auto", origin="lower", zorder=order, **colours)
    shades = colours["cmap"](colours["norm"](values)) @ [0.299, 0.587, 0.114, 0]
    for row, texts in enumerate(trace.get("text", ())):
        for column, text in enumerate(texts):
            ax.text(
                column, row, _text(str(text))[0], ha="center", va="center", zorder=order + 0.005,
                fontsize=8 if len(values) <= 12 else 6.5,
                color=INK if shades[row, column] > 0.5 else "white",
            )  # fmt: skip
    for gaps, draw_lines, end in (
        (values.shape[0], ax.hlines, values.shape[1]),
        (values.shape[1], ax.vlines, values.shape[0]),
    ):
        draw_lines(
            np.arange(1, gaps) - 0.5,
            -0.5,
            end - 0.5,
            colors="white",
            linewidths=trace["xgap"] * POINT,
            zorder=order,
        )
    _draw_colour_bar(ax, image, trace)


def _draw_contour(ax: Axes, trace: Trace, order: float) -> None:
    values = np.ma.masked_invalid([_floats(row) for row in trace["z"]])
    place = _floats(trace["x"]), _floats(trace["y"]), values
    filled = ax.contourf(*place, levels=12, zorder=order, **_colours(trace))
    ax.contour(
        *place, levels=filled.levels, zorder=order + 0.005, colors=trace["line"]["color"],
        linewidths=trace["line"]["width"] * POINT,
    )  # fmt: skip
    _draw_colour_bar(ax, filled, trace)


def _draw_colour_bar(ax: Axes, image: Any, trace: Trace) -> None:
    assert ax.figure
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02)
    bar.set_label(_text(trace["colorbar"]["title"]["text"])[0].replace("\n", " "))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)


_TRACES = {"scatter": _draw_scatter, "bar": _draw_bar, "heatmap": _draw_heatmap,
           "contour": _draw_contour}  # fmt: skip


def _draw_axis(ax: Axes, name: str, asked: dict[str, Any]) -> None:
    axis = ax.xaxis if name == "x" else ax.yaxis
    if asked.get("visible", True):
        axis.set_label_text(_text(asked["title"]["text"])[0])
        axis.set_tick_params(labelsize=asked["tickfont"]["size"] * POINT)
        _draw_ticks(axis, asked)
    else:
        axis.set_visible(False)
        ax.spines[["left" if name == "y" else "bottom"]].set_visible(False)
    if not asked.get("showgrid", True):
        axis.grid(visible=False)
        axis.set_tick_params(length=0)
    limits = asked.get("range")
    if limits and asked.get("type") == "log":
        limits = [10**end for end in limits]
    if limits:
        ax.set(**{f"{name}lim": limits})
    elif asked.get("rangemode") == "tozero":
        ax.set(**{f"{name}lim": [0, None]})


def _draw_ticks(axis: Any, asked: dict[str, Any]) -> None:
    if "tickvals" in asked:
        angle = -asked.get("tickangle", 0)
        slant = {"rotation": angle, "ha": "right", "rotation_mode": "anchor"} if angle else {}
        if angle == 90:
            slant = {"rotation": angle}
        texts = [_text(text)[0] for text in asked["ticktext"]]
        axis.set_ticks(asked["tickvals"], texts, **slant)
    elif asked.get("tickformat") == ".0%":
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    elif asked.get("type") != "log":
        axis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _draw_shape(ax: Axes, shape: dict[str, Any]) -> None:
    transform = ax.get_xaxis_transform() if shape.get("yref") == "paper" else ax.transData
    x, y, stroke = (shape["x0"], shape["x1"]), (shape["y0"], shape["y1"]), shape["line"]
    if shape["type"] == "line":
        ax.add_artist(
            Line2D(
                x, y, color=stroke["color"], linestyle=DASHES[stroke.get("dash", "solid")],
                linewidth=stroke["width"] * POINT, transform=transform, zorder=1,
            )
        )  # fmt: skip
        return
    assert shape["type"] == "rect", shape["type"]
    box = Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], facecolor=shape["fillcolor"],
                    linewidth=0, transform=transform, zorder=1)  # fmt: skip
    ax.add_artist(box)


def _draw_note(ax: Axes, note: dict[str, Any]) -> None:
    text, weight = _text(note["text"])
    of_axes = ax.get_yaxis_transform()
    ax.annotate(
        text, (note["x"], note["y"]), xycoords=of_axes if note.get("xref") == "paper" else "data",
        xytext=(note.get("xshift", 0) * POINT, note.get("yshift", 0) * POINT),
        textcoords="offset points", ha=note.get("xanchor", "center"),
        va=note.get("yanchor", "center"), fontsize=note["font"]["size"] * POINT,
        fontweight=weight, color=note["font"]["color"], annotation_clip=False, zorder=6,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none",
              "alpha": 0.85},
    )  # fmt: skip


def legend_of(figures: Sequence[Figure]) -> list[Trace]:
    """The traces that the legend names, one of each kind; none where there is but one kind."""
    kinds: dict[str, Trace] = {}
    for trace in (trace for drawn in figures for trace in drawn["data"]):
        if trace.get("name"):
            kinds.setdefault(trace.get("legendgroup", trace["name"]), trace)
    return list(kinds.values()) if len(kinds) > 1 else []


def _handle(trace: Trace) -> Any:
    """An entry of the legend."""
    label = _text(trace["name"])[0]
    if trace["type"] == "bar":
        marker = trace["marker"]
        return Patch(facecolor=marker["color"], label=label, edgecolor="white", linewidth=0,
                     hatch=HATCHES[marker["pattern"]["shape"]])  # fmt: skip
    if trace["mode"] == "markers":
        return Line2D([], [], label=label, **_marker(trace["marker"]) | {"alpha": None})
    stroke = trace["line"]
    return Line2D([], [], label=label, color=stroke["color"], linestyle=DASHES[stroke["dash"]],
                  linewidth=max(1.6, stroke["width"]) * POINT)  # fmt: skip
