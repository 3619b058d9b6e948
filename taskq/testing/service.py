"""A whole taskq for a test: a process of its own with an embedded server, an API and workers, in a directory of its own.

Nothing of the configuration around the test reaches it, and nothing of it remains: it ends with the block, or with the
process that started it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskq.client.default import using
from taskq.client.place import Place
from taskq.client.queue import Queue
from taskq.errors import ServiceNotStarted
from taskq.queue import embedded
from taskq.registry import registry
from taskq.testing.modules import bootstrap, sources, sources_of

START_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0
POLL_S = 0.01

BOOTSTRAP = "taskq_testing_bootstrap"
VARIABLES = ("TASKQ_", "REDIS_ADDR", "REDIS_PASSWORD", "REDIS_DB", "SERVER_PORT", "WORKER_COUNT")
"""What variables begin with that the service would read."""

DRAIN = "1s"
"""How long tasks that still run at the end of the test may go on."""


class Service:
    """A running service. `queue` submits to it, `url` is where its API is: `http://127.0.0.1:<port>`."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], url: str, queue: Queue) -> None:
        self.directory = directory
        self.process = process
        self.url = url
        self.queue = queue

    def log(self) -> str:
        """What the service has logged so far, a JSON object a line, and what it wrote to standard error."""
        return _text(self.directory)


@contextmanager
def service(
    modules: Iterable[str] | None = None, *, workers: int = 1, config: Mapping[str, Any] | None = None
) -> Iterator[Service]:
    """Run a service for the length of the block. Within it `enqueue` of decorated handlers submits to this service.

    `modules` are the names of the modules with handlers; None: those of every handler that is registered in this process,
    also if it stands in a test file. They are imported anew by the service, so what a test changes in them here is not seen
    there; a handler that is defined within a function is not known there. `config` is that of a file, nested as in YAML, and
    goes over what is set for tests. The service runs in a directory of its own, `directory`, which goes with it: relative
    paths in `config` and in handlers lead there. Blocks until the service is up, about a second, and at the end until
    nothing of it is left, a few tenths of a second if no task runs. Raises ServiceNotStarted.
    """
    wanted = sources_of(registry) if modules is None else sources(modules)
    # Not below the long directories of pytest: the path of a socket is short.
    directory = Path(tempfile.mkdtemp(prefix="taskq-test-"))
    process = None
    try:
        (directory / f"{BOOTSTRAP}.py").write_text(bootstrap(wanted))
        (directory / "taskq.json").write_text(json.dumps(_settings(workers, config or {})))
        process = _start(directory)
        url = _started(directory, process)
        place = Place(url=f"unix://{embedded.socket_of(directory / '.taskq')}", hint="the service of this test has ended")
        with Queue(place) as queue, using(queue):
            yield Service(directory, process, url, queue)
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(directory, ignore_errors=True)


def _settings(workers: int, config: Mapping[str, Any]) -> dict[str, Any]:
    ours = {
        "redis": {"data_dir": ".taskq"},
        "api": {"listen": "127.0.0.1:0"},
        "tasks": {"import": [BOOTSTRAP]},
        "pools": {"default": {"workers": workers, "drain": DRAIN}},
    }
    merged = _over(ours, config)
    merged["tasks"]["import"] = [BOOTSTRAP, *(config.get("tasks") or {}).get("import", [])]
    return merged


def _over(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**ours, **theirs}
    both = [key for key in ours if isinstance(ours[key], Mapping) and isinstance(theirs.get(key), Mapping)]
    return {**merged, **{key: _over(ours[key], theirs[key]) for key in both}}


def _start(directory: Path) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(VARIABLES)}
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    with (directory / "stdout").open("wb") as stdout, (directory / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "taskq.testing.host", str(os.getpid()), "run", "--config", "taskq.json"],
            cwd=directory,
            env={**kept, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C is for the tests; they end the service
        )


def _started(directory: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the API, once the service is up. Raises ServiceNotStarted."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        code = process.poll()
        lines = (directory / "stdout").read_text(errors="replace").splitlines(keepends=True)
        for line in lines:
            if line.endswith("}\n") and '"supervisor.started"' in line:
                return str(json.loads(line).get("address", ""))
        if code is not None or time.monotonic() > deadline:
            ended = "is not up" if code is None else f"ended with exit code {code}"
            raise ServiceNotStarted(f"the service of this test {ended}:\n{_text(directory)}")
        time.sleep(POLL_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()  # everything below it ends with it
        process.wait()


def _text(directory: Path) -> str:
    return "".join((directory / name).read_text(errors="replace") for name in ("stdout", "stderr"))
