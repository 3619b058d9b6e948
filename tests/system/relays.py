"""Task types that submit tasks themselves."""

from __future__ import annotations

from taskq import Context, task


@task("relay.leaf")
def leaf(ctx: Context, number: int) -> int:
    return number * 2


@task("relay.send")
def send(numbers: list[int]) -> list[str]:
    """Submits one task for each number and does not wait."""
    return [receipt.id for receipt in leaf.enqueue_many([{"number": number} for number in numbers])]


@task("relay.wait")
def wait(number: int) -> int:
    """Waits for the task that it submits, which another worker must do."""
    return leaf.enqueue(number=number, _priority="high").wait(20) + 1
