"""Faults while a file is written: it appears whole under its name or not at all, and nothing is lost."""

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import PATIENCE, environment

NOISE = hashlib.shake_256(b"nczip").digest(12 << 20)  # stored raw at any level, so that output comes soon
TEXT = b"".join(b"line %d of a long text\n" % number for number in range(1 << 20))

ENDINGS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def start(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["nczip", *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "never came"
        time.sleep(0.01)


def temporary(directory: Path) -> list[Path]:
    return list(directory.glob(".nczip-*.tmp"))


def half_written(directory: Path) -> bool:
    return any(path.stat().st_size for path in temporary(directory))


def test_an_interrupt_while_it_starts_is_silent(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    process = subprocess.run(
        [sys.executable, "-P", "-m", "nczip", "--version"],
        env=environment() | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == -signal.SIGINT
    assert process.stderr == b""


@pytest.mark.parametrize("number", ENDINGS, ids=lambda number: signal.Signals(number).name)
def test_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with start("-1", "-o", "out.ncz", cwd=tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write(NOISE)
        process.stdin.flush()
        until(lambda: half_written(tmp_path))
        process.send_signal(number)
        assert process.wait(PATIENCE) == ENDINGS[number]
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_a_signal_at_the_very_moment_the_file_appears(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(NOISE)
    for _ in range(8):
        with start("-1", "-f", "noise", cwd=tmp_path) as process:
            while not temporary(tmp_path):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        assert [path.name for path in tmp_path.iterdir()] == ["noise"]


def test_a_signal_that_python_drops_still_counts(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(NOISE)
    program = """
import os, signal, sys
from nczip.cli import main, signals

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

signals.catch()
Dying()
print("alive", flush=True)
sys.argv = ["nczip", "-1", "noise"]
sys.exit(main.main())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "alive\n"
    assert done.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["noise"]


def test_a_kill_leaves_a_temporary_name_only(tmp_path: Path) -> None:
    with start("-1", "-o", "out.ncz", cwd=tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write(NOISE)
        process.stdin.flush()
        until(lambda: half_written(tmp_path))
        process.kill()
        process.wait(PATIENCE)
    assert list(tmp_path.iterdir()) == temporary(tmp_path)
    with start("-1", "-o", "out.ncz", cwd=tmp_path) as process:
        process.communicate(b"again", PATIENCE)
        assert process.returncode == 0
    assert (tmp_path / "out.ncz").exists()


@pytest.mark.parametrize("level", [4, 5, 6])
def test_an_interruption_comes_through_in_the_middle_of_a_slow_block(tmp_path: Path, level: int) -> None:
    (tmp_path / "text").write_bytes(TEXT * 8)
    (tmp_path / "text.ncz").write_text("precious")
    with start(f"-{level}", "-f", "text", cwd=tmp_path) as process:
        until(lambda: bool(temporary(tmp_path)))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text", "text.ncz"]
    assert (tmp_path / "text.ncz").read_text() == "precious"


def test_what_comes_of_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(TEXT * 4)
    secret.chmod(0o600)
    with start("-6", "secret", cwd=tmp_path) as process:
        until(lambda: bool(temporary(tmp_path)))
        assert stat.S_IMODE(temporary(tmp_path)[0].stat().st_mode) == 0o600
        process.terminate()


def test_what_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with start("-1", "-o", "out.ncz", cwd=tmp_path) as process:
        until(lambda: bool(temporary(tmp_path)))
        (tmp_path / "out.ncz").write_text("precious")
        _, said = process.communicate(b"content", PATIENCE)
    assert process.returncode == 1
    assert said == b"nczip: out.ncz: File exists\n"
    assert (tmp_path / "out.ncz").read_text() == "precious"
    assert not temporary(tmp_path)


def test_an_input_that_was_replaced_meanwhile_is_not_removed(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(TEXT)
    with start("-1", "--rm", "-T1", "text", cwd=tmp_path) as process:
        until(lambda: bool(temporary(tmp_path)))
        text.unlink()
        text.write_text("new")
        process.communicate(timeout=PATIENCE)
    assert text.read_text() == "new"


def in_own_mounts(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script that may mount what it likes; nobody else sees it, and it goes when the script ends."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    probe = "mkdir -p probe && mount -t tmpfs none probe && umount probe && rmdir probe"
    if subprocess.run(["unshare", "-rm", "bash", "-c", probe], cwd=cwd, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    return subprocess.run(
        ["unshare", "-rm", "bash", "-c", script],
        cwd=cwd,
        env=environment() | {"PATH": f"{environment()['PATH']}{os.pathsep}/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("direction", ["compress", "decompress"])
def test_a_full_disk(tmp_path: Path, direction: str) -> None:
    (tmp_path / "noise").write_bytes(NOISE[: 1 << 20])
    done = in_own_mounts(
        f"""
        mkdir disk && mount -t tmpfs -o size=256k none disk
        nczip -1 noise && echo precious > disk/noise.ncz
        if [ {direction} = compress ]; then nczip -1 -f -o disk/noise.ncz noise
        else nczip -d --output-dir disk noise.ncz; fi
        echo $?; ls -A disk; cat disk/noise.ncz; df --output=used disk | tail -n 1
        """,
        tmp_path,
    )
    name = "noise.ncz" if direction == "compress" else "noise"
    assert done.stderr == f"nczip: disk/{name}: No space left on device\n"
    assert done.stdout.split() == ["1", "noise.ncz", "precious", "4"]


def test_a_read_only_directory(tmp_path: Path) -> None:
    done = in_own_mounts(
        """
        mkdir disk && mount -t tmpfs none disk && echo content > disk/a && mount -o remount,ro disk
        nczip disk/a; echo $?
        nczip -c disk/a | nczip -d --rm -o b; echo $?; cat b
        nczip --rm -o a.ncz disk/a; echo $?; nczip -t a.ncz && ls -A disk
        """,
        tmp_path,
    )
    assert done.stderr.splitlines() == [
        "nczip: disk/a.ncz: Read-only file system",
        "nczip: disk/a: Read-only file system",
    ]
    assert done.stdout.split() == ["1", "0", "content", "1", "a"]


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0)
    if os.access(tmp_path / "secret", os.R_OK):
        pytest.skip("root may read everything")
    with start("secret", cwd=tmp_path) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert said == b"nczip: secret: Permission denied\n"


def test_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nczip.cli.output import AtomicFile

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for content in (b"first", b"second"):
        with AtomicFile(tmp_path / "file", like=None, replace=False, sparse=False) as file:
            file.write(content)
            if content == b"second":
                with pytest.raises(FileExistsError):
                    file.commit()
            else:
                file.commit()
    assert (tmp_path / "file").read_bytes() == b"first"
    assert not temporary(tmp_path)
