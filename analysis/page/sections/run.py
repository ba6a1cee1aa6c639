"""The sections on the sweep as a whole: its summary, its best configuration, how it was run."""

from analysis.page.blocks import Block, Folded, KeyFigures, Paragraph, Section, Table
from analysis.page.sections.findings import summary_sentence
from analysis.reading.folder import SweepFolder
from analysis.reading.values import is_missing, shown
from analysis.statistics import summary
from analysis.statistics.findings import Findings


def summary_section(sweep: SweepFolder, findings: Findings) -> Section:
    """The few numbers to see first, and the sweep in sentences."""
    score, best, epochs = summary.champion_score(sweep), sweep.best, summary.count_epochs(sweep)
    items = []
    if score is not None:
        items.append((summary.percent(score.value), f"test accuracy, n = {score.n:,}"))
    if best is not None:
        measure, num_measured = sweep.measure, len(sweep.measured)
        text = f"{measure.long}, best of {summary.counted(num_measured, 'trial')}"
        items.append((measure.text(best[measure.name]), text))
    n = len(sweep.trials)
    items.append((f"{n:,}", "trial" if n == 1 else "trials"))
    if epochs is not None:
        unit = "epoch" if epochs.trained == 1 else "epochs"
        items.append((f"{epochs.trained:,}", f"{unit} trained"))
        if epochs.saved is not None:
            items.append((f"{epochs.saved:.0%}", "of epochs saved by early stopping"))
    sentences = [
        " ".join(summary.champion_sentences(sweep)),
        " ".join(summary.tested_sentences(sweep)),
        summary_sentence(findings),
        " ".join([summary.outcome_sentence(sweep), *summary.effort_sentences(sweep)]),
    ]
    return Section("Summary", [KeyFigures(items), *(Paragraph(text) for text in sentences)])


def best_section(sweep: SweepFolder) -> Section:
    """The champion's configuration, or else the best trial's, and its network's layers."""
    best, config = sweep.best, sweep.champion.get("config")
    if not isinstance(config, dict):
        config = {} if best is None else best[sweep.hyperparameters].to_dict()
    rows = [(name, shown(value, 6)) for name, value in config.items()]
    for name in ("image_size", "num_classes", "epoch", "seed"):
        if name in sweep.champion and name not in config:
            rows.append((name, shown(sweep.champion[name])))
    blocks: list[Block] = [Table(("hyperparameter", "value"), rows)] if rows else []
    if sweep.model_summary:
        blocks.append(Folded("Summary of the model, layer by layer", sweep.model_summary))
    return Section("Best configuration", blocks)


def how_section(sweep: SweepFolder) -> Section:
    """How the sweep was run: its settings."""
    title = "How it was run"
    if not sweep.settings:
        return Section(
            title, [Paragraph("The folder has no sweep.json, so how it was run is not known.")]
        )
    rows: list[tuple[str, object]] = []
    for name, value in sweep.settings.items():
        if name == "seconds" and isinstance(value, int | float):
            rows.append(("time taken", summary.duration(value)))
        elif isinstance(value, dict) and name in ("data", "space", "versions"):
            rows.extend((f"{name}: {key}", shown(item)) for key, item in value.items())
        elif name == "metric" and isinstance(value, dict):
            rows.append((name, f"{value['said']}, {value['goal']}"))
        elif not is_missing(value):
            rows.append((name, shown(value)))
    return Section(title, [Table(("setting", "value"), rows)])
