"""What every kind of network must do, those of the guide's three ways included."""

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from cnnlib.champion.torch_export import export
from cnnlib.networks.families import FAMILIES, family_of, written_down
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.own_code import family_asked
from cnnlib.networks.saved import with_weights
from cnnlib.networks.summary import scorer, summary
from cnnlib.networks.values import Choice, Space
from cnnlib.photos.dataset import read_folder
from cnnlib.planning.cost import largest, macs, measure, sampled, training_bytes
from cnnlib.planning.make_plan import SWEEPS
from cnnlib.search.default_sweep import default_sweep
from cnnlib.search.space import num_configurations
from cnnlib.search.sweep_file import read_sweep_file, sweep_from_mapping
from cnnlib.training.trial import Task, save_weights, train
from tests.conftest import write_photos

PAGE = Path(__file__).parent.parent.parent / "docs" / "NETWORKS.md"
SIDE, CLASSES = 16, 3
# Values that make a network small enough to train in a test.
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"first_layer_filters": 8, "conv_layers": 2, "num_neurons_dense": 16, "dropout": 0.0},
    "pretrained": {
        "model_name": "googlenet",
        "weights": "none",
        "finetune_strategy": "unfreeze_all",
        "dropout": 0.0,
    },
    "mine.py:net": {"width": 16, "depth": 1, "learning_rate": 0.01},
    "lit.py:LitNet": {"hidden": 16, "lr": 0.02},
    "towers.py:family": {"width": 16, "depth": 1, "learning_rate": 0.01},
}


