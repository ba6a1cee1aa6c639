"""Claims: read from YAML, put to trials, judged; takeaways, and the sweep file that follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reading.folder import SweepFolder
from analysis.reading.values import signed
from analysis.report import main
from analysis.statistics.claims import SHIPPED, Claim, Range, compared_groups, read_claims
from analysis.statistics.comparison import compare
from analysis.statistics.effects import estimate_effects
from analysis.statistics.findings import Findings, find
from analysis.statistics.verdicts import (
    COLUMNS,
    CONTRADICTED,
    NO_EVIDENCE,
    SUPPORTED,
    claims_table,
    judge,
)
from cnnlib.networks.families import written_down
from cnnlib.networks.own_code import family_asked
from cnnlib.networks.values import Choice, Interval
from cnnlib.search.sweep_file import read_sweep_file

CLAIMS = read_claims(SHIPPED)
EPOCHS = pd.DataFrame(columns=["trial_id", "epoch", "val_acc"])
FIXED = ("trial_id", "status", "val_acc", "epochs", "started")


def sweep_of(trials: pd.DataFrame, **settings: object) -> SweepFolder:
    names = [name for name in trials if name not in FIXED]
    return SweepFolder(Path("sweep"), trials, EPOCHS, names, settings)


def study(n: int = 72, noise: float = 0.01, seed: int = 0, **effects: float) -> pd.DataFrame:
    """Random trials of the study's space; `effects` names what raises the accuracy, by how much."""
    rng = np.random.default_rng(seed)
    trials = pd.DataFrame({
        "trial_id": [f"t{i:03d}" for i in range(n)],
        "first_layer_filters": rng.choice([32, 64, 128], n),
        "filter_org": rng.choice([0.5, 1.0, 2.0], n),
        "conv_layers": rng.choice([3, 4, 5], n),
        "activation": rng.choice(["relu", "gelu", "silu", "mish"], n),
        "dropout": rng.choice([0.2, 0.3], n),
        "batch_norm": rng.choice([True, False], n),
        "learning_rate": rng.choice([1e-4, 1e-3, 1e-2], n),
        "use_augmentation": rng.choice([True, False], n),
        "num_neurons_dense": rng.choice([128, 256, 512], n),
    })  # fmt: skip
    trials["val_acc"] = 0.3 + rng.normal(0, noise, n)
    for name, effect in effects.items():
        trials["val_acc"] += effect * (trials[name] == trials[name].max())
    return trials


def verdicts_of(trials: pd.DataFrame) -> list[str]:
    return [v.verdict for v in judge(CLAIMS, compare(sweep_of(trials)))]


def test_the_nine_takeaways_of_the_study_are_shipped() -> None:
    claims = read_claims(SHIPPED)
    assert len(claims) == 9
    assert {name for claim in claims for name in claim.names} == set(study()) - {
        "trial_id", "learning_rate", "val_acc"
    }  # fmt: skip
    assert all(claim.refuted_by.endswith(".") for claim in claims)


def test_planted_effects_support_and_contradict_and_the_rest_is_no_evidence() -> None:
    verdicts = verdicts_of(study(batch_norm=0.05, dropout=-0.04, conv_layers=0.04))
    expected = [NO_EVIDENCE] * 9
    expected[1], expected[5], expected[4] = SUPPORTED, CONTRADICTED, SUPPORTED
    assert verdicts == expected


def test_a_permuted_table_supports_nothing() -> None:
    trials = study(batch_norm=0.05, dropout=0.05, conv_layers=0.05)
    shuffled = np.random.default_rng(1).permutation(trials["val_acc"].to_numpy())
    assert verdicts_of(trials.assign(val_acc=shuffled)) == [NO_EVIDENCE] * 9


def test_chance_decides_a_claim_in_at_most_one_sweep_of_twenty() -> None:
    wrong = sum(set(verdicts_of(study(seed=seed))) != {NO_EVIDENCE} for seed in range(60))
    assert wrong <= 7


def test_a_verdict_has_its_figures_and_says_them_in_words() -> None:
    trials = study(batch_norm=0.05)
    verdict = judge(CLAIMS, compare(sweep_of(trials)))[1]
    contrast = verdict.contrast
    assert contrast.low < 0.05 < contrast.high
    assert (contrast.n_for, contrast.n_against) == (
        trials["batch_norm"].sum(), (~trials["batch_norm"]).sum()
    )  # fmt: skip
    assert verdict.sentence.startswith(
        f"With batch_norm true, trials reach {100 * contrast.effect:.1f} points more"
    )
    assert f"n = {contrast.n_for} and {contrast.n_against}" in verdict.sentence


