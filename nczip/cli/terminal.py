"""What a person reads while nczip works: messages and a progress line, all on standard error."""

import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nczip.cli import signals, units

_ERROR, _WARNING = 1, 2

_FIRST_DRAWN_AFTER = 0.5  # seconds: what is done sooner needs no bar, and what is known sooner is not much
_REDRAWN_EVERY = 0.1  # seconds
_PACE_AFTER = 0.3  # seconds of steady work
_LONG = 20  # seconds: work that takes longer is announced
_SHORTEST_BAR, _LONGEST_BAR = 8, 30  # columns
_CLEAR_LINE = "\r\x1b[K"


def shown(name: object) -> str:
    """A file name as one line of text that cannot command the terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(name))


def complain(text: str) -> None:
    """One line on standard error."""
    if sys.stderr is not None:
        print(f"nczip: {text}", file=sys.stderr, flush=True)


class Console:
    """Standard error under -q and -v, with at most one progress line at its end.

    ``status`` is the exit status that follows from what was said.
    """

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self.status = 0
        self.verbose = verbose
        self._quiet = quiet
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self.asks = self._terminal and sys.stdin is not None and sys.stdin.isatty()
        self.draws = self._terminal and not quiet and os.environ.get("TERM") != "dumb"
        self._drawn = False

    def error(self, name: object, message: object, status: int = _ERROR) -> None:
        """This file is not done. A ``status`` of its own lasts if nothing else goes wrong."""
        self.status = status if self.status in (0, _WARNING, status) else _ERROR
        self._say(name, message)

    def warning(self, name: object, message: object) -> None:
        """This file is left alone."""
        self.status = self.status or _WARNING
        if not self._quiet:
            self._say(name, message)

    def aside(self, message: object) -> None:
        """What changes no result, and no status."""
        if not self._quiet:
            self.clear()
            complain(str(message))

    def lost(self, name: object, message: object) -> None:
        """A part of this file is gone: a warning that -q does not silence."""
        self.status = self.status or _WARNING
        self._say(name, message)

    def note(self, name: object, message: Callable[[], object]) -> None:
        """What only -v wants to know, and only -v takes the time to find out."""
        if self.verbose:
            self._say(name, message())

    def done(self, name: object, message: object) -> None:
        """What came of a file: for whoever watches, or asked with -v."""
        if self.verbose or self.draws:
            self._say(name, message)

    def ask(self, question: str) -> bool:
        """Whether the person at the terminal agrees; only where ``asks`` says that there is one."""
        print(f"nczip: {question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def progress(
        self, name: object, *, raw_size: int | None = None, packed_size: int | None = None
    ) -> Iterator["Progress"]:
        """A progress line while the body runs; the sizes, where they are known, tell how far the end is."""
        try:
            yield Progress(self, shown(name), raw_size, packed_size)
        finally:
            self.clear()

    def draw(self, line: str) -> None:
        """Shows a new progress line in place of the last."""
        self._drawn = True  # first: Ctrl-C may come in the middle
        sys.stderr.write(f"{_CLEAR_LINE}{line}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Takes the progress line away."""
        if self._drawn:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
            self._drawn = False

    def _say(self, name: object, message: object) -> None:
        self.clear()
        complain(f"{shown(name)}: {message}")


class Progress:
    """How far one file is. ``update`` is what ``nczip.open`` calls."""

    def __init__(self, console: Console, name: str, raw_size: int | None, packed_size: int | None) -> None:
        self.raw_size = raw_size
        self._packed_size = packed_size
        self._console = console
        self._name = name
        self._begun = time.monotonic()
        self._first: tuple[float, int] | None = None  # when the first bytes were done, and how many
        self._next = _FIRST_DRAWN_AFTER
        self._announced = False

    @property
    def wants_size(self) -> bool:
        """Whether anybody is told how far the end is."""
        return self._console.verbose or self._console.draws

    def update(self, raw_done: int, packed_done: int) -> None:
        """Takes the bytes that are done, draws if it is time to, ends the work if it was told to stop."""
        signals.check()
        elapsed = time.monotonic() - self._begun
        if raw_done and self._first is None:
            self._first = elapsed, raw_done
        if elapsed < self._next:
            return
        self._next = elapsed + _REDRAWN_EVERY
        part = self._part(raw_done, packed_done)
        pace = self._pace(raw_done, elapsed)
        left = raw_done * (1 / part - 1) / pace if part and pace else None
        if left is not None and not self._announced:
            self._announced = True
            if elapsed + left > _LONG:
                self._console.done(self._name, f"takes about {units.about(elapsed + left)}")
        if self._console.draws:
            time_left = units.clock(elapsed) if left is None else f"{units.clock(left)} left"
            self._console.draw(self._line(raw_done, packed_done, part, pace, time_left, _columns() - 1))

    def _part(self, raw_done: int, packed_done: int) -> float | None:
        """How much is done, 0 to 1; None where the end is not known."""
        for done, whole in ((raw_done, self.raw_size), (packed_done, self._packed_size)):
            if whole:
                return min(1.0, done / whole)
        return None

    def _pace(self, raw_done: int, elapsed: float) -> float | None:
        """Bytes a second since the first were done: setting up a model before them is no part of it."""
        if self._first is None or elapsed - self._first[0] < _PACE_AFTER or raw_done <= self._first[1]:
            return None
        return (raw_done - self._first[1]) / (elapsed - self._first[0])

    def _line(
        self,
        raw_done: int,
        packed_done: int,
        part: float | None,
        pace: float | None,
        time_left: str,
        columns: int,
    ) -> str:
        whole = f" of {units.size(self.raw_size)}" if self.raw_size else ""
        # In this order; sizes to the right, so that what follows a growing number stays where it is.
        facts = {
            "part": "" if part is None else f"{part:4.0%}",
            "done": f"{units.size(raw_done):>8}{whole}",
            "pace": f"{units.size(pace):>8}/s" if pace else "",
            "ratio": f"ratio {raw_done / packed_done:.2f}" if packed_done else "",
            "time": time_left,
        }
        name = _cut(self._name, columns // 3)
        shortest_bar = 0 if part is None else _SHORTEST_BAR
        for least in ("", "done", "ratio", "pace"):
            facts.pop(least, None)
            text = "  ".join(fact for fact in facts.values() if fact)
            room = columns - _width(name) - len(text) - 4
            if room >= shortest_bar:
                break
        return _fit("  ".join(filter(None, [name, _bar(part, room), text])), columns)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def _unicode() -> bool:
    """Whether standard error can show more than ASCII: a serial console or LANG=C cannot."""
    return (sys.stderr.encoding or "").lower().startswith("utf")


def _bar(part: float | None, room: int) -> str:
    """The bar; empty where there is no end in sight, or no room."""
    if part is None or room < _SHORTEST_BAR:
        return ""
    columns = min(room, _LONGEST_BAR)
    full = round(part * columns)
    done, left = ("━", "─") if _unicode() else ("#", ".")
    return done * full + left * (columns - full)


def _width(text: str) -> int:
    """Columns on a terminal: wide characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text
    )


def _fit(text: str, columns: int) -> str:
    while _width(text) > columns:
        text = text[:-1]
    return text


def _cut(name: str, columns: int) -> str:
    """The end of a long name: there the files of one directory differ."""
    if _width(name) <= columns:
        return name
    while name and _width(name) >= columns:
        name = name[1:]
    return f"{'…' if _unicode() else '~'}{name}"
