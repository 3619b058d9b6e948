"""The files that deploy the service agree with the code and with each other: ports, times, exit codes, settings."""

from __future__ import annotations

import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskq.api.context import ApiSettings
from taskq.api.framing import MAX_REQUEST_LINE_BYTES
from taskq.api.longpoll import LONGEST_S
from taskq.api.wire import REQUEST_S
from taskq.config import Config, Loaded, Pool, load
from taskq.errors import ExitCode
from taskq.supervisor.staff import DRAIN_GRACE_S
from taskq.supervisor.supervisor import CLOSING_S, TICK_S
from taskq.units import parse_duration, parse_size

ROOT = Path(__file__).parents[2]
DOCKERFILE, IGNORED = ROOT / "Dockerfile", ROOT / ".dockerignore"
NGINX = ROOT / "conf" / "nginx.conf"
COMPOSE, DOTENV, UNIT = ROOT / "docker-compose.yml", ROOT / ".env.example", ROOT / "conf" / "taskq.service"
ORIGIN_VARIABLES = {"SERVER_PORT", "REDIS_ADDR", "REDIS_PASSWORD", "REDIS_DB", "WORKER_COUNT"}

LONGEST_STOP_S = Pool().drain + 2 * DRAIN_GRACE_S + CLOSING_S
"""From SIGTERM to the end of the supervisor, with the default settings."""


# -- .env.example


def load_dotenv(tmp_path: Path, text: str) -> Loaded:
    (tmp_path / ".env").write_text(text)
    return load(None, environ={}, flags={}, cwd=tmp_path)


def test_the_example_environment_names_a_local_redis_and_else_the_defaults(tmp_path: Path) -> None:
    config = load_dotenv(tmp_path, DOTENV.read_text()).config

    assert config.redis.url == "redis://localhost:6379/0"
    assert (config.api, config.pools) == (Config().api, Config().pools)


def test_the_example_environment_sets_the_five_variables_of_the_origin() -> None:
    assert set(re.findall(r"^(\w+)=", DOTENV.read_text(), re.MULTILINE)) == ORIGIN_VARIABLES


def test_the_commented_settings_of_the_example_environment_are_valid_and_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    loaded = load_dotenv(tmp_path, re.sub(r"^#(?=TASKQ_)", "", DOTENV.read_text(), flags=re.MULTILINE))

    assert loaded.origins["redis.url"] == ".env TASKQ_REDIS__URL"
    assert loaded.config.tasks.import_ == ("myapp.tasks",)
    assert loaded.config.api == Config().api
    assert loaded.config.pools == Config().pools
    assert loaded.config.retention == Config().retention
    assert loaded.config.logging == Config().logging
    assert loaded.config.tasks.defaults == Config().tasks.defaults


def test_the_example_environment_means_the_same_to_systemd_and_compose() -> None:
    for line in DOTENV.read_text().splitlines():
        # Quotes, dollars and comments behind a value are read differently by each of them.
        assert re.fullmatch(r"|#.*|\w+=[\w.:/-]*", line), line


# -- Dockerfile


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile with its arguments, lines joined, comments dropped."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(word, rest.strip()) for word, _, rest in pairs]


@pytest.fixture(scope="module")
def final(instructions: list[tuple[str, str]]) -> dict[str, str]:
    """The instructions of the last stage; of several with one name the last."""
    start = max(i for i, (word, _) in enumerate(instructions) if word == "FROM")
    return dict(instructions[start:])


