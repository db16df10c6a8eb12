"""Where archives go that nobody reads."""

from __future__ import annotations

import io


class NullSink(io.RawIOBase):
    """Takes everything and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        return len(data)
