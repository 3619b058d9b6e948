"""The results as text and as a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

import msgspec

from tests.bench.peers import PEERS
from tests.bench.stage import spread


class Column(msgspec.Struct, frozen=True):
    """One figure: its name, its heading, how many decimals, and whether less is better."""

    key: str
    heading: str
    decimals: int = 0
    less: bool = False


SPEED = (
    Column("drain", "drain, tasks/s"),
    Column("drain_ahead", "with `prefetch: 16`"),
    Column("single", "enqueue/s, singly"),
    Column("bulk", "enqueue/s, in bulk"),
    Column("latency_p50", "to start, p50 ms", 2, True),
    Column("latency_p99", "p99 ms", 2, True),
)
COST = (
    Column("burn_1", "CPU efficiency at 1 ms, %", 1),
    Column("burn_ahead", "1 ms, `prefetch: 16`", 1),
    Column("burn_10", "10 ms", 1),
    Column("burn_100", "100 ms", 1),
    Column("memory", "idle tree, PSS MiB", 0, True),
    Column("commands", "Redis commands a task", 1, True),
    Column("moved_bytes", "bytes moved a task", 0, True),
    Column("stored_bytes", "bytes kept of a task", 0, True),
)
NOT_KEPT = "what a peer keeps of an ended task differs: some keep nothing"


class Results(msgspec.Struct):
    """All that a run found: of each peer, of each figure, the values of every repetition."""

    server: str
    machine: str
    repeats: int
    versions: dict[str, str] = {}
    figures: dict[str, dict[str, list[float]]] = {}
    floor: dict[str, float] = {}
    errors: list[str] = []


def machine() -> str:
    """The machine in a few words."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def markdown(results: Results) -> str:
    """The whole result."""
    parts = [
        "# Measured by `python -m tests.bench`",
        f"{results.machine}; {results.server}, append-only file off; two worker processes. Median of {results.repeats}, "
        "with the least and the most where they differ by more than a twentieth.",
        _table("Speed", SPEED, results),
        _table(f"Cost ({NOT_KEPT})", COST, results),
        _grown(results),
        _alone(results),
        _crowds(results),
        _settings(results),
    ]
    if results.floor:
        rows = [f"| {name} | {value:,.0f} |" for name, value in results.floor.items()]
        parts.append(
            "\n".join(["## redis-benchmark, requests/s, 2 clients", "", "| command x pipeline | |", "|---|---|", *rows])
        )
    if results.errors:
        parts.append("\n".join(["## What failed", "", *(f"- {line[:300]}" for line in results.errors)]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(title: str, columns: Sequence[Column], results: Results) -> str:
    known = [column for column in columns if any(column.key in own for own in results.figures.values())]
    if not known:
        return ""
    rows = [f"| {name} | " + " | ".join(_cell(own.get(c.key), c.decimals) for c in known) + " |"
            for name, own in results.figures.items()]  # fmt: skip
    head = "| | " + " | ".join(column.heading for column in known) + " |"
    return "\n".join([f"## {title}", "", head, "|---" * (len(known) + 1) + "|", *rows])


def _cell(values: Sequence[float] | None, decimals: int) -> str:
    if not values:
        return ""
    middle, least, most = spread(values)
    text = f"{middle:,.{decimals}f}"
    return text if most - least <= 0.05 * middle else f"{text} ({least:,.{decimals}f}-{most:,.{decimals}f})"


def _grown(results: Results) -> str:
    depths = sorted({int(key.removeprefix("depth_")) for own in results.figures.values() for key in own if "depth_" in key})
    columns = [Column(f"depth_{deep}", f"{deep:,} behind") for deep in depths]
    return _table("Drain while others wait behind, tasks/s", columns, results)


def _alone(results: Results) -> str:
    own = results.figures.get("taskq", {})
    lines = [
        ("post", "POST/s, one API process"),
        ("post_per_core", "POST per second of the API's processor time"),
        ("batch", "tasks/s by batches of 1,000"),
        ("get", "GET/s of an ended task"),
        ("get_waiting", "GET/s of a waiting task"),
        ("start_s", "start to first answered POST, s"),
        ("worker_mib", "one idle worker more, PSS MiB"),
    ]
    rows = [f"| {text} | {_cell(own[key], 0 if own[key][0] > 100 else 2)} |" for key, text in lines if key in own]
    return "\n".join(["## taskq over HTTP, and at rest", "", "| | |", "|---|---|", *rows]) if rows else ""


def _crowds(results: Results) -> str:
    own = results.figures.get("taskq", {})
    sizes = sorted(int(key.rpartition("_")[2]) for key in own if key.startswith("crowd_cpu_"))
    names = ("crowd_cpu", "crowd_redis_cpu", "crowd_commands", "crowd_latency")
    rows = [f"| {size} | " + " | ".join(_cell(own[f"{name}_{size}"], 2) for name in names) + " |" for size in sizes]
    head = "| workers | taskq, % of a core | Redis, % of a core | commands/s | enqueue to start, p50 ms |"
    return "\n".join(["## Idle workers", "", head, "|---|---|---|---|---|", *rows]) if rows else ""


def _settings(results: Results) -> str:
    rows = [f"| {name} | {version} | {PEERS[name].settings} |" for name, version in results.versions.items()]
    return "\n".join(["## Versions and settings", "", "| | version | settings |", "|---|---|---|", *rows])


BAR, ROW, LEFT, GAP, WIDE = 14, 20, 84, 48, 420
DRAWN = ("drain", "single", "latency_p50", "latency_p99", "burn_1", "memory")


def picture(results: Results) -> str:
    """Bars for the figures that matter most, in two columns."""
    panels = [(column, _bars(column, results)) for column in (*SPEED, *COST) if column.key in DRAWN]
    panels = [(column, bars) for column, bars in panels if bars]
    height = max([ROW * len(bars) for _, bars in panels], default=0) + GAP
    lines: list[str] = []
    for at, (column, bars) in enumerate(panels):
        lines += _panel(column, bars, (at % 2) * (WIDE + 20), (at // 2) * height)
    total = height * ((len(panels) + 1) // 2)
    style = (
        "<style>text{font:12px sans-serif;fill:#444}.t{font-weight:bold}rect{fill:#9aa7b5}.us{fill:#2563eb}.fl{fill:#ddd}"
        "@media(prefers-color-scheme:dark){text{fill:#ccc}.fl{fill:#555}}</style>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDE + 20} {total}" role="img">'
        f"<title>taskq and its peers, measured by python -m tests.bench</title>{style}{''.join(lines)}</svg>\n"
    )


def _bars(column: Column, results: Results) -> list[tuple[str, float]]:
    bars = [(name, spread(own[column.key])[0]) for name, own in results.figures.items() if own.get(column.key)]
    return sorted(bars, key=lambda bar: bar[1], reverse=not column.less)


def _panel(column: Column, bars: Sequence[tuple[str, float]], x: int, y: int) -> Iterable[str]:
    better = "less is better" if column.less else "more is better"
    yield f'<text class="t" x="{x}" y="{y + 20}">{escape(column.heading)}</text>'
    yield f'<text x="{x + WIDE}" y="{y + 20}" text-anchor="end">{better}</text>'
    most = max(value for _, value in bars)
    for at, (name, value) in enumerate(bars):
        top = y + 30 + at * ROW
        kind = {"taskq": ' class="us"', "floor": ' class="fl"'}.get(name, "")
        length = max(1.0, value / most * (WIDE - LEFT - 70))
        yield f'<text x="{x + LEFT - 6}" y="{top + 11}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect{kind} x="{x + LEFT}" y="{top}" width="{length:.1f}" height="{BAR}"/>'
        yield f'<text x="{x + LEFT + length + 5:.1f}" y="{top + 11}">{value:,.{column.decimals}f}</text>'
