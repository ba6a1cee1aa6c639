"""What a report consists of; `html` and `markdown` write it down."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from PIL import Image

from analysis.plots.style import Figure


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
    """Photographs or filters, kept as figures/<name>.png."""

    name: str
    image: Image.Image
    alt: str
    caption: str


@dataclass(frozen=True)
class Photograph:
    """One photograph of a gallery and what the champion says of it."""

    image: Image.Image | None
    """None where it is gone."""
    is_right: bool
    predicted: str
    label: str
    confidence: str
    """As it is read, 83%; empty where it is not known."""


@dataclass(frozen=True)
class Gallery:
    """Photographs side by side, as many as the screen is wide; `image` holds all of them, is kept
    as figures/<name>.png and stands in Markdown."""

    name: str
    photographs: Sequence[Photograph]
    image: Image.Image
    alt: str
    caption: str


@dataclass(frozen=True)
class Panel:
    """One figure, said in a sentence to those who do not see it."""

    figure: Figure
    alt: str


@dataclass(frozen=True)
class Plot:
    """Panels that answer the pointer; in print, in Markdown and without scripts the same panels
    stand still, as figures/<name>.png."""

    name: str
    panels: Sequence[Panel]
    alt: str
    caption: str
    hint: str = ""
    """What only the interactive panels need said."""


@dataclass(frozen=True)
class Chips:
    """A configuration: (hyperparameter, value)."""

    title: str
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Drawn:
    """A table's cell: an effect and its interval, drawn to the scale of the whole column."""

    text: str
    effect: float
    low: float
    high: float
    ends: tuple[float, float]
    """Of the column's scale; what lies beyond is cut."""
    look: str = ""
    """"higher" or "lower" where it is sure, else empty."""

    def __str__(self) -> str:
        return self.text

    def at(self, value: float) -> float:
        """Where it lies, from 0 to 1."""
        low, high = self.ends
        return min(1.0, max(0.0, (value - low) / (high - low)))


@dataclass(frozen=True)
class Folded:
    """Preformatted text behind a line that opens it."""

    title: str
    text: str


@dataclass(frozen=True)
class Hidden:
    """Blocks behind a line that opens them; print and Markdown show them."""

    title: str
    blocks: "Sequence[Block]"


@dataclass(frozen=True)
class Columns:
    """Blocks beside others, below them on a phone."""

    left: "Sequence[Block]"
    right: "Sequence[Block]"


@dataclass(frozen=True)
class Explorer:
    """What links the plots of trials and their table: by what they may be coloured, as JSON."""

    content: dict[str, Any]


Block = (
    Paragraph
    | Points
    | KeyFigures
    | Chips
    | Table
    | Picture
    | Gallery
    | Plot
    | Folded
    | Hidden
    | Columns
    | Explorer
)


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; sections of one group stand together."""

    title: str
    blocks: Sequence[Block]
    group: str = ""


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section]

    @property
    def groups(self) -> list[tuple[str, list[Section]]]:
        """The sections by group, each group in one piece."""
        return [(name, list(part)) for name, part in groupby(self.sections, lambda s: s.group)]


def figures_of(blocks: Iterable[Block]) -> Iterator[Plot | Picture | Gallery]:
    """All that is kept as a picture, in order."""
    for block in blocks:
        if isinstance(block, Plot | Picture | Gallery):
            yield block
        elif isinstance(block, Hidden):
            yield from figures_of(block.blocks)
        elif isinstance(block, Columns):
            yield from figures_of([*block.left, *block.right])


def plot(name: str, figure: Figure, alt: str, caption: str, *, hint: str = "") -> Plot:
    """A plot of one panel."""
    return Plot(name, [Panel(figure, alt)], alt, caption, hint)
