"""Names under which no stranger's page can reach this service."""

from __future__ import annotations

from typing import cast

import pytest
from falcon.testing import TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.api.knownhosts import known_names, name_of
from taskq.queue.inspect import Inspector
from tests.unit.test_api_requests import FakeInspector

OWN = ("Tasks.Lan", "Box7")


def client(*hosts: str) -> TestClient:
    settings = ApiSettings(hosts=hosts)
    return TestClient(create_app(ApiContext(inspector=cast("Inspector", FakeInspector()), settings=settings)))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Localhost", "localhost"),
        ("localhost:8080", "localhost"),
        ("localhost.:8080", "localhost"),
        ("[::1]:8080", "::1"),
        ("[::1]", "::1"),
        ("tasks.example.org:", "tasks.example.org"),
        ("", ""),
    ],
)
def test_a_host_is_compared_without_what_does_not_count(host: str, name: str) -> None:
    assert name_of(host) == name


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "192.168.7.7", "::1", "fe80::1"])
def test_addresses_and_loopback_are_known_whatever_is_configured(name: str) -> None:
    assert known_names((), OWN)(name)
    assert known_names(("tasks.example.org",), OWN)(name)


@pytest.mark.parametrize("name", ["taskq", "a.localhost", "host.docker.internal", "tasks.lan", "box7", "box7.local"])
def test_what_no_stranger_can_be_called_is_known_unless_names_are_configured(name: str) -> None:
    assert known_names((), OWN)(name)
    assert not known_names(("tasks.example.org",), OWN)(name)


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.local",
        "box7.example",
        "x127.0.0.1",
        "xtasks.example.org",
        "x.tasks.example.org",
        "example.org",
        "x.localhostx",
    ],
)
def test_any_other_name_is_not(name: str) -> None:
    assert not known_names((), OWN)(name)
    assert not known_names(("tasks.example.org",), OWN)(name)
    assert known_names((name,), OWN)(name)
    assert known_names(("*",), OWN)(name)


@pytest.mark.parametrize("path", ["/tasks", "/health", "/nothing", "/docs"])
def test_a_request_for_another_name_is_misdirected_wherever_it_goes(path: str) -> None:
    answer = client().simulate_get(path, host="evil.example", headers={"Origin": "http://evil.example"})

    assert (answer.status_code, answer.json["code"]) == (421, "misdirected")
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert client("evil.example").simulate_get("/health", host="evil.example").status_code == 200


def test_a_change_under_a_borrowed_name_is_refused_although_the_browser_calls_it_the_same_site() -> None:
    borrowed = {"Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}

    answer = client().simulate_post("/tasks", host="evil.example", port=8080, headers=borrowed, body='{"type": "echo"}')

    assert answer.status_code == 421
