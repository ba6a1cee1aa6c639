"""A report's page as one Markdown file beside its figures."""

import html
import re

from analysis.page import (
    Block,
    Folded,
    KeyFigures,
    Page,
    Paragraph,
    Picture,
    Plot,
    Points,
    Table,
)
from analysis.values import shown


def as_markdown(page: Page) -> str:
    """The same report as Markdown beside the folder `figures`."""
    parts = [f"# {_plain(page.title)}", _plain(page.subtitle)]
    for section in page.sections:
        parts.append(f"## {_plain(section.title)}")
        parts.extend(_markdown_block(block) for block in section.blocks)
    return "\n\n".join(parts) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _plain(text)
        case Points(items, numbered):
            marks = [f"{number}." if numbered else "-" for number in range(1, len(items) + 1)]
            return "\n".join(
                f"{mark} {_plain(text)}" for mark, text in zip(marks, items, strict=True)
            )
        case KeyFigures(items):
            return "\n".join(f"- **{_plain(number)}** {_plain(label)}" for number, label in items)
        case Folded(title, text):
            body = html.escape(text.strip("\n"), quote=False)
            return (
                f"<details><summary>{html.escape(title)}</summary>\n<pre>{body}</pre>\n</details>"
            )
        case Plot(still=still):
            return _markdown_block(still)
        case Picture(name, alt, caption):
            return f"![{_plain(alt)}](figures/{name}.png)\n\n*{_plain(caption)}*"
        case Table(head, rows):
            lines = [head, ["---"] * len(head), *rows]
            return "\n".join(
                "| "
                + " | ".join("---" if cell == "---" else _plain(shown(cell)) for cell in line)
                + " |"
                for line in lines
            )


def _plain(text: str) -> str:
    """Text in which nothing is markup, neither HTML nor Markdown, on one line."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    escaped = re.sub(r"([\\`*~|$\[\]])", r"\\\1", escaped)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", escaped)  # within a word it is no markup
