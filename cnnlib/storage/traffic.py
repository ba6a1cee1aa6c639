"""How many bytes this process has brought from elsewhere and sent there."""

import threading
from collections import Counter

MOVED = "bytes_moved"  # by this name workers report them
WAYS = ("fetched", "sent")

_bytes: Counter[str] = Counter()
_lock = threading.Lock()  # files are brought by several threads


def count(way: str, num_bytes: int) -> None:
    """Bytes that went one of WAYS."""
    with _lock:
        _bytes[way] += num_bytes


def since() -> dict[str, int]:
    """The bytes since the last call, by way; empty where there were none."""
    with _lock:
        moved = {way: num_bytes for way, num_bytes in _bytes.items() if num_bytes}
        _bytes.clear()
    return moved
