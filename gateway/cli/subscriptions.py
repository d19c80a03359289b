"""`lgsp feed subscriptions` and `lgsp feed rotate-key`: feeds by webhook, as operators see them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

if TYPE_CHECKING:
    from gateway.push.operating import Seen

commands = typer.Typer(no_args_is_help=True, help="Who gets a feed by webhook, and what waits.")
Id = Annotated[str, typer.Argument(help="The subscription.")]
Reason = Annotated[
    str, typer.Option("--reason", help="Why, 10 characters or more; it stays in the log, so no personal data.")
]


@commands.command("list")
def subscriptions_list(data: Data = None, as_json: AsJson = False) -> None:
    """Subscriptions with state, position, what waits, and the last failure."""
    from gateway.journal.database import open_engine, snapshot
    from gateway.push import operating

    settings = load_instance(data, as_json)
    hash_id = operating.hashing_if_readable(settings)
    with snapshot(open_engine(settings.database_url)) as connection:
        found = operating.every(connection, hash_id, time.time())
    lines = "\n".join(map(_line, found)) or "no subscriptions"
    emit({"ok": True, "subscriptions": [each.shown() for each in found]}, as_json, lines)


@commands.command("show")
def subscriptions_show(subscription: Id, data: Data = None, as_json: AsJson = False) -> None:
    """One subscription with its newest tries."""
    from contracts.base.times import rfc3339
    from gateway.journal.database import open_engine, snapshot
    from gateway.push import operating
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    hash_id = operating.hashing_if_readable(settings)
    with snapshot(open_engine(settings.database_url)) as connection:
        seen, tried = operating.one(connection, subscription, hash_id, time.time())
    lines = [_line(seen)]
    for each in tried:
        how = each.failure or "taken"
        lines.append(f"  {civil(each.at, seconds=True)}  {each.events} events, {each.milliseconds} ms, {how}")
    attempts = [{**each._asdict(), "at": rfc3339(each.at)} for each in tried]
    emit({"ok": True, "subscription": seen.shown(), "attempts": attempts}, as_json, "\n".join(lines))


@commands.command("pause")
def subscriptions_pause(subscription: Id, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Sends nothing until an operator resumes it."""
    _act(subscription, "pause", reason, data, as_json)


@commands.command("resume")
def subscriptions_resume(subscription: Id, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Goes on from where it stood, whoever paused it."""
    _act(subscription, "resume", reason, data, as_json)


@commands.command("end")
def subscriptions_end(subscription: Id, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Ends it, also one that was changed in the database. Its system may subscribe anew."""
    _act(subscription, "end", reason, data, as_json)


def rotate_key(reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """A new key for webhooks. The older one signs beside it for seven days, so that receivers can take the new one."""
    from gateway.journal.database import open_engine
    from gateway.push import operating

    settings = load_instance(data, as_json)
    by = operating.operator(actor(), time.time(), arguments.reason_of(reason, as_json))
    key = operating.rotate(open_engine(settings.database_url), by, operating.hashing(settings))
    emit({"ok": True, "number": key.number, "public": key.public}, as_json, f"key {key.number}: {key.public}")


def _act(id: str, what: str, reason: str, data: Data, as_json: bool) -> None:
    from gateway.journal.database import open_engine
    from gateway.push import operating

    settings = load_instance(data, as_json)
    by = operating.operator(actor(), time.time(), arguments.reason_of(reason, as_json))
    after = operating.act(open_engine(settings.database_url), id, what, by, operating.hashing(settings))
    emit({"ok": True, "subscription": id, "state": str(after.state)}, as_json, f"{id}: {after.state}")


def _line(seen: Seen) -> str:
    it = seen.subscription
    cause = f" ({it.cause})" if it.cause else ""
    altered = ", changed in the database" if seen.altered else ""
    failure = f", {it.failure}" if it.failure else ""
    waits = f"{seen.waiting.events} waiting for {seen.lag:.0f} s"
    return f"{it.id}  {it.system} ← {it.contract}  {it.state}{cause}, {waits}{failure}{altered}"
