"""The audit log's entries for each step of a transfer, made from its stages.

Digests are salted; the salt of a transfer stands at the head of its request's evidence in the vault (`evidence.pack`), so that it is
destroyed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.model import Incoming
from contracts.base.errors import Failure
from contracts.base.ids import new_id
from gateway.exchange.stages import Addressed, Authenticated, Committed, Decoded, Received, Requested
from gateway.journal.write import LogRow
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from security.keys import thumbprint
from security.transparency import entry as form

HashId = Callable[[str], str]


def intent(decoded: Decoded, provider: System | None, salt: bytes, now: float, hash_id: HashId) -> LogRow:
    who = decoded.requested
    received, contract = who.received, who.contract
    decision = decoded.authorised.decision
    assert decision.grant is not None
    return _row(
        form.Intent(
            transfer=received.transfer,
            at=now,
            door=received.face,
            caller=_caller(who.authenticated),
            contract=contract.contract.name,
            operation=who.operation.name,
            bundle=contract.digest,
            message=hash_id(who.message_id),
            grant=decision.grant.id,
            provider=provider.id if provider is not None else None,
            came_in=form.salted(salt, received.body or received.query.encode()),
            also=tuple(each.id for each in decision.through[1:]),
        )
    )


def accepted(decoded: Decoded, answer: bytes, salt: bytes, now: float) -> LogRow:
    """The outcome of a message that was handed in: it stands in the feed."""
    return _row(form.Outcome(decoded.requested.received.transfer, now, 200, answered=form.salted(salt, answer)))


def answered(committed: Committed, incoming: Incoming, answer: bytes, now: float) -> LogRow:
    assert committed.provider is not None
    salt = committed.salt
    return _row(
        form.Outcome(
            committed.transfer,
            now,
            200,
            provider=committed.provider.id,
            sent=form.salted(salt, incoming.evidence_out),
            came_back=form.salted(salt, incoming.evidence_in),
            answered=form.salted(salt, answer),
        )
    )


def failed(committed: Committed, failure: Failure, sent: bytes, back: bytes, now: float) -> LogRow:
    assert committed.provider is not None
    return _row(
        form.Outcome(
            committed.transfer,
            now,
            failure.status,
            provider=committed.provider.id,
            failure=failure.code,
            sent=form.salted(committed.salt, sent) if sent else None,
            came_back=form.salted(committed.salt, back) if back else None,
        )
    )


def put_aside(committed: Committed, failure: Failure, now: float) -> LogRow:
    """Not an outcome: the transfer goes on in the queue."""
    assert committed.provider is not None
    facts = {"failure": failure.code, "provider": committed.provider.id}
    return _row(form.Note(committed.transfer, now, "queued", "gateway", facts))


def in_doubt(committed: Committed, failure: Failure, process: str, now: float) -> LogRow:
    return _row(form.InDoubt(committed.transfer, now, process, failure.code))


def repeat(who: Requested, first: str, status: int, now: float) -> LogRow:
    return _row(form.Repeat(who.received.transfer, now, who.received.face, _caller(who.authenticated), first, status))


def refusal(
    received: Received,
    snapshot: Snapshot,
    failure: Failure,
    addressed: Addressed | None,
    who: Authenticated | None,
    requested: Requested | None,
    now: float,
    hash_id: HashId,
    *,
    count: int = 1,
) -> LogRow:
    """A refusal names as much of the caller as was proven, and the source address where nothing was."""
    caller = _caller(who) if who is not None else by_channel(received, snapshot)
    operation = requested.operation if requested is not None else addressed.operation if addressed is not None else None
    nearest = failure.facts.get("grant")
    return _row(
        form.Refusal(
            transfer=received.transfer,
            at=now,
            door=received.face,
            failure=failure.code,
            status=failure.status,
            caller=caller,
            source=received.source if caller is None else None,
            contract=addressed.contract.contract.name if addressed is not None else None,
            operation=operation.name if operation is not None else None,
            message=hash_id(requested.message_id) if requested is not None else None,
            nearest=str(nearest) if nearest else None,
            count=count,
        )
    )


def note(
    what: str, facts: Mapping[str, form.Json], now: float, *, actor: str = "gateway", about: str | None = None
) -> LogRow:
    """Anything else that must be accounted for; it gets an id of its own, unless it is told what it is about."""
    return _row(form.Note(about or new_id(int(now * 1000)), now, what, actor, facts))


def by_channel(received: Received, snapshot: Snapshot) -> form.Caller | None:
    """TLS proved the certificate, even where the message proved nothing."""
    if received.certificate is None:
        return None
    mark = thumbprint(received.certificate)
    key = snapshot.tls_key(mark)
    if key is None:
        return None
    return form.Caller(snapshot.systems[key.system].agency, key.system, certificate=mark)


def _caller(who: Authenticated) -> form.Caller:
    key = who.key
    if key is None:
        return form.Caller(who.caller.agency, who.caller.id, who.certificate_thumbprint)
    return form.Caller(who.caller.agency, who.caller.id, who.certificate_thumbprint, key.key_id, key.thumbprint)


def _row(entry: form.Entry) -> LogRow:
    frozen = form.freeze(entry)
    return LogRow(frozen.transfer, frozen.phase, frozen.entry, frozen.leaf)
