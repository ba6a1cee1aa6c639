import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from analysis.reading.folder import read_folder as read_sweep
from cnnlib.champion import champion as champion_module
from cnnlib.champion.champion import make_champion, read_champion
from cnnlib.champion.final_test import test_champion
from cnnlib.journal.finals import Finals, Retrained, final_folder, retrained_folder
from cnnlib.journal.scores import Final, mean_interval, read_seed_scores, sd_between_seeds
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.saved_files import DamagedError
from cnnlib.photos.dataset import read_folder
from cnnlib.photos.levels import Levels
from cnnlib.storage.json_file import write_json
from cnnlib.storage.training_files import epoch_of
from cnnlib.training.trial import Task, save_weights, train
from tests.conftest import write_photos
from tests.journal.test_ledger import Sweep


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep's folder with one trained trial, and its champion; its photographs lie beside it."""
    folder = tmp_path_factory.mktemp("trained") / "sweep"
    dataset = read_folder(write_photos(folder.parent / "photos") / "train")
    config = TrialConfig(
        first_layer_filters=4, conv_layers=2, num_neurons_dense=8, learning_rate=0.01
    )
    rows: list[dict[str, Any]] = []
    task = Task(dataset, image_size=8, max_epochs=8, patience=0, seed=1, cpus=1)
    weights = folder / "checkpoints" / "0001" / "best.safetensors"
    train(config, task, on_epoch=rows.append, weights=weights)
    best = max(rows, key=lambda row: row["val_acc"])
    row = pd.Series(
        {**vars(config), "trial_id": "0001", "best_epoch": best["epoch"]}
        | {name: best[name] for name in ("val_acc", "val_loss")}
    )
    make_champion(folder, row, dataset, 8)
    return folder


@pytest.fixture
def sweep(trained: Path, photos: Path, tmp_path: Path) -> Path:
    """That folder, of a test's own, and of its photographs."""
    folder = shutil.copytree(trained, tmp_path / "sweep")
    about = {"source": str(photos), "fingerprint": read_folder(photos / "train").fingerprint}
    write_json(folder / "sweep.json", {"data": about})
    return folder


def test_a_champion_is_read_back_whole(sweep: Path) -> None:
    champion = read_champion(sweep)
    assert champion.config.first_layer_filters == 4
    assert champion.classes == ("blue", "green", "red")
    assert {path.name for path in champion.folder.iterdir()} == {
        "weights.safetensors", "config.json", "classes.json", "metrics.json", "summary.txt",
        "MODEL_CARD.md", "preprocessing.json", "model.pt2",
    }  # fmt: skip
    assert not champion.model().training


def test_the_test_counts_every_photograph_once(sweep: Path) -> None:
    metrics = test_champion(sweep)
    predictions = pd.read_csv(sweep / "champion" / "test_predictions.csv")
    assert len(predictions) == metrics["test_n"] == 9
    assert [Path(file).parent.name for file in predictions["file"]] == list(predictions["label"])
    right = (predictions["label"] == predictions["predicted"]).mean()
    assert metrics["test_acc"] == pytest.approx(right)
    assert right > 0.6
    assert predictions["confidence"].between(1 / 3, 1).all()
    assert json.loads((sweep / "champion" / "metrics.json").read_text()) == metrics
    assert f"Test accuracy: {right:.3f}" in (sweep / "champion" / "MODEL_CARD.md").read_text()


def test_a_trial_from_before_the_recipe_is_crowned_with_it_off(sweep: Path, photos: Path) -> None:
    champion = read_champion(sweep)
    row = pd.Series({**vars(champion.config), "trial_id": "0001", "best_epoch": champion.epoch})
    row = row.drop(["optimizer", "head"])
    row = pd.concat([row, pd.Series({"val_acc": 0.5, "val_loss": 0.5})])
    row["ema"] = math.nan  # as beside trials that have it
    assert make_champion(sweep, row, read_folder(photos / "train"), 8).config == champion.config
    path = sweep / "champion" / "config.json"
    content = json.loads(path.read_text())
    for name in ("optimizer", "head", "ema"):
        del content["config"][name]
    path.write_text(json.dumps(content))
    assert read_champion(sweep).config == champion.config


