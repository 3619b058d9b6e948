"""Is this server fit to keep tasks?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import BusyLoadingError

from taskq.errors import ExitCode, StartupError
from taskq.queue.server import check, judge, software_of

GOOD: dict[str, Any] = {"redis_version": "7.4.1", "maxmemory_policy": "noeviction", "aof_enabled": 1}
VALKEY = {"redis_version": "7.2.4", "valkey_version": "8.1.2"}


def refusal(require_persistence: bool = False, **info: Any) -> StartupError:
    with pytest.raises(StartupError) as raised:
        judge({**GOOD, **info}, require_persistence=require_persistence)
    assert raised.value.exit_code is ExitCode.SERVER_UNFIT
    return raised.value


@pytest.mark.parametrize("version", ["7.0.0", "7.0.15", "7.2", "8.0.1", "10.0.0"])
def test_a_redis_from_seven_on_is_fit(version: str) -> None:
    report = judge({**GOOD, "redis_version": version}, require_persistence=True)

    assert (report.software, report.version, report.warnings) == ("Redis", version, ())


@pytest.mark.parametrize("version", ["6.2.14", "6.2", "2.8.0", "unknown", ""])
def test_an_older_redis_is_refused_with_both_versions(version: str) -> None:
    error = refusal(redis_version=version)

    expected = "is too old: expected Redis 7.0 or Valkey 8.0 or later; upgrade the server"
    assert str(error) == f"Redis {version} {expected}"


def test_a_valkey_is_judged_by_its_own_name_and_version() -> None:
    report = judge({**GOOD, **VALKEY}, require_persistence=True)

    assert (report.software, report.version) == ("Valkey", "8.1.2")


def test_a_valkey_before_eight_is_refused() -> None:
    error = refusal(redis_version="7.2.4", valkey_version="7.2.8")

    assert str(error) == "Valkey 7.2.8 is too old: expected Redis 7.0 or Valkey 8.0 or later; upgrade the server"


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "allkeys-random", "volatile-ttl"])
def test_an_eviction_policy_that_drops_tasks_is_refused(policy: str) -> None:
    error = refusal(maxmemory_policy=policy)

    assert str(error) == (
        f"the eviction policy of Redis is {policy}: it would drop tasks when memory is short; "
        "expected noeviction; set `maxmemory-policy noeviction` in its configuration"
    )


class LoadingLink:
    """A link to a server that loads its file at the first look at its persistence, and says so as servers do."""

    def __init__(self) -> None:
        self.loads = True

    def info(self, section: str) -> dict[str, Any]:
        loading, self.loads = self.loads and section == "persistence", self.loads and section != "persistence"
        return {**GOOD, "loading": int(loading), "aof_enabled": int(not loading)}

    def acl_getuser(self, _: str) -> dict[str, Any]:
        return {"categories": ["+@all"], "keys": ["~*"]}

    def run(self, action: Callable[[Any], Any]) -> Any:
        try:
            return action(self)
        except BusyLoadingError:
            return action(self)


def test_a_server_that_is_loading_is_judged_once_it_has_loaded() -> None:
    report = check(LoadingLink(), require_persistence=True)  # type: ignore[arg-type]

    assert report.warnings == ()


def test_a_server_without_an_append_only_file_is_taken_with_a_warning() -> None:
    report = judge({**GOOD, "aof_enabled": 0}, require_persistence=False)

    assert report.warnings == (
        "Redis keeps no append-only file: a crash or restart of it loses tasks; set `appendonly yes` in its configuration",
    )


def test_a_server_without_an_append_only_file_is_refused_where_persistence_is_required() -> None:
    error = refusal(aof_enabled=0, require_persistence=True)

    assert str(error).startswith("Redis keeps no append-only file")
    assert str(error).endswith("(redis.require_persistence is on)")


def test_a_server_that_says_nothing_is_too_old() -> None:
    with pytest.raises(StartupError, match="Redis unknown is too old"):
        judge({}, require_persistence=False)


def test_the_software_is_named_by_the_fields_it_sends() -> None:
    assert software_of({"redis_version": "8.0.1"}) == ("Redis", "8.0.1")
    assert software_of(VALKEY) == ("Valkey", "8.1.2")
    assert software_of({}) == ("Redis", "unknown")
