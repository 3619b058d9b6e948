"""The vocabulary of events, and lines that reach the output whole."""

from __future__ import annotations

import ast
import io
import json
import logging
import logging.config
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import taskq
from taskq import log
from taskq.log import EVENTS, emit
from taskq.task import Attempt
from taskq.worker.context import Context

ROOT = Path(taskq.__file__).parent
PAYLOAD_WORDS = {"payload", "result", "password", "token", "args", "kwargs"}
"""Fields that would put what a client sent, or a secret, into the log."""
RECORD_WORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Fields that logging refuses, since every record has them."""


class Output:
    """What a process wrote, one entry for each system call."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.to: list[int] = []
        self.takes = 10**9

    def write(self, fd: int, data: bytes) -> int:
        self.writes.append(bytes(data[: self.takes]))
        self.to.append(fd)
        return len(self.writes[-1])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in b"".join(self.writes).splitlines()]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Output]:
    output = Output()
    monkeypatch.setattr(os, "write", output.write)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield output
    root.handlers[:] = kept
    root.setLevel(level)
    log.identify()


# -- the vocabulary


@cache
def trees() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in ROOT.rglob("*.py") if path.name != "log.py"}


@cache
def emits() -> list[tuple[str, ast.Call]]:
    """Every call of emit, with its file."""
    return [
        (file, node)
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit"
    ]


def texts(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_event_in_the_code_is_listed() -> None:
    unknown = [
        f"{file}:{call.lineno}: {text}" for file, call in emits() for text in texts(call.args[0]) if text not in EVENTS
    ]

    assert len(emits()) > 30
    assert unknown == []


def test_every_listed_event_is_used() -> None:
    used = set().union(*(texts(tree) for tree in trees().values()))

    assert EVENTS.keys() - used == set()


def test_every_event_is_a_noun_and_a_past_verb() -> None:
    assert [event for event in EVENTS if not event.replace("_", "").replace(".", "", 1).isalpha()] == []
    assert all(meaning and not meaning.endswith(".") for meaning in EVENTS.values())


def test_no_call_logs_what_a_client_sent_or_a_secret() -> None:
    fields = {keyword.arg for _, call in emits() for keyword in call.keywords}

    assert fields & PAYLOAD_WORDS == set()


def test_no_call_uses_a_field_that_logging_refuses() -> None:
    fields = {keyword.arg for _, call in emits() for keyword in call.keywords} - {"message", "level"}

    assert fields & RECORD_WORDS == set()


def test_an_unlisted_event_is_refused(output: Output) -> None:
    log.set_up(level="info", format_="json")

    with pytest.raises(KeyError, match=r"task\.vanished"):
        emit("task.vanished")


# -- lines


def test_a_line_is_one_object_with_time_level_event_and_fields(output: Output) -> None:
    log.set_up(level="info", format_="json")

    emit("task.started", task_id="i", attempt=2)

    (line,) = output.lines
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "task.started",
        "task_id": "i",
        "attempt": 2,
        "message": "a worker began an attempt",
    }


def test_the_identity_of_a_process_is_on_every_line_until_it_changes(output: Output) -> None:
    log.set_up(level="info", format_="json")
    log.identify(process="worker", worker_id="w1")
    emit("task.started")
    log.identify(process="supervisor")
    emit("supervisor.stopped")

    first, second = output.lines
    assert (first["process"], first["worker_id"]) == ("worker", "w1")
    assert second["process"] == "supervisor"
    assert "worker_id" not in second


def test_a_field_of_the_line_beats_the_identity(output: Output) -> None:
    log.set_up(level="info", format_="json")
    log.identify(process="maintenance", worker_id="m1")

    emit("task.reaped", worker_id="w1")

    assert output.lines[0]["worker_id"] == "w1"


def test_what_is_not_known_is_left_out(output: Output) -> None:
    log.set_up(level="info", format_="json")

    emit("task.completed", error=None, delay_s=0)

    assert "error" not in output.lines[0]
    assert output.lines[0]["delay_s"] == 0


@pytest.mark.parametrize("format_", log.FORMATS)
def test_every_line_is_one_write(output: Output, format_: str) -> None:
    log.set_up(level="info", format_=format_)

    for _ in range(3):
        emit("task.failed", logging.ERROR, error="x" * 100_000)

    assert len(output.writes) == 3
    assert all(write.endswith(b"\n") for write in output.writes)


@pytest.mark.parametrize("format_", log.FORMATS)
@pytest.mark.parametrize("text", ["two\nlines", "carriage\rreturn", "\ud800", "\x00", "ä\u2028"])
def test_hostile_text_stays_within_its_line(output: Output, format_: str, text: str) -> None:
    log.set_up(level="info", format_=format_)

    emit("task.failed", error=text)
    emit("task.failed", message=text)

    written = b"".join(output.writes).decode()
    assert written.count("\n") == 2
    assert "\r" not in written


