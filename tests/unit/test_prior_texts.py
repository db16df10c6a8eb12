"""The texts that start-up knowledge is learned from: extraction, mixing, the overlap guard."""

import gzip
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from prior import overlap, texts
from prior.extract import as_utf8, html_to_text, html_to_wiki, matches, opened, r_strings, wordnet, wrapped
from prior.overlap import shared_hashes, without_named, without_shared

QUOTED = b"It was a bright cold day, and every clock in the square was striking an hour too late.\n"
OURS = b"".join(
    b"Sentence %d of a text that nobody else has written down before today.\n" % n for n in range(40)
)


def test_the_catalog_can_be_read() -> None:
    known = texts.catalog()
    used = {source.package for source in known.train + known.heldout}
    assert used == set(known.packages)
    assert {source.kind for source in known.train} == set(texts.KINDS)
    assert all(len(package.sha256) == 64 for package in known.packages.values())


def test_a_package_has_to_have_the_pinned_bytes(tmp_path: Path) -> None:
    content = b"not really a package"
    package = texts.Package("p", "1:2-3", hashlib.sha256(content).hexdigest(), "MIT")
    assert package.find(tmp_path) is None
    path = tmp_path / "p_1%3a2-3_all.deb"
    path.write_bytes(content)
    assert package.find(tmp_path) == path
    path.write_bytes(content + b"!")
    with pytest.raises(texts.PriorError, match="sha256 differs"):
        package.find(tmp_path)


def test_compressed_files_and_archives_are_opened() -> None:
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("a/B.java", "class B {}")
    assert dict(opened("x.gz", gzip.compress(b"text"))) == {"x.gz": b"text"}
    assert dict(opened("src.zip", bundle.getvalue())) == {"src.zip/a/B.java": b"class B {}"}
    assert dict(opened("plain", b"text")) == {"plain": b"text"}


def _r_object(strings: Sequence[bytes | None]) -> bytes:
    """An object as R stores it: a vector of strings, of which None is missing."""
    serialised = b"X\n" + struct.pack(">6i", 2, 0x40101, 0x20300, 0x10, len(strings), 0)
    for string in strings:
        ascii_flag = struct.pack(">i", 0x40009 if string is not None else 9)
        serialised += ascii_flag + struct.pack(">i", -1 if string is None else len(string)) + (string or b"")
    return struct.pack(">I", len(serialised)) + zlib.compress(serialised)


def test_strings_are_found_in_r_data() -> None:
    data = _r_object([b"EMMA", b"", None, b"By Jane Austen"]) + _r_object([b"PERSUASION"])
    assert list(r_strings(data)) == [b"EMMA\n\n\nBy Jane Austen\n", b"PERSUASION\n"]


def test_text_becomes_utf8_with_unix_line_ends() -> None:
    assert as_utf8("café\r\n".encode("latin-1")) == "café\n".encode()
    assert as_utf8("café\r\n".encode()) == "café\n".encode()


def test_html_becomes_text() -> None:
    page = b"<head><title>t</title></head><p>One &amp; <b>two</b>.</p>\n\n\n<p>Three<br>four.</p><!-- no -->"
    assert html_to_text(page) == b"One & two.\n\nThree\nfour.\n"


def test_html_becomes_wiki_markup() -> None:
    page = b"""<head><title>Bees | Site</title></head><h2>Life</h2>
        <p>A <b>bee</b> &amp; <i>its</i> <a href="x">hive</a>.</p>"""
    assert html_to_wiki(page) == b"==Life==\n\nA '''bee''' & ''its'' [[hive]].\n"


def test_wordnet_synsets_become_lines() -> None:
    data = (
        b"  1 a licence\n"
        b"00000001 18 n 02 Ada_Lovelace 0 Lovelace 1 001 @i 00000002 n 0000 | wrote a program (1815-1852)  \n"
        b"00000002 18 n 01 person 0 001 @ 00000003 n 0000 | a human being  \n"
    )
    assert wordnet(data, " @i ") == b"Ada Lovelace, Lovelace: wrote a program (1815-1852)\n"


def test_matches_join_continued_lines() -> None:
    assert matches(b'text = _ "One \\\nline"\nother = _"two"', '_ ?"([^"]*)"') == b"One line\ntwo\n"


def test_wrapping_keeps_words_and_paragraphs() -> None:
    text = b"one two  three\nfour five\n\nsix " + b"x" * 30 + b"\n"
    lines = wrapped(text, 12).decode().split("\n")
    assert max(len(line) for line in lines if "x" not in line) <= 12
    assert wrapped(text, 12).split() == text.split()
    assert lines[:4] == ["one two", "three four", "five", ""]


