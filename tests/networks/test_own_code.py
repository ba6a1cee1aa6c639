"""A user's own network: what is found of it, how it travels, and each mistake in one line."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import pytest
import torch
from torch import nn

from cnnlib.networks.families import check_here, family_of, written_down
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.own_code import OwnCode, family_asked, own_code
from cnnlib.networks.values import Choice
from cnnlib.planning.trial_run import try_out
from cnnlib.search.default_sweep import default_sweep
from cnnlib.search.space import check_given
from cnnlib.search.sweep_file import sweep_from_mapping

NET = """
from torch import nn
from blocks import block

def net(num_classes, width: int = 8, rate=0.1, kind: str = "plain", layers=None):
    return nn.Sequential(block(width), nn.Flatten(), nn.Linear(width, num_classes))
"""
BLOCKS = """
from torch import nn
from inner.pools import pool

def block(width):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), pool())
"""
POOLS = """
from torch import nn

def pool():
    return nn.AdaptiveAvgPool2d(1)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "own"
    (place / "inner").mkdir(parents=True)
    (place / "net.py").write_text(NET)
    (place / "blocks.py").write_text(BLOCKS)
    (place / "inner" / "__init__.py").write_text("")
    (place / "inner" / "pools.py").write_text(POOLS)
    (place / "notes.py").write_text("raise SystemExit")
    return place


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "one.py"
    path.write_text(f"import torch\nfrom torch import nn\n{text}")
    return str(path)


def test_a_file_goes_with_what_it_imports_from_its_folder(folder: Path) -> None:
    code = own_code(f"{folder}/net.py:net")
    assert code.name == "net.py:net"
    assert sorted(path for path, _ in code.files) == [
        "blocks.py", "inner/__init__.py", "inner/pools.py", "net.py",
    ]  # fmt: skip
    assert code.digest == own_code(f"{folder}/net.py:net").digest
    (folder / "inner" / "pools.py").write_text(POOLS + "# changed\n")
    assert code.digest != own_code(f"{folder}/net.py:net").digest


