from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from taskq import catalog
from taskq.catalog import Catalog, TypeInfo, faults, info_of, publish
from taskq.config import Defaults
from taskq.registry import Registry
from taskq.signature import Signature, signature_of
from taskq.typeoptions import Options

DEFAULTS = Defaults(timeout=60, memory_limit=1000)


class Picture(msgspec.Struct):
    path: str
    size: int = 1


def resize(path: str, width: Annotated[int, Meta(ge=1)] = 800, *, mode: str | None = None) -> None:
    """Make a picture smaller.

    More words.
    """


def take(picture: Picture) -> None:
    pass


def anything(payload: Any = None) -> None:
    pass


def registry(**handlers: Any) -> Registry:
    found = Registry()
    for type_, function in handlers.items():
        found.add(type_, function, Options(max_retry=7) if function is resize else Options())
    return found


def read(**handlers: Any) -> Catalog:
    return Catalog.decode(publish(registry(**handlers), DEFAULTS).text)


def found(function: Any, payload: object, *, remote: bool) -> list[tuple[str, str]]:
    """The faults of a payload, as the process with the code finds them or one that only read the catalog."""
    signature = read(t=function).signature("t") if remote else signature_of(function)
    text = None if payload is ... else json.dumps(payload).encode()
    return [(fault.pointer, fault.detail) for fault in faults(signature, text)]


def test_a_type_is_described_with_its_own_options_and_else_the_defaults() -> None:
    info = info_of(registry(resize=resize).get("resize"), DEFAULTS)

    assert info == TypeInfo(
        description="Make a picture smaller.",
        payload={
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "width": {"type": "integer", "minimum": 1, "default": 800},
                "mode": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
        required=True,
        max_retry=7,
        timeout_s=60,
        memory_limit_bytes=1000,
    )


def test_the_same_types_have_the_same_digest_in_whatever_order_they_were_registered() -> None:
    one = publish(registry(a=resize, b=take), DEFAULTS)
    other = publish(registry(b=take, a=resize), DEFAULTS)

    assert one == other
    assert publish(registry(a=resize, b=anything), DEFAULTS).digest != one.digest


def test_a_catalog_reads_back() -> None:
    assert list(read(a=resize, b=take).types) == ["a", "b"]
    assert read(a=resize).types["a"] == info_of(registry(a=resize).get("a"), DEFAULTS)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"a": 5}', b"\xff"])
def test_a_catalog_that_cannot_be_read_is_empty(text: bytes) -> None:
    assert Catalog.decode(text).types == {}


def test_a_schema_that_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "SCHEMA_MAX_BYTES", 150)

    types = read(large=resize, small=anything).types

    assert types["large"].payload is None
    assert types["small"].payload == {}


def test_a_catalog_that_is_too_large_has_no_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "CATALOG_MAX_BYTES", 200)

    types = read(a=resize, b=anything).types

    assert [info.payload for info in types.values()] == [None, None]
    assert types["a"].max_retry == 7


def test_a_type_without_a_schema_takes_everything() -> None:
    signature = Catalog({"t": TypeInfo()}).signature("t")

    assert [faults(signature, payload) for payload in (None, b"5", b"{}")] == [[], [], []]


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
def test_a_place_inside_of_a_member_is_named_as_far_as_it_is_known(remote: bool) -> None:
    def nested(pictures: list[Picture], sizes: dict[str, list[int]]) -> None:
        pass

    payload = {"pictures": [{"path": "a"}, {"path": 5}], "sizes": {"x": [1, "y"]}}

    assert found(nested, payload, remote=remote) == [
        ("/pictures/1/path", "Expected `str`, got `int`"),
        ("/sizes", "Expected `int`, got `str`"),
    ]


def test_a_great_number_of_faults_is_cut() -> None:
    payload = json.dumps({f"m{n}": n for n in range(1000)}).encode()

    assert len(faults(signature_of(resize), payload)) == catalog.MOST_FAULTS


def test_a_catalog_builds_a_signature_once() -> None:
    read_once = read(t=resize)

    assert read_once.signature("t") is read_once.signature("t")
    assert isinstance(read_once.signature("t"), Signature)
