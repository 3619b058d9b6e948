"""The decorator keeps the signature, for a type checker too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mypy import api

EXAMPLE = Path(__file__).with_name("typed_tasks.py")
ROOT = Path(__file__).parents[2]


def strictly(path: Path, cache: Path) -> tuple[str, int]:
    """What mypy --strict, with no configuration of ours, says about a file."""
    options = ["--strict", "--config-file", os.devnull, "--cache-dir", str(cache), "--follow-imports", "silent"]
    out, errors, code = api.run([*options, str(path)])
    return out + errors, code


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_the_example_has_exactly_the_errors_that_it_says(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    report, code = strictly(EXAMPLE, cache)

    assert code == 0, report


def test_a_wrong_payload_is_named_with_the_signature_that_was_expected(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    source = tmp_path / "wrong.py"
    source.write_text(f"{EXAMPLE.read_text()}\n\nresize.enqueue(path=3)\nreveal_type(resize)\n")

    report, code = strictly(source, cache)

    assert code == 1
    assert "def enqueue(self, path: str, width: int = ...) -> Receipt[dict[str, int]]" in report
    assert "TaskFunction[[Context, path: str, width: int =], [path: str, width: int =], dict[str, int]]" in report.replace(
        "taskq.client.typed.", ""
    ).replace("taskq.worker.context.", "")
