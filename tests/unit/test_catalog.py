from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from taskq import catalog
from taskq.catalog import Catalog, TypeInfo, info_of, publish
from taskq.config import Defaults
from taskq.faults import faults
from taskq.registry import Registry
from taskq.signature import Signature
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


def test_a_catalog_builds_a_signature_once() -> None:
    read_once = read(t=resize)

    assert read_once.signature("t") is read_once.signature("t")
    assert isinstance(read_once.signature("t"), Signature)
