"""The first screen: what came out, against what, six photographs and the curves."""

from pathlib import Path

from analysis.page.blocks import (
    Block,
    Chips,
    Columns,
    Folded,
    Hidden,
    KeyFigures,
    Panel,
    Paragraph,
    Plot,
    Section,
    Table,
)
from analysis.page.sections.test import gallery
from analysis.page.sections.trials import drawable_epochs
from analysis.plots.colouring import Linked
from analysis.plots.curves import curve_figures
from analysis.reading.folder import SweepFolder
from analysis.reading.predictions import stratified_sample
from analysis.reading.values import constant, is_missing, shown, signed, signed_interval
from analysis.statistics import summary
from analysis.statistics.effects import SIGNIFICANT
from analysis.statistics.findings import Findings
from analysis.statistics.test import against_reference
from cnnlib.journal.scores import REFERENCE, read_seed_scores
from cnnlib.networks.cnn.family import CNN
from cnnlib.system.units import counted

NUM_SEEN = 6
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
           "eleven", "twelve")  # fmt: skip
FEW_SAVED = 0.01  # a share of epochs that is not worth a word


def title_of(sweep: SweepFolder) -> str:
    """The result in a line: Ten classes of photographs, 20 CNNs, best 59%."""
    classes = len(sweep.classes)
    if not classes and sweep.predictions is not None:
        classes = sweep.predictions["label"].nunique()
    parts = []
    if classes:
        number = NUMBERS[classes] if classes < len(NUMBERS) else f"{classes:,}"
        parts.append(f"{number} class{'es' if classes > 1 else ''} of photographs")
    parts += [_tried(sweep), *_best(sweep)]
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _tried(sweep: SweepFolder) -> str:
    """How many of what."""
    kind = {CNN.name: "CNN", "pretrained": "pretrained network"}.get(sweep.network, "network")
    return counted(len(sweep.trials), kind if sweep.settings else "trial")


def _best(sweep: SweepFolder) -> list[str]:
    score, best, measure = summary.champion_score(sweep), sweep.best, sweep.measure
    if score is not None and score.n:
        return [f"best {score.value:.0%}"]
    if best is None:
        return []
    if measure.is_share:
        where = "on validation" if measure.is_accuracy else measure.said
        return [f"best {best[measure.name]:.0%} {where}"]
    return [f"best {measure.said} {measure.text(best[measure.name])}"]


def result_section(
    sweep: SweepFolder, findings: Findings, links: Linked, folders: list[Path]
) -> Section:
    """What came out in a few sentences of one number each, beside the curves and photographs."""
    left: list[Block] = [KeyFigures(_figures(sweep)), *_configuration(sweep)]
    left.append(Paragraph(findings.takeaways[0]))
    curves = _curves(sweep, findings, links)
    blocks: list[Block] = [Columns(left, curves)] if curves else left
    predictions = sweep.predictions
    if predictions is not None and len(predictions):
        sample = stratified_sample(predictions, num_photos=NUM_SEEN, seed=0)
        caption = (
            "Test photographs drawn at random with a fixed seed, each of another class where there"
            " are enough: what the champion takes them for, and how sure it is."
        )
        blocks += gallery("seen", sample, folders, "Six test photographs.", caption)
    return Section("Result", [*blocks, *_whole(sweep)])


def _figures(sweep: SweepFolder) -> list[tuple[str, str]]:
    """Numbers and what each of them is."""
    items = [*_tested(sweep), *_validated(sweep), *reference_figures(sweep)]
    epochs = summary.count_epochs(sweep)
    effort = "" if epochs is None else f", {counted(epochs.trained, 'epoch')} trained"
    seconds = sweep.settings.get("seconds")
    if isinstance(seconds, int | float):
        effort += f" in {summary.duration(seconds)}"
    if epochs is not None and epochs.saved is not None and epochs.saved >= FEW_SAVED:
        effort += f"; early stopping saved {epochs.saved:.0%} of what they could have trained"
    n = len(sweep.trials)
    items.append((f"{n:,}", f"{'trial' if n == 1 else 'trials'}{effort}"))
    return items


