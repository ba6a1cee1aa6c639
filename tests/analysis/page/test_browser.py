"""The page in a browser: it asks for nothing, filters, sorts, and can be used with the keyboard."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")

NASTY = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"a"|b..c',
    "<b>x</b>",
]


def write_sweep(folder: Path, *, n: int = 40, num_epochs: int = 4) -> Path:
    """A sweep of which everything is known, whose values are hostile to a page."""
    rng = np.random.default_rng(0)
    stopped = np.arange(n) % 3 == 0
    trials = pd.DataFrame({
        "trial_id": [f"<b>{i:03d}</b>" for i in range(n)],
        "status": np.where(stopped, "stopped", "completed"),
        "activation": np.resize(NASTY, n),
        "batch_norm": rng.choice([True, False], n),
        "learning_rate": 10 ** rng.uniform(-5, -1, n),
        "dropout": rng.uniform(0, 0.5, n),
        "</script><img src=x onerror=alert(2)>": rng.choice([1, 2], n),
        "epochs": np.where(stopped, 2, num_epochs),
        "seconds": rng.uniform(20, 90, n),
        "started": pd.date_range("2026-01-01", periods=n, freq="40s", tz="UTC").map(str),
        "node": "</script>",
        "error": NASTY[0],
    })  # fmt: skip
    trials["val_acc"] = 0.3 + 0.1 * trials["batch_norm"] + rng.normal(0, 0.02, n)
    trials.loc[n - 1, ["status", "val_acc"]] = ["failed", np.nan]
    epochs = pd.DataFrame([
        (row.trial_id, epoch, row.val_acc * epoch / row.epochs, 2 / epoch)
        for row in trials.itertuples() for epoch in range(1, row.epochs + 1)
    ], columns=["trial_id", "epoch", "val_acc", "val_loss"])  # fmt: skip
    folder.mkdir()
    trials.to_csv(folder / "trials.csv", index=False)
    epochs.to_csv(folder / "epochs.csv", index=False)
    (folder / "sweep.json").write_text(json.dumps({"name": NASTY[0], "rungs": [2]}))
    return folder


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The page with all plots drawn, and what the browser said of it."""
    index = write_report(write_sweep(tmp_path_factory.mktemp("sweeps") / "s"))
    said: list[str] = []
    asked: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, reduced_motion="reduce")
        page.set_default_timeout(180_000)  # of a busy machine
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
        page.on("request", lambda request: asked.append(request.url))
        page.goto(index.as_uri())
        scroll_through(page)
        yield SimpleNamespace(page=page, said=said, asked=asked, index=index)
        browser.close()


def scroll_through(page: Any) -> None:
    page.wait_for_function("window.Plotly")
    for group in page.query_selector_all(".live"):
        group.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('.panel')].every(p => p.querySelector('.main-svg'))"
    )


def ids(page: Any) -> list[str]:
    return page.eval_on_selector_all(
        "table.sortable tbody tr",
        "rows => rows.filter(r => !r.hidden).map(r => r.cells[0].innerText)",
    )


def panel_of(page: Any, which: str) -> Any:
    """The first panel whose figure fulfils this."""
    index = page.evaluate(
        "[...document.querySelectorAll('.panel')].findIndex(({layout}) => {"
        f" const meta = layout?.meta ?? {{}}; return {which}; }})"
    )
    return page.locator(".panel").nth(index)


PARALLEL, SLICE, CURVES = "meta.axes", "meta.column === 'learning_rate'", "meta.metric"


def box_over(
    page: Any, which: str, x: tuple[float, float], y: tuple[float, float] | None = None
) -> None:
    """Drag from one corner to the other, in what the axes count; a log axis in powers of ten.

    Without `y` from nearly the lowest to nearly the highest that is in sight.
    """
    panel = panel_of(page, which)
    panel.scroll_into_view_if_needed()
    left, right, bottom, top = panel.evaluate(
        "(div, [x, y]) => { const {xaxis, yaxis} = div._fullLayout, box ="
        " div.getBoundingClientRect(); return [...x.map(v => box.x + xaxis._offset + xaxis.l2p(v)),"
        " ...(y ?? [.02, .98].map(share => yaxis.range[0] + share * (yaxis.range[1] -"
        " yaxis.range[0]))).map(v => box.y + yaxis._offset + yaxis.l2p(v))]; }",
        [x, y],
    )
    page.mouse.move(left, bottom)
    page.mouse.down()
    page.mouse.move((left + right) / 2, (bottom + top) / 2, steps=4)
    page.mouse.move(right, top, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)


def over_axis(page: Any, number: int, low: float, high: float) -> None:
    """A box over an axis of the parallel coordinates."""
    box_over(page, PARALLEL, (number - 0.1, number + 0.1), (low, high))


def shown_marks(page: Any, which: str) -> set[int]:
    """The trials whose marks have colour, by number."""
    panel = panel_of(page, which)
    panel.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    return set(
        panel.evaluate(
            "div => div.data.filter(t => t.customdata && (t.line ?? t.marker).color !== '#e1e6eb')"
            ".flatMap(t => t.customdata)"
        )
    )


