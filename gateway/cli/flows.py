"""`lgsp queue` and `lgsp feed`: what waits, and what the centre reads."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.base import Data, Json, app, load_instance
from gateway.commands.output import failures_told

queue = typer.Typer(no_args_is_help=True, help="Messages that wait for their provider.")
feed = typer.Typer(no_args_is_help=True, help="The centre's feeds.")
app.add_typer(queue, name="queue")
app.add_typer(feed, name="feed")


@queue.command("list")
def queue_list(data: Data = None, json: Json = False) -> None:
    """Messages that wait, with their last failure; and transfers in doubt."""
    from gateway.commands import flows as command

    with failures_told(json):
        command.queue(load_instance(data, json), json)


@feed.command("read")
def feed_read(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    data: Data = None,
    after: Annotated[str | None, typer.Option("--after", help="Cursor of the last event read.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many events.")] = 20,
    json: Json = False,
) -> None:
    """Events of a feed, oldest first. Reading bodies is logged."""
    from gateway.commands import flows as command

    with failures_told(json):
        command.feed(load_instance(data, json), contract, after, limit, json)
