"""A handler's return value as JSON text, or the reason why it cannot be stored. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
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
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"an object's key must be a string, got {type(key).__name__}")
            _check(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, msgspec.Struct):
        _check_all([getattr(value, name) for name in value.__struct_fields__], depth)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _check_all([getattr(value, field.name) for field in dataclasses.fields(value)], depth)
    elif isinstance(value, enum.Enum):
        _check(value.value, depth + 1)
    elif not isinstance(value, _SCALARS):
        raise TypeError(f"{type(value).__name__} has no JSON form")


def _check_all(items: list[Any], depth: int) -> None:
    for item in items:
        _check(item, depth + 1)
