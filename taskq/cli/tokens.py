"""`taskq token`: who may use the API."""

from __future__ import annotations

import os
from pathlib import Path

import click

from taskq import config
from taskq.cli.common import config_option, guarded
from taskq.errors import ExitCode
from taskq.tokens import ROLES, Role, TokenError, add_token, read_tokens, remove_token

file_option = click.option(
    "--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="File of tokens (or api.tokens_file)."
)


@click.group(name="token")
def token_group() -> None:
    """Make, list and remove tokens of the API. A running service reads the file anew on SIGHUP."""


@token_group.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the token allows.")
@file_option
@config_option
@guarded
def new(name: str, role: str, file: Path | None, config_path: Path | None) -> int:
    """Make a token and print it; this is the only time that it is shown."""
    click.echo(add_token(_file(file, config_path), name, Role[role.upper()]))
    return ExitCode.OK


@token_group.command(name="list")
@file_option
@config_option
@guarded
def list_(file: Path | None, config_path: Path | None) -> int:
    """Print name and role of every token."""
    for entry in read_tokens(_file(file, config_path)).entries:
        click.echo(f"{entry.name}\t{entry.role}")
    return ExitCode.OK


@token_group.command()
@click.argument("name")
@file_option
@config_option
@guarded
def remove(name: str, file: Path | None, config_path: Path | None) -> int:
    """Take a token out of the file."""
    remove_token(_file(file, config_path), name)
    return ExitCode.OK


def _file(given: Path | None, config_path: Path | None) -> Path:
    if given is not None:
        return given
    named = config.load(config_path, environ=os.environ, flags={}, cwd=Path.cwd()).config.api.tokens_file
    if named is None:
        raise TokenError("expected --file, or api.tokens_file in the configuration")
    return named
