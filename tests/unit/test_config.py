"""Precedence of the layers, the variables without a prefix, what is shown, and the documented file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from taskq.config import Address, Config, Loaded, Pool, load, rows
from taskq.configfile import Layer, read_file
from taskq.configschema import all_keys
from taskq.errors import ConfigError
from taskq.retry import Backoff

DOCUMENTED = Path(__file__).parents[2] / "conf" / "taskq.yaml"


class Place:
    """A working directory with the files of one test."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd

    def load(
        self,
        yaml: str | None = None,
        environ: Mapping[str, str] | None = None,
        dotenv: str | None = None,
        flags: Mapping[str, object] | None = None,
    ) -> Loaded:
        if dotenv is not None:
            (self.cwd / ".env").write_text(dotenv)
        if yaml is not None:
            (self.cwd / "c.yaml").write_text(yaml)
        path = Path("c.yaml") if yaml is not None else None
        return load(path, environ=environ or {}, flags=flags or {}, cwd=self.cwd)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_given_is_all_defaults(place: Place) -> None:
    loaded = place.load()

    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}


def test_the_documented_file_loads_to_exactly_the_defaults(place: Place) -> None:
    loaded = load(DOCUMENTED, environ={}, flags={}, cwd=place.cwd)

    assert loaded.config == Config()


def test_the_documented_file_has_every_key() -> None:
    settings, faults = read_file(DOCUMENTED, "taskq.yaml")

    assert not faults
    assert {path for path, _ in all_keys({"pools": ["default"]})} <= {setting.path for setting in settings}


def test_every_key_of_the_documented_file_has_a_comment_above_it() -> None:
    lines = DOCUMENTED.read_text().splitlines()
    settings, _ = read_file(DOCUMENTED, "taskq.yaml")
    at = {setting.path: int(setting.place.rpartition(":")[2]) - 1 for setting in settings}

    bare = [path for path, _ in all_keys({"pools": ["default"]}) if not lines[at[path] - 1].lstrip().startswith("#")]

    assert bare == [("retention", "completed"), ("retention", "cancelled")]  # the section's comment says it all


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "redis:\napi:\npools:\n"])
def test_an_empty_file_or_section_says_nothing(place: Place, text: str) -> None:
    assert place.load(text).config == Config()


def test_each_layer_beats_the_one_below_it(place: Place) -> None:
    yaml = "pools: {default: {workers: 1}}"
    dotenv = "TASKQ_POOLS__DEFAULT__WORKERS=2"
    environ = {"TASKQ_POOLS__DEFAULT__WORKERS": "4"}
    flags = {"pools.default.workers": 5}

    found = [
        place.load(),
        place.load(yaml),
        place.load(yaml, dotenv=dotenv),
        place.load(yaml, environ, dotenv),
        place.load(yaml, environ, dotenv, flags),
    ]

    assert [(each.config.pools["default"].workers, each.origins["pools.default.workers"]) for each in found] == [
        (3, "default"),
        (1, "c.yaml:1"),
        (2, ".env TASKQ_POOLS__DEFAULT__WORKERS"),
        (4, "environment TASKQ_POOLS__DEFAULT__WORKERS"),
        (5, "flag --workers"),
    ]


def test_the_environment_itself_is_left_as_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKER_COUNT", raising=False)
    environ = {"PATH": "/bin"}

    place.load(None, environ, "WORKER_COUNT=9\n")

    assert environ == {"PATH": "/bin"}
    assert "WORKER_COUNT" not in os.environ


def test_a_variable_of_dotenv_is_not_interpolated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_OF_SECRETS", "elsewhere")

    config = place.load(dotenv="REDIS_PASSWORD=a${HOME_OF_SECRETS}\nexport WORKER_COUNT\n").config

    assert config.redis.url == "redis://:a%24%7BHOME_OF_SECRETS%7D@localhost:6379/0"


def test_taskq_config_names_the_file_unless_a_flag_does(place: Place) -> None:
    (place.cwd / "env.yaml").write_text("pools: {default: {workers: 7}}")

    by_variable = place.load(environ={"TASKQ_CONFIG": "env.yaml"})
    by_dotenv = place.load(dotenv="TASKQ_CONFIG=env.yaml")
    by_flag = place.load("pools: {default: {workers: 8}}", {"TASKQ_CONFIG": "env.yaml"})
    by_none = place.load(environ={"TASKQ_CONFIG": ""})

    assert by_variable.origins["pools.default.workers"] == "env.yaml:1"
    assert by_dotenv.config.pools["default"].workers == 7
    assert by_flag.config.pools["default"].workers == 8
    assert by_none.config == Config()


