"""The programs nczip, unnczip and nczcat. Here an exception becomes a sentence and an exit status."""

import os
import signal
import sys
from collections.abc import Callable

import click

from nczip.cli import commands, signals
from nczip.cli.terminal import complain

ERROR = 1


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

    signals.catch()
    try:
        status = work()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _die_of_closed_pipe()
    except signals.Stopped as stop:
        return stop.status
    except NczipError as error:
        complain(str(error))
        return error.exit_status
    except OSError as error:
        complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        _forget_output()
        return ERROR
    except ImportError as error:  # of the core, when it can't be what NCZIP_ISA asks for
        complain(str(error))
        return ERROR
    except MemoryError:
        complain("not enough memory")
        return ERROR


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
