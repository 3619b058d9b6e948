"""The chapter "API" of the README, followed by the letter: every curl command against a fresh service, in order."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract import Contract
from tests.system.conftest import ROOT, Service, StartService, wait_until
from tests.system.readme import blocks, chapter, shell

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

WALK = blocks("API")
TOKENS = ("token-new", "token-serve", "token-use")
"""Commands that need a service with tokens."""

DIFFERENT = re.compile(r"\A(?:[0-9a-f-]{36}|[0-9a-f]{32}|[0-9]{4}-[0-9]{2}-[0-9]{2}T.*Z)\Z")
"""Values that differ from run to run; what is shown must look the same."""

NOT_WALKED = {
    ("GET", "/docs/{name}"),  # the browser does
    *(("POST", f"/schedules/{{name}}/{verb}") for verb in ("pause", "resume", "run")),  # of which a fresh service has none
    ("GET", "/schedules/{name}"),
}

LIMIT_S = 20.0


def covers(wanted: Any, got: Any) -> bool:
    """True if `got` has everything that `wanted` shows."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(name in got and covers(value, got[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(covers, wanted, got))
    if isinstance(wanted, str) and DIFFERENT.match(wanted):
        return isinstance(got, str) and len(got) == len(wanted) and DIFFERENT.match(got) is not None
    return bool(wanted == got)


def agrees(wanted: str, got: str) -> bool:
    """True if an answer is what the README shows: a text, JSON, or status, headers and JSON."""
    if not wanted.startswith("HTTP/"):
        return same_body(wanted, got)
    (shown, _, body), (head, _, content) = wanted.partition("\n\n"), got.replace("\r\n", "\n").partition("\n\n")
    status, *headers = shown.strip().split("\n")
    answered, *lines = head.split("\n")
    there = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return (
        status == answered
        and all(
            header_agrees(value, there.get(name.lower())) for name, _, value in (line.partition(": ") for line in headers)
        )
        and same_body(body, content)
    )


def same_body(wanted: str, got: str) -> bool:
    """True for JSON that has everything which is shown, and for the same text."""
    try:
        return covers(json.loads(wanted), json.loads(got))
    except ValueError:
        return wanted.strip() == got.strip()


def header_agrees(wanted: str, got: str | None) -> bool:
    """True for the same value, where dots stand for anything and one id is as good as another."""
    pattern = re.escape(re.sub(r"[0-9a-f-]{36}", "<id>", wanted)).replace("<id>", "[0-9a-f-]{36}").replace(r"\.\.\.", ".+")
    return got is not None and re.fullmatch(pattern, got) is not None


class Walk:
    """A reader with a terminal, who puts in the ids that he was shown."""

    def __init__(self, service: Service, directory: Path) -> None:
        self._address = service.url.removeprefix("http://")
        self._directory = directory
        self._ids = {"ID": "", "OPERATION": "", "WORKER": ""}

    def does(self, name: str) -> None:
        """Run a command and compare; one that only looks may be run again, for what has to happen first."""
        command = WALK["command", name].replace("localhost:8080", self._address)
        wanted = WALK.get(("answer", name))
        assert wanted is not None, f"{name} has no answer"
        got = shell(command, self._directory, **self._ids)
        if " -d " not in command and " -X " not in command and "--data" not in command:
            got = wait_until(lambda: self._again(command, wanted), LIMIT_S, f"{command} answers {wanted}, it was {got}")
        assert agrees(wanted, got), f"{command}\nanswered\n{got}\nthe README says\n{wanted}"
        self._remember(got)

    def _again(self, command: str, wanted: str) -> str:
        got = shell(command, self._directory, **self._ids)
        return got if agrees(wanted, got) else ""

    def _remember(self, got: str) -> None:
        try:
            shown = json.loads(got.replace("\r\n", "\n").rpartition("\n\n")[2])
        except ValueError:
            return
        if isinstance(shown, dict) and "id" in shown:
            self._ids["OPERATION" if "action" in shown else "ID"] = shown["id"]
        elif isinstance(shown, list) and shown and "pool" in shown[-1]:
            self._ids["WORKER"] = shown[-1]["id"]


def test_every_command_of_the_chapter_answers_as_shown(start_service: StartService, tmp_path: Path) -> None:
    service = start_service({"logging": {"level": "debug"}})
    walk = Walk(service, tmp_path)

    for kind, name in WALK:
        if kind == "command" and name not in TOKENS:
            walk.does(name)

    contract = Contract(service.get("/openapi.json").body)
    made = {(line["method"], contract.template(line["path"])) for line in service.lines("request.handled")}
    calls = {(method.upper(), path) for path, methods in contract.document["paths"].items() for method in methods}
    assert calls - made == NOT_WALKED, "what a walk along the API leaves out"


def test_a_token_is_made_and_used_as_told(start_service: StartService, tmp_path: Path) -> None:
    make = WALK["command", "token-new"].replace("taskq ", f"{sys.executable} -m taskq ", 1)
    token = shell(make, tmp_path, PYTHONPATH=str(ROOT)).strip()
    variable, command = WALK["command", "token-serve"].split(" ", 1)
    assert command == "taskq run\n"
    name, value = variable.split("=")
    service = start_service(env={name: str(tmp_path / value)})

    for given, status in ((token, 200), ("x", 401)):
        use = WALK["command", "token-use"].replace("localhost:8080", service.url).replace("curl -s", "curl -si")
        assert shell(use, tmp_path, TOKEN=given).startswith(f"HTTP/1.1 {status} ")


def test_every_curl_of_the_chapter_is_one_that_these_tests_run() -> None:
    fenced = "".join(re.findall(r"```sh\n(.*?)```", chapter("API"), re.DOTALL))
    commands = {name for kind, name in WALK if kind == "command"}

    assert fenced.count("curl ") == sum(WALK["command", name].count("curl ") for name in commands)
    assert {name for kind, name in WALK if kind == "answer"} == commands - set(TOKENS)
