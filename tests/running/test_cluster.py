"""What a cluster may become; cluster.yaml as Ray and AWS (moto, in this process) take it."""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.dashboard.modules.job import job_supervisor

from cnnlib.networks.cnn.family import CNN
from cnnlib.planning.settings import Settings
from cnnlib.running.cluster import may_become, resources, room, slots
from cnnlib.running.progress import Progress

ROOT = Path(__file__).parents[2]
REGION = "us-west-2"
ME = "203.0.113.7/32"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An AWS account after cluster.account.yaml; the outputs of its stack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray writes an SSH key
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        # moto's CloudFormation loads it, with a library for OpenAPI that nothing here needs.
        for name in ("moto.apigateway", "moto.apigateway.models"):
            patch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["moto.apigateway"].models = sys.modules["moto.apigateway.models"]  # type: ignore[attr-defined]
        with mock_aws():
            client = boto3.client("cloudformation", REGION)
            client.create_stack(
                StackName="cnnlib",
                TemplateBody=(ROOT / "cluster.account.yaml").read_text(),
                Parameters=[
                    {"ParameterKey": "Bucket", "ParameterValue": "my-sweeps"},
                    {"ParameterKey": "Address", "ParameterValue": ME},
                ],
            )
            outputs = client.describe_stacks(StackName="cnnlib")["Stacks"][0]["Outputs"]
            yield {output["OutputKey"]: output["OutputValue"] for output in outputs}


def read(name: str, group: str = "sg-PUT-YOURS") -> dict[str, Any]:
    """A cluster file as Ray completes and checks it."""
    text = (ROOT / name).read_text().replace("sg-PUT-YOURS", group)
    config = prepare_config(yaml.safe_load(text))
    validate_config(config)
    return config


def at_google() -> dict[str, Any]:
    """cluster.yaml with the difference that docs/CLUSTER.md gives for Google's cloud."""
    page = (ROOT / "docs" / "CLUSTER.md").read_text()
    [block] = re.findall(r"^```yaml\n(provider:.*?)^```", page, re.DOTALL | re.MULTILINE)
    text = (ROOT / "cluster.yaml").read_text()
    assert "boto3" in text
    difference = yaml.safe_load(block)
    config = yaml.safe_load(text.replace("boto3", "google-api-python-client"))
    config["provider"] = difference["provider"]
    assert difference["available_node_types"].keys() == config["available_node_types"].keys()
    for name, node_type in difference["available_node_types"].items():
        config["available_node_types"][name] |= node_type
    config = prepare_config(config)
    validate_config(config)
    return config


CLOUDS = {"amazon": lambda: read("cluster.yaml"), "google": at_google}


@pytest.fixture(scope="module")
def cluster(account: dict[str, str]) -> dict[str, Any]:
    """cluster.yaml as `ray up` has it after its bootstrap."""
    config = read("cluster.yaml", account["SecurityGroup"])
    return bootstrap_aws(AWSNodeProvider.fillout_available_node_types_resources(config))


@pytest.fixture(scope="module")
def machines(cluster: dict[str, Any]) -> dict[str, Any]:
    """A machine of each type, as the launcher starts it."""
    provider = AWSNodeProvider(cluster["provider"], cluster["cluster_name"])
    image = boto3.client("ec2", REGION).describe_images()["Images"][0]["ImageId"]
    started = {}
    for name, node_type in cluster["available_node_types"].items():
        # moto knows no `resolve:ssm:`
        node_config = node_type["node_config"] | {"ImageId": image}
        started[name] = next(iter(provider.create_node(node_config, {}, 1).values()))
    return started


def test_nobody_gets_in_but_by_ssh_from_one_address(
    account: dict[str, str], cluster: dict[str, Any], machines: dict[str, Any]
) -> None:
    group = account["SecurityGroup"]
    for machine in machines.values():
        assert [g["GroupId"] for g in machine.security_groups] == [group]
    outside = {}
    for rule in boto3.resource("ec2", REGION).SecurityGroup(group).ip_permissions:
        assert not rule["Ipv6Ranges"]
        assert all(pair["GroupId"] == group for pair in rule["UserIdGroupPairs"])
        outside |= {(r["CidrIp"], rule["FromPort"], rule["ToPort"]): 1 for r in rule["IpRanges"]}
    assert list(outside) == [(ME, 22, 22)]


