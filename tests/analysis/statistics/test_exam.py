import tracemalloc

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.test import (
    RESAMPLES,
    _error,
    against_reference,
    calibration,
    class_table,
    reliability,
    top_three,
    without_copies,
)

CLASSES = ["a", "b", "c", "d"]


def predictions(n: int = 4000, *, overconfident: float = 0.0) -> pd.DataFrame:
    """Photographs that are recognised as often as the confidence says, less `overconfident`."""
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.3 + overconfident, 1, n)
    correct = rng.uniform(size=n) < confidence - overconfident
    label = rng.choice(CLASSES[:3], n)
    wrong = np.array([CLASSES[CLASSES.index(name) + 1] for name in label])
    return pd.DataFrame(
        {
            "file": [f"{number}.jpg" for number in range(n)],
            "label": label,
            "predicted": np.where(correct, label, wrong),
            "confidence": confidence,
            "correct": correct,
        }
    )


def test_what_is_calibrated_has_an_error_near_zero() -> None:
    found = calibration(predictions())
    assert found is not None
    assert found.low < 0.01
    assert found.error < 0.03
    assert found.chance / 2 < found.error < 2 * found.chance
    assert abs(found.gap) < 0.02
    bins = reliability(predictions())
    assert list(bins["n"]) == [400] * 10
    held = (bins["low"] <= bins["confidence"]) & (bins["confidence"] <= bins["high"])
    assert held.sum() >= 8


def test_what_is_too_sure_is_told_so_by_how_much() -> None:
    found = calibration(predictions(overconfident=0.2))
    assert found is not None
    assert found.low < 0.2 < found.high
    assert found.low > 0.15
    assert found.gap == pytest.approx(0.2, abs=0.02)


def test_resamples_are_drawn_one_at_a_time_and_are_those_of_drawing_all_at_once() -> None:
    table = predictions(301)
    confidence, correct = table["confidence"].to_numpy(), table["correct"].to_numpy(float)
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, 301, (RESAMPLES, 301))
    errors = [_error(confidence[chosen], correct[chosen]) for chosen in drawn]
    lucky = generator.random((RESAMPLES, 301)) < confidence
    found = calibration(table)
    assert found is not None
    assert found.chance == np.mean([_error(confidence, right) for right in lucky])
    assert found.high == 2 * found.error - np.quantile(errors, 0.025)
    tracemalloc.start()
    calibration(predictions(20_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20e6, "all at once are 160 MB"


def test_the_reference_is_compared_on_who_alone_is_right() -> None:
    table = pd.DataFrame(
        {
            "label": list("aaaa"),
            "predicted": list("aabb"),
            "reference_predicted": list("abaa"),
            "correct": [True, True, False, False],
        }
    )
    found = against_reference(table)
    assert found is not None
    assert (found.only_first, found.only_second, found.effect, found.p_value) == (1, 2, -0.25, 1)
    assert against_reference(table.drop(columns="reference_predicted")) is None


def test_the_first_three_guesses_count() -> None:
    table = pd.DataFrame(
        {"label": list("abcd"), "predicted": list("abxx"), "second": list("xxcx"),
         "third": list("yyyy")}
    )  # fmt: skip
    best = top_three(table)
    assert best is not None
    assert (best.count, best.n) == (3, 4)
    assert top_three(table.drop(columns="second")) is None


def test_a_class_has_recall_and_precision() -> None:
    table = pd.DataFrame({"label": list("aab"), "predicted": list("aba")})
    table["correct"] = table["label"] == table["predicted"]
    rows = class_table(table, ["a", "b"]).set_index("label")
    assert rows.loc["a", ["recall", "precision"]].tolist() == [0.5, 0.5]
    assert rows.loc["b", ["recall", "precision"]].tolist() == [0.0, 0.0]


def test_accuracy_without_copies_leaves_them_out() -> None:
    table = predictions(10)
    leaks = pd.DataFrame({"test_file": ["0.jpg", "1.jpg"]})
    rest = without_copies(table, leaks)
    assert (rest.count, rest.n) == (int(table["correct"][2:].sum()), 8)
