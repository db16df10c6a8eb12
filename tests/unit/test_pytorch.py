"""Names, types and shapes from checkpoints' pickles, which are never unpickled."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
from collections import OrderedDict
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nczip import pytorch


class Storage:
    def __init__(self, type_: str, key: str, module: str = "torch") -> None:
        self.said = ("storage", self.type_of(module, type_), key, "cpu", 100)

    @staticmethod
    def type_of(module: str, name: str) -> Any:
        return getattr(sys.modules[module], name)


class Rebuilt:
    """Pickled as a call of one of torch._utils' functions."""

    def __init__(self, function: str, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return getattr(sys.modules["torch._utils"], self.function), self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.said if isinstance(value, Storage) else None


@pytest.fixture
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that have what pickles of PyTorch's name."""
    names = {
        "torch": ["FloatStorage", "BFloat16Storage", "QInt8Storage", "float8_e4m3fn"],
        "torch.storage": ["UntypedStorage"],
        "torch._utils": ["_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"],
    }
    for module, members in names.items():
        made = ModuleType(module)
        for name in members:
            setattr(made, name, type(name, (), {"__module__": module}))
        monkeypatch.setitem(sys.modules, module, made)


def pickled(value: object, protocol: int = 2) -> bytes:
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def tensor(type_: str, key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Rebuilt:
    return Rebuilt("_rebuild_tensor_v2", Storage(type_, key), offset, shape, strides, False, OrderedDict())


@pytest.mark.usefixtures("_torch")
@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_have_the_names_that_lead_to_them(protocol: int) -> None:
    weight = tensor("FloatStorage", "0", 0, (3, 5), (5, 1))
    checkpoint = {
        "model": OrderedDict(weight=weight, tied=weight, part=tensor("BFloat16Storage", "1", 7, (4,), (1,))),
        "parameter": Rebuilt(
            "_rebuild_parameter", tensor("FloatStorage", "2", 0, (), ()), True, OrderedDict()
        ),
        "transposed": tensor("FloatStorage", "3", 0, (3, 5), (1, 3)),
        "list": [1, None, (tensor("FloatStorage", "4", 0, (1, 6), (99, 1)),)],
        "numbers": {"epoch": 3, "rate": 0.5, "name": "x", 7: True},
    }
    found = {one.name: one for one in pytorch.read(pickled(checkpoint, protocol)).tensors}
    assert {
        name: (one.dtype, one.shape, one.storage, one.offset, one.size) for name, one in found.items()
    } == {
        "model.weight": ("F32", (3, 5), "0", 0, 60),
        "model.tied": ("F32", (3, 5), "0", 0, 60),
        "model.part": ("BF16", (4,), "1", 14, 8),
        "parameter": ("F32", (), "2", 0, 4),
        "transposed": ("F32", (5, 3), "3", 0, 60),
        "list.2.0": ("F32", (1, 6), "4", 0, 24),
    }
    assert [name for name, one in found.items() if one.is_transposed] == ["transposed"]


@pytest.mark.usefixtures("_torch")
def test_types_without_storages_of_their_own() -> None:
    storage = Storage("UntypedStorage", "0", "torch.storage")
    type_ = sys.modules["torch"].float8_e4m3fn
    value = Rebuilt("_rebuild_tensor_v3", storage, 2, (4,), (1,), False, OrderedDict(), type_, {})
    (one,) = pytorch.read(pickled({"x": value})).tensors
    assert (one.dtype, one.offset, one.size) == ("F8_E4M3", 2, 4)


@pytest.mark.usefixtures("_torch")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda: tensor("QInt8Storage", "0", 0, (3,), (1,)), id="a type that is not known"),
        pytest.param(lambda: tensor("FloatStorage", "0", 0, (3, 2), (4, 1)), id="gaps between rows"),
        pytest.param(lambda: tensor("FloatStorage", "0", 0, (3, 2), (1,)), id="too few strides"),
        pytest.param(lambda: tensor("FloatStorage", "0", -4, (3,), (1,)), id="before the storage"),
        pytest.param(lambda: tensor("FloatStorage", "0", 0, (1 << 62, 2), (2, 1)), id="too large"),
        pytest.param(
            lambda: tensor("FloatStorage", "0", 0, (0, 1 << 60), (1 << 60, 1)), id="empty, and large"
        ),
        pytest.param(lambda: tensor("FloatStorage", "0", 0, (1,) * 65, (1,) * 65), id="many axes"),
        pytest.param(lambda: Rebuilt("_rebuild_tensor_v2", 5, 0, (3,), (1,)), id="no storage"),
    ],
)
def test_other_tensors_are_passed_over(value: Any) -> None:
    assert [
        one.name
        for one in pytorch.read(pickled([value(), tensor("FloatStorage", "1", 0, (2,), (1,))])).tensors
    ] == ["1"]


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit",)


