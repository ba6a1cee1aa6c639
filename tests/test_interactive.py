"""The interactive figures: what they show holds for every trial, and the script can draw it all."""

import pandas as pd
from analysis.interactive import distribution_figure, workers_figure
from analysis.interactive_findings import importance_figure

from analysis.workload import workers_of

TRIALS = pd.DataFrame(
    {
        "trial_id": ["a", "b", "c"],
        "status": ["completed", "stopped", "running"],
        "val_acc": [0.5, 0.25, None],
        "seconds": [60.0, 30.0, 20.0],
        "started": [f"2026-01-01T00:0{minute}:00Z" for minute in range(3)],
        "node": "n1",
    }
)


def test_an_unknown_accuracy_is_not_hovered_as_zero() -> None:
    workers = workers_of(TRIALS)
    assert workers is not None
    bars = workers_figure(workers, workers.trials)["data"]
    assert [bar["customdata"] for bar in bars] == [["0.500"], ["0.250"], ["unknown"]]
    assert all("%{customdata}" in bar["hovertemplate"] for bar in bars)


def test_every_line_has_the_width_that_the_legend_draws() -> None:
    lines = distribution_figure(TRIALS)["data"]
    assert len(lines) == 2 and all(line["line"]["width"] for line in lines)


def test_the_legend_of_importance_says_what_the_interval_shows() -> None:
    table = pd.DataFrame(
        {"hyperparameter": ["a", "b"], "importance": [0.4, 0.1], "low": [0.2, 0.0], "high": 0.5}
    )
    names = [bar["name"] for bar in importance_figure(table)["data"]]
    assert names == ["interval above 0", "interval reaches 0"]
