"""Batches, as they are sent to the API, and what became of them."""

from __future__ import annotations

from typing import Any

from falcon.testing import Result, TestClient

from taskq.queue.inspect import Inspector

PATH = "/tasks/batch"
LINES = {"Content-Type": "application/x-ndjson"}


def echo(**members: Any) -> dict[str, Any]:
    return {"type": "echo", **members}


def post(api: TestClient, tasks: object, headers: dict[str, str] | None = None, **members: Any) -> Result:
    return api.simulate_post(PATH, json={"tasks": tasks, **members}, headers=headers or {})


def post_lines(api: TestClient, *lines: str, query: str = "") -> Result:
    return api.simulate_post(PATH, body="\n".join(lines), headers=LINES, query_string=query)


def statuses(answer: Result) -> list[int]:
    return [entry["status"] for entry in answer.json]


def stored(inspector: Inspector) -> list[str]:
    return [task.id for task in inspector.page(limit=2000).tasks]
