"""How a JSON payload fills the parameters of a handler."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

import msgspec
import pytest
from msgspec import Meta

from taskq.errors import InvalidPayload
from taskq.signature import signature_of
from taskq.worker.context import Context

CONTEXT = object()

T = TypeVar("T")


def call(function: Callable[..., Any], payload: str | None) -> Any:
    """What the function returns for this payload."""
    args, kwargs = signature_of(function).bind(None if payload is None else payload.encode(), CONTEXT)
    return function(*args, **kwargs)


def refusal(function: Callable[..., Any], payload: str | None) -> tuple[str, str]:
    with pytest.raises(InvalidPayload) as raised:
        call(function, payload)
    return raised.value.detail, raised.value.pointer


# -- one member for each parameter


def resize(path: str, width: Annotated[int, Meta(ge=1)] = 800, *, modes: list[Literal["a", "b"]] | None = None) -> list[Any]:
    return [path, width, modes]


def test_members_become_keyword_arguments() -> None:
    assert call(resize, '{"path": "x", "width": 3, "modes": ["a"]}') == ["x", 3, ["a"]]
    assert call(resize, '{"path": "x"}') == ["x", 800, None]


@pytest.mark.parametrize(
    ("payload", "detail", "place"),
    [
        ('{"path": 5}', "Expected `str`, got `int`", "/path"),
        ('{"path": "x", "width": 0}', "Expected `int` >= 1", "/width"),
        ('{"path": "x", "modes": ["a", "c"]}', "Invalid enum value 'c'", "/modes/1"),
        ('{"width": 5}', "Object missing required field `path`", ""),
        ('{"path": "x", "depth": 1}', "Object contains unknown field `depth`", ""),
        ("[]", "Expected `object`, got `array`", ""),
        ('"x"', "Expected `object`, got `str`", ""),
        (None, "Object missing required field `path`", ""),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(payload: str | None, detail: str, place: str) -> None:
    assert refusal(resize, payload) == (detail, place)


@pytest.mark.parametrize("payload", ["", "{", '{"path": "x"} x', "nul", "NaN", '{"path": "\\ud800"}', "[" * 100_000])
def test_what_is_no_json_is_refused(payload: str) -> None:
    detail, _ = refusal(resize, payload)

    assert detail


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(InvalidPayload):
        signature_of(resize).bind(b'{"path": "\xff"}')


@pytest.mark.parametrize("payload", [None, "{}", "null", '""'])
def test_a_handler_without_parameters_takes_an_empty_payload(payload: str | None) -> None:
    assert call(lambda: "done", payload) == "done"


def test_a_handler_without_parameters_takes_no_other_payload() -> None:
    assert refusal(lambda: None, '{"a": 1}') == ("Object contains unknown field `a`", "")


def test_a_parameter_without_annotation_takes_any_value() -> None:
    def handler(a, b=None):  # type: ignore[no-untyped-def]
        return [a, b]

    assert call(handler, '{"a": {"x": [1, null]}}') == [{"x": [1, None]}, None]


def test_positional_only_parameters_are_filled_by_name_too() -> None:
    def handler(a: int, b: int = 2, /, c: int = 3) -> list[int]:
        return [a, b, c]

    assert call(handler, '{"c": 30, "a": 10}') == [10, 2, 30]


def test_a_mutable_default_is_taken_as_it_is() -> None:
    def handler(tags: list[str] = ["x"]) -> list[str]:  # noqa: B006
        return tags

    assert call(handler, "{}") == ["x"]


def test_further_members_go_to_the_keyword_parameter() -> None:
    def handler(**rest: Any) -> dict[str, Any]:
        return rest

    assert call(handler, '{"a": 1, "b": [2]}') == {"a": 1, "b": [2]}
    assert call(handler, None) == {}


def test_a_named_parameter_beside_a_keyword_parameter_is_checked() -> None:
    def handler(path: str, **rest: Any) -> list[Any]:
        return [path, rest]

    assert call(handler, '{"path": "x", "a": 1}') == ["x", {"a": 1}]
    assert refusal(handler, '{"a": 1}')
    assert refusal(handler, '{"path": 5}')


def test_further_members_are_checked_by_the_hint_of_the_keyword_parameter() -> None:
    def handler(path: str, **sizes: Annotated[int, Meta(ge=1)]) -> dict[str, int]:
        return sizes

    assert call(handler, '{"path": "x", "a": 1}') == {"a": 1}
    assert refusal(handler, '{"path": "x", "a/b": 0}') == ("Expected `int` >= 1", "/a~1b")


def test_a_parameter_that_may_be_any_object_takes_any_value() -> None:
    def handler(value: object = None, *, other: object) -> list[object]:
        return [value, other]

    assert call(handler, '{"other": [1, null]}') == [None, [1, None]]


# -- one parameter for the whole


class Job(msgspec.Struct):
    path: str
    width: int = 800


class Box(msgspec.Struct, Generic[T]):
    value: T


@dataclasses.dataclass
class Part:
    name: str


class Options(TypedDict):
    deep: bool


def test_one_struct_is_the_whole_payload() -> None:
    def handler(job: Job) -> Job:
        return job

    assert call(handler, '{"path": "x"}') == Job("x")
    assert refusal(handler, '{"path": 1}') == ("Expected `str`, got `int`", "/path")


def test_one_dataclass_is_the_whole_payload() -> None:
    def handler(part: Part) -> Part:
        return part

    assert call(handler, '{"name": "x"}') == Part("x")


def test_a_struct_with_notes_or_arguments_is_the_whole_payload_too() -> None:
    def annotated(job: Annotated[Job, Meta(description="what to do")]) -> Job:
        return job

    def generic(box: Box[int]) -> Box[int]:
        return box

    assert call(annotated, '{"path": "x"}') == Job("x")
    assert call(generic, '{"value": 3}') == Box(3)
    assert refusal(generic, '{"value": "x"}') == ("Expected `int`, got `str`", "/value")


def test_one_typed_dict_is_the_whole_payload() -> None:
    def handler(options: Options) -> Options:
        return options

    assert call(handler, '{"deep": true}') == {"deep": True}


def test_a_struct_among_other_parameters_is_one_member() -> None:
    def handler(job: Job, count: int) -> list[Any]:
        return [job, count]

    assert call(handler, '{"job": {"path": "x"}, "count": 2}') == [Job("x"), 2]
    assert refusal(handler, '{"job": {"path": 1}, "count": 2}') == ("Expected `str`, got `int`", "/job/path")


@pytest.mark.parametrize("payload", ['"x"', "5", "null", "[1]", '{"payload": 1}'])
def test_one_parameter_named_payload_takes_any_value(payload: str) -> None:
    def handler(payload: Any) -> Any:
        return payload

    assert call(handler, payload) == msgspec.json.decode(payload)


def test_a_required_payload_that_is_absent_is_null() -> None:
    def handler(payload: Any) -> Any:
        return payload

    def strict(payload: str) -> str:
        return payload

    assert call(handler, None) is None
    assert refusal(strict, None) == ("Expected `str`, got `null`", "")


def test_an_absent_payload_leaves_the_default() -> None:
    def handler(payload: Any = "default") -> Any:
        return payload

    assert call(handler, None) == "default"
    assert call(handler, "null") is None


def test_an_annotated_payload_is_checked() -> None:
    def handler(payload: list[int]) -> int:
        return sum(payload)

    assert call(handler, "[1, 2]") == 3
    assert refusal(handler, '[1, "x"]') == ("Expected `int`, got `str`", "/1")


def test_one_parameter_of_another_name_is_a_member() -> None:
    def handler(text: str) -> str:
        return text

    assert call(handler, '{"text": "x"}') == "x"


# -- the context


def test_the_context_is_no_part_of_the_payload() -> None:
    def handler(path: str, ctx: Context) -> list[Any]:
        return [path, ctx]

    assert call(handler, '{"path": "x"}') == ["x", CONTEXT]
    assert refusal(handler, '{"path": "x", "ctx": 1}') == ("Object contains unknown field `ctx`", "")


def test_the_context_may_stand_beside_a_whole_payload() -> None:
    def handler(ctx: Context, payload: str) -> list[Any]:
        return [ctx, payload]

    assert call(handler, '"x"') == [CONTEXT, "x"]


def test_the_context_may_be_positional_only() -> None:
    def handler(ctx: Context, /, text: str) -> list[Any]:
        return [ctx, text]

    assert call(handler, '{"text": "x"}') == [CONTEXT, "x"]


def test_a_payload_cannot_replace_the_context() -> None:
    def handler(ctx: Context, **rest: Any) -> Any:
        return ctx

    with pytest.raises(InvalidPayload):
        call(handler, '{"ctx": "forged"}')
