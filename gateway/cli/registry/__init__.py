"""`lgsp registry`: who is known."""

import typer

from gateway.cli.registry import handout, identities, registry, suspending

commands = typer.Typer(no_args_is_help=True, help="Agencies, systems, routes and grants.")
for _module in (registry, suspending, handout, identities):
    commands.add_typer(_module.commands)
