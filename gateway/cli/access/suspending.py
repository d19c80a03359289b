"""`lgsp access suspend|resume`."""

from __future__ import annotations

import typer

from gateway.cli.common import suspension
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.suspension import Notice

commands = typer.Typer()


@commands.command("suspend")
@grouped
def access_suspend(grant: str, notice: Notice, data: Data = None, as_json: AsJson = False) -> None:
    """Suspend one grant; its approvals stay, and it holds again when it is resumed."""
    suspension.suspend(load_instance(data, as_json), ("grant", grant), notice, as_json)


@commands.command("resume")
def access_resume(grant: str, data: Data = None, as_json: AsJson = False) -> None:
    """Let a suspended grant hold again."""
    suspension.resume(load_instance(data, as_json), ("grant", grant), as_json)
