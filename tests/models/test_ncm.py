"""Model files: what a reader sees, and files that lie."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import PIECES, converted, gpt2_vocabulary, llama_vocabulary, tiny

from nczip.errors import ModelFileError
from nczip.models.ncm import Model

TEXTS = [
    b"",
    b"the thin tent",
    b"in the  year 1912\r\n",
    "né à l'été — 東京 🤽".encode(),
    b"\x00\x80\xc7\xff",
    b"the\xff the\x80\xc3\xa9\xc3",
    b"<|begin|><tool><|end|>[PAD]",
    bytes(range(256)),
    b"th" * 70_000,
    b"a the\xc3\xa9\xff" * 20_000,
    "\ufffd\ud7ff\U0010ffff".encode() + b"\xed\xa0\x80\xed\xb0\x80\xf5",  # surrogates are not UTF-8
]


@pytest.mark.parametrize("data", TEXTS, ids=lambda data: f"{data[:12]!r}")
def test_whatever_is_encoded_comes_back(data: bytes, byte_level: Model, pieces: Model) -> None:
    for model in (byte_level, pieces):
        entries = model.encode(data)
        assert entries.dtype == np.uint32
        assert model.decode(entries) == data


fragments = st.sampled_from([*TEXTS[:8], b" the", b" ", b"\n", b"\xc3", b"\xa9", b"12"])
contents = st.lists(st.one_of(fragments, st.binary(), st.text().map(str.encode)), max_size=8).map(b"".join)


@given(data=contents)
def test_any_bytes_come_back(data: bytes, byte_level: Model, pieces: Model) -> None:
    assert byte_level.decode(byte_level.encode(data)) == data
    assert pieces.decode(pieces.encode(data)) == data


def words(model: Model, data: bytes) -> list[bytes]:
    return [model.decode(np.array([entry])) for entry in model.encode(data)]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"the thin", [b"the", b" ", b"th", b"in"]),
        (b"in the\r\n", [b"in", b" the", b"\r\n"]),
        (b"12", [b"1", b"2"]),  # digits stand alone
        ("é".encode(), ["é".encode()]),
        (b"the\x00the", [b"the", b"\x00", b"the"]),  # only what has no token is spelled
        (b"the\xff the", [b"the", b"\xff", b" the"]),
        ("the Çthe".encode(), [b"the", b" ", b"\xc3", b"\x87", b"the"]),
        (b"a<tool>b", [b"a", b"<tool>", b"b"]),
        (b"<|end|>", [b"<", b"|", b"e", b"n", b"d", b"|", b">"]),
    ],
)
def test_text_goes_through_the_tokenizer(data: bytes, wanted: list[bytes], byte_level: Model) -> None:
    assert words(byte_level, data) == wanted


def test_pieces_are_merged_by_score(pieces: Model) -> None:
    assert words(pieces, b"the the\n") == [b"t", b"he", b" the", b"\n"]  # "he" scores above "th"
    assert words(pieces, b"<td>A\xff") == [b"<td>", b"A", b"\xff"]


def by_score(text: str) -> list[str]:
    """SentencePiece's own way: of all neighbours join the two that score best together, until none do."""
    vocabulary = llama_vocabulary()
    scores = dict(zip(vocabulary["tokenizer.ggml.tokens"], vocabulary["tokenizer.ggml.scores"], strict=True))
    parts = list(text.replace(" ", "▁"))
    while True:
        joined = [
            (scores[left + right], -i)
            for i, (left, right) in enumerate(pairwise(parts))
            if left + right in PIECES
        ]
        if not joined:
            return parts
        place = -max(joined)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@given(text=st.text(alphabet="the inA\n", max_size=30))
def test_any_text_is_merged_by_score(text: str, pieces: Model) -> None:
    assert words(pieces, text.encode()) == [part.replace("▁", " ").encode() for part in by_score(text)]


