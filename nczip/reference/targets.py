"""x86 code with absolute targets.

Code names what it calls or looks at by the distance from the next instruction, which differs at every place.
Made absolute, one target has one name, which models can learn (E8/E9 transform, as in LZX and xz; here for
calls, and for operands of x86-64 that are relative to the instruction pointer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

REACH = 7  # bytes of the longest instruction that is looked for, up to its operand's end
CALL = 0xE8
RELATIVE = (0x39, 0x3B, 0x63, 0x89, 0x8B, 0x8D)  # cmp, movsxd, mov, lea, after REX.W
SEEN_BITS = 12


def operands(code: bytes) -> Iterator[int]:
    """Where the operands of four bytes begin; the same before and after they are changed."""
    i = 0
    while i + REACH <= len(code):
        if code[i] == CALL:
            at = i + 1
        elif code[i] & 0xF8 == 0x48 and code[i + 1] in RELATIVE and code[i + 2] & 0xC7 == 0x05:
            at = i + 3
        else:
            i += 1
            continue
        yield at
        i = at + 4


def absolute(distance: int, following: int, size: int) -> int:
    """The target of an operand before position ``following``, in a block of ``size`` bytes.

    Distances that lead into the block, or a little behind it, become absolute. The numbers that this leaves
    free are given to those that lead just as far from there.
    """
    span = size + size // 8
    if not -following <= distance < span:
        return distance
    return distance + following if distance < span - following else distance - span


def relative(target: int, following: int, size: int) -> int:
    """The reverse of ``absolute``."""
    span = size + size // 8
    if not -following <= target < span:
        return target
    return target - following if target >= 0 else target + span


def make_absolute(content: bytes) -> bytes:
    return changed(content, absolute)


def restore(coded: bytes) -> bytes:
    """The reverse of ``make_absolute``."""
    return changed(coded, relative)


def changed(code: bytes, change: Callable[[int, int, int], int]) -> bytes:
    result = bytearray(code)
    for at in operands(code):
        operand = int.from_bytes(code[at : at + 4], "little", signed=True)
        result[at : at + 4] = change(operand, at + 4, len(code)).to_bytes(4, "little", signed=True)
    return bytes(result)


def pay(content: bytes) -> bool:
    """Whether targets come again where distances don't. Only encoders ask."""
    targets, distances = Seen(), Seen()
    count = 0
    for at in operands(content):
        distance = int.from_bytes(content[at : at + 4], "little", signed=True)
        target = absolute(distance, at + 4, len(content))
        if target != distance:
            count += 1
            targets.add(target)
            distances.add(distance)
    return targets.again > 16 + 2 * distances.again and targets.again * 4 > count


class Seen:
    """How many values came that came before, as far as a small table remembers."""

    def __init__(self) -> None:
        self.values = [0] * (1 << SEEN_BITS)
        self.again = 0

    def add(self, value: int) -> None:
        place = (value * 0x9E3779B1 & 0xFFFFFFFF) >> 32 - SEEN_BITS
        self.again += self.values[place] == value
        self.values[place] = value
