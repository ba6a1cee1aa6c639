"""A report's page as one HTML file that opens offline."""

import base64
import html
import io
import numbers
import re
from pathlib import Path

from PIL import Image

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
from analysis.plotly_style import as_json
from analysis.values import is_missing, shown
from analysis.web import SCRIPT, STYLE, packed_plotly, plotly, security

_HEBREW_TO_ARABIC = r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]+"
_FROM_RIGHT = re.compile(rf"{_HEBREW_TO_ARABIC}(?:[ _-]{_HEBREW_TO_ARABIC})*")
PHONE = "screen and (max-width: 43rem)"  # as in the style


def as_html(page: Page, figures: Path) -> str:
    """One file that opens offline: style, script and the pictures of folder `figures` are in it."""
    links = "".join(
        f'<a href="#s{i}">{html.escape(section.title)}</a>'
        for i, section in enumerate(page.sections, start=1)
    )
    sections = "".join(
        f'<section id="s{i}"><h2>{html.escape(section.title)}</h2>'
        + "".join(_html_block(block, figures) for block in section.blocks)
        + "</section>\n"
        for i, section in enumerate(page.sections, start=1)
    )
    title = html.escape(page.title)
    scripts, packed = [SCRIPT], ""
    if any(isinstance(block, Plot) for section in page.sections for block in section.blocks):
        scripts.append(plotly())
        packed = f'<script type="text/plain" id="plotly">{packed_plotly()}</script>'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{security(*scripts)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{title}</title><style>{STYLE}</style></head>\n'
        f'<body><header><h1>{title}</h1><p class="quiet">{html.escape(page.subtitle)}</p>'
        f'<nav aria-label="Sections">{links}</nav></header>\n<main>{sections}</main>'
        f"{packed}<script>{SCRIPT}</script></body></html>\n"
    )


def _html_block(block: Block, figures: Path) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{_prose(text)}</p>"
        case Points(items, numbered):
            tag = "ol" if numbered else "ul"
            points = "".join(f"<li>{_prose(text)}</li>" for text in items)
            return f"<{tag}>{points}</{tag}>"
        case KeyFigures(items):
            cells = "".join(
                f"<div><dd>{_prose(number)}</dd><dt>{_prose(label)}</dt></div>"
                for number, label in items
            )
            return f'<dl class="key">{cells}</dl>'
        case Folded(title, text):
            return (
                f"<details><summary>{html.escape(title)}</summary>"
                f'<div class="box" tabindex="0"><pre>{html.escape(text)}</pre></div></details>'
            )
        case Picture(caption=caption):
            picture = _html_picture(block, figures)
            return f"<figure>{picture}<figcaption>{_prose(caption)}</figcaption></figure>"
        case Plot():
            return _html_plot(block, figures)
        case Table():
            return _html_table(block)


def _prose(text: str) -> str:
    """Escaped, and words that run from right to left kept from turning what follows them."""
    return _FROM_RIGHT.sub(r"<bdi>\g<0></bdi>", html.escape(text))


def _html_picture(picture: Picture, figures: Path, kind: str = "box") -> str:
    size = next((name for name in ("wide", "small", "narrow") if getattr(picture, name)), "")
    size = f' class="{size}"' if size else ""
    source = _embedded(figures / f"{picture.name}.png")
    image = f'<img{size} src="{source}" alt="{html.escape(picture.alt)}">'
    if picture.narrow:
        other = _embedded(figures / f"{picture.name}_narrow.png")
        image = f'<picture><source media="{PHONE}" srcset="{other}">{image}</picture>'
    return f'<div class="{kind}" tabindex="0">{image}</div>'


def _html_plot(plot: Plot, figures: Path) -> str:
    panels = "".join(
        f'<div class="panel" role="img" aria-label="{html.escape(panel.alt)}"'
        f' style="height:{panel.height}px">'
        f'<script type="application/json">{as_json(panel.figure)}</script></div>'
        for panel in plot.panels
    )
    number = len(plot.panels)
    kind = "" if number == 1 else " pairs" if number <= 4 else " several"
    hint = f' <span class="hint">{html.escape(plot.hint)}</span>' if plot.hint else ""
    return (
        f'<figure><div class="live{kind}">{panels}</div>'
        f"{_html_picture(plot.still, figures, 'box still')}{_MATCHES if plot.filters else ''}"
        f"<figcaption>{_prose(plot.still.caption)}{hint}</figcaption></figure>"
    )


_MATCHES = (
    '<p class="filtered"><span></span><button type="button" hidden>Clear filters</button></p>'
)


def _embedded(path: Path) -> str:
    """A data URI of a PNG: as it is if it has a palette; full colour means photographs, so JPEG."""
    kind, content = "png", path.read_bytes()
    with Image.open(path) as image:
        if image.mode != "P":
            kind, buffer = "jpeg", io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=85)
            content = buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _html_table(table: Table) -> str:
    heads = [html.escape(name) for name in table.head]
    if table.sortable:
        heads = [f'<button type="button">{head}</button>' for head in heads]
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    rows = "".join(
        f"<tr{' class=marked' if i == table.marked else ''}>"
        + "".join(_html_cell(value) for value in row)
        + "</tr>\n"
        for i, row in enumerate(table.rows)
    )
    kind = ' class="sortable"' if table.sortable else ' class="prose"' if table.prose else ""
    above = _MATCHES.replace("<p ", '<p role="status" ') if table.sortable else ""
    return (
        f'{above}<div class="box" tabindex="0"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _html_cell(value: object) -> str:
    text = _prose(shown(value))
    if is_missing(value):
        return f'<td data-sort="">{text}</td>'
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return f'<td class="number" data-sort="{float(value)!r}">{text}</td>'
    return f"<td>{text}</td>"