def test_it_arrives_where_there_is_no_such_file(folder: Path, tmp_path: Path) -> None:
    family = family_asked(f"{folder}/net.py:net")
    sent = cloudpickle.dumps((family, family.configuration({"width": 4})))
    (tmp_path / "sent").write_bytes(sent)
    for path in folder.rglob("*.py"):
        path.unlink()
    program = (
        "import pickle, sys, torch; family, config = pickle.load(open(sys.argv[1], 'rb'));"
        "print(family.name, config.width, family.build(config, 5, 8)(torch.rand(1, 3, 8, 8)).shape)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "sent")],
        capture_output=True, text=True, check=True,
        env={"CNNLIB_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert answer.stdout == "net.py:net 4 torch.Size([1, 5])\n"


def test_arguments_with_a_plain_type_are_hyperparameters(folder: Path) -> None:
    family = family_asked(f"{folder}/net.py:net")
    known = hyperparameters(family.config)
    assert [known[n].type for n in ("width", "rate", "kind")] == [int, float, str]
    assert list(known)[:4] == ["width", "rate", "kind", "batch_size"]
    assert "layers" not in known and "num_classes" not in known
    assert known["width"].parse("512") == 512
    assert known["kind"].rule == "a text"
    with pytest.raises(ValueError, match="width: wide is not a whole number"):
        known["width"].parse("wide")
    with pytest.raises(ValueError, match="did you mean width"):
        sweep_from_mapping({"parameters": {"widht": {"values": [3, 4]}}}, family)


class Pooled(nn.Module):
    def __init__(self, num_classes: int, pool: Literal["max", "avg"] = "avg", bias: bool = True):
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(1) if pool == "avg" else nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(3, num_classes, bias=bias),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_a_class_at_hand_is_taken_from_its_file() -> None:
    family = family_asked(Pooled)
    assert family.name.endswith(":Pooled")
    assert isinstance(family.code, OwnCode) and family.code.files
    assert family.build(family.config(), 4, 8)(torch.rand(2, 3, 8, 8)).shape == (2, 4)
    swept = default_sweep(family, {"parameters": {"max_epochs": {"value": 3}}})["parameters"]
    assert swept["pool"] == {"values": ["max", "avg"]}
    assert swept["bias"] == {"values": [True, False]}
    assert {"learning_rate", "batch_size", "max_epochs"} <= swept.keys()


def test_a_function_of_a_notebook_travels_by_itself() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def made(num_classes, width: int = 2):\n    return None", space)  # as a notebook does
    code = own_code(space["made"])
    assert code.name == "__main__:made"
    assert pickle.loads(pickle.dumps(code)).family().config(width=3).width == 3


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("nothing.py:Net", "network: no file nothing.py"),
        ("{folder}/net.py", r"does not say what of it; write \S+net.py:NAME"),
        ("{folder}/net.py:nte", "network: net.py has no nte; did you mean net"),
        ("no.such.module:Net", "network: no module no.such.module"),
        ("vit", "network: vit is no network that is known"),
        ("{folder}/net.py:nn", "network: net.py:nn is a module, and neither a Family"),
        ("{folder}/notes.py:n()", "is no name of Python's"),
    ],
)
def test_what_is_not_there_is_told(asked: str, message: str, folder: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        family_asked(asked.format(folder=folder))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(depth): ...", "its argument depth has neither an annotation nor a default"),
        ("def f(depth: list): ...", "argument depth is a list, which no sweep file says"),
        ("def f(epochs: int): ...", "its argument epochs is called as a sweep's own things are"),
        ("def f(:", r"one.py is no Python: line 3"),
        ("from . import x\ndef f(): ...", "it imports as part of a package; name it by that"),
        ("import no_such_package\ndef f(): ...", "cannot be imported: ModuleNotFoundError: No mod"),
    ],
)
def test_what_cannot_be_searched_is_told(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        family_asked(f"{write(tmp_path, text)}:f")


def test_what_has_no_default_must_be_said(tmp_path: Path) -> None:
    family = family_asked(f"{write(tmp_path, 'def f(depth: int): ...')}:f")
    with pytest.raises(ValueError, match="depth: has no default in one"):
        check_given({}, family)
    check_given({"depth": Choice((3,))}, family)


LINEAR = "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, {outputs}))"
LIT = """
from pytorch_lightning import LightningModule
class f(LightningModule):
    def __init__(self, num_classes, lr: float = 0.1):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(192, num_classes))
    def forward(self, images): return self.layers(images)
    def training_step(self, batch, index): return self(batch[0]).square().mean()
    def validation_step(self, batch, index): self.log("{name}", 0.5)
    def configure_optimizers(self): return torch.optim.SGD(self.parameters(), lr=self.lr)
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"def f(num_classes): return {LINEAR.format(outputs=7)}",
            r"one.py:f answers \(2, 7\) to 2 images of 8 px; a score for each of the 4 classes is",
        ),
        ("def f(num_classes): raise KeyError('x')", "one.py:f does not train: KeyError: 'x'"),
        (LIT.format(name="val_f1").replace("self.lr", "0.1"), "logs no val_acc, it logs val_f1"),
        (LIT.format(name="val_acc"), "does not train: AttributeError: 'f' object has no .* 'lr'"),
    ],
)
def test_what_does_not_train_is_told_before_a_trial(
    text: str, message: str, tmp_path: Path
) -> None:
    family = family_asked(f"{write(tmp_path, text)}:f")
    with pytest.raises(ValueError, match=message):
        try_out(family, {}, num_classes=4, image_size=8)


def test_one_configuration_may_fail(tmp_path: Path) -> None:
    broken = "if width == 1: raise ValueError('too narrow')\n"
    text = f"def f(num_classes, width: int):\n    {broken}    return {LINEAR}"
    family = family_asked(f"{write(tmp_path, text.format(outputs='num_classes'))}:f")
    try_out(family, {"width": Choice((1, 2, 3))}, num_classes=4, image_size=8)
    with pytest.raises(ValueError, match="does not train: ValueError: too narrow"):
        try_out(family, {"width": Choice((1,))}, num_classes=4, image_size=8)


def test_nothing_is_imported_because_a_folder_names_it(tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    text = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\ndef f(width: int = 2): ..."
    asked = f"{write(tmp_path, text)}:f"
    written = written_down(family_asked(asked))
    mark.unlink()
    read = family_of(written)
    assert read.config().width == 2
    with pytest.raises(ValueError, match="is your own; say --network FILE:NAME"):
        read.build(read.config(), 3, 8)
    with pytest.raises(
        ValueError, match=r"the network in here is your own; say --network one.py:f"
    ):
        check_here(read, None, Path("here"))
    assert not mark.exists()
    write(tmp_path, text + "  # changed")
    changed = family_asked(asked)
    with pytest.raises(ValueError, match="was changed since the network in here was trained"):
        check_here(family_of(written, changed), changed, Path("here"))
