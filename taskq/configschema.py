"""Every key of the configuration with its type, default and limits.

Values only: who may set them and how they are merged is the business of `config.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from taskq.configcron import CRON, JSON, ZONE
from taskq.configkinds import (
    ADDRESS,
    BYTES,
    HOSTS,
    MODULES,
    NAME_,
    PATH,
    REDIS_URL,
    SECONDS,
    SOME_PATH,
    TRUTH,
    Address,
    Kind,
    above_zero,
    at_most,
    integer,
    masked_url,
    number,
    one_of,
    some_of,
)
from taskq.configlimits import LIMITS
from taskq.limits import TypeLimits
from taskq.retry import Backoff
from taskq.task import MAX_RETRY_LIMIT

KeyPath = tuple[str, ...]
"""A key as its parts: ("pools", "default", "workers")."""

Truth = Annotated[bool, TRUTH]
Name = Annotated[str, NAME_]
Seconds = Annotated[float, SECONDS]
SomeSeconds = Annotated[float, above_zero(SECONDS)]
Bytes = Annotated[int, BYTES]
SomeBytes = Annotated[int, above_zero(BYTES)]


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """Where the queue lives. `url` None means the embedded server, whose files are in `data_dir`, a path relative to
    the working directory. `require_persistence` refuses a server that forgets everything at a restart."""

    url: Annotated[str | None, REDIS_URL] = None
    prefix: Name = "taskq"
    data_dir: Annotated[Path, PATH] = Path(".taskq")
    require_persistence: Truth = False

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The fields without the password, because tracebacks and debuggers print them."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return list((fields | {"url": self.url and masked_url(self.url)}).items())

    def __repr__(self) -> str:
        return f"Redis({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP interface. `processes` 0 means none here; `max_body` and `max_batch_body` are in bytes. With a
    `tokens_file` every call needs a token but those to what `open` names; its path is relative to the working directory.
    `connections` are those of one process at a time; `hosts` is for `knownhosts.known_names`."""

    listen: Annotated[Address, ADDRESS] = Address("127.0.0.1", 8080)
    processes: Annotated[int, integer(0, 64)] = 1
    threads: Annotated[int, integer(1, 256)] = 8
    connections: Annotated[int, integer(1, 65_536)] = 1000
    max_body: SomeBytes = 1024**2
    max_batch_body: SomeBytes = 16 * 1024**2
    allow_unauthenticated: Truth = False
    tokens_file: Annotated[Path | None, SOME_PATH] = None
    open: Annotated[tuple[str, ...], some_of("metrics", "docs", "ui", "version")] = ()
    hosts: Annotated[tuple[str, ...], HOSTS] = ()

    @property
    def exposed(self) -> bool:
        """True if others than this machine can reach an API that asks nobody for a token, and nobody said so."""
        return not (self.listen.loopback or self.allow_unauthenticated or self.tokens_file)


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a task gets when neither its submitter nor its type says more. `timeout` is in seconds, `memory_limit` in
    bytes, and 0 means none for both."""

    timeout: Seconds = 3600.0
    max_retry: Annotated[int, integer(0, MAX_RETRY_LIMIT)] = 3
    memory_limit: Bytes = 0
    backoff: Backoff = Backoff()


class Tasks(msgspec.Struct, frozen=True, kw_only=True, rename={"import_": "import"}):
    """Handlers and how they run. `result_max` and `output_max` are in bytes; `kill_grace` is the seconds between asking a
    handler to stop and killing it; `max_crashes` workers may die under a task before it counts as failed; `limits` goes from
    type to what overrules the type's own limits."""

    import_: Annotated[tuple[str, ...], MODULES] = ()
    builtin: Truth = True
    result_max: SomeBytes = 1024**2
    output_max: Annotated[int, at_most(BYTES, 1024**2)] = 64 * 1024
    kill_grace: Seconds = 5.0
    max_crashes: Annotated[int, integer(1, 100)] = 3
    defaults: Defaults = Defaults()
    limits: Annotated[Mapping[str, TypeLimits], LIMITS] = msgspec.field(default_factory=dict)


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Workers that serve one queue. A worker is replaced after `max_tasks` tasks, or above `max_memory` bytes between
    two tasks; 0 means never. `drain` is the seconds that a task may go on after the service was asked to stop. With a
    `prefetch` above 1, a worker holds up to so many started tasks, of which it runs one."""

    queue: Name = "default"
    workers: Annotated[int, integer(0, 1024)] = 3
    max_tasks: Annotated[int, integer(0)] = 0
    max_memory: Bytes = 0
    prefetch: Annotated[int, integer(1, 64)] = 1
    nice: Annotated[int, integer(-20, 19)] = 0
    drain: Seconds = 30.0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is enqueued at every tick of a cron line. `cron` and `type` must be given; `payload` is JSON text, None
    for none."""

    cron: Annotated[str, CRON] = ""
    timezone: Annotated[str, ZONE] = "UTC"
    type: Name = ""
    payload: Annotated[str | None, JSON] = None
    queue: Name = "default"
    priority: Annotated[Literal["high", "normal", "low"], one_of("high", "normal", "low")] = "normal"
    overlap: Annotated[Literal["skip", "allow"], one_of("skip", "allow")] = "allow"
    catch_up: Annotated[Literal["none", "last"], one_of("none", "last")] = "none"
    enabled: Truth = True


