"""What several sweeps say of the same claims, side by side."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from analysis.compared import Compared
from analysis.compared_figures import plot_claim
from analysis.finding_sections import MARKS
from analysis.gallery import saved_figure
from analysis.page import Block, Paragraph, Picture, Points, Section, Table
from analysis.values import signed
from analysis.verdicts import CONTRADICTED, NO_EVIDENCE, SUPPORTED, Verdict

MAX_NAMES = 6  # more are counted


def named(names: Sequence[str]) -> str:
    """The names, or how many there are if a reader would not read them all."""
    return ", ".join(names) if len(names) <= MAX_NAMES else f"{len(names)} sweeps"


def claims_section(compared: Compared, figures: Path) -> Section:
    """Each claim with the sweeps that support or contradict it, drawn and as a table."""
    by_claim = list(zip(*compared.verdicts.values(), strict=True))
    names = list(compared.verdicts)
    rows = [
        (name, *(_cell(verdict) for verdict in verdicts))
        for name, verdicts in compared.verdicts.items()
    ]
    return Section(
        "The same claims",
        [
            Paragraph(
                "Each claim is judged by each sweep's own trials, as in its own report. A sweep"
                " without evidence does not contradict one that has it: look whether the intervals"
                " overlap. As a file: tables/claims.csv."
            ),
            Points(
                [f"{row[0].claim.text} {_agreement(names, row)}" for row in by_claim], numbered=True
            ),
            *_claims_picture(names, by_claim, figures),
            Table(("sweep", *(f"claim {i}" for i in range(1, len(by_claim) + 1))), rows),
        ],
    )


def _cell(verdict: Verdict) -> str:
    effect = verdict.contrast.effect
    mark = MARKS[verdict.verdict].partition(" ")[0]
    return mark if effect != effect else f"{mark} {signed(effect)}"


def _agreement(names: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """Which sweeps say what of one claim."""
    sides: dict[str, list[str]] = defaultdict(list)
    for name, verdict in zip(names, verdicts, strict=True):
        sides[verdict.verdict].append(name)
    if len(sides) == 1 and NO_EVIDENCE in sides:
        return "No sweep has evidence."
    parts = [f"{verdict} by {named(sides[verdict])}"
             for verdict in (SUPPORTED, CONTRADICTED) if sides[verdict]]  # fmt: skip
    if sides[NO_EVIDENCE]:
        parts.append(f"no evidence in {named(sides[NO_EVIDENCE])}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _claims_picture(
    names: Sequence[str], by_claim: Sequence[Sequence[Verdict]], figures: Path
) -> list[Block]:
    """A panel for each claim that a sweep could be asked about."""
    asked = [
        (number, verdicts)
        for number, verdicts in enumerate(by_claim, start=1)
        if any(verdict.contrast.effect == verdict.contrast.effect for verdict in verdicts)
    ]
    if not asked:
        return []
    num_columns = min(3, len(asked))
    num_rows = -(-len(asked) // num_columns)
    with saved_figure(
        figures / "claims.png", 0.4 + num_rows * (0.75 + 0.22 * len(names))
    ) as figure:
        axes = figure.subplots(num_rows, num_columns, squeeze=False, sharey=True).ravel()
        for ax, (number, verdicts) in zip(axes, asked, strict=False):
            plot_claim(ax, list(zip(names, verdicts, strict=True)))
            ax.set_title(f"claim {number}")
        for ax in axes[len(asked) :]:
            ax.set_visible(False)
        figure.supxlabel("effect on val_acc in points", fontsize=9)
    return [
        Picture(
            "claims",
            f"What {len(names)} sweeps say of {len(asked)} claims, in points with intervals.",
            "How many points more val_acc the trials on the claim's higher side reach, with 95%"
            " intervals: ▲ supported, ▼ contradicted, ● no evidence. Claims that no sweep's trials"
            " can be asked about are not drawn.",
        )
    ]
