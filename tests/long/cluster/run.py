"""Plays a cluster on this machine: `ray up` of cluster.yaml on hosts of their own, a sweep, deaths.

Prints each step, and ends with exit code 0 if all went as it should. Needs root on Linux, sshd and
rsync; takes some minutes: `make cluster-test`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hosts import Host, Network, missing, search_path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from cnnlib.journal.events import read_events  # noqa: E402
from cnnlib.journal.replay import replay  # noqa: E402
from cnnlib.journal.tables import read_results  # noqa: E402

WORKERS = ("w1", "w2", "w3")
SPARE = "none"  # an address without a machine: of four, Ray's local provider counts the head as one
KEY = "wandb-key-that-must-be-stored-nowhere"
TRIALS = 16
AGAIN = 24  # so many that some are left when the head dies
SWEEP = "--max-epochs 4 --wandb off --storage s3://bucket/sweeps --image-size"
# A worker takes seconds to start its first trial. Shorter trials would all go to the one that runs.
LONG, SHORT = f"{SWEEP} 64", f"{SWEEP} 16"
TOLD = re.compile("champion|the bill")
PHOTOGRAPHS = (
    "from pathlib import Path; from cnnlib.photos.sample import write_sample; "
    'write_sample(Path.home() / "photographs")'
)
BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:5.0f} s  {text}", flush=True)


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 180) -> Any:
    """What `condition` returns when it is true. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.5)
    return answer


def local_cluster(network: Network) -> tuple[dict[str, Any], list[str]]:
    """cluster.yaml for the hosts, and those of its commands that are not its own.

    Replaced are provider, authentication and node types, and what installs from the internet.
    """
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    del config["available_node_types"], config["head_node_type"]
    head, *addresses = [network.hosts[name].address for name in ("head", *WORKERS, SPARE)]
    config["provider"] = {"type": "local", "head_ip": head, "worker_ips": addresses}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": "~/.ssh/id"}
    config["min_workers"] = config["max_workers"] = len(addresses)
    replaced = [c for c in config["setup_commands"] if "/uv " in c or "/uv/" in c]
    kept = [command for command in config["setup_commands"] if command not in replaced]
    config["setup_commands"] = [f"ln -sfn {sys.prefix} ~/venv", *kept]
    return config, replaced


@dataclass(frozen=True)
class Job:
    """A command in the background."""

    process: subprocess.Popen[bytes]
    output: Path

    def ended(self, seconds: float = 400) -> int:
        """Waits for its end; its exit code."""
        return self.process.wait(timeout=seconds)


