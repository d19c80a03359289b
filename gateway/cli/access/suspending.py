"""`lgsp access suspend|resume`."""

from __future__ import annotations

import typer

from contracts.base.errors import Words
from gateway.cli.common import suspension
from gateway.cli.common.options import AsJson, Data, ReasonEn, ReasonVi, Shorten, Until, load_instance

commands = typer.Typer()


@commands.command("suspend")
def access_suspend(
    grant: str,
    reason_vi: ReasonVi,
    reason_en: ReasonEn,
    until: Until = None,
    shorten: Shorten = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Suspend one grant; its approvals stay, and it holds again when it is resumed."""
    notice = suspension.Notice(Words(reason_vi, reason_en), until, shorten)
    suspension.suspend(load_instance(data, as_json), ("grant", grant), notice, as_json)


@commands.command("resume")
def access_resume(grant: str, data: Data = None, as_json: AsJson = False) -> None:
    """Let a suspended grant hold again."""
    suspension.resume(load_instance(data, as_json), ("grant", grant), as_json)
