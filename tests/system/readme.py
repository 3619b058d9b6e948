"""The README as something to follow: its chapters, its marked blocks, and a shell to type them into."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.system.conftest import ROOT

BLOCK = re.compile(r"<!-- (?P<kind>file|command|answer): (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)


def chapter(title: str) -> str:
    """The text of a chapter."""
    text = (ROOT / "README.md").read_text()
    start = text.index(f"\n## {title}\n")
    return text[start : text.index("\n## ", start + 1)]


def blocks(title: str) -> dict[tuple[str, str], str]:
    """The marked blocks of a chapter by kind and name, in order."""
    return {(m["kind"], m["name"]): m["text"] for m in BLOCK.finditer(chapter(title))}


def shell(command: str, directory: Path, **variables: str) -> str:
    """What a command prints; the test fails if it does."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        ["sh", "-c", command], cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
