"""The table behind ``make bench-mixed``: mixed files at level 6, beside what else packs such files well.

The files are made here of what every Python has, so other machines have others of the same kinds.
"""

import argparse
import io
import pydoc_data.topics
import random
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path

import shared

from nczip.errors import NczipError
from nczip.report import peers, render, results

PEERS = ("xz -9e", "7z PPMd o16", "zpaq -m5")
LIBRARY = Path(sysconfig.get_path("stdlib"))
OBJECTS = 8  # in the tar
LETTERS = 40  # in the mailbox
MOST = 2_000_000  # bytes of the executable


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--level", type=int, default=6)
    parser.add_argument("--only", help="one of the files")
    shared.add_options(parser)
    options = parser.parse_args()
    shared.stay_on_one_core(options.cpu)
    codecs = [peers.nczip(options.level)]
    codecs += [peer for peer in peers.PEERS if peer.name in PEERS and peer.installed]
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / name for name in MAKERS if options.only in (None, name)}
        for name, path in files.items():
            path.write_bytes(MAKERS[name]())
        found = results.measure(
            codecs,
            results.gather([str(path) for path in files.values()]),
            on_start=lambda label, codec, *_: shared.show(f"{label}  {codec}"),
        )
        shared.show("")
        print(results.machine(), "", sep="\n")
        return _table([codec.name for codec in codecs], files, found)


def _table(codecs: Sequence[str], files: Mapping[str, Path], found: Sequence[results.Result]) -> int:
    """Prints a row a file; 1 if the first codec is not the smallest everywhere, or did not run, else 0."""
    print(shared.row(["bytes", "original", *codecs, ""]))
    print("| --- |" + " ---: |" * (len(codecs) + 1) + " --- |")
    status = 0
    for name, path in files.items():
        sizes = {one.codec: one.packed for one in found if Path(one.file).name == name and not one.trouble}
        first, *others = (sizes.get(codec) for codec in codecs)
        is_smallest = first is not None and all(other is None or first < other for other in others)
        status = status if is_smallest else 1
        cells = [render.amount(size) if size is not None else "-" for size in (first, *others)]
        print(
            shared.row([name, render.amount(path.stat().st_size), *cells, "ok" if is_smallest else "MISSED"])
        )
    return status


def _tar() -> bytes:
    """Sources, and the objects that they go with."""
    file = io.BytesIO()
    sources = sorted((LIBRARY / "json").glob("*.py")) + sorted((LIBRARY / "email").glob("*.py"))
    objects = sorted((LIBRARY / "lib-dynload").glob("*.so"))[:OBJECTS]
    with tarfile.open(fileobj=file, mode="w") as archive:
        for path in [*sources, *objects]:
            info = tarfile.TarInfo(path.name)
            info.size = path.stat().st_size
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    return file.getvalue()


def _pdf() -> bytes:
    """Pages of text and plots, in compressed streams."""
    import matplotlib as mpl

    mpl.use("pdf")
    from matplotlib import pyplot
    from matplotlib.backends.backend_pdf import PdfPages

    file = io.BytesIO()
    state = random.Random(1)
    with PdfPages(file, metadata={"CreationDate": None}) as pages:
        for _, text in zip(range(12), _texts(), strict=False):
            figure, (above, below) = pyplot.subplots(2)
            above.text(0, 0, text[:1500].replace("$", "S"), fontsize=6)
            below.plot([state.gauss(0, 1) for _ in range(2000)])
            pages.savefig(figure)
            pyplot.close(figure)
    return file.getvalue()


def _executable() -> bytes:
    """The interpreter, or the library that most of it is in."""
    folder, name = sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or ""
    paths = [Path(sys.executable).resolve(), Path(folder) / name]
    largest = max((path for path in paths if path.is_file()), key=lambda path: path.stat().st_size)
    return largest.read_bytes()[:MOST]


def _mailbox() -> bytes:
    """Letters, some with an attachment."""
    state = random.Random(2)
    box = b""
    for number, text in zip(range(LETTERS), _texts(), strict=False):
        letter = EmailMessage()
        letter["From"], letter["To"] = f"Reader {number % 7} <r{number % 7}@example.org>", "list@example.org"
        letter["Subject"] = " ".join(text.split()[:6])
        letter["Message-ID"] = f"<{state.getrandbits(64):x}@example.org>"
        letter.set_content(text)
        if number % 5 == 0:
            letter.add_attachment(state.randbytes(8000), maintype="image", subtype="jpeg", filename="i.jpg")
        letter.set_boundary(f"==={number}===")
        box += b"From r@example.org Thu Jan  1 00:00:00 1970\n" + letter.as_bytes() + b"\n"
    return box


def _texts() -> Iterator[str]:
    return (text for _, text in sorted(pydoc_data.topics.topics.items()) if len(text) > 1500)


MAKERS = {
    "sources-and-objects.tar": _tar, "pages.pdf": _pdf, "executable": _executable, "letters.mbox": _mailbox,
}  # fmt: skip


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NczipError as error:
        sys.exit(f"bench: {error}")
