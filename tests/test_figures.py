"""Figures of tables: what is drawn is what the table says."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from analysis.class_figures import plot_confusion, plot_recalls
from analysis.effect_figures import effect_height, plot_effects, plot_importance
from analysis.figures import plot_curves, plot_hyperparameter, plot_timeline
from analysis.gallery import save_effects, saved_figure
from analysis.parallel import plot_parallel
from analysis.style import STYLE
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import style
from analysis.effects import EFFECT_COLUMNS, IMPORTANCE_COLUMNS, Effects
from analysis.predictions import class_recalls, confusion_counts
from analysis.values import groups_of, numbers_of, scale_of, shown

TRIALS = pd.DataFrame({
    "trial_id": ["a", "b", "c", "d", "e"],
    "status": ["completed", "stopped", "completed", "failed", "running"],
    "activation": ["relu", "gelu", "relu", "gelu", None],
    "learning_rate": [1e-4, 1e-2, 1e-3, 1e-3, 1e-2],
    "val_acc": [0.4, 0.2, 0.3, np.nan, 0.25],
    "started": [f"2025-05-01T0{hour}:00:00Z" for hour in range(5)],
})  # fmt: skip
EPOCHS = pd.DataFrame(
    {
        "trial_id": list("aaabcc"),
        "epoch": [1, 2, 3, 1, 1, 2],
        "val_acc": [0.1, 0.3, 0.4, 0.2, 0.2, 0.3],
        "val_loss": [2.2, 2.0, 1.9, 2.1, 2.1, 900.0],
    }
)


@pytest.fixture
def ax():
    with mpl.rc_context(STYLE):
        yield Figure().add_subplot()


def num_dots(ax: Axes) -> int:
    return sum(
        len(dots.get_offsets())
        for dots in ax.collections
        if hasattr(dots, "get_offsets") and dots.get_gid() not in ("best", "median")
    )


def thick_lines(ax: Axes) -> list:
    return [line for line in ax.lines if line.get_linewidth() > 2]


def draw(ax: Axes) -> None:
    FigureCanvasAgg(ax.figure).draw()


def test_the_timeline_has_a_dot_for_every_trial_and_labelled_axes(ax):
    plot_timeline(ax, TRIALS, highlight="a")
    assert num_dots(ax) == len(TRIALS)
    assert "start (UTC)" in ax.get_xlabel()
    assert ax.get_ylabel() == "val_acc (fraction)"
    assert "n = 5" in ax.get_title(loc="left")


def test_trials_without_accuracy_lie_within_the_timeline(ax):
    plot_timeline(ax, TRIALS.assign(val_acc=np.nan))
    low, high = ax.get_xlim()
    days = ax.convert_xunits(pd.to_datetime(TRIALS["started"]).dt.tz_localize(None).to_numpy())
    assert num_dots(ax) == len(TRIALS)
    assert low < min(days) and max(days) < high


def test_the_timeline_never_falls(ax):
    plot_timeline(ax, TRIALS.sort_values("val_acc"))
    best_so_far = ax.lines[0].get_ydata()
    assert (np.diff(best_so_far) >= 0).all()
    assert best_so_far[0] == 0.4  # trial a started first


def test_shapes_tell_the_outcomes_apart_without_colour(ax):
    plot_timeline(ax, TRIALS)
    shapes = {tuple(dots.get_paths()[0].vertices.ravel()) for dots in ax.collections}
    assert len(shapes) == TRIALS["status"].nunique()


def test_trials_without_a_start_are_counted_in_words(ax):
    plot_timeline(ax, TRIALS.assign(started=[None, *TRIALS["started"][1:]]))
    assert num_dots(ax) == 4
    assert "1 without a known start" in ax.get_title(loc="left")


def test_curves_have_a_line_per_trial_and_the_best_is_thick(ax):
    plot_curves(ax, EPOCHS, "val_acc", TRIALS, highlight="a", rungs=[2])
    thin = [len(path) for group in ax.collections for path in group.get_segments()]
    assert sorted(thin) == [1, 2]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] == [2]
    assert [list(line.get_ydata()) for line in thick_lines(ax)] == [[0.1, 0.3, 0.4]]
    assert ax.get_xlabel() == "epoch" and ax.get_ylabel() == "val_acc (fraction)"


def test_stopped_curves_end_in_a_marker(ax):
    stopped = TRIALS.assign(status="stopped")
    plot_curves(ax, EPOCHS[EPOCHS["trial_id"] == "a"], "val_acc", stopped)
    ends = [line for line in ax.lines if line.get_marker() not in ("None", "")]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ends] == [(3, 0.4)]


def test_an_exploded_loss_leaves_the_plot_and_the_plot_says_so(ax):
    calm = pd.DataFrame({"trial_id": "a", "epoch": range(1, 101), "val_loss": 2.0})
    epochs = pd.concat([calm, EPOCHS])
    plot_curves(ax, epochs, "val_loss", TRIALS)
    assert ax.get_ylim()[1] < 10
    assert "1 value above, up to 900" in [text.get_text() for text in ax.texts]


def test_a_metric_that_was_not_logged_is_named(ax):
    plot_curves(ax, EPOCHS, "train_acc", TRIALS)
    assert [text.get_text() for text in ax.texts] == ["train_acc was not logged"]


@pytest.mark.parametrize("name", ["activation", "learning_rate"])
def test_a_hyperparameter_has_every_measured_trial_as_a_dot_and_counts_them(ax, name):
    plot_hyperparameter(ax, TRIALS, name, highlight="a")
    assert num_dots(ax) == 4
    counts = [int(label.get_text().split("= ")[1].rstrip(")")) for label in ax.get_xticklabels()]
    assert sum(counts) == 4
    medians = [bar for bar in ax.collections if bar.get_gid() == "median"]
    assert len(medians) == len(counts)
    assert ax.get_title(loc="left") == name and ax.get_ylabel() == "val_acc"


def test_many_numbers_become_four_groups(ax):
    table = pd.DataFrame(
        {
            "trial_id": range(20),
            "lr": 10.0 ** np.linspace(-5, -1, 20),
            "val_acc": np.linspace(0, 1, 20),
        }
    )
    plot_hyperparameter(ax, table, "lr")
    assert num_dots(ax) == 20
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "n = 5, 5, 5, 5 by group"


def test_parallel_coordinates_have_a_line_per_trial_with_the_best_thick_and_on_top(ax):
    plot_parallel(ax, TRIALS, ["activation", "learning_rate"], highlight="a")
    (best,) = thick_lines(ax)
    [thin] = [group for group in ax.collections if len(group.get_segments()[0]) == 3]
    assert len(thin.get_segments()) == 3
    assert best.get_zorder() > thin.get_zorder()
    assert best.get_xdata()[-1] == 1  # at the end of the axis of val_acc
    bold = {text.get_text() for text in ax.texts if text.get_fontweight() == "bold"}
    assert {"relu", "0.0001", "0.4"} <= bold
    worst_first = [path[-1, 0] for path in thin.get_segments()]
    assert worst_first == sorted(worst_first)


def test_two_decades_make_a_log_scale_and_less_does_not():
    assert scale_of(pd.Series([1e-4, 1e-3, 1e-2])).positions.tolist() == pytest.approx([0, 0.5, 1])
    assert scale_of(pd.Series([32, 64, 128])).positions[1] == pytest.approx(1 / 3)


def test_booleans_are_names_and_not_numbers():
    assert numbers_of(pd.Series([True, False])) is None
    assert [text for *_, text in groups_of(pd.Series([True, False])).spans] == ["false", "true"]


@pytest.mark.parametrize("value, text", [
    (64.0, "64"), (0.00872506, "0.008725"), (True, "true"), (None, "\u2013"),
    (float("nan"), "\u2013"),
    (pd.NA, "\u2013"), (1e-5, "1e-05"), ({"min": 1}, "min: 1"), ([1, 3], "1, 3"),
])  # fmt: skip
def test_values_are_written_as_a_reader_writes_them(value, text):
    assert shown(value) == text


def predictions(classes: list[str], n: int = 10) -> pd.DataFrame:
    table = pd.DataFrame({"label": np.repeat(classes, n)})
    table["predicted"] = table["label"].where(table.index % 3 > 0, classes[0])
    return table.assign(correct=table["label"] == table["predicted"])


@pytest.mark.parametrize("num_classes", [2, 10, 20, 21, 100])
def test_the_confusion_matrix_has_numbers_up_to_20_classes(ax, num_classes):
    classes = [f"class {i}" for i in range(num_classes)]
    plot_confusion(ax, confusion_counts(predictions(classes), classes))
    assert len(ax.texts) == (num_classes**2 if num_classes <= 20 else 0)
    assert f"n = {10 * num_classes}" in ax.get_title(loc="left")
    assert len(ax.get_yticklabels()) == num_classes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_recall_bars_are_as_long_as_the_recall_and_say_n(ax):
    classes = ["a", "b", "never tested"]
    recalls = class_recalls(predictions(classes[:2]), classes)
    plot_recalls(ax, recalls)
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == pytest.approx([1.0, 0.7, 0.0])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["a (n = 10)", "b (n = 10)", "never tested (n = 0)"]


def test_dollars_and_tags_in_a_class_name_are_drawn_as_they_are(ax):
    classes = ["$\\frac{1$", "<b>&</b>"]
    plot_confusion(ax, confusion_counts(predictions(classes), classes))
    draw(ax)  # mathtext would raise here
    assert ax.get_yticklabels()[0].get_text() == classes[0]


EFFECTS = pd.DataFrame(
    [
        ("lr", "0.01", "0.1", 0.08, 0.05, 0.11, 0.001, 20, 10),
        ("lr", "1", "0.1", -0.09, -0.12, -0.06, 0.002, 12, 10),
        ("norm", "true", "false", 0.01, -0.01, 0.03, 0.4, 21, 21),
    ],
    columns=EFFECT_COLUMNS,
)
IMPORTANCE = pd.DataFrame(
    [("lr", 0.6, 0.4, 0.7), ("norm", 0.0, 0.0, 0.1)], columns=IMPORTANCE_COLUMNS
)


def test_each_effect_is_a_mark_with_its_interval_and_both_n_are_told(ax):
    plot_effects(ax, EFFECTS, IMPORTANCE, when="by epoch 3")
    marks = {
        line.get_marker(): line.get_xdata()[0] for line in ax.lines if line.get_marker() != "|"
    }
    marks.pop("None")
    assert marks == pytest.approx({"^": 8.0, "v": -9.0, "o": 1.0})
    intervals = [bar.get_segments()[0][:, 0].tolist() for bar in ax.collections]
    assert intervals == [pytest.approx([5, 11]), pytest.approx([-12, -6]), pytest.approx([-1, 3])]
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["lr = 0.1 (n = 10)", "0.01 (n = 20)", "1 (n = 12)", "norm = false (n = 21)",
                      "true (n = 21)"]  # fmt: skip
    assert "by epoch 3" in ax.get_xlabel()
    assert effect_height(EFFECTS, IMPORTANCE) > effect_height(EFFECTS[:1], IMPORTANCE[:1])
    draw(ax)


def test_long_names_leave_a_phone_room_for_the_marks(ax, tmp_path):
    effects = EFFECTS.assign(value="v" * 40, reference="r" * 40).replace("lr", "x" * 40)
    importance = IMPORTANCE.replace("lr", "x" * 40)
    save_effects(Effects(effects, importance), "", tmp_path / "x.png", narrow=True)  # or warns
    plot_effects(ax, effects, importance, when="", narrow=True)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "xxxxxxxxxxx… = rrrrrrrrrrr… (n = 10)"
    assert labels[1] == f"{'v' * 23}… (n = 20)"
    assert labels[3] == f"norm = {'r' * 19}… (n = 21)", "what one does not need the other has"


def test_importance_bars_are_as_long_as_their_shares(ax):
    plot_importance(ax, IMPORTANCE)
    assert [bar.get_width() for bar in ax.patches] == [60, 0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["lr", "norm"]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()
    draw(ax)


@pytest.mark.parametrize("plot", [
    lambda ax: plot_effects(ax, EFFECTS[:0], IMPORTANCE[:0], when="by epoch 3"),
    lambda ax: plot_importance(ax, IMPORTANCE[:0]),
])  # fmt: skip
def test_without_effects_the_plot_says_so(ax, plot):
    plot(ax)
    assert [text.get_text() for text in ax.texts] == ["no two values can be compared"]


def test_names_in_chinese_have_a_font_where_one_is_installed(monkeypatch, tmp_path):
    known = ["DejaVu Sans", "Noto Sans CJK JP", "URW Gothic"]
    monkeypatch.setattr(font_manager, "get_font_names", lambda: known)
    with saved_figure(tmp_path / "empty.png", 1):
        assert mpl.rcParams["font.family"] == ["DejaVu Sans", "Noto Sans CJK JP"]


def test_a_fallback_without_bold_is_no_warning_on_the_terminal(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(style, "CJK_FONTS", ("DejaVu Sans Display",))  # has one weight
    with saved_figure(tmp_path / "bold.png", 1) as figure:
        figure.text(0, 0, "bold", fontweight="bold")
    assert not caplog.records
