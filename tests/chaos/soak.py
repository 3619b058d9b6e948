"""The soak: minutes of faults and load, and what grew meanwhile: `python -m tests.chaos --soak [SECONDS]`.

Two services share a Redis. Everything that the second one consists of is killed and stopped, and the workers of the first;
supervisor, maintenance, warden and API of the first live through all of it, so that theirs is the memory to look at. It is
looked at twice, each time after everything has ended and was trimmed: after a first minute of the same, and at the end.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from .faults import Recorder, send
from .load import Client
from .plan import Leases
from .seen import Seen
from .services import Host, Server
from .soak_load import EXPECTED, Wanderer
from .stage import pool

SOAK_S = 600.0
WORKERS = 4
CLIENTS = 4
"""For each service; with their own connections they keep several threads of the API busy at once."""

DEPTH = 150
"""Tasks that wait while everything is busy: what killed workers do not do shall not pile up."""

RETENTION_S = 3.0
QUIET_LIMIT_S = 180.0
"""A worker that was killed in the middle of a wait is remembered for a minute; so long the keys are not at rest."""

LEASES = Leases(0.9, 3.0, 0.5)
DAEMONS = ("supervisor", "maintenance", "warden", "api")
GROWTH_BYTES = 3 << 20
"""What a process may grow: 50 bytes for each of 60,000 tasks are more."""

REDIS_GROWTH_BYTES = 256 << 10
DESCRIPTORS = 2
FIELDS = {"counters": 1, "schedule": 4}
"""Hashes that have a field once there is something to say, and never more than a few."""

LASTING = {"idempotency", "accepted", "reply"}
"""Keys that end by themselves, after a day at most; that is checked, and they are taken away before a sample."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must not grow by more than `bound`."""

    name: str
    before: int
    after: int
    bound: int

    @property
    def flat(self) -> bool:
        """Whether it grew by at most its bound."""
        return self.after - self.before <= self.bound


class Soaked(msgspec.Struct, kw_only=True):
    """What a soak came to."""

    seconds: float
    accepted: int
    runs: int
    faults: dict[str, int]
    answers: dict[int, int]
    figures: list[Figure]
    findings: list[str]