def test_without_a_group_of_ones_own_nothing_starts(
    account: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = boto3.client("ec2", REGION).describe_security_groups()
    with pytest.raises(AssertionError):
        bootstrap_aws(read("cluster.yaml"))
    assert "Failed to detect a security group" in capsys.readouterr().err
    now = boto3.client("ec2", REGION).describe_security_groups()
    assert now["SecurityGroups"] == before["SecurityGroups"], "Ray's own is open to the world"


def test_workers_are_spot_machines_and_else_on_demand(
    cluster: dict[str, Any], machines: dict[str, Any]
) -> None:
    assert machines["spot"].instance_lifecycle == "spot"
    for name in ("head", "on_demand"):
        assert machines[name].instance_lifecycle is None
    types = cluster["available_node_types"]
    options = types["spot"]["node_config"]["InstanceMarketOptions"]["SpotOptions"]
    assert options == {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
    assert types["spot"]["priority"] > types["on_demand"]["priority"]
    assert {n: (t["min_workers"], t["max_workers"]) for n, t in types.items()} == {
        "head": (0, 0),
        "spot": (0, cluster["max_workers"]),
        "on_demand": (0, cluster["max_workers"]),
    }


def test_trials_have_a_gpu_and_never_the_head(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    for name in ("spot", "on_demand"):
        resources = types[name]["resources"]
        assert (resources["CPU"], resources["GPU"]) == (4, 1)
        assert resources["accelerator_type:L4"] == 1  # what Amazon says the machine has


def test_disks_are_large_encrypted_and_gone_with_their_machine(machines: dict[str, Any]) -> None:
    for machine in machines.values():
        (mapping,) = machine.block_device_mappings
        assert mapping["DeviceName"] == "/dev/sda1"
        assert mapping["Ebs"]["DeleteOnTermination"]
        volume = boto3.resource("ec2", REGION).Volume(mapping["Ebs"]["VolumeId"])
        assert (volume.size, volume.volume_type, volume.encrypted) == (200, "gp3", True)


def test_machines_have_the_rights_they_need_and_no_more(machines: dict[str, Any]) -> None:
    iam = boto3.resource("iam")
    rights: dict[str, set[tuple[str, str]]] = {}
    for name, machine in machines.items():
        profile = iam.InstanceProfile(machine.iam_instance_profile["Arn"].split("/")[-1])
        (role,) = profile.roles
        documents = [policy.policy_document for policy in role.policies.all()]
        documents += [p.default_version.document for p in role.attached_policies.all()]
        rights[name] = {
            (action, json.dumps(statement["Resource"]) + json.dumps(statement.get("Condition")))
            for document in documents
            for statement in _read(document)["Statement"]
            for action in _listed(statement["Action"])
        }
    bucket = {
        ("s3:ListBucket", '"arn:aws:s3:::my-sweeps"null'),
        *(
            (f"s3:{action}", '"arn:aws:s3:::my-sweeps/*"null')
            for action in ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
        ),
    }
    assert rights["spot"] == rights["on_demand"] == bucket
    more = dict(rights["head"] - bucket)
    assert set(more) == {
        "ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:RunInstances", "ec2:CreateTags",
        "ec2:TerminateInstances", "ssm:GetParameters", "iam:PassRole",
    }  # fmt: skip
    assert '"aws:ResourceTag/ray-cluster-name": "cnnlib"' in more["ec2:TerminateInstances"]
    assert "WorkerRole" in more["iam:PassRole"]


def _read(document: Any) -> dict[str, Any]:
    """A policy; moto gives some as they were written in YAML, printed."""
    return yaml.safe_load(document) if isinstance(document, str) else document


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def test_what_is_sent_to_the_machines_is_there(cluster: dict[str, Any]) -> None:
    local = [Path(path) for path in cluster["file_mounts"].values()]
    assert Path("~/.ray/auth_token") in local
    for path in local:
        assert path.parts[0] == "~" or (ROOT / path).exists()
    assert {"cnnlib", "analysis", "jobs"} <= set(map(str, local))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_ray_knows_every_field(cloud: str) -> None:
    config = CLOUDS[cloud]()
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert any(command.startswith("cd ~/cnnlib && ") for command in config[commands])
    assert "0.0.0.0" not in json.dumps(config)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_sweep_has_the_time_to_end_when_its_job_is_stopped(cloud: str) -> None:
    source = inspect.getsource(job_supervisor)  # a part of the head's Ray
    assert re.search(r'os\.environ\.get\(\s*"RAY_JOB_STOP_WAIT_TIME_S"', source)
    [exports] = [line for line in CLOUDS[cloud]()["setup_commands"] if "export" in line]
    assert "RAY_JOB_STOP_WAIT_TIME_S=90" in exports


def test_the_largest_cluster_is_known_before_it_is_there(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    assert may_become(tmp_path / "none") == []
    launched = tmp_path / "ray_bootstrap_config.yaml"
    launched.write_text(json.dumps(cluster))
    machines = may_become(launched)
    assert sorted(machine.get("GPU", 0) for machine in machines) == [0] + 8 * [1]
    assert room(machines, cpus=1, gpus=0.5) == 16
    assert room(machines, cpus=4, gpus=0.25) == 8
    assert room(machines, cpus=1, gpus=0) == 32, "none on the head"


def test_a_machine_of_unknown_size_counts_as_one_trial(tmp_path: Path) -> None:
    launched = tmp_path / "ray_bootstrap_config.yaml"
    local = {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2", "10.0.0.3"]}
    launched.write_text(json.dumps(prepare_config({"cluster_name": "x", "provider": local})))
    assert room(may_become(launched), cpus=2, gpus=0) == 2


@pytest.mark.parametrize(
    ("share", "trials"), [(0.4, 4), (0.3, 6), (0.1666, 12), (0.1, 20), (1, 2), (2, 1), (3, 0)]
)
def test_a_trial_has_its_share_of_one_gpu_or_whole_ones(share: float, trials: int) -> None:
    assert room([{"CPU": 32.0, "GPU": 2.0}], cpus=1, gpus=share) == trials


@pytest.fixture
def on_head(cluster: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a job on the head of this cluster."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    (tmp_path / "ray_bootstrap_config.yaml").write_text(json.dumps(cluster))


@pytest.mark.parametrize(
    ("here", "slots", "said"),
    [
        ([{"CPU": 0.0}], 16, "; 0 fit on the cluster now, all when it has grown"),
        ([{"CPU": 0.0}, {"CPU": 4.0, "GPU": 1.0}], 16, "; 2 fit on the cluster now, all"),
        ([{"CPU": 32.0, "GPU": 16.0}], 32, "32 trials at once, 0.5 GPU and 1 CPU each\n"),
    ],
)
def test_as_many_trials_are_wanted_as_fit_when_it_has_grown(
    on_head: None,
    here: list[dict[str, float]],
    slots: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[list[dict[str, float]]] = []
    nodes = iter([here, here, [{"CPU": 4.0, "GPU": 1.0}]])
    monkeypatch.setattr("cnnlib.running.cluster._machines", lambda: next(nodes))
    monkeypatch.setattr(
        "cnnlib.running.cluster.request_resources", lambda bundles: asked.append(bundles)
    )
    progress = Progress(40)
    plan = SimpleNamespace(settings=Settings(), trials=40)
    assert resources(plan, progress) == (1, 0.5)  # type: ignore[arg-type]
    assert progress.slots == slots
    printed = capsys.readouterr().out
    assert said in printed
    first = not any(machine.get("GPU") for machine in here)
    assert ("waiting for the first machine" in printed) is first
    assert asked == ([16 * [{"CPU": 1, "GPU": 0.5}], []] if first else [])
    progress.close()


def test_where_nobody_knows_what_may_come_the_user_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    nodes = iter([[{"CPU": 0.0}], [{"CPU": 4.0, "GPU": 1.0}]])
    monkeypatch.setattr("cnnlib.running.cluster._machines", lambda: next(nodes))
    monkeypatch.setattr("cnnlib.running.cluster.request_resources", lambda bundles: None)
    progress = Progress(40)
    settings = Settings(gpus_per_trial=0.25, max_concurrent=8)
    assert resources(SimpleNamespace(settings=settings, trials=40), progress) == (1, 0.25)  # type: ignore[arg-type]
    assert progress.slots == 8
    assert "8 trials at once, 0.25 GPU" in capsys.readouterr().out
    progress.close()


@pytest.mark.parametrize(
    ("trials", "most", "gpus", "at_once"),
    [(50, None, 0, 33), (50, None, 0.5, 2), (50, 2, 0.1, 2), (50, 99, 0.1, 10), (1, None, 0, 1)],
)
def test_trials_at_once_are_no_more_than_asked_for(
    trials: int, most: int | None, gpus: float, at_once: int
) -> None:
    plan: Any = SimpleNamespace(settings=Settings(max_concurrent=most), trials=trials)
    machines = [{"CPU": 32.0, "GPU": 1.0}, {"CPU": 1.0}]
    assert slots(plan, machines, gpus) == at_once


def test_a_gpu_is_awaited_before_it_is_measured(
    on_head: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machines: list[dict[str, float]] = [{"CPU": 0.0}]
    asked: list[list[dict[str, float]]] = []

    def start(bundles: list[dict[str, float]]) -> None:
        asked.append(bundles)
        machines.extend({"CPU": 4.0, "GPU": 1.0} for _ in bundles)

    def measured(*_: Any, **__: Any) -> tuple[float, str]:
        assert any(machine.get("GPU") for machine in machines), "it would wait without a word"
        return 0.25, "measured"

    monkeypatch.setattr("cnnlib.running.cluster._machines", lambda: machines)
    monkeypatch.setattr("cnnlib.running.cluster.request_resources", start)
    monkeypatch.setattr("cnnlib.running.cluster.on_a_gpu", measured)
    progress = Progress(40)
    classes = SimpleNamespace(classes=("a", "b"))
    plan = SimpleNamespace(
        settings=Settings(gpus_per_trial="auto"), trials=40, space={}, dataset=classes,
        image_size=8, family=CNN,
    )  # fmt: skip
    assert resources(plan, progress) == (1, 0.25)  # type: ignore[arg-type]
    assert asked == [[{"CPU": 1, "GPU": 1.0}], []], "one is enough to measure on"
    assert progress.slots == 32
    said = capsys.readouterr().out
    assert said.index("waiting for the first machine") < said.index("--gpus-per-trial 0.25:")
    assert "; 4 fit on the cluster now, all when it has grown" in said
    progress.close()
