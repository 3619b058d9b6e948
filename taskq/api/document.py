"""The OpenAPI 3.1 document, made of the routes of the running application and of what their responders say of themselves.

No copy of it is kept anywhere: what is not described fails the tests, and what is described is what the code reads and
builds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import falcon
import falcon.inspect
import msgspec
from falcon.routing import CompiledRouter

from taskq import __version__
from taskq.api import shapes
from taskq.api.access import is_open, needed_role
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.describe import (
    JSON,
    SCHEMAS,
    Answer,
    AnyOf,
    Body,
    Header,
    JsonSchema,
    Operation,
    Parameter,
    Schema,
    description_of,
)
from taskq.api.errors import PROBLEM, STATUS, problem
from taskq.api.sentences import ABOUT, SENTENCES, TAGS
from taskq.tokens import Role

REQUEST_ID = Parameter(
    name="X-Request-ID",
    schema={"type": "string"},
    description="1 to 128 of letters, digits and `. _ -`: the id of this request in the answer and in the log. "
    "Anything else is replaced.",
    place="header",
)
ANSWERED_ID = Header(
    name="X-Request-ID", description="The id of this request, taken from it or made.", always=True, schema={"type": "string"}
)
RETRY_AFTER = Header(
    name="Retry-After", description="Seconds to wait before the next try.", schema={"type": "integer", "minimum": 1}
)

ANY_REQUEST = (
    "bad_request",
    "body_too_large",
    "expectation_failed",
    "header_too_large",
    "internal_error",
    "misdirected",
    "not_implemented",
    "request_timeout",
    "uri_too_long",
    "version_not_supported",
)
"""What can be wrong with a request before anybody looks at its path, or inside of the service."""

ANY_STRANGER = ("unauthorized",)
ANY_LESSER = ("forbidden",)
ANY_CHANGE = ("cross_site",)
ANY_BODY = ("invalid_body", "unsupported_media_type")
ANY_QUERY = ("invalid_query",)
ANY_LOOK_AT_REDIS = ("queue_unavailable", "queue_refused")
ANY_STORE = ("queue_full",)

_REFUSAL_HEADERS = {
    401: [Header(name="WWW-Authenticate", description="Bearer, and whether the token is unknown.", always=True)],
    503: [RETRY_AFTER],
}
_OWN_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_EXAMPLE_ID = "4f3c9d3e0b7e4b0f9a51c7f6a0a4f0de"


class Undescribed(Exception):
    """A route, a responder, a code or a path parameter that no description has."""


def build(router: CompiledRouter, app: falcon.App[Any, Any], context: ApiContext) -> dict[str, Any]:
    """The document of `app`, whose routes are in `router`. Raises Undescribed."""
    shapes_ = _Shapes()
    shapes_.add(shapes.Problem)
    paths: dict[str, dict[str, Any]] = {}
    ids: set[str] = set()
    for path, method, operation, text in operations(router, app):
        _check_path(path, operation)
        if operation.id in ids:
            raise Undescribed(f"{method} {path}: another operation has the id {operation.id}")
        ids.add(operation.id)
        paths.setdefault(path, {})[method.lower()] = {
            **_operation(shapes_, context.settings, (path, method), operation, text),
            **_access(path, method, context),
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "taskq",
            "version": __version__,
            "summary": "A job server for CPU-bound Python work, driven over REST.",
            "description": ABOUT.format(settings=context.settings),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": shapes_.components(),
            "headers": {header.name: _header(header) for header in (ANSWERED_ID, RETRY_AFTER)},
            "parameters": {REQUEST_ID.name: _parameter(REQUEST_ID)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "examples": {code: {"value": _problem_example(code)} for code in STATUS},
        },
    }


def operations(router: CompiledRouter, app: falcon.App[Any, Any]) -> Iterator[tuple[str, str, Operation, str]]:
    """Every path, method, description and docstring that the application has. Raises Undescribed."""
    for route in falcon.inspect.inspect_routes(app):
        found = router.find(route.path)
        assert found is not None
        for method in _OWN_METHODS:
            responder = found[1].get(method)
            if responder is None or not hasattr(responder, "__self__"):
                continue  # Falcon's own responder, which refuses the method
            operation = description_of(responder)
            if operation is None:
                raise Undescribed(f"{method} {route.path} has no description: decorate its responder with @describe")
            yield route.path, method, operation, responder.__doc__ or ""


def refusals(path: str, method: str, operation: Operation, settings: ApiSettings) -> list[str]:
    """The code words of every error that an operation can answer, by HTTP code and name."""
    codes = {*ANY_REQUEST, *operation.refuses}
    if not is_open(path, settings):
        codes.update(ANY_STRANGER)
        codes.update(ANY_LESSER if needed_role(method, path) > min(Role) else ())
    codes.update(ANY_CHANGE if method != "GET" else ())
    codes.update(ANY_BODY if operation.body else ())
    codes.update(ANY_QUERY if any(parameter.place == "query" for parameter in operation.takes) else ())
    codes.update(ANY_LOOK_AT_REDIS if operation.asks_redis else ())
    codes.update(ANY_STORE if operation.stores else ())
    return sorted(codes, key=lambda code: (STATUS[code], code))


def _check_path(path: str, operation: Operation) -> None:
    named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    described = {parameter.name for parameter in operation.takes if parameter.place == "path"}
    if named != described:
        raise Undescribed(f"{operation.id}: the path has {sorted(named)}, the description {sorted(described)}")


def _access(path: str, method: str, context: ApiContext) -> JsonSchema:
    """Who may call an operation of this service: anybody where it has no tokens."""
    if is_open(path, context.settings):
        return {"security": []}
    return {
        "x-role": str(needed_role(method, path)),
        "security": [] if context.tokens is None else [{"token": []}],
    }


def _operation(
    shapes_: _Shapes, settings: ApiSettings, place: tuple[str, str], operation: Operation, text: str
) -> JsonSchema:
    takes = [_parameter(parameter) for parameter in operation.takes]
    described: JsonSchema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": " ".join(text.split()),
        "parameters": [*takes, {"$ref": f"#/components/parameters/{REQUEST_ID.name}"}],
    }
    if operation.body:
        described["requestBody"] = _body(shapes_, operation.body)
    responses = {answer.status: _answer(shapes_, answer) for answer in operation.answers}
    codes = refusals(*place, operation, settings)
    for status in sorted({STATUS[code] for code in codes}):
        if status in responses:
            raise Undescribed(f"{operation.id}: {status} is both an answer and an error")
        responses[status] = _refusal(status, [code for code in codes if STATUS[code] == status])
    return {**described, "responses": {str(status): responses[status] for status in sorted(responses)}}


def _body(shapes_: _Shapes, body: Body) -> JsonSchema:
    content: JsonSchema = {media: {"schema": shapes_.add(shape)} for media, shape in body.shapes.items()}
    if body.examples:
        content[JSON]["examples"] = {name: {"value": value} for name, value in body.examples.items()}
    return {"required": body.required, "content": content}


def _answer(shapes_: _Shapes, answer: Answer) -> JsonSchema:
    described: JsonSchema = {"description": answer.description, "headers": _headers(answer.headers)}
    content: JsonSchema = {media: {"schema": shapes_.add(shape)} for media, shape in answer.shapes.items()}
    if answer.example is not None:
        content[JSON]["example"] = answer.example
    if content:
        described["content"] = content
    if answer.links:
        described["links"] = {
            target: {"operationId": target, "parameters": dict(given)} for target, given in answer.links.items()
        }
    return described


def _refusal(status: int, codes: Iterable[str]) -> JsonSchema:
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    media = {"schema": {"$ref": SCHEMAS + "Problem"}, "examples": examples}
    return {
        "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{code}`" for code in examples),
        "headers": _headers(_REFUSAL_HEADERS.get(status, [])),
        "content": {JSON: media, PROBLEM: media},
    }


def _headers(headers: Iterable[Header]) -> JsonSchema:
    return {header.name: _header_of(header) for header in (*headers, ANSWERED_ID)}


def _header_of(header: Header) -> JsonSchema:
    if header in (ANSWERED_ID, RETRY_AFTER):
        return {"$ref": f"#/components/headers/{header.name}"}
    return _header(header)


def _header(header: Header) -> JsonSchema:
    return {"description": header.description, "required": header.always, "schema": header.schema}


def _parameter(parameter: Parameter) -> JsonSchema:
    described: JsonSchema = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }
    return described if parameter.example is None else {**described, "example": parameter.example}


def _problem_example(code: str) -> Mapping[str, Any]:
    return problem(code, SENTENCES[code], request_id=_EXAMPLE_ID)


class _Shapes:
    """The schemas of every type that the document speaks of."""

    def __init__(self) -> None:
        self._types: list[Any] = []
        self._named: dict[str, JsonSchema] = {}

    def add(self, shape: Any) -> JsonSchema:
        """How the document refers to a type, a named schema, or a schema as it is."""
        if isinstance(shape, Schema):
            self._named[shape.name] = shape.schema
            for used in shape.uses:
                self.add(used)
            return shape.ref
        if isinstance(shape, AnyOf):
            return {"anyOf": [self.add(each) for each in shape.schemas]}
        if isinstance(shape, dict):
            return shape
        self._types.append(shape)
        (schema,), _ = msgspec.json.schema_components([shape], ref_template=SCHEMAS + "{name}")
        return schema

    def components(self) -> JsonSchema:
        _, found = msgspec.json.schema_components(self._types, ref_template=SCHEMAS + "{name}")
        for schema in found.values():
            if "enum" in schema:
                schema.setdefault("type", "string")  # msgspec leaves it out, and some generators need it
        return dict(sorted({**found, **self._named}.items()))
