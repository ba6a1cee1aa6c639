"""Still pictures: what plotly draws on the page, matplotlib draws in print, all of it."""

import copy
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure as Canvas

from analysis.plots import still
from analysis.plots.curves import curve_figures
from analysis.plots.effects import effects_figure, importance_figure, surface_figure
from analysis.plots.parallel import parallel_figure
from analysis.plots.scales import axis, figure, upright
from analysis.plots.several import LOOKS, by_number, progress_figure
from analysis.plots.style import OUTCOMES, Figure, Look, dots, line
from analysis.plots.test import confusion_figure, recalls_figure
from analysis.plots.trials import distribution_figure, slice_figures, workers_figure
from analysis.reading.predictions import class_recalls, confusion_counts
from analysis.reading.workload import workers_of
from tests.analysis.plots.test_figures import (
    EFFECTS,
    EPOCHS,
    IMPORTANCE,
    TRIALS,
    history,
    links,
    predictions,
    sweep,
)


def surface() -> Figure:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": 10 ** rng.uniform(-4, 0, 40), "b": rng.uniform(0, 1, 40)})
    return surface_figure(table.assign(val_acc=table["b"]), "a", "b")


def confusion() -> Figure:
    return confusion_figure(confusion_counts(predictions(["a", "b"]), ["a", "b"]))


def workers() -> Figure:
    found = workers_of(TRIALS)
    assert found is not None
    return workers_figure(found, found.trials)


MEASURED = TRIALS.dropna(subset="val_acc")
FIGURES: dict[str, Figure] = {
    "timeline": history(),
    "curves": curve_figures(sweep(rungs=[2]), EPOCHS, TRIALS, ["val_loss"], links())[0],
    "slice": slice_figures(sweep(), MEASURED, ["activation"], links(), "")[0],
    "distribution": distribution_figure(TRIALS),
    "workers": workers(),
    "parallel": parallel_figure(TRIALS, ["activation", "learning_rate"], "a", links()),
    "effects": effects_figure(EFFECTS, IMPORTANCE, ""),
    "importance": importance_figure(IMPORTANCE, {"lr": 0.01, "norm": 0.2}),
    "surface": surface(),
    "confusion": confusion(),
    "recalls": recalls_figure(class_recalls(predictions(["a", "b"]), ["a", "b"])),
    "progress": progress_figure({"s": by_number(TRIALS)}, "trial"),
}


def drawn(content: Figure) -> Axes:
    with mpl.rc_context(still.STYLE):
        canvas = Canvas()
        ax = canvas.add_subplot()
        still.draw(ax, content)
        FigureCanvasAgg(canvas).draw()
        return ax


def points(ax: Axes) -> set[tuple[float, float]]:
    """Where marks stand."""
    found = [line.get_xydata() for line in ax.lines if line.get_marker() not in ("None", "")]
    places = [(float(x), float(y)) for part in found for x, y in np.asarray(part)]
    return {(x, y) for x, y in places if x == x}


@pytest.mark.parametrize("name", FIGURES)
def test_every_mark_and_every_stroke_of_the_page_is_in_print(name: str) -> None:
    content = FIGURES[name]
    before = copy.deepcopy(content)
    ax = drawn(content)
    assert content == before, "to draw changes nothing"
    asked = [t for t in content["data"] if t.get("mode") == "markers" and t["x"] != [None]]
    wanted = {(float(x), float(y)) for t in asked for x, y in zip(t["x"], t["y"], strict=True)}
    assert wanted <= points(ax)
    if "error" not in str(content["data"]):  # whose caps are marks too
        assert points(ax) == wanted
    strokes = [c for c in ax.collections if hasattr(c, "get_segments")]
    colours = [np.ravel(c.get_color())[:3] for c in strokes if len(c.get_segments())]
    for trace in content["data"]:
        if trace.get("mode") == "lines" and len(trace["x"]) > 1:
            assert any(same_color(colour, trace["line"]["color"]) for colour in colours)
    texts = [text.get_text() for text in ax.texts]
    for note in content["layout"].get("annotations", ()):
        assert still._text(note["text"])[0] in texts


@pytest.mark.parametrize("spoil", [
    lambda trace: trace.update(type="splom"),
    lambda trace: trace.update(fill="tozeroy"),
    lambda trace: trace.update(mode="lines+markers"),
    lambda trace: trace["marker"].update(symbol="star"),
])  # fmt: skip
def test_what_print_could_not_show_is_refused(spoil: Any) -> None:
    content = figure([dots([1], [2], Look("#000"))], axis(), axis(), height=100)
    drawn(content)
    spoil(content["data"][0])
    with pytest.raises((AssertionError, KeyError)):
        drawn(content)


