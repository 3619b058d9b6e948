"""Every query of the shipped dashboard and alerts asks for metrics and labels that a real scrape has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from taskq.queue.queue import Queue
from taskq.task import ErrorDetail, ErrorKind
from tests.integration.steps import DETAIL, enqueued, joined, started

CONF = Path(__file__).parents[2] / "conf"
_BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_METRIC = re.compile(r"\b(taskq_\w+)(?:\{([^}]*)\})?")


def queries() -> list[str]:
    board = json.loads((CONF / "grafana-dashboard.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((CONF / "alerts.yml").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return asked + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


@pytest.fixture
def series(api: TestClient, queue: Queue) -> dict[str, set[str]]:
    """Name of each sample of a scrape, and its labels, after one of everything has happened."""
    me = joined(queue)
    queue.complete(me, started(queue, me), b"1")
    queue.fail(me, started(queue, me), "boom", DETAIL)
    started(queue, me)
    killed = ErrorDetail(kind=ErrorKind.CRASH, message="killed", signal="SIGKILL")
    queue.reap(me, dead=True, max_crashes=1, error="killed", detail=killed)
    enqueued(queue)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(api.simulate_get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_what_a_scrape_has(series: dict[str, set[str]], query: str) -> None:
    asked = _METRIC.findall(query)
    assert asked
    for name, matchers in asked:
        labels = {label.strip() for group in _BY.findall(query) for label in group.split(",")}
        labels |= set(re.findall(r"(\w+)\s*[=!]~?", matchers))
        assert name in series, name
        assert labels <= series[name], (name, labels - series[name])


def test_the_legends_name_labels_that_their_query_keeps() -> None:
    board = json.loads((CONF / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for target in (target for panel in board["panels"] for target in panel["targets"]):
        kept = {label.strip() for group in _BY.findall(target["expr"]) for label in group.split(",")}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, target


def test_the_configuration_of_prometheus_names_the_rules() -> None:
    settings = yaml.safe_load((CONF / "prometheus.yml").read_text(encoding="utf-8"))

    assert [(CONF / name).is_file() for name in settings["rule_files"]] == [True]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_configuration_and_a_scrape(api: TestClient, series: dict[str, set[str]]) -> None:
    subprocess.run(["promtool", "check", "config", str(CONF / "prometheus.yml")], check=True)
    subprocess.run(["promtool", "check", "metrics"], input=api.simulate_get("/metrics").content, check=True)
