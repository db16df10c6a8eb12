"""Where the programs begin: until they can end in an orderly way, Ctrl-C ends them at once and in silence."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from nczip.cli.main import main, nczcat, unnczip

__all__ = ["main", "nczcat", "unnczip"]
