"""Fills in the templates, and says which scripts and style sheets a page lets in."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def environment(**filters: Callable[..., Any]) -> Environment:
    """Jinja with these filters of its own; whatever a template shows is escaped, but in Markdown.

    `file(name)` is a file as it is, `security(scripts, styles)` a Content-Security-Policy.
    """
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is None or not name.endswith(".md.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"kind": lambda block: type(block).__name__, **filters}
    made.globals |= {"file": lambda name: Markup(text(name)), "security": security}
    return made


@cache
def text(name: str) -> str:
    """A file of the templates as it is."""
    return (TEMPLATES / name).read_text("utf-8")


def security(scripts: list[str], styles: list[str]) -> Markup:
    """A page's Content-Security-Policy: no request to any host, no script or style but these.

    A style may be set by attribute, which plotly does.
    """
    return Markup(
        f"default-src 'none'; img-src data:; style-src-elem {_digests(styles)};"
        f" style-src-attr 'unsafe-inline'; script-src {_digests(scripts)}; base-uri 'none';"
        " form-action 'none'"
    )


def allowing(page: str, *, script: str, style: str) -> str:
    """The page with a policy that lets these in too, and the page's own server be asked."""
    for kind, source in (("script-src", script), ("style-src-elem", style)):
        page = page.replace(f" {kind} ", f" {kind} {_digests([source])} ", 1)
    return page.replace("form-action 'none'", "form-action 'none'; connect-src 'self'", 1)


def _digests(sources: list[str]) -> str:
    digests = [hashlib.sha256(source.encode()).digest() for source in sources]
    return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests) or "'none'"