class Cluster:
    """Hosts: a laptop, a bucket's server, a head and workers with one CPU each."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.laptop, self.store, self.head = map(network.add, ("laptop", "store", "head"))
        self.workers = [network.add(name) for name in WORKERS]
        network.add(SPARE)
        bucket = {
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{self.store.address}:5000",
        }  # fmt: skip
        for host in network.hosts.values():
            host.environment |= bucket
        for host in self.workers:
            host.environment["RAY_OVERRIDE_RESOURCES"] = '{"CPU": 1}'  # the machine's size
        path = f"{sys.prefix}/bin:{search_path()}"
        ray = {"RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": "http://localhost:8265"}
        self.laptop.environment |= {"PATH": path, **ray}
        self.store.environment["PATH"] = path
        self.background: list[Job] = []

    def boot(self) -> None:
        """Starts all machines but the last worker, and the bucket's server."""
        for host in (self.laptop, self.store, self.head, *self.workers[:-1]):
            host.start()
        identity = self.laptop.home / ".ssh" / "id"
        identity.write_bytes(self.network.key.read_bytes())
        identity.chmod(0o600)
        self.start(self.store, "python -m moto.server -H 0.0.0.0 -p 5000")
        put = "curl -sf -X PUT $AWS_ENDPOINT_URL/bucket"
        wait_for("the bucket", lambda: self._succeeds(self.laptop, put), 60)
        self.laptop.run("ray get-auth-token --generate")
        config, replaced = local_cluster(self.network)
        (self.laptop.home / "cluster.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        for command in replaced:
            say(f"not run, the virtual environment of this machine is used: {command[:70]}...")

    def start(self, host: Host, text: str) -> Job:
        """A command that goes on in the background."""
        output = self.network.folder / f"output-{len(self.background)}"
        with output.open("w") as file:
            process = subprocess.Popen(
                host.command(text), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        job = Job(process, output)
        self.background.append(job)
        return job

    def _succeeds(self, host: Host, text: str) -> bool:
        try:
            host.run(text)
        except subprocess.CalledProcessError:
            return False
        return True

    def up(self) -> None:
        """`ray up`, as a user types it in the project's folder, and the way to the dashboard."""
        self.laptop.run(f"cd {ROOT} && ray up -y ~/cluster.yaml", timeout=300)
        self.start(self.laptop, "exec ray dashboard ~/cluster.yaml")

    def nodes(self) -> set[str]:
        """The names of the workers that Ray has."""
        text = self.head.run("ray list nodes --format json --filter state=ALIVE 2>/dev/null")
        alive = {node["node_ip"] for node in json.loads(text[text.index("[") :])}
        return {host.name for host in self.workers if host.address in alive}

    def submit(self, flags: str) -> Job:
        """The bare `ray job submit`, with W&B's key in the job's environment."""
        secret = json.dumps({"env_vars": {"WANDB_API_KEY": KEY}})
        job = f"ray job submit --runtime-env-json '{secret}' -- python jobs/tune.py {flags}"
        say(f"laptop: ray job submit -- python jobs/tune.py {flags}")
        return self.start(self.laptop, job)

    def folder(self, name: str) -> Path:
        """A sweep's folder on the head."""
        return self.head.home / "cnnlib" / "results" / name

    def epochs(self, name: str, node: str | None = None) -> int:
        """How many epochs the journal on the head holds, of a node or of all."""
        events = read_events(self.folder(name))
        return sum(e["event"] == "epoch" and node in (None, e["node"]) for e in events)


def finish(job: Job) -> str:
    """Waits for a job that must succeed, and prints what it said of the sweep; its output."""
    code, output = job.ended(), job.output.read_text()
    lines = [line for line in output.splitlines() if line.startswith("   ") or TOLD.search(line)]
    print("\n".join(f"         | {line}" for line in lines), flush=True)
    assert code == 0, output[-3000:]
    return output


def check_sweep(folder: Path, trials: int) -> list[dict[str, Any]]:
    """That a sweep is complete, and its decisions follow from its journal; its events."""
    results, events = read_results(folder), list(read_events(folder))
    assert len(results.trials) == trials
    assert set(results.trials["status"]) <= {"completed", "stopped"}, results.trials
    for trial_id, rows in results.epochs.groupby("trial_id"):
        assert list(rows["epoch"]) == list(range(1, len(rows) + 1)), trial_id
    difference, checked = replay(events)
    assert difference is None, difference
    assert (folder / "champion" / "weights.safetensors").is_file()
    assert (folder / "report" / "index.html").is_file()
    say(f"{folder.name}: {trials} trials, none lost or twice; replayed: {checked}")
    return events


def the_doctor_asks_every_machine(cluster: Cluster) -> None:
    plan = cluster.submit(f"--plan --trials {TRIALS} {LONG}")
    code, output = plan.ended(), plan.output.read_text()
    assert code == 0, output[-3000:]
    assert "ok     cluster: 3 machines" in output, output[-3000:]
    assert "FAULT" not in output, output
    say("--plan finds no fault on the head, w1 and w2")
    for host in (cluster.head, cluster.workers[0]):
        host.run("cd ~/cnnlib && ~/venv/bin/python -c '" + PHOTOGRAPHS + "'")
    plan = cluster.submit("--plan --data ~/photographs --max-epochs 4 --wandb off")
    code, output = plan.ended(), plan.output.read_text()
    faults = {line.strip() for line in output.splitlines() if line.startswith("FAULT")}
    print("\n".join(f"         | {line}" for line in sorted(faults)), flush=True)
    assert code != 0, output[-3000:]
    expected = ("data: on w2: ", "storage: w1 does not see", "storage: w2 does not see")
    starts = [fault.removeprefix("FAULT  ") for fault in sorted(faults)]
    assert len(starts) == len(expected) and all(map(str.startswith, starts, expected)), starts
    say("--plan finds that w2 has no photographs and that no worker sees the head's disk")


def a_worker_dies_and_another_joins(cluster: Cluster) -> None:
    dying, *_, joining = cluster.workers
    job = cluster.submit(f"--trials {TRIALS} --name one {LONG}")
    wait_for("an epoch of w1", lambda: cluster.epochs("one", dying.name))
    wait_for("an epoch of w2", lambda: cluster.epochs("one", "w2"))
    dying.kill()
    say("the power of w1 is off, in the middle of a trial")
    joining.start()
    say("w3 is switched on")
    output = finish(job)
    moved = re.search(r"([\d.]+) [MG]B fetched and ([\d.]+) [MG]B sent by [23] machines", output)
    assert moved and all(float(number) > 0 for number in moved.groups()), output[-3000:]
    events = check_sweep(cluster.folder("one"), TRIALS)
    assert any(event["event"] == "lost" for event in events)
    launcher = "tail -n 40 /tmp/ray/session_latest/logs/monitor.*"
    assert cluster.epochs("one", joining.name), f"w3 did nothing\n{cluster.head.run(launcher)}"


def documented_loop(flags: str) -> str:
    """The loop of docs/CLUSTER.md that submits a sweep again and again, for these flags."""
    page = (ROOT / "docs" / "CLUSTER.md").read_text()
    (loop,) = re.findall(r"```sh\n(tune=.*?)```", page, re.DOTALL)
    loop = re.sub('tune=".*"', f'tune="python jobs/tune.py {flags}"', loop)
    return loop.replace("cluster.yaml", "~/cluster.yaml")


def the_head_dies(cluster: Cluster) -> None:
    say("laptop: the loop of docs/CLUSTER.md, with the same flags for another sweep")
    flags = f"--trials {AGAIN} --name two {SHORT}"
    job = cluster.start(cluster.laptop, f"cd {ROOT}\n{documented_loop(flags)}")
    wait_for("10 epochs", lambda: cluster.epochs("two") >= 10)
    before = list(read_events(cluster.folder("two")))
    time.sleep(5)  # until they are in the bucket; what comes meanwhile may be lost
    cluster.head.kill()
    cluster.head.start()
    # A cloud would say that this machine is gone; the local provider keeps a list of its own.
    cluster.laptop.run("rm -f /tmp/ray/cluster-*")
    say(f"the head is another machine with an empty disk, after {len(before)} events")
    finish(job)
    events = check_sweep(cluster.folder("two"), AGAIN)
    assert any(event["event"] == "resumed" for event in events)
    ended = {e["trial_id"] for e in before if e["event"] in ("finished", "stopped")}
    again = {e["trial_id"] for e in events[len(before) :] if e["event"] == "started"}
    say(f"{len(ended)} trials had ended before, {len(again)} ran after")
    assert not ended & again, f"trained again: {ended & again}"
    assert ended and again, "the head died too early or too late"


def check_secrets(cluster: Cluster) -> None:
    """That W&B's key is on no disk and in no bucket, and the token is readable to its user only."""
    for host in (cluster.laptop, cluster.head, cluster.store, *cluster.workers):
        grep = subprocess.run(["grep", "-rlF", KEY, str(host.folder)], capture_output=True)
        assert grep.returncode == 1, grep.stdout.decode()
    for host in (cluster.head, *cluster.workers):
        assert (host.home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    refused = cluster.laptop.run("RAY_AUTH_MODE=disabled ray job list 2>&1 || true")
    assert "authentication" in refused.lower(), refused
    say("W&B's key is on no disk; who has no token is refused")


def main() -> int:
    if reason := missing():
        print(f"skipped: {reason}")
        return 0
    with tempfile.TemporaryDirectory(prefix="cnnlib-hosts-") as folder:
        network = Network(Path(folder))
        cluster = Cluster(network)
        try:
            cluster.boot()
            say("laptop: ray up cluster.yaml")
            cluster.up()
            wait_for("two workers", lambda: len(cluster.nodes()) >= 2)
            say(f"Ray is up on head, {', '.join(sorted(cluster.nodes()))}")
            the_doctor_asks_every_machine(cluster)
            a_worker_dies_and_another_joins(cluster)
            check_secrets(cluster)
            the_head_dies(cluster)
        finally:
            for job in cluster.background:
                job.process.kill()
            network.close()
    say("all as it should be")
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
