"""zstd, the mixture and planes: a block's bytes to packed bytes, and back.

Packing gives None as soon as it is clear that the block gets no smaller. Unpacking raises CorruptError for
bytes that cannot be right; whether the content is what was packed is for the block's checksum to say.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from nczip import sampling
from nczip.container import PIECE, Method
from nczip.errors import CorruptError, NewerVersionError
from nczip.levels import ZSTD_LEVELS, zstd_window

if TYPE_CHECKING:
    from nczip.base import Base
    from nczip.blocks import Content, Step

ZSTD_STEP = 128 << 10  # raw bytes: one of zstd's own blocks; fixed, since it can shape what zstd writes
PLANES_STEP = 4 << 20  # raw bytes: some milliseconds
PLAUSIBLE_SIZE, PLAUSIBLE_RATIO = 2 << 20, 16  # bytes, and bytes of content to a packed one
MIXTURE_STEP = 16 << 10  # raw bytes: a fraction of a second at the slowest level
GIVE_UP_STEP = 256 << 10  # raw bytes between two looks at whether the mixture gains anything
GIVE_UP_SHARE = 0.9975  # packed / raw since the last look, above which a mixture is not gaining
WORTH_KEEPING = 0.005  # of the block, saved so far: above it the rest is coded at any speed
TAIL_ENTROPY = 7.9  # for what follows bytes that the mixture has already failed on


def pack_planes(raw: memoryview, kind: int, phase: int, step: Step) -> bytes | None:
    """Planes of a ``kind`` (formats/planes.md), whose first element begins at byte ``phase``."""
    from nczip import _core

    encoder = _core.PlanesEncoder(raw, kind, phase)
    done = 0
    while done < len(raw):
        done = encoder.advance(PLANES_STEP)
        step(done, encoder.packed_size)
    return encoder.finish() if encoder.packed_size < len(raw) else None


def unpack_planes(packed: Content, raw_size: int, into: memoryview | None, step: Step) -> Content:
    """Into ``into``, which has ``raw_size`` bytes, or memory of its own that grows with what is decoded."""
    from nczip import _core

    own = _core.Content(min(raw_size, plausible(len(packed)))) if into is None else None
    raw = memoryview(own) if own is not None else into
    assert raw is not None
    try:
        decoder = _core.PlanesDecoder(packed, raw_size)
        done = 0
        while done < raw_size:
            if len(raw) < min(raw_size, done + _core.PLANES_STEP):
                own = _core.Content(min(raw_size, 2 * len(raw)))
                own.put(0, raw[:done])
                raw = memoryview(own)
            done = decoder.advance(raw, PLANES_STEP)
            step(done, len(packed) * done // raw_size)
    except ValueError as error:
        raise CorruptError(str(error)) from None
    return raw if own is None else own.finish()


def plausible(packed_size: int) -> int:
    """Bytes of content that memory may be taken for because so many packed bytes claim it."""
    return PLAUSIBLE_SIZE + PLAUSIBLE_RATIO * packed_size


def pack_zstd(level: int, raw: memoryview, step: Step, base: Base | None) -> bytes | None:
    """A zstd frame without magic, size or checksum, at a level of nczip; with a base as its dictionary."""
    import zstandard

    # The block's header has the size and the checksums, so the zstd frame goes without them and without a
    # magic.
    others = {
        "source_size": len(raw),
        "format": zstandard.FORMAT_ZSTD1_MAGICLESS,
        "write_content_size": False,
        "write_checksum": False,
        "write_dict_id": False,
    }
    if base is None:
        parameters = zstandard.ZstdCompressionParameters.from_level(ZSTD_LEVELS[level], **others)
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
    else:
        from nczip.base import zstd_parameters

        # What a window as long as the block is behind of stays in reach: the base lies before the block.
        window = zstd_window(len(raw)).bit_length() - 1
        parameters = zstd_parameters(level, len(base.content), window_log=window, **others)
        compressor = zstandard.ZstdCompressor(compression_params=parameters, dict_data=base.dictionary(level))
    coder = compressor.compressobj(size=len(raw))
    pieces, size = [], 0
    for start in range(0, len(raw), ZSTD_STEP):
        pieces.append(coder.compress(raw[start : start + ZSTD_STEP]))
        size += len(pieces[-1])
        if size >= len(raw):
            return None
        step(min(start + ZSTD_STEP, len(raw)), size)
    pieces.append(coder.flush())
    return b"".join(pieces)


def unpack_zstd(packed: Content, raw_size: int, step: Step, base: Base | None) -> bytes:
    """At most ``raw_size + 1`` bytes, of which the last says that the frame has more than it should."""
    import zstandard

    # Streaming, because the one-shot call allocates whatever size a frame claims.
    decoder = zstandard.ZstdDecompressor(
        dict_data=None if base is None else base.dictionary(),
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        max_window_size=zstd_window(raw_size),
    )
    content = io.BytesIO()  # not a list to join, which would hold everything twice
    done = 0
    try:
        with decoder.stream_reader(packed) as reader:
            while piece := reader.read(
                min(PIECE, raw_size + 1 - done)
            ):  # one more, to see that the frame ends
                content.write(piece)
                done += len(piece)
                step(min(done, raw_size), len(packed) * min(done, raw_size) // max(1, raw_size))
    except zstandard.ZstdError:
        raise CorruptError("the packed bytes are not a zstd frame that fits the block") from None
    return content.getvalue()


def pack_mixture(method: Method, raw: memoryview, step: Step, base: Base | None) -> bytes | None:
    """Through the context mixture that the method's configuration names, which reads the base before."""
    from nczip import _core, knowledge

    primed = None if base is None else base.primed(method.config, len(raw), step)
    coder = _core.MixtureEncoder(method.config, raw, knowledge.load(), primed)
    done = looked_at = packed = 0
    while done < len(raw):
        done = coder.advance(MIXTURE_STEP)
        step(done, coder.packed_size)
        if done - looked_at < GIVE_UP_STEP or base is not None:  # the base may have what comes
            continue
        gains = coder.packed_size - packed < (done - looked_at) * GIVE_UP_SHARE
        worth_it = done - coder.packed_size > len(raw) * WORTH_KEEPING
        if not gains and not worth_it and sampling.looks_random(raw[done:], TAIL_ENTROPY):
            return None
        looked_at, packed = done, coder.packed_size
    return coder.finish()


def unpack_mixture(method: Method, packed: Content, raw_size: int, step: Step, base: Base | None) -> bytes:
    """``raw_size`` bytes. Raises NewerVersionError for a configuration that is not known."""
    from nczip import _core, knowledge

    try:
        primed = None if base is None else base.primed(method.config, raw_size, step)
        decoder = _core.MixtureDecoder(method.config, raw_size, packed, knowledge.load(), primed)
    except ValueError:
        raise NewerVersionError(NewerVersionError.UNKNOWN_MIXTURE) from None
    content = io.BytesIO()
    for start in range(0, raw_size, MIXTURE_STEP):
        try:
            content.write(decoder.decode(MIXTURE_STEP))
        except ValueError as error:
            raise CorruptError(str(error)) from None
        step(content.tell(), len(packed) * start // raw_size)
    return content.getvalue()
