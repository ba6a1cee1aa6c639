"""Each fault that a sweep could meet is planted once, and the doctor must find it."""

import json
import os
import re
import shutil
import threading
from collections import namedtuple
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from cnnlib.journal.mirror import Mirror
from cnnlib.planning import cost as workload
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.plan import Plan
from cnnlib.planning.settings import Settings
from cnnlib.running import doctor, machine
from cnnlib.running.doctor import (
    Check,
    disk_check,
    examine,
    gpu_checks,
    machine_checks,
    storage_check,
)
from cnnlib.running.machine import Machine
from cnnlib.running.sweep import run
from cnnlib.search.halving import Halving
from cnnlib.search.promotion import SPARE
from cnnlib.system.units import byte_size
from cnnlib.tracking import account

SMALL = ("first_layer_filters=8", "conv_layers=2,3", "num_neurons_dense=32", "batch_size=8")
HERE = Machine(
    name="head", versions=("3.11", "2.15.0"), fingerprint="", problem=None, sees_storage=True,
    gpus=(), gpu_problem=None, gpu_bytes=0, free_bytes=int(8e9),
    resources={"CPU": 2.0},
)  # fmt: skip


def planned(photos: Path, tmp_path: Path, **settings: Any) -> Plan:
    asked = {"set": SMALL, "image_size": 16, "wandb": "off", "storage": tmp_path / "results"}
    return make_plan(Settings(data=photos, name="one", **asked | settings))


@pytest.fixture
def plan(photos: Path, tmp_path: Path) -> Plan:
    return planned(photos, tmp_path)


def fault(checks: Any) -> str:
    """The one fault among these checks."""
    [text] = [str(check) for check in checks if not check.ok]
    return text


def found(plan: Plan, **changes: Any) -> Machine:
    return replace(HERE, fingerprint=plan.dataset.fingerprint, **changes)


def test_a_sound_plan_has_no_fault_and_leaves_nothing_behind(plan: Plan, tmp_path: Path) -> None:
    checks = list(examine(plan))
    assert [str(check) for check in checks if not check.ok] == []
    names = [check.name for check in checks]
    assert names == ["storage", "data", "GPU", "disk", "largest network", "time"]
    assert "layers-3" in checks[4].text
    assert re.match(r"about \d+:\d\d with", checks[5].text)
    assert not (tmp_path / "results").exists()


def test_fault_storage_that_is_read_only(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, text: str) -> None:
        raise PermissionError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert "Read-only file system" in fault([storage_check(plan)])
    assert "take another --storage" in fault([storage_check(plan)])


