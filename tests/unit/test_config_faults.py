"""What a refused configuration says: place, key, what was expected, what was found, and what was probably meant."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from taskq.config import load
from taskq.errors import ConfigError
from taskq.units import DURATION, SIZE

Faults = Callable[..., list[str]]

SECTIONS = "redis, api, tasks, pools, schedules, leases, retention, logging"
API_KEYS = (
    "listen, processes, threads, connections, max_body, max_batch_body, allow_unauthenticated, tokens_file, open, hosts"
)
POOL_KEYS = "queue, workers, max_tasks, max_memory, prefetch, nice, drain"
NAME = "a name of 1 to 128 letters, digits, _ . or -"
ADDRESS = "an address such as 127.0.0.1:8080 or [::1]:8080"
URL = (
    "a URL such as redis://user:password@host:6379/0, rediss://..., unix:///path or "
    "redis+sentinel://host:26379/service/0, with a percent-encoded password"
)
MODULES = "a list of module names such as myapp.tasks"


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Loads what must be refused and returns the faults as they are printed."""

    def refuse(
        yaml: str | bytes | None = None,
        environ: dict[str, str] | None = None,
        flags: dict[str, object] | None = None,
        dotenv: bytes | None = None,
    ) -> list[str]:
        if yaml is not None:
            (tmp_path / "c.yaml").write_bytes(yaml.encode() if isinstance(yaml, str) else yaml)
        if dotenv is not None:
            (tmp_path / ".env").write_bytes(dotenv)
        path = Path("c.yaml") if yaml is not None else None
        with pytest.raises(ConfigError) as refused:
            load(path, environ=environ or {}, flags=flags or {}, cwd=tmp_path)
        assert str(refused.value) == "\n".join(map(str, refused.value.faults))
        return str(refused.value).splitlines()

    return refuse


def test_five_mistakes_in_one_file_are_five_faults_with_their_lines(faults: Faults) -> None:
    text = """\
redis:
  prefix: a b
pools:
  default:
    workers: many
    wokers: 4
retention:
  failed:
    - 7d

loging: {level: info}
"""

    assert faults(text) == [
        f"c.yaml:2: redis.prefix: expected {NAME}, got 'a b'",
        "c.yaml:5: pools.default.workers: expected an integer from 0 to 1024, got 'many'",
        f"c.yaml:6: pools.default.wokers: expected one of {POOL_KEYS}, got an unknown key; did you mean workers?",
        f"c.yaml:8: retention.failed: expected {DURATION}, got ['7d']",
        f"c.yaml:11: loging: expected one of {SECTIONS}, got an unknown key; did you mean logging?",
    ]


def test_faults_of_all_layers_are_reported_together_those_of_the_file_first_and_by_line(faults: Faults) -> None:
    yaml = "leases: {lease: 5s}\napi: {threads: 0, threads: 1}\nredis: {url: 5}"

    assert faults(
        yaml, {"SERVER_PORT": "abc", "TASKQ_API__PROCESSES": "65"}, {"pools.default.workers": "x"}, b"REDIS_DB=16"
    ) == [
        "c.yaml:1: leases.lease: expected at least 3 x leases.heartbeat (9s) for leases.lease, got 5s",
        "c.yaml:2: api.threads: expected each key once, got it again; first set on line 2",
        "c.yaml:2: api.threads: expected an integer from 1 to 256, got 0",
        f"c.yaml:3: redis.url: expected {URL}, got 5",
        "environment: TASKQ_API__PROCESSES: expected an integer from 0 to 64, got '65'",
        "flag: --workers: expected an integer from 0 to 1024, got 'x'",
        "environment: SERVER_PORT: expected a port from 1 to 65535, got 'abc'",
        ".env: REDIS_DB: expected a database from 0 to 15, got '16'",
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SERVER_PORT", "0", "a port from 1 to 65535"),
        ("SERVER_PORT", "65536", "a port from 1 to 65535"),
        ("REDIS_ADDR", "localhost", "an address such as localhost:6379 or [::1]:6379"),
        ("REDIS_ADDR", "localhost:0", "an address such as localhost:6379 or [::1]:6379"),
        ("REDIS_DB", "-1", "a database from 0 to 15"),
        ("WORKER_COUNT", "many", "an integer from 0 to 1024"),
        ("TASKQ_TASKS__BUILTIN", "maybe", "true or false"),
        ("TASKQ_REDIS__URL", "", URL),
        ("TASKQ_TASKS__IMPORT", "a b", MODULES),
        ("TASKQ_LEASES__REAP", "0", DURATION.replace("a ", "a non-zero ", 1)),
    ],
)
def test_a_fault_names_the_variable(faults: Faults, name: str, value: str, expected: str) -> None:
    assert faults(environ={name: value}) == [f"environment: {name}: expected {expected}, got {value!r}"]
    assert faults(dotenv=f"{name}='{value}'".encode()) == [f".env: {name}: expected {expected}, got {value!r}"]


