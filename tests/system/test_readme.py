"""The chapter "Writing tasks" of the README, followed by the letter: its files are written, its commands run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import ROOT, StartService

BLOCK = re.compile(r"<!-- (?P<kind>file|command|answer): (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)


def blocks(chapter: str) -> dict[tuple[str, str], str]:
    """The marked blocks of a chapter by kind and name."""
    text = (ROOT / "README.md").read_text()
    start = text.index(f"\n## {chapter}\n")
    return {(m["kind"], m["name"]): m["text"] for m in BLOCK.finditer(text[start : text.index("\n## ", start + 1)])}


WRITING = blocks("Writing tasks")


def write_files(directory: Path) -> None:
    for (kind, name), text in WRITING.items():
        if kind == "file":
            (directory / name).write_text(text)


def shell(command: str, directory: Path) -> str:
    done = subprocess.run(["sh", "-c", command], cwd=directory, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
    write_files(tmp_path)
    command = WRITING["command", "pytest"].replace(".venv/bin/pytest", f"PYTHONPATH={ROOT} {sys.executable} -m pytest -q")

    assert "4 passed" in shell(command, tmp_path)


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