def test_a_claim_is_decided_only_where_its_hyperparameter_matters() -> None:
    comparison = compare(sweep_of(study(batch_norm=0.05)))
    effects = replace(estimate_effects(comparison), p_values={"batch_norm": 0.2})
    verdict = judge(CLAIMS, comparison, effects)[1]
    assert verdict.verdict == NO_EVIDENCE
    assert verdict.sentence.endswith(
        "By itself that would count, but not when corrected for all that was asked (p = 0.20)."
    )


def test_a_contradicted_claim_says_what_refutes_it() -> None:
    verdict = judge(CLAIMS, compare(sweep_of(study(dropout=-0.05))))[5]
    assert verdict.verdict == CONTRADICTED
    assert "points less" in verdict.sentence
    assert verdict.sentence.endswith("Dropout 0.2 scores higher.")


def test_two_conditions_at_once_are_compared_with_all_other_trials() -> None:
    trials = study(200)
    worst = (trials["first_layer_filters"] == 32) & (trials["filter_org"] == 0.5)
    trials["val_acc"] -= 0.05 * worst
    verdict = judge(CLAIMS, compare(sweep_of(trials)))[6]
    assert verdict.verdict == SUPPORTED
    assert (verdict.contrast.n_for, verdict.contrast.n_against) == ((~worst).sum(), worst.sum())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"batch_norm": True},
            "There is no trial with batch_norm false; 3 on either side are needed",
        ),
        ({"batch_norm": np.nan}, "does not log batch_norm"),
        (
            {"batch_norm": [True] * 70 + [False] * 2},
            "There are only 2 trials with batch_norm false",
        ),
        ({"val_acc": 0.5}, "no room to tell an effect from noise"),
    ],
)
def test_what_the_sweep_did_not_search_is_no_evidence_and_the_reason_is_said(
    change: dict, words: str
) -> None:
    verdict = judge(CLAIMS, compare(sweep_of(study().assign(**change))))[1]
    assert verdict.verdict == NO_EVIDENCE
    assert words in verdict.sentence
    assert np.isnan(verdict.contrast.effect)


def test_what_two_trials_alone_tell_apart_is_no_evidence_however_large() -> None:
    """dropout and batch_norm changed together but for two trials that collapsed."""
    trials = study(20, noise=0.01)[["trial_id", "val_acc"]].assign(
        dropout=[0.2] * 8 + [0.3] * 12, batch_norm=[False] * 10 + [True] * 10
    )
    trials.loc[8:9, "val_acc"] = 0.1
    verdict = judge(CLAIMS, compare(sweep_of(trials)))[5]
    assert verdict.verdict == NO_EVIDENCE
    assert verdict.contrast.low < 0 < verdict.contrast.high, "the two did not learn"


def test_a_missing_column_is_no_evidence() -> None:
    trials = study().drop(columns="batch_norm")
    verdict = judge(CLAIMS, compare(sweep_of(trials)))[1]
    assert verdict.sentence == "This sweep does not log batch_norm."


TRIALS = pd.DataFrame(
    {"lr": [1e-4, 1e-3, 1e-2, np.nan], "act": ["ReLU", "gelu", None, "relu"], "k": [3.0, 5, 7, 3]}
)


@pytest.mark.parametrize(
    ("higher", "lower", "for_", "against"),
    [
        ({"lr": ("0.001",)}, {}, [1], [0, 2]),
        ({"lr": Range(5e-4, 1)}, {"lr": Range(0, 5e-4)}, [1, 2], [0]),
        ({"act": ("relu",)}, {"act": ("gelu",)}, [0, 3], [1]),
        ({}, {"k": ("3",), "act": ("relu",)}, [1], [0, 3]),
        ({"k": ("3", "5")}, {"k": ("5", "7")}, [0, 1, 3], [2]),
    ],
)
def test_sides_are_values_lists_and_ranges_of_known_values(higher, lower, for_, against) -> None:
    up, down = compared_groups(Claim("text", "else", higher, lower), TRIALS)
    assert up[up].index.tolist() == for_
    assert down[down].index.tolist() == against


def test_claims_read_values_as_a_table_has_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("""
- claim: mine
  higher: {a: 1e-3, b: True, c: [ReLU, 2], d: {min: 3}}
""")
    [claim] = read_claims(path)
    assert claim.higher == {
        "a": ("0.001",), "b": ("true",), "c": ("relu", "2"), "d": Range(3, np.inf)
    }  # fmt: skip
    assert claim.lower == {}


