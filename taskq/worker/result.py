"""A handler's return value as JSON text, or the reason why it cannot be stored. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec

MAX_DEPTH = 128

_SCALARS = (
    str,
    int,
    bool,
    type(None),
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
)


class ResultError(Exception):
    """A return value that cannot be stored; the message begins with result_not_serialisable or result_too_large."""


def encode_result(value: object, max_bytes: int) -> bytes:
    """JSON text of at most `max_bytes`. Raises ResultError."""
    try:
        _check(value, 0)
        text = msgspec.json.encode(value)
    except Exception as error:  # objects of handlers may raise anything when they are looked at
        raise ResultError(f"result_not_serialisable: {error}") from error
    if len(text) > max_bytes:
        raise ResultError(f"result_too_large: {len(text)} bytes, at most {max_bytes} are kept")
    return text


def _check(value: object, depth: int) -> None:
    """Refuse what JSON cannot say or what an encoder would silently change (NaN to null, a set to a list)."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep, or cyclic")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
    elif not isinstance(value, _SCALARS):
        for part in _parts(value):
            _check(part, depth + 1)


def _parts(value: Any) -> Iterable[Any]:
    """What a compound value is made of. Raises TypeError for one that has no JSON form."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"an object's key must be a string, got {type(key).__name__}")
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, enum.Enum):
        return [value.value]
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    raise TypeError(f"{type(value).__name__} has no JSON form")