def test_every_key_can_be_set_in_the_file(place: Place) -> None:
    config = place.load("""
redis: {url: "rediss://u:p@h:1/2", prefix: jobs, data_dir: /var/lib/taskq, require_persistence: yes}
api: {listen: "[::1]:0", processes: 0, threads: 256, connections: 50, max_body: 10KB, allow_unauthenticated: true,
      open: docs, hosts: ["Tasks.Example.org.", "*"]}
tasks:
  import: [myapp.tasks, reports]
  builtin: off
  result_max: 1.5GiB
  output_max: 1MiB
  kill_grace: 500ms
  max_crashes: 100
  defaults: {timeout: 0, max_retry: 1000, memory_limit: 512MiB, backoff: {first: 0.5, factor: 1.5, max: 1h30m, jitter: 1}}
pools:
  images: {queue: 2024, workers: 1024, max_tasks: 10, max_memory: "1024", prefetch: 64, nice: -20, drain: 7d}
leases: {heartbeat: 1, lease: 3, reap: 0.5}
retention: {completed: 0, failed: "30", cancelled: 1m}
logging: {level: DEBUG, format: console}
""").config

    assert (config.redis.url, config.redis.prefix) == ("rediss://u:p@h:1/2", "jobs")
    assert (config.redis.data_dir, config.redis.require_persistence) == (Path("/var/lib/taskq"), True)
    assert (config.api.listen, config.api.processes, config.api.threads) == (Address("::1", 0), 0, 256)
    assert (config.api.max_body, config.api.allow_unauthenticated) == (10_000, True)
    assert (config.api.connections, config.api.open) == (50, ("docs",))
    assert config.api.hosts == ("tasks.example.org", "*")
    assert (config.tasks.import_, config.tasks.builtin) == (("myapp.tasks", "reports"), False)
    assert config.tasks.output_max == 1_048_576
    assert (config.tasks.result_max, config.tasks.kill_grace, config.tasks.max_crashes) == (1_610_612_736, 0.5, 100)
    assert (config.tasks.defaults.timeout, config.tasks.defaults.max_retry) == (0, 1000)
    assert config.tasks.defaults.memory_limit == 536_870_912
    assert config.tasks.defaults.backoff == Backoff(first=0.5, factor=1.5, max=5400, jitter=1)
    assert config.pools == {
        "images": Pool(queue="2024", workers=1024, max_tasks=10, max_memory=1024, prefetch=64, nice=-20, drain=604_800)
    }
    assert (config.leases.heartbeat, config.leases.lease, config.leases.reap) == (1, 3, 0.5)
    assert (config.retention.completed, config.retention.failed, config.retention.cancelled) == (0, 30, 60)
    assert (config.logging.level, config.logging.format) == ("debug", "console")


def test_every_key_can_be_set_by_a_variable_at_any_depth(place: Place) -> None:
    environ = {
        "TASKQ_API__LISTEN": "[::1]:9000",
        "TASKQ_TASKS__IMPORT": "myapp.tasks, reports,",
        "TASKQ_TASKS__BUILTIN": "No",
        "TASKQ_TASKS__DEFAULTS__BACKOFF__FIRST": "2s",
        "TASKQ_POOLS__MY_IMAGES__QUEUE": "images",
        "TASKQ_REDIS__REQUIRE_PERSISTENCE": "1",
    }

    config = place.load(environ=environ).config

    assert config.api.listen == Address("::1", 9000)
    assert config.tasks.import_ == ("myapp.tasks", "reports")
    assert config.tasks.builtin is False
    assert config.tasks.defaults.backoff.first == 2
    assert config.pools == {"default": Pool(), "my_images": Pool(queue="images")}
    assert config.redis.require_persistence is True


def test_a_list_in_a_variable_may_be_empty(place: Place) -> None:
    assert place.load("tasks: {import: [a]}", {"TASKQ_TASKS__IMPORT": ""}).config.tasks.import_ == ()


def test_names_that_kubernetes_makes_are_ignored(place: Place) -> None:
    environ = {"TASKQ_PORT": "tcp://10.0.0.1:80", "TASKQ_SERVICE_HOST": "10.0.0.1", "TASKQ_PORT_80_TCP_PROTO": "tcp"}

    assert place.load(environ=environ).config == Config()


def test_pools_of_the_file_replace_the_default_one(place: Place) -> None:
    assert place.load("pools: {images: , mails: {queue: m}}").config.pools == {
        "images": Pool(),
        "mails": Pool(queue="m"),
    }


def test_a_variable_or_flag_for_another_pool_joins_those_of_the_file(place: Place) -> None:
    yaml = "pools: {images: {workers: 1, nice: 5}}"
    environ = {"WORKER_COUNT": "2", "TASKQ_POOLS__IMAGES__WORKERS": "4"}

    loaded = place.load(yaml, environ, flags={"pools.with.dots.workers": 6, "pools.default.nice": None})

    assert loaded.config.pools == {
        "images": Pool(workers=4, nice=5),
        "default": Pool(workers=2),
        "with.dots": Pool(workers=6),
    }
    assert loaded.origins["pools.default.workers"] == "environment WORKER_COUNT"
    assert loaded.origins["pools.with.dots.workers"] == "flag --workers"


