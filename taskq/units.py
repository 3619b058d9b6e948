"""Durations and sizes as people write them. Pure functions of values; the same words in the configuration and over HTTP."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import msgspec

DURATION = 'a duration up to 36500d such as 30, "500ms", "5m" or "1h30m"'
RATE = 'a rate up to 100000 starts in at most a day such as "100/1m", "5/s" or 0 for none'
SIZE = 'a size such as 1048576, "64KiB" or "1.5GiB"'

MAX_DURATION_S = 36500 * 86400
"""A moment plus this many seconds still is a date that can be printed."""

MAX_RATE_COUNT = 100_000
"""The starts of one period are all remembered."""

_MAX_RATE_S = 86400.0
_SHOWN_MAX = 80
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?)"
_PLAIN = re.compile(_NUMBER + r"\Z")
_MS_PER_UNIT = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
# Each unit once and the largest first, so that "5m1h" or "1h1h" is a typing error and not a sum.
_COMPOUND = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _MS_PER_UNIT) + r"\Z")
_BYTES_PER_UNIT = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for suffix, base in (("ib", 1024), ("b", 1000))
    for power, prefix in enumerate("kmgt", start=1)
}
_SIZE = re.compile(_NUMBER + r" ?([A-Za-z]{0,3})\Z")


class Rate(msgspec.Struct, frozen=True):
    """At most `count` starts in any time of `period_s` seconds; a count of 0 means no limit."""

    count: int
    period_s: float


NO_RATE = Rate(0, 0.0)


def parse_rate(value: object) -> Rate:
    """The rate of a text such as "100/1m", "5/s" or "10/500ms"; a zero, as a number or text, is `NO_RATE`.

    Raises ValueError, with a sentence for the person who wrote the value, for anything else.
    """
    rate = _rate(value)
    if rate is None or rate.count > MAX_RATE_COUNT:
        raise ValueError(f"expected {RATE}, got {shown(value)}")
    return rate


def format_rate(rate: Rate) -> str:
    """The text that `parse_rate` reads back as this rate: "100/1m"."""
    return f"{rate.count}/{format_duration(rate.period_s)}" if rate.count else "0"


def parse_duration(value: object) -> float:
    """Seconds of a number, a numeric string or a text such as "500ms" or "1h30m".

    Raises ValueError, with a sentence for the person who wrote the value, for anything else: negative, not finite, over
    a hundred years, a boolean.
    """
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds <= MAX_DURATION_S:
        raise ValueError(f"expected {DURATION}, got {shown(value)}")
    return float(seconds)


def parse_size(value: object) -> int:
    """Bytes of an integer, a string of digits or a text such as "64KiB" (1024 each) or "10KB" (1000 each).

    A part of a byte is dropped. Raises ValueError, with a sentence for the person who wrote the value, for anything else.
    """
    size = _bytes(value)
    if size is None or not 0 <= size < 2**63:
        raise ValueError(f"expected {SIZE}, got {shown(value)}")
    return size


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back as exactly this number: 5400.0 is "1h30m"."""
    rest_ms = round(seconds * 1000)
    if rest_ms / 1000 != seconds:
        return f"{Decimal(repr(seconds)):f}s"
    if rest_ms < 1000:
        return f"{rest_ms}ms" if rest_ms else "0s"
    parts = []
    for unit in ("d", "h", "m"):
        count, rest_ms = divmod(rest_ms, _MS_PER_UNIT[unit])
        parts += [f"{count}{unit}"] * bool(count)
    parts += [f"{rest_ms / 1000:g}s"] * bool(rest_ms)
    return "".join(parts)


def format_size(size_bytes: int) -> str:
    """A text that `parse_size` reads back as exactly this number, in the largest unit that leaves no fraction: "1MiB"."""
    if size_bytes == 0:
        return "0"
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        count, rest = divmod(size_bytes, _BYTES_PER_UNIT[unit.lower()])
        if not rest:
            return f"{count}{unit}"
    return f"{size_bytes}B"


def shown(value: object) -> str:
    """How a refused value is quoted in a message: never longer than 80 characters, never the inside of a mapping."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        text = "[" + ", ".join("a list" if isinstance(item, (list, tuple)) else shown(item) for item in value[:20]) + "]"
    elif isinstance(value, int) and value.bit_length() > 256:
        text = "a number of more than 77 digits"  # Python refuses to print one of thousands
    else:
        text = repr(value[:_SHOWN_MAX] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."


def _seconds(value: object) -> float | Fraction | None:
    if isinstance(value, (int, float)):
        return None if isinstance(value, bool) else value
    if not isinstance(value, str):
        return None
    if _PLAIN.match(text := value.strip()):
        return Fraction(text)
    match = _COMPOUND.match(text)
    if not text or match is None:
        return None
    # Fractions, because the sum of "0.1s" and "0.2ms" in binary floating point would not be read back the same.
    counts = zip(match.groups(), _MS_PER_UNIT.values(), strict=True)
    return sum((Fraction(count) * unit_ms / 1000 for count, unit_ms in counts if count), Fraction())


def _rate(value: object) -> Rate | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        return None
    if text.strip() == "0":
        return NO_RATE
    count, slash, period = (part.strip() for part in text.partition("/"))
    if not slash or not re.fullmatch(r"[1-9][0-9]{0,9}", count):
        return None
    try:
        period_s = parse_duration(f"1{period}" if period in _MS_PER_UNIT else period)
    except ValueError:
        return None
    return Rate(int(count), period_s) if 0.001 <= period_s <= _MAX_RATE_S else None


def _bytes(value: object) -> int | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    match = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    number, unit = match[1], match[2].lower()
    if unit not in _BYTES_PER_UNIT or (not unit and "." in number):
        return None
    return int(Fraction(number) * _BYTES_PER_UNIT[unit])
