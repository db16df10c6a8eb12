"""One block: raw bytes to packed bytes and back through a method, checked by a hash of the content.

Work goes in steps, and between steps the caller's ``step`` hears how far it is and may raise to stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nczip import coders, sampling
from nczip.container import (
    BASED,
    INFLATED,
    LANGUAGE,
    LINES,
    MIXTURE,
    PLANES,
    RAW,
    TENSOR,
    ZSTD,
    BlockHead,
    Method,
    inner_of,
    innermost,
    spoken,
    wrapped,
)
from nczip.device import CPU, Choice
from nczip.errors import CorruptError
from nczip.levels import ZSTD_LEVELS

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from nczip.base import Base
    from nczip.layout import Hint, Place
    from nczip.lines import Unwrapped
    from nczip.tensors import Elements, Reference

P = ParamSpec("P")
T = TypeVar("T")
Content = bytes | memoryview  # of a block
C = TypeVar("C", bound=Content)
Step = Callable[[int, int], None]  # (raw, packed) bytes of this block done so far
Packer = Callable[[Step], bytes | None]  # packs a block by one method, if that makes it smaller

SURELY_REFERS = 0.5  # with a base / without, of samples of numbers, below which nothing else does better
SURE = 0.8  # inflated and packed / deflated, below which no method does better on the deflated bytes
REPEATS = 0.05  # packed / raw by zstd's fastest level, below which content is more repeats than words


@dataclass(frozen=True, slots=True)
class Packed:
    """A block after packing, by ``method``; if that is the raw one, ``data`` is the content itself."""

    method: Method
    raw_size: int
    data: bytes | memoryview
    content_hash: bytes


def content_hash(raw: Buffer) -> bytes:
    """XXH3-64 with seed 0, as 8 little-endian bytes."""
    import xxhash

    return xxhash.xxh3_64_intdigest(raw).to_bytes(8, "little")


def pack(
    methods: Sequence[Method],
    level: int,
    raw: Buffer,
    step: Step,
    hint: Hint | None = None,
    bases: Sequence[Base] = (),
    on: Choice = CPU,
    place: Place | None = None,
) -> Packed:
    """Packs one block by the method that suits it, or stores it. The result depends on the arguments alone.

    ``methods``: the level's own; then, where there is a choice, the one for what no language model has read,
    and the one for numbers; then the first of these for text without its line ends, and for blocks with their
    deflate streams inflated. ``level`` matters to zstd. ``hint`` says what the block consists of, where that
    is known, and ``place`` where it stands. ``bases`` are those that methods name.
    """
    view = memoryview(raw).cast("B")
    plain = [method for method in methods if method.id != INFLATED]
    inner = [one for method in methods if method.id == INFLATED and (one := inner_of(method))]
    best, data, is_sure = plain[0], None, False
    if inner and hint is None:
        best, data, is_sure = _pack_inflated(inner, level, view, on, _part(step, 0, 2, len(view)))
        step = _part(step, 1, 2, len(view)) if data is not None else step
    if not is_sure or bases:
        method, packed = _pack_best(plain, level, view, hint, step, bases, on, place)
        name = 2 + len(best.config)  # bytes that a frame of one block needs to say it
        if packed is not None and (data is None or len(packed) <= len(data) + name):
            best, data = method, packed
    if data is None:
        step(len(view), len(view))
        return stored(view)
    step(len(view), len(data))
    return Packed(best, len(view), data, content_hash(view))


def _pack_best(
    methods: Sequence[Method],
    level: int,
    raw: memoryview,
    hint: Hint | None,
    step: Step,
    bases: Sequence[Base] = (),
    on: Choice = CPU,
    place: Place | None = None,
) -> tuple[Method, bytes | None]:
    """The method that makes a block smallest, and the packed bytes if they are fewer than it has."""
    best, data = methods[0], None
    candidates = _candidates(methods, level, raw, hint, step, bases, on, place)
    for tried, (method, packer) in enumerate(candidates):
        packed = packer(_part(step, tried, len(candidates), len(raw)))
        if packed is not None and len(packed) < (len(raw) if data is None else len(data)):
            best, data = method, packed
    return best, data


def _pack_inflated(
    methods: Sequence[Method], level: int, raw: memoryview, on: Choice, step: Step
) -> tuple[Method, bytes | None, bool]:
    """A block with its deflate streams inflated, by the best of methods; None if it has no such streams.

    Also whether that is so much less than the streams that nothing else can be less.
    """
    from nczip import inflating

    found = inflating.inflate(raw, inflating.most_inflated(len(raw), methods[-1]), lambda: step(0, 0))
    if found is None:
        return methods[0], None, False
    made, deflated = found
    content = memoryview(made.content)
    methods = [one for one in methods if len(content) <= inflating.most_inflated(len(raw), one)]
    method, packed = _pack_best(methods, level, content, None, _scaled(step, len(content), len(raw)), (), on)
    if packed is None:
        return method, None, False
    data = made.join(packed)
    return wrapped(INFLATED, b"", method), data, len(data) < SURE * deflated


def _candidates(
    methods: Sequence[Method],
    level: int,
    raw: memoryview,
    hint: Hint | None,
    step: Step,
    bases: Sequence[Base],
    on: Choice,
    place: Place | None,
) -> list[tuple[Method, Packer]]:
    """What is worth trying, the simplest first. Even random bytes may be in a base."""
    numbers = next((method for method in methods if method.id in (PLANES, TENSOR)), None)
    based_numbers = next((method for method in methods if _is_based_tensor(method)), None)
    in_lines = {inner_of(method): method for method in methods if method.id == LINES}
    methods = [method for method in methods if method not in (numbers, based_numbers) and method.id != LINES]
    found: list[tuple[Method, Packer]] = []
    if numbers is not None and numbers.id == PLANES:
        from nczip import numeric

        survey = numeric.Survey(raw)
        if survey.suits(level):
            found.append((numbers, partial(coders.pack_planes, raw, survey.kind, survey.phase)))
            if not bases and (survey.is_sure or level not in ZSTD_LEVELS):
                return found
    elif numbers is not None:
        from nczip import tensors

        elements = tensors.guess(raw, hint)
        if elements is not None:
            reference = None
            if based_numbers is not None and place is not None:
                reference = tensors.reference(bases[0], len(raw), elements, hint, place)
            found = _for_numbers(
                numbers, based_numbers, methods[-1], level, raw, elements, reference, step, bases
            )
            if found:
                return found
    if bases or not sampling.looks_random(raw):
        from nczip import lines

        suited = _suited(methods, level, raw, step, bases, on)
        text = lines.unwrap(raw) if in_lines else None
        for method in suited:
            bare = innermost(method)
            if text is not None and bare in in_lines:
                found.append((in_lines[bare], partial(_pack_unwrapped, bare, level, text, len(raw), on)))
                if method.id != BASED:
                    continue
            found.append((method, partial(_pack, method, level, raw, bases, on)))
    return found


def _is_based_tensor(method: Method) -> bool:
    inner = inner_of(method)
    return method.id == BASED and inner is not None and inner.id == TENSOR


def _pack_unwrapped(
    method: Method, level: int, text: Unwrapped, raw_size: int, on: Choice, step: Step
) -> bytes | None:
    """Text without its line ends through a method, and what brings these back."""
    view = memoryview(text.text)
    packed = _pack(method, level, view, (), on, _scaled(step, len(view), raw_size))
    return None if packed is None else text.join(packed)


def _for_numbers(
    numbers: Method,
    based: Method | None,
    other: Method,
    level: int,
    raw: memoryview,
    elements: Elements,
    reference: Reference | None,
    step: Step,
    bases: Sequence[Base],
) -> list[tuple[Method, Packer]]:
    """The method for numbers, by itself or with a base, if it makes samples smaller than the other one."""
    from nczip import tensors

    still = _still(step)

    def size(sample: memoryview, packed: bytes | None) -> int:
        return len(sample) if packed is None else len(packed)

    samples = list(tensors.samples(raw, elements, reference))
    least = sum(size(sample, tensors.pack(sample, consists, still)) for sample, consists, _ in samples)
    best, by, is_sure = numbers, None, False
    if based is not None and reference is not None:
        with_base = sum(
            size(sample, tensors.pack(sample, consists, still, part)) for sample, consists, part in samples
        )
        if with_base < least:
            is_sure = with_base < SURELY_REFERS * least
            best, by, least = based, reference, with_base
    if not is_sure:
        by_other = sum(
            len(sample)
            if sampling.looks_random(sample)
            else size(sample, _pack(other, level, sample, bases, CPU, still))
            for sample, *_ in samples
        )
        if by_other <= least:
            return []
    return [(best, partial(tensors.pack, raw, elements, reference=by))]


def _part(step: Step, part: int, parts: int, size: int) -> Step:
    """Reports of one of several passes over a block, as those of one pass."""
    return step if parts == 1 else lambda raw, packed: step((part * size + raw) // parts, packed)


def _scaled(step: Step, size: int, raw_size: int) -> Step:
    """Reports of a pass over ``size`` bytes that a block was made into, as those of one over the block."""
    return lambda done, packed: step(raw_size * done // max(1, size), packed)


def _still(step: Step) -> Step:
    """Reports of a trial, of which nothing is kept: they only say that work goes on."""
    return lambda _raw, _packed: step(0, 0)


def stored(raw: Buffer) -> Packed:
    """A block as it is."""
    view = memoryview(raw).cast("B")
    return Packed(Method(RAW), len(view), view, content_hash(view))


def _suited(
    methods: Sequence[Method],
    level: int,
    raw: memoryview,
    step: Step,
    bases: Sequence[Base] = (),
    on: Choice = CPU,
) -> Sequence[Method]:
    """Those of the methods that are worth trying on the whole block."""
    if len(methods) == 1 or len(raw) == 0:
        return methods
    from nczip import language

    if language.level(methods[0]) == 7 and _repeats(raw):  # the model alone pays for every token of a run
        return methods
    length = language.bytes_a_token(methods[0], raw)
    if length <= language.NO_TEXT:
        return methods[1:]
    if bases:  # what one is good for shows when all is done
        return methods
    if length >= language.TEXT:
        return methods[:1]
    if len(raw) <= 2 * language.TRIAL:
        return methods
    middle = (len(raw) - language.TRIAL) // 2
    trial = raw[middle : middle + language.TRIAL]
    by_model, by_mixture = (
        len(_pack(method, level, trial, bases, on, _still(step)) or trial) for method in methods
    )
    return methods[:1] if by_model < by_mixture * language.WORTH else methods[1:]


def _repeats(raw: memoryview) -> bool:
    import zstandard

    return len(zstandard.ZstdCompressor(level=1).compress(raw)) < len(raw) * REPEATS


def _pack(
    method: Method, level: int, raw: memoryview, bases: Sequence[Base], on: Choice, step: Step
) -> bytes | None:
    if method.id == LANGUAGE:
        from nczip import language

        return language.pack(method, raw, step, on=on)
    method, base = _resolved(method, bases)
    if method.id == ZSTD:
        return coders.pack_zstd(level, raw, step, base)
    return coders.pack_mixture(method, raw, step, base)


def _resolved(method: Method, bases: Sequence[Base]) -> tuple[Method, Base | None]:
    """The method that does the work, and the base that it works with."""
    if method.id != BASED:
        return method, None
    from nczip import base

    found, inner = base.find(bases, method)
    return inner, found


def unpack(
    method: Method,
    head: BlockHead,
    packed: Content,
    step: Step,
    into: memoryview | None = None,
    bases: Sequence[Base] = (),
) -> Content:
    """Gives back a block's content, or raises CorruptError; never content whose hash does not match.

    ``into``: where it may be put and given out from, as many bytes as the head claims. Raises
    MissingBaseError if the method needs a base that is none of ``bases``.
    """
    if spoken(method) is not None:
        (result,) = unpack_together([(method, head, bytes(packed))], step)
        if isinstance(result, CorruptError):
            raise result
        return result
    head.check_packed(packed)
    raw = checked(head, _unpack(method, packed, head.raw_size, into, step, bases))
    step(len(raw), len(packed))
    return raw


def _unpack(
    method: Method,
    packed: Content,
    raw_size: int,
    into: memoryview | None,
    step: Step,
    bases: Sequence[Base] = (),
) -> Content:
    """What packed bytes stand for, if they are sound."""
    method, base = _resolved(method, bases)
    if method.id == ZSTD:
        return coders.unpack_zstd(packed, raw_size, step, base)
    if method.id == PLANES:
        return coders.unpack_planes(packed, raw_size, into, step)
    if method.id == TENSOR:
        from nczip import tensors

        return tensors.unpack(packed, raw_size, step, base)
    if method.id == MIXTURE:
        return coders.unpack_mixture(method, packed, raw_size, step, base)
    if method.id == LANGUAGE:
        from nczip import language

        (content,) = language.unpack(method, [(raw_size, bytes(packed))], step)
        if isinstance(content, CorruptError):
            raise content
        return content
    inner = inner_of(method)
    if inner is None:
        return packed
    unpack_inner = _unpack_unwrapped if method.id == LINES else _unpack_inflated
    return unpack_inner(inner, packed, raw_size, step)


def _unpack_unwrapped(inner: Method, packed: Content, raw_size: int, step: Step) -> bytes:
    from nczip import lines

    parts, packed, size = lines.part(bytes(packed), raw_size)
    return lines.wrap(parts, bytes(_unpack(inner, packed, size, None, step)))


def _unpack_inflated(inner: Method, packed: Content, raw_size: int, step: Step) -> bytes:
    from nczip import inflating

    parts, inner_packed, size = inflating.part(packed, inflating.most_inflated(raw_size, inner))
    content = _unpack(inner, inner_packed, size, None, _scaled(step, size, raw_size))
    if len(content) != size:
        raise CorruptError("its inflated content has another size than it claims")
    made = replace(parts, content=bytes(content))
    return inflating.deflate(made, raw_size, lambda: step(raw_size, len(packed)))


def checked(head: BlockHead, raw: C) -> C:
    """The content, if it is the one that was packed, or CorruptError."""
    if len(raw) != head.raw_size or content_hash(raw)[: len(head.content_hash)] != head.content_hash:
        raise CorruptError("the content does not match its checksum")
    return raw


def unpack_together(
    blocks: Sequence[tuple[Method, BlockHead, bytes]], step: Step, on: Choice = CPU
) -> list[bytes | CorruptError]:
    """Several blocks by one language model: content, or CorruptError, in the place of each.

    What a device gives and does not match its checksum is decoded by the CPU.

    Raises what is wrong with all of them: MissingModelError, ModelFileError, NewerVersionError.
    """
    from nczip import language

    method = spoken(blocks[0][0])
    assert method is not None
    opened = [caught(_opened, *block) for block in blocks]
    intact = [
        (size, packed) for size, packed, _ in (one for one in opened if not isinstance(one, CorruptError))
    ]
    texts = iter(language.unpack(method, intact, step, on) if intact else ())
    results: list[bytes | CorruptError] = []
    for block, one in zip(blocks, opened, strict=True):
        if isinstance(one, CorruptError):
            results.append(one)
            continue
        text = next(texts)
        result = text if isinstance(text, CorruptError) else caught(_closed, block[1], one[2], text)
        if isinstance(result, CorruptError) and on.name != "cpu":
            (result,) = unpack_together([block], step)
        results.append(result)
    return results


def _opened(method: Method, head: BlockHead, packed: bytes) -> tuple[int, bytes, Unwrapped | None]:
    """What a language model has to decode of a block: size of the text, packed; what brings lines back."""
    head.check_packed(packed)
    if method.id != LINES:
        return head.raw_size, packed, None
    from nczip import lines

    parts, rest, size = lines.part(packed, head.raw_size)
    return size, rest, parts


def _closed(head: BlockHead, parts: Unwrapped | None, text: bytes) -> bytes:
    if parts is None:
        return checked(head, text)
    from nczip import lines

    return checked(head, lines.wrap(parts, text))


def caught(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | CorruptError:
    """What a call gives, or the CorruptError that it raises."""
    try:
        return call(*args, **kwargs)
    except CorruptError as error:
        return error
