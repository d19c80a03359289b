"""Builds the audit log's entries for each step of a transfer.

Digests are salted. The salt is stored with the request's evidence in the vault (`vault.salting`) and destroyed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.compiled.contract import CompiledContract
from gateway.journal.write import LogRow
from gateway.registry.receiving import Receiving
from gateway.registry.records import System
from gateway.transfer.kept_findings import keep_findings, kept_reason
from gateway.transfer.stages import (
    Addressed,
    Authenticated,
    Decoded,
    Doubt,
    Ending,
    OpenTransfer,
    Reached,
    Received,
    Requested,
    authenticated_of,
    received_of,
)
from security.keys import thumbprint
from security.transparency import entry as form

HashId = Callable[[str], str]
TRY_FAILED: Final = "try-failed"
PROBES: Final = "probes"  # of one system and day


def intent(
    decoded: Decoded, provider: tuple[System, Receiving] | None, salt: bytes, now: float, hash_id: HashId
) -> LogRow:
    requested = decoded.requested
    received, contract = requested.received, requested.contract
    decision = decoded.authorised.decision
    assert decision.grant is not None
    receiver, receiving = provider if provider is not None else (None, None)
    return _row(
        form.Intent(
            transfer=received.transfer,
            at=now,
            door=received.face,
            caller=_caller(requested.authenticated),
            contract=contract.contract.name,
            operation=requested.operation.name,
            bundle=contract.digest,
            message=hash_id(requested.message_id),
            grant=decision.grant.id,
            provider=receiver.id if receiver is not None else None,
            came_in=_came_in(received, salt),
            also=tuple(each.id for each in decision.through[1:]),
            receiving=receiving.grants if receiving is not None else (),
            overdue=receiving.overdue if receiving is not None else (),
            registry=received.snapshot.revision,
            provider_agency=receiver.agency if receiver is not None else None,
            clock=_clock(now, received.ahead),
        )
    )


def outcome(transfer: OpenTransfer, how: Ending) -> LogRow:
    salt, call, spool = transfer.salt, how.call, transfer.spool

    def digest(data: bytes | None) -> form.Digest | None:
        if salt is None or not data:
            return None
        return form.salted(salt, data) if spool is None else form.salted_pieces(salt, spool.restore(data))

    return _row(
        form.Outcome(
            transfer=transfer.id,
            at=how.at,
            status=how.status,
            provider=transfer.provider,
            failure=how.failure,
            sent=digest(getattr(call, "evidence_out", None)),
            came_back=digest(getattr(call, "evidence_in", None)),
            answered=digest(how.answer),
            keys=how.keys,
            clock=_clock(how.at, transfer.ahead),
        )
    )


def put_aside(transfer: OpenTransfer, failure: Failure, now: float, contract: CompiledContract) -> LogRow:
    """Not an outcome: the first try failed, and the transfer continues in the queue."""
    facts = _try(transfer, failure, contract)
    return _row(form.Note(transfer.id, now, "queued", "gateway", facts, _clock(now, transfer.ahead)))


def try_failed(
    transfer: OpenTransfer, failure: Failure, now: float, contract: CompiledContract | None, number: int = 1
) -> LogRow:
    """A try of the delivery failed. Not an outcome. The caller makes its phase free (`logged.free_phase`)."""
    facts = _try(transfer, failure, contract) | {"try": number}
    return _row(form.Note(transfer.id, now, TRY_FAILED, "gateway", facts, _clock(now, transfer.ahead)))


def only_try(transfer: OpenTransfer, failure: Failure, now: float, contract: CompiledContract) -> tuple[LogRow, ...]:
    """The note of a failed try after which nothing waits, if it says more than the code: other entries have that."""
    note = try_failed(transfer, failure, now, contract)
    return (note,) if failure.findings or kept_reason(failure) else ()


def _came_in(received: Received, salt: bytes) -> form.Digest:
    """Of what the caller sent, also where its large contents are beside the body."""
    if received.large is not None and received.large.spool is not None:
        return form.salted_pieces(salt, received.large.spool.restore(received.body))
    return form.salted(salt, received.body or received.query.encode())


def _try(transfer: OpenTransfer, failure: Failure, contract: CompiledContract | None) -> dict[str, form.Json]:
    facts: dict[str, form.Json] = {"failure": failure.code, "provider": transfer.provider}
    reason = kept_reason(failure)
    if reason:
        facts["reason"] = reason
    kept = keep_findings(failure.findings, contract)
    if kept.findings:
        facts["findings"] = kept.findings
    if kept.more:
        facts["more"] = kept.more
    return facts


def in_doubt(transfer: OpenTransfer, why: Doubt) -> LogRow:
    frozen = form.freeze(form.InDoubt(transfer.id, why.at, why.process, why.reason, _clock(why.at, transfer.ahead)))
    return LogRow(frozen.transfer, why.phase, frozen.entry, frozen.leaf)


def repeat(requested: Requested, first: str, status: int, now: float) -> LogRow:
    received, caller = requested.received, _caller(requested.authenticated)
    clock = _clock(now, received.ahead)
    return _row(form.Repeat(received.transfer, now, received.face, caller, first, status, clock))


def refusal(reached: Reached, failure: Failure, now: float, hash_id: HashId, *, count: int = 1) -> LogRow:
    """Names the caller as far as it was proven, else the source address. Only a named caller's findings are kept."""
    requested = reached if isinstance(reached, Requested) else None
    authenticated = authenticated_of(reached)
    addressed = (
        authenticated.addressed if authenticated is not None else reached if isinstance(reached, Addressed) else None
    )
    received = received_of(reached)
    caller = _caller(authenticated) if authenticated is not None else by_channel(received)
    operation = requested.operation if requested is not None else addressed.operation if addressed is not None else None
    nearest, provider = failure.facts.get("grant"), failure.facts.get("provider")
    denied = failure.facts if failure.code.startswith("access.") else {}  # also of a feed, which no door addresses
    kept = keep_findings(
        failure.findings if caller is not None else (), addressed.contract if addressed is not None else None
    )
    return _row(
        form.Refusal(
            transfer=received.transfer,
            at=now,
            door=received.face,
            failure=failure.code,
            status=failure.status,
            caller=caller,
            source=received.source if caller is None else None,
            contract=addressed.contract.contract.name if addressed is not None else _text(denied.get("contract")),
            operation=operation.name if operation is not None else _text(denied.get("operation")),
            message=hash_id(requested.message_id) if requested is not None else None,
            nearest=str(nearest) if nearest else None,
            count=count,
            provider=str(provider) if provider else None,
            registry=received.snapshot.revision,
            findings=kept.findings,
            more=kept.more,
            clock=_clock(now, received.ahead),
        )
    )


