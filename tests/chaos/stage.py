"""What every phase stands on: a directory for its evidence, and everything it started, which ends with it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .faults import Recorder, Watcher
from .load import Batch, Feed, Load, Order, settle
from .plan import Leases, Plan
from .services import Host, Server

SETTLE_LIMIT_S = 30.0


class Evidence(msgspec.Struct, kw_only=True):
    """Where the files of a phase are, and what the checker has to know to read them."""

    phase: str
    seen: Path
    seconds: float = 0.0
    leases: Leases = Leases()
    failures: list[str] = msgspec.field(default_factory=list)


class Stage:
    """One phase that is running."""

    def __init__(self, name: str, seen: Path, plan: Plan, exits: contextlib.ExitStack) -> None:
        self.evidence = Evidence(phase=name, seen=seen)
        self.seen = seen
        self.plan = plan
        self.rng = random.Random(f"{plan.seed} {name}")
        self.recorder = Recorder(seen, "phase")
        self.hosts: list[Host] = []
        self.accepted: list[str] = []
        """What clients of the phase's own were told is stored."""
        self.loads: list[Load] = []
        self.feeds: list[Feed] = []
        self._exits = exits
        self._began = time.monotonic()

    def host(self, config: Mapping[str, Any], **options: Any) -> Host:
        """A running service; takes the options of `Host`."""
        host = Host(self.seen, config, name=f"host{len(self.hosts) + 1}", **options)
        self._exits.callback(host.close)
        self.hosts.append(host)
        host.start()
        return host

    def server(self) -> Server:
        """A running server of our own."""
        server = Server()
        self._exits.callback(server.close)
        server.start()
        return server

    def watcher(self) -> Watcher:
        """What hears of failpoints in this phase."""
        watcher = Watcher(self.seen)
        self._exits.callback(watcher.close)
        return watcher

    def load(self, host: Host, batches: Iterator[Batch]) -> Load:
        """A client that has begun to submit."""
        load = Load(host.port, self.seen, batches)
        self.loads.append(load)
        load.start()
        return load

    def keep_on(self, seconds: float, enough: Callable[[], bool] = lambda: True) -> None:
        """Let time pass: `seconds`, and as long again until there is `enough`."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds or (not enough() and passed < 2 * seconds):
            time.sleep(0.05)

    def feed(self, url: str) -> Feed:
        """A way to enqueue without the API."""
        feed = Feed(url, self.seen)
        self._exits.callback(feed.close)
        self.feeds.append(feed)
        return feed

    def wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """True as soon as the condition holds, False after `limit_s`."""
        deadline = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def finish(self) -> Evidence:
        """End the load, wait for every accepted task, note what became of it and stop the services."""
        for load in self.loads:
            load.finish()
        everything = self.accepted + [task_id for load in self.loads for task_id in load.accepted]
        everything += [task_id for feed in self.feeds for task_id in feed.accepted]
        settle(self.hosts[-1].port, everything, self.seen, SETTLE_LIMIT_S)
        for host in self.hosts:
            code = host.stop()
            if code != 0:
                self.evidence.failures.append(f"{host.name} ended with exit code {code}")
        self.evidence.seconds = time.monotonic() - self._began
        return self.evidence


def pool(workers: int) -> dict[str, Any]:
    """The section `pools` for one pool."""
    return {"default": {"workers": workers}}


def orders(*types: str, **payload: float) -> list[Order]:
    """Tasks of these types with the same payload."""
    return [Order(type_, dict(payload) or None) for type_ in types]
