from pathlib import Path
from typing import Any

from cnnlib.networks.families import FAMILIES, short_names
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.tracking.names import run_id, run_name, where
from tests.tracking.test_follower import CONFIG


def test_a_run_is_named_after_its_hyperparameters() -> None:
    assert run_name(CONFIG) == (
        "ac-relu-filters-128-filt_org-1.0-layers-5-drop-0.3-bn-1-bs-32-lr-0.001-aug-1-dense-256"
    )
    assert run_name({"strategy": "freeze_all", "batch_size": 16}) == "bs-16-strategy-freeze_all"


def test_names_differ_with_the_configuration_and_are_short_enough() -> None:
    configs: list[dict[str, Any]] = [
        CONFIG | {"filter_org": filter_org, "learning_rate": learning_rate, "dropout": dropout}
        for filter_org in (1.0, 2.0, 0.5)
        for learning_rate in (0.1 / 3, 0.1 / 3 + 1e-15, 1e-4)
        for dropout in (0.2, 0.1 + 0.2)
    ]
    configs += [CONFIG | {"batch_norm": False}]
    configs += [CONFIG | {"backbone": "b" * 100, "k_layers": layers} for layers in (1, 2, 3)]
    names = [run_name(config) for config in configs]
    assert len(set(names)) == len(configs)
    assert max(len(name) for name in names) == 128
    every = {name for family in FAMILIES.values() for name in hyperparameters(family.config)}
    assert set(short_names()) == every - {"weights"}  # a path, the same for all


def test_the_recipe_follows_the_studys_part_of_a_name() -> None:
    config = CONFIG | {"ema": 0.99, "optimizer": "sgd"}
    assert run_name(config) == run_name(CONFIG) + "-opt-sgd-ema-0.99"


def test_run_ids_hold_no_character_that_wandb_refuses() -> None:
    assert run_id("my sweep: a/b", "t_01") == "my-sweep-a-b-t_01"
    assert len(run_id("s" * 200, "t_01")) < 128


def test_two_sweeps_of_one_name_have_runs_of_their_own() -> None:
    ids = {run_id("s", "0001", started=when) for when in ("2026-11-24T10:00", "2026-11-24T11:00")}
    ids |= {run_id(name, "0001", started="2026-11-24T10:00") for name in ("s", "a.b", "a-b")}
    assert len(ids) == 4
    assert all(name.endswith("-0001") for name in ids)


def test_a_line_says_where_runs_are_and_how_to_send_what_is_only_here() -> None:
    told = {"project": "p", "sweep": "g"}
    send = "python -m cnnlib.tracking '/my s'"
    sync = "wandb sync '/my s'/wandb/offline-run-*"
    folder = Path("/my s")
    assert where(folder, mode="online", online=2, url="http://w", **told) == (
        "W&B: 2 runs online: http://w"
    )
    assert where(folder, mode="online", online=1, left=1, **told) == (
        f"W&B: 1 run online: project p, group g; 1 run not sent; send with: {send}"
    )
    assert where(folder, mode="online", offline=1, left=None, **told) == (
        "W&B: 0 runs online: project p, group g; 1 run offline; send them with: "
        f"{sync}; what is left; send with: {send}"
    )
    assert where(folder, mode="offline", **told) == f"W&B: 0 runs offline; send them with: {sync}"