def test_a_source_takes_its_files_drops_lines_and_cleans_text() -> None:
    source = texts.Source("s", "prose", "p", ("usr/*.txt",), 100, skip=("*/quotes.txt",), drop="%%|#")
    assert source.takes("usr/deep/a.txt")
    assert not source.takes("usr/deep/quotes.txt")
    assert source.text(b"%%%%\r\nkept\r\n# not\r\n") == b"kept\n"


def test_binary_files_stay_as_they_are() -> None:
    source = texts.Source("s", texts.BINARY, "p", ("*",), 100)
    assert source.text(b"\x7fELF\r\n\xff") == b"\x7fELF\r\n\xff"


def test_pieces_end_at_line_ends_and_lose_nothing() -> None:
    cut = texts.pieces(OURS, 200)
    assert b"".join(cut) == OURS
    assert all(len(piece) <= 200 and piece.endswith(b"\n") for piece in cut)
    assert [len(piece) for piece in texts.pieces(b"x" * 500, 200)] == [200, 200, 100]


def test_what_is_over_the_cap_is_taken_from_all_over() -> None:
    taken = texts.spread(OURS, 1000, 200)
    assert len(taken) <= 1000
    assert taken.startswith(OURS[:20])
    assert b"Sentence 3" in taken[len(taken) // 2 :]
    assert texts.spread(OURS, len(OURS)) == OURS


def test_texts_are_mixed_throughout() -> None:
    mixed = texts.interleaved([b"a" * 900, b"b" * 300], 100)
    assert sorted(mixed) == sorted(b"a" * 900 + b"b" * 300)
    quarters = [mixed[start : start + 400].count(b"b") for start in (0, 400, 800)]
    assert quarters == [100, 100, 100]


def test_shared_text_goes_with_its_paragraph() -> None:
    text = OURS + b"\nBefore it.\n" + QUOTED + b"After it.\n\n" + OURS
    shared = shared_hashes([text], [b"A corpus. " + QUOTED])
    assert without_shared(text, shared) == OURS + b"\n" + OURS


def test_line_breaks_and_case_hide_nothing() -> None:
    other_edition = QUOTED.upper().replace(b" ", b"\r\n  ")
    shared = shared_hashes([OURS + b"\n" + QUOTED], [other_edition])
    assert without_shared(OURS + b"\n" + QUOTED, shared) == OURS + b"\n"


def test_short_and_trivial_runs_are_no_overlap() -> None:
    rule = b"-" * 70 + b"\n" + b" " * 70 + b"\n" + b"=" * 70
    short = QUOTED[: overlap.SHARED_RUN - 1]
    assert len(shared_hashes([rule + b"\nours\n"], [rule + b"\ntheirs\n"])) == 0
    assert len(shared_hashes([b"1" + short + b"2"], [b"3" + short + b"4"])) == 0


def test_without_texts_or_corpora_nothing_is_shared() -> None:
    assert len(shared_hashes([], [QUOTED])) == 0
    assert len(shared_hashes([QUOTED], [])) == 0
    assert without_shared(b"", shared_hashes([QUOTED], [QUOTED])) == b""


def test_of_a_long_paragraph_only_the_lines_go() -> None:
    text = OURS + QUOTED + OURS
    assert len(OURS) > overlap.PARAGRAPH
    assert without_shared(text, shared_hashes([text], [QUOTED])) == OURS + OURS


def test_of_an_endless_line_only_the_surroundings_go() -> None:
    text = bytes(range(97, 123)) * 200 + QUOTED.strip() + b"0123456789" * 500
    remaining = without_shared(text, shared_hashes([text], [QUOTED]))
    assert b"bright cold" not in remaining
    assert len(text) - len(remaining) <= len(QUOTED) + 2 * overlap.PARAGRAPH


def test_paragraphs_that_name_a_work_go() -> None:
    text = b"One.\n\nAs Alice in\nWonderland says.\n\nAliceinwonderland.\n\nTwo.\n"
    assert without_named(text, ["Alice in Wonderland"]) == b"One.\n\nAliceinwonderland.\n\nTwo.\n"


def test_corpus_files_are_those_of_text(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "book.txt").write_bytes(QUOTED)
    (tmp_path / "c" / "sheet.xls").write_bytes(b"\xd0\xcf\0\0")
    (tmp_path / "SHA256SUMS").write_bytes(b"")
    assert overlap.corpus_files(tmp_path) == [tmp_path / "c" / "book.txt"]
    assert list(overlap.parts(overlap.corpus_files(tmp_path))) == [QUOTED]


def test_building_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(texts.PriorError, match="no corpora"):
        texts.build(texts.catalog(), tmp_path, tmp_path)
    with pytest.raises(texts.PriorError, match="fetch it first"):
        texts.build(texts.catalog(), tmp_path, None)
