"""The URL of Redis: put together from a file, a flag and variables, and never printed with its password."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from taskq.config import Address, Loaded, Redis, load, masked_url, rows
from taskq.configkinds import has_password, with_address, with_database, with_password

ADDRESS, PASSWORD, DATABASE = {"REDIS_ADDR": "h:1"}, {"REDIS_PASSWORD": "s@:/?#%"}, {"REDIS_DB": "5"}
ENCODED = "s%40%3A%2F%3F%23%25"


def load_with(
    cwd: Path,
    environ: Mapping[str, str],
    *,
    yaml: str | None = None,
    dotenv: str = "",
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    (cwd / ".env").write_text(dotenv)
    (cwd / "c.yaml").write_text(yaml or "")
    return load(Path("c.yaml"), environ=environ, flags=flags or {}, cwd=cwd)


@pytest.mark.parametrize(
    ("yaml", "environ", "url", "origin"),
    [
        (None, {"REDIS_ADDR": "", "REDIS_PASSWORD": "", "REDIS_DB": ""}, None, "default"),
        (None, ADDRESS, "redis://h:1/0", "environment REDIS_ADDR"),
        (None, {"REDIS_ADDR": "[::1]:1"}, "redis://[::1]:1/0", "environment REDIS_ADDR"),
        (None, PASSWORD, f"redis://:{ENCODED}@localhost:6379/0", "environment REDIS_PASSWORD"),
        (None, DATABASE, "redis://localhost:6379/5", "environment REDIS_DB"),
        (
            None,
            ADDRESS | PASSWORD | DATABASE,
            f"redis://:{ENCODED}@h:1/5",
            "environment REDIS_ADDR, environment REDIS_DB, environment REDIS_PASSWORD",
        ),
        ("null", ADDRESS, "redis://h:1/0", "c.yaml:1, environment REDIS_ADDR"),
        ("rediss://u:p@y:2/3", ADDRESS, "rediss://u:p@h:1/3", "c.yaml:1, environment REDIS_ADDR"),
        ("rediss://u:p@y:2/3", DATABASE, "rediss://u:p@y:2/5", "c.yaml:1, environment REDIS_DB"),
        ("rediss://u:p@y:2/3", PASSWORD, f"rediss://u:{ENCODED}@y:2/3", "c.yaml:1, environment REDIS_PASSWORD"),
        ('"redis://y?password=p"', PASSWORD, f"redis://:{ENCODED}@y", "c.yaml:1, environment REDIS_PASSWORD"),
        (
            None,
            {"TASKQ_REDIS__URL": "redis://x:9/9"} | ADDRESS | DATABASE,
            "redis://x:9/9",
            "environment TASKQ_REDIS__URL",
        ),
        (
            None,
            {"TASKQ_REDIS__URL": "redis://x:9/9"} | PASSWORD,
            f"redis://:{ENCODED}@x:9/9",
            "environment TASKQ_REDIS__URL, environment REDIS_PASSWORD",
        ),
        (
            None,
            {"TASKQ_REDIS__URL": "redis://:own@x:9/9"} | PASSWORD,
            "redis://:own@x:9/9",
            "environment TASKQ_REDIS__URL",
        ),
        (
            None,
            {"TASKQ_REDIS__URL": "unix:///s?db=1&password=own"} | PASSWORD,
            "unix:///s?db=1&password=own",
            "environment TASKQ_REDIS__URL",
        ),
    ],
)
def test_the_three_redis_variables_are_put_together_with_a_url(
    tmp_path: Path, yaml: str | None, environ: dict[str, str], url: str | None, origin: str
) -> None:
    loaded = load_with(tmp_path, environ, yaml=yaml and f"redis: {{url: {yaml}}}")

    assert (loaded.config.redis.url, loaded.origins["redis.url"]) == (url, origin)


def test_a_url_flag_keeps_host_and_database_but_gets_the_password(tmp_path: Path) -> None:
    loaded = load_with(tmp_path, ADDRESS | DATABASE | {"REDIS_PASSWORD": "p"}, flags={"redis.url": "redis://f:1/2"})

    assert loaded.config.redis.url == "redis://:p@f:1/2"
    assert loaded.origins["redis.url"] == "flag --url, environment REDIS_PASSWORD"


def test_redis_variables_of_the_environment_beat_a_url_of_dotenv(tmp_path: Path) -> None:
    loaded = load_with(tmp_path, ADDRESS, dotenv="TASKQ_REDIS__URL=redis://:p@x:9/9")

    assert loaded.config.redis.url == "redis://:p@h:1/9"
    assert loaded.origins["redis.url"] == ".env TASKQ_REDIS__URL, environment REDIS_ADDR"


def test_a_unix_url_is_edited_without_losing_its_slashes() -> None:
    assert with_database("unix:///run/r.sock", 3) == "unix:///run/r.sock?db=3"
    assert with_database("unix://u@/run/r.sock?db=1&client_name=x", 3) == "unix://u@/run/r.sock?client_name=x&db=3"
    assert with_password("unix:///run/r.sock?db=1", "p@") == "unix://:p%40@/run/r.sock?db=1"
    assert with_address("unix://:p@/run/r.sock?db=1", Address("h", 2)) == "redis://:p@h:2/1"
    assert with_address("unix:///run/r.sock", Address("h", 2)) == "redis://h:2/0"


def test_a_url_of_sentinels_is_edited_without_losing_its_service() -> None:
    url = "redis+sentinel://u:p@a:1,b/jobs/2"

    assert with_database(url, 3) == "redis+sentinel://u:p@a:1,b/jobs/3"
    assert with_database("redis+sentinel://a/jobs", 3) == "redis+sentinel://a/jobs/3"
    assert with_password(url, "p@") == "redis+sentinel://u:p%40@a:1,b/jobs/2"
    assert with_address(url + "?sentinel_password=s", Address("h", 2)) == "redis://u:p@h:2/2"
    assert has_password(url)
    assert not has_password("redis+sentinel://a:1,b:2/jobs")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://user:secret@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://secret@host", "redis://***@host"),
        ("redis://:sec@ret@host", "redis://:***@host"),
        ("redis://:se//cr#et@host", "redis://:***@host"),
        ("redis:secret@host", "redis:***@host"),
        ("secret@host", "***@host"),
        ("unix:///s?db=1&password=secret&x=1", "unix:///s?db=1&password=***&x=1"),
        ("rediss://h?ssl_password=secret", "rediss://h?ssl_password=***"),
        ("redis+sentinel://:secret@a,b/s?sentinel_password=x", "redis+sentinel://:***@a,b/s?sentinel_password=***"),
        ("", ""),
    ],
)
def test_a_masked_url_shows_no_password(url: str, masked: str) -> None:
    assert masked_url(url) == masked


def test_nothing_that_prints_a_configuration_prints_the_password(tmp_path: Path) -> None:
    loaded = load_with(tmp_path, {"REDIS_PASSWORD": "hunter2"})
    console = Console(width=400)
    with console.capture() as pretty:
        console.print(loaded.config)

    assert loaded.config.redis.url == "redis://:hunter2@localhost:6379/0"
    assert rows(loaded)[0] == ("redis.url", "redis://:***@localhost:6379/0", "environment REDIS_PASSWORD")
    assert "hunter2" not in repr(loaded) + str(loaded) + pretty.get() + str(rows(loaded))
    assert repr(Redis()) == "Redis(url=None, prefix='taskq', data_dir=PosixPath('.taskq'), require_persistence=False)"
