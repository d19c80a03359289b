"""The tree of the commands. The processes of an instance do not load it."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import (
    access,
    agent,
    audit,
    backup,
    ca,
    case,
    checkout,
    client,
    conform,
    console,
    contract,
    datasets,
    feed,
    handling,
    indicator,
    keys,
    machine_alone,
    queue,
    registry,
    report,
    routes,
    run,
    sandbox,
    scorecard,
    setup,
    vault,
    watch,
    witness,
)
from gateway.cli.common import persons

app = typer.Typer(name="lgsp", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(keys.top)
app.add_typer(run.top)
app.add_typer(setup.top)
app.add_typer(backup.top)
app.add_typer(scorecard.top)
app.add_typer(checkout.top)
app.add_typer(datasets.top)
for _name, _commands in {
    "access": access.commands,
    "agent": agent.commands,
    "audit": audit.commands,
    "backup": backup.commands,
    "case": case.commands,
    "restore": backup.restore_commands,
    "client": client.commands,
    "conform": conform.commands,
    "console": console.commands,
    "contract": contract.commands,
    "queue": queue.commands,
    "feed": feed.commands,
    "handling": handling.commands,
    "indicator": indicator.commands,
    "registry": registry.commands,
    "report": report.commands,
    "route": routes.commands,
    "sandbox": sandbox.commands,
    "ca": ca.commands,
    "keys": keys.commands,
    "machine": machine_alone.commands,
    "vault": vault.commands,
    "watch": watch.commands,
    "witness": witness.commands,
}.items():
    app.add_typer(_commands, name=_name)
persons.guard(app)


def _version(asked: bool) -> None:
    if asked:
        print(f"lgsp {__version__}")
        raise typer.Exit


@app.callback()
def lgsp(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version of the package.")
    ] = False,
) -> None:
    """LGSP gateway: signed, granted, translated, logged data exchange."""


def commands() -> typer.Typer:
    """All commands; loads them in the process that calls it."""
    return app
