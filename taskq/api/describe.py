"""How an operation describes itself, beside its responder. `document.py` makes the OpenAPI document of it.

A responder without a description stops the document, and with it the tests: what is not described does not exist. The
docstring of the responder is the operation's description. What follows from the rest is not said again: which refusals a
body or a query brings with it, and those that any request can meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

JsonSchema = dict[str, Any]

JSON = "application/json"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"

SCHEMAS = "#/components/schemas/"

MOMENT: JsonSchema = {"type": "string", "format": "date-time"}

Responder = TypeVar("Responder", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A JSON Schema (2020-12) of a name, for what is read member by member and is no struct. `uses` has the types and
    schemas that it refers to."""

    name: str
    schema: JsonSchema
    uses: Sequence[Any] = ()

    @property
    def ref(self) -> JsonSchema:
        """How another schema refers to this one."""
        return {"$ref": SCHEMAS + self.name}


@dataclass(frozen=True)
class AnyOf:
    """What fits at least one of these."""

    schemas: Sequence[Schema]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Something of the path, the query or the header. One of the path is required, any other is not."""

    name: str
    schema: JsonSchema
    description: str
    example: Any = None
    place: Literal["path", "query", "header"] = "query"


@dataclass(frozen=True, kw_only=True)
class Header:
    """A header of an answer. `always`: it is never left out."""

    name: str
    description: str
    schema: JsonSchema = field(default_factory=lambda: {"type": "string"})
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a request carries. `shapes` has the type or schema of each media type, `examples` a value by its name; each
    example is one of JSON."""

    shapes: Mapping[str, Any]
    examples: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered when it goes well. `shapes` has the type or schema of each media type; none: no body. `links` name
    operations that this answer leads to, with their parameters as runtime expressions."""

    status: int
    description: str
    shapes: Mapping[str, Any] = field(default_factory=dict)
    headers: Sequence[Header] = ()
    example: Any = None
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path. `id` names it for generated clients. `refuses` has the code words of the errors (see
    `errors.STATUS`) that it can answer beside those that follow from the rest. `asks_redis`: it fails while Redis does;
    `stores`: also while Redis is full, which the others outlive."""

    id: str
    tag: str
    summary: str
    answers: Sequence[Answer]
    takes: Sequence[Parameter] = ()
    body: Body | None = None
    refuses: Sequence[str] = ()
    asks_redis: bool = True
    stores: bool = False


def describe(operation: Operation) -> Callable[[Responder], Responder]:
    """Give a responder its description."""

    def attach(responder: Responder) -> Responder:
        responder.operation = operation  # type: ignore[attr-defined]
        return responder

    return attach


def description_of(responder: object) -> Operation | None:
    """The description that a responder was given."""
    found = getattr(responder, "operation", None)
    return found if isinstance(found, Operation) else None


def json(shape: Any) -> Mapping[str, Any]:
    """A body that is JSON of this shape."""
    return {JSON: shape}
