"""The URL of a Redis behind Sentinel."""

from __future__ import annotations

import pytest

from taskq.sentinels import Watched, watched

NOBODY = (None, None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis+sentinel://a/jobs", Watched((("a", 26379),), "jobs", 0, NOBODY, NOBODY)),
        ("redis+sentinel://a:1,[::1]:2,c/jobs/3", Watched((("a", 1), ("::1", 2), ("c", 26379)), "jobs", 3, NOBODY, NOBODY)),
        ("redis+sentinel://:p%40@a/jobs/", Watched((("a", 26379),), "jobs", 0, (None, "p@"), NOBODY)),
        (
            "redis+sentinel://u:p@a/jobs?sentinel_username=x&sentinel_password=y%26",
            Watched((("a", 26379),), "jobs", 0, ("u", "p"), ("x", "y&")),
        ),
        ("redis://a:1/0", None),
        ("unix:///s", None),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Watched | None) -> None:
    assert watched(url) == expected


@pytest.mark.parametrize(
    "rest", ["", "a", "a/", "/jobs", "a,/jobs", "a:0/jobs", "a:x/jobs", "a/jobs/x", "a/jobs?db=1", "a/jobs#x"]
)
def test_a_url_that_lacks_something_is_refused(rest: str) -> None:
    with pytest.raises(ValueError, match="sentinels"):
        watched(f"redis+sentinel://{rest}")
