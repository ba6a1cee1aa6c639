"""The section on the audit: how often it was wrong to stop a trial."""

from analysis.page.blocks import Block, Paragraph, Section, Table
from analysis.reading.folder import SweepFolder
from analysis.statistics.audit import Audit, read_audit
from analysis.statistics.summary import percent
from cnnlib.journal.scores import wilson_interval
from cnnlib.system.units import counted

FEW = 10  # completed audited trials, below which the report warns of its own figures


def audit_section(sweep: SweepFolder) -> Section:
    """What the audit says; empty where there was none."""
    audit = read_audit(sweep)
    blocks: list[Block] = [Paragraph(" ".join(audit_sentences(audit)))] if audit else []
    if audit and len(audit.trials):
        blocks += [_shares(audit), Paragraph("One by one, the best first:"), _trials(audit)]
    return Section("Was it right to stop?", blocks)


def audit_sentences(audit: Audit) -> list[str]:
    """What was audited, what that cost, and how far the figures carry."""
    if audit.pauses:
        then = "waited at a rung and went on no more"
    else:
        fell = "fell below" if audit.measure.rises else "rose above"
        then = f"that {fell} a cutoff stopped there"
    stopped = f"{counted(audit.num_stopped, 'trial')} {then}"
    if not audit.num_audited:
        return [
            f"{stopped}, and chance let none go on as an audit: how often that was wrong is not"
            " known."
        ]
    sentences = [
        f"{stopped}, and {audit.num_audited}, drawn at random, went on as an audit: what holds for"
        " them holds for all, within the intervals.",
        f"The audit cost {counted(audit.more, 'epoch')},"
        f" {percent(audit.more / max(1, audit.trained))} of all that were trained.",
    ]
    n = len(audit.trials)
    if n < audit.num_audited:
        sentences.append(f"Only the {n} audited that completed count.")
    if 0 < n < FEW:
        sentences.append("So few tell little: read the intervals rather than the shares.")
    return sentences


def _shares(audit: Audit) -> Table:
    n, rows = len(audit.trials), []
    for text, count in audit.counts.items():
        low, high = wilson_interval(count, n)
        interval = f"{percent(low)} to {percent(high)}"
        rows.append((text, f"{count} of {n}", percent(count / n), interval))
    head = ("it was wrong to stop a trial if it", "audited", "share", "95% interval")
    return Table(head, rows, prose=True)


def _trials(audit: Audit) -> Table:
    table = audit.trials.sort_values("score", ascending=False, kind="stable")
    rows = [
        (t.Index, int(t.rung), audit.text(t.then), audit.text(t.score), int(t.more))
        for t in table.itertuples()
    ]
    then = f"{audit.measure.said} then"
    beyond = "would wait" if audit.pauses else f"{audit.measure.beyond} a cutoff"
    head = ("audited trial", f"{beyond} at epoch", then, "at the end", "more epochs")
    return Table(head, rows)
