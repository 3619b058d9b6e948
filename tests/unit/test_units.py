from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskq.units import (
    DURATION,
    MAX_DURATION_S,
    SIZE,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    shown,
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (30, 30),
        (1.5, 1.5),
        ("30", 30),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("0.1s", 0.1),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("7d", 604_800),
        ("1h30m", 5400),
        ("1d2h3m4s5ms", 93_784.005),
        (" 5m ", 300),
        ("36500d", MAX_DURATION_S),
    ],
)
def test_a_duration_is_read_as_seconds(value: object, seconds: float) -> None:
    parsed = parse_duration(value)

    assert parsed == seconds
    assert type(parsed) is float


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (True, "true"),
        (None, "nothing"),
        (-1, "-1"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (10**400, "a number of more than 77 digits"),
        (MAX_DURATION_S + 1, "3153600001"),
        ("36501d", "'36501d'"),
        ("", "''"),
        ("-5s", "'-5s'"),
        ("5 m", "'5 m'"),
        ("5w", "'5w'"),
        ("5M", "'5M'"),
        ("30m1h", "'30m1h'"),
        ("1h1h", "'1h1h'"),
        ("s", "'s'"),
        ("nan", "'nan'"),
        ("1e3", "'1e3'"),
        ("1_000", "'1_000'"),
        ("٣", "'٣'"),
        ("9" * 5000, "'" + "9" * 76 + "..."),
        ([5], "[5]"),
        ({"s": 5}, "a mapping"),
    ],
)
def test_anything_else_is_refused_as_a_duration_with_a_sentence(value: object, got: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_duration(value)

    assert str(refused.value) == f"expected {DURATION}, got {got}"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0),
        (1024, 1024),
        ("1024", 1024),
        ("512B", 512),
        ("10KB", 10_000),
        ("64KiB", 65_536),
        ("512MiB", 536_870_912),
        ("512mib", 536_870_912),
        ("3MB", 3_000_000),
        ("1GiB", 1_073_741_824),
        ("1.5GiB", 1_610_612_736),
        ("2GB", 2_000_000_000),
        ("1TiB", 2**40),
        ("1TB", 10**12),
        ("1 MiB", 1_048_576),
        ("1.0005KB", 1000),
    ],
)
def test_a_size_is_read_as_bytes(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (False, "false"),
        (None, "nothing"),
        (-1, "-1"),
        (2**63, "9223372036854775808"),
        (1.5, "1.5"),
        ("1.5", "'1.5'"),
        ("-1KiB", "'-1KiB'"),
        ("10M", "'10M'"),
        ("10 bananas", "'10 bananas'"),
        ("KiB", "'KiB'"),
        ("999999999999TiB", "'999999999999TiB'"),
        ("", "''"),
    ],
)
def test_anything_else_is_refused_as_a_size_with_a_sentence(value: object, got: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_size(value)

    assert str(refused.value) == f"expected {SIZE}, got {got}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (0.0001, "0.0001s"),
        (1e-07, "0.0000001s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (30, "30s"),
        (5400, "1h30m"),
        (86_400, "1d"),
        (604_800, "7d"),
        (93_784.005, "1d2h3m4.005s"),
    ],
)
def test_a_duration_is_shown_in_its_shortest_form(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (1, "1B"), (1000, "1000B"), (1536, "1536B"), (65_536, "64KiB"), (1_048_576, "1MiB"), (2**40, "1TiB")],
)
def test_a_size_is_shown_in_the_largest_unit_that_is_exact(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, MAX_DURATION_S * 1000))
def test_a_shown_duration_reads_back_as_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000

    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 999_999_999_999_999))
def test_a_shown_size_reads_back_as_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_a_refused_value_is_quoted_in_at_most_80_characters() -> None:
    assert shown("x" * 10_000) == "'" + "x" * 76 + "..."
    assert shown(["x" * 100] * 100).endswith("...")
    assert len(shown(["\x00" * 100] * 100)) == 80


def test_a_refused_collection_shows_nothing_of_what_is_nested_in_it() -> None:
    assert shown({"password": "hunter2"}) == "a mapping"
    assert shown([{"password": "hunter2"}, ["hunter2"], 1]) == "[a mapping, a list, 1]"
