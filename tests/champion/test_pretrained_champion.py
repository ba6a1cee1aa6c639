"""A champion of the family `pretrained`: its folder, and what its card says of the weights."""

from pathlib import Path

import pytest
import torch

from cnnlib import LitClassifier
from cnnlib.champion.champion import WEIGHTS, Champion, read_champion, write_champion
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.saved_files import read_config
from cnnlib.training.trial import save_weights


@pytest.mark.parametrize("weights", ["none", "/nowhere/any.pth"])
def test_a_champion_is_read_back_and_its_card_names_the_weights(
    weights: str, tmp_path: Path
) -> None:
    random = PretrainedConfig(model_name="googlenet", weights="none")
    model = LitClassifier(random, num_classes=3, image_size=32).eval()
    folder = tmp_path / "champion"
    save_weights(model, folder / WEIGHTS, 2)
    config = PretrainedConfig(model_name="googlenet", weights=weights)
    champion = Champion(folder, "7", config, ("a", "b", "c"), 32, 2, 0.5, family=PRETRAINED)
    write_champion(champion, exported=False)
    images = torch.randn(2, 3, 32, 32)
    found = LitClassifier.from_champion(folder)
    assert torch.equal(found(images), model(images))
    assert torch.equal(read_champion(folder).model()(images), model(images))
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert 'LitClassifier.from_champion("champion")' in card
    said = "## Pretrained weights" in card
    assert said == (weights != "none")
    if said:
        assert "Licence of the weights: BSD-3-Clause" in card and "ImageNet-1k" in card
        assert "Test photographs may have been among those" in card
    about = read_config(folder, "pretrained")["pretrained"]
    assert about["backbone"] == "googlenet"
