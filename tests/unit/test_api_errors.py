from __future__ import annotations

import json
import logging
from typing import Any, cast

import pytest
from falcon.testing import Result, TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.api.errors import RETRY_AFTER_S, STATUS, problem
from taskq.api.headers import HEADERS
from taskq.errors import LeaseLost, QueueFull, QueueRefused, QueueUnavailable
from taskq.queue.inspect import Inspector

ID = "5335d502-a2c7-4abd-9496-c64692b43869"
TASK = {"type": "echo", "payload": "secret"}


class FailingInspector:
    """Raises the same error, whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, _name: str) -> Any:
        def fail(*_args: object, **_kwargs: object) -> None:
            raise self.error

        return fail


def client(error: Exception | None = None, *, draining: bool = False) -> TestClient:
    inspector = cast("Inspector", FailingInspector(error or AssertionError("must not be asked")))
    return TestClient(create_app(ApiContext(inspector=inspector, draining=lambda: draining)))


def assert_problem(answer: Result, status: int, code: str, error: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"] == error
    assert answer.json["code"] == code
    assert answer.json["status"] == status
    assert answer.json["title"]
    assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (QueueUnavailable("at 10.0.0.1"), "queue_unavailable", "Redis is not reachable; try again later"),
        (QueueFull("x"), "queue_full", "Redis is full and takes no new task; try again when tasks have ended"),
        (
            QueueRefused("NOAUTH"),
            "queue_refused",
            "Redis refuses to serve the service; the log of the service says why",
        ),
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tasks", TASK),
        ("GET", "/tasks", None),
        ("GET", f"/tasks/{ID}", None),
        ("DELETE", f"/tasks/{ID}", None),
        ("POST", f"/tasks/{ID}/cancel", None),
        ("POST", f"/tasks/{ID}/requeue", None),
        ("GET", "/queues", None),
        ("GET", "/workers", None),
    ],
)
def test_trouble_with_redis_is_a_503_that_says_when_to_come_back(
    error: Exception, code: str, sentence: str, method: str, path: str, body: object
) -> None:
    answer = client(error).simulate_request(method, path, json=body)

    assert_problem(answer, 503, code, sentence)
    assert answer.headers["retry-after"] == str(RETRY_AFTER_S)


def test_a_refusal_by_redis_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    client(QueueRefused("NOAUTH")).simulate_get("/tasks", headers={"X-Request-ID": "r1"})

    record = next(record for record in caplog.records if vars(record)["event"] == "queue.refused")
    assert (record.levelno, record.getMessage(), vars(record)["request_id"]) == (logging.ERROR, "NOAUTH", "r1")


@pytest.mark.parametrize("error", [RuntimeError("secret"), LeaseLost("secret"), KeyError("secret")])
def test_an_unexpected_error_is_logged_in_full_and_answered_without_a_word_of_it(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client(error).simulate_get("/tasks", headers={"X-Request-ID": "r1"})

    assert_problem(answer, 500, "internal_error", "internal error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    record = next(vars(record) for record in caplog.records if vars(record)["event"] == "request.failed")
    assert (record["method"], record["path"], record["request_id"]) == ("GET", "/tasks", "r1")
    assert "Traceback (most recent call last)" in record["traceback"]
    assert "secret" in record["traceback"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/tasks//", f"/tasks/{ID}/x", "/v1/tasks", "/%00", "/tasks/a%2Fb"])
def test_an_unknown_path_is_not_found(path: str) -> None:
    assert_problem(client().simulate_get(path), 404, "not_found", "there is nothing at this path")


@pytest.mark.parametrize("task_id", ["", "1", "x" * 36, ID[:-1], ID + "0", f"{{{ID}}}", ID.replace("-", ""), "%E2%82%AC"])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/requeue")])
def test_an_id_that_is_no_uuid_is_not_found_without_asking_redis(task_id: str, method: str, rest: str) -> None:
    answer = client().simulate_request(method, f"/tasks/{task_id}{rest}")

    assert_problem(answer, 404, "task_not_found", "task not found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/tasks", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/tasks", "GET, HEAD, POST, OPTIONS"),
        ("POST", f"/tasks/{ID}", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", f"/tasks/{ID}/cancel", "POST, OPTIONS"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("TRACE", "/version", "GET, HEAD, OPTIONS"),
        ("BREW", "/tasks", "GET, HEAD, POST, OPTIONS"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_a_method_that_a_path_does_not_have_is_answered_with_those_it_has(method: str, path: str, allow: str) -> None:
    answer = client().simulate_request(method, path)

    assert_problem(answer, 405, "method_not_allowed", f"the method {method} is not allowed here")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("accept", ["application/problem+json", "text/html, Application/Problem+JSON;q=0.5"])
def test_a_client_that_names_the_problem_type_gets_it(accept: str) -> None:
    answer = client().simulate_get("/nothing", headers={"Accept": accept})

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["error"] == "there is nothing at this path"


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/problem+json;q=0", "application/json", ""])
def test_any_other_client_gets_plain_json(accept: str) -> None:
    answer = client().simulate_get("/nothing", headers={"Accept": accept})

    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "SAME-ORIGIN"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/tasks"), ("DELETE", f"/tasks/{ID}"), ("POST", f"/tasks/{ID}/cancel")]
)
def test_a_change_that_another_site_asks_a_browser_for_is_refused(method: str, path: str, site: str) -> None:
    answer = client().simulate_request(method, path, json=TASK, headers={"Sec-Fetch-Site": site})

    assert_problem(answer, 403, "cross_site", "a page of another site may not change anything here")


@pytest.mark.parametrize(("method", "site"), [("POST", "same-origin"), ("POST", "none"), ("GET", "cross-site")])
def test_the_own_site_may_change_and_any_site_may_link(method: str, site: str) -> None:
    answer = client(QueueFull("")).simulate_request(method, "/tasks", json=TASK, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == 503


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://localhost:9",
        "http://localhost",
        "localhost:8080",
        "https://x.localhost:8080",
    ],
)
def test_a_browser_that_names_only_the_origin_is_refused_if_that_is_another(origin: str) -> None:
    headers = {"Origin": origin, "Host": "localhost:8080"}

    answer = client().simulate_post("/tasks", json=TASK, headers=headers)

    assert_problem(answer, 403, "cross_site", "a page of another site may not change anything here")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8080", "localhost:8080"),
        ("https://Tasks.example", "tasks.example"),
        ("https://a:443", "a"),
        ("http://a", "a:80"),
    ],
)
def test_the_page_of_the_host_that_is_asked_may_change(origin: str, host: str) -> None:
    answer = client(QueueFull("")).simulate_post("/tasks", json=TASK, headers={"Origin": origin, "Host": host})

    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/version"), ("GET", "/nothing"), ("PATCH", "/tasks"), ("GET", "/health")]
)
def test_every_answer_tells_browsers_to_guess_keep_frame_and_run_nothing(method: str, path: str) -> None:
    answer = client().simulate_request(method, path)

    for name, value in HEADERS.items():
        assert answer.headers[name.lower()] == value
    assert "server" not in answer.headers


def test_a_draining_service_takes_no_new_task_and_still_answers_the_rest() -> None:
    draining = client(QueueUnavailable(""), draining=True)

    answer = draining.simulate_post("/tasks", json=TASK)

    assert_problem(answer, 503, "shutting_down", "the service is shutting down")
    assert answer.headers["retry-after"] == str(RETRY_AFTER_S)
    assert draining.simulate_get(f"/tasks/{ID}").json["code"] == "queue_unavailable"
    assert draining.simulate_delete(f"/tasks/{ID}").json["code"] == "queue_unavailable"


def test_every_code_word_makes_a_whole_problem() -> None:
    for code, status in STATUS.items():
        body = problem(code, "sentence", errors=[{"pointer": "/a", "detail": "b"}])
        assert body["status"] == status
        assert list(json.loads(json.dumps(body))) == ["error", "code", "title", "status", "errors"]
