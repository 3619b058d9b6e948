"""What the tasks take, with annotations that are evaluated at once."""

import dataclasses
import enum
from typing import Annotated, NotRequired, TypedDict

import msgspec
from msgspec import Meta


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(msgspec.Struct):
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)] = 1


class Picture(msgspec.Struct):
    path: str
    size: Size
    tags: list[str] = []


@dataclasses.dataclass
class Line:
    article: str
    count: Annotated[int, Meta(ge=1)] = 1


@dataclasses.dataclass
class Order:
    number: int
    lines: list[Line]
    note: str | None = None


class Mail(TypedDict):
    to: str
    subject: NotRequired[str]
