"""The programs nczip, unnczip and nczcat. Here an exception becomes a sentence and an exit status."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import click

from nczip.cli import commands
from nczip.cli.terminal import complain

ERROR = 1
INTERRUPTED = 130


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP: to be cleaned up after as Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main() -> int:
    """``nczip``. A first word that names a subcommand is that subcommand; all else is options and files."""
    args = sys.argv[1:]
    if args and args[0] in commands.SUBCOMMANDS:
        return _guarded(lambda: _invoke(commands.load(args[0]), f"nczip {args[0]}", args[1:]))
    return _guarded(lambda: _invoke(commands.files, "nczip", args))


def unnczip() -> int:
    """``unnczip`` is ``nczip -d``."""
    return _guarded(lambda: _invoke(commands.files, "unnczip", ["-d", *sys.argv[1:]]))


def nczcat() -> int:
    """``nczcat`` is ``nczip -dc``."""
    return _guarded(lambda: _invoke(commands.files, "nczcat", ["-dc", *sys.argv[1:]]))


def _invoke(command: click.Command, name: str, args: list[str]) -> int:
    # click's own main() would print errors its way and leave with 2, which means "warning" here.
    try:
        with command.make_context(name, args) as ctx:
            status = command.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.NoSuchOption as error:
        near = f" (there is {', '.join(error.possibilities)})" if error.possibilities else ""
        complain(f"no such option {error.option_name}{near}; see {name} --help")
        return ERROR
    except click.UsageError as error:
        complain(f"{error.format_message().rstrip('.')}; see {name} --help")
        return ERROR
    except click.ClickException as error:
        complain(error.format_message())
        return ERROR
    return status if isinstance(status, int) else 0


def _guarded(work: Callable[[], int]) -> int:
    """Runs ``work``; whatever ends it, the status says how it ended."""
    from nczip.errors import NczipError

    _catch_signals()
    try:
        status = work()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _die_of_closed_pipe()
    except Stopped as stop:
        return 128 + stop.number
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except NczipError as error:
        complain(str(error))
        return error.exit_status
    except OSError as error:
        complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        _forget_output()
        return ERROR
    except MemoryError:
        complain("not enough memory")
        return ERROR


def _catch_signals() -> None:
    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A signal that nohup made harmless stays harmless.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _forget_output() -> None:
    """Keeps Python from trying once more, as it ends, to write what could not be written."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _die_of_closed_pipe() -> int:
    """Ends as every other filter does when its reader has gone: silently, by SIGPIPE."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return ERROR