def test_fault_a_bucket_that_cannot_be_written(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        mirror = Mirror("s3://photos/sweeps", plan.folder)
        text = fault([storage_check(replace(plan, mirror=mirror))])
        server.shutdown()
    assert "ACCESS_DENIED" in text.upper().replace(" ", "_")


class Refusing(BaseHTTPRequestHandler):
    """A server that allows nothing, and as W&B's knows no key."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = json.dumps({"data": {"viewer": None}}).encode()
        is_wandb = self.path.endswith("graphql")
        self.send_response(200 if is_wandb else 403)
        self.send_header("Content-Length", str(len(content) if is_wandb else 0))
        self.end_headers()
        if is_wandb:
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        pass


def test_fault_storage_that_a_machine_does_not_see(plan: Plan) -> None:
    machines = [found(plan), found(plan, name="worker", sees_storage=False)]
    text = fault(machine_checks(machines, plan))
    assert "worker does not see what is written in" in text
    assert "s3://" in text


def test_machines_that_share_a_bucket_need_no_photographs(plan: Plan, disk: str) -> None:
    mirror = Mirror(disk, plan.folder, nodes=True)
    machines = [replace(HERE, fingerprint=None), replace(HERE, name="w1", fingerprint=None)]
    [check] = machine_checks(machines, replace(plan, mirror=mirror))
    assert str(check) == "ok     data: the machines fetch the decoded photographs from the storage"
    assert list(machine_checks(machines, plan)) == [], "nothing is said of what was not asked"


def test_fault_photographs_that_one_machine_lacks(plan: Plan) -> None:
    lacking = found(plan, name="worker") and replace(
        HERE, name="worker", fingerprint=None, problem="data: photos does not exist"
    )
    text = fault(machine_checks([found(plan), lacking], plan))
    assert "on worker: data: photos does not exist; put the photographs there" in text


def test_fault_other_photographs_on_one_machine(plan: Plan) -> None:
    other = replace(HERE, name="worker", fingerprint="other")
    assert "on worker other photographs than here" in fault(
        machine_checks([found(plan), other], plan)
    )


def test_fault_other_versions_on_one_machine(plan: Plan) -> None:
    machines = [found(plan), found(plan, name="worker", versions=("3.12", "2.11.0"))]
    text = fault(machine_checks(machines, plan))
    assert "worker has Python 3.12 and torch 2.11.0, head Python 3.11 and torch 2.15.0" in text
    assert "constraints.txt" in text


def test_fault_no_gpu_where_one_is_asked_for() -> None:
    assert "leave it out to use the CPU" in fault(gpu_checks([HERE], 0.5, may_grow=False))
    assert "leave it out to use the CPU" in fault(gpu_checks([HERE], "auto", may_grow=False))
    assert [check.ok for check in gpu_checks([HERE], 0.5, may_grow=True)] == [True]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU that works")
def test_fault_a_driver_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 470.57.02\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    gpus, problem = machine.usable_gpus()
    text = fault(gpu_checks([replace(HERE, gpus=gpus, gpu_problem=problem)], None, may_grow=False))
    assert "on head: " in text
    assert "driver 470.57.02 cannot run" in text or "is a CPU build" in text


def test_fault_a_disk_that_is_too_small(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 10, 10))
    assert "0.0 MB free in" in fault([disk_check(plan, at_once=2)])


def test_the_disk_must_hold_what_the_plan_says(plan: Plan) -> None:
    trial, best = plan.disk
    assert best > replace(plan, finalists=0).disk[1], "finals keep weights too"
    assert f"{byte_size(2 * trial + best)} at most for weights" in disk_check(plan, at_once=2).text


def test_the_disk_must_hold_what_waits(plan: Plan) -> None:
    halving = Halving.for_promotion(27, 3.0)
    terms = replace(
        plan.terms, stopping="promote", trials=27, max_epochs=27, grace_period=1.0,
        reduction_factor=3.0, rungs=halving.named,
    )  # fmt: skip
    pausing = replace(plan, terms=terms)
    trial, best = pausing.disk
    assert pausing.most_waiting == 9 + 3 + 1 + SPARE
    needed = byte_size((2 + pausing.most_waiting) * trial + best)
    assert f"{needed} at most for weights" in disk_check(pausing, at_once=2).text


def test_an_audit_takes_time(plan: Plan) -> None:
    audited = replace(plan, terms=replace(plan.terms, audit=0.5))
    assert audited.expected > plan.expected
    here = [found(plan)]
    plain, longer = (
        doctor.forecast(one, here, 10.0, share=0.0, at_once=1).text for one in (plan, audited)
    )
    assert plain != longer


def test_features_are_in_the_forecast_once_a_network(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "measure_once", lambda config, **_: 2.0)
    heads = (
        "model_name=efficientnet_lite0,googlenet",
        "finetune_strategy=freeze_all",
        "input_size=image",
    )
    asked = {"network": "pretrained", "image_size": 32}
    plain = planned(
        photos, tmp_path, set=(*heads, "weights=none", "use_augmentation=false"), **asked
    )
    configs = list(workload.costs(plain.space, num_classes=3, image_size=32, family=plain.family))
    seconds = 2 * 2.0 * len(plain.dataset.train.files)
    assert doctor.once_seconds(plain, configs, "cpu") == seconds
    views = [replace(config, use_augmentation=True) for config in configs]
    assert doctor.once_seconds(plain, views, "cpu") == seconds * (1 + doctor.VIEWS)
    unfrozen = [replace(config, finetune_strategy="unfreeze_all") for config in configs]
    assert doctor.once_seconds(plain, unfrozen, "cpu") == 0
    first, later = (
        doctor.forecast(plain, [found(plain)], 1e-6, share=0.0, at_once=1, first=first).text
        for first in (0.0, 7200.0)
    )
    assert "2:00:00" in later and first != later


def test_fault_a_network_that_is_too_large_for_memory(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = planned(photos, tmp_path, set=("conv_layers=1", "num_neurons_dense=8,65536"))
    monkeypatch.setattr(machine, "free_memory", lambda: int(1e9))
    text = fault(examine(wide))
    assert "dense-65536" in text
    assert "the machine has 1.0 GB; narrow the space by --set" in text


def test_fault_a_network_that_is_too_large_for_the_gpu(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> workload.Measured:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(doctor, "measure", full)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda _: None)
    machines = [found(plan, name=os.uname().nodename, gpus=("NVIDIA T4",), gpu_bytes=int(16e9))]
    text = fault(doctor.speed_checks(plan, machines, share=0.5, at_once=2))
    assert "does not fit into its share of the GPU (--gpus-per-trial 0.5)" in text


def on_a_gpu(plan: Plan, share: float, gpu_bytes: float) -> list[Check]:
    machines = [
        found(plan, name=os.uname().nodename, gpus=("L4",), gpu_bytes=int(gpu_bytes),
              resources={"CPU": 8.0, "GPU": 1.0})
    ]  # fmt: skip
    return list(doctor.speed_checks(plan, machines, share=share, at_once=2))


@pytest.mark.parametrize(
    ("asked", "share", "there"),
    [(None, 0.5, 84.5), (0.25, 0.25, 42.25), (1, 1.0, 169), (2, 2, 169)],
)
def test_fault_a_network_that_is_too_large_for_its_share_of_the_gpu(
    asked: float | None, share: float, there: float, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(plan, settings=replace(plan.settings, gpus_per_trial=asked))
    monkeypatch.setattr(doctor, "room", lambda *_: 1)
    monkeypatch.setattr(doctor, "training_bytes", lambda *_, **__: int(there * 1e9 + 1e8))
    text = fault(on_a_gpu(plan, share, 169e9))
    what = "the GPU" if share >= 1 else f"its share of the GPU (--gpus-per-trial {share:g})"
    assert f"1 at once, and {what} has {there:.1f} GB; narrow the space" in text


def test_a_network_is_measured_with_the_memory_of_a_trial(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []

    def measured(config: Any, **_: Any) -> workload.Measured:
        assert limits == [0.5], "as the trial that it stands for"
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)
    monkeypatch.setattr(doctor, "measure", measured)
    text = fault(on_a_gpu(plan, 0.5, 169e9))
    assert "does not fit into its share of the GPU (--gpus-per-trial 0.5); narrow" in text
    assert limits == [0.5, 1.0], "nothing else is bound by it"


def test_what_is_to_be_measured_first_may_have_the_whole_gpu(plan: Plan) -> None:
    auto = replace(plan, settings=replace(plan.settings, gpus_per_trial="auto"))
    assert doctor.gpu_part(auto, 0.5) == 1.0
    assert doctor.gpu_part(plan, 0.5) == 0.5


def test_a_sweep_does_not_start_where_it_could_not_write(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, text: str) -> None:
        raise PermissionError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError, match=r"Read-only file system.*take another --storage"):
        run(plan)
    assert not plan.folder.exists()


@pytest.fixture
def wandb_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)


def test_fault_a_wandb_key_that_the_server_does_not_know(
    wandb_key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("WANDB_BASE_URL", url)
        said = account.check_account()
        server.shutdown()
    assert said and said.startswith(f"Failed to authenticate with {url}: invalid credentials")
    assert said.endswith("; run `wandb login`, or choose --wandb offline")


def test_fault_a_wandb_server_that_does_not_answer(
    wandb_key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    said = account.check_account()
    assert said == (
        "http://127.0.0.1:9 does not answer; run `wandb login`, or choose --wandb offline"
    )


def test_fault_an_account_that_wandb_does_not_know(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = replace(plan, wandb="online")
    monkeypatch.setattr(doctor, "check_account", lambda: "no such key")
    assert fault(examine(online)) == "FAULT  W&B: no such key"
    monkeypatch.setattr(doctor, "check_account", lambda: None)
    assert str(list(examine(online))[-1]) == "ok     W&B: the account is known to the server"


def examined(
    plan: Plan,
    machines: list[tuple[Machine, dict[str, float]]],
    coming: list[dict[str, float]],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Check]:
    """What the doctor says of a cluster of these machines, which may become those; by name."""
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setattr(doctor, "on_every_machine", lambda *_: machines)
    monkeypatch.setattr("cnnlib.running.cluster.may_become", lambda: coming)
    return {check.name: check for check in examine(plan)}


def test_of_a_cluster_whose_gpus_are_not_up_no_speed_is_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photos, tmp_path, trials=50)
    head = found(plan, name=os.uname().nodename, free_bytes=1)
    coming = [{"CPU": 0.0}] + 8 * [{"CPU": 4.0, "GPU": 1.0}]
    checks = examined(plan, [(head, {"CPU": 0.0})], coming, monkeypatch)
    assert all(check.ok for check in checks.values())
    assert checks["cluster"].text == "1 machines, 0 cores, 0 GPUs"
    assert "none is up; trials wait" in checks["GPU"].text
    assert checks["speed"].text.startswith("not known: no machine with a GPU is up yet")
    worker = found(plan, name="w1", gpus=("L4",))
    up = [(head, {"CPU": 0.0}), (worker, {"CPU": 4.0, "GPU": 1.0})]
    checks = examined(plan, up, coming, monkeypatch)
    assert checks["speed"].text.startswith("not known: the GPUs are on other machines")


def test_of_a_cluster_without_gpus_the_speed_is_measured_on_the_head(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photos, tmp_path, trials=50)
    head = found(plan, name=os.uname().nodename)
    up = [(head, {"CPU": 0.0}), (found(plan, name="w1"), {"CPU": 4.0})]
    checks = examined(plan, up, [], monkeypatch)
    assert checks["GPU"].text == "none, so trials run on the CPU"
    assert "with 4 trials at once" in checks["time"].text, "none on the head"
    checks = examined(plan, up, 3 * [{"CPU": 4.0}], monkeypatch)
    assert "with 12 trials at once" in checks["time"].text, "when it has grown"


def test_fault_memory_of_a_machine_for_the_trials_that_run_on_it(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photos, tmp_path, trials=50)
    up = [(found(plan, name=f"w{i}", free_bytes=int(1e8)), {"CPU": 4.0}) for i in range(20)]
    monkeypatch.setattr(doctor, "training_bytes", lambda *_, **__: int(2e7))
    assert examined(plan, up, [], monkeypatch)["largest network"].ok, "four on each"
    monkeypatch.setattr(doctor, "training_bytes", lambda *_, **__: int(3e7))
    check = examined(plan, up, [], monkeypatch)["largest network"]
    assert "needs about 30.0 MB, 4 at once, and the machine has 100.0 MB" in check.text


def test_trials_that_are_to_run_on_the_cpu_are_measured_there(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(photos, tmp_path, trials=50, gpus_per_trial=0)
    here = found(plan, name=os.uname().nodename, gpus=("L4",))
    checks = examined(plan, [(here, {"CPU": 4.0, "GPU": 1.0})], [], monkeypatch)
    assert "with 4 trials at once" in checks["time"].text
    assert "$" not in checks["time"].text


def test_fault_a_cluster_that_is_not_there(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    checks = list(examine(plan))
    assert checks[-1].name == "cluster"
    assert "127.0.0.1:9 does not take us" in fault(checks)


def test_what_a_check_prints() -> None:
    assert str(Check("disk", "enough")) == "ok     disk: enough"
    assert str(Check("disk", "full", ok=False)) == "FAULT  disk: full"
