"""The table behind ``make bench-records``: small records, each an archive of its own, after training.

2,000 JSON records of about 500 bytes are compressed one by one with a base that ``nczip train`` made of
other records, and with a dictionary of the same size that zstd trained on those, at its level 19: with
the header that zstd writes by default, and without the dictionary's number in it, which is what nczip is
measured by. Everything runs on one core, and everything is decompressed and compared.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import records
import shared
import zstandard

import nczip
from nczip import training

TARGET = 1.4  # times smaller than zstd
LEVELS = (5, 6)  # that are held to it
SIZES = (training.SIZE, 16 << 10)
TRAINING_SEED, TEST_SEED = 1, 2
ZSTD_LEVEL = 19


@dataclass(frozen=True)
class Row:
    """What one coder made of all records; seconds are of one core."""

    name: str
    packed: int
    compressing: float
    decompressing: float


def main() -> int:
    options = _options()
    shared.stay_on_one_core(options.cpu)
    samples = [record for _, record in records.make(options.samples, TRAINING_SEED)]
    content = [record for _, record in records.make(options.records, TEST_SEED)]
    each = sum(map(len, content)) / len(content)
    print(f"{len(content)} records, {each:.0f} bytes each; trained with {len(samples)} others")
    missed = False
    for size in SIZES:
        missed |= _table(size, samples, content, [int(level) for level in options.levels.split(",")])
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--levels", default="3,4,5,6", help="with commas between")
    parser.add_argument("--records", type=int, default=2000, help="how many to compress")
    parser.add_argument("--samples", type=int, default=8000, help="how many to train with")
    parser.add_argument("--cpu", type=int, help="the core to run on; the last one by default")
    return parser.parse_args()


def _table(size: int, samples: list[bytes], content: list[bytes], levels: list[int]) -> bool:
    """Prints the figures for bases of one size; whether a target was missed that they are held to."""
    shared.show("training")
    start = time.process_time()
    dictionary = zstandard.train_dictionary(size, list(samples), level=ZSTD_LEVEL)
    theirs, start = time.process_time() - start, time.process_time()
    base = nczip.Base(nczip.train(samples, size))
    ours = time.process_time() - start
    print(f"\nBases of {size:,} bytes, trained in {theirs:.1f} s (zstd) and {ours:.1f} s (nczip)\n")

    def zstd(name: str, named: bool) -> Row:
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, dict_data=dictionary, write_dict_id=named)
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
        return _measure(name, content, compressor.compress, decompressor.decompress)

    def nczip_at(level: int) -> Row:
        return _measure(
            f"nczip -{level}",
            content,
            lambda record: nczip.compress(record, level, base=base),
            lambda packed: nczip.decompress(packed, base=base),
        )

    dictionary.precompute_compress(level=ZSTD_LEVEL)
    least = zstd(f"zstd -{ZSTD_LEVEL}, dictionary not named", named=False)
    rows = [least, zstd(f"zstd -{ZSTD_LEVEL}", named=True), *map(nczip_at, levels)]
    print(shared.row(("", "bytes", "each", "smaller than zstd", "ms to compress", "ms to decompress")))
    print(shared.row(("---",) * 6))
    missed = False
    for row in rows:
        ratio = least.packed / row.packed
        verdict = f"{ratio:.2f} x"
        if any(row.name == f"nczip -{level}" for level in LEVELS) and size == SIZES[0]:
            missed |= ratio < TARGET
            verdict += f" {'missed' if ratio < TARGET else 'reached'} (>= {TARGET} x)"
        count = len(content)
        print(
            shared.row(
                (
                    row.name,
                    f"{row.packed:,}",
                    f"{row.packed / count:.1f}",
                    verdict,
                    f"{row.compressing / count * 1000:.2f}",
                    f"{row.decompressing / count * 1000:.2f}",
                )
            )
        )
    return missed


def _measure(
    name: str, content: list[bytes], compress: Callable[[bytes], bytes], decompress: Callable[[bytes], bytes]
) -> Row:
    shared.show(name)
    decompress(compress(content[0]))  # what both sides prepare once is not the records' to pay
    start = time.process_time()
    packed = [compress(record) for record in content]
    compressing, start = time.process_time() - start, time.process_time()
    if [decompress(one) for one in packed] != content:
        raise AssertionError(f"{name} gave other records back")
    return Row(name, sum(map(len, packed)), compressing, time.process_time() - start)


if __name__ == "__main__":
    sys.exit(main())