def test_other_photographs_than_the_sweeps_are_refused(sweep: Path, photos: Path) -> None:
    shutil.copytree(photos, photos.parent / "moved")
    (photos / "val" / "red" / "000.png").unlink()
    with pytest.raises(ValueError, match="are not those of the sweep"):
        test_champion(sweep)
    assert test_champion(sweep, data=str(photos.parent / "moved"))["test_n"] == 9


def test_a_folder_without_a_champion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no champion in"):
        read_champion(tmp_path)


@pytest.fixture
def final(sweep: Path, photos: Path) -> Path:
    """The sweep's folder after finals of two trials and a reference, without any training."""
    trial = read_champion(sweep)
    searched = Sweep()
    searched.begin()
    searched.run()
    finals = Finals(searched.ledger)
    for other in searched.ledger.trials.values():
        other.config = trial.config
    reference = replace(trial.config, dropout=0.9)
    draw = finals.next_draw(2, 2, reference)
    assert draw is not None
    finals.begin(draw)
    for (trial_id, seed), score in zip(finals.unfinished, SCORES, strict=True):
        finals.end(Final(trial_id, seed, 6, 5, score, 1.25, 7.5))
    for candidate in finals.unretrained:
        finals.end(Retrained(candidate.trial_id, 3, candidate.epochs, 0.875, 3.5))
    kept = [final_folder(sweep, *key) for key in finals.ended]
    kept += [retrained_folder(sweep, t, done.epochs) for t, done in finals.retrained.items()]
    for folder in kept:
        folder.mkdir(parents=True)
        model = CustomCNN(trial.config, num_classes=3, image_size=8)
        save_weights(model, folder / "best.safetensors")
    about = {"source": str(photos), "fingerprint": "f7", "train": 24, "val": 6, "test": 9}
    versions = {"cnnlib": "0.1.0", "torch": "2.99.1"}
    write_json(sweep / "sweep.json", {"name": "one", "data": about, "versions": versions})
    best = pd.Series({"trial_id": "0001"})
    dataset = replace(read_folder(photos / "train"), levels=Levels(whole=4095))
    make_champion(sweep, best, dataset, 8, finals)
    return sweep


SCORES = (0.515625, 0.640625, 0.703125, 0.546875, 0.671875, 0.734375)  # finalist 2 has the best


def test_who_won_the_finals_is_kept_with_what_its_figures_mean(final: Path) -> None:
    champion = read_champion(final)
    metrics = json.loads((final / "champion" / "metrics.json").read_text())
    table = read_seed_scores(final / "champion" / "finals.csv")
    assert champion.trial_id == table[1].trial_id
    assert (champion.origin, champion.seed, champion.epoch) == ("retrained", 3, 5)
    assert champion.levels == Levels(whole=4095)
    assert champion.val_acc == metrics["val_acc"] == table[1].mean == pytest.approx(0.65625)
    assert "nothing but a test can measure them" in metrics["val_acc_is"]
    assert metrics["luck"] == table[1].luck
    assert metrics["finals"]["val_accs"] == table[1].values
    kept = load_file(final / "champion" / "weights.safetensors")
    source = retrained_folder(final, champion.trial_id, 5) / "best.safetensors"
    assert all(torch.equal(kept[name], tensor) for name, tensor in load_file(source).items())


