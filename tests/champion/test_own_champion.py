"""A champion of a user's own network: read by its flag alone, predicting by model.pt2 without."""

from pathlib import Path

import pandas as pd
import pytest

from cnnlib.champion.champion import Champion, read_champion, write_champion
from cnnlib.champion.prediction import find_photos, predict
from cnnlib.networks.own_code import family_asked
from cnnlib.networks.saved_files import WEIGHTS
from cnnlib.training.trial import save_weights
from tests.conftest import write_photos

NET = """
from torch import nn

def net(num_classes, width: int = 4):
    layers = nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(width, num_classes))
"""


def test_it_predicts_alike_with_its_code_and_without(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(NET)
    family = family_asked(f"{code}:net")
    folder, config = tmp_path / "champion", family.configuration({"width": 6})
    folder.mkdir()
    save_weights(family.build(config, 3, 16), folder / WEIGHTS, 2)
    write_champion(
        Champion(folder, "0001", config, ("a", "b", "c"), 16, epoch=2, val_acc=0.5, family=family)
    )
    assert "mine.py:net" in (folder / "MODEL_CARD.md").read_text()
    assert "--network mine.py:net" in (folder / "MODEL_CARD.md").read_text()
    files = find_photos([write_photos(tmp_path / "photos", train=2, test=1)])
    code.unlink()  # what the family has read stays with it
    known, unknown = read_champion(folder, family), read_champion(folder)
    with pytest.raises(ValueError, match=r"is your own; say --network mine\.py:net"):
        unknown.model()
    tables = [predict(champion, files)[0] for champion in (known, unknown)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4)
    (folder / "model.pt2").unlink()
    with pytest.raises(ValueError, match=r"is your own; say --network mine\.py:net"):
        predict(unknown, files)
    assert len(tables[0]) == len(files)
