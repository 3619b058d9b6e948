"""Task types as the API knows them: which tasks come in because of them, and how they are shown."""

from __future__ import annotations

from typing import Any

import pytest
from falcon.testing import Result, TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext, ApiSettings
from taskq.catalog import Catalog
from taskq.limits import Limit, Limits
from taskq.queue.inspect import Inspector
from taskq.queue.limits import put_in_force
from taskq.queue.queue import Queue
from taskq.units import Rate
from tests.integration.catalogs import NEW, OLD, catalog, echo, registry, resize, serving
from tests.integration.steps import enqueued, joined


def post(api: TestClient, type_: str = "image.resize", payload: Any = ..., **members: Any) -> Result:
    body = {"type": type_, **({} if payload is ... else {"payload": payload}), **members}
    return api.simulate_post("/tasks", json=body)


# -- a POST to an API that has none of the code


def test_a_payload_is_checked_by_what_the_workers_published(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)

    answer = post(api, payload={"path": "a.png", "width": 0, "colour": "red"})

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_members")
    assert answer.json["error"] == "invalid payload/width: expected `int` >= 1"
    assert answer.json["errors"] == [
        {"pointer": "/payload/width", "detail": "expected `int` >= 1"},
        {"pointer": "/payload/colour", "detail": "expected no member but path, width"},
    ]
    assert post(api, payload={"path": "a.png", "width": 1}).status_code == 201
    assert post(api, "echo", ["any", "thing"]).status_code == 201


def test_faults_of_payload_and_members_are_named_together(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)

    answer = post(api, priority="urgent")

    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/payload/path", "/priority"]


def test_the_retries_that_a_type_published_hold_where_the_request_names_none(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)

    assert post(api, payload={"path": "a"}).json["max_retry"] == 7
    assert post(api, payload={"path": "a"}, max_retry=1).json["max_retry"] == 1
    assert post(api, "echo").json["max_retry"] == 3


def test_a_type_that_nobody_serves_is_refused_with_those_that_are(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)

    answer = post(api, "image.resise", priority="urgent")

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_type")
    assert answer.json["error"] == "unknown task type: image.resise; did you mean image.resize?"
    assert answer.json["known_types"] == ["echo", "image.resize"]
    assert answer.json["errors"][0] == {
        "pointer": "/type",
        "detail": "expected one of echo, image.resize, got 'image.resise'; did you mean image.resize?",
    }
    assert answer.json["errors"][1]["pointer"] == "/priority"
    assert post(api, "completely.other").json["error"] == "unknown task type: completely.other"


def test_before_anybody_has_published_types_everything_is_taken(api: TestClient, queue: Queue) -> None:
    serving(queue, None)

    assert post(api, "anything").status_code == 201


def test_while_one_worker_has_told_nothing_an_unknown_type_may_be_its_own(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)
    serving(queue, None)

    assert post(api, "anything").status_code == 201
    assert post(api, payload={}).status_code == 422


def test_while_no_worker_lives_unknown_types_are_taken_and_known_ones_checked(api: TestClient, queue: Queue) -> None:
    queue.leave(serving(queue, OLD))

    assert post(api, "anything").status_code == 201
    assert post(api, payload={"path": 5}).status_code == 422
    assert post(api, payload={"path": "a"}).status_code == 201


def test_while_two_versions_run_a_payload_of_either_is_taken(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)
    serving(queue, NEW)

    assert post(api, payload={"path": "a"}).status_code == 201
    assert post(api, payload={"path": "a", "height": 2}).status_code == 201
    assert post(api, payload={"path": 1}).status_code == 422


def test_a_worker_that_has_just_joined_counts_at_once(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)
    assert post(api, "mail").status_code == 422

    serving(queue, NEW)

    assert post(api, "mail").status_code == 201
    assert post(api, payload={"path": "a", "height": 2}).status_code == 201


