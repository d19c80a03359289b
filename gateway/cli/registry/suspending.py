"""`lgsp registry suspend|resume`."""

from __future__ import annotations

from enum import StrEnum

import typer

from gateway.cli.common import suspension
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.suspension import Notice

commands = typer.Typer()


class Party(StrEnum):
    """What can be suspended as a whole."""

    AGENCY = "agency"
    SYSTEM = "system"


@commands.command("suspend")
@grouped
def registry_suspend(what: Party, name: str, notice: Notice, data: Data = None, as_json: AsJson = False) -> None:
    """Suspend an agency, or one of its systems: each call is refused with the reason and the way back, on all doors
    within two seconds."""
    suspension.suspend(load_instance(data, as_json), (what.value, name), notice, as_json)


@commands.command("resume")
def registry_resume(what: Party, name: str, data: Data = None, as_json: AsJson = False) -> None:
    """Let an agency or system in again; it must have a contact."""
    suspension.resume(load_instance(data, as_json), (what.value, name), as_json)
