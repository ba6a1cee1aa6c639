"""What a newcomer does wrong: each mistake is one clear line, exit code 2, and nothing is lost."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import analysis.convert
import analysis.report
import cnnlib.journal.__main__
import cnnlib.tracking.follower
import jobs.predict
import jobs.train
import jobs.tune
from cnnlib.champion.champion import read_champion
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.levels import Levels

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str]]:
    """Calls a job with flags in an empty folder: its exit code and what it said on stderr."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def call(job: object, *flags: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["job", *flags])
        try:
            code = job.main()  # type: ignore[attr-defined]
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().err

    return call


def a_text_file_named_jpg(photos: Path) -> list[str]:
    (photos / "train" / "red" / "notes.jpg").write_text("not a photograph")
    return ["--data", str(photos)]


def a_torn_photograph(photos: Path) -> list[str]:
    file = photos / "train" / "red" / "000.png"
    file.write_bytes(file.read_bytes()[:300])
    return ["--data", str(photos)]


def a_results_folder_that_exists(photos: Path) -> list[str]:
    (photos / "results").mkdir()
    (photos / "results" / "mine.txt").write_text("precious")
    return ["--data", str(photos), "--storage", str(photos), "--name", "results"]


def no_write_permission(photos: Path) -> list[str]:
    (photos / "file").touch()  # even root cannot make a folder in a file
    return ["--data", str(photos), "--storage", str(photos / "file")]


def a_broken_zip(photos: Path) -> list[str]:
    with zipfile.ZipFile(photos / "all.zip", "w") as archive:
        for file in (photos / "train").rglob("*.png"):
            archive.write(file, file.relative_to(photos))
    content = (photos / "all.zip").read_bytes()
    (photos / "all.zip").write_bytes(content[: len(content) // 2])
    return ["--data", str(photos / "all.zip")]


def a_sweep_of_another_network(photos: Path) -> str:
    folder = photos / "results" / "other"
    folder.mkdir(parents=True)
    rows = [f"{number},{number % 4},0.{number}" for number in range(1, 10)]
    (folder / "trials.csv").write_text("\n".join(["trial_id,depth,val_acc", *rows]))
    return str(folder)


MISTAKES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "missing folder": (lambda photos: ["--data", "nowhere"], "nowhere does not exist"),
    "text file named .jpg": (a_text_file_named_jpg, "red/notes.jpg"),
    "torn photograph": (a_torn_photograph, "red/000.png"),
    "--trials 0": (lambda photos: ["--trials", "0"], "--trials: 0 is not at least 1"),
    "unknown hyperparameter": (
        lambda photos: ["--set", "batchsize=32"],
        "batchsize: no such hyperparameter; did you mean batch_size?",
    ),
    "value out of range": (
        lambda photos: ["--set", "dropout=1.5"],
        "dropout: 1.5 is not a number from 0 to 0.95",
    ),
    "--past for who asks nobody": (
        lambda photos: ["--past", "none"],
        "--past: tpe asks no earlier sweeps; add --search curves",
    ),
    "--past of no sweep": (
        lambda photos: ["--search", "curves", "--past", str(photos)],
        "no results in ",
    ),
    "--past of other networks": (
        lambda photos: ["--search", "curves", "--past", a_sweep_of_another_network(photos)],
        "--past: the sweeps say something of depth, which is less than half",
    ),
    "results folder exists": (a_results_folder_that_exists, "nothing is overwritten"),
    "no write permission": (no_write_permission, "no permission to write"),
    "broken zip": (a_broken_zip, "is not a complete zip file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    mistake: str, photos: Path, run: Callable[..., tuple[int, str]]
) -> None:
    make, message = MISTAKES[mistake]
    flags = make(photos)
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    code, said = run(jobs.tune, *flags, "--image-size", "32", "--wandb", "off")
    assert code == 2
    assert message in said
    assert said.count("\n") == 1
    assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == before
    assert not list(Path.cwd().iterdir()), "nothing is written for a sweep that cannot start"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--set", "dropout=0.1,0.2"], "--set: one value each, please; dropout has more"),
        (["--config", "none.yaml"], "No such file or directory: 'none.yaml'"),
        (["--max-epochs", "0"], "--max-epochs: 0 is not at least 1"),
        (
            [f"--set={v}" for v in ("first_layer_filters=4096", "filter_org=4", "conv_layers=10")]
            + ["--image-size=4096"],
            " GB to train, and the ",
        ),
        (["--set", "conv_layers=6"], "conv_layers: 6 poolings leave nothing of 32 px"),
        (
            ["--set", "first_layer_filters=4096", "--set", "filter_org=4"],
            " GB to train, and the ",
        ),
    ],
)
def test_mistakes_in_training_one_configuration(
    flags: list[str], message: str, run: Callable[..., tuple[int, str]]
) -> None:
    code, said = run(jobs.train, "--out", "out", *flags)
    assert code == 2
    assert message in said
    assert not Path("out").exists()


