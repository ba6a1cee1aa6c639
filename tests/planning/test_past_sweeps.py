"""What one's own sweeps found is learned from their folders."""

from pathlib import Path

import pytest

from cnnlib.planning.past_sweeps import past_sweeps


def test_own_sweeps_are_learned_from_their_folders(tmp_path: Path) -> None:
    folders = []
    for number in (1, 2):
        folder = tmp_path / f"sweep{number}"
        folder.mkdir()
        rows = [f"{n},{10 ** -(2 + n % 3)},{n % 3 / 10 + n / 1000}" for n in range(60)]
        (folder / "trials.csv").write_text("\n".join(["trial_id,learning_rate,val_acc", *rows]))
        folders.append(folder)
    found = past_sweeps(folders)
    assert (found.sweeps, found.trials) == (2, 120)
    assert found.trends["learning_rate"].values == (1e-4, 1e-3, 1e-2)
    assert found.trends["learning_rate"].scores[0] > found.trends["learning_rate"].scores[2] + 1
    (folder / "trials.csv").write_text("trial_id,learning_rate,val_acc\n1,0.1,0.5\n")
    with pytest.raises(ValueError, match=r"--past: .*sweep2 holds 1 trials"):
        past_sweeps(folders)
    with pytest.raises(FileNotFoundError, match="no results in"):
        past_sweeps([tmp_path / "nothing"])


def test_what_is_not_known_of_every_trial_is_left_out(tmp_path: Path) -> None:
    rows = [
        f"{n},{n % 2},{'' if n == 3 else 5},{'inf' if n == 4 else n},0.{n}" for n in range(1, 9)
    ]
    (tmp_path / "trials.csv").write_text("\n".join(["trial_id,a,gap,beyond,val_acc", *rows]))
    assert list(past_sweeps([tmp_path]).trends) == ["a"]
