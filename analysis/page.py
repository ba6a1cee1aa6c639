"""What a report consists of; `html_page` and `markdown_page` write it down."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.plotly_style import Figure


@dataclass(frozen=True)
class Paragraph:
    """Plain sentences."""

    text: str


@dataclass(frozen=True)
class KeyFigures:
    """The few numbers to see first: (number, what it is)."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of raw values under a head; `marked` is the row to point out."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    sortable: bool = False
    marked: int | None = None
    prose: bool = False
    """Whether its cells are sentences, which break into lines."""


@dataclass(frozen=True)
class Picture:
    """A figure that lies at figures/<name>.png."""

    name: str
    alt: str
    caption: str
    wide: bool = False
    """Whether it keeps its size, in a box that scrolls, where the page is narrower."""
    small: bool = False
    """Whether it takes a part of the page's width, and all of a phone's."""
    narrow: bool = False
    """Whether figures/<name>_narrow.png is in its place on a phone."""


@dataclass(frozen=True)
class Panel:
    """One interactive figure, said in a sentence to those who do not see it."""

    figure: Figure
    alt: str
    height: int = 380
    """In pixels."""


@dataclass(frozen=True)
class Plot:
    """Interactive panels; in print, in Markdown and without scripts a picture is in their place."""

    panels: Sequence[Panel]
    still: Picture
    hint: str = ""
    """What only the interactive panels need said."""
    filters: bool = False
    """Whether it filters the table of trials."""


@dataclass(frozen=True)
class Folded:
    """Preformatted text behind a line that opens it."""

    title: str
    text: str


Block = Paragraph | Points | KeyFigures | Table | Picture | Plot | Folded


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section]
