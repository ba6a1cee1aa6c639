"""What more trials would gain: how far the best of them is expected to lie above the best."""

import math
from collections.abc import Sequence

MORE = 20  # trials of which the gain is told
LEAST = 10  # scores from which one is expected


def expected_gain(
    scores: Sequence[float], more: int = MORE, highest: float = math.inf
) -> float | None:
    """How much higher the best of `more` further scores is expected to be than these; None of few.

    No score is above `highest`.
    As if all were drawn alike, and the highest fell off exponentially: then the best of n rises by
    the mean excess times ln((n + more) / n). That excess is the one of the best sqrt(n) above the
    next. It promises too much rather than too little where scores have an upper bound.
    """
    n = len(scores)
    if n < LEAST:
        return None
    ordered = sorted(scores, reverse=True)
    top = math.ceil(math.sqrt(n))
    excess = sum(ordered[:top]) / top - ordered[top]
    return min(excess * math.log((n + more) / n), max(highest - ordered[0], 0.0))


def chance(accuracy: float, num_photos: int) -> float:
    """The standard error of an accuracy that so many photographs tell: the least noise there is."""
    share = min(max(accuracy, 0.0), 1.0)
    return math.sqrt(share * (1 - share) / num_photos)