def test_each_queue_has_types_of_its_own(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    serving(queue, OLD)
    serving(inspector.queue("pictures"), NEW)

    assert post(api, "mail").json["code"] == "unknown_type"
    assert post(api, "mail", queue="pictures").status_code == 201


def test_a_queue_that_nobody_serves_is_refused_with_those_that_are(
    api: TestClient, queue: Queue, inspector: Inspector
) -> None:
    serving(queue, OLD)
    joined(inspector.queue("pictures"))

    answer = post(api, "echo", queue="picture")

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_queue")
    assert answer.json["error"] == "unknown queue: picture; did you mean pictures?"
    assert answer.json["known_queues"] == ["default", "pictures"]
    assert answer.json["errors"] == [
        {"pointer": "/queue", "detail": "expected one of default, pictures, got 'picture'; did you mean pictures?"}
    ]
    assert "picture" not in inspector.queue_names()


def test_a_queue_whose_workers_are_gone_is_still_known(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    serving(queue, OLD)
    pictures = inspector.queue("pictures")
    pictures.leave(serving(pictures, OLD))

    assert post(api, "echo", queue="pictures").status_code == 201


def test_a_long_list_of_known_types_is_cut(api: TestClient, queue: Queue) -> None:
    serving(queue, catalog(**{f"t{n:03}": echo for n in range(150)}))

    answer = post(api, "nothing.like.it")

    assert answer.json["known_types"] == [f"t{n:03}" for n in range(100)]
    assert answer.json["errors"][0]["detail"].endswith("t098, t099 and 50 more, got 'nothing.like.it'")


# -- a POST to the API of a service that has the code


@pytest.fixture
def own_api(inspector: Inspector) -> TestClient:
    """The API of a service with one pool for the default queue."""
    return TestClient(
        create_app(
            ApiContext(
                inspector=inspector,
                registry=registry(image__resize=resize, echo=echo),
                own_queues=frozenset({"default"}),
                own_types=Catalog.decode(OLD.text).types,
                settings=ApiSettings(default_max_retry=4),
            )
        )
    )


def test_the_code_of_the_service_counts_before_any_worker_has_joined(own_api: TestClient) -> None:
    answer = post(own_api, payload={"width": "wide"})

    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/payload/path", "/payload/width"]
    assert post(own_api, payload={"path": "a"}).json["max_retry"] == 7
    assert post(own_api, "echo").json["max_retry"] == 4


def test_a_type_of_its_own_needs_no_look_at_redis(own_api: TestClient, queue: Queue) -> None:
    serving(queue, NEW)

    assert post(own_api, payload={"path": "a", "height": 2}).status_code == 422
    assert post(own_api, payload={"path": "a"}).status_code == 201


def test_a_type_that_neither_the_service_nor_a_worker_knows_is_refused(own_api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)

    assert post(own_api, "mail").json["known_types"] == ["echo", "image.resize"]


def test_a_type_that_the_service_does_not_know_is_taken_before_any_worker_has_joined(own_api: TestClient) -> None:
    assert post(own_api, "mail").status_code == 201


def test_an_own_queue_is_known_before_any_worker_has_joined_it(own_api: TestClient, inspector: Inspector) -> None:
    serving(inspector.queue("pictures"), NEW)

    assert post(own_api, "echo").status_code == 201
    assert post(own_api, "echo", queue="other").json["known_queues"] == ["default", "pictures"]


# -- looking at types


def test_types_are_listed_with_what_they_take_and_who_serves_them(api: TestClient, queue: Queue) -> None:
    serving(queue, OLD)
    serving(queue, OLD)

    answer = api.simulate_get("/types")

    assert answer.status_code == 200
    assert [view["type"] for view in answer.json] == ["echo", "image.resize"]
    assert answer.json[1] == {
        "type": "image.resize",
        "description": "Make a picture smaller.",
        "schema": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "width": {"type": "integer", "minimum": 1, "default": 800}},
            "required": ["path"],
            "additionalProperties": False,
        },
        "payload_required": True,
        "defaults": {"max_retry": 7, "timeout_s": 3600, "memory_limit_bytes": 0},
        "queues": [{"queue": "default", "workers": 2}],
    }


def test_a_type_is_shown_with_the_workers_that_serve_it(api: TestClient, queue: Queue, inspector: Inspector) -> None:
    first, second = serving(queue, OLD), serving(inspector.queue("pictures"), NEW)

    shown = api.simulate_get("/types/image.resize").json

    assert shown["queues"] == [{"queue": "default", "workers": 1}, {"queue": "pictures", "workers": 1}]
    assert shown["worker_ids"] == sorted([first, second])


def test_a_limited_type_is_shown_with_its_limits_and_what_they_count(
    api: TestClient, queue: Queue, inspector: Inspector
) -> None:
    serving(queue, NEW)
    pictures = inspector.queue("pictures")
    serving(pictures, NEW)
    put_in_force(queue, Limits("one", {"mail": Limit(2, Rate(100, 60)), "image.resize": Limit()}))
    put_in_force(pictures, Limits("one", {"mail": Limit(0, Rate(5, 1))}))
    for _ in range(5):
        enqueued(queue, type_="mail")
    for _ in range(3):
        queue.claim(joined(queue))

    shown = {view["type"]: view for view in api.simulate_get("/types").json}

    assert shown["mail"]["limits"] == [
        {"queue": "default", "max_concurrent": 2, "rate_limit": "100/1m", "running": 2, "waiting": 3},
        {"queue": "pictures", "rate_limit": "5/1s", "running": 0, "waiting": 0},
    ]
    assert "limits" not in shown["image.resize"]
    assert api.simulate_get("/types/mail").json["limits"] == shown["mail"]["limits"]


def test_a_type_that_nobody_serves_any_more_is_shown_as_such(api: TestClient, queue: Queue) -> None:
    queue.leave(serving(queue, OLD))

    shown = api.simulate_get("/types/echo").json

    assert (shown["queues"], shown["worker_ids"]) == ([], [])


def test_own_types_are_shown_before_a_worker_has_joined(own_api: TestClient) -> None:
    assert [view["type"] for view in own_api.simulate_get("/types").json] == ["echo", "image.resize"]
    assert own_api.simulate_get("/types/echo").json["defaults"]["max_retry"] == 4


@pytest.mark.parametrize("name", ["nothing", "%00", "a%20b"])
def test_an_unknown_type_is_not_found(api: TestClient, queue: Queue, name: str) -> None:
    serving(queue, OLD)

    answer = api.simulate_get(f"/types/{name}")

    assert (answer.status_code, answer.json["code"], answer.json["error"]) == (404, "type_not_found", "type not found")


def test_there_are_no_types_before_anybody_has_told(api: TestClient) -> None:
    assert api.simulate_get("/types").json == []