BAD = {
    "- claim: [": "is not YAML",
    "claim: x": "a list of claims is needed",
    "- x": "claim 1: x is not a mapping",
    "- higher: {a: 1}": "claim 1: needs `claim:`",
    "- claim: x": "claim 1: needs `higher:` or `lower:`",
    "- {claim: x, higer: {a: 1}}": "claim 1: no key higer; known are claim, higher",
    "- {claim: x, higher: 3}": "claim 1: higher: 3 is not",
    "- {claim: x, higher: {a: {from: 3}}}": "higher: a: {'from': 3} is not {min: NUMBER",
    "- {claim: x, higher: {a: [[1]]}}": "higher: a: [[1]] is not a value",
    "- {claim: x, higher: {a: }}": "higher: a: None is not a value",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_file_of_claims_is_one_line_and_exit_code_2(tmp_path, capsys, text: str) -> None:
    (tmp_path / "trials.csv").write_text("trial_id,val_acc\na,0.1\n")
    (tmp_path / "epochs.csv").write_text("trial_id,epoch\n")
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    assert main([str(tmp_path), "--claims", str(path)]) == 2
    error = capsys.readouterr().err
    assert BAD[text] in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "report").exists()


def test_claims_of_ones_own_are_judged_after_the_shipped_ones(tmp_path: Path) -> None:
    study(batch_norm=0.05).to_csv(tmp_path / "trials.csv", index=False)
    EPOCHS.to_csv(tmp_path / "epochs.csv", index=False)
    own = tmp_path / "own.yaml"
    own.write_text("- claim: <b>Norm</b> hurts\n  higher: {batch_norm: false}\n")
    assert main([str(tmp_path), "--claims", str(own)]) == 0
    table = pd.read_csv(tmp_path / "report" / "tables" / "claims.csv")
    assert table.columns.tolist() == COLUMNS
    assert table["verdict"].iloc[[1, 9]].tolist() == [SUPPORTED, CONTRADICTED]
    assert "&lt;b&gt;Norm&lt;/b&gt; hurts" in (tmp_path / "report" / "index.html").read_text()


def findings_of(trials: pd.DataFrame, **settings: object) -> Findings:
    return find(sweep_of(trials, **settings), read_claims(SHIPPED))


def test_takeaways_are_few_and_the_strongest_comes_first() -> None:
    names = {"batch_norm": 0.03, "dropout": 0.06, "conv_layers": 0.09, "use_augmentation": -0.02}
    found = findings_of(study(200, **names))
    order = [text.split(":")[0] for text in found.takeaways]
    assert order[:4] == ["conv_layers", "dropout", "batch_norm", "use_augmentation"]
    assert len(found.takeaways) <= 10
    assert "false reaches" in found.takeaways[3]


def test_the_larger_difference_comes_first_though_it_explains_less() -> None:
    found = findings_of(study(400, activation=0.07, dropout=0.063))
    assert found.effects.importance["hyperparameter"].iloc[0] == "dropout"
    assert [text.split(":")[0] for text in found.takeaways[:2]] == ["activation", "dropout"]


def test_nothing_to_say_is_said_with_what_would_have_been_missed() -> None:
    found = findings_of(study())
    assert found.takeaways[0].startswith("No hyperparameter's effect stands out from chance in")
    assert "Differences below about" in found.takeaways[0]


def test_values_with_which_trials_fail_are_pointed_out() -> None:
    trials = study(dropout=0.05)
    trials["status"] = np.where(trials["learning_rate"] == 0.01, "failed", "completed")
    trials.loc[trials["status"] == "failed", "val_acc"] = np.nan
    [text] = [text for text in findings_of(trials).takeaways if "fail" in text]
    num = (trials["status"] == "failed").sum()
    assert f"with learning_rate 0.01: {num} of its {num} did" in text


def test_adaptive_search_is_warned_of_only_where_it_shows() -> None:
    trials = study()
    drifted = trials.assign(dropout=[0.2] * 36 + [0.3] * 36)
    assert any("changed its mind" in text for text in findings_of(drifted, search="tpe").cautions)
    still = findings_of(trials, search="tpe").cautions
    assert not any("changed its mind" in text for text in still)
    for search in ("random", "grid", None):  # None: a table that nobody knows the search of
        fixed = findings_of(drifted, search=search).cautions
        assert not any("changed its mind" in text for text in fixed)


def test_time_is_when_trials_started_and_not_where_they_stand_in_the_table() -> None:
    times = [f"2026-11-24T10:{minute:02d}:00+00:00" for minute in range(60)]
    drifted = study(60).assign(dropout=[0.2] * 30 + [0.3] * 30, started=times)
    shuffled = drifted.sample(frac=1, random_state=0, ignore_index=True)
    assert any("changed its mind" in text for text in findings_of(shuffled, search="tpe").cautions)
    assert not any(
        "changed its mind" in text
        for text in findings_of(drifted.assign(started=shuffled["started"]), search="tpe").cautions
    )


def test_hyperparameters_that_changed_together_are_named() -> None:
    trials = study()
    found = findings_of(trials.assign(copy=trials["dropout"] * 10))
    assert any("dropout and copy changed together" in text for text in found.cautions)


