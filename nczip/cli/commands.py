"""The commands: which options each takes, and what its help says."""

import sys
from importlib import import_module
from typing import Any

import click

from nczip.cli import options as opt

PROGRAMS = ("nczip", "unnczip", "nczcat")

PURPOSE = "a lossless compressor for when size matters most"

SUMMARY = (
    "Compress each FILE to FILE.ncz and keep FILE. With no FILE, or with -, read standard input and write "
    "standard output."
)

# What the manual page says beyond --help.
DETAILS = (
    "unnczip is nczip -d, and nczcat is nczip -dc. A first word that names a command is that command, even "
    "where a file has that name: write ./report for the file.",
    "An output is written under a temporary name beside its place, brought to the disk, and renamed only "
    "when it is whole; an error or an interruption leaves nothing under the final name. The output takes the "
    "mode and the times of its input. Where it exists, nczip asks on a terminal and refuses elsewhere.",
    "What an archive holds depends on the input, the level, --block-size and -M, and never on the number of "
    "threads. Decompressing checks every block before its bytes are given out. Archives may be concatenated; "
    "together they decompress to their contents one after the other.",
    "-M bounds the memory of the whole process. Compressing keeps to it with smaller tables and blocks, "
    "which the archive records, and fewer threads. Decompressing refuses an archive that needs more, and "
    "says how much; nczip -lv tells beforehand.",
    "With -r, files that are not for the operation (by their suffix, symbolic links, devices) are passed "
    "over in silence; a file that is named and not for it is skipped with a warning. --output-dir holds a "
    "tree like the one that -r went through.",
    "nczip -d --keep-going gets out of a damaged archive what is intact, block by block, and lists which "
    "bytes of the content are lost. What it writes has no gaps where they were.",
    "Levels 1 to 3 are fast both ways. From level 4 on decompressing takes as long as compressing, or "
    "longer.",
    "Levels 7 to 9 are for text, and need a language model on this machine: nczip models fetch gets one, "
    "nczip models import makes one of a file. -m says which, by its name, the beginning of its hash or its "
    "path; otherwise it is smollm2-135m, or the only one there is. An archive holds the hash of its model, "
    "and not the model: decompressing needs that very model, and says how to get it. What is no text is left "
    "to the mixture of level 6.",
    "--base FILE builds on a file that both sides have: an older version of the input, files like it, or "
    "what nczip train made of samples. An archive holds the first eight digits of its SHA-256, and unpacking "
    "needs that very file; of several --base it takes the right one. Zstd and matches of the mixture reach "
    "all of it, up to its last 256 MiB. The mixture reads its last 2 MiB (512 KiB at level 6) before it "
    "begins, which takes as long as compressing them. Language models do not look at it: at levels 7 to 9 a "
    "block goes through the model, or with the base through the mixture of level 6, whichever gives less.",
    "Levels 7 and 8 go to an NVIDIA GPU where there is one and the packages of nczip[cuda] are installed, "
    "unless --device cpu. The archive is the same. Each block that a GPU packed is decoded once more and "
    "compared, unless --no-verify; what a GPU cannot do, the CPU does, with a warning. --device cuda is an "
    "error where there is no GPU to use.",
)

# A first word -> where its click command is, and what it does: said here so that --help imports none of them.
SUBCOMMANDS = {
    "compress": ("nczip.cli.commands:compress", "the same as nczip FILE..."),
    "decompress": ("nczip.cli.commands:decompress", "the same as nczip -d FILE..."),
    "report": ("nczip.cli.report_cmd:report", "bits per byte and speed, beside other compressors"),
    "train": ("nczip.cli.train_cmd:train", "make a base for many small files from samples of them"),
    "bench": ("nczip.cli.bench_cmd:bench", "how fast levels 7 and 8 are, on the CPU or a GPU"),
    "models": ("nczip.cli.models_cmd:models", "list, fetch, import and remove language models"),
    "corpora": ("nczip.cli.corpora_cmd:corpora", "list, fetch and verify test corpora"),
    "completion": ("nczip.cli.commands:completion", "print the completions of a shell: bash, zsh or fish"),
}

