"""Entries of the audit log: typed values, frozen as canonical JSON (RFC 8785) with their RFC 6962 leaf hash.

`clock` is the time by the clock of the tenant of a sandbox, where the tenant moved it; all other entries have none.
No personal data: message ids are keyed hashes, contents are salted digests whose salts stay with the evidence, causes
are codes. Absent values are omitted. The sequencer assigns the index, which is not part of an entry.
Invariant: equal values give equal bytes on every platform and version, since the tree holds the leaf for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, NamedTuple

from contracts.base import jcs
from contracts.base.times import rfc3339
from security.transparency.merkle import leaf_hash

VERSION: Final = 1
SALT: Final = 16
_text: Final = encode_basestring
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class Digest(NamedTuple):
    """Salted SHA-256 of bytes, and their number."""

    sha256: bytes
    size: int


def salted(salt: bytes, data: bytes) -> Digest:
    """SHA-256(salt || data): without the salt, guesses of the content cannot be tested."""
    if len(salt) != SALT:
        raise ValueError(f"a salt has {SALT} bytes")
    return Digest(hashlib.sha256(salt + data).digest(), len(data))


def salted_pieces(salt: bytes, pieces: Iterable[bytes]) -> Digest:
    """The same of bytes that come in pieces."""
    if len(salt) != SALT:
        raise ValueError(f"a salt has {SALT} bytes")
    digest, size = hashlib.sha256(salt), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return Digest(digest.digest(), size)


def keyed(key: bytes, text: str) -> str:
    """HMAC-SHA256 of an id, in hex: only a holder of the key can find equal ids."""
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


class Caller(NamedTuple):
    """The proved caller: certificate of the connection, signing key, and the certificate of that key."""

    agency: str
    system: str
    certificate: str | None = None
    key: str | None = None
    signer: str | None = None  # thumbprint, as `certificate`


class Intent(NamedTuple):
    """A transfer is accepted, and will be forwarded. `also` are the other grants that allowed it.

    `receiving` are the grants by which the provider receives it, `overdue` those of them that were adopted and not
    confirmed in time.
    `registry` is the revision of the registry that decided; entries of older releases have none.
    """

    transfer: str
    at: float
    door: str
    caller: Caller
    contract: str
    operation: str
    bundle: str
    message: str
    grant: str
    provider: str | None
    came_in: Digest
    also: tuple[str, ...] = ()
    receiving: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    registry: int | None = None
    provider_agency: str | None = None
    clock: float | None = None


class Outcome(NamedTuple):
    """The end of a transfer: what the provider got, what it returned, what the caller got.

    `keys` is the number of business keys that the message took and none had before.
    """

    transfer: str
    at: float
    status: int
    provider: str | None = None
    failure: str | None = None
    sent: Digest | None = None
    came_back: Digest | None = None
    answered: Digest | None = None
    keys: int = 0
    clock: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request. `source` is the address of an unproved caller; `count` aggregates many refusals.

    `registry` is the revision of the registry that decided.
    `findings` say what was wrong with the message, without its values. `more` counts those that were left out.
    """

    transfer: str
    at: float
    door: str
    failure: str
    status: int
    caller: Caller | None = None
    source: str | None = None
    contract: str | None = None
    operation: str | None = None
    message: str | None = None
    came_in: Digest | None = None
    nearest: str | None = None
    count: int = 1
    provider: str | None = None  # that lacks the right to receive
    registry: int | None = None
    findings: Sequence[Mapping[str, str]] = ()
    more: int = 0
    clock: float | None = None


class Repeat(NamedTuple):
    """An accepted message was repeated with a new signature, and got the stored answer of the transfer `of`."""

    transfer: str
    at: float
    door: str
    caller: Caller
    of: str
    status: int
    clock: float | None = None


class InDoubt(NamedTuple):
    """A process ended between forwarding and outcome; whether the provider acted is unknown."""

    transfer: str
    at: float
    process: str
    reason: str
    clock: float | None = None


class Actor(str):
    """Who acts, as text, with the signed statement by which a person proved it (`security.grants.statements`)."""

    proof: Mapping[str, Json]

    @classmethod
    def proved(cls, text: str, person: str, statement: str, signature: str) -> Actor:
        actor = cls(text)
        actor.proof = {"person": person, "statement": statement, "signature": signature}
        return actor


@dataclass(frozen=True, slots=True)
class Note:
    """Other accountable events: registry changes, start and stop, readings of bodies, a new log.

    `transfer` is an own id, unless the note concerns a transfer; `what` becomes the phase.
    """

    transfer: str
    at: float
    what: str
    actor: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    clock: float | None = None


Entry = Intent | Outcome | Refusal | Repeat | InDoubt | Note


class FrozenEntry(NamedTuple):
    """The journal's form of an entry; (transfer, phase) is unique."""

    transfer: str
    phase: str
    entry: bytes
    leaf: bytes


