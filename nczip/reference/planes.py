"""Method 4, slowly: numbers as planes of their bytes (native/planes.hpp, formats/planes.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

CHUNK = 1 << 16  # elements
CODE_BITS = 11
STREAMS = 4
WORTH_CODING = 64  # a code has to save one byte in so many

AS_IS, FLOAT, ZIGZAG = range(3)
KINDS = tuple((width, AS_IS) for width in (1, 2, 4, 8)) + tuple(
    (width, turn) for turn in (FLOAT, ZIGZAG) for width in (2, 4, 8)
)  # bytes of an element, and how it is turned
STORED, RUN, CODED, CODED_AGAIN = range(4)


class DamagedError(ValueError):
    """The packed bytes are not planes that fit the block."""


def turned(x: int, width: int, turn: int) -> int:
    """An element, as an unsigned integer, with what varies least on top."""
    bits = 8 * width
    if turn == ZIGZAG:
        return (x << 1) % (1 << bits) ^ (-(x >> (bits - 1)) % (1 << bits))
    if turn == FLOAT:
        field, left = _field(width)
        rest = x % (1 << (bits - field))
        top = x >> (bits - field)
        return _rotated(top, field, left) << (bits - field) | rest
    return x


def turned_back(y: int, width: int, turn: int) -> int:
    """The element that ``turned`` made ``y`` of."""
    bits = 8 * width
    if turn == ZIGZAG:
        return y >> 1 ^ (-(y & 1) % (1 << bits))
    if turn == FLOAT:
        field, left = _field(width)
        rest = y % (1 << (bits - field))
        top = y >> (bits - field)
        return _rotated(top, field, field - left) << (bits - field) | rest
    return y


def _field(width: int) -> tuple[int, int]:
    """Bits at the top that are rotated, and by how many to the left."""
    return (12, 4) if width == 8 else (9, 1)


def _rotated(value: int, bits: int, left: int) -> int:
    return (value << left | value >> (bits - left)) % (1 << bits)


def code_lengths(counts: Mapping[int, int]) -> dict[int, int]:
    """The lengths of a Huffman code for two values or more, none above CODE_BITS."""
    leaves = sorted(counts, key=lambda value: (counts[value], value))
    weights = [counts[value] for value in leaves]  # of leaves, then of inner nodes as they are made
    parents: dict[int, int] = {}
    leaf, inner = 0, len(leaves)
    while len(weights) < 2 * len(leaves) - 1:
        weight = 0
        for _ in range(2):  # the two lightest; where equal, a leaf before an inner node
            if leaf == len(leaves) or (inner < len(weights) and weights[inner] < weights[leaf]):
                node, inner = inner, inner + 1
            else:
                node, leaf = leaf, leaf + 1
            parents[node] = len(weights)
            weight += weights[node]
        weights.append(weight)
    root = len(weights) - 1
    depths = {root: 0}
    for node in range(root - 1, -1, -1):
        depths[node] = depths[parents[node]] + 1
    many = Counter(min(depths[i], CODE_BITS) for i in range(len(leaves)))
    share = sum(number << (CODE_BITS - length) for length, number in many.items())
    while share > 1 << CODE_BITS:
        length = max(length for length, number in many.items() if number and length < CODE_BITS)
        many[length] -= 1
        many[length + 1] += 2
        many[CODE_BITS] -= 1
        share -= 1
    longest_first = sorted(many.elements(), reverse=True)
    return dict(zip(leaves, longest_first, strict=True))


def codes(lengths: Mapping[int, int]) -> dict[int, str]:
    """The canonical code, its bits as they are written."""
    found = {}
    code = last = 0
    for length, value in sorted((length, value) for value, length in lengths.items()):
        code <<= length - last
        found[value] = f"{code:0{length}b}"
        code, last = code + 1, length
    return found


def evenly_spread(plane: bytes) -> bool:
    """Whether a sixteenth of the bytes shows that no code can save enough."""
    if len(plane) < 1 << 16:
        return False
    sample = b"".join(plane[i : i + 64] for i in range(0, len(plane) - 63, 1024))
    collisions = sum(n * (n - 1) for n in Counter(sample).values())
    return 256 * collisions * 16 < len(sample) * (len(sample) - 1) * 17


def _parts(size: int) -> list[slice]:
    part = -(-size // STREAMS)
    return [slice(min(size, i * part), min(size, (i + 1) * part)) for i in range(STREAMS)]


def _pack_plane(plane: bytes, last: dict[int, int]) -> tuple[bytes, dict[int, int]]:
    """The packed plane, and the lengths of the last code that this place of planes has had."""
    if evenly_spread(plane):
        return bytes([STORED]) + plane, last
    counts = Counter(plane)
    if len(counts) == 1:
        return bytes([RUN, plane[0]]), last
    lengths = code_lengths(counts)
    groups = sorted({value // 8 for value in lengths})
    described = sum(1 << group for group in groups).to_bytes(4, "little")
    for group in groups:
        for value in range(8 * group, 8 * group + 8, 2):
            described += bytes([lengths.get(value, 0) | lengths.get(value + 1, 0) << 4])
    fresh = 8 * len(described) + sum(n * lengths[value] for value, n in counts.items())
    again = None
    if counts.keys() <= last.keys():
        again = sum(n * last[value] for value, n in counts.items())
    anew = again is None or fresh < again
    bits = (fresh if anew or again is None else again) + 8 * (1 + 2 * STREAMS)
    if bits // 8 + len(plane) // WORTH_CODING >= len(plane):
        return bytes([STORED]) + plane, last
    used = lengths if anew else last
    written = codes(used)
    streams = []
    for part in _parts(len(plane)):
        text = "".join(written[value] for value in plane[part])
        text += "0" * (-len(text) % 8)
        streams.append(bytes(int(text[i : i + 8][::-1], 2) for i in range(0, len(text), 8)))
    packed = bytes([CODED]) + described if anew else bytes([CODED_AGAIN])
    return packed + b"".join(len(s).to_bytes(2, "little") for s in streams) + b"".join(streams), used


def pack(raw: bytes, kind: int, lead: int) -> bytes:
    """A block's packed bytes; ``lead`` bytes come before the first element."""
    width, turn = KINDS[kind]
    elements = (len(raw) - lead) // width
    packed = bytes([kind, lead]) + raw[:lead]
    last: list[dict[int, int]] = [{} for _ in range(width)]
    for first in range(0, elements, CHUNK):
        part = [
            turned(int.from_bytes(raw[lead + i * width : lead + (i + 1) * width], "little"), width, turn)
            for i in range(first, min(elements, first + CHUNK))
        ]
        for place in reversed(range(width)):
            plane, last[place] = _pack_plane(bytes(x >> (8 * place) & 0xFF for x in part), last[place])
            packed += plane
    return packed + raw[lead + elements * width :]


