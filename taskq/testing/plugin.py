"""Fixtures for pytest. Not loaded unless asked for, so that other test runs do not import taskq:

pytest_plugins = ["taskq.testing.plugin"]      # in the conftest.py of the root, or in a test file
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from taskq.testing.service import Service, service


@pytest.fixture(scope="session")
def taskq_modules() -> Iterable[str] | None:
    """The modules whose handlers the services of the tests have. Yours to override; None: those of all handlers that the
    test files have imported or define."""
    return None


@pytest.fixture(scope="session")
def taskq_config() -> Mapping[str, Any]:
    """The configuration of the services of the tests, nested as in YAML. Yours to override."""
    return {}


@pytest.fixture(scope="session")
def taskq_session_service(taskq_modules: Iterable[str] | None, taskq_config: Mapping[str, Any]) -> Iterator[Service]:
    """One service for all tests of the run, or of one process of pytest-xdist: quick, but tests see each other's tasks."""
    with service(taskq_modules, config=taskq_config) as running:
        yield running
        sys.stdout.write(running.log())  # pytest shows it if a test has failed


@pytest.fixture
def taskq_service(taskq_modules: Iterable[str] | None, taskq_config: Mapping[str, Any]) -> Iterator[Service]:
    """A service of the test's own, with an embedded server and one worker. It has ended when the test has."""
    with service(taskq_modules, config=taskq_config) as running:
        yield running
        sys.stdout.write(running.log())  # pytest shows it if the test has failed
