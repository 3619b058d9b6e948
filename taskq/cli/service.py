"""`taskq run`, `taskq worker` and `taskq api`: options into settings, settings into a running service."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from taskq import config, log
from taskq.catalog import publish
from taskq.cli.common import config_option, guarded
from taskq.client.default import set_default
from taskq.client.place import place_of
from taskq.client.queue import Queue
from taskq.errors import ExitCode, StartupError
from taskq.limits import limits_of
from taskq.log import emit
from taskq.queue import embedded
from taskq.queue.connection import Link
from taskq.registry import BUILTIN, import_handlers, registry
from taskq.supervisor.child import Service
from taskq.supervisor.descriptors import PER_SEAT, SPARE, allow_descriptors
from taskq.supervisor.outputs import Outputs
from taskq.supervisor.slots import Board
from taskq.supervisor.supervisor import Supervisor
from taskq.supervisor.systemd import passed_socket
from taskq.tokens import read_tokens

BACKLOG = 1024
SPARE_SEATS = 16


workers_option = click.option("--workers", type=int, help="Workers of the pool `default`.")
listen_option = click.option("--listen", help="Address of the API, such as 127.0.0.1:8080.")
format_option = click.option("--log-format", type=click.Choice(log.FORMATS), help="json for machines, console for people.")


@click.command()
@config_option
@workers_option
@listen_option
@click.option("--no-api", is_flag=True, help="Run workers and maintenance only.")
@format_option
@guarded
def run(config_path: Path | None, **options: Any) -> int:
    """Run the whole service: workers, API, maintenance and, with no Redis configured, the embedded server."""
    return serve(_loader(config_path, **options))


@click.command()
@config_option
@workers_option
@format_option
@guarded
def worker(config_path: Path | None, **options: Any) -> int:
    """Run workers and maintenance without an API."""
    return serve(_loader(config_path, no_api=True, **options))


@click.command()
@config_option
@listen_option
@format_option
@guarded
def api(config_path: Path | None, **options: Any) -> int:
    """Run the API and maintenance without workers."""
    load = _loader(config_path, **options)

    def without_workers() -> config.Config:
        settings = load()
        pools = {name: replace(pool, workers=0) for name, pool in settings.pools.items()}
        return replace(settings, pools=pools)

    return serve(without_workers)


def serve(load: Callable[[], config.Config]) -> int:
    """Build the service that the configuration describes and run it to its end."""
    settings = load()
    tokens = read_tokens(settings.api.tokens_file) if settings.api.tokens_file else None
    log.set_up(level=settings.logging.level, format_=settings.logging.format)
    log.identify(process="supervisor")
    set_default(partial(Queue, place_of(settings)))  # where tasks that submit tasks do so, whatever flags there were
    sys.path.insert(0, os.getcwd())  # task modules lie beside the configuration, as with any Python program
    names = [BUILTIN] if settings.tasks.builtin else []
    threads = import_handlers([*names, *settings.tasks.import_])
    log.set_up(level=settings.logging.level, format_=settings.logging.format)  # over what an imported module has set up
    if threads:
        emit("handlers.warned", level=30, message=f"threads do not survive the fork of a worker: {', '.join(threads)}")
    emit("handlers.imported", types=registry.types())
    sock = passed_socket(os.environ)
    if sock is not None:
        settings = _on(sock, settings)
    elif settings.api.processes:
        sock = _bind(settings.api)
    plan = None if settings.redis.url else embedded.plan(settings.redis.data_dir)
    service = Service(
        config=settings,
        registry=registry,
        catalog=publish(registry, settings.tasks.defaults),
        limits=limits_of(registry, settings.tasks.limits),
        board=make_board(settings.pools),
        link=Link(settings.redis.url or (plan.url if plan else "")),
        outputs=Outputs(),
        sock=sock,
        embedded=plan,
        tokens=tokens,
    )
    return Supervisor(service, load).run()


def make_board(pools: Mapping[str, config.Pool]) -> Board:
    """Seats for twice the workers, since old ones may still end while new ones begin, with what they all keep open."""
    seats = 2 * sum(pool.workers for pool in pools.values()) + SPARE_SEATS
    allow_descriptors(PER_SEAT * seats + SPARE)
    return Board(seats, shelves=any(pool.prefetch > 1 for pool in pools.values()))


def _loader(
    config_path: Path | None,
    *,
    workers: int | None = None,
    listen: str | None = None,
    no_api: bool = False,
    log_format: str | None = None,
) -> Callable[[], config.Config]:
    """What reads the configuration with these flags, at the start and at every reload."""
    given = {
        "pools.default.workers": workers,
        "api.listen": listen,
        "api.processes": 0 if no_api else None,
        "logging.format": log_format,
    }
    flags = {key: value for key, value in given.items() if value is not None}

    def load() -> config.Config:
        return config.load(config_path, environ=os.environ, flags=flags, cwd=Path.cwd()).config

    return load


def _on(sock: socket.socket, settings: config.Config) -> config.Config:
    """The configuration with the address of a socket that was passed. Raises StartupError when that needs protection."""
    api = replace(settings.api, listen=config.Address(*sock.getsockname()[:2]))
    if api.exposed:
        sentence = f"the socket that was passed listens on {api.listen}; set api.tokens_file or api.allow_unauthenticated"
        raise StartupError(sentence, ExitCode.BAD_CONFIG)
    return replace(settings, api=api)


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