def code_of_the_page(name: str) -> str:
    """The block of the guide that begins with the file's name."""
    blocks = re.findall(r"```\w*\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [found] = [block for block in blocks if block.startswith(f"# {name}")]
    return found


@pytest.fixture(
    scope="module", params=[*FAMILIES, *(name for name in SMALL if name not in FAMILIES)]
)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    name: str = request.param
    if name in FAMILIES:
        return FAMILIES[name]
    file, _, of = name.partition(":")
    path = tmp_path_factory.mktemp("own") / file
    path.write_text(code_of_the_page(file))
    return family_asked(f"{path}:{of}")


def small(family: Family, **changes: Any) -> Any:
    known = hyperparameters(family.config)
    wanted = {"batch_size": 4, "use_augmentation": False} | SMALL.get(family.name, {}) | changes
    return family.configuration({name: v for name, v in wanted.items() if name in known})


def space_of(family: Family) -> Space:
    if family.name == "cnn":
        return read_sweep_file(SWEEPS / "sample.yaml").space
    base = {"method": "random", "parameters": {}}
    return sweep_from_mapping(default_sweep(family, base), family).space


def test_it_builds_and_scores_each_class(family: Family) -> None:
    model = family.build(small(family), CLASSES, SIDE)
    scores = model.eval()(torch.rand(2, 3, SIDE, SIDE))
    assert scores.shape == (2, CLASSES)
    assert "parameters" in summary(scorer(model), SIDE)


def test_it_learns_eight_images_by_heart(family: Family) -> None:
    torch.manual_seed(0)
    config = small(family)
    model = family.build(config, CLASSES, SIDE).train()
    images = torch.randn(8, 3, SIDE, SIDE)
    images += (
        torch.arange(8).view(8, 1, 1, 1) % CLASSES * torch.tensor([1.0, -1.0, 2.0]).view(3, 1, 1)
    )
    labels = torch.arange(8) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        scores = model(images)
        if (scores.argmax(1) == labels).all():
            return
        F.cross_entropy(scores, labels).backward()
        optimizer.step()
    raise AssertionError(f"after 150 steps: {scores}")


@dataclass
class KilledError(BaseException):
    """Ends a trial after an epoch."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), train=10, size=SIDE)


def test_it_goes_on_bit_for_bit_where_it_was_killed(
    family: Family, photos: Path, tmp_path: Path
) -> None:
    task = Task(
        read_folder(photos / "train"), SIDE, max_epochs=3, patience=0, seed=1, cpus=1,
        accelerator="cpu", family=family,
    )  # fmt: skip
    run = partial(train, small(family), task)
    whole: list[dict[str, Any]] = []
    run(on_epoch=whole.append, weights=tmp_path / "a.safetensors", last=tmp_path / "a.pt")

    def killed(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KilledError

    files = {"weights": tmp_path / "b.safetensors", "last": tmp_path / "b.pt"}
    with pytest.raises(KilledError):
        run(on_epoch=killed, **files)
    again: list[dict[str, Any]] = []
    run(on_epoch=again.append, **files)
    measured = {"seconds", "images_per_second"}
    assert [{n: v for n, v in row.items() if n not in measured} for row in again] == [
        {n: v for n, v in row.items() if n not in measured} for row in whole
    ]
    assert all(0 <= row["val_acc"] <= 1 for row in whole)
    first, second = (torch.load(tmp_path / f, weights_only=True) for f in ("a.pt", "b.pt"))
    for name, tensor in first["state_dict"].items():
        assert torch.equal(tensor, second["state_dict"][name]), name


def test_it_is_kept_exported_and_read_again_with_the_same_outputs(
    family: Family, tmp_path: Path
) -> None:
    model = family.build(small(family), CLASSES, SIDE).eval()
    save_weights(model, tmp_path / "w.safetensors")
    device = "meta" if family.digest is None else "cpu"
    again = with_weights(
        family.build, small(family), num_classes=CLASSES, image_size=SIDE,
        path=tmp_path / "w.safetensors", device=device,
    )  # fmt: skip
    images = torch.rand(3, 3, SIDE, SIDE)
    assert torch.equal(model(images), again(images))
    export(model, list("abc"), tmp_path / "m.pt2", image_size=SIDE)
    probabilities = torch.export.load(tmp_path / "m.pt2").module()(images)
    assert torch.allclose(probabilities.sum(1), torch.ones(3))


def test_its_cost_is_counted_and_measured(family: Family) -> None:
    sizes: dict[str, Any] = {"num_classes": CLASSES, "image_size": SIDE, "family": family}
    config = small(family)
    assert macs(config, **sizes) > 1000
    few, many = (training_bytes(small(family, batch_size=size), **sizes) for size in (2, 64))
    assert few < many
    assert measure(config, **sizes, device="cpu").seconds > 0


def test_the_bound_of_its_weights_holds_for_what_its_space_holds(family: Family) -> None:
    space = space_of(family)
    fixed = (*family.shapes, "weights") if family.name == "pretrained" else family.shapes
    for name in fixed:
        space.setdefault(name, Choice((getattr(small(family), name),)))
    assert num_configurations(space, SIDE, family) >= 1
    _, most = largest(space, CLASSES, SIDE, family)
    for config in sampled(space, SIDE, family)[:4]:
        weights = family.build(config, CLASSES, SIDE).state_dict().values()
        assert 0 < sum(t.numel() * t.element_size() for t in weights) <= most


def test_a_journal_says_all_that_is_needed_to_read_it(family: Family) -> None:
    written = json.loads(json.dumps(written_down(family)))
    read = family_of(written)
    assert (read.name, read.digest) == (family.name, family.digest)
    known, again = (hyperparameters(f.config) for f in (family, read))
    assert list(known) == list(again)
    assert {n: (h.type, h.default, h.choices) for n, h in known.items()} == {
        n: (h.type, h.default, h.choices) for n, h in again.items()
    }
    assert family_of(written, family) is family


def test_the_ways_of_the_page_are_short() -> None:
    for name in ("mine.py", "lit.py", "towers.py"):
        assert len(code_of_the_page(name).splitlines()) <= 30
    assert "width" in code_of_the_page("mine.yaml")
