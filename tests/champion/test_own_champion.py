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

class Net(nn.Module):
    def __init__(self, num_classes, width: int = 4):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(2)
        self.dense = nn.Linear(4 * width, num_classes)
    def forward(self, images):
        return self.dense(self.pool(self.conv(images)).view(images.size(0), -1))
"""


def test_it_predicts_alike_with_its_code_and_without(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(NET)
    family = family_asked(f"{code}:Net")
    folder, config = tmp_path / "champion", family.configuration({"width": 6})
    folder.mkdir()
    save_weights(family.build(config, 3, 16), folder / WEIGHTS, 2)
    write_champion(
        Champion(folder, "0001", config, ("a", "b", "c"), 16, epoch=2, val_acc=0.5, family=family)
    )
    assert "mine.py:Net" in (folder / "MODEL_CARD.md").read_text()
    assert "--network mine.py:Net" in (folder / "MODEL_CARD.md").read_text()
    files = find_photos([write_photos(tmp_path / "photos", train=2, test=1)])
    code.unlink()  # what the family has read stays with it
    known, unknown = read_champion(folder, family), read_champion(folder)
    with pytest.raises(ValueError, match=r"is your own; say --network mine\.py:Net"):
        unknown.model()
    tables = [predict(champion, files)[0] for champion in (known, unknown)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4)
    (folder / "model.pt2").unlink()
    with pytest.raises(ValueError, match=r"is your own; say --network mine\.py:Net"):
        predict(unknown, files)
    assert len(tables[0]) == len(files)
