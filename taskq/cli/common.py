"""What commands share: the option that names the configuration, and the meaning of each exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

from taskq.client.place import configured_place
from taskq.client.queue import Queue
from taskq.errors import (
    ConfigError,
    ExitCode,
    HandlerImportError,
    InvalidOptions,
    InvalidPayload,
    QueueUnavailable,
    StartupError,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskqError,
    WaitTimeout,
)

PATIENCE_S = 2.0
"""How long a command goes on trying while Redis is away."""

P = ParamSpec("P")

config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file (or TASKQ_CONFIG)."
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, whatever stdout is.")

_CODES: dict[type[TaskqError], ExitCode] = {
    ConfigError: ExitCode.BAD_CONFIG,
    HandlerImportError: ExitCode.BAD_CONFIG,
    InvalidOptions: ExitCode.USAGE,
    InvalidPayload: ExitCode.USAGE,
    TaskNotFound: ExitCode.NOT_FOUND,
    TaskFailed: ExitCode.TASK_FAILED,
    TaskCancelled: ExitCode.TASK_FAILED,
    WaitTimeout: ExitCode.TIMED_OUT,
    QueueUnavailable: ExitCode.UNREACHABLE,
}


def guarded(action: Callable[P, int]) -> Callable[P, None]:
    """The command that performs `action` and exits with what it returns; what it raises on purpose becomes a sentence on
    stderr and an exit code."""

    @functools.wraps(action)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = action(*args, **kwargs)
        except TaskqError as error:
            code = complain(error)
        sys.exit(code)

    return command


def with_queue(action: Callable[Concatenate[Queue, P], int]) -> Callable[..., None]:
    """The command that performs `action` on the queue that the configuration names; see `guarded`."""

    @config_option
    @guarded
    @functools.wraps(action)
    def command(*args: Any, config_path: Path | None, **kwargs: Any) -> int:
        with Queue(configured_place(config_path), patience_s=PATIENCE_S) as queue:
            return action(queue, *args, **kwargs)

    return command


def complain(error: TaskqError) -> ExitCode:
    """Say on stderr what went wrong; the exit code for it."""
    faults = error.faults if isinstance(error, ConfigError) else [error]
    for fault in faults:
        click.echo(f"taskq: {fault}", err=True)
    if isinstance(error, StartupError):
        return error.exit_code
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.ERROR)
