import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlib.champion.champion import WEIGHTS, Champion, read_champion, write_champion
from cnnlib.champion.final_test import predict_test
from cnnlib.champion.prediction import find_photos, predict
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.levels import Levels
from cnnlib.training.trial import Task, train
from jobs.predict import main
from tests.champion.test_final_test import overflow
from tests.conftest import write_photos


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs and, in trained/, a network that knows them."""
    folder = tmp_path_factory.mktemp("predict")
    dataset = read_folder(write_photos(folder / "photos", size=24) / "train")
    config = TrialConfig(
        first_layer_filters=4, conv_layers=2, num_neurons_dense=8, learning_rate=0.01
    )
    task = Task(dataset, image_size=8, max_epochs=8, patience=0, seed=1, cpus=1)
    out = folder / "trained"
    train(config, task, on_epoch=lambda row: None, weights=out / WEIGHTS)
    write_champion(
        Champion(out, "train", config, dataset.classes, 8, epoch=1, val_acc=1.0, origin="train"),
        exported=False,
    )
    return folder


@dataclass
class Answer:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """jobs/predict.py with these arguments."""

    def run(*arguments: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
        return Answer(main(), *capsys.readouterr())

    return run


def test_a_photograph_is_seen_as_the_test_sees_it(trained: Path) -> None:
    champion = read_champion(trained / "trained")
    tested = predict_test(champion, read_folder(trained / "photos" / "train"))
    table, unreadable = predict(champion, [Path(file) for file in tested["file"]])
    assert not unreadable
    assert list(table["predicted"]) == list(tested["predicted"])
    np.testing.assert_allclose(table["predicted_confidence"], tested["confidence"], atol=1e-5)
    shares = table[["predicted_confidence", "second_confidence", "third_confidence"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)  # there are three classes
    assert (np.diff(shares, axis=1) <= 0).all()


def test_photographs_are_found_below_folders_in_order(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "a.png", ".hidden/3.jpg", "b/.4.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(p.relative_to(tmp_path)) for p in find_photos([tmp_path, tmp_path / "x.jpg"])]
    assert names == ["a.png", "b/1.jpg", "b/2.jpg", "x.jpg"]


def test_the_job_prints_a_table_and_a_line_for_what_is_broken(trained: Path, run: Any) -> None:
    mixed = trained / "mixed"
    mixed.mkdir()
    Image.new("L", (30, 10), 200).save(mixed / "grey.jpg")
    Image.new("RGBA", (9, 20), (0, 0, 255, 255)).save(mixed / "blue.png")
    (mixed / "torn.jpg").write_bytes((mixed / "grey.jpg").read_bytes()[:200])
    (mixed / "notes.txt").write_text("no image")
    answer = run(trained / "trained", mixed, "gone.jpg")
    assert answer.returncode == 0
    head, blue, grey = answer.stdout.splitlines()
    assert head.split() == ["file", "predicted", "second", "third"]
    assert blue.startswith(f"{mixed}/blue.png  ")
    assert blue.split()[2] == "blue"
    assert grey.startswith(f"{mixed}/grey.jpg  ")
    complaints = dict(line.split(": ", 1) for line in answer.stderr.splitlines())
    assert complaints.keys() == {f"{mixed}/torn.jpg", f"{mixed}/notes.txt", "gone.jpg"}
    assert complaints[f"{mixed}/notes.txt"] == "not an image; remove or repair it"

    answer = run(trained / "trained", "--csv", mixed / "blue.png")
    (trained / "table.csv").write_text(answer.stdout)
    [row] = pd.read_csv(trained / "table.csv").to_dict("records")
    assert row["predicted"] == "blue"
    assert 1 / 3 < row["predicted_confidence"] <= 1


@pytest.mark.parametrize(
    ("folder", "photo", "complaint"),
    [
        ("trained", "photos/none.jpg", "none.jpg: "),
        ("photos", "photos/val", "FileNotFoundError: no champion in "),
        ("trained", "empty", "FileNotFoundError: no files in "),
    ],
)
def test_where_nothing_can_be_read_the_exit_code_is_2(
    trained: Path, run: Any, folder: str, photo: str, complaint: str
) -> None:
    (trained / "empty").mkdir(exist_ok=True)
    answer = run(trained / folder, trained / photo)
    assert (answer.returncode, answer.stdout) == (2, "")
    [line] = answer.stderr.splitlines()
    assert complaint in line


def test_what_was_white_in_training_is_white_in_predictions(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "trained", tmp_path / "deep")
    champion = read_champion(tmp_path / "deep")
    assert champion.levels == Levels()
    write_champion(replace(champion, levels=Levels(whole=4095)), exported=False)
    said = json.loads((tmp_path / "deep" / "preprocessing.json").read_text())
    assert said["white"] == {"8 bits": 255, "16 or 32 bits": 4095}
    again = read_champion(tmp_path / "deep")
    assert again.levels == Levels(whole=4095)
    Image.fromarray(np.full((8, 8), 200, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((8, 8), round(200 * 255 / 4095), np.uint8)).save(tmp_path / "8.png")
    table, _ = predict(again, [tmp_path / "deep.png", tmp_path / "8.png"])
    first, second = table.drop(columns="file").to_dict("records")
    assert first == pytest.approx(second)


def test_a_pipe_is_named_and_not_waited_for(trained: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    champion = read_champion(trained / "trained")
    _, unreadable = predict(champion, [tmp_path / "pipe.jpg"])
    assert unreadable == {tmp_path / "pipe.jpg": "not a regular file; remove it"}
    assert find_photos([tmp_path]) == []


def test_a_network_without_finite_outputs_predicts_nothing(
    trained: Path, tmp_path: Path, run: Any
) -> None:
    shutil.copytree(trained / "trained", tmp_path / "overflown")
    overflow(tmp_path / "overflown")
    photo = trained / "photos" / "val" / "red" / "000.png"
    answer = run(tmp_path / "overflown", photo)
    line = f"{photo}: the network has no finite outputs for it\n"
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", line)
