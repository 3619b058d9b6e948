"""Any order of verbs, losses and deaths, performed on a real server and on a plain model of it, which must agree."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from taskq.errors import LeaseLost, TaskNotFound
from taskq.queue.connection import Link
from taskq.queue.keys import BELL
from taskq.queue.queue import Queue
from taskq.task import Attempt, NewTask, Priority, Status, Verdict
from tests.faultproxy import RealServer
from tests.integration.steps import SETTLES, lapse, reap, trip

LONG_S = 3600
SEVERAL = 2
"""So many tasks are claimed at once beside what a worker holds."""
AFTER = dict(zip(SETTLES, (Status.COMPLETED, Status.SCHEDULED, Status.FAILED, Status.PENDING, Status.PENDING), strict=True))
WORKER_VERBS = (
    "claim",
    "claim_ahead",
    *["move_without_a_reply"] * 3,
    "lapse",
    "reap_silent",
    "reap_dead",
    "reap_dead",
    "leave",
)
TASK_VERBS = ("enqueue_again", "cancel", "cancel", "delete", "requeue", "requeue", "promote", "promote", "trim")
VERBS = (*["claim", "enqueue"] * 4, *WORKER_VERBS, *AFTER, *AFTER, *TASK_VERBS, "join", "trouble")
SETS = (Status.SCHEDULED, Status.COMPLETED, Status.FAILED, Status.CANCELLED)
COUNTERS = ("attempt", "retries", "crashes")
FIELDS = ("status", "priority", "worker_id", *COUNTERS)
NO_RECORD: dict[str, Any] = dict.fromkeys((*FIELDS, "settled"))


def remove(place: list[str], id_: str) -> None:
    """As LREM does: the one that came last."""
    del place[len(place) - 1 - place[::-1].index(id_)]


class Model:
    """What should be in Redis: records, and lists in the order in which they are claimed."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.waiting: dict[Priority, list[str]] = {priority: [] for priority in Priority}
        self.held: dict[str, list[str]] = {}
        self.leases: dict[str, bool | None] = {}  # whether it still lasts; None: the worker has left
        self.stops: dict[str, str] = {}
        self.touched: set[str] = set()  # whose records the last step may have changed
        self.reopened: set[str] = set()  # whose end the last step may have undone
        self.stray: Counter[str] = Counter()
        """Entries for tasks that were withdrawn between their move and their start, when nobody could say who had them."""

    def move(self, id_: str, status: Status, settled: str | None = None, *, at_head: bool = False) -> None:
        """Give a task that is in no list another status, and the place that goes with it."""
        self.touched.add(id_)
        task = self.records[id_]
        task.update(status=status, settled=settled or task["settled"])
        if status is Status.PENDING:
            waiting = self.waiting[task["priority"]]
            waiting.insert(0 if at_head else len(waiting), id_)

    def claim(self, worker: str) -> str | None:
        """The id of what is started or, if it was started before, answered again."""
        own = self.held[worker]
        while own or any(self.waiting.values()):
            if not own:
                own.append(next(waiting for waiting in self.waiting.values() if waiting).pop(0))
            id_ = own[0]
            task = self.records.get(id_, NO_RECORD)
            if task["status"] is Status.PENDING:
                task.update(status=Status.PROCESSING, worker_id=worker, settled=None, attempt=task["attempt"] + 1)
                self.touched.add(id_)
            if task["status"] is Status.PROCESSING and task["worker_id"] == worker:
                return id_
            remove(own, id_)
            self.stray[id_] -= 1
        return None

    def claim_ahead(self, worker: str) -> str | None:
        """The id of what is started beside whatever the worker holds."""
        waiting = next((waiting for waiting in self.waiting.values() if waiting), None)
        if waiting is None:
            return None
        id_ = waiting.pop(0)
        task = self.records[id_]
        task.update(status=Status.PROCESSING, worker_id=worker, settled=None, attempt=task["attempt"] + 1)
        self.touched.add(id_)
        self.held[worker].append(id_)
        return id_

    def settle(self, worker: str, attempt: Attempt, verb: str) -> Verdict:
        task = self.records.get(attempt.id, NO_RECORD)
        if (task["worker_id"], task["attempt"]) != (worker, attempt.attempt):
            return Verdict.STALE
        if task["status"] is not Status.PROCESSING:
            return Verdict.OK if task["settled"] == verb else Verdict.STALE
        remove(self.held[worker], attempt.id)
        task["retries"] += verb == "retry"
        task["crashes"] += verb == "crash"
        self.move(attempt.id, Status.FAILED if task["crashes"] == 3 else AFTER[verb], verb, at_head=True)
        return Verdict.OK

    def reap(self, worker: str, max_crashes: int) -> list[tuple[Any, ...]]:
        """Of what was started the oldest counts a crash, and comes to lie before all others."""
        ran = None
        while self.held[worker]:
            id_ = self.held[worker].pop()
            task = self.records.get(id_, NO_RECORD)
            if task["status"] is Status.PROCESSING and task["worker_id"] == worker:
                if ran is not None:
                    self.move(ran["id"], Status.PENDING, "reap", at_head=True)
                ran = task
            elif task["status"] is Status.PENDING:
                self.move(id_, Status.PENDING, "reap", at_head=True)
            else:
                self.stray[id_] -= 1
        if ran is None:
            return []
        ran["crashes"] += 1
        self.move(ran["id"], Status.PENDING if ran["crashes"] < max_crashes else Status.FAILED, "reap", at_head=True)
        return [(ran["id"], ran["attempt"], ran["status"], ran["crashes"], "echo")]

    def withdraw(self, id_: str, reason: str) -> None:
        """Take a task out of the list that it is in, unless a worker has it that has left."""
        task = self.records[id_]
        own, waiting = self.held.get(task["worker_id"], []), self.waiting[task["priority"]]
        known = [self.held[worker] for worker, lasts in self.leases.items() if lasts is not None]
        places = {Status.PENDING: (waiting, *known), Status.PROCESSING: (own,)}.get(task["status"], ())
        found = [place for place in places if id_ in place]
        self.stray[id_] += bool(places) and not found
        for place in found[:1]:
            remove(place, id_)
        if task["status"] is Status.PROCESSING:
            asked = [self.stops[task["worker_id"]]] if task["worker_id"] in self.stops else []
            self.stops[task["worker_id"]] = "\n".join([*asked, f"{id_} {task['attempt']} {reason}"])


