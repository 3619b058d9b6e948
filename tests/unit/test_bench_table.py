"""The benchmark's table and picture, from results that are made up here."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from tests.bench.peers import PEERS
from tests.bench.table import COST, DRAWN, SPEED, Results, markdown, picture

ROOT = Path(__file__).parents[2]


def results() -> Results:
    return Results(
        server="Redis server v=7",
        machine="2 cores",
        repeats=3,
        versions={"floor": "", "taskq": "1.0"},
        figures={
            "floor": {"drain": [40_000.0, 40_100.0, 40_050.0], "latency_p50": [0.5]},
            "taskq": {"drain": [20_000.0, 30_000.0, 25_000.0], "latency_p50": [0.61], "depth_1000": [5.0], "post": [3100.0]},
        },
        errors=["celery drain: it did not start"],
    )


def test_a_figure_is_the_median_with_its_spread_where_that_is_wide() -> None:
    text = markdown(results())
    assert "| floor | 40,050 |" in text
    assert "| taskq | 25,000 (20,000-30,000) | 0.61 |" in text


def test_what_failed_is_told() -> None:
    assert "- celery drain: it did not start" in markdown(results())


def test_the_picture_has_a_bar_for_each_figure_and_the_best_one_first() -> None:
    drawn = ElementTree.fromstring(picture(results()))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}rect"))) == 4
    assert texts.index("floor") < texts.index("taskq")


def test_every_peer_tells_its_settings_and_has_a_program() -> None:
    for peer in PEERS.values():
        assert peer.settings
        assert (ROOT / "tests" / "bench" / "programs" / peer.program).is_file()


def test_what_the_readme_shows_of_the_benchmark_is_what_the_command_wrote() -> None:
    shown = re.findall(r"\]\((tests/bench/[^)]+)\)", (ROOT / "README.md").read_text())
    assert sorted(set(shown)) == ["tests/bench/results.md", "tests/bench/results.svg"]
    assert (ROOT / "tests/bench/results.md").read_text().startswith("# Measured by `python -m tests.bench`")
    ElementTree.parse(ROOT / "tests/bench/results.svg")


def test_the_picture_shows_what_it_is_meant_to() -> None:
    shown = {column.key for column in (*SPEED, *COST)}
    assert set(DRAWN) <= shown
    full = results()
    full.figures["taskq"].update({key: [1.0] for key in shown})
    texts = [element.text for element in ElementTree.fromstring(picture(full)).iter("{http://www.w3.org/2000/svg}text")]
    assert "idle tree, PSS MiB" in texts
    assert "10 ms" not in texts
