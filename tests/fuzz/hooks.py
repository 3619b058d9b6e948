"""What schemathesis is told beside the document.

Every answer is held to the document by `tests/contract.py` too, which also knows its code words, and is noted. A request
that fits the document may be refused only for a reason that no document can tell, because it depends on what the service
holds at that moment or on two members at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.checks import CheckContext
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.schemas import BaseSchema

from taskq.task import NAME
from tests.contract import Contract

SEEN = "TASKQ_FUZZ_SEEN"
"""The variable with the path of the file that gets a line for every answer: method, path of the document, status, code."""

UNTELLABLE = {
    "idempotency_key_reused": "the key came before, with another body",
    "unknown_type": "no worker has it",
    "unknown_queue": "no worker serves it",
    "batch_refused": "one of the tasks is refused for a reason of this list, or they are for several queues",
}
"""Why a request that fits the document may be refused, by code word."""

BETWEEN_MEMBERS = {
    "/payload": "what fits is said by the type, which is in another member",
    "/expires_in": "more than the delay",
    "/atomic": "not against the query",
}
"""The same for `invalid_members`, by pointer."""

BETWEEN_PARAMETERS = {
    "from": "in the last thirty days",
    "to": "after the beginning",
    "step": "a multiple of a minute, of an hour for an old beginning, and not too many of them",
}
"""The same for `invalid_query`, by parameter."""


_CONTRACTS: list[Contract] = []


@schemathesis.check
def contract(_ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """The answer is one that the document has: status, headers, body and code word."""
    method = response.request.method or ""
    path = unquote(urlsplit(response.request.url or "").path)
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    known = _contract(case.operation.schema)
    _note(known, method, path, response)
    known.check(method, path, response.status_code, headers, response.content)
    return None


@schemathesis.hook
def map_body(_context: HookContext, body: Any) -> Any:
    """Names that only fit the pattern become some that are known here, or hardly a task would be accepted."""
    several = body.get("tasks") if isinstance(body, dict) else None
    for task in several if isinstance(several, list) else [body]:
        if isinstance(task, dict) and "type" in task:
            for member, known in (("queue", "default"), ("type", "echo")):
                if isinstance(task.get(member), str) and NAME.match(task[member]):
                    task[member] = known
    return body


@schemathesis.hook
def filter_failure(_context: HookContext, failure: Failure, _case: Case, response: Response) -> bool:
    """Keeps every failure but those of a refusal that the document cannot tell."""
    return not (isinstance(failure, RejectedPositiveData) and untellable(_problem(response)))


def untellable(problem: Mapping[str, Any]) -> bool:
    """Whether a refusal has a reason that no document can tell."""
    code, faults = problem.get("code"), problem.get("errors", [])
    if code == "invalid_query":
        return bool(faults) and {fault.get("parameter") for fault in faults} <= BETWEEN_PARAMETERS.keys()
    if code == "invalid_members":
        pointers = {"/" + fault.get("pointer", "").split("/")[1] if fault.get("pointer") else "" for fault in faults}
        return bool(pointers) and pointers <= BETWEEN_MEMBERS.keys()
    return code in UNTELLABLE


def _note(known: Contract, method: str, path: str, response: Response) -> None:
    if SEEN in os.environ:
        template = known.template(path) or "-"
        code = _problem(response).get("code", "-")
        with open(os.environ[SEEN], "a") as file:
            file.write(f"{method} {template} {response.status_code} {code}\n")


def _problem(response: Response) -> dict[str, Any]:
    """The body of an error; nothing for any other answer."""
    if response.status_code < 400 or not response.content:
        return {}
    try:
        found = json.loads(response.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _contract(schema: BaseSchema) -> Contract:
    """A run has one schema."""
    if not _CONTRACTS:
        _CONTRACTS.append(Contract(schema.raw_schema))
    return _CONTRACTS[0]
