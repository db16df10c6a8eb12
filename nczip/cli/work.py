"""What is done to one file after another."""

import os
import stat
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import BinaryIO, cast

import click

import nczip
from nczip import device as devices
from nczip import levels
from nczip.cli import units
from nczip.cli.files import Source, open_source, open_target, sources
from nczip.cli.listing import Listing, model_name
from nczip.cli.options import Settings
from nczip.cli.output import SkipError
from nczip.cli.terminal import Console, shown
from nczip.container import LANGUAGE
from nczip.device import DeviceWarning
from nczip.errors import NczipError

_CHUNK = 1 << 20  # bytes read or written at a time


def run(files: tuple[str, ...], settings: Settings) -> int:
    """Does what ``settings`` say to each file, going on after an error; returns the exit status."""
    check(files, settings)
    console = Console(quiet=settings.quiet, verbose=settings.verbose)
    bases = [nczip.Base(path) for path in settings.bases]  # once for all files, and before any is opened
    if settings.mode == "list":
        listing = Listing(settings, bases)
        _each(files, settings, console, listing.add)
        listing.finish()
    else:
        act = {"compress": compress, "decompress": decompress, "test": test}[settings.mode]
        with warnings.catch_warnings():
            warnings.simplefilter("default", DeviceWarning)
            warnings.showwarning = lambda message, *_: console.aside(message)
            _each(files, settings, console, lambda source: act(source, settings, bases, console))
    return console.status


def check(files: tuple[str, ...], settings: Settings) -> None:
    """Raises for options that cannot be meant, or not together."""
    level = settings.level
    if level is not None and level not in levels.LEVELS:
        raise click.UsageError(f"there is no level {level}, only {levels.LEVELS[0]} to {levels.LEVELS[-1]}")
    most = levels.largest_block(level or levels.DEFAULT_LEVEL)
    if settings.block_size is not None and settings.block_size > most:
        raise click.UsageError(f"a block has {units.size(most)} at most")
    if settings.output == "":
        raise click.UsageError("-o names no file")
    if settings.output not in (None, "-") and (len(files) > 1 or settings.recursive):
        raise click.UsageError("-o names one output, so it takes one input")
    if settings.output is not None and settings.output_dir is not None:
        raise click.UsageError("--output-dir goes with neither -o nor -c")
    if settings.remove and settings.output == "-":
        raise click.UsageError("--rm goes with an output file, not with -c")
    if len(settings.bases) > 1 and settings.mode == "compress":
        raise click.UsageError("an archive is made with one --base")
    if settings.keep_going and settings.mode != "decompress":
        raise click.UsageError("--keep-going goes with -d")
    spoken = settings.mode == "compress" and level in levels.LANGUAGE_LEVELS
    if settings.model is not None and not spoken:
        least, most = levels.LANGUAGE_LEVELS[0], levels.LANGUAGE_LEVELS[-1]
        raise click.UsageError(
            f"-m is for compressing at levels {least} to {most}; an archive names its model"
        )
    if settings.mode == "compress" and settings.device == "cuda" and level not in devices.LEVELS:
        raise click.UsageError(f"--device cuda is for levels {devices.LEVELS[0]} and {devices.LEVELS[-1]}")
    if spoken:
        from nczip import language

        language.find(settings.model)  # before any file is opened, and not once for each


def _each(
    files: tuple[str, ...], settings: Settings, console: Console, act: Callable[[Source], None]
) -> None:
    """Calls ``act`` with each input; what goes wrong with one is said and does not stop the others."""
    for source in sources(files, settings, console):
        try:
            act(source)
        except SkipError as reason:
            console.warning(source.name, reason)
        except BrokenPipeError:
            raise
        except NczipError as error:
            console.error(source.name, error, error.exit_status)
        except OSError as error:
            console.error(error.filename or source.name, error.strerror or error)
        except MemoryError:
            console.error(source.name, "not enough memory")


def compress(source: Source, settings: Settings, bases: Sequence[nczip.Base], console: Console) -> None:
    """Writes the archive of one input."""
    file, info = open_source(source, settings)
    with file, open_target(source, info, settings, console) as output:
        with (
            console.progress(source.name, raw_size=_size(file)) as progress,
            nczip.open(
                cast(BinaryIO, output),
                "wb",
                level=settings.level or levels.DEFAULT_LEVEL,
                model=settings.model,
                base=bases[0] if bases else None,
                threads=_threads(settings),
                memory=settings.memory,
                block_size=settings.block_size,
                device=settings.device,
                verify=settings.verify,
                on_progress=progress.update,
            ) as writer,
        ):
            console.note(source.name, lambda: _plan_in_words(writer.plan))
            while chunk := file.read1(_CHUNK):  # one Ctrl-D ends what is typed; read() would want two
                writer.write(chunk)
        output.commit()
    raw, packed = writer.raw_size, writer.packed_size
    saved = f" ({packed / raw:.1%}, {8 * packed / raw:.3f} bits per byte)" if raw else ""
    console.done(source.name, f"{units.size(raw)} to {units.size(packed)}{saved}, {shown(output.name)}")
    if settings.remove:
        _remove(source, info)


