"""`lgsp agent`: signing for a system that cannot (docs/agent.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Json, app
from gateway.commands.output import failures_told

agent = typer.Typer(no_args_is_help=True, help="The agent: signing for systems that cannot.")
app.add_typer(agent, name="agent")

Config = Annotated[Path, typer.Argument(help="The agent's configuration file.")]
Pipe = Annotated[int | None, typer.Option(hidden=True)]  # of the supervisor that started it
Ids = Annotated[list[str] | None, typer.Argument(help="Message ids.")]


@agent.command("init")
def agent_init(
    directory: Annotated[Path, typer.Argument(help="Folder to be made, or an empty one.")],
    contract: Annotated[
        list[str] | None, typer.Option("--contract", help="A contract that the system calls; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a commented configuration and a local secret."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.init(directory, tuple(contract or ()), json)


@agent.command("run")
def agent_run(config: Config, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """Run the agent until it is told to stop."""
    from gateway.commands import agent as command

    with failures_told(False):
        command.run(config, lifeline, ready)


@agent.command("check")
def agent_check(config: Config, json: Json = False) -> None:
    """Look at configuration, keys, clock, gateway and system; say what is wrong and what to do."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.check(config, json)


@agent.command("status")
def agent_status(config: Config, json: Json = False) -> None:
    """How many messages wait, were delivered, are dead or in doubt. Exit 1 if any is dead or in doubt."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.status(config, json)


@agent.command("queue")
def agent_queue(
    config: Config,
    delivered: Annotated[bool, typer.Option("--delivered", help="Those that were delivered, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """Messages that wait and dead letters, each with its reason; calls of the gateway in doubt. Never their contents."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.queue(config, delivered, limit, json)


@agent.command("retry")
def agent_retry(
    config: Config,
    ids: Ids = None,
    all_: Annotated[bool, typer.Option("--all", help="Every one.")] = False,
    json: Json = False,
) -> None:
    """Let dead letters wait again, and try what waits at once."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.retry(config, tuple(ids or ()), all_, json)


@agent.command("discard")
def agent_discard(
    config: Config, ids: Annotated[list[str], typer.Argument(help="Message ids.")], json: Json = False
) -> None:
    """Forget dead letters."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.discard(config, tuple(ids), json)


@agent.command("settle")
def agent_settle(
    config: Config, id: Annotated[str, typer.Argument(help="The message's id.")], json: Json = False
) -> None:
    """Say that the component system did not act on a call in doubt: its next repeat is handed over."""
    from gateway.commands import agent as command

    with failures_told(json):
        command.settle(config, id, json)
