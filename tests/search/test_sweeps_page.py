"""docs/SWEEPS.md: its sweep file is read, and each name of its table is known as what it says."""

import re
from pathlib import Path

import pytest
import yaml

from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.search.names import SETTINGS, Names
from cnnlib.search.sweep_file import sweep_from_mapping

PAGE = (Path(__file__).parents[2] / "docs" / "SWEEPS.md").read_text("utf-8")
# Of the table of hyperparameters, which has three columns.
ROWS = [line.split("|")[1:3] for line in PAGE.splitlines() if re.fullmatch(r"\| `(.*\|){3}", line)]
KNOWN = hyperparameters(TrialConfig)


def test_the_pages_sweep_file_is_read_whole() -> None:
    [content] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    sweep = sweep_from_mapping(yaml.safe_load(content))
    assert sweep.settings == {"max_epochs": 10}
    assert set(sweep.space) == {
        "filters", "kernel_sizes", "activation", "num_neurons_dense", "batch_norm",
        "use_augmentation", "dropout", "optimizer", "learning_rate", "conv_layers",
    }  # fmt: skip
    assert any(note.startswith("data_dir: /photos: left out") for note in sweep.notes)


@pytest.mark.parametrize(("ours", "others"), ROWS)
def test_the_names_of_the_table_are_known(ours: str, others: str) -> None:
    names = Names(KNOWN)
    mine = set(re.findall(r"`(\w+)`", ours))
    assert mine <= KNOWN.keys() | SETTINGS.keys()
    for said in re.findall(r"`(\w+)`", others):
        layer = names.of_a_layer(said)
        owners = names.owners(said) or [layer[0] if layer else ""]
        assert mine & set(owners), said


def test_the_table_has_every_hyperparameter() -> None:
    assert set(re.findall(r"`(\w+)`", " ".join(ours for ours, _ in ROWS))) >= KNOWN.keys()