def test_other_ways_to_cut_words(tmp_path: Path) -> None:
    digits = {
        "smollm": [b"1", b"2"],
        "qwen2": [b"1", b"2"],
        "llama-bpe": [b"12"],
        "gpt-2": [b"12"],
        "default": [b"12"],
    }
    for pre, wanted in digits.items():
        assert words(converted(tiny("llama", gpt2_vocabulary(pre)), tmp_path), b"12") == wanted


def test_entries_that_there_are_not(byte_level: Model) -> None:
    for entry in (-1, byte_level.vocabulary_size, 1 << 40):
        with pytest.raises(ValueError, match="outside of the vocabulary"):
            byte_level.decode(np.array([0, entry]))


def test_what_is_known_of_a_file(ncm: Path) -> None:
    model = Model.open(str(ncm))
    digest = hashlib.sha256(ncm.read_bytes()).digest()
    assert (model.sha256, model.id, model.size) == (digest, digest[:8], ncm.stat().st_size)
    assert Model.open(ncm, verify=False).sha256 == digest
    with pytest.raises(ValueError, match="read-only"):
        model.tensors["final_norm"][0] = 1


def refused(path: Path, said: str) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        Model.open(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_cut_anywhere(ncm: Path) -> None:
    whole = ncm.read_bytes()
    for end in [*range(0, 20), *range(20, len(whole), 1499), len(whole) - 64, len(whole) - 1]:
        ncm.write_bytes(whole[:end])
        refused(ncm, "is cut short|is not a model file")
    ncm.write_bytes(whole + bytes(64))
    refused(ncm, "64 bytes more than its tensors take")


def test_a_flipped_bit(ncm: Path) -> None:
    """Anything that is opened under the name of its hash is what was hashed."""
    whole = ncm.read_bytes()
    named = ncm.with_name(f"tiny-{hashlib.sha256(whole).hexdigest()[:16]}.ncm")
    named.write_bytes(whole)
    Model.open(named)
    rng = np.random.default_rng(1)
    for at in [*range(0, 2000, 7), *rng.integers(2000, len(whole), 200).tolist()]:
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << at % 8
        named.write_bytes(spoilt)
        with pytest.raises(ModelFileError):
            Model.open(named)


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the header of a model file and leaves the data as it is."""
    whole = path.read_bytes()
    length = int.from_bytes(whole[12:16], "little")
    header = json.loads(whole[16 : 16 + length])
    change(header)
    with_header(path, json.dumps(header).encode(), whole[16 + length :])


def with_header(path: Path, header: bytes, data: bytes = b"") -> None:
    header = header.ljust(-(-(16 + len(header)) // 64) * 64 - 16)
    path.write_bytes(b"\x89NCM\r\n\x1a\n" + struct.pack("<II", 1, len(header)) + header + data)


LACKS = "lacks something, or has it wrong"
CANNOT_BE = "cannot be"
MISPLACED = "where it should be, or has it in another shape"


def setting(*path: Any, to: Any) -> Callable[[dict[str, Any]], object]:
    def change(header: Any) -> None:
        for step in path[:-1]:
            header = header[step]
        header[path[-1]] = to

    return change


CHANGES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    *[
        (lambda header, key=key: header.pop(key), LACKS)
        for key in ("name", "architecture", "attention", "tensors")
    ],
    *[
        (lambda header, key=key: header["architecture"].pop(key), LACKS)
        for key in ("family", "layers", "hidden", "norm_eps", "layer_kinds")
    ],
    (setting("arithmetic", to=2), "arithmetic"),
    (setting("architecture", to=[]), LACKS),
    (setting("architecture", "layers", to=3), CANNOT_BE),
    (setting("architecture", "layers", to=2.0), LACKS),
    (setting("architecture", "layers", to=True), LACKS),
    (setting("architecture", "layers", to=10**30), CANNOT_BE),
    (setting("architecture", "hidden", to=1 << 62), CANNOT_BE),
    (setting("architecture", "hidden", to=36), MISPLACED),
    (setting("architecture", "hidden", to=34), "does not take"),
    (setting("architecture", "ffn", to=1 << 30), MISPLACED),
    (setting("architecture", "norm_eps", to=-1.0), CANNOT_BE),
    (setting("architecture", "norm_eps", to=1), LACKS),
    (setting("architecture", "family", to="mamba"), CANNOT_BE),
    (setting("architecture", "family", to="qwen3"), MISPLACED),
    (setting("architecture", "layer_kinds", to=[0, 1]), CANNOT_BE),
    (setting("architecture", "layer_kinds", to=[0, -1]), CANNOT_BE),
    (setting("architecture", "layer_kinds", to=5), LACKS),
    (setting("attention", 0, "rope", to=1), CANNOT_BE),
    (setting("attention", 0, "window", to=-1), CANNOT_BE),
    (setting("attention", to=[]), CANNOT_BE),
    (setting("vocabulary", to=None), LACKS),
    (setting("vocabulary", "size", to=255), "vocabulary that does not hold together"),
    (setting("vocabulary", "size", to=300), "vocabulary that does not hold together"),
    (setting("vocabulary", "bos", to=5), "vocabulary that does not hold together"),
    (setting("vocabulary", "tied", to=False), MISPLACED),
    (setting("vocabulary", "tied", to=1), LACKS),
    (setting("tensors", to={}), MISPLACED),
    (setting("tensors", to=[[]]), LACKS),
    (setting("tensors", 5, "name", to="tail"), MISPLACED),
    (setting("tensors", 5, "dtype", to="f64"), MISPLACED),
    (setting("tensors", 5, "shape", to=[1 << 63]), MISPLACED),
    (setting("tensors", 1, "shape", to=[1 << 63]), "is cut short|should be at"),
    (setting("tensors", 1, "shape", to=[-1]), LACKS),
    (setting("tensors", 3, "shape", to=[0]), LACKS),
    (setting("tensors", 5, "shape", to="abc"), LACKS),
    (setting("tensors", 6, "offset", to=0), "should be at"),
    (setting("tensors", 6, "offset", to=1 << 63), "should be at"),
    (setting("tensors", 6, "offset", to=-64), "should be at"),
    (lambda header: header["tensors"].pop(), MISPLACED),
    (lambda header: header["tensors"].pop(7), MISPLACED),
    (lambda header: header["tensors"].append(header["tensors"][0]), "more tensors"),
    (lambda header: header["tensors"].insert(3, header["tensors"][3]), MISPLACED),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_header_that_lies(change: Callable[[dict[str, Any]], object], said: str, ncm: Path) -> None:
    rewritten(ncm, change)
    refused(ncm, said)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[]", "is no object"),
        (b"\xff{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' * 100_000, "is not JSON"),
        (b'{"arithmetic":' + b"9" * 100_000 + b"}", "is not JSON"),
        (b'{"arithmetic":1e99999}', "arithmetic"),
        (b'{"arithmetic":NaN}', "is not JSON"),
        (b'{"arithmetic":1}', LACKS),
        (b" " * (1 << 20), "impossible length"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_header_that_is_none(header: bytes, said: str, ncm: Path) -> None:
    with_header(ncm, header)
    refused(ncm, said)


def test_what_is_no_model_file(ncm: Path) -> None:
    whole = ncm.read_bytes()
    for data, said in [
        (b"", "is not a model file"),
        (b"GGUF" + bytes(100), "is not a model file"),
        (whole[:5].replace(b"\r", b"") + whole[6:], "is not a model file"),  # as a transfer of text would do
        (whole[:8] + b"\2\0\0\0" + whole[12:], "version 2, newer"),
        (whole[:8] + bytes(4) + whole[12:], "unknown version 0"),
        (whole[:12] + b"\xff\xff\xff\xff" + whole[16:], "cut short"),
        (whole[:12] + b"\1\0\0\0" + whole[16:], "impossible length"),
    ]:
        ncm.write_bytes(data)
        refused(ncm, said)


def patched(path: Path, tensor: str, at: int, data: bytes) -> None:
    """Overwrites bytes of a tensor."""
    whole = bytearray(path.read_bytes())
    length = int.from_bytes(whole[12:16], "little")
    (one,) = (one for one in json.loads(whole[16 : 16 + length])["tensors"] if one["name"] == tensor)
    begin = 16 + length + one["offset"] + at
    whole[begin : begin + len(data)] = data
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("tensor", "at", "data", "said"),
    [
        ("vocabulary.begin", 0, b"\1", "does not hold together"),
        ("vocabulary.begin", 4, b"\0", "does not hold together"),
        ("vocabulary.begin", 400, b"\xff\xff\xff\xff", "does not hold together"),
        ("vocabulary.bytes", 0, b"\1", "not in order"),
        ("vocabulary.bytes", 1, b"\0", "not in order"),
        ("vocabulary.ids", 4, b"\xfe\xff\xff\xff", "impossible token ids"),
        ("vocabulary.ids", 8, struct.pack("<II", 70, 70), "impossible token ids"),
        ("head.scale", 0, struct.pack("<f", float("nan")), "not finite"),
        ("layers.1.down.scale", 4, struct.pack("<f", -1), "cannot be"),
        ("final_norm", 4, struct.pack("<f", float("inf")), "not finite"),
        ("layers.0.gate_up", 77, b"\0", "outside of -127 to 127"),
    ],
)
def test_data_that_lies(tensor: str, at: int, data: bytes, said: str, ncm: Path) -> None:
    patched(ncm, tensor, at, data)
    refused(ncm, said)


def test_a_byte_that_cannot_be_spelled(ncm: Path) -> None:
    strings = Model.open(ncm).tensors["vocabulary.bytes"].tobytes()
    patched(ncm, "vocabulary.bytes", strings.index(b"z"), b"y~")  # "y", "z", "{" become "y", "y~", ...
    refused(ncm, "vocabulary")


GROWING = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.pop("model"),
        lambda file: file["model"].update(type="WordLevel"),
        lambda file: file["model"].update(dropout=0.5),
        lambda file: file["model"].update(merges=[["a", "zz"]]),
        lambda file: file["model"].update(vocab=[]),
        lambda file: file.update(normalizer=GROWING),
        lambda file: file.update(pre_tokenizer=GROWING),
        lambda file: file.update(
            pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Metaspace"}]}
        ),
        lambda file: file.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}}),
        lambda file: file.update(post_processor={"type": "ByteLevel"}),
        lambda file: file.update(truncation={"max_length": 1}),
    ],
)
def test_a_tokenizer_that_does_not_work(change: Callable[[dict[str, Any]], object], ncm: Path) -> None:
    packed = Model.open(ncm).tensors["tokenizer"].tobytes()
    file = json.loads(packed)
    change(file)
    spoilt = json.dumps(file, ensure_ascii=False, separators=(",", ":")).encode()
    if len(spoilt) > len(packed):  # the place is limited; nothing that is looked at is lost
        file["added_tokens"], file["model"]["merges"] = [], []
        file["model"]["vocab"] = {}
        spoilt = json.dumps(file, ensure_ascii=False, separators=(",", ":")).encode()
    patched(ncm, "tokenizer", 0, spoilt.ljust(len(packed)))
    model = Model.open(ncm)
    with pytest.raises(ModelFileError, match="has a tokenizer that does not work") as caught:
        model.encode(b"the")
    assert str(caught.value).count("has a tokenizer") == 1
    assert model.decode(np.arange(model.vocabulary_size)).startswith(b"\0\1\2")  # decoding needs none
