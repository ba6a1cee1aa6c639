"""Figures as plotly dictionaries: what they show is what the tables say, for every trial."""

import numpy as np
import pandas as pd
import pytest

from analysis.plots.colouring import Linked, linked
from analysis.plots.curves import curve_figures
from analysis.plots.effects import (
    effects_figure,
    importance_figure,
    pair_figure,
    surface_figure,
)
from analysis.plots.learning import learning_figure
from analysis.plots.parallel import broken, parallel_figure
from analysis.plots.several import by_number, progress_figure
from analysis.plots.style import Figure, Trace
from analysis.plots.test import (
    calibration_figure,
    confidence_figure,
    confusion_figure,
    recalls_figure,
)
from analysis.plots.trials import (
    distribution_figure,
    history_figure,
    slice_figures,
    workers_figure,
)
from analysis.reading.folder import SweepFolder
from analysis.reading.predictions import class_recalls, confusion_counts
from analysis.reading.values import groups_of, numbers_of, scale_of, shown
from analysis.reading.workload import MAX_DRAWN, workers_of
from analysis.statistics.effects import EFFECT_COLUMNS, IMPORTANCE_COLUMNS

TRIALS = pd.DataFrame({
    "trial_id": ["a", "b", "c", "d", "e"],
    "status": ["completed", "stopped", "completed", "failed", "running"],
    "activation": ["relu", "gelu", "relu", "gelu", None],
    "learning_rate": [1e-4, 1e-2, 1e-3, 1e-3, 1e-2],
    "val_acc": [0.4, 0.2, 0.3, np.nan, 0.25],
    "seconds": [60.0, 30.0, 20.0, 5.0, 1.0],
    "started": [f"2025-05-01T0{hour}:00:00Z" for hour in range(5)],
    "node": "n1",
})  # fmt: skip
EPOCHS = pd.DataFrame(
    {
        "trial_id": list("aaabcc"),
        "epoch": [1, 2, 3, 1, 1, 2],
        "val_acc": [0.1, 0.3, 0.4, 0.2, 0.2, 0.3],
        "val_loss": [2.2, 2.0, 1.9, 2.1, 2.1, 900.0],
    }
)


def sweep(
    trials: pd.DataFrame = TRIALS, epochs: pd.DataFrame = EPOCHS, **settings: object
) -> SweepFolder:
    names = ["activation", "learning_rate"]
    return SweepFolder("here", trials, epochs, names, settings=dict(settings))  # type: ignore[arg-type]


def links(trials: pd.DataFrame = TRIALS) -> Linked:
    """All trials, coloured by their outcome."""
    return Linked(trials, linked(sweep(trials), trials, []).colourings[-1:])


def history(trials: pd.DataFrame = TRIALS) -> Figure:
    return history_figure(sweep(trials), trials)


def marks(drawn: Figure) -> list[Trace]:
    """The traces in which each mark is a trial."""
    return [t for t in drawn["data"] if t.get("mode") == "markers" and "text" in t]


def named(drawn: Figure, name: str) -> Trace:
    [trace] = [trace for trace in drawn["data"] if trace.get("name", "").startswith(name)]
    return trace


def num_marks(drawn: Figure) -> int:
    return sum(len(trace["x"]) for trace in marks(drawn))


def num_linked(drawn: Figure) -> int:
    """Marks that the page links."""
    return sum(len(trace["customdata"]) for trace in drawn["data"] if "customdata" in trace)


def notes(drawn: Figure) -> list[str]:
    return [note["text"] for note in drawn["layout"]["annotations"]]


def test_the_timeline_has_a_dot_for_every_trial_at_its_time() -> None:
    drawn = history()
    assert num_marks(drawn) == len(TRIALS)
    assert drawn["layout"]["xaxis"]["title"]["text"] == "hours after the first start"
    assert drawn["layout"]["yaxis"]["title"]["text"] == "val_acc (fraction)"
    assert named(drawn, "running")["x"] == [4.0]
    assert [trace["name"] for trace in marks(drawn)] == [
        "completed (n = 2)", "stopped (n = 1)", "running (n = 1)", "failed, no val_acc (n = 1)"
    ]  # fmt: skip