class Soak:
    """One soak that is running."""

    def __init__(self, seed: int, seen: Path, exits: contextlib.ExitStack) -> None:
        self.seen = seen
        self.rng = random.Random(f"{seed} soak")
        self.recorder = Recorder(seen, "soak")
        self.faults: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.findings: list[str] = []
        self.server = Server()
        exits.callback(self.server.close)
        self.server.start()
        self.client = exits.enter_context(contextlib.closing(self.server.client()))
        self.kept, self.struck = (self._host(name, exits) for name in ("kept", "struck"))
        self._stopped: list[tuple[float, int]] = []
        self._rounds = 0

    def run(self, seconds: float) -> Soaked:
        """Warm up, look, go on for `seconds`, look again."""
        self._round(min(60.0, seconds / 2))
        before = self._sample()
        self._round(seconds)
        after = self._sample()
        for host in (self.kept, self.struck):
            if (code := host.stop()) != 0:
                self.findings.append(f"{host.name} ended with exit code {code}")
        seen = Seen(self.seen)
        self._judge(seen)
        figures = [
            Figure(name=name, before=before.get(name, 0), after=after.get(name, 0), bound=_bound(name))
            for name in sorted({*before, *after})
        ]
        return Soaked(
            seconds=seconds,
            accepted=len(seen.accepted),
            runs=len(seen.starts),
            faults=dict(sorted(self.faults.items())),
            answers=dict(sorted(self.answers.items())),
            figures=figures,
            findings=self.findings,
        )

    # -- load and faults

    def _round(self, seconds: float) -> None:
        self._schedule("resume")
        self._rounds += 1
        full = threading.Event()
        clients = [
            Wanderer(f"{self.rng.random()}", host.port, self.seen / f"{host.name}-{self._rounds}-{number}.seen", full)
            for host in (self.kept, self.struck)
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        ends_at = time.monotonic() + seconds
        strikes: dict[Callable[[], None], int] = {
            self._kill_worker: 10, self._stop_worker: 5, self._flush: 6, self._kill_daemon: 4,
            self._freeze: 1, self._kill_supervisor: 1, self._kill_redis: 1,
        }  # fmt: skip
        while time.monotonic() < ends_at:
            self.rng.choices(list(strikes), list(strikes.values()))[0]()
            self._resume(time.monotonic())
            full.set() if self._waiting() > DEPTH else full.clear()
            time.sleep(self.rng.uniform(0.2, 1.0))
        self._resume(float("inf"))
        for client in clients:
            client.finish()
            self.answers += client.answers

    def _strike(self, number: signal.Signals, kind: str, place: str, pid: int) -> None:
        self.faults[f"{kind} {place}"] += 1
        self.recorder.strike(number, kind, place, pid)

    def _kill_worker(self) -> None:
        if pids := self.rng.choice((self.kept, self.struck)).pids("worker"):
            self._strike(signal.SIGKILL, "kill", "worker", self.rng.choice(pids))

    def _stop_worker(self) -> None:
        if pids := self.rng.choice((self.kept, self.struck)).pids("worker"):
            pid = self.rng.choice(pids)
            self._strike(signal.SIGSTOP, "stop", "worker", pid)
            self._stopped.append((time.monotonic() + self.rng.uniform(0.5, 2 * LEASES.lease), pid))

    def _resume(self, at: float) -> None:
        for due in [stopped for stopped in self._stopped if stopped[0] <= at]:
            self._stopped.remove(due)
            send(signal.SIGCONT, due[1])

    def _flush(self) -> None:
        self.faults["flush scripts"] += 1
        self.client.script_flush()

    def _kill_daemon(self) -> None:
        name = self.rng.choice(("maintenance", "api", "warden"))
        if pids := self.struck.pids(name):
            self._strike(signal.SIGKILL, "kill", name, pids[0])

    def _freeze(self) -> None:
        self._strike(signal.SIGSTOP, "stop", "supervisor", self.struck.pid)
        time.sleep(self.rng.uniform(0.5, LEASES.lease + 3.0))
        send(signal.SIGCONT, self.struck.pid)

    def _kill_supervisor(self) -> None:
        self._strike(signal.SIGKILL, "kill", "supervisor", self.struck.pid)
        self.struck.kill()
        self.struck.start()

    def _kill_redis(self) -> None:
        self.faults["kill redis"] += 1
        self.server.kill()
        time.sleep(self.rng.uniform(0.05, 1.5))
        self.server.start()

    # -- looking

    def _sample(self) -> dict[str, int]:
        self._schedule("pause")
        deadline = time.monotonic() + QUIET_LIMIT_S
        while left := self._unrest():
            if time.monotonic() > deadline:
                self.findings.append(f"not at rest after {QUIET_LIMIT_S:g} s: {left}")
                break
            time.sleep(0.5)
        found: dict[str, int] = {}
        for name in DAEMONS:
            process = psutil.Process(self.kept.pid if name == "supervisor" else self.kept.pids(name)[0])
            memory = process.memory_full_info()
            found |= {f"{name} rss bytes": memory.rss, f"{name} pss bytes": memory.pss}
            found[f"{name} descriptors"] = process.num_fds()
        self._forget_lasting()
        for kind, (keys, members) in self._keys().items():
            found |= {f"redis keys {kind}": keys, f"redis members {kind}": members}
        self.client.memory_purge()
        info: Any = self.client.info("memory")
        return found | {"redis used_memory_dataset bytes": int(info["used_memory_dataset"])}

    def _waiting(self) -> int:
        return int(self.client.llen("{taskq:default}:pending"))

    def _unrest(self) -> str:
        """What has not ended, or was not trimmed yet; empty at rest."""
        living = sum(len(host.pids("worker")) for host in (self.kept, self.struck))
        keys = self._keys()
        tasks, workers = keys.get("task", (0, 0))[0], keys.get("leases", (0, 0))[1]
        if tasks or workers != living or keys.get("processing") or living != 2 * WORKERS:
            return f"{tasks} tasks, {workers} known workers of {living}, {keys.get('processing', (0, 0))[0]} lists"
        return ""

    def _keys(self) -> dict[str, tuple[int, int]]:
        """Keys and their members, by kind."""
        counted: dict[str, tuple[int, int]] = {}
        client: Any = self.client
        sizes = {b"list": client.llen, b"hash": client.hlen, b"zset": client.zcard, b"set": client.scard}
        for key in client.scan_iter(count=1000):
            kind = key.decode().split("}:", 1)[1].split(":")[0]
            if kind == "stats":
                continue  # what there is of time grows with it, up to a bound, and what is counted now comes and goes
            keys, members = counted.get(kind, (0, 0))
            counted[kind] = keys + 1, members + sizes.get(client.type(key), lambda _: 1)(key)
        return counted

    def _forget_lasting(self) -> None:
        client: Any = self.client
        for key in list(client.scan_iter(count=1000)):
            if key.decode().split("}:", 1)[1].split(":")[0] in LASTING:
                if client.ttl(key) < 0:
                    self.findings.append(f"{key.decode()} never expires")
                client.unlink(key)

    def _judge(self, seen: Seen) -> None:
        done = {task_id for (task_id, _), how in seen.ends.items() if how == "ok"}
        lost = [task_id for task_id in seen.accepted if task_id not in done]
        self.findings += [f"lost: {task_id}, a {seen.accepted[task_id]}" for task_id in lost[:5]]
        wrong = {status: number for status, number in self.answers.items() if status not in EXPECTED}
        if wrong:
            self.findings.append(f"answers {wrong}")
        if not seen.accepted:
            self.findings.append("no task was accepted")

    def _host(self, name: str, exits: contextlib.ExitStack) -> Host:
        every = {"cron": "* * * * * *", "type": "quick"}
        config: dict[str, Any] = {
            "redis": {"url": self.server.url},
            "pools": pool(WORKERS),
            "leases": LEASES.config(),
            "tasks": {"max_crashes": 100, "kill_grace": 0.5},
            "retention": dict.fromkeys(("completed", "failed", "cancelled"), RETENTION_S),
            "schedules": {"often": every},
        }
        host = Host(self.seen, config, name=name)
        exits.callback(host.close)
        host.start()
        return host

    def _schedule(self, verb: str) -> None:
        with contextlib.closing(Client(self.kept.port)) as client:
            status, _, answer = client.request("POST", f"/schedules/often/{verb}")
        assert status == 200, answer


def soak(seconds: float, seed: int, seen: Path) -> Soaked:
    """Run a soak; its evidence goes to `seen`."""
    with contextlib.ExitStack() as exits:
        return Soak(seed, seen, exits).run(seconds)


def table(soaked: Soaked) -> str:
    """The soak for people."""
    lines = [f"{'after a minute, at the end':42}{'before':>14}{'after':>14}{'growth':>12}{'bound':>12}"]
    for each in soaked.figures:
        cells = f"{each.before:14}{each.after:14}{each.after - each.before:12}{each.bound:12}"
        lines.append(f"  {each.name:40}{cells}{'' if each.flat else '  MISSED'}")
    lines += ["", "faults that hit: " + ", ".join(f"{name} {number}" for name, number in soaked.faults.items())]
    lines.append("answers (0: none came): " + ", ".join(f"{status} {number}" for status, number in soaked.answers.items()))
    lines.append(f"{soaked.accepted} tasks accepted that had to run, {soaked.runs} runs")
    lines += [f"MISSED {text}" for text in missed(soaked)] or ["everything was flat"]
    return "\n".join([*lines, f"{soaked.seconds:.0f} s"])


def missed(soaked: Soaked) -> list[str]:
    """Every bound that was missed, as a sentence."""
    grown = [f"{each.name}: {each.before}, then {each.after}" for each in soaked.figures if not each.flat]
    return grown + soaked.findings


def _bound(name: str) -> int:
    if name.startswith("redis used_memory"):
        return REDIS_GROWTH_BYTES
    if name.endswith(" bytes"):
        return GROWTH_BYTES
    return DESCRIPTORS if name.endswith(" descriptors") else FIELDS.get(name.rpartition(" ")[2], 0)
