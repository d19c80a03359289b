"""`lgsp registry`: who is known."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Json, ReasonEn, ReasonVi, Shorten, Until, app, load_instance
from gateway.commands.output import failures_told

registry = typer.Typer(no_args_is_help=True, help="Agencies, systems, routes and grants.")
app.add_typer(registry, name="registry")


@registry.command("apply")
def registry_apply(file: Path, data: Data = None, json: Json = False) -> None:
    """Bring the registry to what a document declares; each change is logged."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.apply(load_instance(data, json), file, json)


@registry.command("accept")
def registry_accept(
    reason: Annotated[
        str, typer.Option("--reason", help="Why the rows are to stand as they are; it goes into the log.")
    ],
    data: Data = None,
    json: Json = False,
) -> None:
    """Take rows that differ from the log as they stand, after somebody has looked at each; what differed and why is logged."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.accept(load_instance(data, json), reason, json)


@registry.command("show")
def registry_show(data: Data = None, json: Json = False) -> None:
    """Agencies and systems with their state."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.show(load_instance(data, json), json)


class Party(StrEnum):
    """What can be suspended as a whole."""

    AGENCY = "agency"
    SYSTEM = "system"


@registry.command("suspend")
def registry_suspend(
    what: Party,
    name: str,
    reason_vi: ReasonVi,
    reason_en: ReasonEn,
    until: Until = None,
    shorten: Shorten = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Suspend an agency, or one of its systems: each call is refused with the reason and the way back, on all doors within two seconds."""
    from contracts.base.words import Words
    from gateway.commands import suspend as command

    with failures_told(json):
        command.suspend(load_instance(data, json), what.value, name, Words(reason_vi, reason_en), until, shorten, json)


@registry.command("resume")
def registry_resume(what: Party, name: str, data: Data = None, json: Json = False) -> None:
    """Let an agency or system in again; it must have a contact."""
    from gateway.commands import suspend as command

    with failures_told(json):
        command.resume(load_instance(data, json), what.value, name, json)