@contextmanager
def on_a_desktop(page: Any) -> Iterator[None]:
    """All of the parallel coordinates are in sight."""
    page.set_viewport_size({"width": 1400, "height": 900})
    page.wait_for_timeout(500)
    yield
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(500)


def clear(page: Any) -> None:
    page.locator(".filtered button").click()


def test_nothing_is_asked_for_and_nothing_complained_of(shown):
    assert shown.said == []
    assert shown.asked == [shown.index.as_uri()]
    assert shown.index.stat().st_size < 8_000_000


def test_names_are_text_wherever_they_stand(shown):
    page = shown.page
    made = "main a:not([href^='#']), .panel a, main img[src='x']"
    assert page.eval_on_selector_all(made, "all => all.length") == 0
    texts = page.eval_on_selector_all(".panel text", "all => all.map(text => text.textContent)")
    for name in NASTY:
        assert any(text.startswith(name[:6]) for text in texts)
    assert page.inner_text("header p") == f"Hyperparameter sweep {NASTY[0]}"
    assert page.inner_text("h1") == "40 CNNs, best 44% on validation"


def test_nothing_overflows_a_phone(shown):
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_share_of_all_stands_beside_its_words_and_not_in_them(shown):
    page, before = shown.page, shown.page.viewport_size
    page.set_viewport_size({"width": 1400, "height": 900})
    between = page.evaluate("""() => {
      const number = document.querySelector('.columns .key dd'), was = number.innerHTML;
      number.textContent = '100.0%';
      const drawn = document.createRange();
      drawn.selectNodeContents(number);
      const words = number.parentElement.querySelector('dt').getBoundingClientRect();
      const between = words.left - drawn.getBoundingClientRect().right;
      number.innerHTML = was;
      return between;
    }""")
    page.set_viewport_size(before)
    assert between > 0


def test_a_plot_is_in_place_of_its_still_picture_except_in_print(shown):
    page = shown.page
    assert not any(image.is_visible() for image in page.query_selector_all(".still img"))
    page.emulate_media(media="print")
    assert all(image.is_visible() for image in page.query_selector_all(".still img"))
    assert not any(panel.is_visible() for panel in page.query_selector_all(".panel"))
    page.emulate_media(media="screen")


def test_every_picture_and_plot_has_a_text(shown):
    texts = shown.page.eval_on_selector_all(
        "img, .panel",
        "all => all.map(e => e.alt ?? (e.getAttribute('role') === 'img' && e.ariaLabel))",
    )
    assert len(texts) > 15 and all(len(text or "") > 20 for text in texts)


AXES = ["activation", "batch_norm", "learning_rate", "dropout", "img", "val_acc"]


