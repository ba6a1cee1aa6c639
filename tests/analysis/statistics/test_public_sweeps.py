"""What the report says of thirty public sweeps is what the stored table says: figures only.

Where it is meant to say something else now: `python benchmarks/claims.py FOLDER --write` the table.
"""

from pathlib import Path

import pandas as pd
import pytest

from analysis.statistics.expected import MATTERED

ROOT = Path(__file__).parents[3]
CURVES = ROOT.parent / "shared" / "data" / "curves"
if not CURVES.exists():
    CURVES = ROOT / "shared" / "data" / "curves"
STORED = pd.read_csv(
    Path(__file__).with_name("public_sweeps.csv"), dtype=str, keep_default_na=False
)
ROWS = {row["sweep"]: row for row in STORED.to_dict("records")}


def test_the_table_holds_thirty_sweeps_and_nine_claims() -> None:
    assert len(ROWS) == len(STORED) == 30
    assert {str(number) for number in range(1, 10)} <= {*STORED}


@pytest.mark.skipif(not CURVES.exists(), reason="no ../shared/data/curves")
def test_what_is_expected_before_any_trial_is_what_the_public_sweeps_say() -> None:
    from benchmarks.claims import mattered

    found = mattered([CURVES / name for name in ROWS])
    assert {name: found[name] for name in MATTERED} == MATTERED


@pytest.mark.skipif(not CURVES.exists(), reason="no ../shared/data/curves")
@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_report_says_of_a_public_sweep_what_is_stored(name: str) -> None:
    from benchmarks.claims import said_of

    said = {column: str(value) for column, value in said_of(CURVES / name).items()}
    assert said == ROWS[name]
