import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from cnnlib.journal.scores import (
    REFERENCE,
    Final,
    SeedScores,
    mean_interval,
    read_seed_scores,
    sd_between_seeds,
    seed_scores,
    standard_error,
    wilson_interval,
)


def final(trial_id: str, seed: int, val_acc: float | None, best_epoch: int = 4) -> Final:
    return Final(trial_id, seed, 9, best_epoch, val_acc, error=None if val_acc else "it raised")


def candidate(trial_id: str, search: float | None, *scores: float) -> SeedScores:
    finals = (final(trial_id, seed, score) for seed, score in enumerate(scores))
    return SeedScores(trial_id, search, tuple(finals))


def test_luck_is_what_the_search_had_above_the_mean_on_new_seeds() -> None:
    one = candidate("0001", 0.60, 0.50, 0.54, 0.58)
    assert one.mean == pytest.approx(0.54)
    assert one.luck == pytest.approx(0.06)
    assert one.sd == pytest.approx(0.04)
    assert candidate(REFERENCE, None, 0.5).luck is None
    assert candidate("0001", 0.6, 0.5).sd is None


def test_the_epochs_found_are_the_median_and_were_each_a_best_one() -> None:
    finals = [final("0001", seed, 0.5, epoch) for seed, epoch in enumerate((9, 2, 5, 4))]
    assert SeedScores("0001", 0.5, tuple(finals)).epochs == 4
    assert SeedScores("0001", 0.5, tuple(finals[:3])).epochs == 5


def test_finalists_are_compared_on_the_seeds_that_all_of_them_ended_on() -> None:
    ended = [final("0001", 1, 0.5), final("0002", 1, 0.6), final("0001", 2, 0.9)]
    ended.append(final(REFERENCE, 2, 0.7))
    search = {"0001": 0.8, "0002": 0.7, REFERENCE: None}
    table = seed_scores({(f.trial_id, f.seed): f for f in ended}, search)
    assert [s.values for s in table] == [[0.5], [0.6], []]
    assert not table[2].whole
    ended.append(final("0002", 2, None))
    table = seed_scores({(f.trial_id, f.seed): f for f in ended}, search)
    assert [s.values for s in table] == [[0.5, 0.9], [0.6], [0.7]]
    assert [s.whole for s in table] == [True, False, True]


def test_the_spread_of_all_says_how_sure_a_mean_is() -> None:
    table = [candidate("0001", 0.6, 0.50, 0.54), candidate("0002", 0.6, 0.40, 0.40, 0.40)]
    sd, freedom = sd_between_seeds(table) or (0.0, 0)
    assert freedom == 3
    assert sd == pytest.approx(math.sqrt(0.0008 / 3))
    assert standard_error(table[1], table) == pytest.approx(sd / math.sqrt(3))
    assert sd_between_seeds([candidate("0001", 0.6, 0.5)]) is None
    assert mean_interval(candidate("0001", 0.6, 0.5), [candidate("0001", 0.6, 0.5)]) is None


def test_intervals_of_the_mean_hold_the_truth_as_often_as_they_say() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(400):
        table = [candidate(str(n), 0.6, *generator.normal(0.5, 0.02, 3)) for n in range(3)]
        low, high = mean_interval(table[0], table) or (0.0, 0.0)
        held += low <= 0.5 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_standings_are_read_from_a_csv_and_another_table_is_refused(tmp_path: Path) -> None:
    ended = [final("0001", 1, 0.5), final("0002", 1, None), final(REFERENCE, 1, 0.75)]
    search = {"0001": 0.8, "0002": 0.7, REFERENCE: None}
    rows = [vars(f) | {"search_val_acc": search[f.trial_id]} for f in ended]
    pd.DataFrame(rows).to_csv(tmp_path / "finals.csv", index=False)
    table = read_seed_scores(tmp_path / "finals.csv")
    assert table == seed_scores({(f.trial_id, f.seed): f for f in ended}, search)
    (tmp_path / "other.csv").write_text("trial_id,val_acc\n1,0.5\n")
    with pytest.raises(ValueError, match="is not a table of finals"):
        read_seed_scores(tmp_path / "other.csv")


HEAD = "trial_id,seed,epochs,best_epoch,val_acc,val_loss,seconds,error,search_val_acc\n"


def test_what_finalists_and_errors_are_called_in_a_csv_stays_their_name(tmp_path: Path) -> None:
    rows = "NA,1,9,4,0.5,,1,,0.8\nnull,1,9,4,,,1,None,0.7\n007,1,9,4,0.5,inf,1,nan,\n"
    (tmp_path / "finals.csv").write_text(HEAD + rows)
    table = read_seed_scores(tmp_path / "finals.csv")
    assert [candidate.trial_id for candidate in table] == ["NA", "null", "007"]
    assert [candidate.finals[0].error for candidate in table] == [None, "None", "nan"]
    assert table[1].values == [] and table[2].search is None


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",1,9,4,0.5,,1,,0.8", "row 1 has no trial_id"),
        ("a,,9,4,0.5,,1,,0.8", "row 1 has no seed"),
        ("a,1,9,4.5,0.5,,1,,0.8", "row 1 has no best_epoch"),
        ("a,1,9,4,half,,1,,0.8", "val_acc of a is half, which is no number"),
    ],
)
def test_a_damaged_table_of_finals_is_refused_by_row_or_trial(
    tmp_path: Path, row: str, why: str
) -> None:
    (tmp_path / "finals.csv").write_text(f"{HEAD}{row}\n")
    with pytest.raises(ValueError, match=f"finals.csv.*{why}"):
        read_seed_scores(tmp_path / "finals.csv")


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (5, 10), (10, 10), (431, 500)])
def test_the_interval_is_wilsons(correct: int, n: int) -> None:
    expected = binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_nothing_seen_is_nothing_known() -> None:
    assert wilson_interval(0, 0) == (0, 1)
