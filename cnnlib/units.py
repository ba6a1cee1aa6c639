"""How quantities are written for people: times, sizes, counts."""


def clock(seconds: float) -> str:
    """0:07, 12:30 or 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def size(num_bytes: float) -> str:
    """1.4 GB or 0.3 MB."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def counted(number: int, noun: str) -> str:
    """1 trial, 2 trials, 12,000 trials."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