@pytest.mark.parametrize("apart, unit", [("20min", "minutes"), ("3h", "hours"), ("30h", "days")])
def test_time_is_told_in_a_unit_that_fits(apart: str, unit: str) -> None:
    started = pd.date_range("2026-01-01", periods=5, freq=apart, tz="UTC").map(str)
    drawn = history(TRIALS.assign(started=started))
    assert drawn["layout"]["xaxis"]["title"]["text"] == f"{unit} after the first start"


def test_without_any_start_the_trials_stand_in_the_order_of_the_table() -> None:
    drawn = history(TRIALS.drop(columns="started"))
    assert named(drawn, "completed")["x"] == [1.0, 3.0]
    assert drawn["layout"]["xaxis"]["title"]["text"] == "trial, in the order of the table"


def test_trials_without_a_start_are_not_drawn_among_those_with_one() -> None:
    assert num_marks(history(TRIALS.assign(started=[None, *TRIALS["started"][1:]]))) == 4


def test_trials_without_accuracy_lie_below_the_others() -> None:
    drawn = history()
    floor = named(drawn, "failed, no val_acc")["y"]
    assert floor[0] < TRIALS["val_acc"].min()
    low, high = history(TRIALS.assign(val_acc=np.nan))["layout"]["yaxis"]["range"]
    assert low < 0 < high


def test_the_best_so_far_never_falls() -> None:
    best = named(history(TRIALS.sort_values("val_acc")), "best so far")
    assert best["line"]["shape"] == "hv"
    assert best["x"] == [0, 1, 2, 4] and best["y"] == [0.4] * 4, "trial a started first"


def test_outcomes_differ_without_colour() -> None:
    drawn = history()
    symbols = [t["marker"]["symbol"] for t in marks(drawn)]
    assert len(set(symbols)) == TRIALS["status"].nunique()
    bars = workers_figure(workers_of(TRIALS), TRIALS.iloc[:0])["data"]  # type: ignore[arg-type]
    assert bars == []


def test_curves_are_one_trace_an_outcome_with_a_gap_after_each_and_the_best_is_thick() -> None:
    [drawn] = curve_figures(sweep(rungs=[2]), EPOCHS, TRIALS, ["val_acc"], links())
    completed = named(drawn, "completed")
    assert completed["x"] == [1, 2, 3, None, 1, 2] and completed["y"][4:] == [0.2, 0.3]
    best = named(drawn, "best trial")
    assert best["y"] == [0.1, 0.3, 0.4] and best["line"]["width"] > 2
    assert [shape["x0"] for shape in drawn["layout"]["shapes"]] == [2]
    assert "n = 3 trials" in drawn["layout"]["title"]["text"]


def test_stopped_curves_end_in_a_marker_and_so_does_a_single_epoch() -> None:
    stopped = TRIALS.assign(status="stopped")
    [drawn] = curve_figures(sweep(stopped), EPOCHS, stopped, ["val_acc"], links(stopped))
    [ends] = [trace for trace in drawn["data"] if trace["mode"] == "markers"]
    assert (ends["x"], ends["y"]) == ([3, 1, 2], [0.4, 0.2, 0.3])
    alone = EPOCHS[EPOCHS["trial_id"] == "b"]
    completed = TRIALS.assign(status="completed")
    [drawn] = curve_figures(sweep(), alone, completed, ["val_acc"], links(completed))
    assert [t["x"] for t in drawn["data"] if t["mode"] == "markers"] == [[1]]


def test_an_exploded_loss_leaves_the_plot_and_the_plot_says_so() -> None:
    calm = pd.DataFrame({"trial_id": "a", "epoch": range(1, 101), "val_loss": 2.0})
    [drawn] = curve_figures(sweep(), pd.concat([calm, EPOCHS]), TRIALS, ["val_loss"], links())
    axis = drawn["layout"]["yaxis"]
    assert axis["range"][1] < 10
    assert axis["title"]["text"].endswith("1 value above, up to 900")


