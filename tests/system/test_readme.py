"""The chapter "Writing tasks" of the README, followed by the letter: its files are written, its commands run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import ROOT, StartService
from tests.system.readme import blocks, shell

WRITING = blocks("Writing tasks")


def write_files(directory: Path) -> None:
    for (kind, name), text in WRITING.items():
        if kind == "file":
            (directory / name).write_text(text)


def part_of(wanted: Any, got: Any) -> bool:
    """True if `got` has everything that `wanted` shows. Ids differ from run to run."""
    return all(name == "id" or got.get(name) == value for name, value in wanted.items())


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_first_task_is_served_and_submitted_as_told(start_service: StartService, tmp_path: Path) -> None:
    write_files(tmp_path)
    variable, command = WRITING["command", "serve"].split(" ", 1)
    assert command == ".venv/bin/taskq run\n"
    name, value = variable.split("=")

    service = start_service(env={name: value, "PYTHONPATH": f"{ROOT}:{tmp_path}"})

    for told in ("submit", "refused"):
        answer = shell(WRITING["command", told].replace("http://", "").replace("localhost:8080", service.url), tmp_path)
        assert part_of(json.loads(WRITING["answer", told]), json.loads(answer)), answer


def test_the_test_of_the_first_task_passes(tmp_path: Path) -> None:
    """In a clone too, whose settings want a plugin: no others than those that were installed are there."""
    write_files(tmp_path)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    installed, command = WRITING["command", "pytest"].split(" && ")
    assert installed == ".venv/bin/pip install -q pytest pytest-timeout"
    command = command.replace(".venv/bin/pytest", f"{sys.executable} -m pytest -q -p pytest_timeout")

    assert "4 passed" in shell(command, tmp_path, PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def test_every_block_of_the_chapter_is_one_that_these_tests_use() -> None:
    assert set(WRITING) == {
        ("file", "mytasks.py"),
        ("file", "test_mytasks.py"),
        ("command", "serve"),
        ("command", "submit"),
        ("command", "refused"),
        ("command", "pytest"),
        ("answer", "submit"),
        ("answer", "refused"),
    }
