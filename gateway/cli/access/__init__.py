"""`lgsp access`: who may what."""

import typer

from gateway.cli.access import approving, grants, reviewing, suspending, view, who

commands = typer.Typer(
    no_args_is_help=True, help="Who may what: proposed, signed by two officers, suspended, explained."
)
for _module in (grants, approving, reviewing, suspending, view, who):
    commands.add_typer(_module.commands)
