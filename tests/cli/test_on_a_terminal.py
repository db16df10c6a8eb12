"""What a person at a terminal meets: questions, refusals, a progress line."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
import speaking
from terminal import PATIENCE, Terminal, environment

LINE = "\r\x1b[K"  # begins a progress line, and takes the last one away


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.write_text("".join(f"note {number}\n" for number in range(1000)))
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """An input that takes hours and no room."""
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    return path


def nczip(*arguments: str, cwd: Path, **environ: str) -> bytes:
    """What nczip writes, away from any terminal."""
    command = ["nczip", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment() | environ, capture_output=True, check=True)
    return done.stdout


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_alone_it_shows_the_first_steps(tmp_path: Path) -> None:
    with Terminal("nczip", cwd=tmp_path) as terminal:
        status, shown = terminal.end()
    assert status == 0
    assert "nczip -d notes.txt.ncz" in shown
    assert "nczip --help" in shown
    assert len(shown.splitlines()) < 12


def test_options_without_a_file_read_the_terminal(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, Terminal("nczip", "-1", cwd=tmp_path, stdout=out) as terminal:
        terminal.type("typed\n\x04")
        assert terminal.end()[0] == 0
    assert nczip("-dc", "out", cwd=tmp_path) == b"typed\n"


@pytest.mark.parametrize("command", [["-c", "notes"], ["-o-", "notes"], []])
def test_no_archive_goes_to_a_terminal(notes: Path, command: list[str]) -> None:
    with (
        notes.open("rb") as file,
        Terminal("nczip", "-z", *command, cwd=notes.parent, stdin=file) as terminal,
    ):
        status, shown = terminal.end()
    assert status == 1
    assert shown == "nczip: (stdout): no archive is written to a terminal, except with -f\n"


def test_force_writes_an_archive_to_a_terminal(notes: Path) -> None:
    with Terminal("nczip", "-cfq", "notes", cwd=notes.parent) as terminal:
        terminal.expect("NZ")
        assert terminal.process.wait(PATIENCE) == 0


def test_content_may_go_to_a_terminal(notes: Path) -> None:
    notes.write_text("to be read\n")
    nczip("notes", cwd=notes.parent)
    with Terminal("nczcat", "-q", "notes.ncz", cwd=notes.parent) as terminal:
        assert terminal.end() == (0, "to be read\n")


@pytest.mark.parametrize("operation", ["-d", "-t", "-l"])
def test_no_archive_comes_from_a_terminal(tmp_path: Path, operation: str) -> None:
    with Terminal("nczip", operation, cwd=tmp_path) as terminal:
        status, shown = terminal.end()
    assert status == 1
    assert shown == "nczip: (stdin): no archive is read from a terminal, except with -f\n"


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("YES", 0), ("n", 2), ("", 2), ("\x04", 2)])
def test_it_asks_before_it_overwrites(notes: Path, answer: str, status: int) -> None:
    archive = notes.with_name("notes.ncz")
    archive.write_text("precious")
    with Terminal("nczip", "notes", cwd=notes.parent) as terminal:
        terminal.expect("nczip: notes.ncz exists; overwrite it? [y/N] ")
        terminal.type(answer if answer == "\x04" else f"{answer}\n")
        ended, shown = terminal.end()
    assert ended == status
    assert (archive.read_bytes() == b"precious") == (status == 2)
    assert ("nczip: notes: not overwritten" in shown) == (status == 2)
    assert names(notes.parent) == ["notes", "notes.ncz"]


def test_it_asks_nobody_where_standard_input_is_no_terminal(notes: Path) -> None:
    notes.with_name("notes.ncz").write_text("precious")
    with Terminal("nczip", "notes", cwd=notes.parent, stdin=subprocess.DEVNULL) as terminal:
        assert terminal.end() == (1, "nczip: notes.ncz: exists already; -f overwrites it\n")


def test_what_came_of_a_file_is_said(notes: Path) -> None:
    with Terminal("nczip", "notes", cwd=notes.parent) as terminal:
        status, shown = terminal.end()
    assert status == 0
    assert re.fullmatch(
        r"nczip: notes: [\d.]+ KiB to [\d.]+ (Ki)?B \([\d.]+%, [\d.]+ bits per byte\), notes.ncz\n", shown
    )


def test_quiet_says_nothing(notes: Path) -> None:
    with Terminal("nczip", "-q", "notes", cwd=notes.parent) as terminal:
        assert terminal.end() == (0, "")


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_a_bar_shows_how_far_it_is_and_goes_when_interrupted(endless: Path, columns: int) -> None:
    with Terminal("nczip", "-3", "-T1", "endless", cwd=endless.parent, columns=columns) as terminal:
        terminal.expect(" left")
        terminal.process.send_signal(signal.SIGINT)
        status, shown = terminal.end()
    assert status == 130
    assert re.search(r"nczip: endless: takes about \d+ (h|min)", shown)
    drawn = [line for line in shown.split(LINE)[1:] if line and "nczip:" not in line]
    assert drawn
    assert all(len(line) < columns for line in drawn)
    assert all("%" in line and "──" in line for line in drawn)
    assert drawn[-1].endswith(" left")
    assert ("iB/s" in drawn[-1]) == (columns >= 80)
    assert all(("ratio" in line) == (columns >= 80) for line in drawn)
    assert all(("of 1.00 TiB" in line) == (columns > 80) for line in drawn)
    assert shown.endswith(LINE)
    assert names(endless.parent) == ["endless"]


@pytest.mark.parametrize("option", ["-7", "-8", "-9", "-d"])
def test_a_language_model_says_how_long_it_takes_and_can_be_interrupted(tmp_path: Path, option: str) -> None:
    path = tmp_path / "text"
    path.write_text(
        "".join(f"line {number}: the coder mixes what a model has seen\n" for number in range(6000))
    )
    models = {"NCZIP_MODEL_DIR": str(speaking.MODELS)}
    if option == "-d":
        nczip("-7", "text", cwd=tmp_path, **models)
        archive = (tmp_path / "text.ncz").read_bytes()
        path.write_bytes(archive * 400)
        path = path.rename(tmp_path / "text.ncz")
    else:
        path.write_bytes(path.read_bytes() * 200)
    with Terminal("nczip", option, "-T1", path.name, cwd=tmp_path, **models) as terminal:
        terminal.expect("takes about")
        terminal.expect(" left")
        terminal.process.send_signal(signal.SIGINT)
        status, _ = terminal.end()
    assert status == 130
    assert names(tmp_path) == [path.name]


def test_a_pipe_has_no_end_to_show(tmp_path: Path) -> None:
    with (
        subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as zeros,
        Terminal("nczip", "-1", "-o", "out", cwd=tmp_path, stdin=zeros.stdout) as terminal,
    ):
        assert zeros.stdout is not None
        zeros.stdout.close()
        terminal.expect("ratio")
        terminal.process.send_signal(signal.SIGINT)
        status, shown = terminal.end()
    assert status == 130
    assert "(stdin)" in shown
    assert "%" not in shown
    assert "left" not in shown


@pytest.mark.parametrize("how", ["quiet", "dumb"])
def test_no_bar_where_none_is_wanted(endless: Path, how: str) -> None:
    options, environ = (["-q"], {}) if how == "quiet" else (["-v"], {"TERM": "dumb"})
    command = ["nczip", "-3", "-T1", *options, "endless"]
    with Terminal(*command, cwd=endless.parent, stdin=subprocess.DEVNULL, **environ) as terminal:
        if how == "dumb":
            terminal.expect("takes about")
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                terminal.process.wait(1.5)
        terminal.process.terminate()
        status, shown = terminal.end()
    assert status == 128 + signal.SIGTERM
    assert "\x1b" not in shown
