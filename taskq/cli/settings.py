"""`taskq config`: a look at the configuration."""

from __future__ import annotations

import os
from pathlib import Path

import click

from taskq import config
from taskq.cli.common import config_option, guarded
from taskq.errors import ExitCode
from taskq.tokens import read_tokens


@click.group(name="config")
def config_group() -> None:
    """Look at the configuration."""


@config_group.command()
@config_option
@guarded
def check(config_path: Path | None) -> int:
    """Check every setting and name all faults at once."""
    loaded = config.load(config_path, environ=os.environ, flags={}, cwd=Path.cwd())
    if loaded.config.api.tokens_file:
        read_tokens(loaded.config.api.tokens_file)
    click.echo("configuration ok", err=True)
    return ExitCode.OK


@config_group.command()
@config_option
@click.option("--origin", is_flag=True, help="Also tell who set each value.")
@guarded
def show(config_path: Path | None, *, origin: bool) -> int:
    """Print every setting as it is in force, secrets masked."""
    loaded = config.load(config_path, environ=os.environ, flags={}, cwd=Path.cwd())
    for key, value, source in config.rows(loaded):
        click.echo(f"{key}\t{value}\t{source}" if origin else f"{key}\t{value}")
    return ExitCode.OK
