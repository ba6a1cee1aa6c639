from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlib.journal.events import Journal
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.terms import Terms
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.metric import VAL_ACC
from cnnlib.networks.own_code import family_asked
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.plan import Plan
from cnnlib.planning.resume import check_compatible, read_known, read_terms, renamed_before
from cnnlib.planning.settings import Settings
from cnnlib.search.experience import Experience
from cnnlib.search.searcher import Outcome
from cnnlib.search.trends import Trend
from tests.journal.test_ledger import TERMS, Sweep


def test_the_terms_of_a_sweep_are_read_from_its_journal(tmp_path: Path) -> None:
    assert read_terms(tmp_path) is None, "it was killed before it had a journal"
    (tmp_path / "trials.csv").touch()
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match=r"no sweep in .*; leave out --resume"):
            read_terms(folder)
    (tmp_path / "trials.csv").unlink()
    journal = Journal(tmp_path)
    assert read_terms(tmp_path) is None, "it was killed before it began"
    ledger = Ledger(journal.append)
    known = (Outcome(TrialConfig(dropout=0.1), 0.5),)
    past = Experience("such", 2, 80, {"dropout": Trend((0.1, 0.4), (-0.5, 0.5))}, tables=("a",))
    ledger.begin(replace(TERMS, known=known, experience=past))
    assert read_terms(tmp_path) == replace(TERMS, known=known, experience=past)
    ledger.resume(20, 9)
    journal.close()
    grown = replace(TERMS, known=known, experience=past, trials=20, max_epochs=9)
    assert read_terms(tmp_path) == grown
    check_compatible(grown, replace(grown, experience=None))


def test_the_names_of_the_users_file_are_in_the_journal(tmp_path: Path) -> None:
    names, rename = {"num_neurons_dense": "cells"}, {"cells": "num_neurons_dense"}
    terms = replace(TERMS, names=names, rename=rename)
    journal = Journal(tmp_path)
    assert renamed_before(tmp_path) == {}, "it was killed before it began"
    Ledger(journal.append).begin(terms)
    journal.close()
    assert renamed_before(tmp_path) == rename
    read = read_terms(tmp_path)
    assert read == terms
    check_compatible(terms, replace(terms, names={}, rename={}))


def test_more_of_the_same_is_compatible() -> None:
    check_compatible(TERMS, replace(TERMS, trials=99, max_epochs=50, num_initial=0, known=()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "g"}, "fingerprint was f and is now g"),
        ({"trials": 3}, "trials was 12 and is now 3"),
        ({"max_epochs": 5}, "max_epochs was 6 and is now 5"),
        ({"grace_period": 2}, "grace_period was 1 and is now 2"),
        (
            {"space": TERMS.space | {"conv_layers": Choice((2, 3))}},
            "conv_layers was 2 or 3 or 4 and is now 2 or 3",
        ),
        (
            {"space": TERMS.space | {"learning_rate": Interval(0.1, 0.2)}, "seed": 4},
            r"learning_rate was 1e-05 to 0.1 \(log\) and is now 0.1 to 0.2; seed was 3 and is now",
        ),
        (
            {"space": TERMS.space | {"batch_size": Choice((8,))}},
            "batch_size was not searched and is now 8",
        ),
    ],
)
def test_another_sweep_is_refused_with_every_difference(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^--resume: this is another sweep: {message}"):
        check_compatible(TERMS, replace(TERMS, **changes))


def test_what_another_sweep_found_is_read_from_its_journal_or_its_table(tmp_path: Path) -> None:
    sweep = Sweep()
    sweep.begin()
    sweep.run()
    trial = Ledger(sweep._write, sweep.ledger.trials)
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "trials.csv").write_text(
        "trial_id,status,dropout,conv_layers,val_acc,note\n"
        "1,completed,0.1,3,0.4,x\n"
        "2,failed,0.2,3,,x\n"
        "3,stopped,0.2,4,0.2,x\n"
        "4,running,0.1,4,0.9,x\n"
        "5,completed,0.7,3,0.8,outside\n"
        "6,completed,0.1,4,,no score\n"
        "7,completed,none,4,0.3,no number\n"
    )
    (tmp_path / "csv" / "epochs.csv").write_text("trial_id,epoch\n")
    space: Space = {"dropout": Interval(0.1, 0.3), "conv_layers": Choice((3, 4))}
    assert read_known(tmp_path / "csv", space) == (
        Outcome(TrialConfig(dropout=0.1, conv_layers=3), 0.4),
        Outcome(TrialConfig(dropout=0.2, conv_layers=3), VAL_ACC.worst),
        Outcome(TrialConfig(dropout=0.2, conv_layers=4), 0.2),
    )
    journal = Journal(tmp_path / "journal")
    for event in sweep.events:
        journal.append(**{name: value for name, value in event.items() if name != "time"})
    journal.close()
    known = read_known(tmp_path / "journal", TERMS.space)
    assert [outcome.score for outcome in known] == [t.best for t in trial.trials.values()]
    with pytest.raises(ValueError, match=r"none of the 12 ended trials in .* lies in this space"):
        read_known(tmp_path / "journal", {"dropout": Choice((0.9,))})


FAST = {"image_size": 32, "wandb": "off"}


def begun(plan: Plan, terms: Terms | None = None) -> None:
    """Leaves the folder of a sweep that was killed after its first event."""
    plan.folder.mkdir(parents=True)
    journal = Journal(plan.folder)
    Ledger(journal.append).begin(terms or plan.terms)
    journal.close()


