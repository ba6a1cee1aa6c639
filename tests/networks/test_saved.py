import json
import math
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import jobs.predict
from cnnlib.champion.champion import Champion, read_champion, write_champion
from cnnlib.champion.model_card import card
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import CNN, TrialConfig
from cnnlib.networks.saved import WEIGHTS, read_network
from cnnlib.networks.saved_files import DamagedError, read_classes, read_config, read_metrics
from cnnlib.training.trial import save_weights

CONFIG = TrialConfig(first_layer_filters=4, conv_layers=2, num_neurons_dense=8)
CLASSES = ("blue", "green", "red")


@pytest.fixture
def champion(tmp_path: Path) -> Path:
    """A sweep's folder with a champion that nobody has trained."""
    folder = tmp_path / "sweep" / "champion"
    folder.mkdir(parents=True)
    save_weights(CustomCNN(CONFIG, num_classes=3, image_size=8), folder / WEIGHTS)
    write_champion(Champion(folder, "0001", CONFIG, CLASSES, 8, 1, 0.5), exported=False)
    return folder


def test_a_network_is_read_with_its_weights_and_can_train_on(champion: Path) -> None:
    model = read_network(champion.parent, TrialConfig, CNN.build)
    assert str(model.device) == str(model.class_counts.device) == "cpu"
    assert not model.training
    kept = load_file(champion / WEIGHTS)
    assert all(torch.equal(t, kept[name]) for name, t in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    (champion / WEIGHTS).write_bytes(b"")  # what was read does not hang on the file
    assert model(torch.rand(2, 3, 8, 8)).isfinite().all()


def test_weights_of_another_precision_are_taken(champion: Path) -> None:
    weights = {n: t.half() if t.is_floating_point() else t for n, t in weights_of(champion).items()}
    save_file(weights, champion / WEIGHTS)
    assert (
        read_network(champion, TrialConfig, CNN.build)(torch.rand(2, 3, 8, 8)).dtype
        == torch.float32
    )


def weights_of(champion: Path) -> dict[str, torch.Tensor]:
    return load_file(champion / WEIGHTS)


def changed(name: str, change: Callable[[dict], Any]) -> Callable[[Path], None]:
    """Changes the entries of a JSON file."""

    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return damage


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def other_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        weights = weights_of(folder)
        change(weights)
        save_file(weights, folder / WEIGHTS)

    return damage


def torn(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def a_folder_of_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


HUGE = {"first_layer_filters": 4096, "filter_org": 4.0, "conv_layers": 10}
WIDE = {"num_neurons_dense": 65536, "first_layer_filters": 4096, "filter_org": 4.0}
FIRST = "network.0.weight"
DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights torn": (torn, "weights.safetensors: is not whole, or no safetensors"),
    "weights empty": (written(WEIGHTS, b""), "is not whole, or no safetensors"),
    "weights text": (written(WEIGHTS, b"my weights\n" * 99), "is not whole, or no safetensors"),
    "weights pickle": (written(WEIGHTS, pickle.dumps({"a": 1})), "is not whole, or no safetensors"),
    "weights gone": (lambda folder: (folder / WEIGHTS).unlink(), "weights.safetensors does not"),
    "weights a folder": (
        a_folder_of_weights,
        "weights.safetensors does not exist",
    ),
    "weights shape": (
        other_weights(lambda w: w.update({FIRST: torch.zeros(8, 3, 3, 3)})),
        f"does not fit config.json and classes.json: {FIRST} is (8, 3, 3, 3) here and (4, 3, 3, 3)",
    ),
    "weights missing": (other_weights(lambda w: w.pop(FIRST)), f"{FIRST} is missing here and (4,"),
    "weights extra": (
        other_weights(lambda w: w.update({"more": torch.zeros(2)})),
        "more is (2,) here and missing in their network",
    ),
    "weights NaN": (
        other_weights(lambda w: w[FIRST].fill_(math.nan)),
        f"{FIRST} holds values that are not finite: the network diverged",
    ),
    "weights infinite": (
        other_weights(lambda w: w["network.1.running_var"].fill_(math.inf)),
        "network.1.running_var holds values that are not finite",
    ),
    "other configuration": (
        changed("config.json", lambda c: c["config"].update(first_layer_filters=8)),
        "weights.safetensors: does not fit config.json",
    ),
    "too large": (
        changed("config.json", lambda c: c.update(config=HUGE, image_size=4096)),
        "sweep/champion/",
    ),
    "too wide": (changed("config.json", lambda c: c["config"].update(WIDE)), "does not fit"),
    "impossible": (
        changed("config.json", lambda c: c["config"].update(conv_layers=9)),
        "config.json: conv_layers: 9 poolings leave nothing of 8 px",
    ),
    "unknown name": (
        changed("config.json", lambda c: c["config"].update(droput=0.1)),
        "config.json: droput: no such hyperparameter; did you mean dropout?",
    ),
    "value beyond a double": (
        changed("config.json", lambda c: c["config"].update(learning_rate=10**400)),
        "config.json: ",
    ),
    "config null": (
        changed("config.json", lambda c: c.update(config=None)),
        "config.json: config: null is not an object",
    ),
    "no config": (changed("config.json", lambda c: c.pop("config")), "config is missing"),
    "no image size": (changed("config.json", lambda c: c.pop("image_size")), "image_size is miss"),
    "other classes": (written("classes.json", b'["a", "b"]'), "does not fit config.json and class"),
    "classes text": (written("classes.json", b'"abc"'), 'holds "abc" and not a list of the class'),
    "classes numbers": (written("classes.json", b"[1, 2, 3]"), "holds a list and not a list of"),
    "classes nested": (written("classes.json", b'[["a"], "b"]'), "not a list of the classes'"),
    "classes null": (written("classes.json", b"null"), "holds null and not a list"),
    "classes none": (written("classes.json", b"[]"), "holds no class"),
    "classes twice": (written("classes.json", b'["a", "b", "a"]'), "holds a name twice"),
    "classes unprintable": (written("classes.json", b'["\\ud800", "b", "a"]'), "not a list of the"),
    "classes gone": (lambda folder: (folder / "classes.json").unlink(), "no file"),
}  # fmt: skip
for text in (b"[]", b"5", b"null", b'"x"', b"{}", b"", b"{", b"\xff\xfe", b"\0" * 9, b"[" * 99_999):
    DAMAGES[f"config.json {text[:9]!r}"] = (written("config.json", text), "config.json: ")
for size in ("8", None, 8.0, -1, 10**9, True, [8], 10**400):
    DAMAGES[f"image_size {str(size)[:9]}"] = (
        changed("config.json", lambda c, size=size: c.update(image_size=size)),
        "is not a whole number from 2 to 16384",
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_network_is_one_line_that_names_file_and_remedy(
    damage: str,
    champion: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil, message = DAMAGES[damage]
    spoil(champion)
    photo = champion.parent / "photo.png"
    Image.new("RGB", (9, 9)).save(photo)
    monkeypatch.setattr(sys, "argv", ["predict.py", str(champion.parent), str(photo)])
    assert jobs.predict.main() == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1 and len(said) < 700
    assert str(champion) in said
    assert "DamagedError" not in said or "take it from a copy" in said
    with pytest.raises((ValueError, OSError)):
        CustomCNN.from_champion(champion.parent)


ENTRIES = {
    "trial_id": None, "epoch": "1", "val_acc": 7, "origin": 3, "val_acc_is": [], "seed": 0.5,
    "name": 1, "data": [], "versions": "2", "commit": 4,
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_of_a_champions_config_is_checked(name: str, champion: Path) -> None:
    changed("config.json", lambda c: c.update({name: ENTRIES[name]}))(champion)
    for read in (read_champion, read_config, card):
        with pytest.raises(DamagedError, match=rf"config\.json: {name}: .* is not "):
            read(champion)


MEASURED = {
    "val_acc": math.nan, "search_val_acc": "x", "luck": True, "finals": 3, "test_acc": 1.5,
    "test_low": None, "test_n": 0.5, "openings": [1],
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
def test_every_entry_of_metrics_is_checked(name: str, champion: Path) -> None:
    changed("metrics.json", lambda c: c.update({name: MEASURED[name]}))(champion)
    for read in (read_metrics, card):
        with pytest.raises(DamagedError, match=rf"metrics\.json: {name}: .* is not "):
            read(champion)


def test_a_list_within_is_checked_too(champion: Path) -> None:
    changed("metrics.json", lambda c: c.update(finals={"seeds": [1, "x"]}))(champion)
    with pytest.raises(DamagedError, match=r"finals\.seeds: a list is not a list, each a whole"):
        read_metrics(champion)


def test_what_a_file_does_not_say_is_no_fault_until_it_is_needed(champion: Path) -> None:
    (champion / "config.json").write_text('{"trial_id": 7, "other": {"a": 1}}')
    assert read_config(champion)["other"] == {"a": 1}
    with pytest.raises(DamagedError, match="config is missing"):
        read_champion(champion)
    assert read_classes(champion) == CLASSES
