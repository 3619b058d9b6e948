"""A return value becomes JSON that says the same, or a reason."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from typing import Any

import msgspec
import pytest

from taskq.worker.result import MAX_DEPTH, ResultError, encode_result


class Colour(enum.Enum):
    RED = "red"


class Odd(enum.Enum):
    NAN = math.nan


class Point(msgspec.Struct):
    x: float
    y: float


@dataclasses.dataclass
class Size:
    width: Any
    height: Any = None


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def cyclic_by_way_of_a_struct() -> Any:
    size = Size([])
    size.width.append(size)
    return size


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**64 - 1, 1.5, -0.0, 1e308, "", "ä\u2028\x00\U0001f600", [], {}, {"": {"a": [None]}}, [[[]]]],
    ids=repr,
)
def test_plain_values_read_back_as_they_were(value: Any) -> None:
    assert json.loads(encode_result(value, 1000)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (Point(1.0, 2.0), {"x": 1.0, "y": 2.0}),
        (Size(1), {"width": 1, "height": None}),
        (Colour.RED, "red"),
        (datetime.date(2026, 2, 1), "2026-02-01"),
        (datetime.datetime(2026, 2, 1, 10, 53, 32, tzinfo=datetime.UTC), "2026-02-01T10:53:32Z"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_with_a_usual_form_take_it(value: Any, expected: Any) -> None:
    assert json.loads(encode_result(value, 1000)) == expected


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH - 1])
def test_a_deep_value_is_kept(depth: int) -> None:
    assert encode_result(nested(depth), 1000) == b"[" * depth + b"1" + b"]" * depth


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "nan is not a JSON number"),
        ([math.inf], "inf is not a JSON number"),
        ({"a": -math.inf}, "-inf is not a JSON number"),
        (Point(math.nan, 0), "nan is not a JSON number"),
        (Size(math.nan), "nan is not a JSON number"),
        (Odd.NAN, "nan is not a JSON number"),
        (b"x", "bytes has no JSON form"),
        (bytearray(b"x"), "bytearray has no JSON form"),
        ({1}, "set has no JSON form"),
        (frozenset([1]), "frozenset has no JSON form"),
        ({1: "a"}, "an object's key must be a string, got int"),
        ({None: "a"}, "an object's key must be a string, got NoneType"),
        ({b"a": "a"}, "an object's key must be a string, got bytes"),
        (object(), "object has no JSON form"),
        (1j, "complex has no JSON form"),
        (print, "builtin_function_or_method has no JSON form"),
        (int, "type has no JSON form"),
        (Size, "type has no JSON form"),
        ((n for n in [1]), "generator has no JSON form"),
        (nested(MAX_DEPTH + 1), f"nested more than {MAX_DEPTH} levels deep, or cyclic"),
        (nested(100_000), f"nested more than {MAX_DEPTH} levels deep, or cyclic"),
        (cyclic(), f"nested more than {MAX_DEPTH} levels deep, or cyclic"),
        (cyclic_by_way_of_a_struct(), f"nested more than {MAX_DEPTH} levels deep, or cyclic"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:30],
)
def test_what_json_cannot_say_is_refused_with_the_reason(value: Any, reason: str) -> None:
    with pytest.raises(ResultError) as raised:
        encode_result(value, 10**9)

    assert str(raised.value) == f"result_not_serialisable: {reason}"


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["a", "b\udc00"]])
def test_a_lone_surrogate_is_refused(value: Any) -> None:
    with pytest.raises(ResultError, match="result_not_serialisable: "):
        encode_result(value, 1000)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**400])
def test_a_large_integer_is_kept_exactly_or_refused(value: int) -> None:
    try:
        text = encode_result(value, 1000)
    except ResultError:
        return

    assert json.loads(text) == value


def test_a_value_that_cannot_even_be_looked_at_is_refused() -> None:
    broken = Size(1)
    del broken.width

    with pytest.raises(ResultError, match="result_not_serialisable: "):
        encode_result(broken, 1000)


def test_the_size_is_that_of_the_text_in_bytes() -> None:
    assert encode_result("ää", 6) == '"ää"'.encode()
    with pytest.raises(ResultError) as raised:
        encode_result("ää", 5)

    assert str(raised.value) == "result_too_large: 6 bytes, at most 5 are kept"
