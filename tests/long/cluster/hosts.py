"""Machines for a test of the cluster: namespaces of this one, each with its own network address,
processes, name, home, /tmp and SSH server. Root on Linux only."""

import ipaddress
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

HOME = "/mnt"  # root's home on a machine; each binds a folder of its own there
TOOLS = ("ip", "unshare", "nsenter", "bash", "sshd", "ssh", "ssh-keygen", "rsync")

START = f"""
set -e
hostname {{name}}
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind {{folder}}/passwd /etc/passwd
mount --bind {{folder}}/hosts /etc/hosts
mount --bind {{folder}}/home {HOME}
mount --bind {{folder}}/tmp /tmp
exec {{sshd}} -D -E {HOME}/sshd.log -f {HOME}/sshd_config
"""


def missing() -> str | None:
    """Why this machine cannot play several; None where it can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    if Path(__file__).resolve().is_relative_to("/tmp"):
        return "each machine has a /tmp of its own, so this project must lie elsewhere"
    lacking = [tool for tool in TOOLS if not shutil.which(tool, path=search_path())]
    if lacking:
        return f"needs {', '.join(lacking)}"
    probe = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"]
    if subprocess.run(probe, capture_output=True).returncode:
        return "needs the right to make namespaces"
    return None


def search_path() -> str:
    return os.environ["PATH"] + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command: str) -> str:
    """Runs a command of this machine; its output. Raises CalledProcessError."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


class Network:
    """A bridge of this machine on which hosts are; all of it is gone after `close`."""

    def __init__(self, folder: Path, network: str = "10.77.0.0/24") -> None:
        self.folder = folder
        self._addresses = ipaddress.ip_network(network).hosts()
        self._bits = network.split("/")[1]
        self.gateway = str(next(self._addresses))
        self.tag = f"c{os.getpid() % 100_000}"
        self.bridge = f"{self.tag}br"
        self.hosts: dict[str, Host] = {}
        self.key = folder / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.gateway}/{self._bits}", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def add(self, name: str) -> "Host":
        """A host that has an address and is not running yet."""
        number = len(self.hosts)
        host = Host(self, name, str(next(self._addresses)), f"{self.tag}v{number}")
        self.hosts[name] = host
        namespace = host.namespace
        run("ip", "netns", "add", namespace)
        peer = ("peer", "name", "eth0", "netns", namespace)
        run("ip", "link", "add", host.link, "type", "veth", *peer)
        run("ip", "link", "set", host.link, "master", self.bridge)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "-n", namespace, "addr", "add", f"{host.address}/{self._bits}", "dev", "eth0")
        run("ip", "-n", namespace, "link", "set", "eth0", "up")
        # Leads nowhere; without a route Ray does not find its own address.
        run("ip", "-n", namespace, "route", "add", "default", "via", self.gateway)
        return host

    def close(self) -> None:
        for host in self.hosts.values():
            host.kill()
            subprocess.run(["ip", "netns", "del", host.namespace], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)


class Host:
    """A machine: `start` boots it with an empty disk, `kill` takes its power away."""

    def __init__(self, network: Network, name: str, address: str, link: str) -> None:
        self.name = name
        self.address = address
        self.link = link
        self.namespace = f"{network.tag}{name}"
        self.environment: dict[str, str] = {}  # of its login shells: what the machine is
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0  # its process 1, as this machine numbers it

    @property
    def folder(self) -> Path:
        return self._network.folder / self.name

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("home/.ssh", "tmp"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "tmp").chmod(0o1777)
        self._write_files()
        run("ip", "link", "set", self.link, "up")
        script = START.format(
            name=self.name, folder=self.folder, sshd=shutil.which("sshd", path=search_path())
        )
        apart = ("--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, "unshare", *apart, "bash", "-c", script],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while not (self.home / "sshd.log").exists():
            assert self._process.poll() is None, f"{self.name} did not start"
            assert time.monotonic() < deadline, f"{self.name}: no SSH server"
            time.sleep(0.05)
        self._first = int(children.read_text())

    def _write_files(self) -> None:
        passwd = Path("/etc/passwd").read_text().splitlines()
        others = [line for line in passwd if not line.startswith("root:")]
        root = f"root:x:0:0:root:{HOME}:/bin/bash"
        (self.folder / "passwd").write_text("\n".join([root, *others]) + "\n")
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.home / "host_key"))
        (self.home / "sshd_config").write_text(
            f"ListenAddress {self.address}\nHostKey {HOME}/host_key\nStrictModes no\n"
            f"AuthorizedKeysFile {HOME}/.ssh/authorized_keys\nPasswordAuthentication no\n"
            f"PermitRootLogin yes\nUsePAM no\nPidFile none\nSetEnv PATH={search_path()}\n"
        )
        public = self._network.key.with_suffix(".pub").read_text()
        (self.home / ".ssh" / "authorized_keys").write_text(public)
        exports = "".join(f"export {name}='{value}'\n" for name, value in self.environment.items())
        (self.home / ".bashrc").write_text(f"export PATH='{search_path()}'\n{exports}")

    def command(self, text: str) -> list[str]:
        """A command line that runs `text` in a login shell of this host."""
        inside = ("--mount", "--uts", "--ipc", "--net", "--pid")
        clean = ("env", "-i", f"HOME={HOME}", "USER=root", "TERM=dumb", "LANG=C.UTF-8")
        shell = ("bash", "-c", f"cd; . ./.bashrc; {text}")
        return ["nsenter", "--target", str(self._first), *inside, *clean, *shell]

    def run(self, text: str, timeout: float = 120) -> str:
        """Runs `text` on this host; what it printed. Raises CalledProcessError, TimeoutExpired."""
        done = subprocess.run(
            self.command(text), check=True, timeout=timeout, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout

    def kill(self) -> None:
        """The power goes: first its network falls silent, then all its processes are gone."""
        subprocess.run(["ip", "link", "set", self.link, "down"], capture_output=True)
        if self._process and self._process.poll() is None:
            os.kill(self._first, signal.SIGKILL)  # and with it all others of its namespace
            self._process.wait()
        self._process = None
