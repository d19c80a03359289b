"""`lgsp client`: what a component system does towards a gateway, from its own identity folder. Needs no instance."""

import typer

from gateway.cli.client import (
    calls,
    case,
    feed_check,
    feed_export,
    files,
    handling,
    identity,
    joining,
    log,
    log_succession,
    my_calls,
    transfers,
)

commands = typer.Typer(
    no_args_is_help=True, help="A component system's calls to a gateway: signed, verified, witnessed."
)
for _module in (calls, feed_check, feed_export, files, transfers, log, log_succession, identity, joining, my_calls):
    commands.add_typer(_module.commands)
commands.add_typer(handling.commands, name="handling")
commands.add_typer(case.commands, name="case")
