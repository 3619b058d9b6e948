"""Tokens over HTTP: who gets in, who may do what, and what is said and logged about it."""

from __future__ import annotations

import hashlib
import logging
from typing import cast

import pytest
from falcon.testing import TestClient

from taskq.api.access import SUBMITTERS_MAY, needed_role
from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.queue.inspect import Inspector
from taskq.tokens import Role, Token, Tokens
from tests.unit.test_api_requests import FakeInspector, handled

NO_TASK = "/tasks/5335d502-a2c7-4abd-9496-c64692b43869"
TOKENS = Tokens(tuple(Token(str(role), role, hashlib.sha256(str(role).encode()).digest()) for role in Role))


def client(*, open_: tuple[str, ...] = ()) -> TestClient:
    settings = ApiSettings(open=open_)
    return TestClient(create_app(ApiContext(inspector=cast("Inspector", FakeInspector()), settings=settings, tokens=TOKENS)))


@pytest.mark.parametrize(
    "path", ["/tasks", "/version", "/nothing", "/metrics", "/docs", "/openapi.json", "/ui/", "/healthy"]
)
def test_without_a_token_nothing_is_told(path: str) -> None:
    answer = client().simulate_get(path)

    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Bearer nobody",
        "Basic cmVhZDo=",
        "read",
        "Bearer read admin",
        "Bearer \xff\xe9",
        "\x00",
        "x" * 9000,
    ],
)
def test_any_other_header_is_refused(given: str) -> None:
    answer = client().simulate_get("/tasks", headers={"Authorization": given})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("given", ["Bearer read", "bearer read", "BEARER  read "])
def test_a_known_token_gets_in(given: str) -> None:
    assert client().simulate_get("/tasks", headers={"Authorization": given}).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_watchers_need_no_token(path: str) -> None:
    assert client().simulate_get(path).status_code == 200


def test_what_is_opened_needs_no_token_and_the_rest_does() -> None:
    opened = client(open_=("version", "ui"))

    assert opened.simulate_get("/version").status_code == 200
    assert opened.simulate_get("/ui/none.js").status_code != 401
    assert opened.simulate_get("/uiother").status_code == 401
    assert opened.simulate_get("/tasks").status_code == 401


def test_the_document_tells_which_calls_need_a_token() -> None:
    paths = client(open_=("docs",)).simulate_get("/openapi.json").json["paths"]
    everywhere = TestClient(create_app(ApiContext(inspector=cast("Inspector", FakeInspector())))).simulate_get(
        "/openapi.json"
    )

    asked = {path: operation["security"] for path, methods in paths.items() for operation in methods.values()}

    without = {"/openapi.json", "/docs", "/docs/{name}", "/health", "/health/live", "/health/ready"}
    assert {path for path, needed in asked.items() if needed == []} == without
    assert all(needed == [{"token": []}] for path, needed in asked.items() if path not in without)
    assert not any({"401", "403"} & paths[path]["get"]["responses"].keys() for path in without)
    assert paths["/queues/{name}/pause"]["post"]["x-role"] == "admin"
    assert not any(each["security"] for methods in everywhere.json["paths"].values() for each in methods.values())


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/tasks", Role.READ),
        ("HEAD", "/queues", Role.READ),
        ("POST", "/tasks", Role.SUBMIT),
        ("POST", "/tasks/batch", Role.SUBMIT),
        ("POST", f"{NO_TASK}/cancel", Role.SUBMIT),
        ("POST", f"{NO_TASK}/requeue", Role.ADMIN),
        ("DELETE", NO_TASK, Role.ADMIN),
        ("POST", "/queues/a/pause", Role.ADMIN),
        ("POST", "/queues/a/purge", Role.ADMIN),
        ("POST", "/schedules/a/run", Role.ADMIN),
        ("PATCH", "/tasks", Role.ADMIN),
    ],
)
def test_each_role_may_do_what_the_table_says_and_no_more(method: str, path: str, role: Role) -> None:
    for given in Role:
        answer = client().simulate_request(method, path, headers={"Authorization": f"Bearer {given}"}, body="{")

        assert (answer.status_code == 403) == (given < role), (given, answer.text)
        assert answer.status_code != 401
        if given < role:
            sentence = f"this needs a token with the role {role}; this one has {given}"
            assert (answer.json["code"], answer.json["error"]) == ("forbidden", sentence)


def test_the_table_names_routes_that_exist() -> None:
    app = create_app(ApiContext(inspector=cast("Inspector", FakeInspector())))

    for method, route in SUBMITTERS_MAY:
        found = app._router.find(route.replace("{task_id}", "x"))
        assert found is not None
        assert found[3] == route
        assert hasattr(found[0], f"on_{method.lower()}")
    assert needed_role("POST", "") is Role.ADMIN


def test_the_name_of_the_token_is_logged_and_never_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "taskq")
    secret = "tq_very-secret"
    tokens = Tokens((Token("ci", Role.READ, hashlib.sha256(secret.encode()).digest()),))
    app = create_app(ApiContext(inspector=cast("Inspector", FakeInspector()), tokens=tokens))

    TestClient(app).simulate_get("/tasks", headers={"Authorization": f"Bearer {secret}"})
    TestClient(app).simulate_get("/tasks", headers={"Authorization": f"Bearer {secret}x"})

    assert handled(caplog)["caller"] == "ci"
    assert secret not in str([vars(record) for record in caplog.records])