def test_a_hyperparameter_has_every_measured_trial_as_a_dot_and_counts_them() -> None:
    measured = TRIALS.dropna(subset="val_acc")
    names = ["activation", "learning_rate"]
    for drawn in slice_figures(sweep(), measured, names, links(), "by epoch 2"):
        assert num_linked(drawn) == 4
        assert drawn["layout"]["yaxis"]["title"]["text"] == "val_acc by epoch 2"
        counts = [int(t.split("= ")[1].rstrip(")")) for t in drawn["layout"]["xaxis"]["ticktext"]]
        assert sum(counts) == 4
        assert named(drawn, "median")["x"].count(None) == len(counts)


def test_many_numbers_become_four_groups_on_a_log_scale() -> None:
    table = pd.DataFrame({"trial_id": range(20), "learning_rate": 10.0 ** np.linspace(-5, -1, 20)})
    table = table.assign(val_acc=np.linspace(0, 1, 20), activation="relu")
    [drawn] = slice_figures(sweep(table), table, ["learning_rate"], links(table), "")
    assert num_linked(drawn) == 20
    assert drawn["layout"]["xaxis"]["type"] == "log"
    assert drawn["layout"]["xaxis"]["title"]["text"] == "n = 5, 5, 5, 5 by group"


def test_the_distribution_counts_every_trial_in_steps() -> None:
    drawn = distribution_figure(TRIALS)
    everyone = named(drawn, "all with a val_acc (n = 4)")
    assert everyone["x"] == [0.2, 0.2, 0.25, 0.3, 0.4, 0.4]
    assert everyone["y"] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert everyone["line"]["shape"] == "hv"
    completed = named(drawn, "completed only (n = 2)")
    assert (completed["x"][0], completed["x"][-1]) == (0.2, 0.4), "both span the plot"
    assert all(trace["line"]["width"] for trace in drawn["data"])


def test_of_very_many_trials_the_distribution_is_exact_where_it_is_drawn() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 5 * MAX_DRAWN).round(3)
    trials = pd.DataFrame({"val_acc": values})
    [trace] = distribution_figure(trials)["data"]
    assert len(trace["x"]) <= MAX_DRAWN + 2
    for x, y in list(zip(trace["x"], trace["y"], strict=True))[1:-1]:
        assert y == pytest.approx((values <= x).mean(), abs=1e-4)


def test_an_unknown_accuracy_is_not_hovered_as_zero() -> None:
    workers = workers_of(TRIALS)
    assert workers is not None
    bars = workers_figure(workers, workers.trials)["data"]
    assert [bar["customdata"] for bar in bars] == [["0.400", "0.300"], ["0.200"], ["unknown"],
                                                   ["0.250"]]  # fmt: skip
    assert all("%{customdata}" in bar["hovertemplate"] for bar in bars)
    assert len({bar["marker"]["pattern"]["shape"] for bar in bars}) == 4


def test_parallel_coordinates_have_a_line_per_trial_with_the_best_thick_and_on_top() -> None:
    drawn = parallel_figure(TRIALS, ["activation", "learning_rate"], "a", links())
    *others, best = drawn["data"]
    assert best["line"]["width"] > 2 and "customdata" not in best
    assert best["y"][-2:] == [1, None], "at the upper end of the axis of val_acc"
    assert {row for trace in others for row in trace["customdata"]} == {-1, 0, 1, 2, 4}
    assert "<b>activation</b><br>relu" in notes(drawn), "its value below the name"
    assert "not logged" in notes(drawn)
    axes = drawn["layout"]["meta"]["axes"]
    assert [(a["name"], a["is_number"]) for a in axes] == [
        ("activation", False), ("learning_rate", True), ("val_acc", True)
    ]  # fmt: skip
    for trace in others:  # each crosses each axis, where the page looks for it
        crossed = [x for x in trace["x"] if x in (0, 1, 2)]
        assert len(crossed) == 3 * len({*trace["customdata"]} - {-1})


def test_a_long_name_stands_in_two_lines_above_its_axis() -> None:
    assert broken("first_layer_filters") == ["first_layer_", "filters"]
    assert broken("dropout") == ["dropout"]
    assert all(len(part) <= 14 for part in broken("a_very_long_hyperparameter_name_indeed"))


