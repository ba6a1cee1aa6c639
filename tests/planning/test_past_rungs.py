"""What rungs would have saved and lost in earlier sweeps."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cnnlib.planning.past_rungs import Curves, choices, past_curves, past_rungs

ROOT = Path(__file__).parent.parent.parent


def early(count: int = 30, epochs: int = 27) -> Curves:
    """The order of the first epoch is that of the last."""
    return [[end * (epoch + 5) / (epochs + 4) for epoch in range(epochs)] for end in range(count)]


def late(count: int = 30, epochs: int = 27) -> Curves:
    """The order turns round at half of the way: whoever leads early ends last."""
    return [
        [end * 0.1 if epoch < epochs // 2 else 50.0 - end for epoch in range(epochs)]
        for end in range(count)
    ]


def write(curves: Curves, folder: Path, *, stopped_at: int | None = None) -> Path:
    folder.mkdir(parents=True)
    rows = [
        (f"{trial:04d}", epoch + 1, value / 100)
        for trial, curve in enumerate(curves)
        for epoch, value in enumerate(curve[: stopped_at if trial == 0 else None])
    ]
    epochs = pd.DataFrame(rows, columns=["trial_id", "epoch", "val_acc"])
    epochs.to_csv(folder / "epochs.csv", index=False)
    best = epochs.groupby("trial_id")["val_acc"].max().reset_index()
    best.assign(status="completed", dropout=0.1).to_csv(folder / "trials.csv", index=False)
    return folder


def test_where_the_first_epoch_tells_all_early_rungs_save_and_lose_nothing() -> None:
    found = {(choice.rule, choice.way): choice for choice in choices([early()])}
    assert all(choice.lost == 0 and choice.kept == 1 for choice in found.values())
    ways = [found["promote", way].trained for way in ("1/3", "1/9 and 1/3", "1/27, 1/9 and 1/3")]
    assert ways == sorted(ways, reverse=True) and ways[-1] < 0.3


def test_where_the_order_turns_round_rungs_lose() -> None:
    for choice in choices([late()]):
        assert choice.lost > 0 and choice.kept < 1 and choice.trained < 1


def test_a_folder_is_read_and_a_stopped_trial_stays_at_what_it_had(tmp_path: Path) -> None:
    [first, *_] = past_curves(write(late(), tmp_path / "a", stopped_at=3))
    assert first == [0.0] * 27, "its later epochs were not seen"
    assert len(past_curves(write(early(), tmp_path / "b"))) == 30


def test_a_sweep_that_tells_nothing_is_refused(tmp_path: Path) -> None:
    folder = write(early(count=5), tmp_path / "few")
    with pytest.raises(ValueError, match="holds 5 curves of up to 27 epochs"):
        past_curves(folder)


def test_each_choice_has_a_line_and_the_cheapest_is_written_as_in_a_sweep_file(
    tmp_path: Path,
) -> None:
    folder = str(write(early(), tmp_path / "a"))
    *lines, best = past_rungs([folder, folder])
    assert len(lines) == 6 and lines[0].startswith("stop at 1/3 of the way: ")
    assert best.endswith("min_iter: 1, eta: 3}")


def test_the_command_tells_it_and_starts_nothing(tmp_path: Path) -> None:
    folder = write(early(), tmp_path / "a")

    def tune(*flags: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "jobs/tune.py", "--rungs", *flags]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    told = tune("auto", str(folder))
    assert told.returncode == 0 and "early_terminate: {type: " in told.stdout
    wrong = tune("3", "9")
    assert wrong.returncode == 2
    assert wrong.stderr == "ValueError: --rungs: write auto and the folders of earlier sweeps\n"
