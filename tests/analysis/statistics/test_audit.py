from pathlib import Path

import pandas as pd
import pytest

from analysis.page.blocks import Page, Paragraph, Table
from analysis.page.markdown import as_markdown
from analysis.page.sections.audit import audit_section, audit_sentences
from analysis.page.sections.trials import table_section
from analysis.reading.folder import read_folder
from analysis.statistics.audit import read_audit
from cnnlib.journal.events import Journal
from cnnlib.journal.scores import wilson_interval
from tests.journal.test_ledger import finished

TRIALS = """trial_id,status,dropout,epochs,val_acc,audited
1,completed,0.1,9,0.50,
2,completed,0.2,9,0.60,
3,completed,0.3,9,0.40,
4,stopped,0.4,1,0.20,
5,completed,0.5,9,0.61,1
6,completed,0.6,7,0.55,3
7,completed,0.7,9,0.30,1
8,failed,0.8,2,0.10,1
9,stopped,0.9,3,0.25,
"""


def folder(path: Path, trials: str = TRIALS, settings: str = '{"reduction_factor": 3.0}') -> Path:
    (path / "trials.csv").write_text(trials)
    rows = [
        f"{line.split(',')[0]},{epoch},{epoch / 100}"
        for line in trials.splitlines()[1:]
        for epoch in range(1, 4)
    ]
    (path / "epochs.csv").write_text("\n".join(["trial_id,epoch,val_acc", *rows]) + "\n")
    (path / "sweep.json").write_text(settings)
    return path


def test_the_audited_that_completed_are_held_against_the_others(tmp_path: Path) -> None:
    audit = read_audit(read_folder(folder(tmp_path)))
    assert audit is not None
    assert sorted(audit.trials.index) == ["5", "6", "7"], "the failed one tells nothing"
    assert audit.champion == 0.60, "of those that were not audited"
    assert audit.good == pytest.approx(0.5 + 0.1 / 3), "two thirds of the way up 0.4, 0.5, 0.6"
    assert list(audit.counts.values()) == [1, 2]
    assert audit.trials["then"].to_dict() == {"5": 0.01, "6": 0.03, "7": 0.01}
    assert audit.more == 8 + 4 + 8 + 1, "the failed one cost its epochs too"
    assert audit.trained == 58


def test_shares_stand_with_their_wilson_intervals(tmp_path: Path) -> None:
    section = audit_section(read_folder(folder(tmp_path)))
    text, shares, _, trials = section.blocks
    assert isinstance(text, Paragraph) and isinstance(shares, Table) and isinstance(trials, Table)
    assert text.text.startswith("2 trials that fell below a cutoff stopped there, and 4, drawn at")
    assert "cost 21 epochs, 36.2% of all" in text.text
    assert "Only the 3 audited that completed count. So few tell little" in text.text
    low, high = wilson_interval(2, 3)
    assert [row[1:] for row in shares.rows] == [
        ("1 of 3", "33.3%", "6.1% to 79.2%"),
        ("2 of 3", "66.7%", f"{low:.1%} to {high:.1%}"),
    ]
    assert shares.rows[0][0] == "ended above the best trial that was not audited (60.0%)"
    assert [row[0] for row in trials.rows] == ["5", "6", "7"]
    assert not trials.sortable, "the script filters and counts one table, that of all trials"


def test_of_a_sweep_that_pauses_its_trials_it_speaks_of_waiting(tmp_path: Path) -> None:
    sweep = read_folder(folder(tmp_path, settings='{"stopping": "promote"}'))
    text, *_, trials = audit_section(sweep).blocks
    assert isinstance(text, Paragraph) and isinstance(trials, Table)
    assert text.text.startswith("2 trials waited at a rung and went on no more, and 4, drawn at")
    assert trials.head[1] == "would wait at epoch"
    assert "cutoff" not in as_markdown(Page("s", "", [audit_section(sweep)]))


def test_without_an_audit_nothing_is_said_and_where_it_drew_none_so(tmp_path: Path) -> None:
    table = pd.read_csv(folder(tmp_path) / "trials.csv")
    folder(tmp_path, table.drop(columns="audited").to_csv(index=False))
    assert audit_section(read_folder(tmp_path)).blocks == []
    folder(tmp_path, table.assign(audited=None).to_csv(index=False), settings="{}")
    [text] = audit_section(read_folder(tmp_path)).blocks
    assert isinstance(text, Paragraph)
    assert text.text.endswith("none go on as an audit: how often that was wrong is not known.")


def test_only_what_is_known_is_reported(tmp_path: Path) -> None:
    lines = TRIALS.splitlines()
    alone = "\n".join([lines[0], *lines[5:7]]) + "\n"
    audit = read_audit(read_folder(folder(tmp_path, alone)))
    assert audit is not None and audit.counts == {}, "there is nothing to hold them against"
    running = alone.replace("completed", "running")
    audit = read_audit(read_folder(folder(tmp_path, running)))
    assert audit is not None
    assert "Only the 0 audited that completed count." in audit_sentences(audit)
    audit = read_audit(read_folder(folder(tmp_path, settings="{}")))
    assert audit is not None and list(audit.counts.values()) == [1], "eta is not known"


def test_a_journals_table_is_shown_with_what_only_some_trials_have(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for event in finished(0.5).events:
        journal.append(**{name: value for name, value in event.items() if name != "time"})
    config = {"dropout": 0.1}
    journal.append("proposed", trial_id="0099", config=config, max_epochs=6)
    journal.append("failed", trial_id="0099", error="no memory")  # without an epoch
    journal.close()
    sweep = read_folder(tmp_path)
    text = as_markdown(Page("s", "", [table_section(sweep), audit_section(sweep)]))
    assert "| 0099 | failed | \u2013 |" in text
    assert "went on as an audit" in text
