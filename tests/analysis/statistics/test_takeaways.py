"""What the report says of a sweep in its own sentences, and no more than its tests show."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.statistics.comparison import compare
from analysis.statistics.course import Ends, follow
from analysis.statistics.effects import best_value, estimate_effects
from analysis.statistics.learning import Learning
from analysis.statistics.pairs import interplay
from analysis.statistics.takeaways import takeaways
from tests.analysis.statistics.test_claims import findings_of, study, sweep_of


def optimizers(
    counts: tuple[int, ...], means: tuple[float, ...], seed: int = 0, erratic: float = 1.0
) -> pd.DataFrame:
    """Trials with three optimizers, of which the first trains so much more erratically."""
    rng, n = np.random.default_rng(seed), sum(counts)
    dropout = rng.choice([0.2, 0.3], n)
    return pd.DataFrame({
        "trial_id": [f"t{i:02d}" for i in range(n)],
        "optimizer": np.repeat(["adam", "lion", "radam"], counts),
        "dropout": dropout,
        "val_acc": np.repeat(means, counts)
        + rng.normal(0, 0.025, n) * np.repeat([erratic, 1, 1], counts),
    })  # fmt: skip


def test_the_best_value_is_one_that_enough_trials_had() -> None:
    trials = optimizers((3, 25, 30), (0.44, 0.3, 0.38))
    assert best_value(estimate_effects(compare(sweep_of(trials))), "optimizer") == "radam"
    assert findings_of(trials).takeaways[0].startswith("optimizer: radam reaches")


def test_where_the_best_is_not_sure_the_surest_difference_is_said() -> None:
    trials = optimizers((8, 25, 30), (0.35, 0.3, 0.33), seed=1, erratic=4)
    effects = estimate_effects(compare(sweep_of(trials)))
    assert best_value(effects, "optimizer") == "adam"
    assert findings_of(trials).takeaways[0].startswith("optimizer: radam reaches")


def test_where_all_values_at_once_matter_and_no_pair_is_sure_none_is_named() -> None:
    sweep = sweep_of(optimizers((8, 25, 30), (0.3, 0.3, 0.3)))
    comparison = compare(sweep)
    effects = replace(estimate_effects(comparison), p_values={"optimizer": 0.03, "dropout": 1.0})
    pairs = interplay(comparison)
    said = takeaways(sweep, follow(sweep, comparison), effects, Ends(), Learning(), pairs)
    assert said[0].startswith("optimizer matters (p = 0.030")
    assert "which of its values is better these trials do not tell" in said[0]


def test_of_a_pair_no_more_is_said_than_that_it_depends_on_each_other() -> None:
    trials = study()
    trials["val_acc"] += 0.1 * ((trials["dropout"] == 0.3) == trials["batch_norm"])
    found = findings_of(trials)
    [text] = [text for text in found.takeaways if "depend on each other" in text]
    assert text.startswith("dropout and batch_norm depend on each other (p = 0.002, corrected")
    assert "The highest mean is that of dropout 0." in text
    assert "points" not in text
    assert "dropout and batch_norm: keep searching both together" in found.suggestion.sentences[0]
