"""The example of the manual, as users run it: the whole standard library through a real service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import yaml

if TYPE_CHECKING:
    from tests.system.conftest import Service

EXAMPLES = Path(__file__).parents[2] / "examples"
FEED_LIMIT_S = 120.0

sys.path.insert(0, str(EXAMPLES))

import code_metrics  # noqa: E402 - found by the line above
import feed  # noqa: E402


def run_feed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "feed.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=FEED_LIMIT_S, check=False)


def start_with_example(service: Service) -> Service:
    """Start the service as the example's configuration says, with the module beside it."""
    shutil.copy(EXAMPLES / "code_metrics.py", service.directory)
    return service.start(yaml.safe_load((EXAMPLES / "taskq.yaml").read_text())).wait_ready()


def test_the_whole_standard_library_is_measured_as_a_loop_would_measure_it(service: Service) -> None:
    start_with_example(service)

    fed = run_feed("--url", service.url, "--json")

    assert fed.returncode == 0, fed.stderr
    summary = json.loads(fed.stdout)
    root = Path(sysconfig.get_path("stdlib")).resolve()
    results = [code_metrics.metrics(path=str(path)) for path in feed.source_files(root)]
    assert len(results) > 1000
    assert summary["files"] == summary["completed"] == len(results)
    assert summary["unparsable"] == sum("error" in result for result in results)
    assert summary["functions"] == [row._asdict() for row in feed.worst(results, 20)]
    counts = service.get("/queues/default").body["counts"]
    assert {status: count for status, count in counts.items() if count} == {"completed": len(results)}
    assert len(service.lines("task.completed")) == len(results)
    assert service.terminate() == 0


def test_the_table_shows_the_worst_function_of_each_file(service: Service, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mild.py").write_text("def mild(x):\n    return 1 if x else 2\n")
    (tmp_path / "wild.py").write_text("def tame(): pass\ndef wild(x, y):\n    return x and y or 1\n")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "installed.py").write_text("def installed(): pass\n")
    start_with_example(service)

    fed = run_feed("--url", service.url, "--root", str(tmp_path))

    assert fed.returncode == 0, fed.stderr
    rows = [line.split("│")[1:4] for line in fed.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["3", "wild", "wild.py:2"],
        ["2", "mild", "deep/mild.py:1"],
    ]
    assert "3 files in " in fed.stderr
    assert " s: 2 measured, 1 unparsable" in fed.stderr


def test_a_service_without_the_task_makes_the_feed_fail_with_the_reason(service: Service, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("")
    service.start().wait_ready()

    fed = run_feed("--url", service.url, "--root", str(tmp_path))

    assert fed.returncode in (1, feed.TASK_FAILED)  # refused at once, or once a worker has looked at it
    assert "code.metrics" in fed.stderr


def test_a_service_that_is_not_there_is_named_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("")

    fed = run_feed("--url", "http://127.0.0.1:1", "--root", str(tmp_path))

    assert fed.returncode == feed.UNREACHABLE
    assert "feed: no service answers at http://127.0.0.1:1: " in fed.stderr
    assert "start it with: taskq run" in fed.stderr


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:port", "http://"])
def test_an_address_of_another_kind_is_refused_with_the_form_that_is_expected(url: str) -> None:
    with pytest.raises(feed.FeedError) as refused:
        feed.split_url(url)

    assert str(refused.value) == f"--url: expected http://host:port, got {url}"
    assert refused.value.exit_code == feed.USAGE


class Stub(BaseHTTPRequestHandler):
    """Refuses the first POST with 503, drops the connection of the second, then creates one task, completed at once."""

    protocol_version = "HTTP/1.1"
    posts: ClassVar[list[float]] = []

    def do_POST(self) -> None:
        self.posts.append(time.monotonic())
        self.rfile.read(int(self.headers["Content-Length"]))
        if len(self.posts) == 1:
            self._answer(503, {"error": "Redis is not reachable; try again later"}, ("Retry-After", "1"))
        elif len(self.posts) == 2:
            self.close_connection = True
        else:
            self._answer(201, {"id": "1", "status": "pending"})

    def do_GET(self) -> None:
        self._answer(200, {"id": "1", "status": "completed", "result": {"path": "x", "error": "SyntaxError"}})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass

    def _answer(self, status: int, body: object, *headers: tuple[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def stub() -> Iterator[str]:
    Stub.posts.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_feed_waits_as_long_as_it_is_told_and_repeats_a_lost_request(stub: str, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("")

    fed = run_feed("--url", stub, "--root", str(tmp_path), "--json")

    assert fed.returncode == 0, fed.stderr
    first, second, _third = Stub.posts
    assert second - first >= 1.0
    assert json.loads(fed.stdout)["completed"] == 1
