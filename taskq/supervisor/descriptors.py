"""How many files and sockets a process may have open."""

from __future__ import annotations

import resource

PER_SEAT = 5
"""For the process of a worker and its output, and for the shelf of what it claims ahead."""

SPARE = 256
"""For what a process needs beside what it can count."""


def allow_descriptors(needed: int) -> None:
    """Raise this process' limit to `needed` where it is lower, or as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard))
