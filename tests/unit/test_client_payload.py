from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from taskq.client.payload import Checker, encode_payload, encode_payloads
from taskq.errors import InvalidPayload
from taskq.signature import signature_of


class Point(Struct):
    x: int
    y: float


@dataclass
class Line:
    start: Point
    name: str


def resize(path: str, width: Annotated[int, Meta(ge=1)] = 800) -> None:
    pass


def whole(payload: Point) -> None:
    pass


def anything(payload: Any = None) -> None:
    pass


def open_ended(name: str, **rest: int) -> None:
    pass


def check(function: Callable[..., Any], payload: bytes | None) -> None:
    Checker(signature_of(function)).check(payload)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"path": "ä.png", "width": 3}, '{"path":"ä.png","width":3}'),
        (None, "null"),
        ([None, {"a": None}], '[null,{"a":null}]'),
        (Point(1, 2.5), '{"x":1,"y":2.5}'),
        (Line(Point(1, 2), "l"), '{"start":{"x":1,"y":2},"name":"l"}'),
        (datetime(2026, 2, 1, tzinfo=UTC), '"2026-02-01T00:00:00Z"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (b"\x00\xff", '"AP8="'),
        ((1, 2), "[1,2]"),
        ("null", '"null"'),
    ],
)
def test_what_json_can_say_is_encoded(value: object, text: str) -> None:
    assert encode_payload(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [math.nan, [math.inf], {"a": {"b": -math.inf}}, Point(1, math.nan), object(), {"a": {1, object()}}, "\ud800"],
    ids=["nan", "inf", "-inf inside", "nan in a struct", "object", "object in a set", "lone surrogate"],
)
def test_what_json_cannot_say_is_refused_and_not_bent(value: object) -> None:
    with pytest.raises(InvalidPayload, match="expected what JSON can say"):
        encode_payload(value)


def test_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(InvalidPayload):
        encode_payload(circle)


@pytest.mark.parametrize(
    ("function", "payload"),
    [
        (resize, b'{"path":"a"}'),
        (resize, b'{"path":"a","width":1}'),
        (whole, b'{"x":1,"y":2}'),
        (anything, b"[1]"),
        (anything, None),
        (open_ended, b'{"name":"a","more":1}'),
    ],
)
def test_a_payload_that_fits_passes(function: Callable[..., Any], payload: bytes | None) -> None:
    check(function, payload)


@pytest.mark.parametrize(
    ("function", "payload", "pointer"),
    [
        (resize, b'{"path":3}', "/path"),
        (resize, b'{"path":"a","width":0}', "/width"),
        (resize, b"{}", ""),
        (resize, None, ""),
        (resize, b'{"path":"a","more":1}', ""),
        (whole, b'{"x":1.5,"y":2}', "/x"),
        (whole, None, ""),
        (open_ended, b'{"more":1}', ""),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_with_the_place(
    function: Callable[..., Any], payload: bytes | None, pointer: str
) -> None:
    with pytest.raises(InvalidPayload) as refused:
        check(function, payload)

    assert refused.value.pointer == pointer


def test_the_fault_of_one_of_many_begins_with_its_index() -> None:
    values = [{"path": "a"}, {"path": "b", "width": 0}]

    with pytest.raises(InvalidPayload) as refused:
        encode_payloads(values, Checker(signature_of(resize)).check)

    assert refused.value.pointer == "/1/width"
    with pytest.raises(InvalidPayload) as refused:
        encode_payloads([math.nan], lambda _: None)
    assert refused.value.pointer == "/0"
