"""Every query of the shipped dashboard and alerts asks for metrics and labels that a real scrape has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from taskq.queue.queue import Queue
from taskq.task import ErrorDetail, ErrorKind
from tests.integration.steps import DETAIL, enqueued, joined, started

CONF = Path(__file__).parents[2] / "conf"
_BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_METRIC = re.compile(r"\b(taskq_\w+|up)\b(?:\{([^}]*)\})?")


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads((CONF / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return board


def queries() -> list[str]:
    board = dashboard()
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
    api.simulate_get("/queues")
    found: dict[str, set[str]] = {"up": {"job", "instance"}}  # which Prometheus adds
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
    board = dashboard()
    for target in (target for panel in board["panels"] for target in panel["targets"]):
        kept = {label.strip() for group in _BY.findall(target["expr"]) for label in group.split(",")}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, target


def test_the_configuration_of_prometheus_names_the_rules() -> None:
    settings = yaml.safe_load((CONF / "prometheus.yml").read_text(encoding="utf-8"))

    assert [(CONF / name).is_file() for name in settings["rule_files"]] == [True]


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


@needs_promtool
def test_promtool_accepts_the_configuration_and_a_scrape(api: TestClient, series: dict[str, set[str]]) -> None:
    promtool("check", "config", str(CONF / "prometheus.yml"))
    promtool("check", "metrics", given=api.simulate_get("/metrics").content)


@needs_promtool
def test_every_query_of_the_dashboard_has_an_answer(api: TestClient, series: dict[str, set[str]], tmp_path: Path) -> None:
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    filled = [query.replace("$__rate_interval", "1m").replace("$queue", ".*") for query in asked]

    evaluate(tmp_path, rising(api.simulate_get("/metrics").text), {f"count({query}) > bool 0": 1 for query in filled})


QUIET = {
    'taskq_queue_oldest_wait_seconds{queue="mail"}': "20x80",
    'taskq_queue_paused{queue="mail"}': "0x80",
    'taskq_queue_tasks{queue="mail",status="pending"}': "5x80",
    'taskq_workers{queue="mail"}': "1x80",
    'taskq_dead_letters_total{queue="mail",type="send",reason="failed"}': "100x80",
    'taskq_crashes_total{queue="mail",type="send",cause="SIGKILL"}': "100x80",
    'taskq_leases_lost_total{queue="mail"}': "100x80",
    "taskq_redis_persistent": "1x80",
    'up{job="taskq",instance="here"}': "1x80",
}
TROUBLE = {
    "TaskqQueueStalls": {'taskq_queue_oldest_wait_seconds{queue="mail"}': "0+15x80"},
    "TaskqDeadLettersGrow": {'taskq_dead_letters_total{queue="mail",type="send",reason="failed"}': "100+1x80"},
    "TaskqNoWorkers": {'taskq_workers{queue="mail"}': "0x80"},
    "TaskqCrashes": {'taskq_crashes_total{queue="mail",type="send",cause="SIGKILL"}': "100+1x80"},
    "TaskqLeasesLost": {'taskq_leases_lost_total{queue="mail"}': "100+1x80"},
    "TaskqRedisNotPersistent": {"taskq_redis_persistent": "0x80"},
    "TaskqUnreachable": {'up{job="taskq",instance="here"}': "0x80"},
}
"""Twenty minutes in steps of 15 s without any trouble, and what is different when there is some."""

NO_TROUBLE = [{}, {**TROUBLE["TaskqQueueStalls"], 'taskq_queue_paused{queue="mail"}': "1x80"}]
FIRING = 'count(ALERTS{alertstate="firing"})'


@needs_promtool
@pytest.mark.parametrize("alert", TROUBLE)
def test_an_alert_fires_when_there_is_trouble(tmp_path: Path, alert: str) -> None:
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'

    evaluate(tmp_path, QUIET | TROUBLE[alert], {firing: 1, FIRING: 1})


@needs_promtool
@pytest.mark.parametrize("different", NO_TROUBLE)
def test_no_alert_fires_without(tmp_path: Path, different: dict[str, str]) -> None:
    evaluate(tmp_path, QUIET | different, {f"{FIRING} or vector(0)": 0})


def test_every_alert_has_its_trouble() -> None:
    rules = yaml.safe_load((CONF / "alerts.yml").read_text(encoding="utf-8"))

    assert {rule["alert"] for group in rules["groups"] for rule in group["rules"]} == set(TROUBLE)


def rising(scrape: str) -> dict[str, str]:
    """The series of a scrape, as if what can grow had grown to this with every scrape."""
    found = {}
    for family in text_string_to_metric_families(scrape):
        for sample in family.samples:
            labels = ",".join(f"{name}={json.dumps(value)}" for name, value in sample.labels.items())
            grows = family.type in ("counter", "histogram")
            found[f"{sample.name}{{{labels}}}"] = f"0+{sample.value:g}x80" if grows else f"{sample.value:g}x80"
    return found


def evaluate(directory: Path, series: dict[str, str], expected: dict[str, float]) -> None:
    """Have promtool evaluate queries, and the alerts, after twenty minutes of these series."""
    tests = {
        "rule_files": [str(CONF / "alerts.yml")],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": query, "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": value}]}
                    for query, value in expected.items()
                ],
            }
        ],
    }
    (directory / "tests.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    promtool("test", "rules", str(directory / "tests.yml"))


def promtool(*args: str, given: bytes = b"") -> None:
    done = subprocess.run(["promtool", *args], input=given, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
