"""A whole service per test: `python -m taskq run` in a directory of its own, on a port that the kernel chose.

The fixtures hand out `Service` objects; tests import the class for annotations only.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

READY_LIMIT_S = 20.0
STOP_LIMIT_S = 45.0
REQUEST_LIMIT_S = 40.0
POLL_S = 0.02

T = TypeVar("T")

ROOT = Path(__file__).parents[2]

OUR_VARIABLES = ("TASKQ_", "REDIS_", "SERVER_PORT", "WORKER_COUNT")


class Answer(NamedTuple):
    """What came back for one request. `body` is the decoded JSON, or None if there was no body."""

    status: int
    headers: http.client.HTTPMessage
    body: Any


def wait_until(condition: Callable[[], T], limit_s: float, what: str) -> T:
    """The first true value of `condition`. Fails the test when there is none within `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {limit_s:g} s in vain: {what}")
        time.sleep(POLL_S)
    return value


class Service:
    """One service and its directory; it may be started again after it ended, and then finds its data again.

        service.start({"pools": {"default": {"workers": 2}}}, env={"TASKQ_LOGGING__LEVEL": "debug"}).wait_ready()
        task = service.post("/tasks", {"type": "echo", "payload": "x"}).body
        service.wait_task(task["id"])
        assert service.terminate() == 0

    The service leads a session, so whatever it forked can be found and ended, even after it was killed itself.
    """

    def __init__(self) -> None:
        # Not below pytest's long directories: the socket of the embedded server has a short path only.
        self.directory = Path(tempfile.mkdtemp(prefix="tq-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._starts = 0
        self._started_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- life

    def start(
        self,
        config: Mapping[str, Any] | None = None,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        handlers: bool = False,
        command: str = "run",
    ) -> Self:
        """Start `taskq run` (or another command) with this configuration (nested, as in YAML), variables and further
        arguments; does not wait.

        It listens on a free loopback port unless `api.listen` says otherwise. Of the environment of the tests nothing
        that taskq reads is passed on. With `handlers` it serves the task types of tests/system/handlers as well.
        """
        assert self._process is None or self._process.poll() is not None, "this service is running already"
        self.configure(config or {}, handlers=handlers)
        self._starts += 1
        self._url = ""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OUR_VARIABLES)}
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "taskq", command, "--config", "taskq.yaml", *arguments],
                cwd=self.directory,
                env={**inherited, "PYTHONPATH": str(ROOT), "TASKQ_TEST_LOG": str(self.note_file), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._started_at = psutil.Process(self._process.pid).create_time()
        return self

    def configure(self, config: Mapping[str, Any], *, handlers: bool = False) -> None:
        """Write the configuration file, as `start` does; with SIGHUP the running service reads it."""
        merged = {**config, "api": {"listen": "127.0.0.1:0", **config.get("api", {})}}
        if handlers:
            merged["tasks"] = {"import": ["tests.system.handlers"], **config.get("tasks", {})}
        (self.directory / "taskq.yaml").write_text(yaml.safe_dump(merged))

    def wait_ready(self, limit_s: float = READY_LIMIT_S) -> Self:
        """Wait until the API answers and the workers were forked. Fails the test if the service ends before that."""
        line = self.wait_line("supervisor.started", limit_s=limit_s)
        self._url = line.get("address") or ""
        if self._url:
            wait_until(self.healthy, limit_s, "GET /health answers 200")
        return self

    def terminate(self, number: signal.Signals = signal.SIGTERM, limit_s: float = STOP_LIMIT_S) -> int:
        """Send SIGTERM (or another signal) to the supervisor alone and wait for its end; its exit code."""
        os.kill(self.pid, number)
        return self.wait_exit(limit_s)

    def kill(self, limit_s: float = STOP_LIMIT_S) -> None:
        """Kill the supervisor with SIGKILL and wait until everything that it had started has ended too."""
        self.terminate(signal.SIGKILL)
        wait_until(lambda: not self.session(), limit_s, "all processes of the service end with the supervisor")

    def wait_exit(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Wait for the end of the supervisor; its exit code, negative for a signal. Fails the test if it does not end."""
        assert self._process is not None, "this service was never started"
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the service did not end within {limit_s:g} s\n{self.output()}")

    def close(self) -> None:
        """End every process of the service at once and remove its directory."""
        if self._process is not None:
            for process in self.session():
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    pass
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- processes

    @property
    def pid(self) -> int:
        """The pid of the supervisor."""
        assert self._process is not None, "this service was never started"
        return self._process.pid

    def children(self, title: str = "") -> list[psutil.Process]:
        """The living descendants of the supervisor, or those whose title begins like this after "taskq: ": `worker`,
        `api`, `maintenance`. The embedded server has no such title; its pid is in the line `broker.started`."""
        try:
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [process for process in found if _alive(process) and _titled(process, title)]

    def session(self) -> list[psutil.Process]:
        """Everything alive that the service ever started, the supervisor included, also when that has ended."""
        found: list[psutil.Process] = []
        for pid in psutil.pids():
            try:
                process = psutil.Process(pid)
                if pid == self.pid and process.create_time() != self._started_at:
                    return []  # the pid was given away, so the session that bears it is a stranger's
                if os.getsid(pid) == self.pid and _alive(process):
                    found.append(process)
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
        return found

    # -- HTTP

    @property
    def url(self) -> str:
        """`http://host:port`, known after `wait_ready`."""
        assert self._url, "the address is known after wait_ready(), and only if there is an API"
        return self._url

    def request(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own; `body` is sent as JSON, bytes as they are. Raises OSError."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=REQUEST_LIMIT_S)
        try:
            connection.request(method, path, data, {**kind, **(headers or {})})
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        return Answer(response.status, response.headers, json.loads(raw) if raw else None)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET; raises OSError."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """POST of JSON; raises OSError."""
        return self.request("POST", path, body, headers)

    def delete(self, path: str) -> Answer:
        """DELETE; raises OSError."""
        return self.request("DELETE", path)

    def wait_task(self, task_id: str, *statuses: str, limit_s: float = READY_LIMIT_S) -> dict[str, Any]:
        """The task once it has one of these states (default: any that is final). Fails the test after `limit_s`."""
        wanted = statuses or ("completed", "failed", "cancelled")

        def reached() -> dict[str, Any] | None:
            task: dict[str, Any] = self.get(f"/tasks/{task_id}").body
            return task if task.get("status") in wanted else None

        found = wait_until(reached, limit_s, f"task {task_id} is {' or '.join(wanted)}")
        assert found is not None
        return found

    def healthy(self) -> bool:
        """True when GET /health is answered with 200 now."""
        try:
            return self.get("/health").status == http.HTTPStatus.OK
        except OSError:
            return False

    # -- output

    @property
    def note_file(self) -> Path:
        """Where the handlers of the tests write what they saw."""
        return self.directory / "notes.log"

    def notes(self) -> list[str]:
        """The lines that the handlers of the tests have written."""
        return self.note_file.read_text().splitlines() if self.note_file.exists() else []

    @property
    def stdout(self) -> Path:
        """The file with standard output since the last start."""
        return self.directory / f"stdout-{self._starts}"

    @property
    def stderr(self) -> Path:
        """The file with standard error since the last start."""
        return self.directory / f"stderr-{self._starts}"

    def lines(self, event: str = "", **fields: object) -> list[dict[str, Any]]:
        """The log lines since the last start that are this event (any, if empty) and have these fields."""
        text = self.stdout.read_text(errors="replace")
        whole = text[: text.rfind("\n") + 1]  # the last line may be half written
        found = [json.loads(line) for line in whole.splitlines()]
        return [line for line in found if event in ("", line["event"]) and fields.items() <= line.items()]

    def wait_line(self, event: str, limit_s: float = READY_LIMIT_S, **fields: object) -> dict[str, Any]:
        """The first log line of this event with these fields. Fails the test if the service ends without it."""
        deadline = time.monotonic() + limit_s
        assert self._process is not None, "this service was never started"
        while True:
            ended = self._process.poll()
            if found := self.lines(event, **fields):
                return found[0]
            if ended is not None or time.monotonic() > deadline:
                pytest.fail(f"no line {event} {fields or ''}; exit code {ended}\n{self.output()}")
            time.sleep(POLL_S)

    def output(self) -> str:
        """Both outputs since the last start, for the message of a failing test."""
        return f"--- stdout\n{self.stdout.read_text()}--- stderr\n{self.stderr.read_text()}"


StartService = Callable[..., Service]


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that is not started yet."""
    with Service() as service:
        yield service


@pytest.fixture
def start_service() -> Iterator[StartService]:
    """Starts services, waits until they are ready and ends them all; takes the arguments of `Service.start`."""
    services: list[Service] = []

    def start(*arguments: Any, **options: Any) -> Service:
        services.append(Service())
        return services[-1].start(*arguments, **options).wait_ready()

    try:
        yield start
    finally:
        for service in services:
            service.close()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _titled(process: psutil.Process, title: str) -> bool:
    try:
        return not title or " ".join(process.cmdline()).startswith(f"taskq: {title}")
    except psutil.NoSuchProcess:
        return False
