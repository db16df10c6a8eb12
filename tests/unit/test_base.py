"""Bases: the core against the reference, names, what is kept, and what is refused."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nczip
from nczip import _core, base, blocks, container, knowledge, levels
from nczip.container import BASED, BASED_FORM, FULL_FORM, MIXTURE, NAMED_FORM, RAW_FORM, ZSTD, Method
from nczip.reference.block_coder import decode_block, encode_block
from nczip.reference.oracle import ConstrictionDecoder

LEVELS = (4, 5, 6)
ALL = range(1, 7)
NOISE = random.Random(5).randbytes(600)
PROSE = b"The base is history that is known at first: a block that follows it goes on where it ends. "
OTHER = b"What both sides have need not be sent, and what need not be sent is the smallest part of all. "
BASE = nczip.Base(PROSE * 3 + NOISE + OTHER)


def primed_by_core(config: bytes, content: bytes, raw_size: int, read: int | None) -> _core.PrimedMixture:
    room = _core.primed_room(config, len(content), raw_size)
    mixture = _core.PrimedMixture(config, content, room, knowledge.load(), read)
    while not mixture.advance(7):
        pass
    return mixture


def packed_by_core(config: bytes, content: bytes, primed: _core.PrimedMixture) -> bytes:
    encoder = _core.MixtureEncoder(config, content, knowledge.load(), primed)
    while encoder.advance(50) < len(content):
        pass
    return encoder.finish()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("before", "read", "content"),
    [
        pytest.param(OTHER, None, b"What both sides have is a base.", id="all read"),
        pytest.param(PROSE + NOISE[:200] + OTHER, 40, PROSE[30:] + NOISE[50:90], id="end read, rest indexed"),
        pytest.param(NOISE * 2 + OTHER, 20, NOISE[:520], id="a run from the base"),
        pytest.param(b"", None, b"after nothing", id="empty"),
        pytest.param(b"\xe8\1\0\0\0" * 20, 10, b"\xe8\1\0\0\0\xe8\2\0\0\0" * 6, id="code"),
    ],
)
def test_core_and_reference_write_and_read_the_same(
    level: int, before: bytes, read: int | None, content: bytes
) -> None:
    config = _core.mixture_config(level)
    primed = primed_by_core(config, before, len(content), read)
    packed = packed_by_core(config, content, primed)
    assert encode_block(level, config[2], content, before, read) == packed
    decoder = ConstrictionDecoder(packed)
    assert decode_block(level, config[2], len(content), decoder, before, read) == content
    again = _core.MixtureDecoder(config, len(content), packed, knowledge.load(), primed)
    assert again.decode(len(content)) == content


@pytest.mark.parametrize("level", LEVELS)
def test_a_state_is_copied_and_does_not_change(level: int) -> None:
    config = _core.mixture_config(level)
    primed = primed_by_core(config, BASE.content, len(PROSE), None)
    first = packed_by_core(config, PROSE, primed)
    assert packed_by_core(config, OTHER, primed) != first
    assert packed_by_core(config, PROSE, primed) == first


def test_what_a_state_was_not_primed_for_is_refused() -> None:
    config = _core.mixture_config(4)
    primed = primed_by_core(config, b"base", 100, None)
    with pytest.raises(ValueError, match="other blocks"):
        _core.MixtureEncoder(config, bytes(200), knowledge.load(), primed)
    with pytest.raises(ValueError, match="other blocks"):
        _core.MixtureEncoder(_core.mixture_config(5), bytes(100), knowledge.load(), primed)
    unread = _core.PrimedMixture(config, b"base" * 100, 1024, knowledge.load())
    with pytest.raises(ValueError, match="other blocks"):
        _core.MixtureDecoder(config, 600, b"", knowledge.load(), unread)
    with pytest.raises(ValueError, match="room"):
        _core.PrimedMixture(config, b"base", 2, knowledge.load())


@settings(deadline=None, max_examples=40)
@given(level=st.sampled_from(ALL), content=st.binary(max_size=300), part=st.integers(0, 500))
def test_round_trips(level: int, content: bytes, part: int) -> None:
    content += BASE.content[part : part + 200]
    packed = nczip.compress(content, level, base=BASE)
    assert nczip.decompress(packed, base=BASE) == content
    assert len(packed) <= len(content) + 20


@pytest.mark.parametrize("level", ALL)
def test_what_the_base_has_costs_little(level: int) -> None:
    content = NOISE[40:560] + OTHER
    assert len(nczip.compress(content, level, base=BASE)) < 130
    assert len(nczip.compress(content, level)) > 500


@pytest.mark.parametrize("level", ALL)
def test_a_full_frame_and_any_number_of_threads(level: int) -> None:
    content = PROSE * 20 + NOISE + OTHER * 3
    packed = nczip.compress(content, level, base=BASE, block_size=500)
    assert packed[3] & 15 == FULL_FORM
    assert packed == nczip.compress(content, level, base=BASE, block_size=500, threads=3)
    for threads in (1, 3):
        assert nczip.decompress(packed, base=[b"another", BASE], threads=threads) == content
    with nczip.open(io.BytesIO(packed), base=BASE) as reader:
        reader.seek(1200)
        assert reader.read(300) == content[1200:1500]
    sink = io.BytesIO()
    assert nczip.salvage(io.BytesIO(packed), sink, base=BASE) == []
    assert sink.getvalue() == content


@pytest.mark.parametrize("level", ALL)
def test_a_record_pays_twenty_bytes(level: int) -> None:
    """Magic and form, sizes, check, content hash, level, base."""
    packed = nczip.compress(PROSE + OTHER, level, base=BASE)
    assert packed[3] & 15 == BASED_FORM
    (frame,) = nczip.inspect(io.BytesIO(packed)).frames
    assert frame.packed_size - frame.blocks[0].packed_size == 20
    assert frame.level == level
    assert frame.blocks[0].base == hashlib.sha256(BASE.content).hexdigest()[:8]
    assert frame.blocks[0].method == ("zstd" if level < 4 else "mixture")


def test_a_limit_names_its_tables() -> None:
    packed = nczip.compress(PROSE + OTHER, 5, base=BASE, memory=60 << 20, block_size=1 << 20)
    assert packed[3] & 15 in (BASED_FORM, NAMED_FORM)
    assert nczip.decompress(packed, base=BASE, memory=80 << 20) == PROSE + OTHER
    full = nczip.compress(PROSE * 4000, 5, base=BASE, memory=70 << 20)
    assert nczip.decompress(full, base=BASE, memory=75 << 20) == PROSE * 4000
    with pytest.raises(nczip.MemoryLimitError):
        nczip.decompress(full, base=BASE, memory=30 << 20)


def test_random_bytes_are_stored_and_need_no_base() -> None:
    content = random.Random(1).randbytes(5000)
    packed = nczip.compress(content, 5, base=BASE)
    assert packed[3] & 15 == RAW_FORM
    assert nczip.decompress(packed) == content
    assert nczip.decompress(nczip.compress(b"", 5, base=BASE)) == b""


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize("block_size", [None, 150])
def test_without_the_base_nothing_comes_out(level: int, block_size: int | None) -> None:
    packed = nczip.compress(PROSE * 3, level, base=BASE, block_size=block_size)
    name = BASE.name.hex()
    for others in (None, b"another", [b"another", b"a third"]):
        with pytest.raises(nczip.MissingBaseError, match=f"begins with {name}") as caught:
            nczip.decompress(packed, base=others)
        assert caught.value.exit_status == 3
        assert caught.value.name == BASE.name
    with pytest.raises(nczip.MissingBaseError, match=name):
        nczip.salvage(io.BytesIO(packed), io.BytesIO())
    with pytest.raises(nczip.MissingBaseError, match=name):
        nczip.decompress(packed, memory=1 << 30)
    info = nczip.inspect(io.BytesIO(packed))
    assert info.bases == [name]
    assert info.memory_needed is None
    assert nczip.inspect(io.BytesIO(packed), base=BASE).memory_needed is not None


@pytest.mark.parametrize("level", ALL)
def test_another_base_of_that_name_is_found_out(level: int) -> None:
    """Four bytes of a hash can be forged; the hash of the content cannot follow."""
    forged = nczip.Base(OTHER * 4)
    forged.name = BASE.name
    with pytest.raises(nczip.CorruptError, match="block at byte 0"):
        nczip.decompress(nczip.compress(PROSE, level, base=BASE), base=forged)


def test_a_base_is_a_path_or_bytes_and_only_its_end_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "base"
    path.write_bytes(PROSE + OTHER)
    from_path, from_bytes = nczip.Base(path), nczip.Base(PROSE + OTHER)
    assert from_path.content == from_bytes.content == PROSE + OTHER
    packed = nczip.compress(OTHER, base=str(path))
    assert nczip.decompress(packed, base=memoryview(PROSE + OTHER)) == OTHER
    monkeypatch.setattr(base, "MOST", 50)
    monkeypatch.setattr(base, "PIECE", 7)
    for one in (nczip.Base(path), nczip.Base(PROSE + OTHER)):
        assert one.content == OTHER[-50:]
        assert one.name == from_path.name
    with pytest.raises(FileNotFoundError):
        nczip.compress(OTHER, base=tmp_path / "nothing")
    with pytest.raises(ValueError, match="one base"):
        nczip.open(io.BytesIO(), "wb", base=[b"a", b"b"])


def test_records_share_what_is_made_of_a_base() -> None:
    config = _core.mixture_config(4)
    one = nczip.Base(PROSE)
    first = one.primed(config, 300, lambda _raw, _packed: None)
    assert one.primed(config, 400, lambda _raw, _packed: None) is first
    assert one.primed(config, 2000, lambda _raw, _packed: None) is not first
    assert one.dictionary(3) is one.dictionary(3)


def test_priming_can_be_stopped() -> None:
    def stop(_raw: int, _packed: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nczip.Base(PROSE * 1000).primed(_core.mixture_config(4), 10, stop)


@pytest.mark.parametrize("level", ALL)
def test_memory_counts_the_base(level: int) -> None:
    large = nczip.Base(bytes(3 << 20))
    with_base = levels.plan(level, base=large, block_size=1 << 20).memory
    without = replace(levels.plan(level, block_size=1 << 20), transforms=False)  # as it goes with a base
    assert with_base >= without.memory + (3 << 20)


def test_wrappers_around_what_takes_no_base_are_unknown() -> None:
    for inner in (Method(container.RAW), Method(BASED, b"nameX"), Method(container.LANGUAGE, bytes(12))):
        method = container.wrapped(BASED, b"name", inner)
        packed = container.solo_frame(
            NAMED_FORM, 40, b"", bytes(8), container.solo_name(NAMED_FORM, method, 5)
        )
        with pytest.raises(nczip.NewerVersionError, match="method 7"):
            nczip.decompress(packed, base=BASE)


def test_headers_that_lie() -> None:
    head = container.solo_frame(BASED_FORM, 20, b"", bytes(8), b"\5nam")
    with pytest.raises(nczip.CorruptError, match="header"):
        nczip.decompress(head, base=BASE)
    for level in (0, 7, 255):
        name = bytes([level]) + BASE.name
        with pytest.raises(nczip.NewerVersionError, match=f"level {level}"):
            nczip.decompress(container.solo_frame(BASED_FORM, 20, b"", bytes(8), name), base=BASE)


@pytest.mark.parametrize("level", ALL)
@settings(deadline=None, max_examples=20)
@given(packed=st.binary(max_size=60), raw_size=st.integers(61, 3000))
def test_hostile_bytes_are_refused(level: int, packed: bytes, raw_size: int) -> None:
    method = levels.plan(level, base=BASE).method
    crc = container.zlib.crc32(packed)
    head = container.BlockHead(0, raw_size, len(packed), 0, crc, bytes(8), 0)
    with pytest.raises(nczip.CorruptError):
        blocks.unpack(method, head, packed, lambda _raw, _packed: None, bases=[BASE])


def test_methods_say_what_they_are_around() -> None:
    assert [container.inner_of(levels.plan(level, base=BASE).method).id for level in ALL] == [  # type: ignore[union-attr]
        *[ZSTD] * 3,
        *[MIXTURE] * 3,
    ]


@pytest.mark.parametrize("level", levels.LANGUAGE_LEVELS)
def test_with_a_language_model_the_smaller_result_is_kept(level: int) -> None:
    in_base = nczip.compress(OTHER + NOISE[:300], level, base=BASE)
    (frame,) = nczip.inspect(io.BytesIO(in_base)).frames
    assert (frame.level, frame.blocks[0].method) == (levels.OTHERWISE, "mixture")
    assert nczip.decompress(in_base, base=BASE) == OTHER + NOISE[:300]
    both = nczip.compress(PROSE * 2 + b"nothing of the kind " * 9, level, base=b"?")
    assert nczip.decompress(both, base=b"?") == PROSE * 2 + b"nothing of the kind " * 9
    full = nczip.compress((PROSE + OTHER) * 9, level, base=BASE, block_size=700)
    assert nczip.decompress(full, base=BASE) == (PROSE + OTHER) * 9
    head = bytearray(full)
    head[8] ^= 1
    sink = io.BytesIO()
    (lost,) = nczip.salvage(io.BytesIO(head), sink, base=BASE)
    assert (lost.raw_size, sink.getvalue()) == (0, (PROSE + OTHER) * 9)
