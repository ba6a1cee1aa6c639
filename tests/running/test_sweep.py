"""What a sweep does between its parts; the whole way is in tests/e2e."""

from dataclasses import replace
from pathlib import Path

from cnnlib.journal.finals import read_finals
from cnnlib.journal.mirror import Mirror, Shelf
from cnnlib.planning.plan import Plan
from cnnlib.running.sweep import _fetch_weights
from cnnlib.storage.training_files import BEST
from tests.running.test_finals import Executor, hold, plan, searched  # noqa: F401


def test_who_crowns_on_another_machine_has_the_weights_that_others_trained(
    plan: Plan,  # noqa: F811
    tmp_path: Path,
    disk: str,
) -> None:
    sweep = searched()
    hold(plan, sweep, Executor())
    bucket = f"{disk}/s"
    for folder in (plan.folder / "finals").iterdir():
        Shelf(f"{bucket}/finals/{folder.name}", folder).send()
    other = replace(plan, folder=tmp_path / "other" / "s", mirror=Mirror(bucket, tmp_path / "s"))
    finals = read_finals(sweep.events, sweep.ledger)
    _fetch_weights(other, bucket, "0001", finals)
    for entrant in (finals.winner, finals.reference):
        assert entrant is not None
        taken = finals.taken(other.folder, entrant, retrained=True)
        content = (taken.folder / BEST).read_text()
        assert entrant.trial_id in content and "on all photographs" in content
