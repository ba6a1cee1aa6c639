"""A report's page as one HTML file that opens offline; nothing is loaded from anywhere."""

import base64
import gzip
import html
import io
import json
import numbers
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup
from PIL import Image

from analysis.page.blocks import Page, Plot, figures_of
from analysis.page.templating import environment, text
from analysis.reading.values import is_missing, shown

_HEBREW_TO_ARABIC = r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]+"
_FROM_RIGHT = re.compile(rf"{_HEBREW_TO_ARABIC}(?:[ _-]{_HEBREW_TO_ARABIC})*")


SCRIPTS = ("table.js", "linked.js", "card.js", "plots.js")
"""In the order in which they make up the page's own script."""


def as_html(page: Page, figures: Path) -> str:
    """One file that opens offline: style, script and the pictures of folder `figures` are in it."""
    own = "\n".join(map(text, SCRIPTS))
    scripts, packed = [own], ""
    if any(isinstance(block, Plot) for s in page.sections for block in figures_of(s.blocks)):
        scripts.append(plotly())
        packed = packed_plotly()
    return (
        _jinja()
        .get_template("page.html.j2")
        .render(
            page=page,
            scripts=scripts,
            script=Markup(own),
            plotly=packed,
            picture=lambda name: _embedded(figures / f"{name}.png"),
        )
    )


@cache
def _jinja() -> Environment:
    return environment(prose=prose, json=as_json, shown=shown, number=_number, embedded=_photograph)


def prose(words: str) -> Markup:
    """Escaped, and words that run from right to left kept from turning what follows them."""
    return Markup(_FROM_RIGHT.sub(r"<bdi>\g<0></bdi>", html.escape(words)))


def as_json(content: object) -> Markup:
    """JSON that may stand in a script tag: neither </script> nor <!-- can occur in it."""
    written = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    for letter in "<>&":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(written)


def _number(value: object) -> str | None:
    """What a cell is sorted by where it is a number, "" where it holds nothing, else None."""
    if is_missing(value):
        return ""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return repr(float(value))
    return None


def _embedded(path: Path) -> str:
    """A data URI of a PNG: as it is if it has a palette; full colour means photographs, so JPEG."""
    with Image.open(path) as image:
        if image.mode != "P":
            return _photograph(image)
    return _uri("png", path.read_bytes())


def _photograph(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=85)
    return _uri("jpeg", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@cache
def plotly() -> str:
    """The source of plotly.js as plotly's package ships it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@cache
def packed_plotly() -> str:
    """The same, a fifth as large for the page to unpack: gzip in base64."""
    packed = gzip.compress(plotly().encode(), 9, mtime=0)
    return base64.b64encode(packed).decode()
