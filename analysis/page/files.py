"""Writes a page and its figures into a report's folder."""

from pathlib import Path

from analysis.page.blocks import Page, Plot, figures_of
from analysis.page.html import as_html
from analysis.page.markdown import as_markdown
from analysis.plots.still import picture


def write_page(page: Page, report: Path) -> Path:
    """The path of the new page `report`/index.html; report.md and figures/ lie beside it."""
    figures = report / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    names = set()
    for block in (found for section in page.sections for found in figures_of(section.blocks)):
        assert block.name not in names, f"two figures are called {block.name}"
        names.add(block.name)
        if isinstance(block, Plot):
            image = picture([panel.figure for panel in block.panels])
        else:
            image = block.image
        image.save(figures / f"{block.name}.png", optimize=True)
    (report / "report.md").write_text(as_markdown(page), "utf-8")
    index = report / "index.html"
    index.write_text(as_html(page, figures), "utf-8")
    return index
