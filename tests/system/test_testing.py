"""What `taskq.testing` gives to the tests of other packages: a run of pytest in a project of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.system.conftest import OUR_VARIABLES, ROOT, wait_until

LIMIT_S = 120

TASKS = """
    from taskq import Context, task

    @task("shop.total")
    def total(ctx: Context, prices: list[int]) -> int:
        ctx.log.info("adding up")
        return sum(prices)

    @task("shop.order")
    def order(prices: list[int]) -> str:
        return total.enqueue(prices=prices).id
"""

TESTS = """
    import json, os, urllib.request
    import pytest
    from dataclasses import dataclass
    from taskq import Queue, TaskFailed, task
    from taskq.testing import Service, run
    from shop.tasks import order, total

    @dataclass
    class Line:
        amount: int

    @task("here.double", max_retry=0)
    def double(line: Line) -> Line:
        if line.amount < 0:
            raise ValueError("less than nothing")
        return Line(2 * line.amount)

    def test_without_a_service():
        assert run(total, {"prices": [1, 2]}).result == 3

    def test_a_handler_of_the_package(taskq_session_service):
        assert total.enqueue(prices=[1, 2, 3]).wait(20) == 6

    def test_a_handler_of_the_test_file(taskq_service):
        assert double.enqueue(Line(4)).wait(20) == Line(8)
        with pytest.raises(TaskFailed, match="less than nothing"):
            double.enqueue(Line(-1)).wait(20)

    def test_a_task_submits_to_the_same_service(taskq_session_service):
        inner = order.enqueue(prices=[4, 5]).wait(20)
        assert taskq_session_service.queue.wait(inner, 20) == 9

    def test_the_api_and_the_environment(taskq_session_service):
        body = json.dumps({"type": "shop.total", "payload": {"prices": ["1"]}}).encode()
        request = urllib.request.Request(taskq_session_service.url + "/tasks", body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 422
        refused.value.close()
        assert "supervisor.started" in taskq_session_service.log()

    @pytest.mark.parametrize("number", range(6))
    def test_one_for_all(taskq_session_service, number):
        assert total.enqueue(prices=[number]).wait(20) == number
"""


class Project:
    """A directory with a package, its tests, and a temporary directory for all that they leave."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.temporary = Path(tempfile.mkdtemp(prefix="tqt-", dir="/tmp"))

    def write(self, path: str, text: str) -> None:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OUR_VARIABLES)}
        wrong = {"REDIS_ADDR": "127.0.0.1:1", "TASKQ_API__LISTEN": "127.0.0.1:1", "WORKER_COUNT": "0"}
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--no-header", *arguments],
            cwd=self.directory,
            env={**kept, **wrong, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pytest(self, *arguments: str) -> str:
        """What a run of the tests prints."""
        return self.start(*arguments).communicate(timeout=LIMIT_S)[0]

    def left(self) -> list[str]:
        """Services whose directory is or was in the temporary directory, and those directories."""
        found = [path.name for path in self.temporary.glob("taskq-test-*")]
        running = [f"{process.info['cwd']} {process.info['cmdline']}" for process in psutil.process_iter(["cwd", "cmdline"])]
        return found + [process for process in running if str(self.temporary) in process]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    project.write("shop/__init__.py", "")
    project.write("shop/tasks.py", TASKS)
    project.write("conftest.py", 'pytest_plugins = ["taskq.testing.plugin"]\n')
    yield project
    shutil.rmtree(project.temporary)


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--import-mode=importlib",)], ids=["plain", "parallel", "importlib"])
def test_a_package_tests_its_tasks(project: Project, options: tuple[str, ...]) -> None:
    project.write("tests/test_shop.py", TESTS)

    said = project.pytest("tests", "-o", "pythonpath=.", *options)

    assert "11 passed" in said, said
    assert project.left() == []


def test_a_failing_test_shows_what_the_service_said(project: Project) -> None:
    project.write(
        "test_fails.py",
        """
        from shop.tasks import total

        def test_fails(taskq_service):
            total.enqueue(prices=[1]).wait(20)
            assert False
        """,
    )

    said = project.pytest()

    assert "1 failed" in said
    assert '"message":"adding up"' in said, said


def test_a_service_that_cannot_start_says_why(project: Project) -> None:
    project.write(
        "test_start.py",
        """
        import pytest
        from taskq.errors import ServiceNotStarted
        from taskq.testing import service

        @pytest.mark.parametrize("modules, config", [(["nowhere"], {}), (None, {"pools": {"default": {"wrokers": 1}}})])
        def test_start(modules, config):
            with pytest.raises(ServiceNotStarted, match="ended with exit code 7(?s:.*)(No module named 'nowhere'|wrokers)"):
                with service(modules, config=config):
                    pass
        """,
    )

    said = project.pytest()

    assert "2 passed" in said, said
    assert project.left() == []


def test_nothing_is_left_of_a_run_that_was_killed(project: Project) -> None:
    project.write(
        "test_hangs.py",
        """
        import pathlib, time
        import shop.tasks

        def test_hangs(taskq_service):
            pathlib.Path("up").touch()
            time.sleep(600)
        """,
    )
    run = project.start()
    wait_until((project.directory / "up").exists, LIMIT_S, "the service of the test is up")

    run.send_signal(signal.SIGKILL)
    run.communicate()

    wait_until(lambda: not project.left(), LIMIT_S, "the service ends with the tests, and its directory goes")
