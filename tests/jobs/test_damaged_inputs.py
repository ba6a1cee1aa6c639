"""No flag, sweep, photograph, zip, journal or network ends in a traceback, or hangs."""

import copy
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import analysis.convert
import analysis.report
import cnnlib.journal.__main__
import jobs.predict
import jobs.train
import jobs.tune
from analysis.convert import main as convert
from analysis.report import main as report
from cnnlib.champion.champion import Champion, write_champion
from cnnlib.journal.events import Journal
from cnnlib.journal.finals import Retrained
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.saved import WEIGHTS
from cnnlib.photos.dataset import Dataset
from cnnlib.photos.sources import find_dataset
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.settings import Settings
from cnnlib.system.redaction import secrets_withheld
from cnnlib.training.trial import save_weights
from tests.analysis.test_damaged_tables import CHART, RUNS
from tests.conftest import write_photos
from tests.damage import (
    OBJECTS,
    TEXTS,
    VALUES,
    Draw,
    any_bytes,
    damage_folder,
    damage_journal,
    damaged_json,
    damaged_yaml,
    damaged_zip,
    faults,
    flipped,
    named,
    odd_flags,
    with_odd_node,
)
from tests.journal.test_finals import Held

SWEEP = {
    "method": "bayes",
    "metric": {"name": "val_acc", "goal": "maximize"},
    "parameters": {
        "first_layer_filters": {"values": [8, 16, 32]},
        "conv_layers": {"values": [2, 3, 4]},
        "dropout": {"values": [0.1, 0.2, 0.3, 0.4]},
        "learning_rate": {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"},
    },
    "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2, "strict": False},
    "run_cap": 12,
}
"""What the journal's terms say; others have what this one lacks."""
SWEEPS: list[dict[str, Any]] = [
    SWEEP,
    {
        "method": "grid",
        "parameters": {
            "dropout": {"min": 0.1, "max": 0.5, "q": 0.1, "distribution": "q_uniform"},
            "batch_size": {"values": [8, 16]},
            "conv_layers": {"value": 2},
            "image_size": {"value": 16},
            "max_epochs": {"value": 9},
        },
        "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2, "eta": 3},
    },
    {
        "method": "random",
        "metric": {"name": "val_acc", "goal": "maximize", "target": 0.9, "impute": "worst"},
        "parameters": {
            "optimizer": {"values": ["adam", "sgd"], "probabilities": [0.5, 0.5]},
            "dropout": {"min": 0.1, "max": 0.5},
            "num_neurons_dense": {"min": 8, "max": 64, "distribution": "int_uniform"},
            "weight_decay": {
                "min": -9,
                "max": -3,
                "distribution": "q_log_uniform",
                "q": 0.001,
            },
            "learning_rate": {"min": -9, "max": -3, "distribution": "log_uniform"},
        },
        "early_terminate": None,
        "name": "x",
        "program": "train.py",
    },
]
CONFIG = TrialConfig(first_layer_filters=4, conv_layers=2, num_neurons_dense=8)
PARSERS = {
    "tune": jobs.tune.parser(),
    "train": jobs.train.parser(),
    "report": analysis.report.parser(),
    "convert": analysis.convert.parser(),
}
FEW = ["--wandb", "off", "--image-size", "16"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("whole") / "photos", train=5, test=2, size=8)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder with tables and a champion that nobody has trained."""
    sweep = tmp_path_factory.mktemp("kept") / "sweep"
    folder = sweep / "champion"
    folder.mkdir(parents=True)
    save_weights(CustomCNN(CONFIG, num_classes=3, image_size=8), folder / WEIGHTS)
    classes = ("blue", "green", "red")
    write_champion(Champion(folder, "0001", CONFIG, classes, 8, 1, 0.5), exported=False)
    (sweep / "trials.csv").write_text("trial_id,status,dropout,val_acc\n0001,completed,0.1,0.5\n")
    (sweep / "epochs.csv").write_text("trial_id,epoch,val_acc\n0001,1,0.5\n")
    return sweep


@pytest.fixture(scope="module")
def events(photos: Path) -> list[dict[str, Any]]:
    """All that a sweep of these photographs may write into its journal."""
    held = Held()
    held.end_all((0.5, 0.6), (0.7, None), (0.4, 0.4), (0.3, 0.2))
    held.finals.choose()
    winner = held.finals.winner
    assert winner is not None
    held.finals.start(winner.trial_id, 3, 4)
    held.finals.end(Retrained(winner.trial_id, 3, 4, 0.9, 5.0))
    told = copy.deepcopy(held.sweep.events)
    told[0]["fingerprint"] = fingerprint(photos)
    one = {"event": "failed", "trial_id": "0001", "error": "ValueError: x", "traceback": "T\n  x"}
    more = [
        {"event": "resumed", "trials": 13, "max_epochs": 6},
        {"event": "machines", "units": 2, "unit": "cores", "units_per_trial": 1},
        {"event": "moved", "node": "a", "sent": 7},
        {"event": "proposed", "trial_id": "0013", "config": {"dropout": 0.2}, "max_epochs": 6},
        {"event": "started", "trial_id": "0013", "after_epoch": 0},
        {"event": "lost", "trial_id": "0013", "error": "x", "preempted": True},
        {**one, "trial_id": "0013"},
        {"event": "tested", "champion": "0001", "weights": "w", "number": 1, "test_acc": 0.5},
        {"event": "closed", "reason": "x"},
    ]
    return [*told, *more]


def fingerprint(photos: Path) -> str:
    found: Dataset = find_dataset(photos)
    return found.fingerprint


@pytest.fixture
def place(
    tmp_path: Path, photos: Path, champion: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty folder in which a case is made anew; HOME is beside it, and nothing starts."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("jobs.tune._examine", lambda plan: 0)  # starts Ray
    monkeypatch.setattr("jobs.train._train", lambda *_: 0)
    monkeypatch.setattr("cnnlib.tracking.account._ask", lambda _: {"mode": "", "problem": "none"})
    still = Image.new("RGB", (4, 4))  # figures are made, but not drawn: that takes a second each
    monkeypatch.setattr("analysis.page.files.picture", lambda figures: still)
    before = signal.getsignal(signal.SIGTERM)
    yield here
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Draw], None]:
    """Fails where a case of a kind does not end as it should."""

    def run(kind: str, draw: Draw) -> None:
        sys.stderr.reconfigure(errors="backslashreplace")  # as Python's own
        found = list(faults(kind, draw, lambda: capsys.readouterr().err))
        assert not found, f"{len(found)} of {kind}\n" + "\n".join(found)

    return run


Check = Callable[[str, Draw], None]


def job(module: Any, *flags: str) -> int:
    """The exit code of a job with these flags."""
    before = sys.argv
    sys.argv = ["job", *flags]
    try:
        return module.main()
    finally:
        sys.argv = before


def emptied(place: Path) -> None:
    for path in place.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.mark.parametrize("name", ["tune", "train", "predict", "report", "convert"])
def test_any_flags_are_a_plan_or_a_line(
    name: str, place: Path, photos: Path, champion: Path, check: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cnnlib.pixels.pixels.decode_ahead", lambda *_, **__: None)  # at 16,384 px
    monkeypatch.setattr("analysis.report.write_report", lambda *_, **__: Path("index.html"))
    monkeypatch.setattr("analysis.report.send", lambda *_, **__: "sent")
    monkeypatch.setattr("analysis.report.watch", lambda *_, **__: 0)
    places = [str(photos), str(photos / "train"), str(photos / "train/red/000.png"), "a.yaml",
              "a.csv", str(champion), str(champion / "champion"), "torn.zip", "pipe"]  # fmt: skip

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        emptied(place)
        Path("a.yaml").write_text(json.dumps(SWEEP))
        Path("a.csv").write_text(RUNS)
        Path("chart.csv").write_text(CHART)
        Path("torn.zip").write_bytes(b"PK\3\4")
        first, second = rng.choice([*places, *TEXTS]), rng.choice([*places, *TEXTS])
        commands: dict[str, tuple[Any, list[str]]] = {
            "tune": (lambda f: job(jobs.tune, *f), ["--plan", "--data", str(photos), *FEW]),
            "train": (
                lambda f: job(jobs.train, *f),
                ["--out", "out", "--data", str(photos), *FEW],
            ),
            "predict": (lambda f: job(jobs.predict, *f), [str(champion), first, second]),
            "report": (report, [rng.choice([str(champion), first]), "--no-test"]),
            "convert": (convert, ["--out", "o", rng.choice(["a.csv", first]), "chart.csv"]),
        }
        command, base = commands[name]
        flags = odd_flags(PARSERS[name], places, rng) if name in PARSERS else []
        return str(flags if name != "predict" else base), lambda: command([*base, *flags])

    check(f"flags of {name}", draw)


def planned(**settings: Any) -> int:
    """As a program of the user's plans a sweep."""
    try:
        with secrets_withheld():
            str(make_plan(Settings(**settings)))
    except (ValueError, OSError) as error:
        return jobs.tune.mistake(error)
    return 0


def test_any_settings_are_a_plan_or_a_line(
    place: Path, photos: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.pixels.pixels.decode_ahead", lambda *_, **__: None)

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        names = [f.name for f in fields(Settings)]
        odd = {name: rng.choice([*VALUES, *OBJECTS]) for name in rng.sample(names, 2)}
        usual = {"data": photos, "wandb": "off", "image_size": 16}
        return str({n: named(v) for n, v in odd.items()}), lambda: planned(**{**usual, **odd})

    check("settings", draw)


def test_any_mapping_is_a_sweep_or_a_line(
    place: Path, photos: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.pixels.pixels.decode_ahead", lambda *_, **__: None)

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        done, sweep = with_odd_node(rng.choice(SWEEPS), [*VALUES, *OBJECTS], rng)
        settings = {"data": photos, "wandb": "off", "image_size": 16, "sweep": sweep}
        return done, lambda: planned(**settings)

    check("sweep mapping", draw)


@pytest.mark.parametrize("flag", ["--sweep", "--reference", "--config", "--claims"])
def test_any_yaml_is_read_or_a_line(
    flag: str, place: Path, photos: Path, champion: Path, check: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cnnlib.pixels.pixels.decode_ahead", lambda *_, **__: None)
    monkeypatch.setattr("analysis.report.read_folder", lambda *_: sys.exit(0))
    config = {"dropout": 0.1, "optimizer": "sgd", "conv_layers": 2, "batch_norm": True}
    claims = [{"claim": "a", "higher": {"dropout": {"max": 0.2}}, "lower": {"dropout": 1}}]

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        emptied(place)
        whole = {"--sweep": rng.choice(SWEEPS), "--claims": claims}.get(flag, config)
        done, content = damaged_yaml(json.dumps(whole, indent=1), rng)
        Path("a.yaml").write_bytes(content)
        few, given = ["--data", str(photos), *FEW], [flag, "a.yaml"]
        calls: dict[str, Callable[[], int]] = {
            "--config": lambda: job(jobs.train, "--out", "out", *few, *given),
            "--claims": lambda: report([str(champion), "--no-test", *given]),
        }
        return done, calls.get(flag, lambda: job(jobs.tune, "--plan", *few, *given))

    check(flag, draw)


def content_of(folder: Path) -> dict[str, bytes | None]:
    """What lies below, to see that nothing is changed."""
    return {
        os.fsdecode(os.fsencode(path)): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else None
        for path in sorted(folder.rglob("*"))
    }


def test_any_folder_of_photographs_is_read_or_a_line_and_left_as_it_is(
    place: Path, photos: Path, check: Check
) -> None:
    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        emptied(place)
        shutil.copytree(photos, "photos")
        done = [damage_folder(Path("photos"), rng) for _ in range(rng.choice((1, 1, 2, 4)))]
        before = content_of(Path("photos"))

        def call() -> int:
            code = job(jobs.tune, "--plan", "--data", "photos", *FEW, "--set", "conv_layers=2")
            assert content_of(Path("photos")) == before
            return code

        return "; ".join(done), call

    check("data folder", draw)


def test_any_zip_is_read_or_a_line(place: Path, photos: Path, check: Check) -> None:
    whole = Path(shutil.make_archive(str(place.parent / "whole"), "zip", photos)).read_bytes()

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        emptied(place)
        done, content = damaged_zip(whole, rng)
        Path("photos.zip").write_bytes(content)

        def call() -> int:
            code = job(jobs.tune, "--plan", "--data", "photos.zip", *FEW, "--set=conv_layers=2")
            assert [path.name for path in place.iterdir()] == ["photos.zip"]
            assert not (place.parent / "outside.png").exists()
            return code

        return done, call

    check("zip", draw)


def write_journal(folder: Path, events: list[dict[str, Any]], rng: random.Random) -> None:
    """A journal in two segments, of all events or some of the first."""
    cuts = sorted(rng.choices(range(1, len(events)), k=2))
    for some in (events[: cuts[0]], events[cuts[0] : rng.choice([cuts[1], len(events)])]):
        journal = Journal(folder)
        journal._check = lambda: None
        for event in some:
            journal.append(**{n: v for n, v in event.items() if n != "time"})
        journal.close()


JOURNALS = ("told", "replayed", "resumed", "warm", "past", "reported")


@pytest.mark.parametrize("way", JOURNALS)
def test_any_journal_is_read_or_a_line(
    way: str, place: Path, photos: Path, events: list[dict[str, Any]], check: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cnnlib.journal.events.os.fsync", lambda _: None)
    monkeypatch.setattr("cnnlib.pixels.pixels.decode_ahead", lambda *_, **__: None)
    tune = ["--plan", "--data", str(photos), "--wandb", "off", "--image-size", "32", "--seed", "3",
            "--patience", "0", "--max-epochs", "6", "--sweep", "a.yaml"]  # fmt: skip
    calls: dict[str, Callable[[], int]] = {
        "told": lambda: job(cnnlib.journal.__main__, "s"),
        "replayed": lambda: job(cnnlib.journal.__main__, "s", "--replay"),
        "resumed": lambda: job(jobs.tune, *tune, "--storage", ".", "--name", "s", "--resume"),
        "warm": lambda: job(jobs.tune, *tune, "--warm-start", "s"),
        "past": lambda: job(jobs.tune, *tune, "--search", "curves", "--past", "s"),
        "reported": lambda: report(["s", "--no-test"]),
    }

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        emptied(place)
        Path("a.yaml").write_text(json.dumps(SWEEP))
        write_journal(Path("s"), events, rng)
        done = [damage_journal(Path("s/journal"), rng) for _ in range(rng.choice((1, 1, 2)))]
        return "; ".join(done), calls[way]

    check(f"journal {way}", draw)


def test_the_journal_that_is_damaged_is_whole(
    place: Path, photos: Path, events: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.yaml").write_text(json.dumps(SWEEP))
    journal = Journal(Path("s"))
    for event in events:
        journal.append(**{n: v for n, v in event.items() if n != "time"})
    journal.close()
    assert job(cnnlib.journal.__main__, "s", "--replay") == 1, "but for what was added at its end"
    assert "event 1 " not in capsys.readouterr().out
    flags = ["--data", str(photos), "--wandb", "off", "--image-size", "32", "--seed", "3",
             "--patience", "0", "--max-epochs", "6", "--sweep", "a.yaml"]  # fmt: skip
    assert job(jobs.tune, "--plan", *flags, "--storage=.", "--name=s", "--resume") == 0
    assert job(jobs.tune, "--plan", *flags, "--warm-start", "s") == 0
    assert job(jobs.tune, "--plan", *flags, "--search", "curves", "--past", "s") == 0


def damage_champion(folder: Path, rng: random.Random) -> str:
    name = rng.choice(
        ["config.json", "classes.json", "preprocessing.json", "metrics.json", WEIGHTS]
    )
    file = folder / name
    if rng.random() < 0.05 or not file.exists():
        file.unlink(missing_ok=True)
        return f"{name} gone"
    content = file.read_bytes()
    if name == WEIGHTS:
        way = rng.random()
        if way < 0.4:  # its header names the tensors
            at = rng.randrange(8, 1500)
            content = content[:at] + flipped(content[at : at + 30], rng) + content[at + 30 :]
            done = "header flipped"
        elif way < 0.6:
            done, content = "flipped", flipped(content, rng)
        else:
            done, content = any_bytes(content, rng)
    else:
        done, content = damaged_json(content.decode("utf-8", "replace"), rng)
    file.write_bytes(content)
    return f"{name}: {done}"


@pytest.mark.parametrize("way", ["predicts", "trained", "read", "reported"])
def test_any_champion_is_read_or_a_line(
    way: str, place: Path, photos: Path, champion: Path, check: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("cnnlib.pixels.pixels.decode_ahead", lambda *_, **__: None)
    photo = str(photos / "train/red/000.png")

    def read() -> int:
        try:
            CustomCNN.from_champion("s")
        except (ValueError, OSError) as error:
            return jobs.tune.mistake(error)
        return 0

    config = ["--config", "s/champion/config.json", "--data", str(photos), *FEW]
    calls: dict[str, Callable[[], int]] = {
        "predicts": lambda: job(jobs.predict, "s", photo),
        "trained": lambda: job(jobs.train, "--out", "out", *config),
        "read": read,
        "reported": lambda: report(["s", "--no-test"]),
    }

    def draw(rng: random.Random) -> tuple[str, Callable[[], int]]:
        emptied(place)
        shutil.copytree(champion, "s")
        done = [damage_champion(Path("s/champion"), rng) for _ in range(rng.choice((1, 1, 2)))]
        return "; ".join(done), calls[way]

    check(f"champion {way}", draw)
