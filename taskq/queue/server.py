"""Is this Redis fit to keep tasks? Looks at version, eviction policy and persistence; changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.exceptions import BusyLoadingError, NoPermissionError

from taskq.errors import ExitCode, StartupError
from taskq.queue.connection import Link


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
    return judge(info, _default_user(link), require_persistence=require_persistence)


def judge(info: dict[str, Any], default_user: dict[str, Any] | None = None, *, require_persistence: bool) -> ServerReport:
    """Decide by the fields of INFO and of ACL GETUSER default (None: unknown). Raises StartupError. Pure."""
    software, version = software_of(info)
    oldest = (8, 0) if software == "Valkey" else (7, 0)
    if _numbers(version) < oldest:
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
    elif default_user is not None and _stripped(default_user) and not _loads_as_superuser(software, version):
        raise StartupError(
            f"the `default` user of {software} {version} lacks rights, and the append-only file is loaded as that user: "
            "a restart would drop what scripts wrote; use `user default off +@all ~* &*` in its configuration",
            ExitCode.SERVER_UNFIT,
        )
    return ServerReport(software=software, version=version, warnings=warnings)


def software_of(info: dict[str, Any]) -> tuple[str, str]:
    """Name and version by the fields of INFO; Valkey reports a redis_version only for compatibility."""
    if "valkey_version" in info:
        return "Valkey", str(info["valkey_version"])
    return "Redis", str(info.get("redis_version", "unknown"))


def _default_user(link: Link) -> dict[str, Any] | None:
    def action(client: Any) -> dict[str, Any] | None:
        try:
            return dict(client.acl_getuser("default"))
        except NoPermissionError:
            return None  # our user may not look; the documentation has the safe line

    return link.run(action)


def _stripped(user: dict[str, Any]) -> bool:
    whole = "+@all" in user.get("categories", ()) and not user.get("commands")
    return not whole or "~*" not in user.get("keys", ())


def _loads_as_superuser(software: str, version: str) -> bool:
    """True for servers that load their file with full rights: Valkey 8.0.11, 8.1.10 and later."""
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if software != "Valkey" or len(numbers) < 3:
        return False
    major, minor, patch = numbers
    return patch >= {(8, 0): 11, (8, 1): 10}.get((major, minor), 0 if major > 8 else 1 << 30)


def _section(link: Link, name: str) -> dict[str, Any]:
    def action(client: Any) -> dict[str, Any]:
        found = dict(client.info(name))
        if found.get("loading"):
            # while it loads its append-only file it says that it keeps none
            raise BusyLoadingError("the server is loading its data")
        return found

    return link.run(action)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
