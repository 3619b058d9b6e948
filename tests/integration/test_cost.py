"""What a task costs Redis does not grow unnoticed."""

from __future__ import annotations

import pytest

from tests.bench import guard
from tests.integration.conftest import server_binary


@pytest.fixture(scope="module")
def costs() -> guard.Costs:
    return guard.measure(server_binary())


def test_no_task_costs_more_trips_commands_or_bytes_than_the_baseline_allows(costs: guard.Costs) -> None:
    worse = guard.worse(costs, guard.baseline())
    assert not worse, f"{worse}; if that has its reason, write a new one: python -m tests.bench.guard --write"


def test_a_busy_worker_makes_one_trip_for_each_task(costs: guard.Costs) -> None:
    own = 3 / guard.MANY  # the first claim, the leave, and one more for what it finds out at its start
    assert 1 <= costs["a busy worker, each task"]["scripts"] <= 1 + own


def test_more_of_anything_is_worse_but_for_the_compact_form() -> None:
    allowed = {"it": {"commands": 2.0, "compact": 1.0}}
    assert guard.worse({"it": {"commands": 2.0, "compact": 1.0}}, allowed) == []
    assert guard.worse({"it": {"commands": 3.0, "compact": 0.0}}, allowed) == [
        "it: commands is 3, the baseline 2",
        "it: compact is 0, the baseline 1",
    ]
