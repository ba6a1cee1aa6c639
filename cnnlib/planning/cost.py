"""What configurations cost: arithmetic and memory, counted and measured; how many share a GPU."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlib.networks import recipe
from cnnlib.networks.classifier import Classifier
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Recipe
from cnnlib.networks.family import Family
from cnnlib.networks.layout import in_a_layout
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.searchers import SEARCHERS
from cnnlib.search.space import ends, grid

SAMPLE = 100  # configurations of a space that stand for it
SHORT = 16  # values of a range that are all tried for the heaviest network
MOST_TRIED = 64  # configurations that are
FEW = 2  # images of a network that is not on the meta device
_MACS: dict[
    Any, tuple[float, float]
] = {}  # by what they depend on: a large network takes a second to count
TIMED = 1.0  # seconds that a measurement takes at least
CPU_MACS = 3e10  # of a measured CPU batch at most: some seconds
RAY_SHARES = 10_000  # of a GPU: Ray rounds to these, and six times 0.1667 is too much
USABLE = 0.7  # of a GPU's memory: the rest is for pixels, CUDA itself and fragments
MOST_SHARING = 8  # trials on one GPU
CROWDS = 8, 4, 2  # times the batch size: the first that fits shows what a GPU can do


def macs(config: Any, *, num_classes: int, image_size: int, family: Family = CNN) -> float:
    """Multiplications and additions of one image's forward pass; training takes three times it.

    Without those of a frozen trunk, which are in no epoch but the first: `once_macs` counts them.
    """
    return _counted(config, num_classes, image_size, family)[0]


def once_macs(config: Any, *, num_classes: int, image_size: int, family: Family = CNN) -> float:
    """Those of the part that runs once on each photograph and is kept; 0 where all trains."""
    return _counted(config, num_classes, image_size, family)[1]


def _counted(config: Any, num_classes: int, image_size: int, family: Family) -> tuple[float, float]:
    """What an image costs in every epoch, and once."""
    shape = tuple(getattr(config, name) for name in family.shapes) or config
    known = family.build, shape, num_classes, image_size
    if known not in _MACS:
        model = _unfilled(family, config, num_classes, image_size)
        trunk = family.once(model) if family.once else None
        once = forward_macs(trunk, image_size) if trunk else 0.0
        _MACS[known] = forward_macs(model, image_size) - once, once
    return _MACS[known]


def training_bytes(config: Any, *, num_classes: int, image_size: int, family: Family = CNN) -> int:
    """Memory that training needs, roughly: weights, gradients, two moments, and activations.

    What is frozen has no gradients and no moments. Going back, the gradients of the largest
    activations stand beside what the forward pass kept.
    """
    model = _unfilled(family, config, num_classes, image_size)
    weights = _num_bytes(model.parameters())
    stored = stored_bytes(model, config.batch_size, image_size)
    return weights + 3 * _num_bytes(_trained(model)) + sum(stored) + 2 * max(stored)


def _num_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _trained(model: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters that have gradients and moments in the end; of a user's own network all."""
    return model.trained_parameters if isinstance(model, Classifier) else model.parameters()


def _unfilled(family: Family, config: Any, num_classes: int, image_size: int) -> nn.Module:
    """The network without memory for its weights: on it all can be counted and nothing computed.

    A user's own that needs its numbers is one with memory.
    """
    image = torch.empty(1, 3, image_size, image_size, device="meta")
    try:
        with torch.device("meta"):
            model = family.build(config, num_classes, image_size)
        if family.digest is not None:
            with torch.no_grad():
                model.eval()(image)
        return model
    except Exception:
        if family.digest is None:
            raise
        return family.build(config, num_classes, image_size)


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def forward_macs(module: nn.Module, image_size: int) -> float:
    """Multiplications and additions of the forward pass of a module for one image, best on the meta
    device; convolutions, matrix products and attention count, as torch counts them."""
    image = torch.zeros(1, 3, image_size, image_size, device=_device(module))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(image)
    return counter.get_total_flops() / 2


