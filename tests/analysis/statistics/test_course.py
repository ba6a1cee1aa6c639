"""Effects at the end from trials that were stopped on the way, and what nobody knows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reading.folder import SweepFolder
from analysis.statistics.comparison import compare
from analysis.statistics.course import Ends, estimate_ends, follow
from analysis.statistics.effects import estimate_effects
from analysis.statistics.expected import evidence_weights
from analysis.statistics.findings import find
from analysis.statistics.regression import closed

LATE = 9


def crossing(
    num: int = 60, seed: int = 0, *, kept: float = 0.4, status: str = "stopped", alone: str = ""
) -> SweepFolder:
    """sgd leads by 4 points at epoch 3 and trails by 6 at epoch 9; the best there go on.

    Of the optimizer `alone` none does.
    """
    rng = np.random.default_rng(seed)
    optimizer = rng.permutation(np.resize(["adam", "sgd"], num))
    dropout = rng.choice([0.2, 0.3], num)
    is_sgd = optimizer == "sgd"
    early = 0.3 + 0.04 * is_sgd + rng.normal(0, 0.025, num)
    late = early + 0.15 - 0.10 * is_sgd + rng.normal(0, 0.01, num)
    order = np.argsort(-np.where(optimizer == alone, -1.0, early))
    goes_on = np.isin(np.arange(num), order[: round(kept * num)])
    ids = [f"t{i:03d}" for i in range(num)]
    rows = [
        (ids[i], epoch, score)
        for i in range(num)
        for epoch, score in ((1, early[i] - 0.1), (3, early[i]), (LATE, late[i]))
        if epoch <= 3 or goes_on[i]
    ]
    trials = pd.DataFrame({
        "trial_id": ids, "status": np.where(goes_on, "completed", status),
        "val_acc": np.where(goes_on, late, early), "optimizer": optimizer, "dropout": dropout,
    })  # fmt: skip
    epochs = pd.DataFrame(rows, columns=["trial_id", "epoch", "val_acc"])
    return SweepFolder(Path("sweep"), trials, epochs, ["optimizer", "dropout"])


def ends_of(sweep: SweepFolder) -> Ends:
    comparison = compare(sweep)
    return estimate_ends(follow(sweep, comparison), estimate_effects(comparison))


def sgd_over_adam(ends: Ends) -> pd.Series:
    row = ends.table.set_index("hyperparameter").loc["optimizer"]
    sign = 1 if row["value"] == "sgd" else -1
    return pd.Series({name: sign * row[name] for name in ("effect", "early", "low", "high")})


@pytest.mark.parametrize("status", ["stopped", "paused"])
def test_where_curves_cross_the_sign_at_the_end_is_that_of_the_end(status: str) -> None:
    ends = ends_of(crossing(status=status))
    row = sgd_over_adam(ends)
    assert row["early"] == pytest.approx(0.04, abs=0.02)
    assert row["effect"] == pytest.approx(-0.06, abs=0.02)
    assert ends.epoch == LATE
    assert ends.p_values["optimizer"] <= 0.05 < ends.p_values["dropout"]


def test_p_values_at_the_end_are_corrected_with_the_weights_of_public_sweeps() -> None:
    sweep = crossing()
    course = follow(sweep, compare(sweep))
    ends = estimate_ends(course, estimate_effects(course.comparison))
    alone = {name: course.against(name, course.reference(name))[1] for name in ends.p_values}
    p_values = np.array([*alone.values()], dtype=float)
    expected = closed(p_values, evidence_weights(alone))
    assert [*ends.p_values.values()] == pytest.approx(expected.tolist())
    assert expected != pytest.approx(closed(p_values, np.ones(len(p_values))), rel=0.01)


def test_the_intervals_at_the_end_hold_the_truth_and_survivors_alone_do_not() -> None:
    held, naive = [], []
    for seed in range(30):
        sweep = crossing(seed=seed)
        row = sgd_over_adam(ends_of(sweep))
        if np.isnan(row["effect"]):
            continue  # nobody knows
        held.append(min(row["low"], row["high"]) <= -0.06 <= max(row["low"], row["high"]))
        ended = sweep.trials[sweep.trials["status"] == "completed"]
        means = ended.groupby("optimizer")["val_acc"].mean()
        naive.append(means["sgd"] - means["adam"])
    assert len(held) >= 20
    assert np.mean(held) >= 0.85
    assert np.mean(naive) < -0.07, "the trials that were kept are no fair sample"


def test_nobody_knows_the_end_of_a_value_that_no_trial_took_further() -> None:
    sweep = crossing(alone="adam")
    row = ends_of(sweep).table.set_index("hyperparameter").loc["optimizer"]
    assert row["unknown"] == "no trial with optimizer adam went past epoch 3"
    assert np.isnan(row["effect"])
    assert row["p_adjusted"] == 1
    found = find(sweep, [])
    words = " ".join(found.takeaways)
    assert "Nobody knows how it ends: no trial with optimizer adam went past epoch 3" in words


def test_a_value_is_not_dropped_on_the_rung_alone() -> None:
    for sweep in (crossing(), crossing(alone="adam")):
        found = find(sweep, [])
        assert found.effects.p_values["optimizer"] <= 0.05
        said = " ".join(found.suggestion.sentences)
        assert "optimizer: drop" not in said
        assert "optimizer adam: behind by epoch 3, but keep it" in said


def test_the_other_way_round_is_said() -> None:
    said = " ".join(find(crossing(), []).takeaways)
    assert "At the end, by epoch 9, it is the other way round: -" in said


def test_where_too_few_went_on_nobody_knows_anything() -> None:
    ends = ends_of(crossing(20, kept=0.2))
    assert ends.table["unknown"].unique().tolist() == ["only 4 trials went past epoch 3"]


def test_where_all_trials_ended_together_the_end_is_what_is_compared() -> None:
    sweep = crossing(kept=1.0)
    assert compare(sweep).epoch == LATE
    assert ends_of(sweep).table.empty


def test_without_epochs_there_is_no_end_beside_the_best() -> None:
    sweep = crossing()
    bare = SweepFolder(sweep.path, sweep.trials, sweep.epochs.iloc[:0], sweep.hyperparameters)
    assert ends_of(bare).table.empty
