"""The wheel: built from the tree, it works where the tree is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.system.conftest import ROOT, Service

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".taskq", "*.egg-info", "build", ".*_cache", "__pycache__", ".hypothesis")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree."""
    directory = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, directory / "tree", ignore=LEFT_OUT)
    _pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(directory / "tree"))
    return next(directory.glob("*.whl"))


def test_a_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())

    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "taskq").rglob("*") if path.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    assert wanted - held == set()
    assert "taskq/py.typed" in held
    assert "taskq/queue/lua/enqueue.lua" in held


def test_a_service_started_from_an_installed_wheel_completes_a_task(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    _pip("install", "--no-deps", "--target", str(site), str(wheel))

    where = [sys.executable, "-c", "import taskq; print(taskq.__file__)"]
    used = subprocess.run(where, env={"PYTHONPATH": str(site)}, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert used.stdout.startswith(str(site))
    with Service() as service:
        service.start(env={"PYTHONPATH": str(site)}).wait_ready()
        task = service.post("/tasks", {"type": "echo", "payload": "Hello World"}).body
        assert service.wait_task(task["id"])["result"] == "echo: Hello World"
        assert service.terminate() == 0


def _pip(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
