"""Where blocks end."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensor_content import gguf, npy, npz, pickled_tensors, safetensors, zipped

import nczip
from nczip.layout import PIECE, SMALL, Block, Hint, Layout, is_for_tensors, is_text, one_kind

rng = np.random.default_rng(1)
LARGE = rng.normal(size=(200, 300)).astype("<f4")  # 240,000 bytes
HALVES = rng.normal(size=50_000).astype("<f2")  # 100,000
TINY = np.arange(30, dtype="<f4")


def content(name: str) -> bytes:
    if name == "safetensors":
        return safetensors({
            "large": ("F32", LARGE.shape, LARGE.tobytes()),
            "tiny": ("F32", TINY.shape, TINY.tobytes()),
            "halves": ("F16", HALVES.shape, HALVES.tobytes()),
        })  # fmt: skip
    if name == "gguf":
        large = LARGE.tobytes()[:-4]  # so that padding follows it
        return gguf({"large": (0, [59_999], large), "quants": (3, [500, 320], bytes(100_000))})
    if name == "npy":
        return npy(LARGE)
    if name == "npz":
        return npz(large=LARGE, tiny=TINY, halves=HALVES)
    if name == "streamed npz":
        return zipped(
            {"large.npy": npy(LARGE), "tiny.npy": npy(TINY), "halves.npy": npy(HALVES)}, streamed=True
        )
    if name in ("checkpoint", "streamed checkpoint"):
        return checkpoint(streamed=name == "streamed checkpoint")
    return b"".join(b"line %d\n" % i for i in range(30_000))


def checkpoint(*, streamed: bool, pickled: bytes | None = None, folder: str = "m") -> bytes:
    """A storage is "large"; another is "halves", with three elements before it and one after."""
    if pickled is None:
        pickled = pickled_tensors({
            "large": ("0", LARGE.size, 0, LARGE.shape),
            "tiny": ("1", TINY.size, 0, TINY.shape),
            "halves": ("2", 25_004, 3, (25_000,)),
        })  # fmt: skip
    storages = LARGE.tobytes(), TINY.tobytes(), bytes(12) + HALVES.tobytes() + bytes(4)
    members = {f"{folder}/data/{i}": storage for i, storage in enumerate(storages)}
    return zipped({f"{folder}/data.pkl": pickled, **members, f"{folder}/version": b"3"}, streamed=streamed)


def cut(data: bytes, block_size: int) -> list[tuple[int, Hint | None]]:
    """Sizes and hints of blocks."""
    return [(block.size, block.hint) for block in blocks_of(data, block_size)]


def blocks_of(data: bytes, block_size: int) -> list[Block]:
    """As a Writer fills its buffer."""
    layout = Layout(block_size)
    blocks: list[Block] = []
    start = seen = 0
    while seen < len(data) or start < seen:
        seen = min(len(data), start + block_size)
        found = layout.split(memoryview(data)[start:seen], last=seen == len(data))
        assert found
        blocks += found
        start += sum(block.size for block in found)
    assert start == len(data)
    return blocks


def test_text_fills_blocks() -> None:
    text = content("text")
    assert cut(text, 100_000) == [(100_000, None)] * (len(text) // 100_000) + [(len(text) % 100_000, None)]


def test_tensors_have_blocks_of_their_own() -> None:
    data = content("safetensors")
    header = len(data) - 240_000 - 120 - 100_000
    large, halves = Hint("F32", 300), Hint("F16", 0)
    assert cut(data, 1 << 20) == [(header, None), (240_000, large), (120, None), (100_000, halves)]
    # Whole elements as far as there is room for one.
    assert cut(data, 70_001) == [
        (header, None), (70_000, large), (70_000, large), (70_000, large), (30_000, large), (120, None),
        (70_000, halves), (30_000, halves),
    ]  # fmt: skip


def test_padding_goes_with_the_tensor_before_it() -> None:
    data = content("gguf")
    header = len(data) - 240_000 - 100_000
    assert cut(data, 1 << 20) == [(header, None), (240_000, Hint("F32", 0)), (100_000, Hint("Q4_1", 320))]
    assert cut(data, 1 << 16)[-2:] == [(65_520, Hint("Q4_1", 320)), (34_480, Hint("Q4_1", 320))]


def test_small_tensors_share_blocks() -> None:
    sizes = [
        size for size, _ in cut(safetensors({str(i): ("U8", [999], bytes(999)) for i in range(600)}), 1 << 20)
    ]
    assert max(sizes) <= 3 * SMALL
    assert len(sizes) < 10


def test_stored_members_of_zip_archives() -> None:
    for name in ("npz", "streamed npz"):
        hints = [hint for _, hint in cut(content(name), 1 << 20)]
        assert hints == [None, Hint("F32", 300), None, Hint("F16", 0), None]
    compressed = io.BytesIO()
    np.savez_compressed(compressed, large=LARGE, noise=rng.bytes(90_000))
    assert {hint for _, hint in cut(compressed.getvalue(), 1 << 20)} == {None}


@pytest.mark.parametrize("streamed", [False, True])
def test_storages_of_checkpoints(streamed: bool) -> None:
    blocks = blocks_of(checkpoint(streamed=streamed), 1 << 20)
    assert [(block.size, block.hint, block.place.tensor) for block in blocks[1::2]] == [
        (240_000, Hint("F32", 300), "large"), (100_000, Hint("F32", 0), "halves")
    ]  # fmt: skip
    # Without names, and with the ends found where the sizes stand.
    blocks = blocks_of(checkpoint(streamed=streamed, pickled=b"no pickle"), 1 << 20)
    assert [(block.size, block.hint, block.place.tensor) for block in blocks[1::2]] == [
        (240_000, None, "m/data/0"), (100_016, None, "m/data/2")
    ]  # fmt: skip


def test_claims_of_a_checkpoint_are_heard_once() -> None:
    """And only the first pickle's: whoever repeats members gets no more work out of it."""
    pickled = pickled_tensors({"w": ("0", LARGE.size, 0, LARGE.shape)})
    others = pickled_tensors({"x": ("1", LARGE.size, 0, LARGE.shape)})
    names = ["m/data.pkl", "m/data/0", "m/data/0", "m/data.pkl", "m/data/1"]
    contents = [pickled, LARGE.tobytes(), LARGE.tobytes(), others, LARGE.tobytes()]
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped(zip(names, contents, strict=True))
    assert [block.place.tensor for block in blocks_of(data, 1 << 20) if block.size == LARGE.nbytes] == [
        "w", "m/data/0", "m/data/1"
    ]  # fmt: skip


