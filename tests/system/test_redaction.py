"""No password, key or signature of an address is written, printed or raised."""

import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests

import jobs.train
import jobs.tune
from analysis import report
from cnnlib.photos import download
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.sources import find_dataset
from cnnlib.planning.make_plan import data_name
from cnnlib.planning.provenance import provenance
from cnnlib.running.progress import Progress
from cnnlib.system.redaction import (
    MOST_LETTERS,
    command,
    named,
    one_line,
    secrets_withheld,
    without_secrets,
)
from cnnlib.training.trial import failure

if TYPE_CHECKING:
    pass

SECRET = "SECRET"
SMALL = [
    "--set", "first_layer_filters=8", "--set", "conv_layers=2", "--set", "num_neurons_dense=8",
    "--set", "batch_size=8", "--image-size", "16", "--max-epochs", "1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("http://u:SECRET@h:80/x.zip?Sig=SECRET: HTTP 403", "http://h:80/x.zip: HTTP 403"),
        ("https://SECRET@h/x.zip#SECRET", "https://h/x.zip"),
        ("1https://SECRET@h/x, .s3://K:SECRET@b", "1https://h/x, .s3://b"),
        ("https://u:SECRET@SECRET@h/x", "https://h/x"),
        ("https://u:SEC#RET@h/x", "https://h/x"),
        ("s3://KEY:SECRET@bucket/a, and S3://K:SECRET@b", "s3://bucket/a, and S3://b"),
        ("URI: 's3://KEY:SECRET/+SECRET@bucket/a' due to", "URI: 's3://bucket/a' due to"),
        ("s3://KEY:SECRET SECRET@bucket/a", "s3://bucket/a"),
        ("no sweep file https:/u:SECRET@h/x.yaml?SECRET", "no sweep file https:/h/x.yaml"),
        ("exceeded with url: /x?s=SECRET (by X)", "exceeded with url: /x (by X)"),
        ('"source": "http://h/x?SECRET", "n": 1', '"source": "http://h/x", "n": 1'),
        ("(see https://h:8000/a@b.zip)", "(see https://h:8000/a@b.zip)"),
        ("--resume: which sweep? give its --name", "--resume: which sweep? give its --name"),
        ("photos/what?.jpg, a@b: c", "photos/what?.jpg, a@b: c"),
    ],
)  # fmt: skip
def test_an_address_is_told_without_its_secrets(text: str, public: str) -> None:
    assert without_secrets(text) == public
    assert without_secrets(public) == public


@pytest.mark.parametrize("text", ["x" * 200_000, "a.b+c-" * 30_000, "a://b:c " * 20_000])
def test_what_an_exception_says_at_length_is_cut_and_soon(text: str) -> None:
    """Where it is looked for addresses from each letter on, it takes minutes."""
    assert len(one_line(ValueError(text))) == MOST_LETTERS
    assert one_line(ValueError("a\nb  c s3://KEY:SECRET@bucket/d")) == "a b c s3://bucket/d"
    assert one_line(TimeoutError()) == "TimeoutError"
    assert named(ValueError("a\nb")) == "ValueError: a b"


def test_a_command_is_kept_without_secrets() -> None:
    asked = ["jobs/tune.py", "--data=http://u:SECRET@h/x?a=SECRET SECRET", "--name", "what?"]
    assert command(asked) == "jobs/tune.py --data=http://h/x --name what?"


def test_an_error_is_raised_without_secrets_and_so_are_its_causes() -> None:
    with pytest.raises(OSError, match="h/x does not") as caught, secrets_withheld():
        try:
            raise requests.ConnectionError(ValueError("with url: /x?SECRET"))
        except OSError as error:
            raise ConnectionError("http://u:SECRET@h/x does not answer") from error
    assert isinstance(caught.value, ConnectionError)
    assert SECRET not in f"{caught.value} {caught.value.__cause__}"


def test_names_are_made_of_what_is_public() -> None:
    assert data_name("http://u:SECRET@host/photos.zip?SECRET") == "photos"
    assert SECRET not in data_name("http://u:SECRET@host")