def test_every_look_is_known_in_print() -> None:
    for look in (*OUTCOMES.values(), *LOOKS):
        assert look.symbol in still.SYMBOLS and look.dash in still.DASHES
        assert look.hatch in still.HATCHES
    outcomes = [(still.SYMBOLS[o.symbol], str(still.DASHES[o.dash])) for o in OUTCOMES.values()]
    assert len({s for s, _ in outcomes}) == len({d for _, d in outcomes}) == len(OUTCOMES)


def test_steps_go_right_and_then_up() -> None:
    content = figure([line([1, 2], [3, 5], Look("#000"), shape="hv")], axis(), axis(), height=100)
    [stroke] = drawn(content).collections
    [path] = stroke.get_segments()  # type: ignore[attr-defined]
    assert path.tolist() == [[1, 3], [2, 3], [2, 5]]


def test_a_gap_ends_a_line() -> None:
    x, y = [1, 2, None, 3, 4], [1, 1, None, 2, 2]
    trace = line([np.nan] * 5, [np.nan] * 5, Look("#000")) | {"x": x, "y": y}
    [stroke] = drawn(figure([trace], axis(), axis(), height=100)).collections
    assert [len(path) for path in stroke.get_segments()] == [2, 2]  # type: ignore[attr-defined]


def test_axes_are_as_on_the_page() -> None:
    names = axis("x<br>y", tickvals=[0, 1], ticktext=["a &lt;b&gt;", "c"], range=[1.5, -0.5])
    content = figure([dots([1, 100], [0, 1], Look("#000"))], axis(type="log", range=[0, 3]), names,
                     height=100)  # fmt: skip
    ax = drawn(content)
    assert ax.get_xscale() == "log" and ax.get_xlim() == pytest.approx((1, 1000))
    assert ax.get_ylim() == (1.5, -0.5) and ax.get_ylabel() == "x\ny"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a <b>", "c"]


def test_the_legend_has_one_entry_for_each_kind_in_any_panel() -> None:
    panels = slice_figures(sweep(), MEASURED, ["activation", "learning_rate"], links(), "")
    names = [trace["name"] for trace in still.legend_of(panels)]
    assert names == ["completed (n = 2)", "stopped (n = 1)", "running (n = 1)", "median",
                     "best trial"]  # fmt: skip
    assert still.legend_of([FIGURES["recalls"]]) == [], "one kind needs none"
    late = figure([dots([1], [1], Look("#000"), name="z")], axis(), axis(), height=9)
    early = figure([dots([1], [1], Look("#000"), name="a")], axis(), axis(), height=9)
    assert len(still.legend_of([early, late])) == 2


def test_panels_are_as_wide_as_the_page_and_as_high_as_they_say() -> None:
    one = still.picture([FIGURES["timeline"]])
    three = still.picture([FIGURES["timeline"]] * 3)
    assert one.width == three.width == round(still.WIDTH * still.DPI)
    assert three.height > 1.8 * (one.height - 40), "two rows of two"
    content = FIGURES["confusion"]
    narrow = still.picture([content | {"layout": content["layout"] | {"width": 480}}])
    assert narrow.width == 550


def test_a_zero_line_is_in_sight() -> None:
    marks = [dots([5, 9], [0, 1], Look("#000"))]
    content = figure(marks, axis(), axis(), height=100, shapes=[upright(0, "#000")])
    low, high = drawn(content).get_xlim()
    assert low < 0 and high > 9


def test_dollars_and_tags_in_a_class_name_are_drawn_as_they_are() -> None:
    classes = ["$\\frac{1$", "<b>&</b>"]
    ax = drawn(confusion_figure(confusion_counts(predictions(classes), classes)))
    assert [label.get_text() for label in ax.get_yticklabels()] == classes  # mathtext would raise


def test_names_in_chinese_have_a_font_where_one_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = ["DejaVu Sans", "Noto Sans CJK JP", "URW Gothic"]
    monkeypatch.setattr(font_manager, "get_font_names", lambda: known)
    with still.drawing((1, 1)):
        assert mpl.rcParams["font.family"] == ["DejaVu Sans", "Noto Sans CJK JP"]


def test_a_fallback_without_bold_is_no_warning_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(still, "CJK_FONTS", ("DejaVu Sans Display",))  # has one weight
    with still.drawing((1, 1)) as canvas, warnings.catch_warnings():
        canvas.text(0, 0, "bold", fontweight="bold")
        still.rendered(canvas)
    assert not caplog.records