def test_the_reference_is_read_as_the_champion_is(final: Path) -> None:
    reference = read_champion(final / "champion" / "reference")
    assert reference.trial_id == "reference"
    assert reference.config.dropout == 0.9
    assert reference.origin == "retrained"
    assert reference.val_acc == pytest.approx((SCORES[2] + SCORES[5]) / 2)
    assert reference.model()(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


def test_a_network_is_loaded_from_the_sweeps_folder_or_the_champions(final: Path) -> None:
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        one, two = (CustomCNN.from_champion(f)(images) for f in (final, final / "champion"))
    assert torch.equal(one, two)


def test_the_exported_program_needs_torch_alone_and_agrees(final: Path) -> None:
    champion = read_champion(final)
    images = torch.rand(5, 3, 8, 8)
    torch.save(images, final / "images.pt")
    code = (
        "import json, sys, torch\n"
        "extra = {'classes.json': '', 'preprocessing.json': ''}\n"
        "model = torch.export.load(sys.argv[1], extra_files=extra).module()\n"
        "images = torch.load(sys.argv[2])\n"
        "assert torch.allclose(model(images[:1]), model(images)[:1], atol=1e-6)\n"
        "assert 'cnnlib' not in sys.modules\n"
        "print(json.dumps([model(images).tolist(), *map(json.loads, extra.values())]))\n"
    )
    command = [sys.executable, "-c", code, champion.folder / "model.pt2", final / "images.pt"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=final)
    probabilities, classes, seen = json.loads(answer.stdout)
    assert classes == list(champion.classes)
    assert seen == json.loads((champion.folder / "preprocessing.json").read_text())
    mean, std = (torch.tensor(seen[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        ours = champion.model()((images - mean) / std).softmax(1)
    torch.testing.assert_close(torch.tensor(probabilities), ours, atol=1e-5, rtol=0)


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


def test_every_figure_of_the_card_is_one_of_its_sources(final: Path) -> None:
    folder = final / "champion"
    said = (folder / "MODEL_CARD.md").read_text()
    table = read_seed_scores(folder / "finals.csv")
    known = {"95", "3", "1"}  # of the interval; model(torch.rand(1, 3, 8, 8))
    for name in ("config", "metrics", "preprocessing", "classes"):
        known |= numbers((folder / f"{name}.json").read_text())
        for value in leaves(json.loads((folder / f"{name}.json").read_text())):
            known.add(f"{abs(value):.3f}")
    for candidate in table:
        figures = [*candidate.values, candidate.mean, candidate.sd, candidate.search]
        figures += mean_interval(candidate, table) or ()
        known |= {f"{figure:.3f}" for figure in figures if figure is not None}
        known |= numbers(candidate.trial_id)
    sd, freedom = sd_between_seeds(table) or (0.0, 0)
    known |= {f"{sd:.3f}", str(freedom), "255", "4095"}  # levels are divided by these
    assert numbers(said) <= known
    assert said.count(" | ") > 10
    for figure in ("0.656", "0.641, 0.672", "24 to train on, 6 to validate, 9 to test", "2.99.1"):
        assert figure in said


def leaves(content: Any) -> Iterator[float]:
    """The numbers of a JSON document."""
    if isinstance(content, dict | list):
        for inner in content.values() if isinstance(content, dict) else content:
            yield from leaves(inner)
    elif isinstance(content, int | float):
        yield content


def test_a_search_without_finals_leaves_none_of_an_earlier_champions_behind(
    final: Path, photos: Path
) -> None:
    epoch = epoch_of(final / "checkpoints" / "0001" / "best.safetensors")
    row = pd.Series({**vars(read_champion(final).config), "trial_id": "0001", "best_epoch": epoch})
    row["val_acc"] = 0.5
    dataset = replace(read_folder(photos / "train"), levels=Levels(whole=4095))
    make_champion(final, row, dataset, 8, exported=False)
    assert read_champion(final).levels == dataset.levels
    names = {path.name for path in (final / "champion").iterdir()}
    assert not names & {"finals.csv", "reference", "model.pt2"}
    card = (final / "champion" / "MODEL_CARD.md").read_text()
    assert "How it was chosen" not in card
    assert 'model.pt2")' not in card


def make_again(sweep: Path, photos: Path, val_acc: float) -> None:
    """Crowns what lies in checkpoints/0001."""
    epoch = epoch_of(sweep / "checkpoints" / "0001" / "best.safetensors")
    config = TrialConfig(
        first_layer_filters=4, conv_layers=2, num_neurons_dense=8, learning_rate=0.01
    )
    row = {**vars(config), "trial_id": "0001", "best_epoch": epoch, "val_acc": val_acc}
    make_champion(sweep, pd.Series(row), read_folder(photos / "train"), 8, exported=False)


def test_weights_that_are_torn_are_not_crowned_and_the_champion_of_before_stays(
    sweep: Path, photos: Path
) -> None:
    before = {path: path.read_bytes() for path in (sweep / "champion").iterdir()}
    weights = sweep / "checkpoints" / "0001" / "best.safetensors"
    row = pd.Series({"trial_id": "0001", "best_epoch": epoch_of(weights), "val_acc": 0.5})
    for content in (weights.read_bytes()[:-1], b"no weights", b""):
        weights.write_bytes(content)
        with pytest.raises(OSError, match=f"^{weights} is torn or holds no weights: "):
            make_champion(sweep, row, read_folder(photos / "train"), 8)
    assert before == {path: path.read_bytes() for path in (sweep / "champion").iterdir()}


def test_weights_of_another_epoch_are_not_crowned(sweep: Path, photos: Path) -> None:
    row = pd.Series({"trial_id": "0001", "best_epoch": 99, "val_acc": 0.5})
    with pytest.raises(OSError, match="but the best epoch was 99"):
        make_champion(sweep, row, read_folder(photos / "train"), 8)


class KillError(BaseException):
    """Ends what writes, as a kill would."""


def test_a_kill_while_a_champion_is_written_never_makes_one_of_two(
    sweep: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, folder = torch.rand(4, 3, 8, 8), sweep / "champion"
    former = CustomCNN.from_champion(sweep)(images)
    other = CustomCNN(read_champion(sweep).config, num_classes=3, image_size=8)
    checkpoint = sweep / "checkpoints" / "0001" / "best.safetensors"
    save_weights(other, checkpoint, epoch_of(checkpoint))
    shutil.copytree(folder, sweep / "former")
    (sweep / "trials.csv").write_text("trial_id,val_acc\n0001,0.75\n")
    write, seen = champion_module.replaced, list[str]()
    for kills_at in range(1, 10):
        shutil.rmtree(folder)
        shutil.copytree(sweep / "former", folder)
        written = 0

        def dying(path: Path, *rest: Any, kills_at: int = kills_at, **more: Any) -> None:
            nonlocal written
            written += 1
            if written == kills_at:
                raise KillError
            write(path, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr("cnnlib.champion.champion.replaced", dying)
            patch.setattr("cnnlib.storage.json_file.replaced", dying)
            try:
                make_again(sweep, photos, 0.75)
            except KillError:
                seen.append(state_of(folder, images, former))
            else:
                assert state_of(folder, images, former) == "new"
                break
    assert seen[:2] == ["former", "refused"] and set(seen[2:]) <= {"refused", "new"}
    assert "new" in seen, "killed after all that belongs together"


def state_of(folder: Path, images: torch.Tensor, former: torch.Tensor) -> str:
    """Which champion is read from a folder, with its weights; `refused` where none is."""
    try:
        champion = read_champion(folder)
        scores = champion.model()(images)
        assert torch.equal(CustomCNN.from_champion(folder)(images), scores)
    except DamagedError as error:
        assert "config.json: belongs to other weights than weights.safetensors; " in str(error)
        with pytest.raises(DamagedError, match="belongs to other weights"):
            CustomCNN.from_champion(folder)
        with pytest.raises(DamagedError, match="belongs to other weights"):
            test_champion(folder.parent)
        with pytest.raises(DamagedError, match="belongs to other weights"):
            read_sweep(folder.parent)
        return "refused"
    is_new = not torch.equal(scores, former)
    assert (champion.val_acc == 0.75) == is_new
    return "new" if is_new else "former"


def test_a_champion_of_an_older_version_is_read_as_before(sweep: Path) -> None:
    path = sweep / "champion" / "config.json"
    content = json.loads(path.read_text())
    assert re.fullmatch("[0-9a-f]{64}", content.pop("weights"))
    path.write_text(json.dumps(content))
    champion = read_champion(sweep)
    save_weights(champion.model(), champion.folder / "weights.safetensors", 99)
    assert champion.weights is None
    assert read_champion(sweep).model() is not None
    assert CustomCNN.from_champion(sweep) is not None
