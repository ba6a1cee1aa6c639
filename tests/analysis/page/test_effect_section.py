"""The sections on effects: the end beside early, what nobody knows, and who learns at all."""

from pathlib import Path

import pytest

from analysis.page.blocks import Hidden, Paragraph, Plot, Points
from analysis.page.contents import build_page
from analysis.page.markdown import as_markdown
from analysis.page.sections.effects import effect_section, learning_section
from analysis.plots.style import Figure
from analysis.reading.folder import SweepFolder
from analysis.statistics.findings import find
from tests.analysis.statistics.test_course import crossing
from tests.analysis.statistics.test_learning import collapsing


def effects_plot(sweep: SweepFolder) -> Plot:
    [drawn] = [
        block for block in effect_section(sweep, find(sweep, [])).blocks
        if isinstance(block, Plot) and block.name == "effects"
    ]  # fmt: skip
    return drawn


def mark(drawn: Figure, hyperparameter: str) -> float:
    """Where the only mark of this hyperparameter stands."""
    [x] = [
        x for trace in drawn["data"] if trace["mode"] == "markers"
        for x, said in zip(trace["x"], trace["customdata"], strict=True)
        if said[0].startswith(hyperparameter)
    ]  # fmt: skip
    return x


def test_effects_at_the_end_stand_beside_early_ones_of_the_other_sign() -> None:
    late, early = (panel.figure for panel in effects_plot(crossing()).panels)
    assert late["layout"]["title"]["text"] == "<b>At the end, by epoch 9</b>"
    assert early["layout"]["title"]["text"] == "<b>Early, by epoch 3</b>"
    assert late["layout"]["yaxis"]["tickvals"] == early["layout"]["yaxis"]["tickvals"]
    assert late["layout"]["xaxis"]["range"] == early["layout"]["xaxis"]["range"]
    texts = [[note["text"].split(" (n")[0] for note in drawn["layout"]["annotations"]]
             for drawn in (late, early)]  # fmt: skip
    assert texts[0] == texts[1], "the same references"
    assert mark(late, "optimizer") * mark(early, "optimizer") < 0
    assert abs(mark(early, "optimizer")) == pytest.approx(4, abs=2)


def test_of_a_value_that_no_trial_took_further_the_figure_says_that_nobody_knows() -> None:
    sweep = crossing(alone="adam")
    late, early = (panel.figure for panel in effects_plot(sweep).panels)
    assert [n["text"] for n in late["layout"]["annotations"]].count("nobody knows") == 1
    assert "nobody knows" not in [n["text"] for n in early["layout"]["annotations"]]
    [hidden] = [
        block for block in effect_section(sweep, find(sweep, [])).blocks
        if isinstance(block, Hidden)
    ]  # fmt: skip
    [points] = hidden.blocks
    assert isinstance(points, Points)
    assert points.items == ["No trial with optimizer adam went past epoch 3."]


def test_where_too_few_went_on_one_figure_is_drawn_and_it_is_said() -> None:
    sweep = crossing(kept=0.05)
    assert len(effects_plot(sweep).panels) == 1
    first = effect_section(sweep, find(sweep, [])).blocks[0]
    assert isinstance(first, Paragraph)
    assert "Nobody knows what these effects are at the end" in first.text


def test_who_does_not_learn_comes_before_all_else_that_matters() -> None:
    sweep = collapsing()
    findings = find(sweep, [])
    points, note, drawn = learning_section(findings).blocks
    assert isinstance(points, Points) and "with batch_norm false" in points.items[0]
    assert isinstance(note, Paragraph) and "networks that learned" in note.text
    assert isinstance(drawn, Plot)
    first = drawn.panels[0].figure["layout"]["annotations"][0]["text"]
    assert first.startswith("<b>batch_norm</b>")
    text = as_markdown(build_page(sweep, findings, photo_folders=[Path()]))
    matters = text.split("## What matters")[1]
    assert matters.strip().startswith("### Does it learn at all?")
    assert not learning_section(find(crossing(), [])).blocks