class _Source:
    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 0

    def take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._packed):
            raise DamagedError
        return self._packed[self._at - size : self._at]

    def at_end(self) -> bool:
        return self._at == len(self._packed)


def _unpack_stream(stream: bytes, size: int, values: Mapping[str, int]) -> bytes:
    bits = "".join(f"{byte:08b}"[::-1] for byte in stream)
    plane = []
    at = 0
    for _ in range(size):
        end = at + 1
        while bits[at:end] not in values:
            end += 1
            if end > len(bits):
                raise DamagedError
        plane.append(values[bits[at:end]])
        at = end
    if len(bits) - at >= 8 or "1" in bits[at:]:
        raise DamagedError
    return bytes(plane)


def _unpack_plane(source: _Source, size: int, last: dict[int, int]) -> tuple[bytes, dict[int, int]]:
    (mode,) = source.take(1)
    if mode == STORED:
        return source.take(size), last
    if mode == RUN:
        return source.take(1) * size, last
    if mode == CODED:
        groups = int.from_bytes(source.take(4), "little")
        last = {}
        for group in (group for group in range(32) if groups >> group & 1):
            for i, two in enumerate(source.take(4)):
                last |= {8 * group + 2 * i: two & 15, 8 * group + 2 * i + 1: two >> 4}
        last = {value: length for value, length in last.items() if length}
        if max(last.values(), default=0) > CODE_BITS:
            raise DamagedError
    if mode > CODED_AGAIN or sum(1 << (CODE_BITS - length) for length in last.values()) != 1 << CODE_BITS:
        raise DamagedError
    values = {code: value for value, code in codes(last).items()}
    sizes: Sequence[int] = [int.from_bytes(source.take(2), "little") for _ in range(STREAMS)]
    parts = _parts(size)
    return b"".join(
        _unpack_stream(source.take(n), part.stop - part.start, values)
        for n, part in zip(sizes, parts, strict=True)
    ), last


def unpack(packed: bytes, raw_size: int) -> bytes:
    """The block of ``raw_size`` bytes; raises DamagedError."""
    source = _Source(packed)
    kind, lead = source.take(2)
    if kind >= len(KINDS) or lead >= KINDS[kind][0] or lead > raw_size:
        raise DamagedError
    width, turn = KINDS[kind]
    elements = (raw_size - lead) // width
    raw = source.take(lead)
    last: list[dict[int, int]] = [{} for _ in range(width)]
    for first in range(0, elements, CHUNK):
        planes = [b""] * width
        for place in reversed(range(width)):
            planes[place], last[place] = _unpack_plane(source, min(CHUNK, elements - first), last[place])
        for places in zip(*planes, strict=True):
            element = turned_back(int.from_bytes(bytes(places), "little"), width, turn)
            raw += element.to_bytes(width, "little")
    raw += source.take(raw_size - len(raw))
    if not source.at_end():
        raise DamagedError
    return raw
