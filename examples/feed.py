"""Send every source file of the standard library to a running service and print the most complex functions.

Needs a service that has imported `code_metrics` (see taskq.yaml) and sees the same files. The table and the JSON go to
standard output, everything else to standard error. Exit codes are those of the `taskq` command: 1 an error, 2 usage, 4 a
task failed, 5 the time ran out, 6 the service cannot be reached.
"""

from __future__ import annotations

import http.client
import json
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

ERROR = 1
USAGE = 2
TASK_FAILED = 4
TIMED_OUT = 5
UNREACHABLE = 6

NOT_SOURCE = {"site-packages", "dist-packages", "__pycache__"}
FINAL = {"completed", "failed", "cancelled"}

REQUEST_LIMIT_S = 30.0
PATIENCE_S = 60.0
"""How long a service that has answered before may be away or refuse with 503: it may be restarting."""

RECONNECT_S = 0.5
POLL_S = 0.1

Task = Mapping[str, Any]


class FeedError(Exception):
    """Why the feed ends early, in a sentence, and the exit code."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class Row(NamedTuple):
    """The most complex function of one file."""

    complexity: int
    name: str
    path: str
    line: int


class Client:
    """Talks to the service over one connection, which it opens anew when the service has closed it."""

    def __init__(self, url: str) -> None:
        host, port, path = split_url(url)
        self.url = url
        self._path = path
        self._connection = http.client.HTTPConnection(host, port, timeout=REQUEST_LIMIT_S)
        self._patience_s = 0.0

    def submit(self, path: Path, tags: list[str]) -> str:
        """Create the task for a file; its id."""
        body = {"type": "code.metrics", "payload": {"path": str(path)}, "tags": tags}
        id_: str = self._request("POST", "/tasks", json.dumps(body).encode(), HTTPStatus.CREATED)["id"]
        return id_

    def task(self, id_: str) -> Task:
        """The task as it is now."""
        return self._request("GET", f"/tasks/{id_}", None, HTTPStatus.OK)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _request(self, method: str, path: str, body: bytes | None, expected: HTTPStatus) -> Task:
        """The decoded answer. Waits through an absence of PATIENCE_S once the service has answered at all; a POST whose
        answer was lost is repeated then, which costs a second measurement of the file and nothing else."""
        started = time.monotonic()
        while True:
            try:
                status, headers, raw = self._exchange(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                wait_s, reason = RECONNECT_S, str(error) or type(error).__name__
            else:
                self._patience_s = PATIENCE_S
                if status == expected:
                    answer: Task = json.loads(raw)
                    return answer
                reason = _sentence(status, raw)
                if status != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise FeedError(f"{method} {path}: {reason}", ERROR)
                wait_s = _retry_after_s(headers)
            if time.monotonic() + wait_s > started + self._patience_s:
                raise FeedError(f"no service answers at {self.url}: {reason}; start it with: taskq run", UNREACHABLE)
            time.sleep(wait_s)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, self._path + path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.headers, response.read()


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the service listens.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    default=sysconfig.get_path("stdlib"),
    help="The directory to send; the standard library by default.",
)
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="How many functions to show.")
@click.option("--timeout", type=click.IntRange(1), default=600, show_default=True, help="Seconds to wait for all results.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def feed(url: str, root: Path, top: int, timeout: int, *, as_json: bool) -> None:
    """Measure every Python file below a directory and show the most complex function of each, the worst first."""
    try:
        sys.exit(run(url, root, top, timeout, as_json=as_json))
    except FeedError as error:
        click.echo(f"feed: {error}", err=True)
        sys.exit(error.exit_code)


def run(url: str, root: Path, top: int, timeout_s: float, *, as_json: bool) -> int:
    """Send, wait, print; the exit code. Raises FeedError."""
    started = time.monotonic()
    client = Client(url)
    try:
        tasks = measure(client, source_files(root), timeout_s)
    finally:
        client.close()
    results = [task["result"] for task in tasks if task["status"] == "completed"]
    rows = worst(results, top)
    unparsable = sum("error" in result for result in results)
    summary = {
        "files": len(tasks),
        "completed": len(results),
        "measured": len(results) - unparsable,
        "unparsable": unparsable,
        "duration_s": round(time.monotonic() - started, 3),
        "functions": [row._asdict() for row in rows],
    }
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        show(rows, root)
    took = "{files} files in {duration_s} s: {measured} measured, {unparsable} unparsable".format(**summary)
    click.echo(took, err=True)
    return report_failures(tasks)


def split_url(url: str) -> tuple[str, int, str]:
    """Host, port and path (without a slash at the end) of the service. Raises FeedError."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
        host, port = parts.hostname, parts.port or http.client.HTTP_PORT
    except ValueError:
        host = None
    if host is None or parts.scheme != "http":
        raise FeedError(f"--url: expected http://host:port, got {url}", USAGE)
    return host, port, parts.path.rstrip("/")


