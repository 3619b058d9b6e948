"""Every command of `taskq`, in one place."""

from __future__ import annotations

import click

from taskq import __version__
from taskq.cli.service import api, run, worker
from taskq.cli.settings import config_group
from taskq.cli.tokens import token_group


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="taskq")
def cli() -> None:
    """A job server for CPU-bound Python work, driven over REST."""


def main() -> None:
    """Entry point of the console command."""
    cli(prog_name="taskq")


for command in (run, worker, api, config_group, token_group):
    cli.add_command(command)