def test_training_never_writes_into_a_folder_in_use(run: Callable[..., tuple[int, str]]) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("precious")
    code, said = run(jobs.train, "--out", "out")
    assert (code, said) == (2, "ValueError: --out: out exists; nothing is overwritten: "
                            "choose a new folder\n")  # fmt: skip


def test_a_plan_is_printed_and_nothing_starts(
    photos: Path, run: Callable[..., tuple[int, str]]
) -> None:
    small = ["--set", "first_layer_filters=8", "--set", "conv_layers=2", "--image-size", "16"]
    code, said = run(jobs.tune, "--plan", "--data", str(photos), "--wandb", "off", *small)
    assert (code, said) == (0, "")
    assert not list(Path.cwd().iterdir())


def test_the_console_works_from_any_folder_without_an_installation(tmp_path: Path) -> None:
    """As in a Ray job, whose working folder is a copy and where PYTHONPATH may be unset."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [sys.executable, ROOT / "jobs" / "tune.py", "--trials", "0"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (2, "ValueError: --trials: 0 is not at least 1\n")


AT_ONCE: dict[str, tuple[str, list[str]]] = {
    "a bad flag": ("tune", ["--trials", "x"]),
    "a flag out of range": ("tune", ["--seed", str(2**32)]),
    "an empty time": ("tune", ["--time-budget", ""]),
    "a bad key of a sweep": ("tune", ["--sweep", "key.yaml"]),
    "bad YAML": ("tune", ["--sweep", "bad.yaml"]),
    "a grid without an end": ("tune", ["--sweep", "grid.yaml"]),
    "an unknown --set": ("tune", ["--set", "droput=1"]),
    "too many poolings": ("tune", ["--set", "conv_layers=9"]),
    "a missing reference": ("tune", ["--reference", "none.yaml"]),
    "a missing data folder": ("tune", ["--data", "nowhere"]),
    "a bad value to train with": ("train", ["--out", "out", "--set", "dropout=7"]),
    "a seed to train with": ("train", ["--out", "out", "--seed", str(2**32)]),
    "a missing data folder to train on": ("train", ["--out", "out", "--data", "nowhere"]),
}
CALL = """
import importlib, json, sys
code, heavy = None, {"torch", "ray", "numba", "pandas", "hyperopt", "wandb"}
for name, (job, flags) in json.loads(sys.argv[1]).items():
    sys.argv = [job, *flags]
    try:
        code = importlib.import_module(f"jobs.{job}").main()
    except SystemExit as end:
        code = end.code
    print(json.dumps([name, code, sorted(heavy & sys.modules.keys())]), flush=True)
