"""How the sweep went: metric against time and cost, workers, and its settings."""

from collections.abc import Iterator

from analysis.page.blocks import Block, Hidden, Paragraph, Points, Section, Table, plot
from analysis.plots import trials
from analysis.reading.folder import SweepFolder
from analysis.reading.values import is_missing, shown
from analysis.reading.workload import MAX_DRAWN, cost_of, starts, thinned, thinning_note, workers_of
from analysis.statistics import summary
from cnnlib.system.units import counted

HANDLING = (
    "Point at a mark for its trial, drag over a part to enlarge it, double-click to see all again;"
    " a click on an entry of the legend hides or shows it."
)


def history_section(sweep: SweepFolder) -> Section:
    """The metric against the start of the trials."""
    title, table, measure = f"{sweep.measure.heading} against time", sweep.trials, sweep.measure
    if not len(table):
        return Section(title, [])
    drawn = thinned(table, sweep.highlight, measure)
    alt = (
        f"{measure.first} of {len(table)} trials against their start, with the best so far as"
        " a step line."
    )
    caption = (
        "Each trial is a dot; colour and shape tell its outcome. The black line is the best"
        f" {measure.long} among the trials started so far. Trials without {measure.one} stand"
        f" {measure.beyond}. {thinning_note(len(drawn), len(table), measure)}"
    )
    undated = int(starts(table).isna().sum())
    if 0 < undated < len(table):
        caption += f" When {counted(undated, 'trial')} began is not known, so not drawn."
    figure = trials.history_figure(sweep, drawn)
    return Section(title, [plot("timeline", figure, alt, caption.strip(), hint=HANDLING)])


def cost_section(sweep: SweepFolder) -> Section:
    """The metric against cost, and how it is distributed."""
    blocks: list[Block] = []
    measured, measure = sweep.measured, sweep.measure
    cost = cost_of(sweep.trials, measure)
    if cost is not None and cost.trials["cost"].nunique() > 1:
        drawn = thinned(measured, sweep.highlight, measure)
        note = thinning_note(len(drawn), len(measured), measure)
        alt = f"{measure.first} of {len(cost.trials)} trials against {cost.label}."
        caption = (
            f"Each trial is a dot at what it took, in {cost.label}. The dotted line joins the"
            f" trials that no cheaper one equals; a trial {measure.beyond} it was surpassed by one"
            " that took no more."
        )
        if note:
            caption += f" {note} So are all on the dotted line."
        blocks.append(plot("cost", trials.cost_figure(sweep, cost, drawn), alt, caption))
    if len(measured) > 1:
        alt = f"Distribution function of the {measure.long} of {len(measured)} trials."
        caption = (
            f"The share of trials whose {measure.said} is at most the value below: the steeper the"
            " rise, the more trials lie there."
        )
        blocks.append(
            plot("distribution", trials.distribution_figure(measured, measure), alt, caption)
        )
    return Section(f"{measure.heading} against cost", blocks)


def worker_section(sweep: SweepFolder) -> Section:
    """Which worker ran which trial when."""
    workers = workers_of(sweep.trials)
    if workers is None:
        return Section("Workers", [])
    recent = workers.trials.tail(MAX_DRAWN)
    num_nodes = workers.trials["node"].nunique()
    alt = (
        f"Timeline of {len(recent)} trials on {len(workers.names)} workers of"
        f" {num_nodes} node{'s' * (num_nodes > 1)}."
    )
    caption = (
        f"A bar per trial from its start for the seconds it took; colour and hatching tell its"
        f" outcome, and in a gap none ran. The workers trained {workers.busy:.0%} of the time from"
        " the first start to the last end. Which worker of a node ran a trial is not logged: trials"
        " are laid into as few rows as they need."
    )
    if len(recent) < len(workers.trials):
        caption += f" The last {len(recent):,} of {len(workers.trials):,} trials are drawn."
    return Section(
        "Workers",
        [plot("workers", trials.workers_figure(workers, recent, sweep.measure), alt, caption)],
    )


def how_section(sweep: SweepFolder) -> Section:
    """How the sweep was run: a few lines, and all of its settings behind them."""
    title = "How it was run"
    effort = [summary.outcome_sentence(sweep), *summary.effort_sentences(sweep)]
    if not sweep.settings:
        text = "The folder has no sweep.json, so no more is known of how it was run."
        return Section(title, [Paragraph(" ".join([*effort, text]))])
    lines = [line for line in _lines(sweep) if line]
    rows = Table(("setting", "value"), list(_rows(sweep)))
    blocks: list[Block] = [Paragraph(" ".join(effort)), Points(lines)]
    return Section(title, [*blocks, Hidden("All settings", [rows])])


def _lines(sweep: SweepFolder) -> Iterator[str]:
    """Photographs, search, stopping, seed, machine and versions, each in a line."""
    told, data = sweep.settings, sweep.settings.get("data")
    if isinstance(data, dict):
        numbers = [f"{data[name]:,} for {use}" for name, use in
                   (("train", "training"), ("val", "validation"), ("test", "the test"))
                   if isinstance(data.get(name), int)]  # fmt: skip
        size = told.get("image_size")
        pixels = f", at {size} x {size} pixels" if isinstance(size, int) else ""
        yield (
            f"Photographs: {data.get('source', 'unknown')}"
            + (f" ({', '.join(numbers)})" if numbers else "")
            + pixels
            + "."
        )
    if search := told.get("search"):
        space = told.get("space")
        over = f" over {counted(len(space), 'hyperparameter')}" if isinstance(space, dict) else ""
        goal = f"{sweep.measure.said}, {sweep.measure.goal}d"
        known = told.get("begun_with")
        begun = f"; it began with what earlier ones found ({known})" if known else ""
        yield f"Search: {shown(search)}{over}, of {goal}{begun}."
    if sweep.rungs:
        eta = told.get("reduction_factor")
        share = f", where the best 1 in {shown(eta)} goes on" if eta else ""
        if last := told.get("last_share"):
            share += f" ({last:.0%} from the last)"
        at = ", ".join(map(shown, sweep.rungs))
        yield f"Stopping: at {'epochs' if len(sweep.rungs) > 1 else 'epoch'} {at}{share}."
    if told.get("max_epochs"):
        yield f"A trial that is not stopped trains {shown(told['max_epochs'])} epochs."
    if "seed" in told:
        yield f"Seed {shown(told['seed'])}."
    versions = told.get("versions")
    if isinstance(versions, dict) and versions:
        yield f"Versions: {', '.join(f'{name} {shown(item)}' for name, item in versions.items())}."


def _rows(sweep: SweepFolder) -> Iterator[tuple[str, object]]:
    for name, value in sweep.settings.items():
        if name == "seconds" and isinstance(value, int | float):
            yield "time taken", summary.duration(value)
        elif isinstance(value, dict) and name in ("data", "space", "versions"):
            yield from ((f"{name}: {key}", shown(item)) for key, item in value.items())
        elif name == "metric" and isinstance(value, dict):
            yield name, f"{value['said']}, {value['goal']}"
        elif not is_missing(value):
            yield name, shown(value)
