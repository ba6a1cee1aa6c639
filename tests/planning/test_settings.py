import re
from dataclasses import replace
from pathlib import Path

import pytest

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.planning.make_plan import data_name, make_plan
from cnnlib.planning.settings import Settings, renamed, seconds_of
from cnnlib.search.experience import Early, Experience
from cnnlib.search.trends import Trend

FAST = {"image_size": 32, "wandb": "off"}


def test_a_plan_answers_what_the_settings_leave_open(photos: Path, tmp_path: Path) -> None:
    plan = make_plan(Settings(data=photos, storage=tmp_path / "results", name="one", **FAST))
    assert plan.folder == tmp_path / "results" / "one"
    assert (plan.trials, plan.max_epochs, plan.image_size) == (20, 50, 32)
    assert plan.num_points == 15_552
    assert plan.halving is not None
    assert plan.halving.rungs == (6, 17), "at a ninth and a third"
    assert plan.num_photos == {"train": 24, "val": 6, "test": 9}
    first, second, third, fourth = str(plan).splitlines()
    assert first.startswith("20 trials of 15,552 configurations (10 hyperparameters, tpe) on ")
    assert "24 photographs to train on, 6 to validate, 9 to test" in first
    assert second.startswith("up to 50 epochs at 32 px; after epoch 6, 17 a trial goes on if")
    assert re.fullmatch(
        r"expected: \d+ epochs in all, \d+ trials to the last; on the disk at most [\d.]+ [MG]B "
        r"for each trial at once and [\d.]+ [MG]B for the best",
        third,
    )
    assert fourth == (
        "finals: the best 3 and a reference again, on 3 new seeds each, up to 50 epochs; then the "
        "champion on all photographs"
    )
    assert not plan.folder.exists(), "a plan writes nothing"


def test_a_plan_tells_once_what_to_know_of_the_photographs(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "train" / "green" / "red.png").write_bytes(
        (photos / "train" / "red" / "000.png").read_bytes()
    )
    (photos / "valid").mkdir()
    plan = make_plan(Settings(data=photos, storage=tmp_path / "results", name="one", **FAST))
    [note, other] = [line for line in str(plan).splitlines() if line.startswith("note: ")]
    assert note.endswith("photos/valid is not used, because " + f"{photos}/val is the test set")
    assert "1 photograph is in more than one class: green/red.png = red/000.png" in other
    assert not capfd.readouterr().err


def test_an_audit_is_planned(photos: Path, tmp_path: Path) -> None:
    settings = Settings(data=photos, storage=tmp_path, name="one", **FAST)
    plain, audited = make_plan(settings), make_plan(replace(settings, audit=0.2))
    assert "; 20% of the others go on all the same, as an audit\n" in str(audited)
    epochs = [int(re.search(r"expected: (\d+) epochs", str(p))[1]) for p in (plain, audited)]
    assert epochs[0] < epochs[1]


def test_the_sample_has_its_own_sweep_file(tmp_path: Path) -> None:
    plan = make_plan(Settings(storage=tmp_path, wandb="off"))
    assert (plan.trials, plan.max_epochs, plan.image_size) == (20, 9, 32)
    assert (plan.finalists, plan.seeds) == (2, 2)
    assert re.fullmatch(r"sample-\d{8}-\d{6}", plan.name)


def test_finals_have_a_quarter_of_the_time_and_can_be_left_out(
    photos: Path, tmp_path: Path
) -> None:
    settings = Settings(data=photos, storage=tmp_path, time_budget="1h", **FAST)
    plan = make_plan(settings)
    assert (plan.finalists, plan.seeds, plan.search_budget) == (3, 3, 2700)
    assert plan.reference == TrialConfig()
    for off in ({"finalists": 1}, {"finalists": 0}, {"seeds": 0}, {"trials": 1}):
        plan = make_plan(replace(settings, **off))
        assert plan.search_budget == 3600
        assert "finals: " not in str(plan)


