"""What is chosen about a pretrained network and how it is fine-tuned, and what cannot exist."""

from dataclasses import dataclass

from cnnlib.networks.configuration import Recipe
from cnnlib.networks.hyperparameter import choice, number, text
from cnnlib.networks.pretrained.backbones import BACKBONES, backbone

FREEZE_ALL, FREEZE_PARTIAL = "freeze_all", "freeze_partial"
UNFREEZE_ALL, UNFREEZE_GRADUALLY = "unfreeze_all", "unfreeze_gradually"


@dataclass(frozen=True)
class PretrainedConfig(Recipe):
    """What is chosen about a pretrained network and how it is fine-tuned."""

    model_name: str = text(
        "efficientnet_lite0",
        aliases=(
            "model",
            "backbone",
            "architecture",
            "arch",
            "pretrained model",
            "pretrain model",
            "network",
            "model version",
            "pretrained network",
        ),
        words={row: row for row in BACKBONES},
        help="the pretrained network: one of the rows, or timm:NAME",
    )
    finetune_strategy: str = choice(
        FREEZE_ALL, FREEZE_PARTIAL, UNFREEZE_ALL, UNFREEZE_GRADUALLY,
        aliases=("strategy", "freeze strategy", "finetuning strategy", "fine tune strategy",
                 "freezing strategy", "freeze mode", "freeze backbone", "freeze base", "freeze",
                 "unfreeze strategy", "tuning strategy", "transfer strategy"),
        words={"feature_extraction": FREEZE_ALL, "feature_extractor": FREEZE_ALL,
               "freeze_all_except_last": FREEZE_ALL, "head_only": FREEZE_ALL, "true": FREEZE_ALL,
               "freeze_backbone": FREEZE_ALL, "freeze_all_but_last": FREEZE_ALL,
               "partial": FREEZE_PARTIAL, "partial_freeze": FREEZE_PARTIAL,
               "false": UNFREEZE_ALL, "no_freezing": UNFREEZE_ALL, "no_freeze": UNFREEZE_ALL,
               "full": UNFREEZE_ALL, "full_finetune": UNFREEZE_ALL, "finetune_all": UNFREEZE_ALL,
               "full_finetuning": UNFREEZE_ALL, "gradual": UNFREEZE_GRADUALLY,
               "gradual_unfreeze": UNFREEZE_GRADUALLY, "progressive": UNFREEZE_GRADUALLY},
        help="what trains: the head; it and the last k_layers; all; ever more, all by half way",
    )  # fmt: skip
    k_layers: int = number(
        1, 1, 100, aliases=("k", "unfreeze layers", "unfrozen layers", "trainable layers"),
        help="layers that train beside the head in freeze_partial",
    )  # fmt: skip
    dropout: float = number(
        0.2, 0.0, 0.95, switched=True, help="share of features dropped in training",
        aliases=("head dropout", "classifier dropout", "dense dropout"),
        words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    layer_decay: float = number(
        1.0,
        0.1,
        1.0,
        optional=True,
        aliases=("llrd", "layer wise decay"),
        help="a layer's step size over that of the layer after it",
    )
    head_learning_rate: float = number(
        1.0, 0.1, 1000.0, scale="log", optional=True,
        aliases=("head learning rate multiplier", "head factor"),
        help="the head's step size over learning_rate",
    )  # fmt: skip
    input_size: str = choice(
        "image", "own", optional=True,
        help="what a network is shown: photographs as image_size says, or resized to its own size",
    )  # fmt: skip
    weights: str = text(
        "pretrained", optional=True,
        help="pretrained, none for random ones, or a file or folder of weights",
    )  # fmt: skip


def side_of(config: PretrainedConfig, image_size: int) -> int:
    """The side of the images that the trunk is given, in pixels."""
    return backbone(config.model_name).size if config.input_size == "own" else image_size


def impossible(config: PretrainedConfig, image_size: int) -> str | None:
    """Why no network of this configuration can exist for images of this size, or None."""
    try:
        row = backbone(config.model_name)
    except ValueError as error:
        return str(error)
    side = side_of(config, image_size)
    if side < row.smallest:
        return (
            f"model_name: {row.name} needs images of {row.smallest} px or more, not {side}; take a "
            "larger image size, or input_size own"
        )
    if side % row.multiple:
        return (
            f"model_name: {row.name} needs images whose side is a multiple of {row.multiple} px, "
            f"not {side}; take such an image size, or input_size own"
        )
    return None
