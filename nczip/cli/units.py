"""Sizes and times as people write and read them."""

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Bytes in ``96M``, ``1.5GiB`` or ``4096``; K, M, G and T are powers of 1024. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 96M or 1G")
    size = int(float(match[1]) * 1024 ** _POWERS[match[2].upper()])
    if size < 1:
        raise ValueError(f"a size must be at least one byte, not {text!r}")
    return size


def size(count: float) -> str:
    """``512 B``, ``42.2 KiB``, ``1.50 GiB``: three digits that mean something."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        count /= 1024
        # 1023.95 would round up to a fourth digit, so it goes on to the next unit.
        if count < 999.5 or unit == "TiB":
            break
    digits = 2 if count < 9.995 else 1 if count < 99.95 else 0
    return f"{count:.{digits}f} {unit}"


def clock(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, secs = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def about(seconds: float) -> str:
    """A time no more exact than an estimate is: ``20 s``, ``4 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
