"""How sure a share is."""

import math

Z_95 = 1.959964


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927), which stays within 0 and 1 for small n."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
