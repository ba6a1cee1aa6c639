"""The page in a browser: it asks for nothing, filters, sorts, and can be used with the keyboard."""

import json
import shutil
from collections.abc import Iterator
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
        page = browser.new_page(viewport={"width": 390, "height": 800})
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


def box_over(page: Any, number: int, start: float, end: float) -> None:
    """Drag along an axis of the parallel coordinates, from and to a share of its length."""
    panel = page.query_selector_all(".panel")[-1]
    panel.scroll_into_view_if_needed()
    at = panel.evaluate(
        "(div, [n, x]) => { const {xaxis, yaxis} = div._fullLayout, box ="
        " div.getBoundingClientRect(); return [x.map(v => box.x + xaxis._offset + xaxis.d2p(v)),"
        " box.y + yaxis._offset + yaxis.d2p(-n)]; }",
        [number, [start, end]],
    )
    (left, right), y = at
    page.mouse.move(left, y - 8)
    page.mouse.down()
    page.mouse.move((left + right) / 2, y + 8, steps=4)
    page.mouse.move(right, y + 8, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)


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
    assert page.inner_text("h1") == NASTY[0]


def test_nothing_overflows_a_phone(shown):
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390


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


def test_brushing_an_axis_filters_the_table_and_clearing_shows_all(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    axes = ["activation", "batch_norm", "learning_rate", "dropout", "img", "val_acc"]
    box_over(page, axes.index("val_acc"), 0.8, 1.03)
    low = best["val_acc"].min() + 0.8 * np.ptp(best["val_acc"].dropna())
    assert ids(page) == best.loc[best["val_acc"] >= low, "trial_id"].tolist()
    box_over(page, axes.index("batch_norm"), -0.03, 0.03)
    assert ids(page) == []
    page.click(".filtered button >> visible=true")
    assert len(ids(page)) == len(best)
    box_over(page, 0, -0.03, 0.03)  # the first name of the alphabet, which holds quotes and bars
    assert ids(page) == best.loc[best["activation"] == sorted(NASTY)[0], "trial_id"].tolist()
    page.click(".filtered button >> visible=true")


def test_what_is_typed_filters_rows_and_lines(shown):
    page = shown.page
    best = pd.read_csv(shown.index.parent / "tables" / "trials.csv")
    lines = (
        "() => [...document.querySelectorAll('.panel')].at(-1).data.filter(t => t.meta)"
        ".reduce((n, t) => n + t.x.filter(v => v === null).length, 0)"
    )
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
        assert page.evaluate(lines) == int((match & best["val_acc"].notna()).sum())
        page.fill(f'[aria-label="Filter {column}"]', "")


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
        "a, button, input, summary, .box",
        "all => all.filter(e => e.offsetParent && !e.hidden).length",
    )
    page.evaluate("document.activeElement.blur(); window.reached = new Set(); scrollTo(0, 0)")
    page.focus("nav a")
    for _ in range(wanted):
        page.evaluate("reached.add(document.activeElement)")
        page.keyboard.press("Tab")
    assert page.evaluate("reached.size") == wanted


def test_a_legend_hides_and_shows_a_kind_of_trial_in_all_its_panels(shown):
    curves = shown.page.locator(".live.pairs").first
    hidden = (
        "live => [...live.querySelectorAll('.panel')].map(panel => panel.data.filter("
        "trace => trace.legendgroup === 'stopped' && trace.visible === false).length)"
    )
    entry = shown.page.locator(".legend:has(+ .live.pairs) button", has_text="stopped").first
    entry.press("Enter")
    assert entry.get_attribute("aria-pressed") == "false"
    assert curves.evaluate(hidden) == [2, 2]  # the lines and their ends, of val_acc and val_loss
    entry.press("Enter")
    assert curves.evaluate(hidden) == [0, 0]
