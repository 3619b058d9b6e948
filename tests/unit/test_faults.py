"""Every fault of a payload, with its place, wherever the code of the type is."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Annotated, Any, Generic, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from taskq.catalog import Catalog, publish
from taskq.config import Defaults
from taskq.faults import MOST_FAULTS, MOST_LEVELS, faults
from taskq.registry import Registry
from taskq.signature import signature_of
from taskq.typeoptions import Options

T = TypeVar("T")


class Picture(msgspec.Struct):
    path: str
    size: int = 1


@dataclasses.dataclass
class Address:
    street: str
    number: Annotated[int, Meta(ge=1)] = 1


class Person(TypedDict):
    name: str
    born: NotRequired[datetime]
    homes: NotRequired[list[Address]]


class Pair(msgspec.Struct, Generic[T]):
    first: T
    second: T


class Tree(msgspec.Struct):
    value: int
    left: Tree | None = None


def resize(path: str, width: Annotated[int, Meta(ge=1)] = 800, *, mode: str | None = None) -> None:
    pass


def take(picture: Picture) -> None:
    pass


def move(address: Address) -> None:
    pass


def greet(person: Person) -> None:
    pass


def pair_up(pair: Pair[int]) -> None:
    pass


def count(by_number: dict[int, int]) -> None:
    pass


def anything(payload: Any = None) -> None:
    pass


def parts(
    homes: dict[str, Address],
    ids: Annotated[list[UUID], Meta(max_length=3)],
    person: Person | None,
    pair: tuple[int, str] = (1, ""),
) -> None:
    pass


def grow(payload: Tree) -> None:
    pass


def found(function: Any, payload: object, *, remote: bool) -> list[tuple[str, str]]:
    """The faults of a payload, as the process with the code finds them or one that only read the catalog."""
    text = None if payload is ... else json.dumps(payload).encode()
    registry = Registry()
    registry.add("t", function, Options())
    read = Catalog.decode(publish(registry, Defaults()).text)
    signature = read.signature("t") if remote else signature_of(function)
    return [(fault.pointer, fault.detail) for fault in faults(signature, text)]


@pytest.mark.parametrize("remote", [False, True], ids=["by code", "by schema"])
@pytest.mark.parametrize(
    ("function", "payload", "expected"),
    [
        (resize, {"path": "a"}, []),
        (resize, {"path": "a", "width": 1, "mode": None}, []),
        (resize, {"path": "a", "width": 0}, [("/width", "Expected `int` >= 1")]),
        (
            resize,
            {"width": "wide", "mode": 5, "a/b~": 1},
            [
                ("/path", "expected a value, got nothing"),
                ("/width", "Expected `int`, got `str`"),
                ("/mode", "Expected `str | null`, got `int`"),
                ("/a~1b~0", "expected no member but path, width, mode"),
            ],
        ),
        (resize, ..., [("/path", "expected a value, got nothing")]),
        (resize, None, [("", "Expected `object`, got `null`")]),
        (resize, [], [("", "Expected `object`, got `array`")]),
        (take, {"path": "a", "size": 2, "more": 3}, []),
        (take, {"size": "x"}, [("/path", "expected a value, got nothing"), ("/size", "Expected `int`, got `str`")]),
        (take, ..., [("/path", "expected a value, got nothing")]),
        (anything, ..., []),
        (anything, {"what": ["ever"]}, []),
    ],
)
def test_every_fault_of_a_payload_is_found_with_its_place(
    function: Any, payload: object, expected: list[tuple[str, str]], remote: bool
) -> None:
    assert found(function, payload, remote=remote) == expected


@pytest.mark.parametrize("remote", [False, True], ids=["by code", "by schema"])
def test_a_function_without_parameters_takes_an_empty_payload_in_every_form(remote: bool) -> None:
    def nothing() -> None:
        pass

    forms: list[object] = [..., None, "", {}]
    assert [found(nothing, payload, remote=remote) for payload in forms] == [[], [], [], []]
    assert found(nothing, {"a": 1}, remote=remote) == [("/a", "expected no member but none")]


@pytest.mark.parametrize("remote", [False, True], ids=["by code", "by schema"])
def test_a_place_inside_of_a_member_is_named(remote: bool) -> None:
    def nested(pictures: list[Picture], sizes: dict[str, list[int]]) -> None:
        pass

    payload = {"pictures": [{"path": "a"}, {"path": 5}], "sizes": {"x": [1, "y"]}}

    assert found(nested, payload, remote=remote) == [
        ("/pictures/1/path", "Expected `str`, got `int`"),
        ("/sizes/x/1", "Expected `int`, got `str`"),
    ]


def test_a_great_number_of_faults_is_cut() -> None:
    payload = json.dumps({f"m{n}": n for n in range(1000)}).encode()

    assert len(faults(signature_of(resize), payload)) == MOST_FAULTS


@pytest.mark.parametrize("remote", [False, True], ids=["by code", "by schema"])
@pytest.mark.parametrize(
    ("function", "payload", "expected"),
    [
        (move, {"number": 0}, [("/street", "expected a value, got nothing"), ("/number", "Expected `int` >= 1")]),
        (
            greet,
            {"born": "today", "homes": [{"street": "a"}, {"street": 1, "number": "x"}, 5]},
            [
                ("/born", "Invalid RFC3339 encoded datetime"),
                ("/homes/1/street", "Expected `str`, got `int`"),
                ("/homes/1/number", "Expected `int`, got `str`"),
                ("/homes/2", "Expected `object`, got `int`"),
                ("/name", "expected a value, got nothing"),
            ],
        ),
        (
            parts,
            {"homes": {"a/b": {"street": 5}, "c": None}, "ids": ["x"], "person": {"name": 1}, "pair": [1, 2]},
            [
                ("/homes/a~1b/street", "Expected `str`, got `int`"),
                ("/homes/c", "Expected `object`, got `null`"),
                ("/ids/0", "Invalid UUID"),
                ("/person/name", "Expected `str`, got `int`"),
                ("/pair/1", "Expected `str`, got `int`"),
            ],
        ),
        (
            parts,
            {"homes": {}, "ids": ["ac1f0b1c-16d6-4a3e-a2c8-3e1b2a1c0d3e"] * 4, "person": None},
            [("/ids", "Expected `array` of length <= 3")],
        ),
        (pair_up, {"first": "x"}, [("/first", "Expected `int`, got `str`"), ("/second", "expected a value, got nothing")]),
        (count, {"by_number": {"x": 1}}, [("/by_number", "Expected `int`, got `str`")]),
        (
            grow,
            {"left": {"value": "x", "left": {"left": None}}},
            [
                ("/value", "expected a value, got nothing"),
                ("/left/value", "Expected `int`, got `str`"),
                ("/left/left/value", "expected a value, got nothing"),
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_fault_inside_of_a_value_is_found_with_its_place(
    function: Any, payload: object, expected: list[tuple[str, str]], remote: bool
) -> None:
    assert found(function, payload, remote=remote) == expected


@pytest.mark.parametrize("remote", [False, True], ids=["by code", "by schema"])
def test_what_lies_very_deep_has_the_place_that_is_found_first(remote: bool) -> None:
    tree: dict[str, Any] = {"value": "x"}
    for _ in range(3 * MOST_LEVELS):
        tree = {"value": 1, "left": tree}

    assert found(grow, tree, remote=remote) == [("/left" * 3 * MOST_LEVELS + "/value", "Expected `int`, got `str`")]