EXIT_STATUSES = (
    ("0", "all done"),
    ("1", "an error: some file was not done"),
    ("2", "a warning: some file was skipped, or lost a part under --keep-going"),
    ("3", "a language model is not on this machine, or a base was not given"),
    ("130", "interrupted: nothing half-written is left"),
)


def load(name: str) -> click.Command:
    """The click command of a subcommand."""
    module, attribute = SUBCOMMANDS[name][0].split(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    return command


def run_files(files: tuple[str, ...], **chosen: Any) -> int:
    """Compresses, decompresses, tests or lists ``files``; returns the exit status."""
    settings = opt.Settings(**{name: value for name, value in chosen.items() if value is not None})
    if not files and settings == opt.Settings() and sys.stdin.isatty() and sys.stdout.isatty():
        from nczip.cli.help import short_help

        click.echo(short_help())
        return 0
    from nczip.cli.work import run

    return run(files, settings)


files = opt.Command(
    name="nczip",
    callback=run_files,
    help=SUMMARY,
    usage=("nczip [OPTION]... [FILE]...", "nczip COMMAND [OPTION]... [ARGUMENT]..."),
    options=(
        *opt.OPERATION,
        *opt.LEVEL,
        *opt.OUTPUT,
        *opt.INPUT,
        *opt.BASE,
        *opt.KEEP_GOING,
        *opt.RESOURCES,
        *opt.DEVICE,
        *opt.VERIFY,
        *opt.BLOCK_SIZE,
        *opt.MESSAGES,
    ),
    examples=(
        ("nczip notes.txt", "write notes.txt.ncz, keep notes.txt"),
        ("nczip -d notes.txt.ncz", "get notes.txt back"),
        ("nczip -6 -r --rm logs", "make every file below logs small, in place"),
        ("nczip -8 notes.txt", "smaller still, by a language model"),
        ("nczip --base v1.tar v2.tar", "what v2.tar has and v1.tar has not"),
        ("nczcat a.ncz | less", "look inside"),
        ("tar -I nczip -cf s.tar.ncz src", "pack a directory; -xf unpacks it"),
        ("pg_dump db | nczip -3 > db.ncz", "compress a pipe"),
        ("nczip report notes.txt", "see how nczip compares on your own data"),
    ),
)

compress = opt.Command(
    name="compress",
    callback=run_files,
    help=SUMMARY,
    usage=("nczip compress [OPTION]... [FILE]...",),
    options=(
        *opt.LEVEL,
        *opt.OUTPUT,
        *opt.INPUT,
        *opt.BASE,
        *opt.RESOURCES,
        *opt.DEVICE,
        *opt.VERIFY,
        *opt.BLOCK_SIZE,
        *opt.MESSAGES,
    ),
    examples=(("nczip compress -4 notes.txt", "write notes.txt.ncz, keep notes.txt"),),
)


def _decompress(files: tuple[str, ...], **chosen: Any) -> int:
    return run_files(files, mode="decompress", **chosen)


decompress = opt.Command(
    name="decompress",
    callback=_decompress,
    help=(
        "Get each FILE back from FILE.ncz and keep FILE.ncz. With no FILE, or with -, read "
        "standard input and write standard output."
    ),
    usage=("nczip decompress [OPTION]... [FILE]...",),
    options=(*opt.OUTPUT, *opt.INPUT, *opt.BASE, *opt.KEEP_GOING, *opt.RESOURCES, *opt.DEVICE, *opt.MESSAGES),
    examples=(
        ("nczip decompress notes.txt.ncz", "get notes.txt back"),
        ("nczip decompress --keep-going hurt.ncz", "get back what is intact"),
    ),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completions of a SHELL: bash, zsh or fish.

    \b
    bash: nczip completion bash > ~/.local/share/bash-completion/completions/nczip
    zsh:  nczip completion zsh > a directory of $fpath, as _nczip
    fish: nczip completion fish > ~/.config/fish/completions/nczip.fish
    """
    from nczip.cli.completion import script

    click.echo(script(shell), nl=False)
