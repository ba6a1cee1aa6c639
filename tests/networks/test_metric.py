import math

import pytest

from cnnlib.networks.metric import VAL_ACC, Metric, read_metric

LOSS = Metric("val_loss", "minimize", "validation loss")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        *((said, "val_acc") for said in (
            "val_acc", "val_accuracy", "validation_accuracy", "Val_Accuracy", "val/acc",
            "epoch/val_accuracy", "valid_acc", "best_val_acc", "validation/acc", "val accuracy",
            "eval.accuracy", "ValAccuracy", "valAcc", "val_acc_epoch", "accuracy", "acc",
            "Best_Accuracy", "val_top1", "val_acc1", "validation-accuracy", "valacc",
            "val_categorical_accuracy", "val_sparse_categorical_accuracy", "val_top_1_accuracy",
        )),
        *((said, "val_loss") for said in (
            "val_loss", "validation_loss", "val/loss", "Validation Loss", "val_eval_loss", "loss",
            "best_val_loss", "valid.loss",
        )),
        *((said, "val_balanced_acc") for said in (
            "val_balanced_acc", "val/balanced_accuracy", "balanced_accuracy", "val_bal_acc",
            "balanced_accuracy_score", "val_bacc",
        )),
        *((said, "val_f1") for said in (
            "val_f1", "f1", "val/f1_macro", "macro_f1", "val_f1_score", "validation_macro_f1",
        )),
    ],
)  # fmt: skip
def test_the_names_that_people_use_are_understood(said: str, name: str) -> None:
    metric, notes = read_metric(said)
    lower = name == "val_loss"
    assert metric == Metric(name, "minimize" if lower else "maximize", said)
    read_as = [note for note in notes if f"{said} is {name}" in note]
    assert len(read_as) == (said != name), "the plan tells what was read as what"


@pytest.mark.parametrize("said", ["val_mean_ap", "val_weighted_f1", "my_score", "val_top5_acc"])
def test_another_name_is_taken_as_it_is(said: str) -> None:
    metric, notes = read_metric(said, "maximize")
    assert metric == Metric(said, "maximize", said) and not notes


def test_what_no_goal_says_is_as_the_name_says_or_as_in_wandb() -> None:
    assert read_metric("val_loss")[1] == []
    assert "W&B would minimise val_acc; here it is maximised" in read_metric("val_acc")[1][0]
    metric, notes = read_metric("my_measure")
    assert metric.goal == "minimize" and "as in W&B" in notes[0]
    assert read_metric("val_auroc")[0].goal == "maximize"


@pytest.mark.parametrize(
    ("name", "goal", "told"),
    [
        ("val_loss", "maximize", "val_loss is minimised here; write goal: minimize"),
        ("val/Accuracy", "minimize", "val_acc is maximised here; write goal: maximize"),
        ("my_recall", "minimize", "my_recall is maximised here"),
        ("val_acc", "maximise", "goal maximise is not maximize or minimize"),
        ("val_acc", ["maximize"], "is not maximize or minimize"),
        ("train_acc", None, "learnt by heart.*write val_acc"),
        ("Train/Loss", None, "write val_loss"),
        ("test_accuracy", None, "take no part in a search; write val_acc"),
        ("test_f1", "maximize", "write val_f1"),
        ("", None, "is not a text"),
        (7, None, "is not a text"),
    ],
)
def test_what_cannot_guide_a_search_is_refused(name: object, goal: object, told: str) -> None:
    with pytest.raises(ValueError, match=rf"^--metric: .*{told}"):
        read_metric(name, goal, field="--metric")


@pytest.mark.parametrize("metric", [VAL_ACC, LOSS, Metric("my_score", "maximize", "my_score")])
def test_a_better_value_has_a_higher_score_and_the_worst_is_below_all(metric: Metric) -> None:
    worse, better = (0.2, 0.7) if metric.goal == "maximize" else (0.7, 0.2)
    assert metric.score(better) > metric.score(worse) > metric.worst
    assert metric.value(metric.score(0.7)) == 0.7
    assert metric.of({metric.name: 0.7}) == metric.score(0.7) and math.isnan(metric.of({}))


def test_a_network_that_predicts_nothing_has_diverged_whatever_the_metric() -> None:
    assert LOSS.diverged({"val_loss": math.inf})
    assert LOSS.diverged({"val_loss": 0.5, "val_acc": math.nan}), "its weights are not finite"
    assert VAL_ACC.diverged({"train_acc": math.nan}), "nothing validates"
    assert not VAL_ACC.diverged({"val_acc": 0.0, "train_acc": math.nan, "val_loss": math.inf})
    assert not LOSS.diverged({"train_loss": 1.0})
