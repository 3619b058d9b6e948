from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import falcon
import jsonschema_rs
import pytest
from falcon.routing import CompiledRouter
from falcon.testing import TestClient, create_req
from hypothesis import given
from hypothesis import strategies as st

from taskq.api import document
from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.describe import Answer, Operation, Parameter, describe
from taskq.api.errors import STATUS, ApiError
from taskq.api.listing import CURSOR
from taskq.api.longpoll import WAIT, read_patience
from taskq.api.sentences import SENTENCES, TAGS
from taskq.members import DURATION_SCHEMA, OPTIONS, SOME_DURATION_SCHEMA, duration_s, some_duration_s
from taskq.queue.inspect import Inspector
from taskq.queue.pages import CURSOR_PATTERN, decode_cursor

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def app() -> falcon.App[Any, Any]:
    return create_app(
        ApiContext(inspector=cast("Inspector", SimpleNamespace(prefix="test")), settings=ApiSettings(max_body_bytes=4711))
    )


@pytest.fixture(scope="module")
def openapi(app: falcon.App[Any, Any]) -> dict[str, Any]:
    document: dict[str, Any] = TestClient(app).simulate_get("/openapi.json").json
    return document


def operations(openapi: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in openapi["paths"].values():
        yield from (operation for method, operation in path.items() if method in METHODS)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from nodes(member)
    elif isinstance(value, list):
        for member in value:
            yield from nodes(member)


def schemas(openapi: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every schema that bears an example, and each of its examples."""
    for node in nodes([openapi["paths"], openapi["components"]["parameters"]]):
        if "schema" not in node:
            continue
        if "example" in node:
            yield node["schema"], node["example"]
        for example in node.get("examples", {}).values():
            yield node["schema"], resolved(openapi, example)["value"]


def resolved(openapi: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = openapi
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return cast("dict[str, Any]", found)


def test_every_route_is_described(openapi: dict[str, Any], app: falcon.App[Any, Any]) -> None:
    """Fails where a responder has no @describe, or one that does not fit its path (see `taskq/api/describe.py`)."""
    assert openapi["paths"].keys() == {route.path for route in falcon.inspect.inspect_routes(app)}


def test_operations_have_names_of_their_own_and_known_groups(openapi: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(openapi)]

    assert len(ids) == len(set(ids)) > 20
    assert {tag for operation in operations(openapi) for tag in operation["tags"]} == set(TAGS)
    assert all(operation["summary"] and operation["description"] for operation in operations(openapi))


def test_every_error_has_a_sentence() -> None:
    assert SENTENCES.keys() == STATUS.keys()


def test_every_error_but_those_of_unknown_paths_and_methods_belongs_to_an_operation(openapi: dict[str, Any]) -> None:
    described = {
        code
        for operation in operations(openapi)
        for status, response in operation["responses"].items()
        for media, content in response.get("content", {}).items()
        if media == "application/problem+json"
        for code in content["examples"]
        if int(status) == STATUS[code]
    }

    assert STATUS.keys() - described <= {"method_not_allowed", "not_found"}


def test_every_reference_leads_somewhere(openapi: dict[str, Any]) -> None:
    for node in nodes(openapi):
        if "$ref" in node:
            assert resolved(openapi, node)


def test_every_link_names_an_operation(openapi: dict[str, Any]) -> None:
    ids = {operation["operationId"] for operation in operations(openapi)}
    links = [link["operationId"] for node in nodes(openapi["paths"]) for link in node.get("links", {}).values()]

    assert links
    assert set(links) <= ids


def test_every_schema_is_one_and_every_example_fits_its_own(openapi: dict[str, Any]) -> None:
    for schema in openapi["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
    examples = list(schemas(openapi))

    assert len(examples) > 100
    for schema, example in examples:
        jsonschema_rs.Draft202012Validator({**schema, "components": openapi["components"]}).validate(example)


def test_limits_are_those_of_the_running_service(openapi: dict[str, Any]) -> None:
    assert "4711 bytes" in openapi["info"]["description"]


def test_every_answer_of_success_says_what_it_carries(openapi: dict[str, Any]) -> None:
    for operation in operations(openapi):
        for status, response in operation["responses"].items():
            assert ("content" in response) == (status not in ("204", "304")), operation["operationId"]
            assert "X-Request-ID" in response["headers"]


class Silent:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Nothing."""


class Misled:
    @describe(
        Operation(
            id="x",
            tag="tasks",
            summary="x",
            takes=[Parameter(name="nobody", place="path", schema={}, description="x")],
            answers=[Answer(status=200, description="x")],
        )
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Nothing."""


@pytest.mark.parametrize(("path", "resource"), [("/x", Silent()), ("/x/{name}", Misled())])
def test_what_is_not_described_or_wrongly_stops_the_document(path: str, resource: object) -> None:
    router = CompiledRouter()
    app: falcon.App[Any, Any] = falcon.App(router=router)
    app.add_route(path, resource)

    with pytest.raises(document.Undescribed):
        document.build(router, app, ApiContext(inspector=cast("Inspector", None)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@pytest.mark.parametrize("option", OPTIONS)
@given(
    value=VALUES | st.sampled_from(["high", "low", "a.b-c_d", "2026-02-01T10:53:32Z", "5m", "1h30m", 30, 0.5, ["a", "b"]])
)
def test_what_a_reader_takes_fits_the_schema_beside_it(option: str, value: Any) -> None:
    try:
        OPTIONS[option].reader(value)
    except ValueError:
        return
    if value is not None and option != "tags":  # the values of a list are read one by one
        jsonschema_rs.Draft202012Validator(OPTIONS[option].schema).validate(value)


DURATIONS = (
    st.from_regex(r"\A[ 0-9.dhms]{0,12}\Z")
    | st.from_regex(SOME_DURATION_SCHEMA["anyOf"][1]["pattern"])
    | st.floats(-1, 1e10)
    | st.integers(-1, 10**11)
    | st.sampled_from(["9999.9d99999.9h9999999.9m999999999.9s999999999.9ms", "0.000000000000001ms", "0", "0d0s"])
)


@pytest.mark.parametrize(
    ("reader", "schema"), [(duration_s, DURATION_SCHEMA), (some_duration_s, SOME_DURATION_SCHEMA)], ids=["any", "some"]
)
@given(value=DURATIONS)
def test_the_schema_of_a_duration_is_exact(reader: Callable[[Any], float], schema: dict[str, Any], value: Any) -> None:
    fits = jsonschema_rs.Draft202012Validator(schema).is_valid(value)
    try:
        reader(value)
    except ValueError:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize("name", ["listing", "wait"])
@given(value=st.from_regex(f"^{CURSOR_PATTERN}$") | st.from_regex(WAIT.schema["pattern"]) | st.text(max_size=5))
def test_the_pattern_of_a_query_parameter_is_exact(name: str, value: str) -> None:
    parameter = CURSOR if name == "listing" else WAIT
    fits = jsonschema_rs.Draft202012Validator(parameter.schema).is_valid(value)
    try:
        decode_cursor(value) if name == "listing" else read_patience(create_req(query_string=urlencode({"wait": value})))
    except (ValueError, ApiError):
        assert not fits
    else:
        assert fits