class Machine(RuleBasedStateMachine):
    """Each step is a verb and what it is about, as an index from the newest, so that the dead are not met too often. All are
    one rule, since Hypothesis would leave out most of many for a whole run."""

    server: RealServer

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue(Link(self.server.url, patience_s=20), prefix=f"test-{uuid.uuid4().hex[:12]}")
        self.client: Any = redis.Redis(unix_socket_path=self.server.path, decode_responses=True)
        self.model = Model()
        self.workers, self.tasks = list[str](), list[str]()
        self.attempts: list[tuple[str, Attempt]] = []
        self.before: dict[str, dict[str, str]] = {}  # the records after the last step
        self.killed = False

    def teardown(self) -> None:
        self.queue.link.close()
        self.client.close()

    @rule(verb=st.sampled_from(VERBS), index=st.integers(0, 5), priority=st.sampled_from(Priority), later=st.booleans())
    def step(self, verb: str, index: int, priority: Priority, later: bool) -> None:
        self.delay_s, self.max_crashes = (LONG_S, 1) if later else (0, 3)
        if verb == "join" or not any(self.model.leases.values()):
            self.join()
        if verb == "enqueue" or sum(map(len, self.model.waiting.values())) < 2:
            self.enqueue(priority)
        if verb in WORKER_VERBS or not self.attempts:
            getattr(self, verb if verb in WORKER_VERBS else "claim")(self.workers[-1 - index % len(self.workers)])
        elif verb in AFTER:
            self.settle(verb, *self.attempts[-1 - index % len(self.attempts)], later)
        elif verb in TASK_VERBS and (task := self.model.records.get(self.tasks[-1 - index % len(self.tasks)])):
            getattr(self, verb)(task["id"], task)
        elif verb == "trouble":
            self.trouble(later)

    def settle(self, verb: str, worker: str, attempt: Attempt, claim: bool) -> None:
        expected = self.model.settle(worker, attempt, verb)
        if verb == "complete" and claim:
            verdict, following = self.queue.complete(worker, attempt, b'"done"', claim_next=True)
            assert verdict is expected
            self.claimed(worker, following)
        else:
            assert SETTLES[verb](self.queue, worker, attempt) is expected

    def join(self) -> None:
        self.workers.append(f"w{len(self.workers)}")
        self.queue.join(self.workers[-1], LONG_S, b"{}")
        self.model.held[self.workers[-1]], self.model.leases[self.workers[-1]] = [], True

    def enqueue(self, priority: Priority) -> None:
        id_ = f"t{len(self.tasks)}"
        self.tasks.append(id_)
        self.queue.enqueue(NewTask(id=id_, type="echo", priority=priority, delay_s=self.delay_s))
        self.model.records[id_] = {**NO_RECORD, **dict.fromkeys(COUNTERS, 0), "id": id_, "priority": priority}
        self.model.move(id_, Status.SCHEDULED if self.delay_s else Status.PENDING)

    def trouble(self, kill: bool) -> None:
        self.client.script_flush()
        if kill and not self.killed:
            self.killed = True
            self.server.kill()
            self.server.start()

    def claim(self, worker: str) -> None:
        if self.model.leases[worker]:
            self.claimed(worker, self.queue.claim(worker))
        else:
            with pytest.raises(LeaseLost):
                self.queue.claim(worker)

    def claim_ahead(self, worker: str) -> None:
        answer = trip(self.queue, worker, claims=SEVERAL)
        assert answer.lapsed is (not self.model.leases[worker])
        if not answer.lapsed:
            expected = [self.model.claim_ahead(worker) for _ in range(SEVERAL)]
            assert [attempt.id for attempt in answer.claimed] == [id_ for id_ in expected if id_ is not None]
            self.attempts += [(worker, attempt) for attempt in answer.claimed]

    def claimed(self, worker: str, attempt: Attempt | None) -> None:
        expected = self.model.claim(worker) if self.model.leases[worker] else None
        assert (attempt and attempt.id) == expected
        if attempt is not None:
            task = self.model.records[attempt.id]
            assert [getattr(attempt, name) for name in COUNTERS] == [task[name] for name in COUNTERS]
            self.attempts.append((worker, attempt))

    def move_without_a_reply(self, worker: str) -> None:
        entry = self.client.lmove(self.queue.keys.pending, self.queue.keys.processing(worker), "RIGHT", "LEFT")
        if entry not in (None, BELL):
            self.model.held[worker].append(self.model.waiting[Priority.NORMAL].pop(0))
            assert self.model.held[worker][-1] == entry
            if self.delay_s and entry in self.model.records:  # half of them, which chance alone would hardly find
                self.cancel(entry, self.model.records[entry])

    def lapse(self, worker: str) -> None:
        lapse(self.queue, worker)
        self.model.leases[worker] = self.model.leases[worker] and False

    def reap_silent(self, worker: str) -> None:
        expected = [] if self.model.leases[worker] else self.model.reap(worker, self.max_crashes)
        assert reap(self.queue, worker, dead=False, max_crashes=self.max_crashes) == expected

    def reap_dead(self, worker: str) -> None:
        self.model.leases[worker] = self.model.leases[worker] and False
        assert reap(self.queue, worker, max_crashes=self.max_crashes) == self.model.reap(worker, self.max_crashes)

    def leave(self, worker: str) -> None:
        empty = not self.client.exists(self.queue.keys.processing(worker))  # it may hold a bell
        assert self.queue.leave(worker) is empty
        if empty:
            self.model.leases[worker] = None
            self.model.stops.pop(worker, None)

    def enqueue_again(self, id_: str, task: dict[str, Any]) -> None:
        self.queue.enqueue(NewTask(id=id_, type="echo"))

    def cancel(self, id_: str, task: dict[str, Any]) -> None:
        assert self.queue.cancel(id_) is task["status"]
        if not task["status"].final:
            self.model.withdraw(id_, "cancelled")
            self.model.move(id_, Status.CANCELLED, "cancel")

    def delete(self, id_: str, task: dict[str, Any]) -> None:
        assert self.queue.delete(id_) is task["status"]
        self.model.withdraw(id_, "deleted")
        del self.model.records[id_]
        for act in (self.queue.delete, self.queue.cancel, self.queue.requeue):
            with pytest.raises(TaskNotFound):
                act(id_)

    def requeue(self, id_: str, task: dict[str, Any]) -> None:
        assert self.queue.requeue(id_, self.delay_s) is task["status"]
        if task["status"] in (Status.FAILED, Status.CANCELLED):
            task.update(retries=0, crashes=0)
            self.model.move(id_, Status.SCHEDULED if self.delay_s else Status.PENDING, "requeue")
            self.model.reopened.add(id_)

    def promote(self, id_: str, task: dict[str, Any]) -> None:
        due = self.client.zadd(self.queue.keys.scheduled, {id_: 1}, xx=True, ch=True)
        assert self.queue.promote()[0] == due
        if due:
            self.model.move(id_, Status.PENDING)

    def trim(self, id_: str, task: dict[str, Any]) -> None:
        if task["status"].final:
            self.client.zadd(self.queue.keys.ended(task["status"]), {id_: 1}, xx=True)
            assert self.queue.trim(task["status"], LONG_S) == 1
            del self.model.records[id_]

    @invariant()
    def redis_agrees_with_the_model(self) -> None:
        keys, model = self.queue.keys, self.model
        ids, pipe = sorted({*model.records, *self.before}), self.client.pipeline(transaction=False)
        for key in (keys.high, keys.pending, keys.low, *map(keys.processing, model.held)):
            pipe.lrange(key, 0, -1)
        for key in (keys.tasks, keys.scheduled, keys.completed, keys.failed, keys.cancelled):
            pipe.zrange(key, 0, -1)
        for key in (keys.stops, *map(keys.task, ids)):
            pipe.hgetall(key)
        found = iter(pipe.execute())
        lists = [next(found)[::-1] for _ in (*model.waiting, *model.held)]
        claims = [[entry for entry in entries if entry != BELL] for entries in lists]
        sets = [sorted(next(found)) for _ in ("tasks", *SETS)]
        stops, *records = found
        stops = {field: stop for field, stop in stops.items() if not field.startswith("lost:")}
        assert claims == [*model.waiting.values(), *model.held.values()]
        assert sets[0] == sorted(model.records)
        assert sets[1:] == [sorted(i for i, task in model.records.items() if task["status"] is status) for status in SETS]
        assert stops == model.stops
        assert any(BELL in entries for entries in lists) or not (claims[0] or claims[2]), "nothing wakes an idle worker"
        assert dict(self.queue.lapsed(LONG_S)).keys() == {w for w, lasts in model.leases.items() if lasts is False}
        places = Counter(id_ for place in (*claims, *sets[1:]) for id_ in place)
        for id_, record in zip(ids, records, strict=True):
            task, before = model.records.get(id_), self.before.get(id_, {})
            assert places[id_] - model.stray[id_] == bool(task) == bool(record), "each task is in one place"
            if task is not None:
                assert [record.get(field, "0") for field in FIELDS] == [str(task[field] or 0) for field in FIELDS]
                assert record == before or id_ in model.touched, "only what the step was about has changed"
                was = Status(before.get("status", Status.PENDING))
                assert not was.final or record["status"] == was or id_ in model.reopened, "an end is an end"
        self.before = dict(zip(ids, records, strict=True))
        model.touched, model.reopened = set(), set()


def test_verbs_in_any_order_do_what_the_model_says() -> None:
    limits = settings(max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))
    with RealServer() as server:
        machine = type("Machine", (Machine,), {"server": server})
        run_state_machine_as_test(machine, settings=settings(limits, derandomize=True, database=None))
