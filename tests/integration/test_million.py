"""Pages of a great many tasks over HTTP, while others come, end and go: nothing twice, nothing missed, all of them cheap.

The long form stores a million: pytest -m chaos tests/integration/test_million.py
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from falcon.testing import TestClient

from taskq.api.app import create_app
from taskq.api.context import ApiContext
from taskq.queue.alike import enqueue_alike
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.pages import SCAN, SCAN_LIMIT
from taskq.queue.queue import Queue
from taskq.task import NewTask
from tests.integration.servers import own_server
from tests.integration.steps import claim

STEP = 5000
"""Tasks of one type and tag that follow one another."""

KINDS = [("a", ("x",)), ("b", ("x", "y")), ("a", ("y",)), ("b", ())]
LIMIT = 500
CHANGES = 10
"""Tasks that come, end and go between two pages."""

LEASE_S = 3600.0

MOST_CALLS = 60
"""Commands of a page beside the record of each task; those in scripts count."""

MILLION = pytest.param(1_000_000, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])


class Store(NamedTuple):
    """A server with many tasks. `ids` are those of each kind, in order of creation; `rare` is the oldest."""

    api: TestClient
    queue: Queue
    client: Any
    rare: str
    ids: dict[int, list[str]]

    def all_ids(self) -> list[str]:
        return [self.rare, *(task_id for ids in self.ids.values() for task_id in ids)]


class Page(NamedTuple):
    """The ids on a page, where the next one begins, and the commands that it took."""

    ids: list[str]
    cursor: str | None
    calls: int


@pytest.fixture(scope="module", params=[20_000, MILLION])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with own_server() as server, closing(Link(server.url)) as link, closing(server.client()) as client:
        queue = Queue(link)
        ids: dict[int, list[str]] = {at: [] for at in range(len(KINDS))}
        rare = NewTask(id="00000000-0000-4000-8000-000000000000", type="rare", tags=("rare",))
        queue.enqueue(rare)
        for at in range(request.param // STEP):
            kind = at % len(KINDS)
            type_, tags = KINDS[kind]
            ids[kind] += enqueue_alike(queue, NewTask(id="", type=type_, tags=tags), [b"1"] * STEP)[0]
        yield Store(TestClient(create_app(ApiContext(inspector=Inspector(link)))), queue, client, rare.id, ids)


def page(store: Store, cursor: str | None, **query: str) -> Page:
    store.client.config_resetstat()
    given = {"limit": str(LIMIT), **query, **({"cursor": cursor} if cursor else {})}
    answer = store.api.simulate_get("/tasks", params=given)
    assert answer.status_code == 200, answer.text
    stats = store.client.info("commandstats")
    calls = sum(stat["calls"] for name, stat in stats.items() if not name.startswith("cmdstat_config"))
    return Page([task["id"] for task in answer.json], answer.headers.get("x-next-cursor"), calls)


def pages(store: Store, **query: str) -> Iterator[Page]:
    cursor = None
    while True:
        found = page(store, cursor, **query)
        yield found
        cursor = found.cursor
        if cursor is None:
            return


def change(store: Store, worker: str, doomed: Iterator[str]) -> set[str]:
    """Let tasks come, end and go; returns those that are gone."""
    enqueue_alike(store.queue, NewTask(id="", type="late"), [b"1"] * CHANGES)
    for _ in range(CHANGES):
        store.queue.complete(worker, claim(store.queue, worker), b"null")
    deleted = {task_id for _, task_id in zip(range(CHANGES), doomed, strict=False)}
    for task_id in deleted:
        store.queue.delete(task_id)
    return deleted


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_every_task_that_stays_is_on_one_page_and_every_page_costs_the_same(store: Store, order: str) -> None:
    worker, doomed = f"walker-{order}", iter(store.ids[3][order == "asc" :: 97])
    stay = {task_id.decode() for task_id in store.client.zrange(store.queue.keys.tasks, 0, -1)}
    store.queue.join(worker, LEASE_S, b"{}")
    found: list[str] = []
    calls: list[int] = []

    for each in pages(store, order=order):
        found += each.ids
        calls.append(each.calls)
        stay -= change(store, worker, doomed)

    assert len(found) == len(set(found))
    assert stay <= set(found)
    assert len(calls) >= len(stay) // LIMIT
    assert max(calls) <= LIMIT + MOST_CALLS


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({"type": "a"}, [0, 2]),
        ({"tag": "y"}, [1, 2]),
        ({"type": "b", "tag": "x"}, [1]),
        ({"type": "b", "tag": "x", "queue": "default", "created_after": "2020-01-01T00:00:00Z", "order": "asc"}, [1]),
        ({"type": "late", "tag": "x"}, []),
    ],
)
def test_filters_combine(store: Store, query: dict[str, str], kinds: list[int]) -> None:
    found: list[str] = []
    for each in pages(store, **query):
        found += each.ids
        assert each.calls <= 3 * (SCAN_LIMIT + SCAN)

    wanted = {task_id for kind in kinds for task_id in store.ids[kind]}
    assert len(found) == len(set(found))
    assert set(found) == wanted


def test_a_rare_task_is_found_in_few_pages(store: Store) -> None:
    total = len(store.all_ids())

    walked = list(pages(store, tag="rare"))

    assert [task_id for each in walked for task_id in each.ids] == [store.rare]
    assert len(walked) <= 2 + 2 * total // SCAN_LIMIT
    assert max(each.calls for each in walked) <= 3 * (SCAN_LIMIT + SCAN)