def note(
    what: str,
    facts: Mapping[str, form.Json],
    now: float,
    *,
    actor: str = "gateway",
    about: str | None = None,
    ahead: int = 0,
) -> LogRow:
    """Any other event to log. It gets an id of its own unless `about` names a transfer. `ahead` as of `Received`."""
    return _row(form.Note(about or new_id(int(now * 1000)), now, what, actor, facts, _clock(now, ahead)))


def _clock(now: float, ahead: int) -> float | None:
    """The time by a tenant's clock, where it was moved."""
    return now + ahead if ahead else None


def by_channel(received: Received) -> form.Caller | None:
    """The system of the TLS certificate, even if its key is no longer in force."""
    if received.certificate is None:
        return None
    mark = thumbprint(received.certificate)
    key = received.snapshot.tls_key(mark)
    if key is None:
        return None
    return form.Caller(received.snapshot.systems[key.system].agency, key.system, certificate=mark)


def _caller(authenticated: Authenticated) -> form.Caller:
    channel, key = authenticated.addressed.channel, authenticated.key
    if key is None:
        return form.Caller(channel.system.agency, channel.system.id, channel.thumbprint)
    return form.Caller(channel.system.agency, channel.system.id, channel.thumbprint, key.key_id, key.thumbprint)


def _text(fact: object) -> str | None:
    return fact if isinstance(fact, str) and fact else None


def _row(entry: form.Entry) -> LogRow:
    frozen = form.freeze(entry)
    return LogRow(frozen.transfer, frozen.phase, frozen.entry, frozen.leaf)
