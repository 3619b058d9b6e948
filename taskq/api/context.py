"""What the API is given: its settings, and the collaborators that every resource shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from taskq.catalog import TypeInfo
from taskq.queue.inspect import Inspector
from taskq.queue.requests import Requests
from taskq.registry import Registry
from taskq.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """`max_body_bytes` bounds a request's body after any chunked coding is undone, `max_batch_bytes` that of a batch;
    `default_queue` and `default_max_retry` are for tasks that name none; `threads` requests are handled at once, of at most
    `connection_limit` connections, and a connection that stays silent for `channel_timeout_s` is closed. Of what an attempt
    printed the newest `output_max_bytes` are shown. `open` names what needs no token, `hosts` is for
    `knownhosts.known_names`, and `own_name` is what this service is called anyway."""

    max_body_bytes: int = 1 << 20
    max_batch_bytes: int = 1 << 24
    default_queue: str = "default"
    default_max_retry: int = 3
    threads: int = 8
    connection_limit: int = 1000
    channel_timeout_s: int = 30
    output_max_bytes: int = 1 << 16
    open: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ("*",)
    own_name: str = ""


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """`draining` answers at once, from any thread, whether the service takes no new tasks any more. `registry` has the
    types whose handlers this process knows; their own defaults hold where a request says nothing. `own_queues` are those
    that the pools of this service serve, `own_types` what it publishes about the types of `registry`. With
    `tokens` None everybody may do everything. `requests` counts what is answered."""

    inspector: Inspector
    registry: Registry = field(default_factory=Registry)
    own_queues: frozenset[str] = frozenset()
    own_types: Mapping[str, TypeInfo] = field(default_factory=dict)
    settings: ApiSettings = ApiSettings()
    tokens: Tokens | None = None
    draining: Callable[[], bool] = lambda: False
    requests: Requests = field(default_factory=Requests)
