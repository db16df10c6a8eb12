"""The hash table of nibble contexts: a slot holds the 15 bit histories of one context's next four bits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from nczip.reference.bit_history import Histories, numbered
from nczip.reference.hashing import GOLDEN

LINE = 64  # bytes: four check bytes and four slots of 15 histories
SLOTS = 4
HISTORIES = numbered()


@dataclass
class Slot:
    """``histories[(1 << k) - 1 + v]``: where the nibble begins with k bits of value v."""

    check: int = 0  # 0: unused
    histories: Histories = field(default_factory=Histories)

    @property
    def known(self) -> int:
        """How much would be lost with this slot."""
        return self.histories[0].total + (self.check != 0)


class HashSlots:
    """A table of ``size`` bytes, a power of two. Lines appear when they are first touched.

    ``known``: the lines that every block starts from, of LINE bytes.
    """

    def __init__(self, size: int, known: bytes) -> None:
        self.line_count = size // LINE
        self.known = known
        self.lines: defaultdict[int, list[Slot]] = defaultdict(lambda: [Slot() for _ in range(SLOTS)])

    def find(self, context: int, inherits: bool) -> Histories:
        """The histories of the context with this hash; a new context takes the slot that knows least.

        With ``inherits`` it starts from what is known of it beforehand, else from nothing.

        A slot that changes hands stays the same object: whoever holds its histories goes on with those of its
        new owner, as two contexts of one line may in the same nibble.
        """
        line = self.lines[context % self.line_count]
        check = (context * GOLDEN & 0xFFFFFFFF) >> 24 | 1
        for slot in line:
            if slot.check == check:
                return slot.histories
        slot = min(line, key=lambda slot: slot.known)  # the first of equals
        slot.check = check
        slot.histories.clear()
        if inherits:
            slot.histories.update(self.beforehand(context, check))
        return slot.histories

    def beforehand(self, context: int, check: int) -> Histories:
        """The histories of a context in the knowledge, none where it is not there."""
        start = context % (len(self.known) // LINE) * LINE
        line = self.known[start : start + LINE]
        place = line[:SLOTS].find(check)
        if place < 0:
            return Histories()
        numbers = line[SLOTS + 15 * place :][:15]
        return Histories(enumerate(HISTORIES[number] for number in numbers))
