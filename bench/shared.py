"""What the two tables share: one core to run on, options, the looks of figures and rows."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """--cpu and --quoted."""
    parser.add_argument("--cpu", type=int, help="the core to run on; the last one by default")
    parser.add_argument(
        "--quoted",
        type=Path,
        default=os.environ.get("NCZIP_QUOTED") or None,
        help="CSV file of figures that are quoted, not run; $NCZIP_QUOTED by default",
    )


def stay_on_one_core(cpu: int | None) -> None:
    """This process and those it starts, where the system can do that; the last core by default."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if cpu is None else cpu})


def show(what: str) -> None:
    """What is being measured, on a terminal, in place of what was; nothing clears the line."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def bpb(value: float) -> str:
    return f"{value:.4g}"


def times(value: float) -> str:
    return f"{value:.3g} x"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
