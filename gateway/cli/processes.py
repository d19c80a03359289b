"""A hidden command for each process of an instance, made from the table of processes. The supervisor starts these."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.common.options import Data, load_settings
from gateway.processes.table import PROCESSES, Inherited, ProcessKind

top = typer.Typer()
Name = Annotated[str, typer.Argument()]
Sockets = Annotated[list[str] | None, typer.Option("--socket", help="NAME=DESCRIPTOR; may be repeated.")]
Pipe = Annotated[int | None, typer.Option()]


def _declare(kind: ProcessKind) -> None:
    def command(
        name: Name = "", data: Data = None, socket: Sockets = None, lifeline: Pipe = None, ready: Pipe = None
    ) -> None:
        sockets = {each.partition("=")[0]: int(each.partition("=")[2]) for each in socket or ()}
        kind.load()(load_settings(data), Inherited(sockets, lifeline, ready, name))

    top.command(kind.name, hidden=True, help=kind.help)(command)


for _kind in PROCESSES:
    _declare(_kind)
