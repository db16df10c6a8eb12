"""The names, types and shapes of a PyTorch checkpoint's tensors, from its ``data.pkl``.

Nothing is unpickled: the opcodes are read one by one (``pickletools``), and of all that they could do only
what puts containers, numbers and strings together is done. A class is its name and never looked for, a call
is what was called and with what.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

MAX_SIZE = 64 << 20  # bytes of a pickle that is read
_MAX_OPCODES = 1 << 20
_MAX_LOOKED_AT = 1 << 20  # values
_MAX_TENSORS, _MAX_NAME, _MAX_NAMES = (
    1 << 16,
    1 << 10,
    1 << 23,
)  # the latter two characters, of one and of all
_MAX_KEY = 1 << 31  # of a dict or of the memo: Python's hashes of larger ones can be made all alike
_MAX_DEPTH = 32
_MAX_DIMENSIONS, _MAX_NUMBER = 64, 1 << 62
_MAX_ARGUMENTS, _MAX_GLOBAL = 16, 256  # of a call that rebuilds a tensor; characters of a class's name

# As ``TensorEntry.dtype`` spells them, with bytes of an element.
_STORAGES = {
    "DoubleStorage": ("F64", 8), "FloatStorage": ("F32", 4), "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2), "LongStorage": ("I64", 8), "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1), "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}  # fmt: skip
_TYPES = {  # of those that have no storages of their own
    "float8_e4m3fn": ("F8_E4M3", 1), "float8_e5m2": ("F8_E5M2", 1), "uint16": ("U16", 2),
    "uint32": ("U32", 4), "uint64": ("U64", 8),
}  # fmt: skip


class UnknownPickleError(ValueError):
    """The pickle does what no checkpoint of tensors does, or is damaged."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """``storage`` names a file of the checkpoint; ``offset`` and ``size`` are bytes of it.

    The last of ``shape`` runs fastest; ``is_transposed``: PyTorch has the axes the other way round.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    storage: str
    offset: int
    size: int
    is_transposed: bool


@dataclass(frozen=True, slots=True)
class _Global:
    name: str


@dataclass(frozen=True, slots=True)
class _Call:
    function: object
    arguments: object


@dataclass(frozen=True, slots=True)
class _Persistent:
    said: object


class _Mark:
    pass


@dataclass(frozen=True, slots=True)
class _Path:
    """The keys that lead to a value, the last one first."""

    before: _Path | None
    key: str | int
    depth: int

    def name(self) -> str:
        keys: list[str] = []
        path: _Path | None = self
        while path is not None:
            keys.append(str(path.key)[: _MAX_NAME + 1])
            path = path.before
        return ".".join(reversed(keys))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``tensors`` are those whose elements lie in order, under the keys that lead to them, joined by dots.

    ``storages`` says how many bytes each has, by name, where its type is known.
    """

    tensors: list[Tensor]
    storages: dict[str, int]


def read(pickled: bytes) -> Checkpoint:
    """What a pickle says that a checkpoint has. Raises UnknownPickleError."""
    if len(pickled) > MAX_SIZE:
        raise UnknownPickleError
    storages: dict[str, int] = {}
    try:
        return Checkpoint(list(_found(_read(pickled, storages))), storages)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        raise UnknownPickleError from error


def _found(value: object) -> Iterator[Tensor]:
    pending: list[tuple[_Path | None, object]] = [(None, value)]
    looked_at = found = characters = 0
    while pending:
        path, value = pending.pop()
        if path is not None and path.depth > _MAX_DEPTH:
            continue
        if isinstance(value, _Call):
            called = value.function.name if isinstance(value.function, _Global) else ""
            if called.startswith("torch._utils _rebuild_parameter"):  # the tensor comes first
                pending.append((path, _arguments(value)[0]))
                looked_at += 1
            elif called.startswith("torch._utils _rebuild_tensor"):
                name = "" if path is None else path.name()
                tensor = _tensor(name, *_arguments(value))
                found += 1
                characters += len(name)
                if found > _MAX_TENSORS or len(name) > _MAX_NAME or characters > _MAX_NAMES:
                    raise UnknownPickleError
                if tensor is not None:
                    yield tensor
        elif isinstance(value, dict | list | tuple):
            looked_at += len(value)  # again and again, where a container is in many places
            if looked_at > _MAX_LOOKED_AT:
                raise UnknownPickleError
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            pending += [
                (_Path(path, key, 1 if path is None else path.depth + 1), item)
                for key, item in reversed(items)
                if isinstance(item, dict | list | tuple | _Call)
            ]
        if looked_at > _MAX_LOOKED_AT:
            raise UnknownPickleError


def _arguments(call: _Call) -> tuple[Any, ...]:
    if not isinstance(call.arguments, tuple) or len(call.arguments) > _MAX_ARGUMENTS:
        raise UnknownPickleError
    return call.arguments


def _tensor(
    name: str, storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *others: object
) -> Tensor | None:
    """None if its elements do not follow each other, or are of a type that nobody else has."""
    if not isinstance(storage, _Persistent) or not isinstance(storage.said, tuple):
        return None
    kind, type_, key = storage.said[:3]
    if kind != "storage" or not isinstance(type_, _Global) or not isinstance(key, str):
        return None
    found = _STORAGES.get(type_.name.rpartition(" ")[2])
    for other in others if found is None else ():  # an untyped storage's tensor says the type itself
        if isinstance(other, _Global) and other.name.startswith("torch "):
            found = _TYPES.get(other.name.removeprefix("torch "))
    if found is None or len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        return None
    numbers = (offset, *shape, *strides)
    if any(type(n) is not int or not 0 <= n < _MAX_NUMBER for n in numbers):
        return None
    if prod(max(1, n) for n in shape) >= _MAX_NUMBER // 16:  # more than arrays can be, empty ones too
        return None
    dtype, width = found
    is_transposed = not _in_order(shape, strides)
    if is_transposed:
        shape, strides = shape[::-1], strides[::-1]
        if not _in_order(shape, strides):
            return None
    return Tensor(name, dtype, tuple(shape), key, offset * width, prod(shape) * width, is_transposed)


def _in_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether elements along the last axis follow each other, then those of the next to last, and so on."""
    count = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and stride != count:
            return False
        count *= size
    return True


