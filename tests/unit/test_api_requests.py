from __future__ import annotations

import logging
import re
from typing import Any, cast

import pytest
from falcon.testing import TestClient

from taskq import __version__
from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.errors import QueueRefused, QueueUnavailable
from taskq.queue.inspect import Inspector
from taskq.queue.pages import Page
from taskq.queue.server import ServerReport


class FakeInspector:
    """Knows no queue; answers a ping unless it was given an error."""

    prefix = "test"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        if self.error:
            raise self.error

    def examine(self) -> ServerReport:
        self.ping()
        return ServerReport(software="Redis", version="7.0", warnings=())

    def queue_names(self) -> list[str]:
        return []

    def runs(self, workers: object) -> dict[str, object]:
        return {}

    def now_ms(self) -> int:
        return 1

    def page(self, *_: object, **__: object) -> Page:
        return Page([], None)


def client(inspector: FakeInspector | None = None, *, draining: bool = False) -> TestClient:
    fake = cast("Inspector", inspector or FakeInspector())
    return TestClient(create_app(ApiContext(inspector=fake, draining=lambda: draining)))


def handled(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    return next(vars(record) for record in caplog.records if vars(record).get("event") == "request.handled")


@pytest.mark.parametrize("given", ["a", "A.b_c-9", "x" * 128])
def test_a_well_formed_request_id_is_taken_and_answered(given: str) -> None:
    answer = client().simulate_get("/version", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a,b", "é", "<script>"])
def test_any_other_request_id_is_replaced_by_a_new_one(given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}

    first, second = (client().simulate_get("/version", headers=headers).headers["x-request-id"] for _ in range(2))

    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_a_request_that_no_middleware_has_seen_has_an_id_as_well() -> None:
    answer = client().simulate_request("WEBSOCKET", "/version")

    assert answer.status_code == 400
    assert answer.json["error"] == "bad request"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_a_request_is_logged_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskq")

    client().simulate_get("/queues", query_string="token=secret", headers={"X-Request-ID": "r1"})

    line = handled(caplog)
    assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/queues", 200, "r1")
    assert 0 <= line["duration_s"] < 5
    assert "secret" not in str(line)


def test_a_path_cannot_forge_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskq")

    client().simulate_get("/x%0Aevent=task.deleted" + "y" * 9999)

    assert handled(caplog)["path"].startswith("/x%0Aevent%3Dtask.deletedyyy")
    assert len(handled(caplog)["path"]) < 300


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_what_watchers_ask_all_the_time_is_logged_for_debugging_only(path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "taskq")

    client().simulate_get(path)

    assert handled(caplog)["levelno"] == logging.DEBUG


@pytest.mark.parametrize(("path", "pings"), [("/health", 1), ("/health/ready", 1), ("/health/live", 0)])
def test_a_healthy_service_says_so(path: str, pings: int) -> None:
    inspector = FakeInspector()

    answer = client(inspector).simulate_get(path)

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert answer.headers["content-type"] == "application/json"
    assert inspector.pings == pings


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (QueueUnavailable("10.0.0.1"), "Redis is not reachable; try again later"),
        (QueueRefused("WRONGPASS"), "Redis refuses to serve the service; the log of the service says why"),
    ],
)
def test_without_redis_the_service_is_unavailable(path: str, error: Exception, sentence: str) -> None:
    answer = client(FakeInspector(error)).simulate_get(path)

    assert answer.status_code == 503
    assert answer.json == {"status": "unavailable", "error": sentence}


def test_without_redis_the_process_is_alive() -> None:
    answer = client(FakeInspector(QueueUnavailable(""))).simulate_get("/health/live")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_draining_service_is_healthy_and_not_ready() -> None:
    draining = client(draining=True)

    ready = draining.simulate_get("/health/ready")

    assert ready.status_code == 503
    assert ready.json == {"status": "unavailable", "error": "the service is shutting down"}
    assert draining.simulate_get("/health").status_code == 200
    assert draining.simulate_get("/health/live").status_code == 200


def test_the_version_is_that_of_the_package() -> None:
    assert client().simulate_get("/version").json == {"version": __version__}


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/version", "/tasks", "/queues", "/workers"])
def test_head_answers_as_get_without_the_body(path: str) -> None:
    get, head = client().simulate_get(path), client().simulate_head(path)

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize("path", ["/queues/mail", "/workers/w1"])
def test_a_queue_or_worker_that_nobody_knows_is_not_found(path: str) -> None:
    noun = path.split("/")[1].removesuffix("s")

    answer = client().simulate_get(path)

    assert answer.status_code == 404
    assert (answer.json["error"], answer.json["code"]) == (f"{noun} not found", f"{noun}_not_found")