def test_no_more_trials_are_planned_than_there_are_configurations(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text("parameters: {dropout: {values: [0.1, 0.2]}}")
    plan = make_plan(
        Settings(data=photos, storage=tmp_path, sweep=tmp_path / "small.yaml", trials=9, **FAST)
    )
    assert plan.trials == 2


def sweep(*, method: str = "grid", **more: object) -> dict[str, object]:
    return {
        "method": method,
        "metric": {"name": "val_acc", "goal": "maximize"},
        "parameters": {
            "dropout": {"values": [n / 100 for n in range(10)]},
            "conv_layers": {"min": 1, "max": 5},
        },
        **more,
    }


def test_a_grid_tries_all_its_points_unless_something_says_less(
    photos: Path, tmp_path: Path
) -> None:
    def trials(content: dict[str, object], **flags: object) -> int:
        settings = Settings(data=photos, storage=tmp_path, sweep=content, **FAST, **flags)  # type: ignore[arg-type]
        return make_plan(settings).trials

    assert trials(sweep()) == 50
    assert trials(sweep(method="random")) == 20
    assert trials(sweep(run_cap=7)) == 7
    assert trials(sweep(), trials=9) == 9
    assert trials(sweep(), set=["dropout=0.1,0.2"]) == 10
    huge = {n: {"min": 1, "max": 65536} for n in ("batch_size", "num_neurons_dense")}
    with pytest.raises(ValueError, match="method: a grid of 4,294,967,296 points is more than"):
        trials(sweep() | {"parameters": huge})


def test_the_dictionary_of_wandb_sweep_is_taken_and_its_other_readings_are_told(
    photos: Path, tmp_path: Path
) -> None:
    content = sweep(
        method="bayes",
        program="train.py",
        name="mine",
        description="a sweep",
        metric={"name": "val_acc", "target": 0.9},
        early_terminate={"type": "hyperband", "max_iter": 27, "s": 2, "strict": True},
    )
    plan = make_plan(Settings(data=photos, storage=tmp_path, sweep=content, **FAST))
    assert (plan.search, plan.num_points) == ("tpe", 50)
    assert plan.halving is not None
    assert plan.halving.rungs == (3, 9)
    assert plan.terms.strict
    first, second, *_, ignored, goal = str(plan).splitlines()
    assert first.startswith("20 trials of 50 configurations (2 hyperparameters, tpe)")
    assert second.endswith(
        "so far, by that epoch's val_acc; nothing new is tried after a val_acc of 0.9"
    )
    assert ignored.startswith("note: program, name: for W&B's agents, without meaning here (--name")
    assert goal == "note: metric: without a goal W&B would minimise val_acc; here it is maximised"


def test_promotion_is_told_with_the_bound_of_what_waits(photos: Path, tmp_path: Path) -> None:
    content = sweep(early_terminate={"type": "promote"})
    settings = Settings(data=photos, storage=tmp_path, sweep=content, **FAST)
    plan = make_plan(replace(settings, max_epochs=27, trials=20))
    assert plan.terms.stopping == "promote"
    assert "early_terminate: there is none" not in str(plan)
    assert plan.halving is not None and plan.halving.rungs == (1, 3, 9)
    told = str(plan)
    wait = "else it waits until it is or can be no more"
    assert f"among the best 33% so far, after epoch 9 among 50%, {wait}" in told
    assert " for the at most 14 that wait and " in told  # 7 + 3 + 2 of 20, and 2 spare
    named = replace(settings, sweep=sweep(early_terminate={"type": "promote", "min_iter": 1}))
    told = str(make_plan(replace(named, max_epochs=27, trials=20)))
    assert f"among the best 33% so far, {wait}" in told
    assert " for the at most 13 that wait and " in told
    plan = make_plan(
        replace(settings, sweep=sweep(early_terminate={"type": "hyperband", "min_iter": 1}))
    )
    assert (plan.terms.stopping, plan.most_waiting) == ("asha", 0)
    assert "wait" not in str(plan)


@pytest.mark.parametrize(
    ("search", "said", "stopping"),
    [
        ("tpe", {}, "asha"),
        ("curves", {}, "promote"),
        ("curves", {"early_terminate": {"type": "hyperband", "min_iter": 3}}, "asha"),
        ("random", {"early_terminate": {"type": "promote"}}, "promote"),
    ],
)
def test_curves_pauses_trials_where_the_file_names_no_rule(
    photos: Path, tmp_path: Path, search: str, said: dict, stopping: str
) -> None:
    settings = Settings(data=photos, storage=tmp_path, sweep=sweep(**said), **FAST)
    plan = make_plan(replace(settings, search=search, max_epochs=27))
    assert plan.terms.stopping == stopping
    assert plan.halving is not None
    by_default = (1, 3, 9) if stopping == "promote" else (3, 9)
    assert plan.halving.rungs == by_default
    null = make_plan(replace(settings, search=search, sweep=sweep(early_terminate=None)))
    assert null.halving is None and null.most_waiting == 0


@pytest.mark.parametrize(
    ("foretells", "rungs"), [(0.8, (1, 2, 6, 17)), (0.2, (2, 6, 17)), (None, (2, 6, 17))]
)
def test_where_curves_pauses_trials_follows_from_earlier_sweeps(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    foretells: float | None,
    rungs: tuple[int, ...],
) -> None:
    trends = {
        "dropout": Trend((0.0, 0.5), (-1.0, 1.0)),
        "learning_rate": Trend((1e-4, 1e-2), (1.0, 0.0)),
    }
    early = (Early(1 / 50, foretells, trends),) if foretells else ()
    known = Experience("networks", 3, 100, trends, early=early)
    monkeypatch.setattr("cnnlib.search.experience.shipped", lambda: [known])
    bounds = {"dropout": {"min": 0.0, "max": 0.5}, "learning_rate": {"min": 1e-4, "max": 1e-2}}
    searched = sweep(method="bayes") | {"parameters": bounds}
    settings = Settings(data=photos, storage=tmp_path, sweep=searched, **FAST)
    plan = make_plan(replace(settings, search="curves", max_epochs=50))
    assert plan.halving is not None and plan.halving.rungs == rungs
    assert ("; at rungs goes on who by them ends best" in str(plan)) == bool(foretells)
    named = searched | {"early_terminate": {"type": "promote", "min_iter": 5}}
    plan = make_plan(replace(settings, search="curves", max_epochs=50, sweep=named))
    assert plan.halving is not None and plan.halving.rungs == (5, 15, 45), "a file's are obeyed"


def test_what_a_person_wants_first_stands_in_the_terms(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text("[{dropout: 0.2}, {dropout: 0.3}]")
    settings = Settings(data=photos, storage=tmp_path, first=tmp_path / "first.yaml", **FAST)
    plan = make_plan(replace(settings, prior=["dropout=0.2"], explore=0.3))
    assert len(plan.terms.first) == 2 and plan.terms.explore == 0.3
    assert plan.terms.priors == {"dropout": (0.2,)}
    with pytest.raises(ValueError, match=r"--first: .* holds 2 configurations, more than the 1 tr"):
        make_plan(replace(settings, trials=1))


def test_a_network_beyond_any_memory_is_refused(photos: Path, tmp_path: Path) -> None:
    fixed = [
        "first_layer_filters=4096", "filter_org=4", "conv_layers=10", "num_neurons_dense=65536"
    ]  # fmt: skip
    settings = Settings(data=photos, storage=tmp_path, set=fixed, image_size=1024, wandb="off")
    with pytest.raises(ValueError, match="no memory holds a network of first_layer_filters 4096"):
        make_plan(settings)


def test_early_terminate_null_stops_no_trial(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text("parameters: {}\nearly_terminate: null")
    plan = make_plan(Settings(data=photos, storage=tmp_path, sweep=tmp_path / "all.yaml", **FAST))
    assert plan.halving is None
    assert "no trial is stopped early" in str(plan)
    assert "note: " not in str(plan)
    (tmp_path / "all.yaml").write_text("parameters: {}")
    plan = make_plan(Settings(data=photos, storage=tmp_path, sweep=tmp_path / "all.yaml", **FAST))
    assert "note: early_terminate: there is none, so W&B would stop no trial" in str(plan)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": 0}, "--trials: 0 is not at least 1"),
        ({"max_epochs": 0}, "--max-epochs: 0 is not at least 1"),
        ({"image_size": -1}, "--image-size: -1 is not at least 1"),
        ({"gpus_per_trial": float("nan")}, "--gpus-per-trial: nan is not at least 0"),
        ({"max_concurrent": 0}, "--max-concurrent: 0 is not at least 1"),
        ({"finalists": -1}, "--finalists: -1 is not at least 0"),
        ({"seeds": -1}, "--seeds: -1 is not at least 0"),
        ({"reference": "none.json"}, "No such file.*none.json"),
        ({"first": "none.yaml"}, "No such file.*none.yaml"),
        ({"first": 3}, "--first: 3 is not a text"),
        ({"prior": ["dropout=0.99"]}, "--prior dropout: 0.99 is not a number from"),
        ({"prior": ["dropout=0.9"]}, "--prior dropout: 0.9 is not in the sweep's space"),
        ({"explore": 2}, "--explore: 2 is not a share between 0 and 1"),
        ({"cpus_per_trial": 4096}, "--cpus-per-trial: 4096 is more than the"),
        ({"max_epochs": 10**400}, "--max-epochs: a number of about 401 digits is more than"),
        ({"trials": "20"}, "--trials: 20 is not a whole number"),
        ({"trials": 2.5}, "--trials: 2.5 is not a whole number"),
        ({"seed": 2**32}, "--seed: 4294967296 is more than 4,294,967,295"),
        ({"seed": 2**32 - 1}, "--seed: 4294967295 leaves no room for 3 new seeds"),
        ({"gpus_per_trial": float("inf")}, "--gpus-per-trial: inf is more than 1,024"),
        ({"gpus_per_trial": "many"}, "--gpus-per-trial: many is not a number or auto"),
        ({"audit": float("nan")}, "--audit: nan is not at least 0"),
        ({"gpus_per_trial": 4096}, "--gpus-per-trial: 4096 "),
        ({"audit": -0.1}, "--audit: -0.1 is not at least 0"),
        ({"audit": 10}, "--audit: 10 is not a share between 0 and 1"),
        ({"search": "grid"}, "--search: grid is not tpe or curves or random"),
        ({"name": "a/b"}, "--name: a/b is not made of letters"),
        *(
            ({"storage": url, "name": "x"}, f"--storage: {url}/x is no storage; give a folder, s3:")
            for url in ("ftp://bucket", "file:///tmp", "file:/tmp", "mock://x", "S3://bucket")
        ),
        ({"storage": "~nosuchuser/x"}, "--storage: ~nosuchuser/x: Could not determine home"),
        ({"time_budget": "soon"}, "--time-budget: soon is not a time like 2h"),
        ({"time_budget": "0s"}, "--time-budget: there is nothing to do in no time"),
        ({"time_budget": ""}, "--time-budget: nothing is not a time like 2h"),
        ({"time_budget": "9" * 5000 + "h"}, r"--time-budget: 999\S*\.\.\. is not a time"),
        ({"time_budget": 7200}, "--time-budget: 7200 is not a time like 2h"),
        ({"name": "-x"}, "--name: -x begins like a flag"),
        ({"data": "a\0b"}, "--data: a.b holds a NUL character"),
        ({"sweep": ["dropout"]}, "a sweep needs `parameters:`"),
        ({"sweep": {"parameters": {"dropuot": {"value": 0.1}}}}, "dropuot: no such hyperparam"),
        ({"set": "droput=0.1"}, "droput: no such hyperparameter"),
        ({"sweep": "none.yaml"}, "no sweep file none.yaml"),
        ({"set": ["conv_layers=6"]}, "conv_layers: 6 poolings leave nothing of 32 px"),
        ({"wandb": "maybe"}, "wandb: 'maybe' is not one of"),
        ({"data": "/no/such/folder"}, "/no/such/folder does not exist"),
        ({"resume": True}, "--resume: which sweep"),
        ({"resume": True, "name": "x"}, "--resume: no sweep in .*/x; leave out --resume"),
        ({"warm_start": "/no/such"}, "no results in /no/such"),
        ({"stop_when": -0.1}, "--stop-when: -0.1 is not a gain from 0 on, nor noise"),
        ({"stop_when": "soon"}, "--stop-when: soon is not a gain from 0 on, nor noise"),
        ({"stop_when": "noise", "metric": "val_loss"}, "--stop-when: noise is known of val_acc"),
    ],
)
def test_every_mistake_is_found_before_anything_starts(
    settings: dict, message: str, photos: Path, tmp_path: Path
) -> None:
    given = {"data": photos, "storage": tmp_path / "results", **FAST, **settings}
    with pytest.raises((ValueError, OSError), match=message) as caught:
        make_plan(Settings(**given))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_a_first_rung_beyond_the_last_epoch_stops_nothing_as_in_wandb(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "grace.yaml").write_text(
        "parameters: {}\nearly_terminate: {type: hyperband, min_iter: 2}"
    )
    settings = Settings(
        data=photos, storage=tmp_path, sweep=tmp_path / "grace.yaml", max_epochs=1, **FAST
    )
    plan = make_plan(settings)
    assert plan.terms.halving is None
    assert any("first rung is at epoch 2, beyond the last, 1" in note for note in plan.notes)
    plan = make_plan(replace(settings, max_epochs=3))
    assert plan.terms.halving.rungs == (2,) and not any("beyond" in note for note in plan.notes)


@pytest.mark.parametrize("share", [0.5, "auto"])
def test_a_gpu_that_is_not_there_is_refused_by_the_sweep_too(
    share: float | str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Settings(data=photos, storage=tmp_path, gpus_per_trial=share, **FAST)
    monkeypatch.setattr("cnnlib.system.gpus.usable_gpus", lambda: ((), None))
    with pytest.raises(ValueError, match=f"--gpus-per-trial: {share} and no GPU here; leave it o"):
        make_plan(asked)
    monkeypatch.setattr("cnnlib.system.gpus.usable_gpus", lambda: ((), "driver 470 cannot run"))
    with pytest.raises(ValueError, match="driver 470 cannot run, or use the CPU by --gpus-per-tr"):
        make_plan(asked)
    assert make_plan(replace(asked, gpus_per_trial=0)).trials == 20
    monkeypatch.setattr("cnnlib.system.gpus.usable_gpus", lambda: (("L4",), None))
    assert make_plan(asked).trials == 20


def test_a_core_that_is_not_ours_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.system.limits.cores", lambda: 1)
    with pytest.raises(ValueError, match="--cpus-per-trial: 2 is more than the 1 here"):
        make_plan(Settings(data=photos, storage=tmp_path, cpus_per_trial=2, **FAST))


def test_a_shipped_sweep_file_goes_by_its_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wide = Settings(data=photos, storage=tmp_path, sweep="wide", **FAST)
    assert "optimizer" in make_plan(wide).space
    Path("wide").write_text("parameters: {dropout: {values: [0.1, 0.2]}}")
    assert make_plan(wide).num_points == 2, "a file of the user's goes first"


def test_a_folder_that_exists_is_never_used(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"mine exists; nothing is overwritten.*by --resume"):
        make_plan(Settings(data=photos, storage=tmp_path, name="mine", **FAST))


def test_a_place_where_nothing_can_be_written_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match=r"no permission to write in .*file"):
        make_plan(Settings(data=photos, storage=tmp_path / "file", **FAST))


def test_times_and_names_are_understood() -> None:
    assert [seconds_of(text) for text in ("2h", "90m", "1h30m", "45s")] == [7200, 5400, 5400, 45]
    assert data_name("https://host/data/nature_12K.zip?x=1") == "nature_12K"
    assert data_name("my photos/") == "my_photos"
    assert data_name("/") == "photos"


def test_results_of_a_ray_job_do_not_go_into_its_throwaway_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photos: Path
) -> None:
    job = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    job.mkdir(parents=True)
    monkeypatch.chdir(job)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_plan(Settings(data=photos, name="x", **FAST)).folder == tmp_path / "results" / "x"


@pytest.mark.parametrize(
    ("field", "value"),
    [("warm_start", -1), ("storage", 5), ("name", ["a"]), ("data", None), ("reference", None),
     ("wandb_project", b"a"), ("set", 5), ("set", [5]), ("set", None)],
)  # fmt: skip
def test_a_field_that_is_no_text_is_a_line(field: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^--{field.replace('_', '-')}"):
        make_plan(Settings(**{"wandb": "off", "data": tmp_path, field: value}))


@pytest.mark.parametrize("flags", [["a=dropout", " b = ema "], {"a": "dropout", "b": "ema"}])
def test_renames_are_flags_or_a_dictionary(flags: object) -> None:
    assert renamed(flags) == {"a": "dropout", "b": "ema"}
    assert renamed("a=dropout") == {"a": "dropout"}
    assert renamed(()) == {}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["dropout"], "--rename dropout: write NAME=KNOWN"),
        (["=dropout"], "write NAME=KNOWN"),
        (["a=dropout", "a=ema"], "--rename a: is given twice"),
        (5, "--rename 5: write NAME=KNOWN"),
    ],
)
def test_renames_that_say_nothing_are_refused(flags: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        renamed(flags)
