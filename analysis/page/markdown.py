"""A report's page as one Markdown file beside its figures."""

import html
import re
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment

from analysis.page.blocks import Page
from analysis.page.templating import environment
from analysis.reading.values import shown


def as_markdown(page: Page) -> str:
    """The same report as Markdown beside the folder `figures`."""
    return _jinja().get_template("report.md.j2").render(page=page)


@cache
def _jinja() -> Environment:
    return environment(plain=_plain, row=_row, escaped=_escaped)


def _plain(text: str) -> str:
    """Text in which nothing is markup, neither HTML nor Markdown, on one line."""
    escaped = _escaped(" ".join(text.split()))
    escaped = re.sub(r"([\\`*~|$\[\]])", r"\\\1", escaped)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", escaped)  # within a word it is no markup


def _row(cells: Sequence[object]) -> str:
    """A row of a table."""
    return f"| {' | '.join(_plain(shown(cell)) for cell in cells)} |"


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