def decompress(source: Source, settings: Settings, bases: Sequence[nczip.Base], console: Console) -> None:
    """Writes the content of one archive, or under --keep-going what is intact of it."""
    file, info = open_source(source, settings)
    with file, open_target(source, info, settings, console) as output:
        if settings.keep_going:
            intact = _salvage(file, cast(BinaryIO, output), source, bases, console)
        else:
            raw = _decode(file, output.write, source, settings, bases, console)
            console.done(source.name, f"{units.size(raw)}, {shown(output.name)}")
            intact = True
        output.commit()
    if settings.remove and intact:
        _remove(source, info)


def test(source: Source, settings: Settings, bases: Sequence[nczip.Base], console: Console) -> None:
    """Decodes one archive and keeps nothing of it."""
    file, _ = open_source(source, settings)
    with file:
        raw = _decode(file, len, source, settings, bases, console)
    console.done(source.name, f"intact, {units.size(raw)}")


def _decode(
    file: BinaryIO,
    write: Callable[[bytes], int],
    source: Source,
    settings: Settings,
    bases: Sequence[nczip.Base],
    console: Console,
) -> int:
    """Gives the content to ``write``, piece by piece; returns its size."""
    with (
        console.progress(source.name, packed_size=_size(file)) as progress,
        nczip.open(
            file,
            "rb",
            base=bases,
            threads=_threads(settings),
            memory=settings.memory,
            device=settings.device,
            on_progress=progress.update,
        ) as reader,
    ):
        # Only the index knows how much it will be; where that is damaged, reading on says so better.
        if progress.wants_size:
            with suppress(OSError, NczipError):
                progress.raw_size = reader.size
        while chunk := reader.read(_CHUNK):
            write(chunk)
        return reader.tell()


def _size(file: BinaryIO) -> int | None:
    """Bytes from here to the end of a file; None for a pipe or a device."""
    info = os.fstat(file.fileno())
    return info.st_size - file.tell() if stat.S_ISREG(info.st_mode) else None


def _salvage(
    file: BinaryIO, output: BinaryIO, source: Source, bases: Sequence[nczip.Base], console: Console
) -> bool:
    """Writes what is intact and says what is lost; True if nothing is."""
    if not file.seekable():
        raise OSError("--keep-going needs a file that can be sought, not a pipe")

    def report(lost: nczip.LostRange) -> None:
        console.lost(source.name, _loss_in_words(lost))

    return not nczip.salvage(file, output, report, base=bases)


def _loss_in_words(lost: "nczip.LostRange") -> str:
    where = f"archive bytes {lost.offset} to {lost.offset + lost.size - 1}"
    if lost.raw_size == 0:
        return f"a header or an index is damaged ({where}), no content is lost"
    if lost.raw_size is None:
        start = "" if lost.raw_offset is None else f" from byte {lost.raw_offset} on"
        return f"lost an unknown length of the content{start} ({where})"
    if lost.raw_offset is None:
        return f"lost {lost.raw_size} bytes of the content after the first loss ({where})"
    return f"lost bytes {lost.raw_offset} to {lost.raw_offset + lost.raw_size - 1} of the content ({where})"


def _plan_in_words(plan: levels.Plan) -> str:
    threads = "1 thread" if plan.threads == 1 else f"{plan.threads} threads"
    blocks = f"blocks of {units.size(plan.block_size)}"
    level = f"level {plan.level}"
    if plan.base is not None:
        level += f" with the base {plan.base.name.hex()}"
    if plan.method.id == LANGUAGE:
        from nczip import language

        level += f" with {model_name(language.model_id(plan.method).hex())}"
    return f"{level}, {blocks}, {threads}, memory up to {units.size(plan.memory)}"


def _threads(settings: Settings) -> int:
    """What -T says, else one for each core that this process may use; -M makes it fewer further on."""
    if settings.threads:
        return settings.threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _remove(source: Source, info: os.stat_result | None) -> None:
    """Removes an input that is done with, if its name is still the file that was read."""
    if source.path is not None and info is not None and os.path.samestat(info, source.path.stat()):
        source.path.unlink()
