"""W3C Trace Context: what is carried, and what is ignored."""

from __future__ import annotations

import pytest

from taskq.tracecontext import MAX_STATE, TraceContext, trace_context

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def test_a_valid_traceparent_is_kept_as_it_is() -> None:
    found = trace_context(GIVEN)

    assert found == TraceContext(GIVEN)
    assert found.trace_id == TRACE


def test_space_around_a_header_means_nothing() -> None:
    assert trace_context(f" {GIVEN}\t") == TraceContext(GIVEN)


@pytest.mark.parametrize("flags", ["00", "01", "02", "ff"])
def test_any_flags_are_valid(flags: str) -> None:
    assert trace_context(f"00-{TRACE}-{SPAN}-{flags}") == TraceContext(f"00-{TRACE}-{SPAN}-{flags}")


@pytest.mark.parametrize(
    "given", [f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", f"01-{TRACE}-{SPAN}-fd"]
)
def test_of_a_later_version_the_known_part_is_kept(given: str) -> None:
    assert trace_context(given) == TraceContext(GIVEN)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "x",
        TRACE,
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"{GIVEN},{GIVEN}",
        f"{GIVEN}\n",
        f"0-{TRACE}-{SPAN}-01",
        "\u0660\u0660" + GIVEN[2:],
    ],
)
def test_a_malformed_traceparent_is_ignored(given: str | None) -> None:
    assert trace_context(given, "a=1") is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ("a=1 , b=2,\t,", "a=1,b=2"),
        ("fw529a3039@dt=x y", "fw529a3039@dt=x y"),
        (None, ""),
        ("", ""),
        ("a", ""),
        ("A=1", ""),
        ("a=", ""),
        ("a=1,a=2", ""),
        ("a=1=2", ""),
        ("a=\u00e4", ""),
        ("a=1,b", ""),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        ("a=" + "x" * 256 + ",b=" + "x" * (MAX_STATE - 261), "a=" + "x" * 256 + ",b=" + "x" * (MAX_STATE - 261)),
        ("a=" + "x" * 256 + ",b=" + "x" * (MAX_STATE - 260), ""),
    ],
)
def test_a_tracestate_is_carried_whole_or_not_at_all(given: str | None, kept: str) -> None:
    assert trace_context(GIVEN, given) == TraceContext(GIVEN, kept)