def test_brushing_an_axis_filters_the_table_and_clearing_shows_all(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    with on_a_desktop(page):
        over_axis(page, AXES.index("val_acc"), 0.8, 1.03)
        low = best["val_acc"].min() + 0.8 * np.ptp(best["val_acc"].dropna())
        assert ids(page) == best.loc[best["val_acc"] >= low, "trial_id"].tolist()
        over_axis(page, AXES.index("batch_norm"), -0.06, 0.06)
        assert ids(page) == []
        clear(page)
        assert len(ids(page)) == len(best)
        over_axis(page, 0, -0.06, 0.06)  # the first of the alphabet, with quotes and bars in it
        assert ids(page) == best.loc[best["activation"] == sorted(NASTY)[0], "trial_id"].tolist()
        clear(page)


def test_what_is_typed_filters_rows_and_marks_of_every_plot(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    rate = best["learning_rate"]
    for column, text, match in (
        ("status", "Stop", best["status"] == "stopped"),
        ("learning_rate", "1e-4..0.01", rate.between(1e-4, 0.01)),
        ("learning_rate", "<0.001 | >0.01", (rate < 0.001) | (rate > 0.01)),
        ("activation", json.dumps(NASTY[2]), best["activation"] == NASTY[2]),
        ("batch_norm", "true", best["batch_norm"]),
    ):
        page.fill(f'[aria-label="Filter {column}"]', text)
        assert ids(page) == best.loc[match, "trial_id"].tolist()
        wanted = set(best.index[match & best["val_acc"].notna()])
        assert shown_marks(page, PARALLEL) == wanted
        assert shown_marks(page, SLICE) == wanted
        assert shown_marks(page, CURVES) == wanted
        page.fill(f'[aria-label="Filter {column}"]', "")


def test_a_box_in_a_slice_and_one_in_the_curves_filter_all_the_others(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    box_over(page, SLICE, (-3, -0.9))
    assert ids(page) == best.loc[best["learning_rate"] >= 1e-3, "trial_id"].tolist()
    assert page.input_value('[aria-label="Filter learning_rate"]').count("..") == 1
    before = set(ids(page))
    box_over(page, CURVES, (2.5, 4))  # those that went on for long
    left = set(ids(page))
    assert left == before & set(best.loc[best["epochs"] == 4, "trial_id"])
    assert 0 < len(left) < len(before)
    assert f"{len(left)} of 40 trials" in page.inner_text(".filtered")
    clear(page)


def test_colours_are_those_of_the_hyperparameter_that_is_chosen(shown):
    page = shown.page
    names = page.locator(".explorer select option").all_inner_texts()
    assert names[0] == "batch_norm", "what matters most comes first"
    assert set(names) >= {"activation", "learning_rate", "val_acc", "outcome"}
    titles = ".legend > b"
    for name in ("outcome", "batch_norm"):
        page.locator(".explorer select").select_option(label=name)
        for group in page.query_selector_all(".live"):
            group.scroll_into_view_if_needed()
            page.wait_for_timeout(100)
        assert set(page.locator(titles).all_inner_texts()) == {name}
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    by_colour = panel_of(page, SLICE).evaluate(
        "div => div.data.filter(t => t.customdata).map(t => t.customdata)"
    )
    values = [set(best["batch_norm"][rows]) for rows in by_colour]
    assert values == [{False}, {True}]


def test_the_choice_of_colour_and_the_number_of_trials_stay_in_sight(shown):
    page = shown.page
    for which in (SLICE, PARALLEL):
        panel_of(page, which).scroll_into_view_if_needed()
        place = page.locator(".explorer").bounding_box()
        assert 0 <= place["y"] < 150, "below the navigation"


def test_a_click_on_a_trial_opens_its_card_beside_the_champions(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    trial = best.iloc[3]
    page.locator("td button", has_text=trial["trial_id"]).click()
    card = page.locator("dialog.card")
    assert card.locator("h3").inner_text() == f"Trial {trial['trial_id']}"
    rows = dict(zip(card.locator("td:first-child").all_inner_texts(),
                    card.locator("td:nth-child(2)").all_inner_texts(), strict=True))  # fmt: skip
    assert rows["activation"] == trial["activation"]
    page.wait_for_function("document.querySelector('.card .main-svg')")
    curves = card.locator(".curve").evaluate("div => div.data.map(t => t.x.length)")
    assert curves == [best.iloc[0]["epochs"], trial["epochs"]]
    different = set(card.locator(".differs td:first-child").all_inner_texts())
    same = best.iloc[0]["batch_norm"] == trial["batch_norm"]
    assert ("batch_norm" in different) == (not same) and "val_acc" in different
    page.keyboard.press("Escape")
    assert card.count() == 0


def test_the_result_and_the_curves_are_in_the_first_screen_of_a_desktop(shown):
    page = shown.page
    with on_a_desktop(page):
        page.evaluate("scrollTo(0, 0)")
        bottom = page.evaluate("document.querySelector('.columns').getBoundingClientRect().bottom")
        assert bottom < 900
        assert page.evaluate("document.documentElement.scrollWidth") <= 1400


def test_headings_sort_by_number_and_unknown_values_stay_last(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    by_rate = best.sort_values("learning_rate")["trial_id"].tolist()
    head = page.locator("th button", has_text="learning_rate")
    head.focus()
    page.keyboard.press("Enter")
    assert ids(page) == by_rate[::-1]
    page.keyboard.press("Space")
    assert ids(page) == by_rate
    page.locator("th button", has_text="val_acc").click()
    assert ids(page) == best["trial_id"].tolist()  # the failed one last, as at first


def test_the_keyboard_reaches_everything_that_can_be_used(shown):
    page = shown.page
    wanted = page.eval_on_selector_all(
        "a, button, input, select, summary, .box",
        "all => all.filter(e => e.offsetParent && !e.hidden).length",
    )
    page.evaluate("document.activeElement.blur(); window.reached = new Set(); scrollTo(0, 0)")
    page.focus("nav a")
    for _ in range(wanted):
        page.evaluate("reached.add(document.activeElement)")
        page.keyboard.press("Tab")
    assert page.evaluate("reached.size") == wanted


def test_a_legend_hides_and_shows_a_kind_of_trial_in_all_plots(shown):
    page = shown.page
    page.locator(".explorer select").select_option(label="outcome")
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    stopped = set(best.index[best["status"] == "stopped"])
    curves = panel_of(page, CURVES)
    curves.scroll_into_view_if_needed()
    legend = curves.locator("xpath=ancestor::*[contains(@class, 'live')]/preceding-sibling::*[1]")
    entry = legend.locator("button", has_text="stopped")
    entry.press("Enter")
    assert entry.get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.activeElement.textContent") == "stopped", "it keeps the focus"
    for which in (CURVES, SLICE):
        assert not shown_marks(page, which) & stopped
    curves.scroll_into_view_if_needed()
    entry.press("Enter")
    for which in (CURVES, SLICE):
        assert shown_marks(page, which) >= stopped
