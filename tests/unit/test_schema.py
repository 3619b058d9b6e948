"""A schema that was written and read again takes and refuses what the type did, with the same words."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from taskq.schema import JsonSchema, model_of, schema_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Node(msgspec.Struct):
    value: int
    children: list[Node] = []


class Left(msgspec.Struct):
    right: Right | None = None


class Right(msgspec.Struct):
    left: Left | None = None
    name: str = ""


class Circle(msgspec.Struct, tag="circle", forbid_unknown_fields=True):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: Annotated[float, Meta(gt=0)]


class Renamed(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    some_name: int
    other_name: str = "x"


class Row(msgspec.Struct, array_like=True):
    a: int
    b: str = "b"


class ClosedRow(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    a: int
    b: str = "b"


@dataclasses.dataclass
class Address:
    street: str
    number: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


class Person(TypedDict):
    name: str
    born: NotRequired[date]


class Pair(NamedTuple):
    a: int
    b: str = "b"


class Custom:
    """Nothing that msgspec knows."""


TYPES: dict[str, Any] = {
    "any": Any,
    "null": None,
    "bool": bool,
    "int": int,
    "bounded int": Annotated[int, Meta(ge=1, lt=10, multiple_of=2)],
    "float": float,
    "bounded float": Annotated[float, Meta(gt=0.5, le=2.5)],
    "str": str,
    "bounded str": Annotated[str, Meta(min_length=2, max_length=3, pattern="^[a-z]")],
    "bytes": bytes,
    "datetime": datetime,
    "datetime with offset": Annotated[datetime, Meta(tz=True)],
    "datetime without offset": Annotated[datetime, Meta(tz=False)],
    "date": date,
    "time": time,
    "time with offset": Annotated[time, Meta(tz=True)],
    "timedelta": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
    "enum": Colour,
    "int enum": Level,
    "literal": Literal["a", 1, None],
    "optional": int | None,
    "union": int | str | list[bool] | None,
    "list": list[int],
    "bare list": list,
    "bounded list": Annotated[list[int], Meta(min_length=1, max_length=2)],
    "set": set[int],
    "tuple": tuple[int, str],
    "empty tuple": tuple[()],
    "tuple of any length": tuple[int, ...],
    "sequence": typing.Sequence[str],
    "dict": dict[str, int],
    "bare dict": dict,
    "dict of lists": dict[str, list[dict[str, int]]],
    "bounded dict": Annotated[dict[str, int], Meta(min_length=1, max_length=2)],
    "dict with bounded keys": dict[Annotated[str, Meta(pattern="^a")], int],
    "dict with uuid keys": dict[UUID, int],
    "dict with literal keys": dict[Literal["a", "b"], int],
    "struct": Renamed,
    "recursive struct": Node,
    "mutually recursive structs": Left,
    "list of structs": list[Node | None],
    "tagged struct": Circle,
    "union of tagged structs": Circle | Square | None,
    "row": Row,
    "closed row": ClosedRow,
    "named tuple": Pair,
    "dataclass": Address,
    "typed dict": Person,
}

VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    2,
    4,
    12,
    -3,
    2**70,
    0.5,
    1.0,
    1.5,
    "",
    "a",
    "ab",
    "abcd",
    "Ab",
    "red",
    "1.5",
    "YWI=",
    "YWI",
    "2026-02-01T10:53:32Z",
    "2026-02-01T10:53:32",
    "2026-02-01",
    "2026-02-30",
    "10:53:32",
    "10:53:32+02:00",
    "PT1.5S",
    "5335d502-a2c7-4abd-9496-c64692b43869",
    [],
    [1],
    [1, 1],
    [1, "x"],
    ["x", 1],
    [1, "x", 2],
    [1, 2, 3],
    [True],
    [{"value": 1}, None],
    [{"value": "x"}],
    {},
    {"a": 1},
    {"a": "x"},
    {"b": 1, "c": 2, "d": 3},
    {"a": [{"b": 1}]},
    {"a": [{"b": "x"}]},
    {"5335d502-a2c7-4abd-9496-c64692b43869": 1},
    {"someName": 1},
    {"someName": 1, "otherName": "y"},
    {"someName": 1, "more": 2},
    {"someName": "x"},
    {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]},
    {"value": 1, "children": [{"value": 2, "children": [{"value": "x"}]}]},
    {"right": {"left": {"right": {"name": "x"}}}},
    {"right": {"left": {"right": {"name": 1}}}},
    {"type": "circle", "radius": 1},
    {"type": "circle", "radius": 1, "more": 2},
    {"type": "square", "side": 0},
    {"type": "square", "side": 2, "more": 1},
    {"type": "line"},
    {"radius": 1},
    {"street": "x"},
    {"street": "x", "number": "y", "tags": []},
    {"street": "x", "tags": ["a", 1]},
    {"name": "x", "born": "2026-02-01"},
    {"name": "x", "born": "yesterday", "more": 1},
]


def verdict(type_: Any, text: bytes) -> str | None:
    """Why a JSON text does not fit a type; None if it does."""
    try:
        msgspec.json.decode(text, type=type_)
    except msgspec.MsgspecError as error:
        return str(error)
    return None


def assert_alike(name: str, again: Any, text: bytes) -> None:
    """The same verdict; a named tuple comes back as a row, whose words about a wrong length differ."""
    now, before = verdict(again, text), verdict(TYPES[name], text)
    if name == "named tuple":
        assert (now is None) == (before is None), text
    else:
        assert now == before, (name, text)


def rebuilt(type_: Any) -> Any:
    """The type after it went through JSON as a schema."""
    schema: JsonSchema = json.loads(json.dumps(schema_of(type_)))
    return model_of(schema)


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_the_same_after_it_was_written_and_read(name: str) -> None:
    again = rebuilt(TYPES[name])

    for value in VALUES:
        assert_alike(name, again, json.dumps(value).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc") | st.text(), inner, max_size=4),
    max_leaves=10,
)
REBUILT = {name: rebuilt(type_) for name, type_ in TYPES.items()}


@settings(deadline=None)  # the machine may be busy
@given(json_values)
def test_any_value_is_judged_alike_before_and_after(value: Any) -> None:
    for name, again in REBUILT.items():
        assert_alike(name, again, json.dumps(value).encode())


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_that_was_read_is_written_alike(name: str) -> None:
    once = schema_of(rebuilt(TYPES[name]))

    assert schema_of(model_of(once)) == once


def test_keywords_say_what_everybody_understands() -> None:
    fields: list[Any] = [
        ("path", Annotated[str, Meta(min_length=1, description="where it lies")]),
        ("width", Annotated[int, Meta(ge=1)], 800),
        ("mode", Literal["fit", "fill"], "fit"),
        ("taken", datetime | None, None),
    ]
    model = msgspec.defstruct("resize", fields, kw_only=True, forbid_unknown_fields=True)

    assert schema_of(model) == {
        "type": "object",
        "properties": {
            "path": {"description": "where it lies", "type": "string", "minLength": 1},
            "width": {"type": "integer", "minimum": 1, "default": 800},
            "mode": {"enum": ["fill", "fit"], "default": "fit"},
            "taken": {
                "anyOf": [{"type": "string", "format": "date-time", "x-timezone": "optional"}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["path"],
        "additionalProperties": False,
    }


def test_types_that_are_used_more_than_once_are_written_once() -> None:
    schema = schema_of(tuple[Node, Address, Address])

    assert list(schema["$defs"]) == ["Node", "Address"]
    assert schema["prefixItems"][1:] == [{"$ref": "#/$defs/Address"}] * 2


def test_two_types_of_one_name_are_kept_apart() -> None:
    first = msgspec.defstruct("Point", [("x", int)])
    second = msgspec.defstruct("Point", [("x", str)])

    again = rebuilt(tuple[first, second])  # type: ignore[valid-type]

    assert verdict(again, b'[{"x": 1}, {"x": "1"}]') is None
    assert verdict(again, b'[{"x": 1}, {"x": 1}]') == "Expected `str`, got `int` - at `$[1].x`"


@pytest.mark.parametrize("type_", [Custom, complex, list[Custom]])
def test_what_json_cannot_say_is_taken(type_: Any) -> None:
    assert verdict(rebuilt(type_), b"[1]") is None


def test_a_default_without_a_json_form_is_left_out() -> None:
    model = msgspec.defstruct("S", [("a", Any, Custom()), ("b", Colour, Colour.RED)])

    assert schema_of(model)["properties"] == {"a": {}, "b": {"title": "Colour", "enum": ["red", "blue"], "default": "red"}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/missing"},
        {"type": "string", "pattern": "("},
        {"type": "object", "properties": {'a"b': {"type": "integer"}}},
        {"type": "integer", "minimum": 2**70},
        {"type": ["string", "null"]},
        {"type": "tuple"},
        {"enum": []},
        {"enum": [1.5]},
        {"anyOf": [{"type": "object", "properties": {}}, {"type": "object"}]},
        {"type": "string", "format": "date-time", "x-timezone": "lunar"},
        {"properties": 5, "type": "object"},
        {"type": "array", "prefixItems": None},
    ],
)
def test_a_schema_that_cannot_be_read_takes_everything(schema: JsonSchema) -> None:
    model = model_of(schema)

    assert [verdict(model, text) for text in (b"null", b"5", b'{"a": [1]}')] == [None, None, None]


def test_words_that_are_not_known_are_passed_over() -> None:
    model = model_of({"type": "string", "format": "email", "title": "t", "examples": [1], "deprecated": True})

    assert verdict(model, b'"x"') is None
    assert verdict(model, b"5") == "Expected `str`, got `int`"