def stored_bytes(module: nn.Module, batch_size: int, image_size: int) -> list[int]:
    """Bytes of each tensor that a training step of a module keeps for its way back, but for the
    weights themselves. Where it is not on the meta device they are those of a few images, scaled.
    """
    device = _device(module)
    num_images = batch_size if device.type == "meta" else min(batch_size, FEW)
    weights = {p.untyped_storage()._cdata for p in module.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # alive, so that no other has its place
        return tensor

    images = torch.zeros(num_images, 3, image_size, image_size, device=device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module.train()(images)
    found = [t.untyped_storage().nbytes() for place, t in kept.items() if place not in weights]
    return [size * batch_size // num_images for size in found] or [0]


def largest(
    space: Space, num_classes: int, image_size: int, family: Family = CNN
) -> tuple[int, int]:
    """Bytes that a running trial and the best that ended hold at most.

    A running one has its best weights, and the last with two moments of the optimiser for each
    that trains and the moving average if there is one; the last is there twice while it is
    replaced. Raises ValueError where a network has more weights than PyTorch can count.
    """
    averaged = "ema" in space and ends(space["ema"])[1] != 0
    running = best = 0
    for values in _heaviest(space, family):
        config = family.configuration(values)
        if family.impossible(config, image_size):
            continue
        try:
            model = _unfilled(family, config, num_classes, image_size)
        except Exception as error:
            if family.digest is not None:
                continue  # such a trial fails, and says why
            if not isinstance(error, RuntimeError | TypeError):  # sizes beyond 64 bits
                raise
            said = ", ".join(f"{name} {values[name]}" for name in family.shapes if name in space)
            raise ValueError(f"no memory holds a network of {said}; take smaller ones") from error
        whole = _num_bytes(model.state_dict().values())
        last = _num_bytes(_last_state(model).values()) + 2 * _num_bytes(_trained(model))
        best = max(best, whole)
        running = max(running, whole + 2 * (last + averaged * whole))
    return running, best


def _last_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights in a network's last state: without a trunk that is where it came from."""
    checkpoint = {"state_dict": model.state_dict()}
    if isinstance(model, Classifier):
        model.on_save_checkpoint(checkpoint)
    return checkpoint["state_dict"]


def _heaviest(space: Space, family: Family) -> Iterator[dict[str, Any]]:
    """The configurations of which one makes the most weights, but for the recipe's part.

    Of a number whose order is not known, in a range too long to try, the ends stand for all.
    """
    columns = {name: _tried(values) for name, values in space.items() if name in family.shapes}
    for name in family.heavier:
        if name in columns:
            columns[name] = [max(columns[name])]
    fixed = {name: values[0] for name, values in columns.items() if len(values) == 1}
    for values in islice(product(*columns.values()), MOST_TRIED):
        yield fixed | dict(zip(columns, values, strict=True))


def _tried(values: Choice | Interval) -> list[Any]:
    if isinstance(values, Choice):
        return list(values.values)
    listed = grid(values) or []
    return listed if 0 < len(listed) <= SHORT else list(ends(values))


def sampled(space: Space, image_size: int, family: Family = CNN) -> list[Any]:
    """Different configurations that stand for the space, always the same ones."""
    made_by = {"space": space, "image_size": image_size, "num_initial": 0, "seed": 0}
    search = SEARCHERS["random"](**made_by, family=family)
    configs = []
    for number in range(SAMPLE):
        config = search.propose(number, [])
        if config is None:
            break
        search.seen(config)
        configs.append(config)
    return configs


def costs(
    space: Space, *, num_classes: int, image_size: int, family: Family = CNN
) -> dict[Any, float]:
    """The macs of configurations that stand for the space, the cheapest first.

    Without those of a user's own network that cannot be built: such trials fail, and say why.
    """
    found: dict[Any, float] = {}
    for config in sampled(space, image_size, family):
        try:
            found[config] = macs(
                config, num_classes=num_classes, image_size=image_size, family=family
            )
        except Exception:
            if family.digest is None:
                raise
    return dict(sorted(found.items(), key=lambda item: item[1]))


@dataclass(frozen=True)
class Measured:
    """How fast one configuration trained here, on generated images."""

    config: Any
    macs: float  # of an image
    seconds: float  # of an image
    peak_bytes: int  # of the GPU's memory; 0 on a CPU


def measure(
    config: Any,
    *,
    num_classes: int,
    image_size: int,
    device: str,
    times: int = 1,
    family: Family = CNN,
) -> Measured:
    """Trains some batches, `times` as large as the configuration's.

    They are of features where a frozen trunk runs once. Raises torch.OutOfMemoryError where one
    does not fit.
    """
    cost = macs(config, num_classes=num_classes, image_size=image_size, family=family)
    size = times * config.batch_size
    if device == "cpu":
        size = max(2, min(size, int(CPU_MACS / cost)))
    else:
        torch.cuda.reset_peak_memory_stats()

    def timed(layout: torch.memory_format) -> list[float]:
        model = family.build(config, num_classes, image_size)
        model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
        images = torch.randn(size, 3, image_size, image_size, device=device)
        images = images.contiguous(memory_format=layout)
        if trunk := family.once and family.once(model):
            with torch.no_grad(), _autocast(device):
                images = trunk.eval()(images).float()
        return _timed(model, config, images, num_classes)

    seconds = in_a_layout(timed, family)
    peak = 0 if device == "cpu" else torch.cuda.max_memory_reserved()
    return Measured(config, cost, statistics.median(seconds[1:]) / size, peak)


def measure_once(
    config: Any, *, num_classes: int, image_size: int, device: str, family: Family
) -> float:
    """Seconds an image that a frozen trunk takes once, 0 where there is none."""
    model = family.build(config, num_classes, image_size)
    trunk = family.once and family.once(model)
    if not trunk:
        return 0.0
    cost = once_macs(config, num_classes=num_classes, image_size=image_size, family=family)
    size = max(2, min(config.batch_size, int(CPU_MACS / cost)))
    images = torch.randn(size, 3, image_size, image_size, device=device)
    trunk = trunk.to(device).eval()

    def compute() -> None:
        with torch.inference_mode(), _autocast(device):
            trunk(images).sum().item()  # waits for the GPU

    return statistics.median(_seconds(compute)[1:]) / size


def _timed(model: nn.Module, config: Any, images: torch.Tensor, num_classes: int) -> list[float]:
    """The seconds of each of some steps."""
    device = images.device.type
    optimizer: torch.optim.Optimizer
    if isinstance(config, Recipe):
        optimizer = recipe.optimizer(config, model.parameters())
    else:  # its own is not known before it trains
        optimizer = torch.optim.Adam(model.parameters())
    labels = torch.arange(len(images), device=device) % num_classes

    def step() -> None:
        with _autocast(device):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the GPU

    return _seconds(step)


def _seconds(step: Callable[[], None]) -> list[float]:
    """What each of some steps takes."""
    seconds: list[float] = []
    while len(seconds) < 3 or (sum(seconds) < TIMED and len(seconds) < 100):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def _autocast(device: str) -> torch.autocast:
    """The precision that trials compute in."""
    from cnnlib.training.trial import precision

    kind = precision("gpu" if device == "cuda" else "cpu")
    dtype = torch.float16 if kind == "16-mixed" else torch.bfloat16
    return torch.autocast(device, dtype, enabled=kind != "32-true")


def seconds_an_image(cost: float, middle: Measured, largest: Measured) -> float:
    """What an image of a network of this many macs takes: the line through two measurements."""
    if largest.macs <= middle.macs:
        return middle.seconds * cost / middle.macs
    slope = max(0.0, (largest.seconds - middle.seconds) / (largest.macs - middle.macs))
    return max(middle.seconds + slope * (cost - middle.macs), middle.seconds * 0.1)


def shared_gpu(
    space: Space, *, num_classes: int, image_size: int, family: Family = CNN
) -> tuple[float, str]:
    """The share of this machine's first GPU that a trial should have, and why, measured on it."""
    sizes: dict[str, Any] = {"num_classes": num_classes, "image_size": image_size}
    rising = list(costs(space, **sizes, family=family))
    middle = rising[len(rising) // 2]
    largest = max(rising, key=lambda c: training_bytes(c, **sizes, family=family))

    def measured(config: Any, times: int = 1) -> Measured | None:
        """None where the GPU's memory does not suffice."""
        with suppress(torch.OutOfMemoryError):
            return measure(config, **sizes, device="cuda", times=times, family=family)
        return None

    there = torch.cuda.get_device_properties(0).total_memory
    needed, alone = measured(largest), measured(middle)
    if not needed or not alone:
        return 1.0, f"the largest network does not fit into its {there / 1e9:.0f} GB"
    torch.cuda.empty_cache()
    crowd = next(filter(None, (measured(middle, times) for times in CROWDS)), alone)
    at_once = trials_at_once(there, needed.peak_bytes, alone.seconds / crowd.seconds)
    why = (
        f"the largest network takes {needed.peak_bytes / 1e9:.1f} of {there / 1e9:.0f} GB; the "
        f"middle one trains {1 / alone.seconds:,.0f} images/s alone and the GPU can do "
        f"{1 / crowd.seconds:,.0f}"
    )
    return RAY_SHARES // at_once / RAY_SHARES, why


def trials_at_once(gpu_bytes: int, trial_bytes: int, headroom: float) -> int:
    """How many trials one GPU takes: as many as fit, and no more than find work for it.

    `headroom` is how much faster the GPU is when it is full than with one trial.
    """
    fit = int(USABLE * gpu_bytes / trial_bytes)
    return max(1, min(fit, math.ceil(headroom), MOST_SHARING))
