"""Corpora: what the manifest promises, and fetching from a server of this test's own."""

import bz2
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nczip import corpora
from nczip.corpora import Corpus, CorpusError, CorpusFile

TEXT = b"To be, or not to be, that is the question.\n" * 50
OTHER = bytes(range(256)) * 20


class Server:
    """Answers with the bytes in ``bodies``; ``cut`` addresses promise more than they send."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.bodies.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if self.path in outer.cut else body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, name: str, body: bytes) -> str:
        self.bodies[f"/{name}"] = body
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.stop()


def tape(members: dict[str, bytes], *, link: str = "") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as out:
        if link:
            info = tarfile.TarInfo(link)
            info.type = tarfile.SYMTYPE
            info.linkname = "/etc/passwd"
            out.addfile(info)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def bundle(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return sink.getvalue()


def named(value: object) -> str:
    """The name of a test's case: no bytes, which hold the time and would differ between test processes."""
    return value if isinstance(value, str) else "-"


def known(path: str, data: bytes, algorithm: str = "sha256") -> CorpusFile:
    return CorpusFile(path, len(data), {algorithm: hashlib.new(algorithm, data).hexdigest()})


def fetch(corpus: Corpus, directory: Path, among: dict[str, Corpus] | None = None) -> None:
    corpora.fetch(corpus, directory, among=among or {}, on_progress=lambda *_: None)


def everything_in(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("two.zip", bundle({"deep/er/hamlet.txt": TEXT, "bytes": OTHER, "notes": b"not wanted"})),
        ("two.tar.gz", tape({"./hamlet.txt": TEXT, "bytes": OTHER, "notes": b"not wanted"})),
    ],
    ids=named,
)
def test_fetch_takes_the_files_of_the_manifest_out_of_an_archive(
    server: Server, tmp_path: Path, name: str, body: bytes
) -> None:
    corpus = Corpus(
        "two", "", (known("two/hamlet.txt", TEXT), known("two/bytes", OTHER)), (server.url(name, body),)
    )
    fetch(corpus, tmp_path)
    assert everything_in(tmp_path) == ["two/bytes", "two/hamlet.txt"]
    assert (tmp_path / "two" / "hamlet.txt").read_bytes() == TEXT
    assert [finding.problem for finding in corpora.verify(corpus, tmp_path)] == ["", ""]
    assert len(corpora.present(corpus, tmp_path)) == 2


@pytest.mark.parametrize(
    ("name", "body"), [("h.gz", gzip.compress(TEXT)), ("h.bz2", bz2.compress(TEXT)), ("h", TEXT)], ids=named
)
def test_fetch_takes_a_single_file(server: Server, tmp_path: Path, name: str, body: bytes) -> None:
    fetch(Corpus("one", "", (known("one/h", TEXT),), (server.url(name, body),)), tmp_path)
    assert (tmp_path / "one" / "h").read_bytes() == TEXT


def test_a_start_of_another_corpus_fetches_that_one_first_and_only_once(
    server: Server, tmp_path: Path
) -> None:
    whole = Corpus("whole", "", (known("w/whole", TEXT),), (server.url("whole.gz", gzip.compress(TEXT)),))
    start = Corpus("start", "", (known("w/start", TEXT[:100]),), prefix_of="whole")
    fetch(start, tmp_path, {"whole": whole})
    fetch(start, tmp_path, {"whole": whole})
    assert (tmp_path / "w" / "start").read_bytes() == TEXT[:100]
    assert server.asked == ["/whole.gz"]


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    missing = server.url("gone.zip", b"")
    del server.bodies["/gone.zip"]
    corpus = Corpus("c", "", (known("c/h", TEXT),), (missing, server.url("h", TEXT)))
    fetch(corpus, tmp_path)
    assert (tmp_path / "c" / "h").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("h", TEXT[:-1] + b"?", "sha256 differs"),
        ("h", TEXT[:-1], f"should have {len(TEXT):,} bytes"),
        ("h", TEXT + b"x", f"should have {len(TEXT):,} bytes"),
        ("h.gz", gzip.compress(TEXT + bytes(10_000_000)), f"should have {len(TEXT):,} bytes"),
        ("h.gz", gzip.compress(TEXT)[:-20], "is damaged"),
        ("h.gz", b"not gzip at all", "is damaged"),
        ("h.zip", b"not a zip at all", "is damaged"),
        ("h.tar.gz", b"not a tar at all", "is damaged"),
        ("h.tar.gz", tape({"other": TEXT}), "lacks h"),
        ("h.tar.gz", tape({}, link="h"), "lacks h"),
        ("h", bytes(3_000_000), "is larger than"),
    ],
    ids=named,
)
def test_what_is_not_the_file_leaves_nothing_behind(
    server: Server, tmp_path: Path, name: str, body: bytes, said: str
) -> None:
    corpus = Corpus("c", "", (known("c/h", TEXT),), (server.url(name, body),))
    with pytest.raises(CorpusError, match=said):
        fetch(corpus, tmp_path)
    assert everything_in(tmp_path) == []