def _tested(sweep: SweepFolder) -> list[tuple[str, str]]:
    score = summary.champion_score(sweep)
    if score is None or not score.n:
        return []
    low, high = map(summary.percent, score.interval)
    text = f"of {score.n:,} test photographs recognised (95% interval {low} to {high})"
    return [(summary.percent(score.value), text)]


def _validated(sweep: SweepFolder) -> list[tuple[str, str]]:
    """On validation: on new seeds where there were finals, else the best of all trials."""
    best, measure, final = sweep.best, sweep.measure, summary.champion_value(sweep)
    if best is None:
        return []
    searched = measure.text(best[measure.name])
    picked = "high" if measure.rises else "low"
    optimistic = f"an optimistic figure, as it was picked for being {picked}"
    num = len(sweep.measured)
    if final is not None and sweep.champion.get("origin") in ("final", "retrained"):
        text = (
            f"{measure.long} on average of new seeds; the search's best of {num}, {searched}, is"
            f" {optimistic}"
        )
        return [(measure.text(final), text)]
    if num == 1:
        return [(searched, f"{measure.long} of the one trial that has any")]
    text = f"{measure.long} of trial {best['trial_id']}, the best of {num} and so {optimistic}"
    return [(searched, text)]


def reference_figures(sweep: SweepFolder) -> list[tuple[str, str]]:
    """The champion against the untuned reference, on the test photographs or else in the finals."""
    predictions = sweep.predictions
    found = None if predictions is None else against_reference(predictions)
    if found is not None:
        may = ", which may be chance" if found.p_value > SIGNIFICANT else ""
        text = (
            "points on the test against the untuned reference (95% interval"
            f" {signed_interval(found.low, found.high)}){may}"
        )
        return [(signed(found.effect), text)]
    path = sweep.path / "champion" / "finals.csv"
    table = read_seed_scores(path, sweep.measure) if path.exists() else []
    means = [c.mean for c in table if c.trial_id == REFERENCE and c.whole]
    if not means or is_missing(means[0]):
        return []
    return [(sweep.measure.text(means[0]), f"{sweep.measure.long} of the untuned reference")]


def _configuration(sweep: SweepFolder) -> list[Block]:
    """What the champion was given, as far as trials differ in it."""
    same = constant(sweep.trials, sweep.hyperparameters)
    items = [
        (name, shown(value))
        for name, value in configuration(sweep).items()
        if not is_missing(value) and name not in same
    ]
    name = f"{sweep.role}, trial {sweep.champion.get('trial_id', sweep.highlight)}"
    return [Chips(name[0].upper() + name[1:], items)] if items else []


def configuration(sweep: SweepFolder) -> dict[str, object]:
    """The champion's, or else the best trial's."""
    config = sweep.champion.get("config")
    if isinstance(config, dict):
        return config
    return {} if sweep.best is None else sweep.best[sweep.hyperparameters].to_dict()


def _curves(sweep: SweepFolder, findings: Findings, links: Linked) -> list[Block]:
    measure = sweep.measure
    metrics, logged, table = drawable_epochs(sweep)
    if measure.name not in metrics:
        return []
    [figure] = curve_figures(sweep, logged, table, [measure.name], links, findings.comparison.epoch)
    alt = f"{measure.first} of {len(table)} trials against epoch."
    caption = (
        f"Each line is a trial, coloured by {links.colourings[0].name}; the {sweep.role} is thick."
    )
    return [Plot("result", [Panel(figure, alt)], alt, caption)]


def _whole(sweep: SweepFolder) -> list[Block]:
    """The whole configuration, and its network's layers."""
    config = configuration(sweep)
    rows = [(name, shown(value, 6)) for name, value in config.items()]
    for name in ("image_size", "num_classes", "epoch", "seed"):
        if name in sweep.champion and name not in config:
            rows.append((name, shown(sweep.champion[name])))
    told: list[Block] = [Paragraph(" ".join(summary.champion_sentences(sweep)))]
    if rows:
        told.append(Table(("hyperparameter", "value"), rows))
    blocks: list[Block] = [Hidden("The whole configuration", told)]
    if sweep.model_summary:
        blocks.append(Folded("The network, layer by layer", sweep.model_summary))
    return blocks
