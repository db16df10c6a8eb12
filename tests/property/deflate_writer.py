"""A deflate writer without taste: any tokens, in blocks and codes that a random number generator chooses."""

from __future__ import annotations

import random

from nczip.reference.deflate import (
    DISTANCE_EXTRA,
    DISTANCE_FIRST,
    END_OF_BLOCK,
    FIXED_LENGTHS,
    LENGTH_CODE_ORDER,
    LENGTH_EXTRA,
    LENGTH_FIRST,
    BitWriter,
    code_words,
    distance_symbol,
    length_symbol,
)

Token = tuple[int, int]  # a byte and 0, or a length and a distance


def deflated(tokens: list[Token], chance: random.Random) -> bytes:
    """A stream of these tokens."""
    out = BitWriter()
    at = 0
    while True:
        count = chance.choice([len(tokens), 1 + chance.getrandbits(9), chance.getrandbits(2)])
        block = tokens[at : at + count]
        at += count
        out.put(at >= len(tokens), 1)
        if chance.getrandbits(2) == 0 and not any(distance for _, distance in block):
            _put_stored(out, bytes(byte for byte, _ in block), chance)
        else:
            _put_coded(out, block, chance)
        if at >= len(tokens):
            out.put(chance.getrandbits(7) if chance.getrandbits(1) else 0, out.to_byte())
            return out.bytes()


def _put_stored(out: BitWriter, content: bytes, chance: random.Random) -> None:
    out.put(0, 2)
    out.put(chance.getrandbits(7), out.to_byte())
    out.put(len(content), 16)
    out.put(len(content) ^ 0xFFFF, 16)
    for byte in content:
        out.put(byte, 8)


def _put_coded(out: BitWriter, tokens: list[Token], chance: random.Random) -> None:
    if chance.getrandbits(1):
        out.put(1, 2)
        _put_tokens(out, tokens, FIXED_LENGTHS, [5] * 30)
        return
    out.put(2, 2)
    literals = {byte if not distance else 257 + length_symbol(byte) for byte, distance in tokens}
    distances = {distance_symbol(distance) for _, distance in tokens if distance}
    literal_lengths = _lengths(literals | {END_OF_BLOCK}, 257, 286, chance)
    distance_lengths = _lengths(distances, 1, 30, chance)
    out.put(len(literal_lengths) - 257, 5)
    out.put(len(distance_lengths) - 1, 5)
    lengths = literal_lengths + distance_lengths
    runs = _runs(lengths, chance)
    code = _lengths({symbol for symbol, _, _ in runs}, 19, 19, chance, most=7)
    count = max(4, *(i + 1 for i, symbol in enumerate(LENGTH_CODE_ORDER) if code[symbol]))
    out.put(count - 4, 4)
    for symbol in LENGTH_CODE_ORDER[:count]:
        out.put(code[symbol], 3)
    words = code_words(code)
    for symbol, extra, bits in runs:
        out.put(*words[symbol])
        out.put(extra, bits)
    _put_tokens(out, tokens, literal_lengths, distance_lengths)


def _lengths(used: set[int], least: int, size: int, chance: random.Random, most: int = 15) -> list[int]:
    """A code for these symbols and some others, as lopsided as it may be."""
    symbols = used | {chance.randrange(size) for _ in range(chance.getrandbits(3))}
    lengths = [0] * size
    leaves = [0]  # depths
    while len(leaves) < len(symbols):
        leaf = chance.choice([depth for depth in leaves if depth < most - 1] or leaves)
        leaves.remove(leaf)
        leaves += [leaf + 1, leaf + 1]
    if len(leaves) > 1 << 6 and most == 7:
        raise AssertionError("too many symbols for a short code")
    for symbol, depth in zip(sorted(symbols), leaves, strict=False):
        lengths[symbol] = max(depth, 1)
    while len(lengths) > least and not lengths[-1] and chance.getrandbits(3):
        lengths.pop()
    return lengths


def _runs(lengths: list[int], chance: random.Random) -> list[tuple[int, int, int]]:
    """Symbols of the third code with their extra bits."""
    runs = []
    at = 0
    while at < len(lengths):
        same = next((i for i in range(at, len(lengths)) if lengths[i] != lengths[at]), len(lengths)) - at
        choices = [(1, lengths[at], 0, 0)]
        if at and lengths[at - 1] == lengths[at] and same >= 3:
            run = chance.randint(3, min(same, 6))
            choices.append((run, 16, run - 3, 2))
        if not lengths[at] and same >= 3:
            run = chance.randint(3, min(same, 10))
            choices += [(run, 17, run - 3, 3)] * 3
        if not lengths[at] and same >= 11:
            run = min(same, 138)
            choices += [(run, 18, run - 11, 7)] * 9
        run, *symbol = chance.choice(choices)
        runs.append((symbol[0], symbol[1], symbol[2]))
        at += run
    return runs


def _put_tokens(
    out: BitWriter, tokens: list[Token], literal_lengths: list[int], distance_lengths: list[int]
) -> None:
    literals, distances = code_words(literal_lengths), code_words(distance_lengths)
    for length, distance in tokens:
        if not distance:
            out.put(*literals[length])
            continue
        symbol = length_symbol(length)
        out.put(*literals[257 + symbol])
        out.put(length - LENGTH_FIRST[symbol], LENGTH_EXTRA[symbol])
        symbol = distance_symbol(distance)
        out.put(*distances[symbol])
        out.put(distance - DISTANCE_FIRST[symbol], DISTANCE_EXTRA[symbol])
    out.put(*literals[END_OF_BLOCK])
