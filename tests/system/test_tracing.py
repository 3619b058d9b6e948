"""Tracing through a whole service: what a client sends, what the log says, and the spans of OpenTelemetry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.conftest import Service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def spans_of(path: Path) -> dict[str, dict[str, Any]]:
    """All spans by id, whatever process has sent them."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return {span["context"]["span_id"]: span for span in found}


def of_task(spans: dict[str, dict[str, Any]], task: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Those of a task that have this name, in the order of their attempts."""
    found = [each for each in spans.values() if each["attributes"].get("messaging.message.id") == task["id"]]
    return sorted(
        (each for each in found if each["name"] == name), key=lambda each: each["attributes"].get("taskq.attempt", 0)
    )


def inside(spans: dict[str, dict[str, Any]], outer: dict[str, Any]) -> list[str]:
    """The names of what happened directly below a span."""
    return [each["name"] for each in spans.values() if each["parent_id"] == outer["context"]["span_id"]]


def test_a_trace_leads_from_the_request_through_every_attempt_into_the_handler(service: Service) -> None:
    sent = service.directory / "spans"
    tasks = {"import": ["tests.system.telemetry"], "defaults": {"backoff": {"first": 0}}}
    service.start({"tasks": tasks}, env={"TASKQ_TEST_SPANS": str(sent)}).wait_ready()
    assert not service.lines("handlers.warned")

    failing = service.post("/tasks", {"type": "traced", "payload": {"fail": True}}, HEADERS).body
    untraced = service.post("/tasks", {"type": "traced"}).body
    isolated = service.post("/tasks", {"type": "traced.alone"}).body
    dying = service.post("/tasks", {"type": "traced.alone", "payload": {"die": True}}).body
    outer = service.post("/tasks", {"type": "traced.chain"}).body
    ended = {task["id"]: service.wait_task(task["id"]) for task in (failing, untraced, isolated, dying, outer)}
    inner = service.wait_task(ended[outer["id"]]["result"])
    assert service.terminate() == 0

    spans = spans_of(sent)
    (enqueue,) = of_task(spans, failing, "enqueue default")
    first, second = of_task(spans, failing, "process default")
    assert (enqueue["kind"], enqueue["parent_id"]) == ("SpanKind.PRODUCER", f"0x{SPAN}")
    assert ended[failing["id"]]["result"] == f"00-{TRACE}-{enqueue['context']['span_id'][2:]}-01"
    assert [run["parent_id"] for run in (first, second)] == [enqueue["context"]["span_id"]] * 2
    assert [run["links"][0]["context"] for run in (first, second)] == [enqueue["context"]] * 2
    assert [run["attributes"]["taskq.outcome"] for run in (first, second)] == ["retried", "completed"]
    assert [run["status"]["status_code"] for run in (first, second)] == ["ERROR", "UNSET"]
    assert first["events"][0]["attributes"]["exception.message"] == "boom"
    assert inside(spans, first) == inside(spans, second) == ["inside"]
    assert {line["event"] for line in service.lines(trace_id=TRACE, task_id=failing["id"])} == {
        "task.enqueued",
        "task.started",
        "task.retried",
        "task.completed",
    }

    (begun,) = of_task(spans, untraced, "enqueue default")
    assert (begun["parent_id"], begun["context"]["trace_id"][2:]) == (None, untraced["traceparent"][3:35])

    (alone,) = of_task(spans, isolated, "process default")
    assert inside(spans, alone) == ["inside alone"]
    crashes = of_task(spans, dying, "process default")
    assert [run["attributes"]["taskq.outcome"] for run in crashes] == ["crashed"] * len(crashes)
    assert len(crashes) == ended[dying["id"]]["attempt"] > 1

    (chained,) = of_task(spans, inner, "enqueue default")
    (chain,) = of_task(spans, outer, "process default")
    assert chained["parent_id"] == chain["context"]["span_id"]
