"""Writes a page and its figures into a report's folder."""

from pathlib import Path

from analysis.page.blocks import Page, Picture, Plot
from analysis.page.html import as_html
from analysis.page.markdown import as_markdown
from analysis.plots.still import picture


def write_page(page: Page, report: Path) -> Path:
    """The path of the new page `report`/index.html; report.md and figures/ lie beside it."""
    figures = report / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for block in (block for section in page.sections for block in section.blocks):
        if isinstance(block, Plot):
            image = picture([panel.figure for panel in block.panels])
        elif isinstance(block, Picture):
            image = block.image
        else:
            continue
        image.save(figures / f"{block.name}.png", optimize=True)
    (report / "report.md").write_text(as_markdown(page), "utf-8")
    index = report / "index.html"
    index.write_text(as_html(page, figures), "utf-8")
    return index