@pytest.fixture(scope="module")
def image_environment(final: dict[str, str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in shlex.split(final["ENV"]))
    return {name: value for name, _, value in pairs}


def test_every_stage_starts_from_one_minor_version_of_python_that_the_package_supports(
    instructions: list[tuple[str, str]],
) -> None:
    bases = {rest.split()[0] for word, rest in instructions if word == "FROM"}

    assert len(bases) == 1
    match = re.fullmatch(r"python:(3\.\d+)-slim", bases.pop())
    assert match is not None
    assert f"Python :: {match[1]}\n" in (ROOT / "setup.cfg").read_text()


def test_the_image_runs_taskq_directly_as_a_user_without_rights_and_is_stopped_by_a_drain(final: dict[str, str]) -> None:
    assert json.loads(final["ENTRYPOINT"]) + json.loads(final["CMD"]) == ["taskq", "run"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", final["USER"])  # a number, so that runAsNonRoot can check it
    assert final["STOPSIGNAL"] == "SIGTERM"


def test_the_image_listens_on_the_exposed_port_of_every_address(
    final: dict[str, str], image_environment: dict[str, str], tmp_path: Path
) -> None:
    environ = {name: value for name, value in image_environment.items() if name != "TASKQ_CONFIG"}
    config = load(None, environ=environ, flags={}, cwd=tmp_path).config

    assert str(config.api.listen) == f"0.0.0.0:{final['EXPOSE']}"


def test_the_image_has_a_redis_that_a_variable_and_a_mounted_file_replace(
    final: dict[str, str], image_environment: dict[str, str], tmp_path: Path
) -> None:
    written = re.search(r"printf '([^']+)' > (\S+)", final["RUN"])
    assert written is not None
    assert written[2] == image_environment["TASKQ_CONFIG"]
    file = tmp_path / "taskq.yaml"
    environ = image_environment | {"TASKQ_CONFIG": str(file)}

    file.write_text(written[1].replace("\\n", "\n"))
    assert load(None, environ=environ, flags={}, cwd=tmp_path).config.redis.url == "redis://localhost:6379/0"
    named = load(None, environ=environ | {"REDIS_ADDR": "redis:6379"}, flags={}, cwd=tmp_path)
    assert named.config.redis.url == "redis://redis:6379/0"
    file.write_text("redis: {url: 'redis://mounted:1/2'}")
    assert load(None, environ=environ, flags={}, cwd=tmp_path).config.redis.url == "redis://mounted:1/2"


def test_a_build_sees_what_it_copies_and_no_more(instructions: list[tuple[str, str]]) -> None:
    copied = {
        source
        for word, rest in instructions
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    patterns = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]

    assert patterns[0] == "*"
    assert {line[1:] for line in patterns if line.startswith("!")} == copied


@pytest.fixture
def health() -> Iterator[dict[str, int]]:
    """A server on a loopback port; `status` is what it answers to GET /health."""
    answer = {"status": 200, "port": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"] if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        answer["port"] = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield answer
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_of_the_image_asks_the_server_and_no_proxy(
    final: dict[str, str], health: dict[str, int], status: int, healthy: bool
) -> None:
    health["status"] = status
    options, _, command = final["HEALTHCHECK"].partition(" CMD ")
    program, *arguments = json.loads(command)
    environ = {"SERVER_PORT": str(health["port"]), "http_proxy": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}

    done = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, timeout=30)

    assert program == "python"
    assert done.returncode == (0 if healthy else 1), done.stderr
    assert {"--interval", "--timeout", "--start-period", "--retries"} == set(re.findall(r"--[a-z-]+", options))


# -- docker-compose.yml


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return dict(loaded["services"])


def test_compose_gives_a_drain_the_time_it_takes(services: dict[str, Any]) -> None:
    assert parse_duration(services["taskq"]["stop_grace_period"]) > LONGEST_STOP_S


def test_compose_runs_a_redis_that_keeps_what_it_has_acknowledged(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"])

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert services["redis"]["volumes"] == ["redis-data:/data"]
    assert "redis-data" in yaml.safe_load(COMPOSE.read_text())["volumes"]
    assert "ports" not in services["redis"]


def test_compose_waits_for_redis_restarts_both_and_opens_nothing_but_a_loopback_port(
    services: dict[str, Any], final: dict[str, str]
) -> None:
    assert "healthcheck" in services["redis"]
    assert services["taskq"]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    assert services["taskq"]["ports"] == ["127.0.0.1:${SERVER_PORT:-8080}:" + final["EXPOSE"]]


@pytest.mark.parametrize("dotenv", ["", None])
def test_compose_leads_taskq_to_its_own_redis_with_or_without_a_dotenv(
    services: dict[str, Any], tmp_path: Path, dotenv: str | None
) -> None:
    text = DOTENV.read_text() if dotenv is None else dotenv
    given = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    environ = {
        name: re.sub(r"\$\{(\w+):-(.*)\}", lambda match: given.get(match[1]) or match[2], value)
        for name, value in services["taskq"]["environment"].items()
    }

    config = load(None, environ=environ, flags={}, cwd=tmp_path).config

    assert config.redis.url == "redis://redis:6379/0"
    assert config.pools == Config().pools


# -- conf/taskq.service


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    """The values of each key of the unit's [Service] section, in their order."""
    section, values = "", dict[str, list[str]]()
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith("#") and section == "[Service]":
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


def test_the_unit_is_well_formed() -> None:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text())

    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Install"]["WantedBy"] == "multi-user.target"


def test_systemd_is_told_by_the_supervisor_alone_when_it_is_ready_and_alive(unit: dict[str, list[str]]) -> None:
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert parse_duration(unit["WatchdogSec"][0]) >= 20 * TICK_S


def test_systemd_gives_a_drain_the_time_it_takes_and_asks_only_the_supervisor(unit: dict[str, list[str]]) -> None:
    assert unit["KillMode"] == ["mixed"]
    assert parse_duration(unit["TimeoutStopSec"][0]) > LONGEST_STOP_S


def test_systemd_restarts_after_everything_but_what_does_not_heal(unit: dict[str, list[str]]) -> None:
    codes = {ExitCode(int(code)) for code in unit["RestartPreventExitStatus"][0].split()}

    assert unit["Restart"] == ["on-failure"]
    assert codes == {ExitCode.USAGE, ExitCode.BAD_CONFIG, ExitCode.SERVER_UNFIT, ExitCode.NO_BROKER}


def test_a_worker_without_memory_does_not_end_the_service(unit: dict[str, list[str]]) -> None:
    assert unit["OOMPolicy"] == ["continue"]


def test_systemd_checks_a_configuration_before_it_asks_for_a_reload(unit: dict[str, list[str]]) -> None:
    assert unit["ExecStart"] == ["/opt/taskq/bin/taskq run"]
    assert unit["ExecReload"] == ["/opt/taskq/bin/taskq config check", "/bin/kill -HUP $MAINPID"]
    assert unit["EnvironmentFile"] == ["/etc/taskq/taskq.env"]  # no leading dash: it names Redis


def test_the_unit_gives_up_every_right_that_the_service_does_not_need(unit: dict[str, list[str]]) -> None:
    for key in ("NoNewPrivileges", "DynamicUser", "PrivateTmp", "PrivateDevices", "ProtectHome", "RestrictNamespaces"):
        assert unit[key] == ["yes"], key
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert unit["StateDirectory"] == ["taskq"]
    assert unit["WorkingDirectory"] == ["%S/taskq"]


def test_the_unit_leaves_what_the_supervisor_needs(unit: dict[str, list[str]]) -> None:
    # setpriority for pools.*.nice is in @resources, the boot id under /proc/sys names this machine's dead workers
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert "ProcSubset" not in unit
    assert "MemoryDenyWriteExecute" not in unit


def test_the_socket_of_systemd_is_where_the_service_would_listen() -> None:
    parser = ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.with_suffix(".socket").read_text())

    assert parser["Socket"]["ListenStream"] == str(Config().api.listen)
    assert parser["Install"]["WantedBy"] == "sockets.target"


# -- conf/nginx.conf


def test_nginx_takes_what_the_api_takes_and_keeps_connections_for_a_shorter_time() -> None:
    text = NGINX.read_text()
    upstream = text[text.index("upstream taskq") : text.index("ssl_certificate ")]

    def seconds(key: str, within: str = text) -> float:
        return parse_duration(re.findall(rf"\b{key} (\w+);", within)[0])

    assert parse_size(re.findall(r"client_max_body_size (\d+)m;", text)[0] + "MiB") == Config().api.max_batch_body
    assert re.findall(r"server ([\d.:]+);", upstream) == [str(Config().api.listen)]
    assert re.findall(r"large_client_header_buffers \d+ (\d+)k;", text) == [str(MAX_REQUEST_LINE_BYTES // 1024)]
    assert seconds("keepalive_timeout", upstream) < ApiSettings().channel_timeout_s / 2
    assert seconds("proxy_read_timeout") > LONGEST_S
    assert seconds("client_header_timeout") == seconds("client_body_timeout") == REQUEST_S
