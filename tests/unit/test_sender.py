"""A decorated function: still the function it was, and what its `enqueue` submits."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from msgspec import Struct

from taskq import Context, InvalidOptions, InvalidPayload, TaskqError, register, task
from taskq.client.decorator import sender_of
from taskq.client.default import set_default
from taskq.client.options import NAMES, OF_ONE_TASK
from taskq.client.receipt import Decode, decoder_for
from taskq.client.typed import TaskFunction
from taskq.registry import registry
from taskq.task import Priority


class Point(Struct):
    x: int
    y: int = 0


@task("unit.resize", max_retry=5)
def resize(ctx: Context, path: str, width: int = 800) -> dict[str, int]:
    """Make it smaller."""
    return {"width": width}


@task("unit.move")
def move(point: Point) -> Point:
    return point


@task("unit.anything")
def anything(payload: Any = None) -> Any:
    return payload


@task("unit.nothing")
def nothing() -> None:
    pass


@task("unit.odd")
def odd(*, _delay: int, other: str = "") -> int:
    return _delay


Submitted = tuple[str, Any, Mapping[str, Any]]


class Recorder:
    """Stands in for the queue and remembers what was submitted."""

    def __init__(self) -> None:
        self.submitted: list[Submitted] = []
        self.decodes: list[Decode] = []

    def submit(self, type_: str, payload: bytes | None, fields: Mapping[str, Any], decode: Decode) -> str:
        self.submitted.append((type_, payload, dict(fields)))
        self.decodes.append(decode)
        return "a receipt"

    def submit_many(self, type_: str, payloads: list[bytes], fields: Mapping[str, Any], decode: Decode) -> list[str]:
        return [self.submit(type_, payload, fields, decode) for payload in payloads]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    set_default(lambda: typing.cast("Any", recorder))
    yield recorder
    set_default(None)


@pytest.fixture(autouse=True)
def _same_types() -> Iterator[None]:
    """Types that a test registers are gone after it."""
    before = dict(registry._handlers)
    yield
    registry._handlers.clear()
    registry._handlers.update(before)


# -- still a function


def test_a_decorated_function_is_the_function_itself() -> None:
    def plain(path: str) -> str:
        return path

    decorated: Any = task("unit.plain")(plain)

    assert decorated is plain
    assert inspect.isfunction(decorated)
    assert isinstance(decorated, types.FunctionType)
    assert registry.get("unit.resize").function is resize
    assert plain("a") == "a"


def test_its_signature_name_and_doc_are_what_they_were() -> None:
    assert str(inspect.signature(resize)) == "(ctx: 'Context', path: 'str', width: 'int' = 800) -> 'dict[str, int]'"
    assert (resize.__name__, resize.__doc__, resize.__module__) == ("resize", "Make it smaller.", __name__)


def test_it_is_pickled_by_name_and_copied_as_itself() -> None:
    assert pickle.loads(pickle.dumps(resize)) is resize
    assert copy.deepcopy(resize) is resize


def test_a_wrapper_around_it_keeps_what_it_can_do(recorder: Recorder) -> None:
    @functools.wraps(resize)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return resize(*args, **kwargs)

    typing.cast("Any", wrapper).enqueue(path="a")

    assert recorder.submitted == [("unit.resize", b'{"path":"a"}', {})]


def test_a_wrapper_may_be_the_handler_of_a_type_of_its_own(recorder: Recorder) -> None:
    @task("unit.wrapped")
    @functools.wraps(move)
    def wrapper(point: Point) -> Point:
        return move(point)

    wrapper.enqueue(Point(1))
    move.enqueue(Point(2))

    assert [type_ for type_, _, _ in recorder.submitted] == ["unit.wrapped", "unit.move"]


def test_a_function_submits_tasks_of_one_type_only() -> None:
    with pytest.raises(TaskqError, match=r"nothing already submits tasks of type 'unit.nothing'; use register"):
        task("unit.nothing.too")(nothing)

    assert "unit.nothing.too" not in registry.types()
    assert task("unit.nothing")(nothing) is nothing


def test_what_takes_no_attributes_is_registered_with_register(recorder: Recorder) -> None:
    with pytest.raises(TaskqError, match=r"task type 'unit.len': <built-in function len> cannot be decorated: .*register"):
        task("unit.len")(len)
    assert "unit.len" not in registry.types()

    sender = register("unit.divmod", divmod)
    sender.enqueue(3, 2)

    assert recorder.submitted == [("unit.divmod", b'{"x":3,"y":2}', {})]


def test_register_leaves_the_function_of_another_package_alone() -> None:
    def foreign(a: int) -> int:
        return a

    sender = register("unit.foreign", foreign, max_retry=1)

    assert vars(foreign) == {}
    assert sender_of(foreign) is None
    assert (sender.type, registry.options("unit.foreign").max_retry) == ("unit.foreign", 1)


# -- what is submitted


def test_keyword_arguments_are_the_payload(recorder: Recorder) -> None:
    receipt: object = resize.enqueue(path="a.png", width=300)

    assert receipt == "a receipt"
    assert recorder.submitted == [("unit.resize", b'{"path":"a.png","width":300}', {})]


def test_positional_arguments_are_named_as_in_a_call_without_the_context(recorder: Recorder) -> None:
    resize.enqueue("a.png", 300)
    resize.enqueue("a.png", width=300)

    assert [payload for _, payload, _ in recorder.submitted] == [b'{"path":"a.png","width":300}'] * 2


def test_what_was_left_out_is_left_to_the_worker(recorder: Recorder) -> None:
    resize.enqueue("a.png")
    nothing.enqueue()
    anything.enqueue()

    assert [payload for _, payload, _ in recorder.submitted] == [b'{"path":"a.png"}', b"{}", None]


@pytest.mark.parametrize("call", [lambda: move.enqueue(Point(1, 2)), lambda: move.enqueue(point=Point(1, 2))])
def test_a_parameter_that_takes_the_whole_payload_is_the_payload(recorder: Recorder, call: Callable[[], Any]) -> None:
    call()

    assert recorder.submitted == [("unit.move", b'{"x":1,"y":2}', {})]


def test_arguments_with_an_underscore_are_options(recorder: Recorder) -> None:
    resize.enqueue(path="a.png", width=300, _priority="high", _delay="10s", _queue="slow", _tags=["x"])

    fields = {"priority": Priority.HIGH, "delay_s": 10.0, "queue": "slow", "tags": ("x",)}
    assert recorder.submitted == [("unit.resize", b'{"path":"a.png","width":300}', fields)]


def test_a_parameter_with_an_underscore_is_a_parameter(recorder: Recorder) -> None:
    odd.enqueue(_delay=3)
    odd.options(delay=7).enqueue(_delay=3)

    assert recorder.submitted == [("unit.odd", b'{"_delay":3}', {}), ("unit.odd", b'{"_delay":3}', {"delay_s": 7.0})]


def test_options_may_be_set_once_for_many(recorder: Recorder) -> None:
    urgent = resize.options(priority="high", delay=5)

    urgent.enqueue("a")
    urgent.enqueue_many([{"path": "b"}])
    typing.cast("Any", urgent).enqueue("c", _delay=1)

    assert [fields["delay_s"] for _, _, fields in recorder.submitted] == [5.0, 5.0, 1.0]
    assert {fields["priority"] for _, _, fields in recorder.submitted} == {Priority.HIGH}


def test_many_are_submitted_by_their_payloads(recorder: Recorder) -> None:
    resize.enqueue_many(({"path": path} for path in "ab"), _priority="low")
    move.enqueue_many([Point(1), {"x": 2}])
    anything.enqueue_many([None, [1]])

    low = {"priority": Priority.LOW}
    assert recorder.submitted == [
        ("unit.resize", b'{"path":"a"}', low),
        ("unit.resize", b'{"path":"b"}', low),
        ("unit.move", b'{"x":1,"y":0}', {}),
        ("unit.move", b'{"x":2}', {}),
        ("unit.anything", b"null", {}),
        ("unit.anything", b"[1]", {}),
    ]


# -- what is refused


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: resize.enqueue(path=3), InvalidPayload, "Expected `str`, got `int` at /path"),  # type: ignore[call-overload]
        (lambda: resize.enqueue(), InvalidPayload, "missing required field `path`"),  # type: ignore[call-overload]
        (lambda: resize.enqueue("a", 3, 4), TypeError, "resize.enqueue.. takes 2 positional arguments, got 3"),  # type: ignore[call-overload]
        (lambda: resize.enqueue("a", path="b"), TypeError, "got two values for path"),  # type: ignore[call-overload]
        (lambda: resize.enqueue("a", hight=3), InvalidPayload, "unknown field `hight`"),  # type: ignore[call-overload]
        (lambda: resize.enqueue("a", _priorty="high"), TypeError, "got '_priorty': .* did you mean _priority?"),  # type: ignore[call-overload]
        (lambda: resize.enqueue("a", _priority="urgent"), InvalidOptions, "priority: expected one of"),  # type: ignore[call-overload]
        (lambda: resize.options(delai=3), InvalidOptions, "did you mean delay?"),  # type: ignore[call-arg]
        (lambda: resize.enqueue_many([{"path": "a"}, {"path": 1}]), InvalidPayload, "at /1/path"),
        (lambda: resize.enqueue_many([], delay=3), TypeError, "got 'delay'"),  # type: ignore[call-arg]
        (lambda: resize.enqueue_many([], _unique_key="a"), InvalidOptions, "unique_key: expected one task"),  # type: ignore[call-arg]
        (lambda: resize.enqueue("a", _idempotency_key="ä"), InvalidOptions, "idempotency_key: expected 1 to 128"),
        (lambda: move.enqueue(Point(1), y=3), TypeError, "takes point and options, got 'y'"),  # type: ignore[call-overload]
        (lambda: nothing.enqueue(1), TypeError, "takes 0 positional arguments, got 1"),  # type: ignore[call-overload]
        (lambda: odd.enqueue(3), TypeError, "takes 0 positional arguments, got 1"),  # type: ignore[call-overload]
    ],
)
def test_what_no_task_could_be_made_of_is_not_submitted(
    recorder: Recorder, call: Callable[[], Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text.replace("?", r"\?")):
        call()

    assert recorder.submitted == []


# -- results


def test_a_result_is_read_as_the_return_hint_says(recorder: Recorder) -> None:
    move.enqueue(Point(1))
    resize.enqueue("a")
    anything.enqueue()

    as_point, as_dict, as_any = recorder.decodes
    assert as_point(b'{"x":1,"y":2}') == Point(1, 2)
    assert as_dict(b'{"width":3}') == {"width": 3}
    assert as_any(b"[1]") == [1]


def test_a_result_that_does_not_fit_the_hint_is_read_plainly() -> None:
    assert decoder_for(int)(b'"three"') == "three"
    assert decoder_for(Callable[[], int])(b"3") == 3
    assert decoder_for(object)(b"3") == 3


def test_hints_that_cannot_be_resolved_do_not_matter(recorder: Recorder) -> None:
    def vague(a: int) -> Any:
        return a

    task("unit.vague")(vague)
    vague.__annotations__["return"] = "NoSuchName"

    typing.cast("Any", vague).enqueue(a=1)

    assert recorder.decodes[0](b"3") == 3


# -- the types


def test_the_types_know_every_option() -> None:
    method = types.SimpleNamespace(__module__=TaskFunction.__module__, __qualname__="TaskFunction.enqueue")
    overloads = typing.get_overloads(typing.cast("Any", method))
    required = [
        next(iter(name for name, p in inspect.signature(each).parameters.items() if p.default is p.empty and name[0] == "_"))
        for each in overloads[1:]
    ]

    assert required == [f"_{option}" for option in NAMES]
    for at, each in enumerate(overloads[1:]):
        named = [name for name in inspect.signature(each).parameters if name.startswith("_")]
        assert named == [f"_{option}" for option in NAMES][at:]
    assert keywords(TaskFunction.options) == list(NAMES)
    assert keywords(TaskFunction.enqueue_many) == [f"_{option}" for option in NAMES if option not in OF_ONE_TASK]


def keywords(function: Callable[..., Any]) -> list[str]:
    return [name for name, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY]