def test_worker_count_yields_to_the_prefixed_name_of_its_layer_only(place: Place) -> None:
    same = place.load(environ={"WORKER_COUNT": "2", "TASKQ_POOLS__DEFAULT__WORKERS": "4"})
    below = place.load(environ={"WORKER_COUNT": "2"}, dotenv="TASKQ_POOLS__DEFAULT__WORKERS=4")

    assert same.config.pools["default"].workers == 4
    assert below.config.pools["default"].workers == 2


@pytest.mark.parametrize(
    ("yaml", "environ", "dotenv", "flags", "listen", "origin"),
    [
        (None, {"SERVER_PORT": "9000"}, "", {}, "127.0.0.1:9000", "environment SERVER_PORT"),
        (None, {}, "SERVER_PORT=9000", {}, "127.0.0.1:9000", ".env SERVER_PORT"),
        (None, {"SERVER_PORT": ""}, "SERVER_PORT=9000", {}, "127.0.0.1:8080", "default"),
        ("[::1]:1", {"SERVER_PORT": "9000"}, "", {}, "[::1]:9000", "c.yaml:1, environment SERVER_PORT"),
        (
            None,
            {"SERVER_PORT": "9000", "TASKQ_API__LISTEN": "[::1]:1"},
            "",
            {},
            "[::1]:9000",
            "environment TASKQ_API__LISTEN, environment SERVER_PORT",
        ),
        (
            None,
            {"TASKQ_API__LISTEN": "[::1]:1"},
            "SERVER_PORT=9000",
            {},
            "[::1]:1",
            "environment TASKQ_API__LISTEN",
        ),
        (None, {"SERVER_PORT": "9000"}, "", {"api.listen": "[::1]:2"}, "[::1]:2", "flag --listen"),
    ],
)
def test_server_port_replaces_the_port_of_all_but_a_flag(
    place: Place,
    yaml: str | None,
    environ: dict[str, str],
    dotenv: str,
    flags: dict[str, object],
    listen: str,
    origin: str,
) -> None:
    loaded = place.load(yaml and f'api: {{listen: "{yaml}"}}', environ, dotenv, flags)

    assert (str(loaded.config.api.listen), loaded.origins["api.listen"]) == (listen, origin)


def test_rows_show_values_the_way_they_are_written(place: Place) -> None:
    yaml = "tasks: {import: [a, b.c]}\npools: {z: {workers: 1}, a: {drain: 90}}"

    shown = {key: (text, origin) for key, text, origin in rows(place.load(yaml))}

    assert shown["redis.url"] == ("null", "default")
    assert shown["redis.data_dir"] == (".taskq", "default")
    assert shown["api.listen"] == ("127.0.0.1:8080", "default")
    assert shown["api.max_body"] == ("1MiB", "default")
    assert shown["api.allow_unauthenticated"] == ("false", "default")
    assert shown["tasks.import"] == ("[a, b.c]", "c.yaml:1")
    assert shown["tasks.builtin"] == ("true", "default")
    assert shown["tasks.defaults.timeout"] == ("1h", "default")
    assert shown["tasks.defaults.backoff.factor"] == ("2", "default")
    assert shown["pools.z.workers"] == ("1", "c.yaml:2")
    assert shown["pools.a.drain"] == ("1m30s", "c.yaml:2")
    assert shown["pools.a.max_memory"] == ("0", "default")
    assert [key for key in shown if key.endswith(".queue")] == ["pools.z.queue", "pools.a.queue"]


def test_rows_and_origins_have_every_key_of_every_pool(place: Place) -> None:
    pools = ["x" * 127 + "a", "x" * 127 + "b"]
    loaded = place.load("pools: {" + ", ".join(f"{name}: " for name in pools) + "}")

    keys = [key for key, _, _ in rows(loaded)]

    assert keys == [".".join(path) for path, _ in all_keys({"pools": pools})]
    assert sorted(keys) == sorted(loaded.origins)


def test_what_rows_show_loads_to_the_same_configuration(place: Place) -> None:
    loaded = place.load("api: {max_body: 1000}\ntasks: {import: [a, b]}\nretention: {failed: 90.5}")
    environ = {
        f"TASKQ_{key.replace('.', '__').upper()}": text.strip("[]") for key, text, _ in rows(loaded) if key != "redis.url"
    }

    assert place.load(environ=environ).config == loaded.config


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "localhost:80", "LocalHost:80"])
def test_loopback_needs_no_leave(place: Place, listen: str) -> None:
    assert place.load(flags={"api.listen": listen}).config.api.listen.loopback


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "example.org:80"])
def test_any_other_address_needs_leave_to_serve_everyone(place: Place, listen: str) -> None:
    config = place.load(flags={"api.listen": listen, "api.allow_unauthenticated": True}).config

    assert str(config.api.listen) == listen
    with pytest.raises(ConfigError):
        place.load(flags={"api.listen": listen})


def test_layers_are_ordered_by_strength() -> None:
    assert list(Layer) == sorted(Layer)
