"""Which sections a sweep's report has, and in which order."""

from dataclasses import replace
from pathlib import Path

from analysis.page.blocks import Page
from analysis.page.sections import (
    audit,
    course,
    effects,
    finals,
    findings,
    network,
    result,
    test,
    trials,
)
from analysis.reading.folder import SweepFolder
from analysis.statistics import summary
from analysis.statistics.findings import Findings


def build_page(sweep: SweepFolder, found: Findings, *, photo_folders: list[Path]) -> Page:
    """The page of a sweep; `photo_folders` are where the paths of its test photographs start."""
    compared = found.comparison
    links = trials.explored(sweep, found.effects.importance["hyperparameter"].tolist())
    groups = {
        "Result": [
            result.result_section(sweep, found, links, photo_folders),
            finals.final_section(sweep),
        ],
        "What matters": [
            effects.learning_section(found),
            findings.takeaway_section(found),
            effects.effect_section(sweep, found),
            findings.class_section(found),
            findings.next_section(found),
            findings.claim_section(found),
        ],
        "The trials": [
            trials.explorer_section(sweep, links),
            trials.curve_section(sweep, links, compared),
            trials.hyperparameter_section(sweep, links, compared),
            trials.parallel_section(sweep, links),
            trials.table_section(sweep),
        ],
        "The test": [
            test.tested_section(sweep, photo_folders),
            test.mistake_section(sweep, photo_folders),
            network.network_section(sweep, photo_folders),
        ],
        "How": [
            audit.audit_section(sweep),
            course.history_section(sweep),
            course.cost_section(sweep),
            course.worker_section(sweep),
            course.how_section(sweep),
        ],
    }
    sections = [
        replace(section, group=name)
        for name, part in groups.items()
        for section in part
        if section.blocks
    ]
    return Page(result.title_of(sweep), _subtitle(sweep), sections)


def _subtitle(sweep: SweepFolder) -> str:
    started = sweep.settings.get("started")
    when = f", started {summary.moment(str(started))}" if started else ""
    return f"Hyperparameter sweep {sweep.name}{when}"