class Leases(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: every `heartbeat` a live worker's lease is renewed to `lease`; every `reap` the lapsed ones are sought."""

    heartbeat: SomeSeconds = 3.0
    lease: SomeSeconds = 15.0
    reap: SomeSeconds = 2.0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that a task is kept after it ended in this state."""

    completed: Seconds = 86_400.0
    failed: Seconds = 604_800.0
    cancelled: Seconds = 86_400.0


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged, and how a line looks."""

    level: Annotated[Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")] = "info"
    format: Annotated[Literal["json", "console"], one_of("json", "console")] = "json"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting; `Config()` is all defaults."""

    redis: Redis = Redis()
    api: Api = Api()
    tasks: Tasks = Tasks()
    pools: Mapping[str, Pool] = msgspec.field(default_factory=lambda: {"default": Pool()})
    schedules: Mapping[str, Schedule] = msgspec.field(default_factory=dict)
    leases: Leases = Leases()
    retention: Retention = Retention()
    logging: Logging = Logging()


_BACKOFF = {"first": SECONDS, "factor": number(1, 100), "max": SECONDS, "jitter": number(0, 1)}
"""The limits of a struct that is not ours to annotate."""

KEYS: dict[KeyPath, Kind] = {}
SECTIONS: dict[KeyPath, tuple[str, ...]] = {}
"""Every key, and every section with the names in it; `*` stands for the name of a pool or schedule."""

NAMED: Mapping[str, type[msgspec.Struct]] = MappingProxyType({"pools": Pool, "schedules": Schedule})
"""The sections whose parts have names of the user's choice."""

Names = Mapping[str, Iterable[str]]
"""The names that a configuration has in each section of `NAMED`."""

REQUIRED: tuple[KeyPath, ...] = (("schedules", "*", "cron"), ("schedules", "*", "type"))
"""The keys that have no default."""


def pattern(path: KeyPath) -> KeyPath:
    """The path under which `KEYS` or `SECTIONS` have it, if they do."""
    return (path[0], "*", *path[2:]) if path[0:1] and path[0] in NAMED and len(path) > 1 else path


def all_keys(names: Names) -> Iterator[tuple[KeyPath, Kind]]:
    """Every key of a configuration with these names, name by name."""
    for section, paths in itertools.groupby(KEYS, key=lambda path: path[0]):
        keys = tuple(paths)
        for name in names.get(section, ()) if section in NAMED else ("",):
            yield from ((tuple(name if part == "*" else part for part in key), KEYS[key]) for key in keys)


def build(values: Mapping[KeyPath, object], names: Names) -> Config:
    """A configuration of checked values with these names; a key without a value has its default."""
    sections: dict[str, Any] = {
        field.name: _section(type(field.default), (field.name,), values)
        for field in msgspec.structs.fields(Config)
        if field.name not in NAMED
    }
    for section, struct in NAMED.items():
        sections[section] = {name: _section(struct, (section, name), values) for name in names.get(section, ())}
    return Config(**sections)


def value_at(config: Config, path: KeyPath) -> Any:
    """The value of a key."""
    value: Any = config
    for part in path:
        value = value[part] if isinstance(value, Mapping) else getattr(value, "import_" if part == "import" else part)
    return value


def _section(struct: type[Any], path: KeyPath, values: Mapping[KeyPath, object]) -> Any:
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        at = (*path, field.encode_name)
        if at in SECTIONS:
            fields[field.name] = _section(type(field.default), at, values)
        elif at in values:
            fields[field.name] = values[at]
    return struct(**fields)


def _describe(struct: type[Any], path: KeyPath = ()) -> None:
    hints = get_type_hints(struct, include_extras=True)
    SECTIONS[path] = tuple(field.encode_name for field in msgspec.structs.fields(struct))
    for field in msgspec.structs.fields(struct):
        at, hint = (*path, field.encode_name), hints[field.name]
        if struct is Backoff:
            KEYS[at] = _BACKOFF[field.name]
        elif len(at) == 1 and at[0] in NAMED:
            SECTIONS[at] = ()
            _describe(NAMED[at[0]], (*at, "*"))
        elif hasattr(hint, "__metadata__"):
            KEYS[at] = hint.__metadata__[0]
        else:
            _describe(hint, at)


_describe(Config)
