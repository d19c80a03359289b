"""`lgsp contract`: contracts, from the first draft to the version in force."""

import typer

from gateway.cli.contract import deadlines, importing, publishing, trying, versions

commands = typer.Typer(no_args_is_help=True, help="Contracts: begin, import, try, check, compare, publish, show.")
for _module in (importing, trying, deadlines, versions, publishing):
    commands.add_typer(_module.commands)
