"""`lgsp queue`: messages that wait for their provider, transfers in doubt, and what a person decides about them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.actor import actor
from gateway.cli.common.language import either
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.delivery.decisions import Act
    from gateway.delivery.listing import Message, Wanted
    from gateway.journal.jobs import Job

commands = typer.Typer(no_args_is_help=True, help="Messages that wait for their provider, and transfers in doubt.")
bulk = typer.Typer(no_args_is_help=True, help="Retries of a whole list of messages.")
commands.add_typer(bulk, name="bulk")
Reason = Annotated[
    str,
    typer.Option("--reason", help="Why, 10 characters or more; it stays in the log, so no personal data."),
]
Provider = Annotated[str | None, typer.Option("--provider", help="Only those for this system.")]
FailureCode = Annotated[str | None, typer.Option("--failure", help="Only those with this last failure.")]
Unsent = Annotated[
    bool,
    typer.Option("--provider-did-not-act", help="For an operation that is not idempotent: the provider was asked."),
]
StateName = Annotated[str | None, typer.Option("--state", help="Only these: waiting, held, under-way, in-doubt, dead.")]


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """A list that is retried as a whole."""

    state: Annotated[str, typer.Option("--state", help="Of these: waiting, held, in-doubt.")] = "waiting"
    provider: Provider = None
    failure: FailureCode = None

    def wanted(self, as_json: bool) -> Wanted:
        from gateway.delivery import listing
        from gateway.delivery.bulk import REPEATABLE

        if self.state not in REPEATABLE:
            _unknown_state(self.state, as_json)
        return listing.Wanted(self.state, self.provider, self.failure)


@commands.command("list")
def queue_list(
    state: StateName = None,
    provider: Provider = None,
    failure: FailureCode = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many of each state, oldest first.")] = 1000,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Messages that wait, with their last failure and its findings; and transfers in doubt."""
    from gateway.cli.audit.steps import findings
    from gateway.delivery import listing
    from gateway.journal.database import open_engine, snapshot
    from gateway.journal.logged import failed_tries
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    if state is not None and state not in listing.STATES:
        _unknown_state(state, as_json)
    states = [state] if state is not None else list(listing.STATES)
    messages: list[tuple[str, Message, Any]] = []
    more = False
    with snapshot(open_engine(settings.database_url)) as connection:
        for each in states:
            found = listing.first(connection, listing.Wanted(each, provider, failure), limit)
            more |= found.next is not None
            for one in found.messages:
                last = next(reversed(failed_tries(connection, one.transfer).tries), None)
                messages.append((each, one, last))
    rows = [
        {
            "transfer": one.transfer,
            "provider": one.provider,
            "state": each,
            "tries": one.tries,
            "next": None if one.next_at is None else rfc3339(one.next_at),
            "last_failure": one.failure,
            "last_try": last,
        }
        for each, one, last in messages
        if each != listing.IN_DOUBT
    ]
    doubts = [
        {
            "transfer": one.transfer,
            "contract": one.contract,
            "operation": one.operation,
            "provider": one.provider,
            "since": rfc3339(one.committed),
            "failure": one.failure,
            "can": [act.value for act in one.acts],
        }
        for each, one, _last in messages
        if each == listing.IN_DOUBT
    ]
    lines = [
        either(
            f"{len(rows)} in the queue, {len(doubts)} in doubt{' (more exist)' if more else ''}",
            f"{len(rows)} trong hàng đợi, {len(doubts)} chưa rõ kết quả{' (còn nữa)' if more else ''}",
        )
    ]
    for row in rows:
        lines.append(
            f"  {row['transfer']}  {row['state']:<9} → {row['provider']}, {either('try', 'lần')} {row['tries']},"
            f" {either('next', 'lần tới')} {civil(str(row['next']))}, {row['last_failure'] or '—'}"
        )
        last = row["last_try"]
        lines += findings(last if isinstance(last, dict) else {})
    lines += [
        (
            f"  {row['transfer']}  {either('in doubt', 'chưa rõ')} → {row['provider']} ({row['contract']}"
            f" {row['operation']}) {either('since', 'từ')} {civil(str(row['since']))}"
        )
        for row in doubts
    ]
    emit({"ok": True, "queue": rows, "in_doubt": doubts, "more": more}, as_json, "\n".join(lines))