def test_a_download_that_breaks_off(server: Server, tmp_path: Path) -> None:
    corpus = Corpus("c", "", (known("c/h", TEXT),), (server.url("h", TEXT),))
    server.cut.add("/h")
    with pytest.raises(CorpusError, match="broke off after"):
        fetch(corpus, tmp_path)
    assert everything_in(tmp_path) == []


def test_nobody_answers(tmp_path: Path) -> None:
    server = Server()
    url = server.url("h", TEXT)
    server.stop()
    with pytest.raises(CorpusError, match="cannot be reached"):
        fetch(Corpus("c", "", (known("c/h", TEXT),), (url,)), tmp_path)


def test_no_name_in_an_archive_leads_out_of_the_directory(server: Server, tmp_path: Path) -> None:
    evil = bundle({"../../h": TEXT, "/tmp/h2": OTHER})
    directory = tmp_path / "a" / "b"
    corpus = Corpus("c", "", (known("c/h", TEXT), known("c/h2", OTHER)), (server.url("h.zip", evil),))
    fetch(corpus, directory)
    assert everything_in(tmp_path) == ["a/b/c/h", "a/b/c/h2"]


def test_a_failed_fetch_keeps_what_was_there(server: Server, tmp_path: Path) -> None:
    url = server.url("h", TEXT)
    corpus = Corpus("c", "", (known("c/h", TEXT),), (url,))
    fetch(corpus, tmp_path)
    server.url("h", OTHER)
    with pytest.raises(CorpusError):
        fetch(corpus, tmp_path)
    assert (tmp_path / "c" / "h").read_bytes() == TEXT


def test_an_unknown_digest_is_recorded_at_first_fetch_and_binding_from_then_on(
    server: Server, tmp_path: Path
) -> None:
    unknown = CorpusFile("c/h", len(TEXT), {})
    corpus = Corpus("c", "", (unknown,), (server.url("h", TEXT),))
    fetch(corpus, tmp_path)
    (finding,) = corpora.verify(corpus, tmp_path)
    assert (finding.by, finding.problem) == ("sha256, recorded at first fetch", "")
    server.url("h", TEXT[::-1])
    with pytest.raises(CorpusError, match="sha256 differs"):
        fetch(corpus, tmp_path)
    (tmp_path / "c" / "h").write_bytes(TEXT[::-1])
    assert "differs" in corpora.verify(corpus, tmp_path)[0].problem


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_verify_sees_one_flipped_bit(tmp_path: Path, algorithm: str) -> None:
    corpus = Corpus("c", "", (known("h", TEXT, algorithm),))
    (tmp_path / "h").write_bytes(TEXT)
    assert corpora.verify(corpus, tmp_path)[0].problem == ""
    (tmp_path / "h").write_bytes(bytes([TEXT[0] ^ 1]) + TEXT[1:])
    assert corpora.verify(corpus, tmp_path)[0].problem == f"is not the known file: its {algorithm} differs"
    (tmp_path / "h").unlink()
    assert corpora.verify(corpus, tmp_path)[0].problem == "is not here"
    assert corpora.present(corpus, tmp_path) == []


def test_the_manifest_is_well_formed() -> None:
    catalog = corpora.catalog()
    lengths = {"sha256": 64, "sha1": 40, "md5": 32}
    paths = [file.path for corpus in catalog.values() for file in corpus.files]
    assert len(paths) == len(set(paths))
    for corpus in catalog.values():
        assert bool(corpus.urls) != (corpus.prefix_of is not None)
        assert corpus.prefix_of is None or len(catalog[corpus.prefix_of].files) == 1
        assert len({file.name for file in corpus.files}) == len(corpus.files)
        for file in corpus.files:
            assert ".." not in file.path
            assert not file.path.startswith("/")
            assert {name: len(digest) for name, digest in file.digests.items()}.items() <= lengths.items()
    assert catalog["canterbury"].size == 2_810_784
    assert catalog["silesia"].size == 211_938_580


def test_the_corpora_on_this_machine_are_the_ones_of_the_manifest() -> None:
    directory = corpora.data_directory()
    catalog = corpora.catalog()
    here = [
        catalog[name] for name in ("canterbury", "enwik8-1m") if corpora.present(catalog[name], directory)
    ]
    problems = [
        finding for corpus in here for finding in corpora.verify(corpus, directory) if finding.problem
    ]
    assert problems == []


def test_where_the_data_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NCZIP_CORPORA", str(tmp_path))
    assert corpora.data_directory() == tmp_path
    monkeypatch.setenv("NCZIP_CORPORA", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert corpora.data_directory() == tmp_path / "nczip" / "corpora"


def test_a_manifest_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    entry = {"about": "x", "urls": ["u"], "files": [{"path": "a/b", "size": 3, "md5": "0" * 32}]}
    path.write_text(json.dumps({"name": entry}))
    assert corpora.catalog(path) == {
        "name": Corpus("name", "x", (CorpusFile("a/b", 3, {"md5": "0" * 32}),), ("u",), None)
    }
