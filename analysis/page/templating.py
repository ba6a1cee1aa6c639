"""Fills in the templates, and says which scripts a page lets run."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


def environment(**filters: Callable[..., Any]) -> Environment:
    """Jinja with these filters of its own; whatever a template shows is escaped, but in Markdown.

    `file(name)` is a file as it is, `security(scripts)` a Content-Security-Policy.
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


def security(scripts: Sequence[str]) -> Markup:
    """A page's Content-Security-Policy: no request to any host, and no script but these.

    Styles may be set anywhere: plotly writes them into attributes and into sheets of its own.
    """
    allowed = " ".join(map(_digest, scripts)) or "'none'"
    return Markup(
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed};"
        " base-uri 'none'; form-action 'none'"
    )


def allowing(page: str, script: str) -> str:
    """The page with a policy that lets this script run too, and ask the page's own server."""
    page = page.replace("script-src ", f"script-src {_digest(script)} ", 1)
    return page.replace("form-action 'none'", "form-action 'none'; connect-src 'self'", 1)


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