def next_space(tmp_path: Path, found: Findings) -> dict:
    path = tmp_path / "next_sweep.yaml"
    path.write_text(found.suggestion.yaml)
    return read_sweep_file(path).space


def test_the_next_sweep_drops_dead_values_and_goes_beyond_the_edge(tmp_path: Path) -> None:
    found = findings_of(study(200, conv_layers=0.05, batch_norm=0.05), image_size=128)
    space = next_space(tmp_path, found)
    assert space["batch_norm"] == Choice((True,))
    assert space["conv_layers"] == Choice((5, 6))
    assert space["dropout"] == Choice((0.2, 0.3))
    words = " ".join(found.suggestion.sentences)
    assert "batch_norm: drop false" in words
    assert "conv_layers: the best, 5, lies at the edge" in words


def test_the_next_sweep_of_a_network_of_ones_own_holds_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def net(num_classes, width: int, depth: int = 2): ...")
    family = family_asked(f"{tmp_path}/mine.py:net")
    trials = study()[["trial_id", "val_acc", "learning_rate"]]
    trials = trials.assign(width=[8, 16] * 36, depth=[1, 2, 3] * 24)
    text = find(sweep_of(trials, **written_down(family)), []).suggestion.yaml
    assert "--network mine.py:net" in text
    (tmp_path / "next_sweep.yaml").write_text(text)
    space = read_sweep_file(tmp_path / "next_sweep.yaml", family).space
    assert {"width": space["width"], "depth": space["depth"]} == {
        "width": Choice((8, 16)), "depth": Choice((1, 2, 3)),
    }  # fmt: skip
    damaged = find(sweep_of(trials, **{**written_down(family), "declared": 3}), [])
    assert "width" not in damaged.suggestion.yaml and "learning_rate" in damaged.suggestion.yaml


def test_a_value_surely_worse_than_the_best_is_dropped_though_neither_differs_from_the_reference():
    rng, layers = np.random.default_rng(19), np.repeat([3, 4, 5], [19, 22, 19])
    trials = pd.DataFrame({
        "trial_id": [f"t{i:02d}" for i in range(60)], "conv_layers": layers,
        "dropout": rng.choice([0.2, 0.3], 60),
        "val_acc": 0.3 + 0.015 * (layers - 4) + rng.normal(0, 0.025, 60),
    })  # fmt: skip
    found = findings_of(trials)
    assert found.effects.significant.empty
    assert found.suggestion.sentences[0].startswith("conv_layers: drop 3 (")


def test_it_never_suggests_what_cannot_exist(tmp_path: Path) -> None:
    found = findings_of(study(200, conv_layers=0.05), image_size=32)
    assert next_space(tmp_path, found)["conv_layers"] == Choice((5,)), "6 poolings leave nothing"


def test_a_range_stays_a_range_and_is_narrowed_to_what_is_not_dead(tmp_path: Path) -> None:
    trials = study(150)
    trials["learning_rate"] = 10 ** np.random.default_rng(5).uniform(-5, -1, 150)
    same = next_space(tmp_path, findings_of(trials))
    assert same["learning_rate"] == Interval(
        trials["learning_rate"].min(), trials["learning_rate"].max(), log=True
    )
    ranks = trials["learning_rate"].rank(pct=True)
    trials["val_acc"] -= 0.08 * (ranks > 2 / 3)
    narrowed = next_space(tmp_path, findings_of(trials))["learning_rate"]
    assert isinstance(narrowed, Interval)
    assert narrowed.high < trials["learning_rate"].max() / 5


def test_hyperparameters_of_other_tools_are_left_out_of_the_sweep_file(tmp_path: Path) -> None:
    trials = study().assign(beta=1, activation="maxout")
    space = next_space(tmp_path, findings_of(trials))
    assert "beta" not in space and "activation" not in space
    assert "dropout" in space


def test_where_nothing_is_known_there_is_no_sweep_file() -> None:
    found = findings_of(pd.DataFrame({"trial_id": ["a"], "beta": [1], "val_acc": [0.1]}))
    assert found.suggestion.yaml == ""
    assert len(found.suggestion.sentences) == 1


def test_the_table_of_claims_has_its_fixed_columns_for_every_table() -> None:
    for trials in (study(), study().iloc[:3], study().iloc[:0], study().assign(val_acc=np.nan)):
        found = findings_of(trials)
        table = claims_table(found.verdicts)
        assert table.columns.tolist() == COLUMNS
        assert len(table) == 9
        assert found.takeaways and found.suggestion.sentences


def test_a_difference_too_small_for_a_sign_is_not_minus_zero() -> None:
    assert [signed(x) for x in (-0.0004, 0.0, 0.0123, -0.05)] == ["+0.0", "+0.0", "+1.2", "-5.0"]