def test_what_a_trial_tells_of_its_fault_and_the_screen_say_nothing_secret(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    try:
        raise OSError("s3://KEY:SECRET@bucket/x does not answer")
    except OSError as error:
        told = failure(error, "trial 0001")
    assert "s3://bucket/x" in told["error"]
    assert SECRET not in json.dumps(told)
    Progress(1).note("fetching from s3://KEY:SECRET@bucket")
    assert SECRET not in capsys.readouterr().out


class Answer(BaseHTTPRequestHandler):
    """Gives the zip to who has the password's signature."""

    def do_GET(self) -> None:
        zip_file: Path = self.server.zip_file  # type: ignore[attr-defined]
        ok = "SECRETSIG" in self.path and "photos.zip" in self.path
        content = zip_file.read_bytes() if ok else b"no"
        self.send_response(200 if ok else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def address(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """host:port of a server that has the photographs in /photos.zip?SECRETSIG."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shutil.make_archive(str(photos), "zip", photos)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.zip_file = photos.with_suffix(".zip")  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Callable[..., tuple[int, str]]]:
    """Calls a job in an empty folder: its exit code and all that it printed or logged.

    In the end no file of that folder, or of the cache, and no file's name holds a secret.
    """
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("CNNLIB_CACHE", str(here / "cache"))
    monkeypatch.setitem(download.download.__kwdefaults__, "pauses", ())
    caplog.set_level(logging.INFO, "cnnlib")

    def call(job: Any, *flags: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["job", *flags])
        with chdir(here):
            code = job.main()
        out, err = capsys.readouterr()
        logged = [r.getMessage() for r in caplog.records if r.name.startswith("cnnlib")]
        return code, "\n".join([out, err, *logged])

    yield call
    for path in here.rglob("*"):
        assert SECRET not in path.name
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_one_training_keeps_no_secret(
    address: str, said: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    data = f"http://user:SECRETPW@{address}/photos.zip?X-Amz-Signature=SECRETSIG"
    flags = ["--data", data, "--out", "out", "--wandb", "offline", *SMALL]
    code, text = said(jobs.train, *flags)
    assert code == 0, text
    assert SECRET not in text
    config = json.loads((tmp_path / "here" / "out" / "config.json").read_text())
    assert config["data"]["source"] == f"http://{address}/photos.zip"
    card = (tmp_path / "here" / "out" / "MODEL_CARD.md").read_text()
    assert f"- Source: http://{address}/photos.zip\n" in card
    assert list((tmp_path / "here" / "out" / "wandb").iterdir()), "its files are looked at too"


def test_a_plan_tells_no_secret(
    address: str, bucket: str, said: Callable[..., tuple[int, str]]
) -> None:
    data = f"http://user:SECRETPW@{address}/photos.zip?X-Amz-Signature=SECRETSIG"
    storage = bucket.replace("s3://", "s3://KEY:SECRETKEY@")
    flags = ["--data", data, "--storage", storage, "--wandb", "off", "--plan", *SMALL]
    code, text = said(jobs.tune, *flags)
    assert code == 0, text
    assert f"on http://{address}/photos.zip (3 classes" in text
    assert f"copied to {bucket}/photos-" in text
    assert f"storage: {bucket}/photos-" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--data", "http://user:SECRETPW@{address}/photos.zip?SECRET"),
        ("--data", "http://user:SECRETPW@{address}/none.zip?SECRETSIG"),
        ("--data", "http://user:SECRETPW@127.0.0.1:9/photos.zip?SECRETSIG"),
        ("--data", "http://user:SECRETPW@127.0.0.1:99999/photos.zip?SECRETSIG"),
        ("--data", "http://user:SECRET/PW@{address}/photos.zip?SECRETSIG"),
        ("--data", "ftp://user:SECRETPW@host/photos.zip?SECRETSIG"),
        ("--data", "s3://KEY:SECRET/KEY@bucket/photos"),
        ("--data", "s3://KEY:SECRETKEY@bucket/none?x=SECRET"),
        ("--storage", "s3://KEY:SECRET/KEY@bucket/x"),
        ("--storage", "s3://KEY:SECRETKEY" + 40 * "SECRET" + "/@bucket/x"),
        ("--storage", "s3://KEY:SECRETKEY@bucket/x?bad=SECRET"),
        ("--storage", "gs://KEY:SECRETKEY@bucket/x"),
        ("--storage", "ftp://KEY:SECRETKEY@host/x"),
        ("--sweep", "http://user:SECRETPW@{address}/sweep.yaml?SECRET"),
        ("--warm-start", "s3://KEY:SECRETKEY@bucket/x"),
        ("--reference", "http://user:SECRETPW@{address}/x.json?SECRET"),
    ],
)
def test_a_mistake_tells_no_secret(
    flag: str,
    value: str,
    address: str,
    bucket: str,
    photos: Path,
    said: Callable[..., tuple[int, str]],
) -> None:
    flags = [] if flag == "--data" else ["--data", str(photos)]
    code, text = said(
        jobs.tune, *flags, flag, value.format(address=address), "--wandb", "off", "--name", "x"
    )
    assert code == 2, text
    assert SECRET not in text


def test_a_report_of_a_bucket_tells_no_secret(
    bucket: str, said: Callable[..., tuple[int, str]]
) -> None:
    code, text = said(
        type("Job", (), {"main": lambda: report.main([bucket.replace("//", "//KEY:SECRETKEY@")])})
    )
    assert code == 2
    assert SECRET not in text


def test_an_address_that_was_not_kept_is_asked_for(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnlib.champion.final_test import _dataset

    dataset = read_folder(photos / "train")
    about = provenance("http://u:SECRET@host/photos.zip?SECRET", dataset, 0)
    assert about["data"]["source"] == "http://host/photos.zip"
    (tmp_path / "sweep.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"photos.zip by an address with .*; give it again by --d"):
        _dataset(tmp_path, None)
    assert _dataset(tmp_path, str(photos)).fingerprint == dataset.fingerprint
    assert "address_withheld" not in provenance(photos, dataset, 0)["data"]


def test_another_signature_is_another_download(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name in the cache follows from the whole address, and tells nothing of it."""
    cache = tmp_path / "cache"
    for signature in ("SECRETSIG1", "SECRETSIG2"):
        find_dataset(f"http://{address}/photos.zip?{signature}", cache=cache)
    names = [path.name for path in (cache / "downloads").glob("*.zip")]
    assert len(names) == 2
    assert SECRET not in str(names)