def test_trials_have_the_colours_of_the_first_name_and_of_others_that_may_be_chosen() -> None:
    found = linked(sweep(), TRIALS, ["learning_rate", "activation"])
    assert [c.name for c in found.colourings] == [
        "learning_rate", "activation", "val_acc", "outcome"
    ]  # fmt: skip
    ids = TRIALS["trial_id"]
    parts = {label: ids[has].tolist() for label, _, has in found.groups(ids)}
    assert parts == {"0.0001": ["a"], "0.001": ["c", "d"], "0.01": ["b", "e"]}
    for colouring in found.colourings:
        looks = list(colouring.looks.values())
        assert len({(look.symbol, look.dash, look.color) for look in looks}) == len(looks)
        assert len(colouring.codes) == len(TRIALS) and max(colouring.codes) < len(looks)
    names = found.colourings[1]
    assert list(names.looks) == ["gelu", "relu", "not logged"]
    assert found.colourings[2].as_data()["labels"][-1] == "no val_acc"


def test_the_epoch_of_comparison_is_marked_unless_it_is_a_rung_or_the_last() -> None:
    def marked(compared: int, *rungs: int) -> bool:
        found = sweep(rungs=list(rungs))
        [drawn] = curve_figures(found, EPOCHS, TRIALS, ["val_acc"], links(), compared)
        return any(trace.get("name") == "compared here" for trace in drawn["data"])

    assert marked(2) and not marked(2, 2) and not marked(3)


def test_two_decades_make_a_log_scale_and_less_does_not() -> None:
    assert scale_of(pd.Series([1e-4, 1e-3, 1e-2])).positions.tolist() == pytest.approx([0, 0.5, 1])
    assert scale_of(pd.Series([32, 64, 128])).positions[1] == pytest.approx(1 / 3)


def test_booleans_are_names_and_not_numbers() -> None:
    assert numbers_of(pd.Series([True, False])) is None
    assert [text for *_, text in groups_of(pd.Series([True, False])).spans] == ["false", "true"]


@pytest.mark.parametrize("value, text", [
    (64.0, "64"), (0.00872506, "0.008725"), (True, "true"), (None, "\u2013"),
    (float("nan"), "\u2013"),
    (pd.NA, "\u2013"), (1e-5, "1e-05"), ({"min": 1}, "min: 1"), ([1, 3], "1, 3"),
])  # fmt: skip
def test_values_are_written_as_a_reader_writes_them(value: object, text: str) -> None:
    assert shown(value) == text


def predictions(classes: list[str], n: int = 10) -> pd.DataFrame:
    table = pd.DataFrame({"label": np.repeat(classes, n)})
    table["predicted"] = table["label"].where(table.index % 3 > 0, classes[0])
    return table.assign(correct=table["label"] == table["predicted"])


@pytest.mark.parametrize("num_classes", [2, 10, 20, 21, 100])
def test_the_confusion_matrix_has_numbers_up_to_20_classes(num_classes: int) -> None:
    classes = [f"class {i}" for i in range(num_classes)]
    drawn = confusion_figure(confusion_counts(predictions(classes), classes))
    [trace] = drawn["data"]
    assert ("text" in trace) == (num_classes <= 20)
    counts = trace["text"] if num_classes <= 20 else trace["customdata"]
    assert np.sum(counts) == 10 * num_classes and np.shape(trace["z"]) == (num_classes,) * 2
    layout = drawn["layout"]
    assert f"n = {10 * num_classes:,} test" in layout["title"]["text"]
    assert layout["yaxis"]["ticktext"] == classes
    assert layout["xaxis"]["title"]["text"] == "predicted class"
    assert layout["yaxis"]["title"]["text"] == "true class"
    assert ("width" in layout) == (num_classes > 40)


