"""What a report consists of; `html` and `markdown` write it down."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from analysis.plots.style import Figure

FIGURES = (
    "effects",
    "importance",
    "pair",
    "timeline",
    "parallel",
    "curves",
    "hyperparameters",
    "cost",
    "distribution",
    "workers",
    "recalls",
    "calibration",
    "confusion",
    "photographs",
    "confidence",
    "mistakes",
    "pairs",
    "filters",
    "neurons",
    "progress",  # these two are of several sweeps
    "claims",
)
"""What the files figures/<name>.png may be called; no figure has another name."""


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

    def __post_init__(self) -> None:
        assert self.name in FIGURES, self.name


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
    filters: bool = False
    """Whether it filters the table of trials."""

    def __post_init__(self) -> None:
        assert self.name in FIGURES, self.name


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


def plot(name: str, figure: Figure, alt: str, caption: str, *, hint: str = "") -> Plot:
    """A plot of one panel."""
    return Plot(name, [Panel(figure, alt)], alt, caption, hint)