"""


def test_a_mistake_is_told_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    for name, text in {
        "key.yaml": "parameters: {dropuot: {value: 0.1}}",
        "bad.yaml": "parameters: [",
        "grid.yaml": "method: grid\nparameters: {dropout: {min: 0.1, max: 0.5}}",
    }.items():
        (tmp_path / name).write_text(text)
    answer = subprocess.run(
        [sys.executable, "-c", CALL, json.dumps(AT_ONCE)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in answer.stdout.splitlines()]
    assert told == [[name, 2, []] for name in AT_ONCE]
    assert len(answer.stderr.splitlines()) == len(AT_ONCE), "a line each"
    assert not [path.name for path in tmp_path.iterdir() if path.is_dir()], "nothing is written"


def test_a_configuration_comes_from_yaml_json_or_a_champion(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dropout: 0.1\nlearning_rate: 1e-4\n")
    (tmp_path / "b.json").write_text('{"trial_id": "0001", "config": {"dropout": 0.1}}')
    first = jobs.train.configuration(str(tmp_path / "a.yaml"), ["batch_size=64"])
    assert (first.dropout, first.learning_rate, first.batch_size) == (0.1, 1e-4, 64)
    assert jobs.train.configuration(str(tmp_path / "b.json"), []).dropout == 0.1
    recipe = jobs.train.configuration(None, ["optimizer=sgd", "kernel_size=5", "ema=0.99"])
    assert (recipe.optimizer, recipe.kernel_size, recipe.ema) == ("sgd", 5, 0.99)
    for text in ("just text", "5", "[1]", "", "config:", "config: 5", "config: [1]", "config: a"):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(
            ValueError, match=r"c\.yaml holds no hyperparameters; write NAME: VALUE"
        ):
            jobs.train.configuration(str(tmp_path / "c.yaml"), [])


def test_a_training_that_diverges_leaves_no_network_and_says_why(
    photos: Path, run: Callable[..., tuple[int, str]]
) -> None:
    """With these steps its weights overflow in the first epoch."""
    settings = ["activation=leaky_relu", "optimizer=sgd", "learning_rate=10", "batch_norm=false",
                "conv_layers=2", "first_layer_filters=8", "use_augmentation=false",
                "batch_size=1", "weight_decay=1"]  # fmt: skip
    flags = [flag for setting in settings for flag in ("--set", setting)]
    code, said = run(
        jobs.train, "--data", str(photos), "--image-size", "16", "--max-epochs", "3",
        "--out", "out", *flags,
    )  # fmt: skip
    assert (code, said) == (
        1,
        "diverged: outputs, loss or weights are not finite after epoch 1; "
        "lower the learning_rate\n",
    )
    assert [path.name for path in Path("out").iterdir()] == ["epochs.csv"]
    assert len(Path("out/epochs.csv").read_text().splitlines()) == 2, "it ended at once"


def test_every_command_refuses_a_flag_in_one_line(run: Callable[..., tuple[int, str]]) -> None:
    commands = (
        (jobs.tune, "--trials", "many"),
        (jobs.train, "--outs", "x"),
        (jobs.predict, "folder"),
        (analysis.report, "folder", "--port", "high"),
        (analysis.convert, "runs.csv"),
        (cnnlib.journal.__main__, "--reply"),
        (cnnlib.tracking.follower, "folder", "--wandb", "perhaps"),
    )
    for job, *flags in commands:
        code, said = run(job, *flags)
        assert code == 2 and said.count("\n") == 1, (job, said)
        assert said.endswith("; --help lists the flags\n") and "usage" not in said, (job, said)


def test_a_training_tells_what_to_know_of_the_photographs_and_keeps_what_is_white(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    red, out = photos / "train" / "red", photos.parent / "out"
    (red / "again.png").write_bytes((red / "000.png").read_bytes())
    found = replace(read_folder(photos / "train"), levels=Levels(whole=4095))
    monkeypatch.setattr("jobs.train.find_dataset", lambda _: found)
    settings = ["conv_layers=2", "first_layer_filters=8", "use_augmentation=false"]
    flags = [flag for setting in settings for flag in ("--set", setting)]
    flags += ["--image-size", "8", "--max-epochs", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["train.py", *flags])
    assert jobs.train.main() == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("note: training photographs that are copies of others")
    assert read_champion(out).levels == found.levels