def source_files(root: Path) -> list[Path]:
    """Every .py file below `root` that is part of it and not of an installed package, in order."""
    found = (path for path in root.rglob("*.py") if not NOT_SOURCE & set(path.relative_to(root).parts))
    return sorted(path for path in found if path.is_file())


def measure(client: Client, paths: list[Path], timeout_s: float) -> list[Task]:
    """The ended tasks of all files, in their order. Raises FeedError."""
    deadline = time.monotonic() + timeout_s
    tag = f"feed-{uuid.uuid4().hex[:8]}"
    columns = TextColumn("{task.description:8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        ids = [client.submit(path, [tag]) for path in progress.track(paths, description="sent")]
        return [await_end(client, id_, deadline) for id_ in progress.track(ids, description="measured")]


def await_end(client: Client, id_: str, deadline: float) -> Task:
    """The task once it has ended. Raises FeedError after `deadline`, which is on time.monotonic()."""
    while (task := client.task(id_))["status"] not in FINAL:
        if time.monotonic() > deadline:
            raise FeedError(f"task {id_} is still {task['status']}; give it more time with --timeout", TIMED_OUT)
        time.sleep(POLL_S)
    return task


def worst(results: Iterable[Mapping[str, Any]], top: int) -> list[Row]:
    """The `top` most complex functions, one of each file at most; equals in the order of their paths."""
    return sorted(_rows(results), key=lambda row: (-row.complexity, row.path))[:top]


def show(rows: list[Row], root: Path) -> None:
    """Print the table to standard output."""
    table = Table(title=f"The most complex function of each file below {root}", caption="McCabe complexity")
    table.add_column("complexity", justify="right")
    table.add_column("function", overflow="fold")
    table.add_column("file", overflow="fold")
    for row in rows:
        table.add_row(str(row.complexity), row.name, f"{Path(row.path).relative_to(root)}:{row.line}")
    Console(markup=False, highlight=False).print(table)


def report_failures(tasks: list[Task]) -> int:
    """Name the tasks that did not complete, on standard error; the exit code."""
    failed = [task for task in tasks if task["status"] != "completed"]
    if not failed:
        return 0
    first = failed[0]
    reason = first.get("error", first["status"])
    click.echo(f"feed: {len(failed)} of {len(tasks)} tasks failed; the first, {first['id']}: {reason}", err=True)
    return TASK_FAILED


def _rows(results: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    for result in results:
        if most := result.get("most_complex"):
            yield Row(most["complexity"], most["name"], result["path"], most["line"])


def _retry_after_s(headers: http.client.HTTPMessage) -> float:
    """Seconds; it may also be a date, which is not worth reading here."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 1.0


def _sentence(status: int, raw: bytes) -> str:
    try:
        return str(json.loads(raw)["error"])
    except (ValueError, LookupError, TypeError):
        return f"HTTP {status}"


if __name__ == "__main__":
    feed()