@commands.command("show")
def queue_show(transfer: str, data: Data = None, as_json: AsJson = False) -> None:
    """Each failed try of a delivery: when, why, and what was wrong with the provider's answer."""
    from sqlalchemy import select

    from gateway.audit.search.steps import failure, queue_words, words
    from gateway.cli.audit.steps import findings
    from gateway.cli.common import arguments
    from gateway.cli.common.language import spoken
    from gateway.delivery import listing
    from gateway.journal.database import open_engine, snapshot
    from gateway.journal.logged import failed_tries
    from gateway.journal.schema import tables
    from gateway.transfer.states import State
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    transfer = arguments.transfer_id(transfer, as_json)
    queue = tables.queue
    with snapshot(open_engine(settings.database_url)) as connection:
        row = connection.execute(select(queue).where(queue.c.transfer == transfer)).mappings().first()
        failed = failed_tries(connection, transfer)
        message = listing.one(connection, transfer)
    doubt = message is not None and message.state == State.IN_DOUBT
    if row is None and not failed.tries and not doubt:
        what = f"no delivery of {transfer} failed or waits / không có lần gửi nào bị lỗi hoặc đang chờ"
        then = "`lgsp audit journey` shows any transfer. / Dùng `lgsp audit journey` để xem một giao dịch bất kỳ."
        fail(Exit.NO, "not-queued", what, then, as_json)
    lines = spoken(words("transfer", id=transfer)) + ([] if row is None else spoken(queue_words(dict(row))))
    lines += spoken(words("state.in-doubt")) if doubt else []
    lines += spoken(words("tries.earlier", earlier=failed.earlier)) if failed.earlier else []
    for each in failed.tries:
        lines += [f"{civil(str(each['at']), seconds=True)}  {each['try']}", *spoken(failure(each["failure"]), "  ")]
        lines += findings(each)
    acts = [] if message is None else [act.value for act in message.acts]
    lines += spoken(words("acts", acts=", ".join(acts))) if acts else []
    state = None if row is None else {name: row[name] for name in ("state", "provider", "tries", "last_failure")}
    result = {"ok": True, "transfer": transfer, "queue": state, "failed": failed.tries, "earlier": failed.earlier}
    result |= {"state": None if message is None else message.state, "can": acts}
    emit(result, as_json, "\n".join(lines))


