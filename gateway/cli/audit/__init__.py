"""`lgsp audit`: the audit log."""

import typer

from gateway.cli.audit import body, entries, export, journey, package, reconcile, search, stamps, verify, watch

commands = typer.Typer(no_args_is_help=True, help="The audit log: verify, show, export, watch.")
for _module in (verify, entries, export, body, search, journey, reconcile, watch, package, stamps):
    commands.add_typer(_module.commands)