def test_a_base_of_checkpoints_may_have_another_form() -> None:
    """And its tensors other places."""
    plain = len(nczip.compress(checkpoint(streamed=True), 5))
    for base in (checkpoint(streamed=False, folder="of another name"), content("safetensors")):
        assert len(nczip.compress(checkpoint(streamed=True), 5, base=base)) < plain // 2


@pytest.mark.parametrize("name", ["safetensors", "npz", "streamed npz", "checkpoint", "streamed checkpoint"])
def test_blocks_know_their_place(name: str) -> None:
    data = content(name)
    found = blocks_of(data, 150_001)
    assert [block.place.offset for block in found] == [
        sum(block.size for block in found[:i]) for i in range(len(found))
    ]
    of_tensors = [block for block in found if block.hint]
    assert [(block.place.tensor, block.place.inside) for block in of_tensors] == [
        ("large", 0), ("large", 150_000), ("halves", 0)
    ]  # fmt: skip
    for block, array in zip(of_tensors, (LARGE, LARGE, HALVES), strict=True):
        begin = block.place.offset
        assert array.tobytes()[block.place.inside :].startswith(data[begin : begin + block.size])


def test_small_content_is_not_looked_at() -> None:
    assert cut(npy(LARGE[:10]), 1 << 20) == [(12_128, None)]


