"""The `taskq` command: options into settings, settings into a running service. Data to stdout, talk to stderr."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from taskq import __version__, config, log
from taskq.catalog import publish
from taskq.errors import ConfigError, ExitCode, HandlerImportError, StartupError, TaskqError
from taskq.log import emit
from taskq.queue import embedded
from taskq.registry import import_handlers, registry
from taskq.supervisor.child import Service
from taskq.supervisor.outputs import Outputs
from taskq.supervisor.slots import Board
from taskq.supervisor.supervisor import Supervisor

BACKLOG = 1024
SPARE_SEATS = 16

config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file (or TASKQ_CONFIG)."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="taskq")
def cli() -> None:
    """A job server for CPU-bound Python work, driven over REST."""


@cli.command()
@config_option
@click.option("--workers", type=int, help="Workers of the pool `default`.")
@click.option("--listen", help="Address of the API, such as 127.0.0.1:8080.")
@click.option("--no-api", is_flag=True, help="Run workers and maintenance only.")
@click.option("--log-format", type=click.Choice(log.FORMATS), help="json for machines, console for people.")
def run(config_path: Path | None, **options: Any) -> None:
    """Run the whole service: workers, API, maintenance and, with no Redis configured, the embedded server."""
    flags = _flags(**options)

    def load() -> config.Config:
        return config.load(config_path, environ=os.environ, flags=flags, cwd=Path.cwd()).config

    sys.exit(_guard(lambda: serve(load)))


@cli.command()
@config_option
@click.option("--workers", type=int, help="Workers of the pool `default`.")
@click.option("--log-format", type=click.Choice(log.FORMATS), help="json for machines, console for people.")
@click.pass_context
def worker(context: click.Context, /, **options: Any) -> None:
    """Run workers and maintenance without an API."""
    context.invoke(run, no_api=True, listen=None, **options)


@cli.group(name="config")
def config_group() -> None:
    """Look at the configuration."""


@config_group.command()
@config_option
def check(config_path: Path | None) -> None:
    """Check every setting and name all faults at once."""

    def action() -> int:
        config.load(config_path, environ=os.environ, flags={}, cwd=Path.cwd())
        click.echo("configuration ok", err=True)
        return ExitCode.OK

    sys.exit(_guard(action))


@config_group.command()
@config_option
@click.option("--origin", is_flag=True, help="Also tell who set each value.")
def show(config_path: Path | None, *, origin: bool) -> None:
    """Print every setting as it is in force, secrets masked."""

    def action() -> int:
        loaded = config.load(config_path, environ=os.environ, flags={}, cwd=Path.cwd())
        for key, value, source in config.rows(loaded):
            click.echo(f"{key}\t{value}\t{source}" if origin else f"{key}\t{value}")
        return ExitCode.OK

    sys.exit(_guard(action))


def serve(load: Callable[[], config.Config]) -> int:
    """Build the service that the configuration describes and run it to its end."""
    settings = load()
    log.set_up(level=settings.logging.level, format_=settings.logging.format)
    log.identify(process="supervisor")
    sys.path.insert(0, os.getcwd())  # task modules lie beside the configuration, as with any Python program
    names = ["taskq.builtin"] if settings.tasks.builtin else []
    threads = import_handlers([*names, *settings.tasks.import_])
    if threads:
        emit("handlers.warned", level=30, message=f"threads do not survive the fork of a worker: {', '.join(threads)}")
    emit("handlers.imported", types=registry.types())
    sock = _bind(settings.api) if settings.api.processes else None
    plan = None if settings.redis.url else embedded.plan(settings.redis.data_dir)
    workers = sum(pool.workers for pool in settings.pools.values())
    service = Service(
        config=settings,
        registry=registry,
        catalog=publish(registry, settings.tasks.defaults),
        board=Board(2 * workers + SPARE_SEATS),
        url=settings.redis.url or (plan.url if plan else ""),
        outputs=Outputs(),
        sock=sock,
        embedded=plan,
    )
    return Supervisor(service, load).run()


def main() -> None:
    """Entry point of the console command."""
    cli(prog_name="taskq")


def _flags(*, workers: int | None, listen: str | None, no_api: bool, log_format: str | None) -> dict[str, object]:
    given = {
        "pools.default.workers": workers,
        "api.listen": listen,
        "api.processes": 0 if no_api else None,
        "logging.format": log_format,
    }
    return {key: value for key, value in given.items() if value is not None}


def _guard(action: Callable[[], int]) -> int:
    """Run `action`; what it raises on purpose becomes a sentence on stderr and an exit code."""
    try:
        return int(action())
    except ConfigError as error:
        for fault in error.faults:
            click.echo(f"taskq: {fault}", err=True)
        return ExitCode.BAD_CONFIG
    except HandlerImportError as error:
        click.echo(f"taskq: {error}", err=True)
        return ExitCode.BAD_CONFIG
    except StartupError as error:
        click.echo(f"taskq: {error}", err=True)
        return error.exit_code
    except TaskqError as error:
        click.echo(f"taskq: {error}", err=True)
        return ExitCode.ERROR


def _bind(api: config.Api) -> socket.socket:
    """The listening socket of the API, bound before anything is started. Raises StartupError."""
    family = socket.AF_INET6 if ":" in api.listen.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((api.listen.host, api.listen.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartupError(
            f"cannot listen on {api.listen}: {error.strerror}; set api.listen or SERVER_PORT to a free address",
            ExitCode.CANNOT_LISTEN,
        ) from error
    return sock
