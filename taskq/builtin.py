"""The five built-in task types, as the origin service has them. Importing this module registers them."""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

import msgspec

from taskq.errors import InvalidPayload
from taskq.registry import task

SLOW_S = 5


@task("echo")
def echo(payload: Any = "") -> str:
    """The payload again, behind a prefix; what is not a string is shown as JSON."""
    return f"echo: {payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)}"


@task("reverse")
def reverse(payload: Any = "") -> str:
    """The payload from its last character to its first."""
    if not isinstance(payload, str):
        raise InvalidPayload("expected a string")
    return payload[::-1]


@task("sum")
def sum_numbers(payload: Any = None) -> str:
    """The sum of a JSON array of numbers, given as such or inside a string, with two decimals."""
    try:
        numbers = msgspec.json.decode(payload, type=list[float]) if isinstance(payload, str) else payload
        numbers = msgspec.convert(numbers, list[float], strict=True)
        total = math.fsum(numbers)
    except (msgspec.MsgspecError, UnicodeError, ValueError, OverflowError) as error:
        raise InvalidPayload("expected JSON array of numbers") from error
    if not math.isfinite(total):
        raise InvalidPayload("expected JSON array of numbers")
    return f"{total:.2f}"


@task("slow")
def slow(payload: Any = None) -> str:  # noqa: ARG001 - any payload is taken
    """Five seconds of waiting."""
    time.sleep(SLOW_S)
    return f"completed after {SLOW_S} seconds"


@task("flaky")
def flaky(payload: Any = None) -> str:
    """Fails half of the time, at random."""
    if random.random() < 0.5:
        raise RuntimeError("flaky: failed at random")
    return f"flaky: succeeded with {json.dumps(payload, ensure_ascii=False)}"
