"""Pages of tasks: in order, each task once, whatever comes and goes in between."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from taskq.queue import pages
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.pages import decode_cursor, encode_cursor
from taskq.queue.queue import Queue
from taskq.queue.selection import EVERYTHING, Filter
from taskq.task import Status, Task
from tests.integration.steps import enqueued, joined, members, new, started

both_orders = pytest.mark.parametrize("newest_first", [True, False], ids=["newest first", "oldest first"])


def walk(
    inspector: Inspector,
    wanted: Filter = EVERYTHING,
    *,
    limit: int = 7,
    between: Callable[[], object] = lambda: None,
    newest_first: bool = True,
) -> list[Task]:
    """Every task of every page."""
    found: list[Task] = []
    cursor: str | None = None
    while True:
        page = inspector.page(wanted, limit=limit, cursor=cursor, newest_first=newest_first)
        assert len(page.tasks) <= limit
        found += page.tasks
        cursor = page.cursor
        if cursor is None:
            return found
        between()


def at_moments(queue: Queue, moments: list[int]) -> list[str]:
    """Tasks that were created at these moments."""
    tasks = [new() for _ in moments]
    queue.enqueue_many(tasks)
    pipe = queue.link.redis.pipeline()
    for task, moment in zip(tasks, moments, strict=True):
        pipe.hset(queue.keys.task(task.id), "created_at", moment)
        pipe.zadd(queue.keys.tasks, {task.id: moment})
    pipe.execute()
    return [task.id for task in tasks]


def ids(tasks: list[Task]) -> list[str]:
    return [task.id for task in tasks]


@both_orders
def test_a_walk_gives_every_task_once_in_the_order_of_creation(
    queue: Queue, inspector: Inspector, newest_first: bool
) -> None:
    created = at_moments(queue, [1_000 + i for i in range(40)])

    found = walk(inspector, newest_first=newest_first)

    assert ids(found) == (created[::-1] if newest_first else created)


@both_orders
def test_tasks_of_one_moment_come_in_the_order_of_their_ids(queue: Queue, inspector: Inspector, newest_first: bool) -> None:
    created = at_moments(queue, [1_000] * 30)

    found = walk(inspector, newest_first=newest_first)

    assert ids(found) == sorted(created, reverse=newest_first)


@both_orders
def test_a_walk_passes_a_moment_in_which_more_tasks_were_created_than_one_trip_reads(
    queue: Queue, inspector: Inspector, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(pages, "SCAN", 10)
    created = at_moments(queue, [1_000, *[2_000] * 45, 3_000])

    found = walk(inspector, newest_first=newest_first)

    assert sorted(ids(found)) == sorted(created)


@both_orders
def test_such_a_moment_hides_nothing_of_other_queues(
    queue: Queue, link: Link, inspector: Inspector, prefix: str, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(pages, "SCAN", 10)
    created = at_moments(queue, [2_000] * 45)
    for name, moments in {"elsewhere": [1_999, 2_001] * 15, "third": [2_000] * 33}.items():
        created += at_moments(Queue(link, prefix=prefix, name=name), moments)

    found = walk(inspector, newest_first=newest_first)

    keys = [(task.created_at_ms, task.id) for task in found]
    assert keys == sorted(keys, reverse=newest_first)
    assert sorted(ids(found)) == sorted(created)


@both_orders
def test_a_walk_over_several_queues_is_in_one_order(
    queue: Queue, link: Link, inspector: Inspector, prefix: str, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(pages, "SCAN", 5)
    elsewhere = Queue(link, prefix=prefix, name="elsewhere")
    at_moments(queue, [1_000 + 3 * i for i in range(60)])
    at_moments(elsewhere, [1_001 + i for i in range(40)])
    at_moments(Queue(link, prefix=prefix, name="third"), [1_100] * 8)

    found = walk(inspector, newest_first=newest_first)

    keys = [(task.created_at_ms, task.id) for task in found]
    assert keys == sorted(keys, reverse=newest_first)
    assert len(set(keys)) == 108


def test_a_walk_of_one_queue_gives_no_task_of_another(queue: Queue, link: Link, inspector: Inspector, prefix: str) -> None:
    elsewhere = Queue(link, prefix=prefix, name="elsewhere")
    at_moments(queue, [1, 2, 3])
    wanted = at_moments(elsewhere, [1, 2, 3])

    assert ids(walk(inspector, Filter(queue="elsewhere"), newest_first=False)) == wanted


@both_orders
def test_no_task_is_given_twice_and_none_is_missed_while_others_come_and_go(
    queue: Queue, inspector: Inspector, newest_first: bool
) -> None:
    created = at_moments(queue, [1_000 + i // 3 for i in range(90)])
    leaving = created[::2]

    def come_and_go() -> None:
        queue.enqueue(new())
        at_moments(queue, [500])
        for _ in range(4):
            if leaving:
                queue.delete(leaving.pop())

    given = ids(walk(inspector, between=come_and_go, newest_first=newest_first))

    assert len(given) == len(set(given))
    assert set(created[1::2]) <= set(given)


def test_a_walk_goes_on_when_the_task_that_its_cursor_names_is_gone(queue: Queue, inspector: Inspector) -> None:
    created = at_moments(queue, [1, 2, 3, 4])
    page = inspector.page(limit=2, newest_first=False)
    queue.delete(created[1])

    following = inspector.page(limit=2, newest_first=False, cursor=page.cursor)

    assert ids(following.tasks) == created[2:]


def test_only_tasks_of_the_wanted_status_are_given(queue: Queue, inspector: Inspector) -> None:
    worker = joined(queue)
    attempt = started(queue, worker)
    queue.complete(worker, attempt, b"1")
    enqueued(queue)
    later = [enqueued(queue, delay_s=60) for _ in range(10)]

    assert ids(walk(inspector, Filter(status=Status.COMPLETED))) == [attempt.id]
    assert sorted(ids(walk(inspector, Filter(status=Status.SCHEDULED), limit=3))) == sorted(later)
    assert walk(inspector, Filter(status=Status.FAILED)) == []


def test_only_accepted_tasks_are_given(queue: Queue, inspector: Inspector) -> None:
    queue.enqueue_many([new("a"), new("b"), new("a")])

    found = walk(inspector, Filter(type="a"), limit=1)

    assert [task.type for task in found] == ["a", "a"]


def test_a_page_that_takes_everything_is_the_last(queue: Queue, inspector: Inspector) -> None:
    at_moments(queue, [1, 2, 3])

    assert inspector.page(limit=3).cursor is None
    assert inspector.page(limit=2).cursor is not None


def test_a_rare_status_gives_a_short_page_and_a_cursor_to_go_on_from(
    queue: Queue, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SCAN", 10)
    monkeypatch.setattr(pages, "SCAN_LIMIT", 20)
    monkeypatch.setattr(pages, "FEW", 0)
    created = at_moments(queue, list(range(1, 51)))
    queue.cancel(created[0])

    first = inspector.page(Filter(status=Status.CANCELLED), limit=5)

    assert (first.tasks, first.cursor is None) == ([], False)
    assert ids(walk(inspector, Filter(status=Status.CANCELLED))) == [created[0]]


def test_an_unreadable_record_is_left_out(queue: Queue, inspector: Inspector) -> None:
    created = at_moments(queue, [1, 2, 3, 4])
    queue.link.redis.hset(queue.keys.task(created[1]), "v", "2")
    queue.link.redis.delete(queue.keys.task(created[2]))
    queue.link.redis.set(queue.keys.task(created[2]), "not a hash")

    assert ids(walk(inspector, limit=1, newest_first=False)) == [created[0], created[3]]


def test_a_cursor_reads_back() -> None:
    assert decode_cursor(encode_cursor(1_700_000_000_123, "a-b_c.d")) == (1_700_000_000_123, "a-b_c.d")


@pytest.mark.parametrize(
    "cursor", ["!", "1", ".", ".x", "-.x", "x.y", "1.x y", "1.ä", "٣.x", "\ud800", "nan.x", "9" * 16 + ".x", "1.x\n"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(queue: Queue, inspector: Inspector, cursor: str) -> None:
    with pytest.raises(ValueError, match="expected the value of X-Next-Cursor of an earlier answer"):
        inspector.page(limit=5, cursor=cursor)


CONDITIONS = {
    "any": Filter(),
    "status": Filter(status=Status.PENDING),
    "few": Filter(status=Status.CANCELLED),
    "rest": Filter(type="a", tag="x"),
    "period": Filter(queue="default", created_from_ms=2_010, created_until_ms=2_150),
}


class Bustle:
    """Tasks of two queues that come and go at random, except for those that are `spared`."""

    def __init__(self, queues: list[Queue], inspector: Inspector, seed: str) -> None:
        self.dice = random.Random(seed)
        self.queues = queues
        self.inspector = inspector
        self.more = 3
        self.come()
        self.spared = {task.id for task in self.dice.sample(self.stored(), 30)}

    def stored(self) -> list[Task]:
        found = [self.inspector.get(id_, queue=each.name) for each in self.queues for id_ in members(each, each.keys.tasks)]
        return [task for task in found if task is not None]

    def come(self) -> None:
        """Some at random moments of creation, a third of them cancelled."""
        for each in self.queues:
            made = [new(self.dice.choice("ab"), tags=("x",) * self.dice.randrange(2)) for _ in range(30)]
            each.enqueue_many(made)
            for task in made:
                moment = 2_000 + self.dice.randrange(200)
                each.link.redis.hset(each.keys.task(task.id), "created_at", moment)
                each.link.redis.zadd(each.keys.tasks, {task.id: moment})
            for task in self.dice.sample(made, 10):
                each.cancel(task.id)

    def go_on(self) -> None:
        for task in self.dice.sample(self.stored(), 12):
            if task.id not in self.spared:
                queue = self.inspector.queue(task.queue)
                verbs: list[Callable[[str], object]] = [queue.cancel, queue.requeue, queue.delete]
                self.dice.choice(verbs)(task.id)
        for each in self.queues:
            old = [
                id_ for id_ in members(each, each.keys.cancelled) if id_ not in self.spared and self.dice.randrange(4) == 0
            ]
            for task_id in old:
                each.link.redis.zadd(each.keys.cancelled, {task_id: 1})
            each.trim(Status.CANCELLED, 60)
        if self.more and self.dice.randrange(3) == 0:
            self.more -= 1
            self.come()


@pytest.mark.parametrize("scan", [5, 1000])
@pytest.mark.parametrize("name", CONDITIONS)
@both_orders
def test_a_walk_misses_nothing_and_repeats_nothing_whatever_happens_meanwhile(
    queue: Queue, inspector: Inspector, monkeypatch: pytest.MonkeyPatch, name: str, scan: int, newest_first: bool
) -> None:
    """Tasks are created, cancelled, requeued, deleted and trimmed between any two pages."""
    monkeypatch.setattr(pages, "SCAN", scan)
    monkeypatch.setattr(pages, "SCAN_LIMIT", 4 * scan)
    monkeypatch.setattr(pages, "FEW", 40)
    inspector.queue("elsewhere").announce()
    bustle = Bustle([queue, inspector.queue("elsewhere")], inspector, f"{name} {scan} {newest_first}")
    wanted = CONDITIONS[name]
    throughout = {task.id for task in bustle.stored() if task.id in bustle.spared and wanted.accepts(task)}

    given = walk(inspector, wanted, limit=4, between=bustle.go_on, newest_first=newest_first)

    keys = [(task.created_at_ms, task.id) for task in given]
    assert keys == sorted(set(keys), reverse=newest_first)
    assert throughout
    assert throughout <= {task.id for task in given}
    assert all(wanted.accepts(task) for task in given)
