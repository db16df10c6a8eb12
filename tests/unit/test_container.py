"""The container's bytes, one structure at a time."""

from __future__ import annotations

import zlib

import pytest

from nczip import CorruptError, FormatError, NewerVersionError, TruncatedError, container
from nczip.container import (
    LANGUAGE,
    LANGUAGE_FORM,
    MIXTURE,
    NAMED_FORM,
    RAW,
    ZSTD,
    BytesSource,
    Frame,
    Method,
    Tally,
)

HASH = bytes(range(8))


def head(data: bytes) -> Frame:
    return container.read_frame(BytesSource(data))


def with_crc(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def header(fields: bytes, first: int = 0x1F) -> bytes:
    return with_crc(b"\x9cNZ" + bytes([first]) + container.varint(len(fields)) + fields)


FIELDS = bytes([1, 1, 1, 3, 2, 1, 0, 5, 2, 0x80, 0x20])  # arithmetic 1; zstd; blocks of 4,096 bytes


class TestVarint:
    @pytest.mark.parametrize("value", [0, 1, 127, 128, 16383, 16384, 2**32, 2**63, 2**64 - 1])
    def test_round_trip_through_a_trailer(self, value: int) -> None:
        source = BytesSource(container.varint(value) + b"rest")
        assert container._Recorder(source).varint() == value
        assert source.take(4) == b"rest"

    def test_bytes(self) -> None:
        assert container.varint(300) == b"\xac\x02"
        assert len(container.varint(2**64 - 1)) == 10

    @pytest.mark.parametrize(
        "data", [b"\x80\x00", b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01", b"\xff" * 11]
    )
    def test_not_minimal_or_too_large(self, data: bytes) -> None:
        with pytest.raises(CorruptError, match="malformed number"):
            container._Recorder(BytesSource(data)).varint()


class TestSolo:
    def test_layout(self) -> None:
        data = container.solo_frame(5, 300, b"packed", HASH)
        covered = bytes.fromhex("9c4e5a15ac0206")
        assert data == covered + zlib.crc32(covered + b"packed").to_bytes(4, "little") + HASH[:4]

    @pytest.mark.parametrize(("size", "length"), [(0, 14), (2**14 - 1, 16), (2**21 - 1, 18), (2**21, 20)])
    def test_header_length(self, size: int, length: int) -> None:
        packed = bytes(size)
        assert len(container.solo_frame(7, size, packed, HASH)) == length

    def test_read_back(self) -> None:
        frame = head(container.solo_frame(5, 300, b"packed", HASH) + b"packed")
        assert frame.form == 5
        assert frame.solo is not None
        assert (frame.solo.raw_size, frame.solo.packed_size, frame.solo.content_hash) == (300, 6, HASH[:4])
        frame.solo.check_packed(b"packed")
        with pytest.raises(CorruptError):
            frame.solo.check_packed(b"pocked")

    @pytest.mark.parametrize("first", [0x25, 0x10, 0x1B, 0x1E, 0xF7])
    def test_newer_is_told_from_damaged(self, first: int) -> None:
        covered = b"\x9cNZ" + bytes([first]) + b"\x03\x03"
        data = covered + zlib.crc32(covered + b"abc").to_bytes(4, "little") + HASH[:4] + b"abc"
        with pytest.raises(NewerVersionError):
            head(data)
        with pytest.raises(CorruptError):
            head(data[:-1] + b"d")

    def test_a_configuration_of_its_own(self) -> None:
        data = container.solo_frame(LANGUAGE_FORM, 300, b"packed", HASH, b"configure it") + b"packed"
        frame = head(data)
        assert data[7:] == zlib.crc32(data[:7] + b"configure itpacked").to_bytes(4, "little") + HASH[:4] + (
            b"configure itpacked"
        )
        assert frame.methods == (Method(LANGUAGE, b"configure it"),)
        assert frame.solo is not None
        assert (frame.solo.packed_size, frame.length) == (6, len(data) - 6)
        frame.solo.check_packed(b"packed")
        with pytest.raises(CorruptError):
            frame.solo.check_packed(b"pocked")
        with pytest.raises(CorruptError):
            head(data.replace(b"configure", b"refigured")).solo.check_packed(b"packed")

    def test_a_method_with_its_name(self) -> None:
        method = Method(MIXTURE, b"\2\6\x12")
        name = container.solo_name(NAMED_FORM, method)
        data = container.solo_frame(NAMED_FORM, 300, b"packed", HASH, name) + b"packed"
        frame = head(data)
        assert data[15:] == b"\2\3\2\6\x12packed"
        assert frame.methods == (method,)
        assert frame.solo is not None
        assert (frame.solo.raw_size, frame.solo.packed_size, frame.length) == (300, 6, len(data) - 6)
        frame.solo.check_packed(b"packed")
        with pytest.raises(CorruptError):
            head(data.replace(b"\6\x12", b"\7\x12")).solo.check_packed(b"packed")

    @pytest.mark.parametrize("name", [b"\x63\0", b"\1\1x"])
    def test_a_newer_method_is_told_from_damage(self, name: bytes) -> None:
        data = container.solo_frame(NAMED_FORM, 300, b"packed", HASH, name) + b"packed"
        with pytest.raises(NewerVersionError, match="method"):
            head(data)
        with pytest.raises(CorruptError):
            head(data[:-1] + b"-")

    @pytest.mark.parametrize("name", [b"", b"\2", b"\2\7config"])
    def test_a_name_must_fit(self, name: bytes) -> None:
        with pytest.raises(CorruptError):
            head(container.solo_frame(NAMED_FORM, 300, b"", HASH, name) + bytes(9))

    @pytest.mark.parametrize(("raw_size", "packed_size"), [(2**28 + 1, 1), (2**60, 2**59), (3, 4)])
    def test_size_claims(self, raw_size: int, packed_size: int) -> None:
        prefix = b"\x9cNZ\x17" + container.varint(raw_size) + container.varint(packed_size)
        with pytest.raises(CorruptError, match="claims"):
            head(prefix + bytes(8))


class TestFullHeader:
    def test_layout(self) -> None:
        data = container.full_frame((Method(ZSTD),), 4096)
        assert data == header(FIELDS)
        frame = head(data)
        assert frame == Frame(15, (Method(ZSTD),), 4096, len(data))

    def test_configuration_comes_back(self) -> None:
        methods = (Method(MIXTURE, b"any bytes"), Method(RAW))
        assert head(container.full_frame(methods, 1)).methods == methods

    def test_unknown_even_field_is_passed_over(self) -> None:
        assert head(header(FIELDS[:3] + b"\x02\x03abc" + FIELDS[3:])).max_block == 4096

    @pytest.mark.parametrize(
        "fields",
        [
            FIELDS + b"\x07\x00",
            FIELDS.replace(b"\x01\x01\x01", b"\x01\x01\x02"),
            FIELDS.replace(b"\x03\x02\x01\x00", b"\x03\x02\x09\x00"),
            FIELDS.replace(b"\x03\x02\x01\x00", b"\x03\x03\x01\x01x"),
        ],
        ids=["critical field", "arithmetic", "method", "configuration of zstd"],
    )
    def test_newer(self, fields: bytes) -> None:
        data = header(fields)
        with pytest.raises(NewerVersionError):
            head(data)
        damaged = data[:-1] + bytes([data[-1] ^ 1])
        with pytest.raises(CorruptError):
            head(damaged)

    @pytest.mark.parametrize("first", [0x2F, 0xFF])
    def test_newer_major_version(self, first: int) -> None:
        with pytest.raises(NewerVersionError, match="format"):
            head(header(b"whatever", first))

    @pytest.mark.parametrize(
        "fields",
        [
            b"",
            FIELDS[3:],
            FIELDS[:3] + FIELDS[7:],
            FIELDS[:7],
            FIELDS[3:7] + FIELDS[:3] + FIELDS[7:],
            FIELDS[:3] + FIELDS,
            b"\x00\x00" + FIELDS,
            FIELDS + b"\x08\x05abc",
            FIELDS.replace(b"\x03\x02\x01\x00", b"\x03\x00"),
            FIELDS.replace(b"\x03\x02\x01\x00", b"\x03\x02\x01\x01"),
            FIELDS.replace(b"\x01\x01\x01", b"\x01\x02\x01\x00"),
            FIELDS.replace(b"\x02\x80\x20", b"\x01\x00"),
            FIELDS.replace(b"\x02\x80\x20", b"\x05\x81\x80\x80\x80\x01"),
        ],
        ids=[
            "no fields",
            "no arithmetic",
            "no methods",
            "no block size",
            "tags descend",
            "tag twice",
            "tag 0",
            "length past the end",
            "no method in the table",
            "configuration past the end",
            "bytes after a number",
            "blocks of nothing",
            "blocks above 256 MiB",
        ],
    )
    def test_malformed(self, fields: bytes) -> None:
        with pytest.raises(CorruptError):
            head(header(fields))

    def test_version_0_never_was(self) -> None:
        with pytest.raises(CorruptError):
            head(header(FIELDS, 0x0F))

    def test_length_claim(self) -> None:
        with pytest.raises(CorruptError):
            head(b"\x9cNZ\x1f" + container.varint(container.MAX_HEADER + 1) + bytes(100))

    def test_no_archive(self) -> None:
        with pytest.raises(FormatError):
            head(b"PK\x03\x04")
        with pytest.raises(TruncatedError):
            head(b"\x9cN")


class TestBlock:
    frame = Frame(15, (Method(ZSTD), Method(RAW)), 4096, 20)

    def test_layout(self) -> None:
        data = container.block_head(1, 300, b"packed", HASH)
        covered = bytes.fromhex("02ac0206")
        assert data == covered + zlib.crc32(covered + b"packed").to_bytes(4, "little") + HASH
        block = container.read_block(BytesSource(data), self.frame)
        assert block is not None
        assert (block.method, block.raw_size, block.packed_size, block.length) == (1, 300, 6, len(data))
        block.check_packed(b"packed")

    @pytest.mark.parametrize(
        "data",
        [b"\x03\x01\x01", b"\x01\x00\x00", b"\x01\x81\x20\x01", b"\x01\x05\x06"],
        ids=["method", "no content", "content above the frame's limit", "packed above raw"],
    )
    def test_refused(self, data: bytes) -> None:
        with pytest.raises(CorruptError):
            container.read_block(BytesSource(data + bytes(20)), self.frame)

    def test_end_mark(self) -> None:
        assert container.read_block(BytesSource(b"\0"), self.frame) is None


class TestTrailer:
    @pytest.fixture
    def tally(self) -> Tally:
        tally = Tally(20)
        tally.add(50, 4096)
        tally.add(30, 1000)
        return tally

    def test_layout(self, tally: Tally) -> None:
        index = bytes.fromhex("00 e827") + HASH + bytes.fromhex("02 32 8020 1e e807 64")
        footer = (len(index) + 12).to_bytes(4, "little") + b"ZN\x9c\x1f"
        assert tally.trailer(HASH) == with_crc(index) + footer

    def test_read_both_ways(self, tally: Tally) -> None:
        data = tally.trailer(HASH)
        assert container.read_trailer(BytesSource(data[1:]), tally) == HASH
        assert container.footer_trailer_length(data[-8:]) == len(data)
        trailer = container.parse_trailer(data)
        assert (trailer.body_length, trailer.raw_size) == (100, 5096)
        assert list(trailer.block_lengths) == [50, 30]
        assert list(trailer.raw_sizes) == [4096, 1000]

    def test_every_bit_counts(self, tally: Tally) -> None:
        data = tally.trailer(HASH)
        for bit in range(8, 8 * len(data)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            if not 3 <= bit // 8 < 11:  # the content hash is for the caller to compare
                with pytest.raises(CorruptError):
                    container.read_trailer(BytesSource(bytes(damaged[1:])), tally)
            if bit < 8 * (len(data) - 8):
                with pytest.raises(CorruptError):
                    container.parse_trailer(bytes(damaged))

    def test_an_index_that_lies_with_a_right_checksum(self, tally: Tally) -> None:
        other = Tally(20)
        other.add(30, 4096)
        other.add(50, 1000)
        with pytest.raises(CorruptError, match="index"):
            container.read_trailer(BytesSource(other.trailer(HASH)[1:]), tally)

    def test_an_index_that_contradicts_itself(self) -> None:
        tally = Tally(20)
        tally.add(50, 10)
        tally.raw_size = 11
        with pytest.raises(CorruptError, match="contradicts"):
            container.parse_trailer(tally.trailer(HASH))