def test_recall_bars_are_as_long_as_the_recall_and_say_n() -> None:
    classes = ["a", "<b>b</b>", "never tested"]
    drawn = recalls_figure(class_recalls(predictions(classes[:2]), classes))
    [bars] = drawn["data"]
    assert bars["x"] == pytest.approx([1.0, 0.7, 0.0])
    assert bars["error_x"]["array"][2] == bars["error_x"]["arrayminus"][2] == 0
    assert drawn["layout"]["yaxis"]["ticktext"] == [
        "a (n = 10)", "&lt;b&gt;b&lt;/b&gt; (n = 10)", "never tested (n = 0)"
    ]  # fmt: skip


def test_calibration_says_how_many_photographs_a_bin_has() -> None:
    bins = pd.DataFrame({"n": [1500, 1499], "confidence": [0.2, 0.9], "accuracy": [0.3, 0.8],
                         "low": [0.2, 0.7], "high": [0.4, 0.9]})  # fmt: skip
    drawn = calibration_figure(bins)
    assert "n = 2,999, 1,499 to 1,500 a bin" in drawn["layout"]["title"]["text"]
    equal, dots = drawn["data"]
    assert equal["x"] == equal["y"] == [0, 1]
    assert dots["error_y"]["array"] == pytest.approx([0.1, 0.1])


def test_confidence_is_drawn_of_right_and_of_wrong_predictions() -> None:
    table = pd.DataFrame(
        {"confidence": [0.9, 0.5, 0.5, np.nan], "correct": [True, True, False, False]}
    )
    right, wrong = confidence_figure(table)["data"]
    assert right["name"] == "right (n = 2)" and wrong["name"] == "wrong (n = 1)"
    assert (right["x"], right["y"]) == ([0, 0.5, 0.9, 1], [0, 0.5, 1, 1])
    assert right["line"]["dash"] != wrong["line"]["dash"]


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


def test_each_effect_is_a_mark_with_its_interval_and_both_n_are_told() -> None:
    drawn = effects_figure(EFFECTS, IMPORTANCE, "by epoch 3")
    marked = [trace for trace in drawn["data"] if trace["mode"] == "markers"]
    found = {t["marker"]["symbol"]: (t["x"], t["error_x"]) for t in marked}
    assert {s: x for s, (x, _) in found.items()} == {
        "triangle-up": [8.0], "triangle-down": [-9.0], "circle": [1.0]
    }  # fmt: skip
    error = found["triangle-up"][1]
    assert (error["arrayminus"], error["array"]) == ([3.0], [3.0])
    layout = drawn["layout"]
    assert notes(drawn) == ["<b>lr = 0.1</b> (n = 10)", "<b>norm = false</b> (n = 21)"]
    assert layout["yaxis"]["ticktext"] == ["0.01 (n = 20)", "1 (n = 12)", "true (n = 21)"]
    assert "by epoch 3" in layout["xaxis"]["title"]["text"]
    places = [n["y"] for n in layout["annotations"]] + layout["yaxis"]["tickvals"]
    assert len(set(places)) == 5, "no row lies on another"
    assert layout["height"] > effects_figure(EFFECTS[:1], IMPORTANCE[:1], "")["layout"]["height"]


def test_long_names_leave_a_phone_room_for_the_marks() -> None:
    effects = EFFECTS.assign(value="v" * 40, reference="r" * 40).replace("lr", "x" * 40)
    drawn = effects_figure(effects, IMPORTANCE.replace("lr", "x" * 40), "")
    assert drawn["layout"]["yaxis"]["ticktext"][0] == f"{'v' * 17}… (n = 20)"
    assert notes(drawn)[0] == f"<b>{'x' * 29}… = {'r' * 19}…</b> (n = 10)"


def test_importance_bars_are_as_long_as_their_shares_and_the_legend_says_what_differs() -> None:
    sure, unsure = importance_figure(IMPORTANCE, {"lr": 0.01, "norm": 0.2})["data"]
    assert (sure["x"], unsure["x"]) == ([60], [0])
    assert [sure["name"], unsure["name"]] == ["no chance (p at most 0.05)", "may be chance"]
    looks = [(t["marker"]["color"], t["marker"]["pattern"]["shape"]) for t in (sure, unsure)]
    assert looks[0][0] != looks[1][0] and looks[0][1] != looks[1][1]


