"""The requests that API processes have answered are put together in Redis, each of them once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from falcon.testing import TestClient

from taskq.api.context import ApiContext
from taskq.api.requests import Adder
from taskq.errors import QueueUnavailable
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.requests import Request, Requests, answered
from tests.faultproxy import FaultProxy, labelled
from tests.integration.steps import until

LISTED = Request("GET", "/tasks", 200)


@pytest.fixture
def proxy(redis_server: str) -> Iterator[FaultProxy]:
    with FaultProxy(redis_server) as proxy:
        yield proxy


def test_processes_add_up_and_each_request_counts_once(inspector: Inspector) -> None:
    one, two = Requests(), Requests()
    for _ in range(3):
        one.count(LISTED)
        one.add(inspector)
        two.count(LISTED)
        two.count(Request("POST", "", 404))
    two.add(inspector)
    two.add(inspector)

    assert answered(inspector) == {LISTED: 6, Request("POST", "", 404): 3}


def test_what_could_not_be_added_is_added_later_and_once(proxy: FaultProxy, inspector: Inspector) -> None:
    requests = Requests()
    requests.count(LISTED)
    proxy.lose_reply(labelled("count"))
    with contextlib.closing(Link(proxy.url, patience_s=0)) as link:
        far = Inspector(link, prefix=inspector.prefix)
        with pytest.raises(QueueUnavailable):
            requests.add(far)
        requests.count(LISTED)
        requests.add(far)
        requests.add(far)

    assert answered(inspector) == {LISTED: 2}


def test_threads_lose_none(inspector: Inspector) -> None:
    requests = Requests()

    def work() -> None:
        for number in range(200):
            requests.count(LISTED)
            if number % 20 == 0:
                requests.add(inspector)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    requests.add(inspector)

    assert answered(inspector) == {LISTED: 800}


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_the_template_of_the_path_is_counted_and_never_what_a_client_makes_up(api: TestClient, inspector: Inspector) -> None:
    for path in ("/tasks/5335d502-a2c7-4abd-9496-c64692b43869", "/tasks/x", "/nothing", "/nowhere"):
        api.simulate_get(path)
    api.simulate_request("INVENTED", "/tasks")
    api.simulate_post("/tasks", headers={"Sec-Fetch-Site": "cross-site"})
    api.simulate_get("/metrics")

    found = answered(inspector)

    assert {request: number for request, number in found.items() if request.route not in ("/metrics", "/openapi.json")} == {
        Request("GET", "/tasks/{task_id}", 404): 2,
        Request("GET", "", 404): 2,
        Request("other", "/tasks", 405): 1,
        Request("POST", "", 403): 1,
    }
    assert 'taskq_api_requests_total{code="404",method="GET",route="none"} 2.0' in api.simulate_get("/metrics").text


def test_a_process_adds_while_it_serves_and_at_its_end(inspector: Inspector) -> None:
    context = ApiContext(inspector=inspector)

    with Adder(context):
        context.requests.count(LISTED)
        until(lambda: answered(inspector) == {LISTED: 1}, "it was added")
        context.requests.count(LISTED)

    assert answered(inspector) == {LISTED: 2}
