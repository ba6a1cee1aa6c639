"""The family `pretrained`: networks with weights from elsewhere, fine-tuned on the photographs."""

from typing import Any

from cnnlib.networks.family import Family
from cnnlib.networks.pretrained.backbones import BACKBONES, TIMM, backbone, timm_library
from cnnlib.networks.pretrained.config import (
    FREEZE_PARTIAL,
    UNFREEZE_ALL,
    UNFREEZE_GRADUALLY,
    PretrainedConfig,
    impossible,
)
from cnnlib.networks.said import Said
from cnnlib.networks.values import Choice


def build(config: PretrainedConfig, num_classes: int, image_size: int) -> Any:
    """The network with its pretrained weights; on the meta device without."""
    from cnnlib.networks.pretrained.fine_tuned import LitClassifier

    network = LitClassifier(config, num_classes=num_classes, image_size=image_size)
    network.keeps_trunk = network.frozen_trunk is None  # it is where the network comes from
    return network


def prepare(config: PretrainedConfig) -> None:
    """Fetches the weights; OSError or ValueError in one line where they cannot be had."""
    from cnnlib.networks.pretrained.weights import weights_file

    row = backbone(config.model_name)
    if row.timm:
        timm_library(row.name)
    weights_file(row, config.weights, fetch=True)


def batches(network: Any, photographs: Any, autocast: Any) -> Any:
    """Features in place of photographs, where the trunk is frozen: they are computed once."""
    from cnnlib.networks.pretrained.feature_batches import FeatureDataModule

    if network.frozen_trunk is None:
        return photographs
    return FeatureDataModule(photographs, network, autocast)


def origin(config: PretrainedConfig) -> dict[str, str]:
    """Where a network's weights began: file, sum, licence, and what they were trained on."""
    from cnnlib.networks.pretrained.weights import digest_of, weights_file

    row = backbone(config.model_name)
    said = {"backbone": row.name, "licence": row.licence, "trained_on": row.trained_on}
    try:
        path = weights_file(row, config.weights)
    except (OSError, ValueError):  # they were there when the training began, and are not needed now
        return {**said, "weights": row.weights}
    if path is None:
        return {"backbone": row.name, "weights": "random"}
    return {**said, "weights": path.name, "sha256": digest_of(path)}


def reconcile(said: Said) -> None:
    """So many layers that train are a partial freezing, where no strategy is named."""
    if "k_layers" in said.space and "finetune_strategy" not in said.space:
        said.space["finetune_strategy"] = Choice((FREEZE_PARTIAL,))
        said.notes.append(
            f"{said.names['k_layers']}: finetune_strategy is {FREEZE_PARTIAL}, as none is named"
        )


PRETRAINED = Family(
    name="pretrained",
    config=PretrainedConfig,
    build=build,
    impossible=impossible,
    shapes=("model_name", "input_size", "finetune_strategy", "k_layers"),
    image_size=224,
    face="LitClassifier",
    prepare=prepare,
    batches=batches,
    once=lambda network: network.frozen_trunk,
    conditions={
        "k_layers": ("finetune_strategy", (FREEZE_PARTIAL,)),
        "layer_decay": ("finetune_strategy", (FREEZE_PARTIAL, UNFREEZE_ALL, UNFREEZE_GRADUALLY)),
    },
    origin=origin,
    reconcile=reconcile,
    signs={
        "model_name": lambda name: name in BACKBONES or str(name).startswith(TIMM),
        "finetune_strategy": lambda _: True,
        "k_layers": lambda _: True,
    },
    short_names={
        "model_name": "net",
        "finetune_strategy": "ft",
        "k_layers": "k",
        "layer_decay": "decay",
        "head_learning_rate": "head_lr",
        "warm_up": "warm",
        "input_size": "input",
    },
)