def test_the_same_settings_go_on_and_others_are_refused(photos: Path, tmp_path: Path) -> None:
    settings = Settings(data=photos, storage=tmp_path / "r", name="s", max_epochs=18, **FAST)
    begun(make_plan(settings))
    again = replace(settings, resume=True)
    assert make_plan(again).terms == make_plan(settings.__class__(**vars(again))).terms
    longer = make_plan(replace(again, max_epochs=60, trials=30))
    assert longer.halving is not None
    assert longer.halving.rungs == (2, 6, 18, 54), "the grace period stays"
    told = make_plan(replace(again, warm_start="/a/folder/that/is/gone"))
    assert told.terms.known == (), "what it was told is in its journal"
    with pytest.raises(ValueError, match=r"another sweep: image_size was 32 and is now 64"):
        make_plan(replace(again, image_size=64))
    (photos / "train" / "red" / "000.png").unlink()
    with pytest.raises(ValueError, match=r"another sweep: fingerprint was \w+ and is now \w+$"):
        make_plan(again)


def test_a_sweep_goes_on_under_the_names_that_it_was_begun_with(
    photos: Path, tmp_path: Path
) -> None:
    parameters = {"cells": {"values": [4, 8]}, "warmup_epochs": {"values": [0, 1]}}
    settings = Settings(
        data=photos, storage=tmp_path / "r", name="s", rename=("cells=num_neurons_dense",),
        sweep={"method": "random", "parameters": parameters}, **FAST,
    )  # fmt: skip
    plan = make_plan(settings)
    assert plan.terms.names == {"num_neurons_dense": "cells", "warm_up": "warmup_epochs"}
    begun(plan)
    again = replace(settings, rename=(), resume=True)
    assert make_plan(again).terms == plan.terms, "the flag need not be said again"
    assert make_plan(replace(again, rename=settings.rename)).terms == plan.terms
    with pytest.raises(ValueError, match=r"another sweep: .*num_dense_layers was not searched"):
        make_plan(replace(again, rename="cells=num_dense_layers"))
    with pytest.raises(ValueError, match="cells: no such hyperparameter"):
        make_plan(replace(again, resume=False, name="other"))


def test_a_sweep_by_curves_that_stopped_its_trials_goes_on_stopping_them(
    photos: Path, tmp_path: Path
) -> None:
    """As one did that an earlier version began, or whose file named a rule then."""
    rule = {"early_terminate": {"type": "hyperband", "min_iter": 3}}
    settings = Settings(
        data=photos, storage=tmp_path / "r", name="s", max_epochs=27, search="curves",
        sweep={"parameters": {"dropout": {"min": 0.0, "max": 0.5}}, **rule}, **FAST,
    )  # fmt: skip
    plan = make_plan(settings)
    assert plan.terms.stopping == "asha"
    begun(plan)
    unsaid = {name: said for name, said in settings.sweep.items() if name not in rule}
    again = make_plan(replace(settings, sweep=unsaid, resume=True))
    assert again.terms == plan.terms and again.halving == plan.halving


def test_a_sweep_killed_before_its_first_event_begins(photos: Path, tmp_path: Path) -> None:
    settings = Settings(data=photos, storage=tmp_path / "r", name="s", **FAST)
    folder = make_plan(settings).folder
    folder.mkdir(parents=True)
    Journal(folder).close()
    assert make_plan(replace(settings, resume=True)).trials == 20


@pytest.mark.parametrize("left", ["sweep.json", "trials.csv", "checkpoints", "champion"])
def test_a_journal_that_was_lost_is_not_one_that_was_never_written(
    left: str, tmp_path: Path
) -> None:
    (tmp_path / "journal").mkdir()
    assert read_terms(tmp_path) is None, "it was killed before it had a segment"
    (tmp_path / left).mkdir()
    with pytest.raises(ValueError, match=rf"/journal/000001\*\.jsonl is missing, but {left} is th"):
        read_terms(tmp_path)
    Journal(tmp_path).close()
    if left == "sweep.json":  # which comes before the first event
        assert read_terms(tmp_path) is None
    else:
        with pytest.raises(ValueError, match=f"is missing, but {left} is there"):
            read_terms(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"dropuot": {"values": [0.1]}}}, "dropuot: no such hyperparameter"),
        ({"space": {"dropout": {"values": ["x"]}}}, "dropout: x is not "),
        ({"space": {"dropout": {"kind": 3}}}, "with space: a dict"),
        ({"space": None}, "with space: None"),
        ({"known": [{"config": {"dropout": 7}, "score": 0.1}]}, "dropout: 7 is not "),
        ({"known": {}}, "with known: a dict"),
        ({"trials": "12"}, "with trials: '12'"),
        ({"grace_period": 0.5}, "min_iter 0.5 is not at least 1"),
        ({"last_share": 2}, "2 is no share that goes on"),
        ({"last_share": "half"}, "with last_share: 'half'"),
    ],
)
def test_terms_of_another_form_are_a_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    journal.append("sweep", **TERMS.as_event() | changes)
    journal.close()
    with pytest.raises(ValueError, match=message) as caught:
        read_terms(tmp_path)
    where = ("the journal's `sweep` is none of this version: ", str(tmp_path / "journal"))
    assert str(caught.value).startswith(where)


def test_a_sweep_of_changed_code_does_not_go_on(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def net(num_classes, width: int = 2): ...")
    before = family_asked(f"{path}:net")
    path.write_text("def net(num_classes, width: int = 2):\n    raise KeyError")
    after = family_asked(f"{path}:net")
    began = replace(TERMS, family=before, space={"width": Choice((2, 3))})
    read = Terms.from_event(began.as_event(), after)
    assert read.family.digest == before.digest
    with pytest.raises(ValueError, match="was changed since the sweep began; bring it back"):
        check_compatible(read, replace(began, family=after))
    check_compatible(Terms.from_event(began.as_event(), before), began)
    with pytest.raises(ValueError, match="network was cnn and is now"):
        check_compatible(TERMS, replace(TERMS, family=after))
