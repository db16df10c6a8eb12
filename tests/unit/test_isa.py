"""The paths of the core: the same archives from each and in any floating-point mode, no code shared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from core_stages import PATHS

OBJECTS = sorted(Path(__file__).parents[2].glob("build/CMakeFiles/*.dir/nczip/native/*_isa.cpp.o"))

PACK = """
import nczip
text = b"".join(b"%d: the %d bottles of beer\\n" % (i, i * i) for i in range(90))
for level in (4, 5, 6):
    print(nczip.compress(text + bytes(range(256)) + b"ab" * 500, level).hex())
"""

# FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO where x86 has them; set before the core is loaded.
MODES = (0x400, 0x800, 0xC00)


def packed(program: str = PACK, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def expected() -> str:
    return packed(NCZIP_ISA="scalar")


@pytest.mark.parametrize("isa", PATHS)
def test_every_path_packs_the_same(isa: str, expected: str) -> None:
    assert packed(NCZIP_ISA=isa) == expected


@pytest.mark.parametrize("isa", ["avx3", "scalar ", "AVX2"])
def test_a_path_that_does_not_exist(isa: str) -> None:
    program = "try: from nczip import _core\nexcept ImportError as error: print(error, end='')"
    expected = f"NCZIP_ISA is {isa}, which is none of {', '.join(PATHS)}"
    assert packed(program, NCZIP_ISA=isa) == expected


def test_no_path_named_is_no_ceiling() -> None:
    assert packed("from nczip import _core; print(_core.isa())", NCZIP_ISA="") == packed(
        "import os; del os.environ['NCZIP_ISA']; from nczip import _core; print(_core.isa())", NCZIP_ISA="x"
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the modes' numbers are x86's")
@pytest.mark.parametrize("mode", MODES)
def test_a_rounding_mode_from_elsewhere_changes_nothing(mode: int, expected: str) -> None:
    rounds = f"import ctypes; assert ctypes.CDLL('libm.so.6').fesetround({mode}) == 0\n"
    assert packed(rounds + PACK) == expected


@pytest.mark.skipif(not OBJECTS or not shutil.which("nm"), reason="needs a build in place, and nm")
@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.parts[-4])
def test_a_paths_code_stays_in_it(path: Path) -> None:
    """The linker keeps one copy of a weak function, and all initialisers run: no CPU may meet another's."""
    symbols = subprocess.run(["nm", "-C", path], capture_output=True, check=True, text=True).stdout
    assert "_GLOBAL__sub_I" not in symbols
    weak = re.findall(r"^\w* +[WVui] (.*)$", symbols, re.MULTILINE)
    own = re.compile(r"ncz::(scalar|sse2|avx2|avx512|vnni|neon)::|^typeinfo |^DW\.ref\.")
    assert [name for name in weak if not own.search(name)] == []