def test_nothing_is_called() -> None:
    assert pytorch.read(pickled({"a": Evil(), "b": [Evil()]})).tensors == []


def test_containers_in_many_places_end() -> None:
    value: list[object] = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(pickled(value))
    loop: list[object] = []
    loop.append(loop)
    assert pytorch.read(pickled(loop)).tensors == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80\x02()" + b"\x85" * 500_000 + b"Nd.", id="a key that is nested deeply"),
        pytest.param(b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"(h\x00Nd.", id="one in many places"),
        pytest.param(
            b"\x80\x02}X\x20\xa1\x07\x00" + b"k" * 500_000 + b"](" + b"]" * 300_000 + b"es.", id="a long name"
        ),
    ],
)
def test_hostile_containers(data: bytes) -> None:
    assert pytorch.read(data).tensors == []


def test_values_that_are_in_many_places() -> None:
    """Each of them is looked at, but not for ever."""
    data = b"\x80\x02](" + b"N" * 6000 + b"eq\x00](" + b"h\x00" * 6000 + b"e."
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(data)


@pytest.mark.usefixtures("_torch")
def test_a_name_that_is_too_long() -> None:
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(pickled({"k" * 2000: tensor("FloatStorage", "0", 0, (3,), (1,))}))


@pytest.mark.usefixtures("_torch")
def test_all_names_together_are_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = {"k" * 50: tensor("FloatStorage", "0", 0, (3,), (1,)), "n" * 50: None}
    assert len(pytorch.read(pickled(checkpoint)).tensors) == 1
    monkeypatch.setattr(pytorch, "_MAX_NAMES", 49)
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(pickled(checkpoint))


@pytest.mark.usefixtures("_torch")
def test_keys_whose_hashes_can_be_chosen() -> None:
    one = tensor("FloatStorage", "0", 0, (3,), (1,))
    found = pytorch.read(pickled({7: one, sys.hash_info.modulus * 7: one, -1: one})).tensors
    assert [tensor.name for tensor in found] == ["7"]
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(b"Np%d\n." % (sys.hash_info.modulus * 7))


@pytest.mark.usefixtures("_torch")
def test_sizes_of_storages() -> None:
    storages = [Storage(*kind) for kind in (("FloatStorage", "0"), ("UntypedStorage", "1", "torch.storage"))]
    other = Storage("QInt8Storage", "2")
    assert pytorch.read(pickled([*storages, other])).storages == {"0": 400, "1": 100}


@pytest.mark.parametrize(
    "data",
    [
        # Each name has the one before it twice.
        pytest.param(b"\x80\x04\x8c\x01a\x94\x8c\x01b\x93\x94h\x01h\x01\x93.", id="names of names"),
        pytest.param(b"\x80\x02c" + b"a" * 200 + b"\n" + b"b" * 60 + b"\n.", id="a class with a long name"),
        pytest.param(
            b"\x80\x02]ctorch._utils\n_rebuild_tensor_v2\n(" + b"N" * 17 + b"tRa.", id="many arguments"
        ),
    ],
)
def test_what_would_be_copied_again_and_again(data: bytes) -> None:
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(data)


@pytest.mark.parametrize(
    "data", [b"", b".", b"\x80\x02", b"(", b"t.", b"h\x05.", b"X\xff\xff\xff\xff", b"\x80\x02]q\x00"]
)
def test_damaged_pickles(data: bytes) -> None:
    with pytest.raises(pytorch.UnknownPickleError):
        pytorch.read(data)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(pytorch.UnknownPickleError):
        assert pytorch.read(data).tensors == []


def test_a_checkpoint_of_pytorch(tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    import zipfile

    torch.save({"w": torch.ones(3, 4), "t": torch.ones(3, 4).t()}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        found = pytorch.read(archive.read(name)).tensors
    assert [(one.name, one.shape, one.is_transposed) for one in found] == [
        ("w", (3, 4), False),
        ("t", (3, 4), True),
    ]