def test_a_pairs_cells_say_their_mean_and_n() -> None:
    cells = pd.DataFrame({"first": ["a", "a", "b"], "second": ["x", "y", "x"],
                          "mean": [0.1, 0.2, 0.3], "n": [3, 4, 5]})  # fmt: skip
    [trace] = pair_figure(cells, "one", "other")["data"]
    assert trace["z"] == [[0.1, 0.2], [0.3, None]]
    assert trace["text"] == [["0.100<br>n = 3", "0.200<br>n = 4"], ["0.300<br>n = 5", ""]]


def test_a_surface_lies_between_its_trials_and_is_empty_where_there_are_none() -> None:
    rate = np.r_[np.full(30, 1e-4), np.full(30, 1e-1)] * np.linspace(1, 1.2, 60)
    width = np.r_[np.linspace(0, 0.2, 30), np.linspace(0.8, 1, 30)]
    table = pd.DataFrame({"rate": rate, "width": width, "val_acc": np.repeat([0.1, 0.9], 30)})
    drawn = surface_figure(table, "rate", "width")
    contour, dots = drawn["data"]
    surface = np.array(contour["z"], dtype=float)
    assert surface[0, 0] == pytest.approx(0.1) and surface[-1, -1] == pytest.approx(0.9)
    assert np.isnan(surface[0, -1]) and len(dots["x"]) == 60
    assert (
        drawn["layout"]["yaxis"]["type"] == "log" and drawn["layout"]["xaxis"]["type"] == "linear"
    )


def test_of_very_many_trials_of_several_sweeps_the_best_so_far_is_that_of_all() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 5000)
    table = by_number(pd.DataFrame({"val_acc": values}))
    dots, best = progress_figure({"a": table, "b": table[:10]}, "trial")["data"][:2]
    assert len(dots["x"]) < 600 and best["x"][-1] == 5000
    steps = dict(zip(best["x"], best["y"], strict=True))
    records = table[table["best"].diff().fillna(1) > 0]
    assert [steps[x] for x in records["x"]] == pytest.approx(records["best"].tolist(), abs=1e-5)


def test_one_giant_effect_does_not_squeeze_the_others_and_is_told() -> None:
    giant = EFFECTS.iloc[[0]].assign(
        hyperparameter="norm", value="odd", effect=0.9, low=0.8, high=1
    )
    drawn = effects_figure(pd.concat([EFFECTS, giant]), IMPORTANCE, "")
    low, high = drawn["layout"]["xaxis"]["range"]
    assert low < -12 and 12 < high < 60
    assert "<b>+90 ▸</b>" in notes(drawn)


def test_where_nobody_knows_there_is_no_mark_and_the_figure_says_so() -> None:
    unknown = EFFECTS.assign(effect=[0.08, np.nan, np.nan], low=[0.05, np.nan, np.nan])
    drawn = effects_figure(unknown, IMPORTANCE, "by epoch 9")
    assert notes(drawn).count("nobody knows") == 2
    assert sum(len(t["x"]) for t in drawn["data"] if t["mode"] == "markers") == 1


def test_who_does_not_learn_is_drawn_by_value_the_surest_hyperparameter_first() -> None:
    columns = ["hyperparameter", "value", "n", "failed", "share", "low", "high", "p_adjusted"]
    table = pd.DataFrame(
        [("dropout", "0.2", 10, 2, 0.2, 0.05, 0.5, 0.6), ("lr", "1", 8, 8, 1.0, 0.7, 1.0, 0.001),
         ("lr", "0.1", 12, 0, 0.0, 0.0, 0.3, 0.001)], columns=columns,
    )  # fmt: skip
    drawn = learning_figure(table)
    assert notes(drawn) == ["<b>lr</b> (p = 0.001)", "<b>dropout</b> (p = 0.6)"]
    assert drawn["layout"]["yaxis"]["ticktext"] == ["1 (8 of 8)", "0.1 (0 of 12)", "0.2 (2 of 10)"]
    sure, unsure = drawn["data"]
    assert (sure["x"], unsure["x"]) == ([1, 0], [0.2])
    assert sure["marker"]["symbol"] != unsure["marker"]["symbol"]
