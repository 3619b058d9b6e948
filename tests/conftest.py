"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says more about what else the machine does.
settings.register_profile("taskq", deadline=None)
settings.load_profile("taskq")