@pytest.mark.parametrize(
    ("key", "value", "expected", "got"),
    [
        ("redis.url", "ftp://h", URL, "'ftp://h'"),
        ("redis.url", "REDIS://h", URL, "'REDIS://h'"),
        ("redis.url", "redis://h/x", URL, "'redis://h/x'"),
        ("redis.url", "redis://h?db=x", URL, "'redis://h?db=x'"),
        ("redis.url", "redis://h:0", URL, "'redis://h:0'"),
        ("redis.url", "redis://h:99999", URL, "'redis://h:99999'"),
        ("redis.url", "redis://[h", URL, "'redis://[h'"),
        ("redis.url", "redis://", URL, "'redis://'"),
        ("redis.url", "unix://", URL, "'unix://'"),
        ("redis.url", "redis+sentinel://h:1", URL, "'redis+sentinel://h:1'"),
        ("redis.url", "redis+sentinel://h:1,/s", URL, "'redis+sentinel://h:1,/s'"),
        ("redis.url", "redis+sentinel://h:70000/s", URL, "'redis+sentinel://h:70000/s'"),
        ("redis.url", "redis+sentinel://h/s/x", URL, "'redis+sentinel://h/s/x'"),
        ("redis.url", "redis+sentinel://h/s?x=1", URL, "'redis+sentinel://h/s?x=1'"),
        ("redis.url", "'redis://h h'", URL, "'redis://h h'"),
        ("redis.url", "'redis://:p#w@h'", URL, "'redis://:***@h'"),
        ("redis.url", "[redis://:hunter2@h]", URL, "['redis://:***@h']"),
        ("redis.url", "{password: hunter2}", URL, "a mapping"),
        ("redis.prefix", "~", NAME, "nothing"),
        ("redis.prefix", "yes", NAME, "true"),
        ("redis.data_dir", "''", "a path", "''"),
        ("redis.data_dir", "3", "a path", "3"),
        ("redis.require_persistence", "2", "true or false", "2"),
        ("api.listen", "8080", ADDRESS, "8080"),
        ("api.listen", ":8080", ADDRESS, "':8080'"),
        ("api.listen", "h:65536", ADDRESS, "'h:65536'"),
        ("api.listen", "'::1:80'", ADDRESS, "'::1:80'"),
        ("api.listen", "'[::g]:80'", ADDRESS, "'[::g]:80'"),
        ("api.listen", "'h h:80'", ADDRESS, "'h h:80'"),
        ("api.processes", "-1", "an integer from 0 to 64", "-1"),
        ("api.processes", "1.0", "an integer from 0 to 64", "1.0"),
        ("api.processes", "true", "an integer from 0 to 64", "true"),
        ("api.processes", "010", "an integer from 0 to 64", "'010'"),
        ("api.threads", "1:30", "an integer from 1 to 256", "'1:30'"),
        ("api.threads", "257", "an integer from 1 to 256", "257"),
        ("api.max_body", "10 bananas", SIZE.replace("a ", "a non-zero ", 1), "'10 bananas'"),
        ("api.max_body", "0", SIZE.replace("a ", "a non-zero ", 1), "0"),
        ("tasks.import", "[a, 1]", MODULES, "['a', 1]"),
        ("tasks.import", "[[a]]", MODULES, "[a list]"),
        ("tasks.import", "{a: b}", MODULES, "a mapping"),
        ("tasks.import", "~", MODULES, "nothing"),
        ("tasks.import", "[a..b]", MODULES, "['a..b']"),
        ("tasks.max_crashes", "0", "an integer from 1 to 100", "0"),
        ("tasks.kill_grace", "-5s", DURATION, "'-5s'"),
        ("tasks.defaults.timeout", "false", DURATION, "false"),
        ("tasks.defaults.timeout", ".inf", DURATION, "inf"),
        ("tasks.defaults.max_retry", "1001", "an integer from 0 to 1000", "1001"),
        ("tasks.defaults.memory_limit", "1.5", SIZE, "1.5"),
        ("tasks.defaults.backoff.factor", "0.5", "a number from 1 to 100", "0.5"),
        ("tasks.defaults.backoff.factor", ".nan", "a number from 1 to 100", "nan"),
        ("tasks.defaults.backoff.jitter", "on", "a number from 0 to 1", "true"),
        ("pools.default.queue", "'{q}'", NAME, "'{q}'"),
        ("pools.default.max_tasks", "-1", "an integer of 0 or more", "-1"),
        ("pools.default.prefetch", "0", "an integer from 1 to 64", "0"),
        ("pools.default.nice", "20", "an integer from -20 to 19", "20"),
        ("logging.level", "warn", "one of debug, info, warning, error", "'warn'; did you mean warning?"),
        ("logging.format", "xml", "one of json, console", "'xml'"),
        ("redis", "redis://:hunter2@h", "a mapping of url, prefix, data_dir, require_persistence", "'redis://:***@h'"),
        ("api", "[1]", f"a mapping of {API_KEYS}", "[1]"),
        ("pools", "3", "a mapping of pools by name", "3"),
        ("pools.default", "3", f"a mapping of {POOL_KEYS}", "3"),
        ("pools.a b", "{workers: x}", f"a pool {NAME.removeprefix('a ')}", "'a b'"),
        ("api.threads", "{a: {b: 1}}", "an integer from 1 to 256", "a mapping"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(faults: Faults, key: str, value: str, expected: str, got: str) -> None:
    *sections, last = key.split(".")
    text = "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(sections))
    text += f"{'  ' * len(sections)}{last}: {value}\n"

    assert faults(text) == [f"c.yaml:{len(sections) + 1}: {key}: expected {expected}, got {got}"]


@pytest.mark.parametrize(
    ("yaml", "fault"),
    [
        ("Redis: {url: 1, x: 2}", f"Redis: expected one of {SECTIONS}, got an unknown key; did you mean redis?"),
        ("workers: 4", f"workers: expected one of {SECTIONS}, got an unknown key; did you mean pools.default.workers?"),
        ("api: {thread: 4}", f"api.thread: expected one of {API_KEYS}, got an unknown key; did you mean threads?"),
        ("api: {hunter2: hunter2}", f"api.hunter2: expected one of {API_KEYS}, got an unknown key"),
        ("'a\\nb': 4", f"a\\nb: expected one of {SECTIONS}, got an unknown key"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(faults: Faults, yaml: str, fault: str) -> None:
    assert faults(yaml.replace("'a\\nb'", '"a\\nb"')) == [f"c.yaml:1: {fault}"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("TASKQ_APU__LISTEN", SECTIONS, "TASKQ_API__LISTEN"),
        ("TASKQ_API__LISTNE", API_KEYS, "TASKQ_API__LISTEN"),
        ("TASKQ_API__LISTEN__PORT", API_KEYS, "TASKQ_API__LISTEN"),
        ("TASKQ_POOLS__IMAGES__WORKER", POOL_KEYS, "TASKQ_POOLS__IMAGES__WORKERS"),
        ("TASKQ_WORKERS__WORKERS", SECTIONS, "TASKQ_POOLS__DEFAULT__WORKERS"),
        ("TASKQ_API__HUNTER", API_KEYS, None),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_one(
    faults: Faults, name: str, known: str, meant: str | None
) -> None:
    hint = f"; did you mean {meant}?" if meant else ""

    assert faults(environ={name: "hunter2"}) == [f"environment: {name}: expected one of {known}, got an unknown key{hint}"]


def test_an_unknown_flag_key_is_refused(faults: Faults) -> None:
    assert faults(flags={"api.thread": 3}) == [
        f"flag: --thread: expected one of {API_KEYS}, got an unknown key; did you mean threads?"
    ]


def test_listening_beyond_loopback_is_refused_without_leave(faults: Faults) -> None:
    expected = "expected a loopback address while there is no api.tokens_file and api.allow_unauthenticated is false, got"
    hint = "set api.tokens_file, or api.allow_unauthenticated to true to serve everyone who can reach this address"

    assert faults("api:\n  listen: 0.0.0.0:80", {"SERVER_PORT": "90"}) == [
        f"c.yaml:2: api.listen: {expected} '0.0.0.0:90'; {hint}"
    ]
    assert faults(environ={"TASKQ_API__LISTEN": "[::]:80"}) == [
        f"environment: TASKQ_API__LISTEN: {expected} '[::]:80'; {hint}"
    ]


def test_a_lease_shorter_than_three_heartbeats_is_refused_where_it_was_set(faults: Faults) -> None:
    expected = "expected at least 3 x leases.heartbeat (30s) for leases.lease, got 15s"

    assert faults("leases: {heartbeat: 10s}") == [f"c.yaml:1: leases.heartbeat: {expected}"]
    assert faults("leases: {heartbeat: 10s,\n lease: 15s}") == [f"c.yaml:2: leases.lease: {expected}"]


def test_keys_that_have_a_fault_are_not_compared_with_others(faults: Faults) -> None:
    assert faults("leases: {heartbeat: 10s, lease: x}\napi: {listen: 0.0.0.0:1, allow_unauthenticated: x}") == [
        f"c.yaml:1: leases.lease: expected {DURATION.replace('a ', 'a non-zero ', 1)}, got 'x'",
        "c.yaml:2: api.allow_unauthenticated: expected true or false, got 'x'",
    ]


def test_a_duplicate_key_is_refused_with_both_lines(faults: Faults) -> None:
    assert faults("api:\n  threads: 1\n  processes: 1\n  threads: 2\napi: {}\n") == [
        "c.yaml:4: api.threads: expected each key once, got it again; first set on line 2",
        "c.yaml:5: api: expected each key once, got it again; first set on line 1",
    ]


def test_anchors_and_aliases_are_refused_and_other_faults_still_found(faults: Faults) -> None:
    text = "pools:\n  a: &base {workers: 1}\n  b: *base\n  c: {nice: 99}\n"

    assert faults(text) == [
        "c.yaml:2: &base: expected every value written out, got an anchor",
        "c.yaml:3: *base: expected every value written out, got an alias",
        "c.yaml:4: pools.c.nice: expected an integer from -20 to 19, got 99",
    ]


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_an_alias_bomb_is_refused_at_once(faults: Faults, brackets: str) -> None:
    opening, closing = brackets[0], brackets[1]
    lines = ["tasks:", f"  l0: &l0 {opening}x: y{closing}"]
    for level in range(1, 30):
        items = ", ".join(f"k{n}: *l{level - 1}" if brackets == "{}" else f"*l{level - 1}" for n in range(9))
        lines.append(f"  l{level}: &l{level} {opening}{items}{closing}")
    started = time.monotonic()

    found = faults("\n".join(lines))

    assert time.monotonic() - started < 5
    assert found[0] == "c.yaml:2: &l0: expected every value written out, got an anchor"
    assert max(map(len, found)) < 300


def test_an_alias_to_itself_is_refused(faults: Faults) -> None:
    assert faults("api: &a\n  threads: *a\n") == [
        "c.yaml:1: &a: expected every value written out, got an anchor",
        "c.yaml:2: *a: expected every value written out, got an alias",
        "c.yaml:2: api.threads: expected an integer from 1 to 256, got a mapping",
    ]


@pytest.mark.parametrize(
    ("yaml", "fault"),
    [
        ("a:\n  b: c: d", "c.yaml:2: syntax: expected YAML, got mapping values are not allowed here"),
        ("api:\n\tthreads: 1", "c.yaml:2: syntax: expected YAML, got found character '\\t' that cannot start any token"),
        ("api: [1", "c.yaml:1: syntax: expected YAML, got expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n--- \nb: 2", "c.yaml:2: syntax: expected YAML, got but found another document"),
        (
            "a: 1\nb: \x01",
            "c.yaml:2: syntax: expected YAML, got special characters are not allowed",
        ),
        ("api: *nowhere", "c.yaml:1: syntax: expected YAML, got found undefined alias 'nowhere'"),
        (b"a: 1\nb: \xff", "c.yaml:2: encoding: expected UTF-8, got other bytes"),
        ("[" * 5000 + "]" * 5000, "c.yaml:1: syntax: expected at most 20 levels of nesting, got more"),
        ("- a\n- b", "c.yaml:1: top level: expected a mapping of sections, got a list"),
        ("\nhunter2", "c.yaml:2: top level: expected a mapping of sections, got a plain value"),
        ("? [a]\n: 1", "c.yaml:1: top level: expected plain keys, got a list"),
        ("api:\n  {a: 1}: 2", "c.yaml:2: api: expected plain keys, got a mapping"),
        (
            "api:\n  threads: !!python/object/apply:os.system [x]",
            "c.yaml:2: api.threads: expected a value without a tag, got tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("tasks: {import: [!env X]}", "c.yaml:1: tasks.import: expected a value without a tag, got !env"),
        ("api: {threads: !!bool x}", "c.yaml:1: api.threads: expected an integer from 1 to 256, got 'x'"),
    ],
)
def test_a_file_of_the_wrong_form_is_refused_with_its_line(faults: Faults, yaml: str | bytes, fault: str) -> None:
    assert faults(yaml)[0] == fault


def test_a_syntax_fault_does_not_quote_the_file(faults: Faults) -> None:
    assert "hunter2" not in faults("redis:\n  url: redis://:hunter2@h: x\n")[0]


def test_a_file_that_cannot_be_read_is_refused_by_the_name_of_who_named_it(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    by_variable = faults(environ={"TASKQ_CONFIG": "gone.yaml", "WORKER_COUNT": "x"})
    with pytest.raises(ConfigError) as by_flag:
        load(Path("folder"), environ={}, flags={}, cwd=tmp_path)

    assert by_variable == [
        "environment: TASKQ_CONFIG: expected a readable YAML file, got 'gone.yaml'; No such file or directory",
        "environment: WORKER_COUNT: expected an integer from 0 to 1024, got 'x'",
    ]
    assert str(by_flag.value) == "flag: --config: expected a readable YAML file, got 'folder'; Is a directory"


def test_a_dotenv_that_cannot_be_read_is_refused(faults: Faults) -> None:
    assert faults(dotenv=b"WORKER_COUNT=\xff") == [".env: file: expected a readable UTF-8 file, got other bytes"]


def test_a_long_value_is_cut(faults: Faults) -> None:
    assert faults(f"api: {{threads: {'x' * 5000}}}") == [
        f"c.yaml:1: api.threads: expected an integer from 1 to 256, got '{'x' * 76}..."
    ]
    assert len(faults(f"{'x' * 5000}: 1")[0]) < 300
