"""Every form in which a handler can take its payload; the annotations of this module are strings."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Optional, ParamSpec, TypeVar
from uuid import UUID

from msgspec import Meta

from acme.models import Colour, Mail, Order, Picture, Size  # type: ignore[import-not-found]
from taskq import Context, register, task

P = ParamSpec("P")
R = TypeVar("R")


@task("acme.keywords", max_retry=3)
def keywords(
    path: str,
    width: Annotated[int, Meta(ge=1)] = 800,
    *,
    mode: Literal["fit", "fill"] = "fit",
    note: Optional[str] = None,  # noqa: UP045 - this form has to work as well
    sizes: dict[str, Size] | None = None,
) -> list[Any]:
    return [path, width, mode, note, sizes]


@task("acme.values")
def values(when: datetime, key: UUID, data: bytes, colour: Colour = Colour.RED) -> list[Any]:
    return [when.tzinfo is not None, key.version, data.decode(), colour.name]


@task("acme.struct")
def struct(ctx: Context, picture: Picture) -> list[Any]:
    return [type(picture).__name__, picture.path, picture.size.width, picture.size.height, picture.tags, ctx.attempt]


@task("acme.dataclass")
def dataclass(order: Order) -> list[Any]:
    return [type(order).__name__, order.number, [[line.article, line.count] for line in order.lines], order.note]


@task("acme.typeddict")
def typeddict(mail: Mail) -> list[Any]:
    return [mail["to"], mail.get("subject")]


@task("acme.anything")
def anything(payload: Any) -> Any:
    return payload


@task("acme.numbers")
def numbers(payload: list[Annotated[int, Meta(ge=0)]]) -> int:
    return sum(payload)


def traced(function: Callable[P, R]) -> Callable[P, list[Any]]:
    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> list[Any]:
        return ["traced", function(*args, **kwargs)]

    return inner


@task("acme.wrapped")
@traced
def wrapped(count: int, *, by: int = 2) -> int:
    return count * by


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @staticmethod
    @task("acme.static")
    def static(count: int = 1) -> int:
        return count

    def bound(self, article: str) -> str:
        return f"{article} of {self.name}"


register("acme.bound", Shop("here").bound)
register("acme.partial", functools.partial(Shop("there").bound, article="bread"))


@task("acme.asleep", timeout="300ms", max_retry=0)
def asleep() -> None:
    async def sleep_twice() -> None:
        await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))

    asyncio.run(sleep_twice())
