"""Answers a query from the feed: intent, answer and outcome in one unit, as no provider is called."""

from __future__ import annotations

from sqlalchemy import Engine

from contracts.base.errors import Failure, Theirs
from contracts.base.randomness import random_bytes
from gateway.exchange.addressee import Here
from gateway.exchange.quotas import uses_of
from gateway.feeds.state import FeedValue, value_of
from gateway.journal.database import snapshot
from gateway.journal.write import Write
from gateway.registry.receiving import Receiving
from gateway.registry.routing import FEED, FROM_FEED
from gateway.transfer import entries, outcome
from gateway.transfer.evidence_parts import request_parts
from gateway.transfer.stages import Decoded, Ending, OpenTransfer, Receipt
from gateway.transfer.states import Event
from gateway.transfer.transfer_records import canonical_answer, row_of
from gateway.vault import binding
from security.transparency.entry import SALT


def value_or_failure(decoded: Decoded, engine: Engine, here: Here) -> FeedValue | Failure:
    """The value in force, or why there is none. Runs in a thread."""
    requested = decoded.requested
    try:
        with snapshot(engine) as connection:
            return value_of(
                connection,
                here.vault,
                requested.contract,
                requested.operation,
                decoded.message,
                here.hash_id,
                requested.caller.agency,
            )
    except Theirs as nothing:
        return nothing


def unit(decoded: Decoded, value: FeedValue | Failure, here: Here) -> tuple[Write, Receipt]:
    """The unit of a query that the feed answered, or has no value for."""
    requested, now = decoded.requested, here.now
    salt = random_bytes(SALT)
    intent = entries.intent(decoded, (FROM_FEED, Receiving(())), salt, now, here.hash_id)
    if isinstance(value, FeedValue):
        how = Ending(Event.ANSWERED_HERE, now, 200, answer=canonical_answer(requested, value.answer))
    else:
        how = Ending(Event.NOTHING_HERE, now, value.status, failure=value.code)
    transfer = requested.received.transfer
    ahead = requested.received.ahead
    new = OpenTransfer(transfer, here.process, FEED, salt=salt, intent=intent.leaf, ahead=ahead)
    row, ended, receipt = outcome.end_new(row_of(decoded, FROM_FEED, now, here.process, how.event), new, how)
    log, parts = [intent, ended], request_parts(requested, salt)
    if isinstance(value, FeedValue) and how.answer is not None:
        facts = {"event": value.transfer, "at": value.at, "owners": [value.owner] if value.owner else []}
        log.append(entries.note("feed-answer", facts, now, about=transfer, ahead=ahead))
        parts.append(("answer", how.answer))
    bound = {"request": binding.of_transfer(intent.leaf, row), "answer": ended.leaf}
    write = Write(
        replay=requested.authenticated.replay,
        transfer=row,
        log=tuple(log),
        vault=here.vault.seal_kept(here.keep, transfer, parts, now, bound),
        quota=uses_of(decoded.authorised.decision, requested.caller.agency, now, here.vendors, ahead),
    )
    return write, receipt
