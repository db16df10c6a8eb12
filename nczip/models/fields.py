"""What a model's makers say about it, each value checked to be of the kind that it has to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nczip.errors import ModelFileError


class Fields:
    """Values by key, out of ``where``; None counts as missing. What is wrong raises ModelFileError."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._where = where

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def _get(self, key: str, kinds: type | tuple[type, ...], default: Any) -> Any:
        value = self._values.get(key)
        value = default if value is None else value
        if value is None:
            raise ModelFileError(f"lacks {key} in its {self._where}")
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise ModelFileError(f"has a {key} in its {self._where} that is of the wrong type")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        return str(self._get(key, str, default)).encode("utf-8", "replace").decode()

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._get(key, bool, default))

    def count(self, key: str, default: int | None = None) -> int:
        return int(self._get(key, int, default))

    def number(self, key: str, default: float | None = None) -> float:
        """A number above 0."""
        try:
            value = float(self._get(key, (int, float), default))
        except OverflowError:
            value = math.inf
        if not math.isfinite(value) or value <= 0:
            raise ModelFileError(f"has {value} for {key}, which has to be more than 0")
        return value

    def list(self, key: str) -> list[Any]:
        values = self._get(key, (list, np.ndarray), None)
        return values if isinstance(values, list) else list(values.tolist())

    def inner(self, key: str) -> Fields:
        """The fields of a value that has some; none where it is missing."""
        return Fields(self._get(key, dict, {}), f"{self._where}, {key}")