def _read(pickled: bytes, storages: dict[str, int]) -> object:
    """The object that is pickled, and into ``storages`` their sizes."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def marked() -> list[Any]:
        """What stands above the last mark, taken from the stack with it."""
        at = len(stack) - 1
        while not isinstance(stack[at], _Mark):
            at -= 1
            if at < 0:
                raise UnknownPickleError
        items = stack[at + 1 :]
        del stack[at:]
        return items

    for count, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        name = opcode.name
        if count > _MAX_OPCODES:
            raise UnknownPickleError
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name == "GLOBAL":
            stack.append(_global(argument))
        elif name == "STACK_GLOBAL":
            last, first = stack.pop(), stack.pop()
            if not isinstance(first, str) or not isinstance(last, str):
                raise UnknownPickleError
            stack.append(_global(f"{first} {last}"))
        elif name == "MARK":
            stack.append(_Mark())
        elif name == "TUPLE":
            stack.append(tuple(marked()))
        elif name in _TUPLES:
            size = _TUPLES[name]
            stack[-size:] = [tuple(stack[-size:])]
        elif name in ("LIST", "DICT"):
            items = marked()
            stack.append(items if name == "LIST" else {})
            if name == "DICT":
                _put(stack[-1], list(zip(items[::2], items[1::2], strict=True)))
        elif name in ("APPEND", "APPENDS"):
            items = marked() if name == "APPENDS" else [stack.pop()]
            _put(stack[-1], list(enumerate(items)))
        elif name in ("SETITEM", "SETITEMS"):
            items = marked() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _put(stack[-1], list(zip(items[::2], items[1::2], strict=True)))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append({} if function == _Global("collections OrderedDict") else _Call(function, arguments))
        elif name == "BUILD":
            stack.pop()  # what an object is given beside its arguments: hooks, metadata
        elif name == "BINPERSID":
            said = stack.pop()
            stack.append(_Persistent(said))
            _put_size(storages, said)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            if not isinstance(argument, int) or not 0 <= argument < _MAX_KEY:
                raise UnknownPickleError
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        else:
            raise UnknownPickleError
    raise UnknownPickleError


def _global(name: object) -> _Global:
    if not isinstance(name, str) or len(name) > _MAX_GLOBAL:
        raise UnknownPickleError
    return _Global(name)


def _put_size(storages: dict[str, int], said: object) -> None:
    """Of the storage that a pickle says it needs, if it does."""
    if not isinstance(said, tuple) or len(said) < 5 or not isinstance(said[1], _Global):
        return
    kind = said[1].name.rpartition(" ")[2]
    width = 1 if kind == "UntypedStorage" else _STORAGES.get(kind, ("", 0))[1]
    if width and isinstance(said[2], str) and type(said[4]) is int and 0 <= said[4] < _MAX_NUMBER:
        storages[said[2]] = said[4] * width


def _put(into: object, items: list[tuple[Any, Any]]) -> None:
    """Into an object of which nothing is known they go unseen, and so does what has a key of another kind.

    A tuple that is nested deeply would take for ever to hash, or all of the stack.
    """
    if isinstance(into, list):
        into += [item for _, item in items]
    elif isinstance(into, dict):
        into.update(
            (key, item)
            for key, item in items
            if isinstance(key, str) or (isinstance(key, int) and 0 <= key < _MAX_KEY)
        )


_VALUES = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
}
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: None,  # of which nothing is looked at
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