@commands.command("settle")
def queue_settle(
    transfer: str,
    reason: Reason,
    done: Annotated[
        bool, typer.Option("--done/--not-done", help="What the provider was found to have done: all of it, or nothing.")
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Settle a transfer in doubt by what its provider was found to have done."""
    from gateway.delivery.decisions import Act

    _decide(transfer, Act.DONE if done else Act.NOT_DONE, reason, data, as_json)


@commands.command("retry")
def queue_retry(
    transfer: str,
    reason: Reason,
    unsent: Unsent = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send a waiting message now, or one in doubt again. One that has ended stays as it ended."""
    from gateway.delivery.decisions import Act

    _decide(transfer, Act.RETRY, reason, data, as_json, unsent=unsent)


@commands.command("discard")
def queue_discard(transfer: str, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Give up a waiting message. Its sender is told that it was discarded."""
    from gateway.delivery.decisions import Act

    _decide(transfer, Act.DISCARD, reason, data, as_json)


@commands.command("cancel")
def queue_cancel(transfer: str, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Withdraw a waiting message, since its sender asked for it."""
    from gateway.delivery.decisions import Act

    _decide(transfer, Act.CANCEL, reason, data, as_json)


def _decide(transfer: str, act: Act, reason: str, data: Data, as_json: bool, *, unsent: bool = False) -> None:
    from gateway.audit.search.steps import words
    from gateway.cli.common import arguments
    from gateway.cli.common.language import spoken
    from gateway.delivery.decisions import Decision, decide
    from gateway.journal.database import open_engine
    from gateway.vault.stores import open_vault

    settings = load_instance(data, as_json)
    id = arguments.transfer_id(transfer, as_json)
    why = arguments.reason_of(reason, as_json)
    engine = open_engine(settings.database_url)
    vault = open_vault(settings, engine)
    decision = Decision(transfer=id, act=act, reason=why, actor=actor(), at=time.time(), unsent=unsent)
    state = decide(engine, vault, decision)
    text = "\n".join([*spoken(words("transfer", id=id)), *spoken(words(f"state.{state.value}"))])
    emit({"ok": True, "transfer": id, "act": act.value, "state": state.value}, as_json, text)


def _unknown_state(state: str, as_json: bool) -> None:
    from gateway.cli.common import name_checks
    from gateway.delivery import listing

    name_checks.refuse("state", state, listing.STATES, as_json)


# --- a whole list -----------------------------------------------------------------------------------------------------
@bulk.command("preview")
@grouped
def bulk_preview(filtered: Filtered, data: Data = None, as_json: AsJson = False) -> None:
    """The messages that a bulk retry would send again, at most 500, and the digest that `start` takes."""
    from gateway.delivery import bulk as bulk_retries
    from gateway.journal.database import open_engine, snapshot

    settings, wanted = load_instance(data, as_json), filtered.wanted(as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        seen = bulk_retries.preview(connection, wanted)
    lines = [f"  {each}" for each in seen.transfers]
    more = " (the oldest; more fit / cũ nhất, còn nữa)" if seen.more else ""
    lines += [f"{len(seen.transfers)} messages / thông điệp{more}", f"--digest {seen.digest}"]
    result = {"ok": True, "transfers": list(seen.transfers), "digest": seen.digest, "more": seen.more}
    emit(result, as_json, "\n".join(lines))


@bulk.command("start")
@grouped
def bulk_start(
    digest: Annotated[str, typer.Option("--digest", help="That of the preview: only the previewed set is retried.")],
    reason: Reason,
    filtered: Filtered,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            help="What `preview --json` printed. What left the list since is skipped; without it nothing may have"
            " changed.",
        ),
    ] = None,
    unsent: Unsent = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Retry a previewed list: one message first, the others after its answer. A running keeper does it."""
    from gateway.cli.common import arguments
    from gateway.delivery import bulk as bulk_retries
    from gateway.journal.database import open_engine, writing
    from gateway.keys.keyring import Keyring
    from gateway.registry.changes.orders import Orders

    settings, wanted = load_instance(data, as_json), filtered.wanted(as_json)
    by = actor(), arguments.reason_of(reason, as_json)
    transfers = None if preview is None else _transfers(preview, as_json)
    orders = Orders(Keyring(settings).hash_key())
    with writing(open_engine(settings.database_url)) as connection:
        seen = bulk_retries.previewed(connection, wanted, digest.strip(), transfers)
        job = bulk_retries.start(connection, orders, wanted, seen, by, time.time(), unsent=unsent)
    result = {"ok": True, "job": job.id, "state": job.state, "left": job.facts["left"]}
    left = f" ({job.facts['left']} skipped / bỏ qua)" if job.facts["left"] else ""
    emit(result, as_json, f"{job.id}{left}")


@bulk.command("show")
def bulk_show(job: str, data: Data = None, as_json: AsJson = False) -> None:
    """How far a bulk retry has come: accepted by the queue, sent, answered, failed."""
    from gateway.delivery import bulk as bulk_retries
    from gateway.journal.database import open_engine, snapshot

    settings = load_instance(data, as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        at = bulk_retries.progress(connection, bulk_retries.found(connection, job))
    counts = {effect.value: number for effect, number in at.counts.items()}
    result = {"ok": True, "job": job, "state": at.job.state, "total": at.total, "counts": counts}
    result |= {"phase": at.job.facts["phase"], "failure": at.job.facts.get("failure")}
    lines = [f"{at.job.state} ({at.job.facts['phase']})", *(f"  {name}: {number}" for name, number in counts.items())]
    emit(result, as_json, "\n".join(lines))


@bulk.command("stop")
def bulk_stop(job: str, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Order no more messages of a bulk retry. Those that are ordered go on."""
    from gateway.delivery import bulk as bulk_retries

    _move(job, bulk_retries.stop, reason, data, as_json)


@bulk.command("resume")
def bulk_resume(job: str, reason: Reason, data: Data = None, as_json: AsJson = False) -> None:
    """Let a stopped bulk retry go on, again with one message first."""
    from gateway.delivery import bulk as bulk_retries

    _move(job, bulk_retries.resume, reason, data, as_json)


def _transfers(preview: Path, as_json: bool) -> list[str]:
    """Of a file that `preview --json` printed."""
    try:
        return [str(each) for each in json.loads(preview.read_bytes())["transfers"]]
    except (OSError, ValueError, KeyError, TypeError) as trouble:
        what = f"{preview}: no preview / không phải bản xem trước ({type(trouble).__name__})"
        fail(Exit.USAGE, "usage", what, "Save it anew: / Lưu lại: lgsp queue bulk preview --json > FILE", as_json)


def _move(job: str, how: Callable[..., Job], reason: str, data: Data, as_json: bool) -> None:
    from gateway.cli.common import arguments
    from gateway.journal.database import open_engine, writing

    settings = load_instance(data, as_json)
    by = actor(), arguments.reason_of(reason, as_json)
    with writing(open_engine(settings.database_url)) as connection:
        moved = how(connection, job, by, time.time())
    emit({"ok": True, "job": job, "state": moved.state}, as_json, moved.state)
