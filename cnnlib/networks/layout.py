"""How images lie in memory: channels last, except for a network that takes views of them."""

from collections.abc import Callable
from typing import TypeVar

import torch

from cnnlib.networks.family import Family

T = TypeVar("T")


def safe_layout(family: Family) -> torch.memory_format:
    """The one that every network of this kind takes."""
    return torch.channels_last if family.digest is None else torch.contiguous_format


def in_a_layout(run: Callable[[torch.memory_format], T], family: Family) -> T:
    """Runs it channels last, which convolutions are fastest in, or else as people write networks.

    A user's own may say `x.view(len(x), -1)`, which no tensor allows whose channels lie last; it
    fails at the first batch, before anything is reported.
    """
    try:
        return run(torch.channels_last)
    except RuntimeError as error:
        if family.digest is None or "view size is not compatible" not in str(error):
            raise
    return run(torch.contiguous_format)
