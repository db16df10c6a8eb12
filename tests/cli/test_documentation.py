"""Help, manual page and completions say the same, because they are made of the same."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from terminal import environment

from nczip.cli import commands
from nczip.cli.completion import script
from nczip.cli.man import page
from nczip.cli.options import Option

COMMANDS = {"nczip": commands.files} | {name: commands.load(name) for name in commands.SUBCOMMANDS}
OPTIONS = [option for _, options in commands.files.headings() for option in options]


def rendered(roff: str) -> str:
    """The words of a manual page, without the escapes that we use."""
    return re.sub(r"\\f[BR]|\\&", "", roff).replace(r"\-", "-")


def help_of(name: str) -> str:
    return COMMANDS[name].get_help(click.Context(COMMANDS[name], info_name=name))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.opts[-1])
def test_every_option_is_in_help_and_manual(option: Option) -> None:
    assert option.help
    assert re.search(
        rf"^ +{re.escape(option.spelling.strip())}  +{re.escape(option.help)}$", help_of("nczip"), re.M
    )
    assert f"\n{option.spelling.strip()}\n{option.help}\n" in rendered(page())


def test_the_manual_has_what_the_help_has() -> None:
    manual = rendered(page())
    for line, text in (*commands.files.examples, *commands.EXIT_STATUSES):
        assert f"\n{line}\n{text}\n" in manual
        assert line in help_of("nczip")
    for name, (_, text) in commands.SUBCOMMANDS.items():
        assert f"\nnczip {name}\n{text}\n" in manual
        assert re.search(rf"^  {name} +{re.escape(text)}$", help_of("nczip"), re.M)


def test_a_new_option_reaches_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = Option("Messages", "--sing", metavar="SONG", help="sing while it works")
    monkeypatch.setattr(commands.files, "params", [*commands.files.params, extra])
    assert "--sing SONG" in help_of("nczip")
    assert "--sing SONG" in rendered(page())
    assert all("sing" in script(shell) for shell in ("bash", "zsh", "fish"))


def test_the_manual_is_sound_roff(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "nczip.cli.man"], env=environment(), capture_output=True, check=True, text=True
    )
    assert made.stdout == page()
    if shutil.which("groff") is None:
        pytest.skip("there is no groff")
    shown = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou"],
        input=made.stdout,
        capture_output=True,
        check=True,
        text=True,
    )
    assert shown.stderr == ""
    assert "--keep-going" in shown.stdout


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "corpora"])
def test_help_fits_a_terminal(name: str) -> None:
    assert max(len(line) for line in help_of(name).splitlines()) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_option(shell: str) -> None:
    text = script(shell)
    for name, command in COMMANDS.items():
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                assert all(opt.lstrip("-") in text for opt in param.opts), (name, param.opts)
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([shell, "-n"], input=text, text=True, check=True)


def completed(line: str, directory: Path, program: str = "nczip") -> list[str]:
    """What bash offers for the last word of ``line``."""
    words = line.split(" ")
    driver = f"""
        source <(nczip completion bash)
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
        _nczip {program}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", driver], cwd=directory, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return sorted(done.stdout.split("\n")[:-1])


def test_bash_completes(tmp_path: Path) -> None:
    for name in ("notes", "notes.ncz", "my file.ncz"):
        (tmp_path / name).touch()
    (tmp_path / "src").mkdir()
    archives = ["my file.ncz", "notes.ncz", "src"]
    assert completed("nczip --keep", tmp_path) == ["--keep", "--keep-going"]
    assert completed("nczip comp", tmp_path) == ["completion", "compress"]
    assert completed("nczip completion ", tmp_path)[:3] == ["bash", "fish", "my file.ncz"]
    assert completed("nczip compress --r", tmp_path) == ["--recursive", "--rm"]
    assert completed("nczip n", tmp_path) == ["notes", "notes.ncz"]
    assert completed("nczip -d ", tmp_path) == archives
    assert completed("nczip -dkf ", tmp_path) == archives
    assert completed("nczip decompress ", tmp_path) == archives
    assert completed("unnczip ", tmp_path, "/usr/bin/unnczip") == archives
    assert completed("nczip --output-dir ", tmp_path) == ["src"]
    assert completed("nczip -T ", tmp_path) == [""]


def test_nothing_heavy_is_imported_to_say_the_version() -> None:
    program = """
import sys
sys.argv = ["nczip", "--version"]
from nczip.cli.main import main
assert main() == 0
heavy = ["numpy", "zstandard", "xxhash", "nczip._core", "nczip.stream", "concurrent.futures", "email.message"]
print([name for name in heavy[:-1] if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1] == "[]"
