"""Which sections a sweep's report has, and in which order."""

from pathlib import Path

from analysis.page.blocks import Page
from analysis.page.sections import audit, finals, findings, network, run, test, trials
from analysis.reading.folder import SweepFolder
from analysis.statistics import summary
from analysis.statistics.findings import Findings


def build_page(sweep: SweepFolder, found: Findings, *, photo_folders: list[Path]) -> Page:
    """The page of a sweep; `photo_folders` are where the paths of its test photographs start."""
    sections = [
        run.summary_section(sweep, found),
        findings.takeaway_section(found),
        findings.claim_section(found),
        findings.effect_section(sweep, found),
        audit.audit_section(sweep),
        findings.class_section(found),
        findings.next_section(found),
        trials.history_section(sweep),
        trials.curve_section(sweep),
        trials.hyperparameter_section(sweep),
        trials.cost_section(sweep),
        trials.worker_section(sweep),
        trials.parallel_section(sweep),
        trials.table_section(sweep),
        run.best_section(sweep),
        finals.final_section(sweep),
        test.tested_section(sweep, photo_folders),
        test.mistake_section(sweep, photo_folders),
        network.network_section(sweep, photo_folders),
        run.how_section(sweep),
    ]
    started = sweep.settings.get("started")
    subtitle = "Hyperparameter sweep" + (
        f", started {summary.moment(str(started))}" if started else ""
    )
    return Page(sweep.name, subtitle, [section for section in sections if section.blocks])
