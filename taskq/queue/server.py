"""Is this Redis fit to keep tasks? Looks at version, eviction policy and persistence; changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from taskq.errors import ExitCode, StartupError
from taskq.queue.connection import Link

OLDEST = (7, 0)


class ServerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: the software's name and version, and what can lose tasks though it works."""

    software: str
    version: str
    warnings: tuple[str, ...]


def check(link: Link, *, require_persistence: bool) -> ServerReport:
    """Examine the server. Raises StartupError when it is unfit, QueueUnavailable and QueueRefused as usual."""
    info: dict[str, Any] = {}
    for section in ("server", "memory", "persistence"):
        info.update(_section(link, section))
    return judge(info, require_persistence=require_persistence)


def judge(info: dict[str, Any], *, require_persistence: bool) -> ServerReport:
    """Decide by the fields of INFO. Raises StartupError. Pure."""
    software, version = software_of(info)
    if _numbers(str(info.get("redis_version", "0"))) < OLDEST:
        raise StartupError(
            f"{software} {version} is too old: expected Redis 7.0 or Valkey 8.0 or later; upgrade the server",
            ExitCode.SERVER_UNFIT,
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StartupError(
            f"the eviction policy of {software} is {policy}: it would drop tasks when memory is short; "
            "expected noeviction; set `maxmemory-policy noeviction` in its configuration",
            ExitCode.SERVER_UNFIT,
        )
    warnings: tuple[str, ...] = ()
    if not int(info.get("aof_enabled", 0)):
        text = (
            f"{software} keeps no append-only file: a crash or restart of it loses tasks; "
            "set `appendonly yes` in its configuration"
        )
        if require_persistence:
            raise StartupError(f"{text} (redis.require_persistence is on)", ExitCode.SERVER_UNFIT)
        warnings = (text,)
    return ServerReport(software=software, version=version, warnings=warnings)


def software_of(info: dict[str, Any]) -> tuple[str, str]:
    """Name and version by the fields of INFO; Valkey reports a redis_version only for compatibility."""
    if "valkey_version" in info:
        return "Valkey", str(info["valkey_version"])
    return "Redis", str(info.get("redis_version", "unknown"))


def _section(link: Link, name: str) -> dict[str, Any]:
    found: Any = link.run(lambda client: client.info(name))
    return dict(found)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