def test_a_terminal_gets_no_control_sequences_from_a_task(output: Output) -> None:
    log.set_up(level="info", format_="console")

    emit("task.failed", error="\x1b]0;owned\x07")

    assert b"\x1b" not in output.writes[0]


def test_a_line_that_the_output_takes_in_parts_is_written_to_its_end(output: Output) -> None:
    log.set_up(level="info", format_="json")
    output.takes = 10

    emit("task.started", task_id="i")

    assert output.lines[0]["task_id"] == "i"


def test_an_output_that_is_gone_ends_nothing(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    log.set_up(level="info", format_="json")

    def gone(fd: int, data: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", gone)

    emit("task.started")


@pytest.mark.parametrize(("level", "expected"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_not_written(output: Output, level: str, expected: int) -> None:
    log.set_up(level=level, format_="json")

    for at in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        emit("task.started", at)

    assert len(output.writes) == expected


def test_a_console_line_shows_what_differs(output: Output) -> None:
    log.set_up(level="info", format_="console")
    log.identify(process="worker")

    emit("task.started", task_id="i", attempt=2)

    line = output.writes[0].decode()
    assert "info" in line
    assert line.rstrip().endswith("a worker began an attempt  process=worker task_id=i attempt=2")


@pytest.mark.parametrize("format_", log.FORMATS)
def test_an_exception_is_logged_with_its_traceback(output: Output, format_: str) -> None:
    log.set_up(level="info", format_=format_)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("taskq.task").exception("it failed")

    assert len(output.writes) == 1
    assert "ValueError: boom" in output.writes[0].decode()


def test_lines_of_other_libraries_look_the_same(output: Output) -> None:
    log.set_up(level="info", format_="json")

    logging.getLogger("waitress").warning("client %s is slow", "x")

    assert output.lines[0]["event"] == "waitress"
    assert output.lines[0]["message"] == "client x is slow"


def test_the_log_of_a_task_bears_its_identity(output: Output) -> None:
    log.set_up(level="info", format_="json")
    attempt = Attempt(id="i", type="echo", queue="default", attempt=2, payload=b'"secret"')

    Context(attempt, "w1", None).log.info("half way", extra={"done": 5})

    line = output.lines[0]
    assert (line["task_id"], line["type"], line["attempt"], line["worker_id"]) == ("i", "echo", 2, "w1")
    assert (line["message"], line["done"]) == ("half way", 5)
    assert "secret" not in output.writes[0].decode()


def test_setting_up_twice_writes_each_line_once(output: Output) -> None:
    log.set_up(level="info", format_="json")
    log.set_up(level="info", format_="json")

    emit("task.started")

    assert len(output.writes) == 1


def test_lines_are_diverted_and_what_handlers_log_goes_into_their_output_too(output: Output) -> None:
    log.set_up(level="info", format_="json")

    log.divert(5, 6)
    emit("task.started")
    log.set_task(task_id="i")
    logging.getLogger("library").info("half way")
    log.set_task()

    assert output.to == [5, 5, 6]
    assert output.writes[2].endswith(b" INFO library: half way\n")


def test_diverting_looks_at_no_logger(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    log.set_up(level="info", format_="json")
    monkeypatch.setattr(logging.root.manager, "loggerDict", None)

    log.divert(5, 6)

    monkeypatch.undo()


MISCHIEF: dict[str, Callable[[], object]] = {
    "root level": lambda: logging.root.setLevel(logging.CRITICAL + 1),
    "our level": lambda: logging.getLogger("taskq").setLevel(logging.CRITICAL),
    "level of tasks": lambda: logging.getLogger(log.TASK_LOGGER).setLevel(logging.CRITICAL),
    "handlers": lambda: logging.root.handlers.clear(),
    "other handlers": lambda: logging.basicConfig(force=True, stream=io.StringIO()),
    "disable": lambda: logging.disable(logging.CRITICAL),
    "root disabled": lambda: setattr(logging.root, "disabled", True),
    "propagate": lambda: setattr(logging.getLogger("taskq"), "propagate", False),
    "dictConfig": lambda: logging.config.dictConfig({"version": 1}),
}


@pytest.mark.parametrize("what", MISCHIEF)
def test_the_lines_of_the_next_task_come_through_whatever_the_last_one_did_to_logging(output: Output, what: str) -> None:
    library, off = logging.getLogger("library.part"), logging.getLogger("library.off")
    off.disabled = True
    log.set_up(level="info", format_="json")

    MISCHIEF[what]()
    log.restore()

    output.writes.clear()
    emit("task.started")
    Context(Attempt(id="i", type="echo", queue="default", attempt=1), "w1", None).log.info("a")
    library.info("b")
    library.debug("too low")
    off.error("switched off before")
    off.disabled = False
    assert [(line["event"], line["message"]) for line in output.lines] == [
        ("task.started", EVENTS["task.started"]),
        ("taskq.task", "a"),
        ("library.part", "b"),
    ]
