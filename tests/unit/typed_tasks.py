"""What a type checker must and must not say about decorated handlers: read by mypy, never run.

A line that must be refused says so with `type: ignore`; where mypy has nothing to ignore, that is an error too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, assert_type

from msgspec import Meta, Struct

from taskq import Context, Queue, Receipt, register, task
from taskq.testing import Outcome, run, service


class Point(Struct):
    x: int
    y: int = 0


@task("typed.resize", timeout="2m", max_retry=5, retry_on=(OSError,), memory_limit="512MiB")
def resize(ctx: Context, path: str, width: Annotated[int, Meta(ge=1)] = 800) -> dict[str, int]:
    return {path: width, ctx.id: ctx.attempt}


@task("typed.move")
def move(point: Point) -> Point:
    return point


@task("typed.nothing")
def nothing() -> None:
    pass


@task("typed.anything")
def anything(payload: Any = "") -> str:
    return str(payload)


@task("typed.maybe", retry_on=OSError)
def maybe(count: int, *, ctx: Context | None = None) -> int:
    return count if ctx is None else ctx.attempt


class Shop:
    @staticmethod
    @task("typed.static")
    def total(prices: list[int]) -> int:
        return sum(prices)


@task("typed.wrong", timeuot=3)  # type: ignore[call-arg]
def wrong() -> None:
    pass


def takes(function: Callable[[Point], Point]) -> Point:
    return function(Point(1))


def calls(ctx: Context) -> None:
    assert_type(resize(ctx, "a.png", width=300), dict[str, int])
    assert_type(move(Point(1)), Point)
    assert_type(takes(move), Point)
    assert_type(resize.__name__, str)
    resize("a.png")  # type: ignore[call-arg, arg-type]
    resize(ctx, path=3)  # type: ignore[arg-type]
    move(3)  # type: ignore[arg-type]
    takes(nothing)  # type: ignore[arg-type]


def producers() -> None:
    assert_type(resize.enqueue(path="a.png", width=300), Receipt[dict[str, int]])
    assert_type(resize.enqueue("a.png").wait(5), dict[str, int])
    assert_type(move.enqueue(Point(1)).wait("1m"), Point)
    assert_type(nothing.enqueue().wait(), None)
    resize.enqueue(path=3)  # type: ignore[call-overload]
    resize.enqueue(pth="a.png")  # type: ignore[call-overload]
    resize.enqueue()  # type: ignore[call-overload]
    nothing.enqueue(1)  # type: ignore[call-overload]


def producers_with_options() -> None:
    assert_type(resize.enqueue(path="a.png", width=300, _priority="high", _delay="10s"), Receipt[dict[str, int]])
    resize.enqueue(path="a.png", _queue="slow", _max_retry=0, _timeout=timedelta(minutes=1), _tags=["a"])
    resize.enqueue(path="a.png", _run_at=datetime(2026, 2, 1, tzinfo=UTC))
    resize.enqueue(path="a.png", _priority="urgent")  # type: ignore[call-overload]
    resize.enqueue(path="a.png", _max_retry="3")  # type: ignore[call-overload]
    assert_type(resize.options(priority="high", delay=10).enqueue(path="a.png").wait(), dict[str, int])
    resize.options(priority="high").enqueue(path=3)  # type: ignore[arg-type]
    resize.options(prio="high")  # type: ignore[call-arg]


def many() -> None:
    assert_type(resize.enqueue_many([{"path": "a"}], _priority="low"), list[Receipt[dict[str, int]]])
    resize.enqueue_many([{"path": "a"}], _priority=3)  # type: ignore[arg-type]


def without_a_context_of_their_own() -> None:
    assert_type(maybe(3), int)
    maybe("3")  # type: ignore[arg-type]
    assert_type(maybe.enqueue(count=2).wait(), int)
    maybe.enqueue(count="2")  # type: ignore[call-overload]
    assert_type(Shop.total([1]), int)
    assert_type(Shop.total.enqueue(prices=[1]).wait(), int)


def tests() -> None:
    outcome = run(resize, {"path": "a.png"}, attempt=2, tags=["a"])
    assert_type(outcome, Outcome[dict[str, int]])
    assert_type(outcome.result, dict[str, int] | None)
    assert_type(run(move, {"x": 1}).raise_for_failure().result, Point | None)
    assert_type(run(Shop.total, {"prices": [1]}).result, int | None)
    assert_type(run(register("typed.divmod", divmod_), {"a": 3, "b": 2}).result, tuple[int, int] | None)
    assert_type(run("typed.resize", {"path": "a.png"}), Outcome[Any])
    run(resize, {"path": "a.png"}, atempt=2)  # type: ignore[call-overload]
    run(3)  # type: ignore[call-overload]
    with service(["mytasks"], workers=2) as running:
        assert_type(running.queue, Queue)
        assert_type(running.url, str)


def untyped_payloads() -> None:
    anything.enqueue(payload=3, _delay=1)
    assert_type(Queue.from_config().enqueue("typed.move", {"x": 1}, delay="5s"), Receipt[Any])
    assert_type(register("typed.divmod", divmod_).enqueue(3, 2).wait(), tuple[int, int])


def divmod_(a: int, b: int) -> tuple[int, int]:
    return divmod(a, b)
