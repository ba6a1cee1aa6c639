"""A whole sweep by addresses with secrets in them: none is in what it leaves, or what Ray logs."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.system.test_redaction import SECRET, SMALL, address  # noqa: F401  # a fixture

ROOT = Path(__file__).parents[2]


def test_a_sweep_keeps_no_secret(address: str, bucket: str, tmp_path: Path) -> None:  # noqa: F811
    here = tmp_path / "here"
    here.mkdir()
    logs = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path must be short
    environment = os.environ | {
        "CNNLIB_CACHE": str(here / "cache"),
        "HOME": str(here),
        "RAY_TMPDIR": logs,
        "AWS_SECRET_ACCESS_KEY": "SECRETAWS",  # which Tune would put where Ray logs it
    }
    command = [
        sys.executable, ROOT / "jobs" / "tune.py", "--trials", "1", "--finalists", "0",
        "--data", f"http://user:SECRETPW@{address}/photos.zip?X-Amz-Signature=SECRETSIG",
        "--storage", bucket.replace("s3://", "s3://KEY:SECRETKEY@"), "--name", "one",
        "--wandb", "offline", "--no-retrain", "--verbose", *SMALL,
    ]  # fmt: skip
    try:
        run = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert SECRET not in run.stdout + run.stderr
        said = json.loads((here / "results" / "one" / "sweep.json").read_text())
        assert said["data"]["source"] == f"http://{address}/photos.zip"
        assert f"--storage {bucket} --name one" in said["command"]
        found = [
            path
            for folder in (here, Path(logs))
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
        ]
        assert found == []
        assert (here / ".ray" / "auth_token").stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(logs, ignore_errors=True)
