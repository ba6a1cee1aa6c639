"""Out of memory: a batch is halved, and its gradients added up, before a training is given up."""

import gc
import logging
from collections.abc import Callable

import torch

MOST_PARTS = 16  # of a batch


def in_parts(
    train: Callable[[int], None], batch_size: int, *, may_repeat: Callable[[], bool]
) -> None:
    """Trains with batches in one part, and in twice as many where memory does not suffice.

    Raises what the training raises where it is something else, where it may not be repeated, or
    where a batch cannot be halved any more.
    """
    parts = 1
    while True:
        try:
            return train(parts)
        except Exception as error:
            halves = batch_size % (2 * parts) == 0 and 2 * parts <= MOST_PARTS
            if not is_out_of_memory(error) or not halves or not may_repeat():
                raise
        # Only here is what the training held free again: the error led to it.
        parts *= 2
        text = "out of memory; going on with %d images at a time, whose gradients are added up"
        logging.getLogger(__name__).warning(text, batch_size // parts)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch could not have the memory that it asked for, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error)