@pytest.mark.parametrize("name", ["safetensors", "gguf", "npy", "npz", "streamed checkpoint"])
def test_recognised_by_their_first_bytes(name: str) -> None:
    assert is_for_tensors(content(name)[:64])
    assert not is_for_tensors(content("text")[:64])


@pytest.mark.parametrize(
    "name",
    ["safetensors", "gguf", "npy", "npz", "text", "checkpoint", "streamed npz", "streamed checkpoint"],
)
@pytest.mark.parametrize("block_size", [1, 29, 31, 1000, 65_537, 1 << 20])
def test_all_content_is_in_some_block(name: str, block_size: int) -> None:
    data = content(name)[: 4000 if block_size < 100 else None]
    assert max(size for size, _ in cut(data, block_size)) <= block_size


@pytest.mark.parametrize("name", ["safetensors", "npz", "streamed checkpoint"])
@settings(max_examples=20)
@given(pieces=st.lists(st.integers(1, 200_000), max_size=8))
def test_archives_do_not_depend_on_how_content_comes(name: str, pieces: list[int]) -> None:
    data = content(name)
    sink = io.BytesIO()
    with nczip.Writer(sink, 1, block_size=150_000, threads=2) as writer:
        rest = memoryview(data)
        for size in pieces:
            writer.write(rest[:size])
            rest = rest[size:]
        writer.write(rest)
    assert sink.getvalue() == nczip.compress(data, 1, block_size=150_000)
    assert nczip.decompress(sink.getvalue()) == data


class TestTextApart:
    WORDS = b"".join(b"the words of line %d, and more of them\n" % i for i in range(3000))
    OTHERS = (
        base64.encodebytes(rng.bytes(40_000)),
        rng.bytes(30_000),
        bytes(30_000),
        b"%d " * 9 % (*range(9),) * 2000,
    )
    SCRIPTS = ("naïve café, déjà vu " * 900, "こんにちは世界、今日は。" * 700, "слова и ещё слова " * 900)

    @pytest.mark.parametrize("text", [WORDS, *(script.encode() for script in SCRIPTS)])
    def test_text(self, text: bytes) -> None:
        assert all(is_text(text[start : start + PIECE]) for start in range(0, len(text), PIECE))

    @pytest.mark.parametrize("other", OTHERS)
    def test_what_is_none_has_other_blocks(self, other: bytes) -> None:
        assert not any(is_text(other[start : start + PIECE]) for start in range(0, len(other), PIECE))
        content = self.WORDS[:30_000] + other + self.WORDS[:50_000]
        layout = Layout(1 << 20, text_apart=True)
        sizes = [block.size for block in layout.split(memoryview(content), last=True)]
        assert sum(sizes) == len(content)
        assert len(sizes) == 3
        assert 30_000 - PIECE <= sizes[0] <= 30_000 + PIECE
        assert [block.size for block in Layout(1 << 20).split(memoryview(content), last=True)] == [
            len(content)
        ]

    def test_short_runs_change_nothing(self) -> None:
        content = self.WORDS[:50_000] + bytes(9000) + self.WORDS[:50_000]
        assert one_kind(memoryview(content)) == len(content)
        assert one_kind(memoryview(b"")) == 0

    def test_legacy_encodings_are_text(self) -> None:
        sentence = "Der Mantel fällt herunter, und die Tür geht von selbst auf. "
        assert is_text((sentence * 60).encode("latin-1"))


@pytest.mark.parametrize("level", [7, 8, 9])
def test_no_language_model_runs_on_tensors(level: int) -> None:
    data = content("npz")
    assert nczip.compress(data, level) == nczip.compress(data, 6)
    assert nczip.compress(data, level, block_size=100_000) == nczip.compress(data, 6, block_size=100_000)
    base = nczip.Base(data[:-1000])
    with_base = nczip.compress(data, level, base=base)
    assert with_base == nczip.compress(data, 6, base=base)
    assert nczip.inspect(io.BytesIO(with_base)).bases == [base.name.hex()]
