"""Text out of the files of packages: compressed files, R data, HTML, WordNet."""

import gzip
import html
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

# Type 9 in the last byte of a word of flags; the byte before it may say ASCII, UTF-8 or Latin-1.
_R_STRING = re.compile(rb"\x00[\x00-\x0f][\x00\x20\x40\x80]\x09")


def opened(path: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A file as texts: gzip unpacked, a zip file or an R data base as ``path/member``; others as they are."""
    if content.startswith(b"\x1f\x8b"):
        yield path, gzip.decompress(content)
    elif path.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            for info in bundle.infolist():
                if not info.is_dir():
                    yield f"{path}/{info.filename}", bundle.read(info)
    elif path.endswith(".rdb"):
        for index, strings in enumerate(r_strings(content)):
            yield f"{path}/{index}", strings
    else:
        yield path, content


def r_strings(rdb: bytes) -> Iterator[bytes]:
    """The strings of each object in an R lazy-load data base, a line each.

    An object is its length as a big-endian 32-bit number and a zlib stream of R's XDR serialisation, in which
    a string is a word of flags that ends in its type, 9, then a length, then bytes (R Internals, section
    "Serialization Formats").
    """
    start = 0
    while start < len(rdb):
        inflate = zlib.decompressobj()
        serialised = inflate.decompress(rdb[start + 4 :])
        start = len(rdb) - len(inflate.unused_data)
        lines = []
        at = 0
        while flags := _R_STRING.search(serialised, at):
            (length,) = struct.unpack_from(">i", serialised, flags.end())
            at = flags.end() + 4 + max(0, length)  # a missing string has length -1
            lines.append(serialised[flags.end() + 4 : at])
        yield b"\n".join(lines) + b"\n"


def as_utf8(text: bytes) -> bytes:
    """``text`` with Unix line ends, in UTF-8: what is not, is taken for Latin-1."""
    text = text.replace(b"\r\n", b"\n")
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()
    return text


def html_to_text(page: bytes, _: str = "") -> bytes:
    """The words of an HTML page: blocks on lines of their own, at most one empty line in a row."""
    page = _without_head(page)
    page = re.sub(rb"(?i)</?(p|div|br|li|h\d|tr|blockquote|dt|dd|pre)\b[^>]*>", b"\n", page)
    text = html.unescape(re.sub(rb"<[^>]*>", b"", page).decode("utf-8", "replace")).replace("\xa0", " ")
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n").encode() + b"\n"


_WIKI = [  # HTML tags and the MediaWiki markup that means the same
    (r"\s+", " "),
    (r"(?i)</?(b|strong)\b[^>]*>", "'''"),
    (r"(?i)</?(i|em|cite)\b[^>]*>", "''"),
    (r"(?i)<h([1-2])\b[^>]*>(.*?)</h\1>", r"\n\n==\2==\n\n"),
    (r"(?i)<h([3-6])\b[^>]*>(.*?)</h\1>", r"\n\n===\2===\n\n"),
    (r'(?i)<a\b[^>]*href="(https?:[^"]*)"[^>]*>(.*?)</a>', r"[\1 \2]"),
    (r'(?i)<a\b[^>]*href="[^"]*"[^>]*>(.*?)</a>', r"[[\1]]"),
    (r"(?i)<blockquote\b[^>]*>\s*(<p\b[^>]*>)?", "\n\n:"),
    (r"(?i)<li\b[^>]*>\s*(<p\b[^>]*>)?", "\n*"),
    (r"(?i)</?(p|div|ul|ol|table|blockquote|pre|dl|dt|dd|tr)\b[^>]*>", "\n\n"),
    (r"(?i)<br\b[^>]*>", "\n\n"),
    (r"<[^>]*>", ""),
    (r" *\n *", "\n"),
    (r"\n{3,}", "\n\n"),
]


def html_to_wiki(page: bytes, _: str = "") -> bytes:
    """An HTML page in wiki markup: headings, lists, links, bold and italic words."""
    text = _without_head(page).decode("utf-8", "replace")
    for tag, markup in _WIKI:
        text = re.sub(tag, markup, text)
    return html.unescape(text).replace("\xa0", " ").strip().encode() + b"\n"


def _without_head(page: bytes) -> bytes:
    return re.sub(rb"(?is)<(script|style|head)\b.*?</\1>|<!--.*?-->", b"", page)


def wordnet(data: bytes, pattern: str) -> bytes:
    """Words and gloss of every synset of a WordNet data file in whose line ``pattern`` is found.

    A line is numbers, the count of words in hexadecimal, each word with a number, pointers, then the gloss
    after a bar (wndb(5WN)).
    """
    chosen = re.compile(pattern.encode())
    lines = []
    for line in data.splitlines():
        head, bar, gloss = line.partition(b" | ")
        if not bar or line.startswith(b" ") or not chosen.search(head):
            continue
        fields = head.split()
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        lines.append(b", ".join(words).replace(b"_", b" ") + b": " + gloss.strip() + b"\n")
    return b"".join(lines)


def matches(text: bytes, pattern: str) -> bytes:
    """The first group of every match of ``pattern`` in ``text``, a line each, continued lines joined."""
    found = re.finditer(pattern.encode(), text, re.DOTALL)
    return b"".join(match.group(1).replace(b"\\\n", b"") + b"\n" for match in found)


def plain(text: bytes, _: str = "") -> bytes:
    """``text`` as it is."""
    return text


EXTRACTIONS: dict[str, Callable[[bytes, str], bytes]] = {
    "plain": plain,
    "html": html_to_text,
    "wiki": html_to_wiki,
    "wordnet": wordnet,
    "regexp": matches,
}


def wrapped(text: bytes, width: int) -> bytes:
    """``text`` with every paragraph broken to lines of at most ``width`` characters, where words allow."""
    line = re.compile(rf"(.{{1,{width}}})(?:\s+|$)")
    paragraphs = re.split(r"\n\s*\n", text.decode())
    return "\n".join(line.sub(r"\1\n", " ".join(paragraph.split())) for paragraph in paragraphs).encode()