def freeze(entry: Entry) -> FrozenEntry:
    """The canonical bytes of an entry and their leaf hash."""
    if isinstance(entry, Intent):
        return _frozen(entry.transfer, "intent", _intent(entry))
    if isinstance(entry, Outcome):
        return _frozen(entry.transfer, "outcome", _outcome(entry))
    value: dict[str, Json] = {"v": VERSION, "transfer": entry.transfer, "at": rfc3339(entry.at)}
    match entry:
        case Refusal():
            phase = "refusal"
            value |= _refusal(entry)
        case Repeat():
            phase = "repeat"
            value |= {"door": entry.door, "caller": _caller(entry.caller), "of": entry.of, "status": entry.status}
        case InDoubt():
            phase = "in-doubt"
            value |= {"process": entry.process, "reason": entry.reason}
        case Note():
            phase = entry.what
            value |= {"actor": str(entry.actor), "facts": dict(entry.facts)}
            value["proof"] = entry.actor.proof if isinstance(entry.actor, Actor) else None
    if entry.clock is not None:
        value["clock"] = rfc3339(entry.clock)
    value["kind"] = "note" if isinstance(entry, Note) else phase
    if isinstance(entry, Note):
        value["what"] = entry.what
    present = {name: item for name, item in value.items() if item is not None}
    # The fixed entries have only strings and small integers under ASCII names. For these, the C encoder's output equals
    # RFC 8785.
    return _frozen(entry.transfer, phase, jcs.encode(present).decode() if isinstance(entry, Note) else _encode(present))


def _frozen(transfer: str, phase: str, text: str) -> FrozenEntry:
    raw = text.encode()
    return FrozenEntry(transfer, phase, raw, leaf_hash(raw))


# The two entries of each exchange are formatted directly, names in RFC 8785's order.


def _intent(entry: Intent) -> str:
    also = f'"also":{_encode(entry.also)},' if entry.also else ""
    provider = "" if entry.provider is None else f'"provider":{_text(entry.provider)},'
    receiving = f'"receiving":{_encode(entry.receiving)},' if entry.receiving else ""
    overdue = f'"overdue":{_encode(entry.overdue)},' if entry.overdue else ""
    registry = "" if entry.registry is None else f'"registry":{entry.registry},'
    if entry.provider_agency is not None:
        provider += f'"provider_agency":{_text(entry.provider_agency)},'
    return (
        f'{{{also}"at":"{rfc3339(entry.at)}","bundle":{_text(entry.bundle)},'
        f'"caller":{_caller_text(entry.caller)},{_clock_text(entry.clock)}"contract":{_text(entry.contract)},'
        f'"door":{_text(entry.door)},"grant":{_text(entry.grant)},{_digest_text("in", entry.came_in)}"kind":"intent",'
        f'"message":{_text(entry.message)},"operation":{_text(entry.operation)},{overdue}{provider}'
        f'{receiving}{registry}"transfer":{_text(entry.transfer)},"v":{VERSION}}}'
    )


def _outcome(entry: Outcome) -> str:
    failure = "" if entry.failure is None else f'"failure":{_text(entry.failure)},'
    provider = "" if entry.provider is None else f'"provider":{_text(entry.provider)},'
    keys = f'"keys":{entry.keys},' if entry.keys else ""
    back = _digest_text("back", entry.came_back)
    return (
        f'{{"at":"{rfc3339(entry.at)}",{back}{_clock_text(entry.clock)}{failure}{keys}"kind":"outcome",'
        f"{_digest_text('out', entry.answered)}{provider}{_digest_text('sent', entry.sent)}"
        f'"status":{entry.status},"transfer":{_text(entry.transfer)},"v":{VERSION}}}'
    )


def _clock_text(clock: float | None) -> str:
    return "" if clock is None else f'"clock":"{rfc3339(clock)}",'


def _digest_text(name: str, digest: Digest | None) -> str:
    return "" if digest is None else f'"{name}":{{"sha256":"{digest.sha256.hex()}","size":{digest.size}}},'


@lru_cache(maxsize=1024)
def _caller_text(caller: Caller) -> str:
    return _encode(_caller(caller))


def _refusal(entry: Refusal) -> dict[str, Json]:
    return {
        "door": entry.door,
        "failure": entry.failure,
        "status": entry.status,
        "caller": _caller(entry.caller),
        "source": entry.source,
        "contract": entry.contract,
        "operation": entry.operation,
        "message": entry.message,
        "in": _digest(entry.came_in),
        "nearest": entry.nearest,
        "count": entry.count if entry.count > 1 else None,
        "provider": entry.provider,
        "registry": entry.registry,
        "findings": entry.findings or None,
        "more": entry.more or None,
    }


def _digest(digest: Digest | None) -> Json:
    return None if digest is None else {"sha256": digest.sha256.hex(), "size": digest.size}


def _caller(caller: Caller | None) -> Json:
    if caller is None:
        return None
    value = {
        "agency": caller.agency,
        "system": caller.system,
        "certificate": caller.certificate,
        "key": caller.key,
        "signer": caller.signer,
    }
    return {name: item for name, item in value.items() if item is not None}
