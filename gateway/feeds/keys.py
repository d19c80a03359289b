"""Business keys of feeds: what a submitted message corrects, recalls or repeats, as its contract declares (`identity`).

    claim    the keys and references of a message, as keyed hashes
    settle   compares them with what stands in the feed: the rows to write and the kind of event, or a repeat

The rules:
1. An equal content under a known key is a repeat. It gets the answer of the first message and no event.
2. Other content under a known key corrects the earlier message where the contract says so. Otherwise it is refused.
3. A correction, recall or response names earlier messages. Each of them must be known here, be of the same agency, and
   be named as it was sent. A recalled message is corrected no more.
4. Content that holds no longer when it is taken in is not what stands. Later the keeper ends it (`expiry`).
5. A reference to a message that this gateway never had is refused: readers of the feed cannot know it either.

Invariant: `settle` decides by rows that were read. The journal writes its rows only while they are unchanged, so that
  of two doors at once one wins and the other decides again.
Invariant: the table holds no value of a message, only keyed hashes; each row is sealed with one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.errors import Finding
from contracts.canonical.model import Contract, Identity, Kind, Operation
from contracts.compiled.event_facts import expires
from contracts.compiled.identity import key_from, keys_of, kind_of, references_of
from gateway.feeds.errors import MESSAGE_KEY_TAKEN, MESSAGE_REFERENCE
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.registry.tenants import is_tenant
from gateway.transfer.key_seals import HashId, sealed

LIVE, SUPERSEDED, RECALLED, NOTICE = "live", "superseded", "recalled", "notice"
ENDED: Final = "expired"  # the time came until which the content holds
_MOST: Final = 20  # findings
_PAGE: Final = 500


class Party(NamedTuple):
    """Who hands a message in."""

    agency: str
    system: str


class Own(NamedTuple):
    key: str
    content: str
    reference: str
    at: int | None  # the item's position in its list


class Claim(NamedTuple):
    """What a message says of itself. `references` is None if the field that must name earlier messages does not."""

    contract: str
    identity: Identity
    kind: Kind
    party: Party
    own: tuple[Own, ...]
    refers: str | None
    references: tuple[tuple[str, str], ...] | None
    hash_id: HashId
    state: str = LIVE  # of its content

    @property
    def keys(self) -> list[str]:
        return [*(each.key for each in self.own), *(key for key, _ in self.references or ())]


class Settled(NamedTuple):
    """The rows to write and the kind of the event. `replaces`: the transfers that handed in what this one corrects or
    recalls. `repeats` is set instead if all of the message is known.
    """

    kind: Kind
    rows: tuple[KeyRow, ...] = ()
    repeats: str | None = None
    replaces: frozenset[str] = frozenset()

    @property
    def new(self) -> int:
        """How many keys nothing stood under before."""
        return sum(row.previous is None for row in self.rows)


def claim(
    contract: Contract,
    operation: Operation,
    message: Mapping[str, Any],
    party: Party,
    hash_id: HashId,
    at: float = 0.0,
) -> Claim | None:
    """None if the contract declares no identity for this operation. MESSAGE_KEY_TAKEN if two items share a key. `at`:
    when it is taken in, in Unix seconds.
    """
    identity = operation.identity
    if identity is None:
        return None
    kind, within = kind_of(identity, message), space(contract.name, operation.name, identity, party)
    own: dict[str, Own] = {}
    findings: list[Finding] = []
    for each in keys_of(identity, message):
        hashed = Own(
            hash_id(f"{within}{each.key}"),
            hash_id(f"feed content\n{each.content}"),
            hash_id(f"{within}reference\n{each.reference}") if identity.reference else "",
            each.at,
        )
        if own.setdefault(hashed.key, hashed).content != hashed.content and len(findings) < _MOST:
            findings.append(_finding(identity, hashed, "other content under one key", "each key once in a message"))
    if findings:
        raise MESSAGE_KEY_TAKEN(findings=findings, count=len(findings), transfer="—")
    refers = identity.relations[kind].refers if kind in identity.relations else None
    named = None if refers is None else references_of(identity, message, refers)
    references = (
        tuple(
            (hash_id(f"{within}{key}"), hash_id(f"{within}reference\n{whole}")) for key, whole in dict.fromkeys(named)
        )
        if named
        else None
    )
    until = expires(operation, message)
    state = LIVE if until is None or until > at else ENDED
    return Claim(contract.name, identity, kind, party, tuple(own.values()), refers, references, hash_id, state)


def key_of_query(
    contract: Contract, operation: Operation, message: Mapping[str, Any], hash_id: HashId, agency: str = ""
) -> str:
    """The key of the row that answers a query from the feed; `agency`: of a tenant, what it handed in itself."""
    feed = operation.feed
    assert feed is not None
    identity = contract.operations[feed.operation].identity
    assert identity is not None
    return hash_id(space(contract.name, feed.operation, identity, Party(agency, "")) + key_from(message, feed.key))


def read_rows(connection: Connection, keys: Sequence[str]) -> dict[str, KeyRow]:
    """The rows of these keys, by key."""
    table, rows = tables.feed_key, dict[str, KeyRow]()
    columns = [table.c[name] for name in KeyRow._fields]
    for start in range(0, len(keys), _PAGE):
        wanted = select(*columns).where(table.c.key.in_(keys[start : start + _PAGE]))
        rows.update({row[0]: KeyRow(*row) for row in connection.execute(wanted)})
    return rows


def settle(claim: Claim, known: Mapping[str, KeyRow], transfer: str) -> Settled:
    """What the message `transfer` does to the rows. MESSAGE_KEY_TAKEN or MESSAGE_REFERENCE if it may not."""
    by_key = claim.refers is None and claim.kind is not Kind.SUBMITTED  # corrects or recalls what has its own key
    rows: list[KeyRow] = []
    findings: list[Finding] = []
    repeats: list[str] = []
    changed, first = False, "—"
    for own in claim.own:
        row = known.get(own.key)
        if row is None:
            rows.append(_row(claim, own, transfer, None))
        elif row.agency != claim.party.agency:
            findings.append(_finding(claim.identity, own, "a key of another agency", "a key of your own"))
        elif row.content == own.content:
            repeats.append(row.transfer)
        elif claim.identity.corrects or by_key:
            rows.append(_row(claim, own, transfer, row))
            changed = True
        else:
            findings.append(_finding(claim.identity, own, "a key of earlier content", "a new key, or a correction"))
            first = row.transfer
    if findings:
        raise MESSAGE_KEY_TAKEN(findings=findings[:_MOST], count=len(findings), transfer=first)
    if not rows:
        return Settled(claim.kind, repeats=max(repeats))
    if by_key and not changed:
        paths = ", ".join(claim.identity.key)
        raise _unknown([Finding("", paths, "a key that is not known here", "reference", _KNOWN)])
    if claim.refers is not None:
        rows += _referred(claim, known, transfer)
    kind = Kind.CORRECTED if changed and claim.kind is Kind.SUBMITTED else claim.kind
    corrected = {known[row.key].transfer for row in rows if row.transfer == transfer and row.key in known}
    referred = {row.transfer for row in rows if row.transfer != transfer}
    return Settled(kind, tuple(rows), replaces=frozenset(corrected | referred))


def as_handed_in(claim: Claim, known: Mapping[str, KeyRow], transfer: str) -> tuple[KeyRow, ...]:
    """The rows of a message that is in the feed, although `settle` refuses it: it takes its own keys."""
    mine = claim._replace(kind=Kind.SUBMITTED)
    rows = ((own, known.get(own.key)) for own in claim.own)
    return tuple(_row(mine, own, transfer, row) for own, row in rows if row is None or row.content != own.content)


_KNOWN: Final = "a message that this gateway has; hand the earlier one in first"


def _referred(claim: Claim, known: Mapping[str, KeyRow], transfer: str) -> Iterable[KeyRow]:
    """The rows of the earlier messages as this one leaves them."""
    path = claim.refers or ""
    if claim.references is None:
        form = ",".join(claim.identity.reference)
        raise _unknown([Finding("", path, "no reference, or another form", "reference", form)])
    own = {each.key for each in claim.own}
    rows: list[KeyRow] = []
    findings: list[Finding] = []
    for number, (key, reference) in enumerate(claim.references, 1):
        row, got, expected = known.get(key), "", _KNOWN
        if row is None or key in own:
            got = "a message that is not known here"
        elif row.agency != claim.party.agency:
            got, expected = "a message of another agency", "a message of your own"
        elif row.reference != reference:
            got, expected = "the earlier message named in another way", ",".join(claim.identity.reference)
        elif row.state == RECALLED and claim.kind is Kind.CORRECTED:
            got, expected = "a message that was recalled", "a message that was not recalled"
        elif claim.kind is not Kind.RESPONDED and row.state in (LIVE, SUPERSEDED, ENDED):
            state = RECALLED if claim.kind is Kind.RECALLED else SUPERSEDED
            step = row._replace(state=state, changed=transfer, previous=row.changed)
            rows.append(sealed(step, claim.hash_id))
        if got:
            findings.append(Finding("", path, f"reference {number}: {got}", "reference", expected))
    if findings:
        raise _unknown(findings)
    return rows


def _unknown(findings: Sequence[Finding]) -> Exception:
    return MESSAGE_REFERENCE(findings=findings[:_MOST], count=len(findings))


def _row(claim: Claim, own: Own, transfer: str, before: KeyRow | None) -> KeyRow:
    state = claim.state
    if claim.kind in (Kind.RECALLED, Kind.RESPONDED):
        state = NOTICE if claim.refers is not None else RECALLED
    row = KeyRow(
        key=own.key,
        contract=claim.contract,
        content=own.content,
        reference=own.reference,
        transfer=transfer,
        agency=claim.party.agency,
        state=state,
        changed=transfer,
        previous=None if before is None else before.changed,
        seal="",
    )
    return sealed(row, claim.hash_id)


def space(contract: str, operation: str, identity: Identity, party: Party) -> str:
    """What precedes a business key before it is hashed."""
    scope = {"all": "", "agency": party.agency, "system": party.system}[identity.scope]
    if is_tenant(party.agency) and identity.scope == "all":  # a tenant takes no key from anybody
        scope = party.agency
    return f"feed key\n{contract}\n{operation}\n{identity.scope}\n{scope}\n"


def _finding(identity: Identity, own: Own, got: str, expected: str) -> Finding:
    paths = ", ".join(identity.key)
    if own.at is not None:
        paths = paths.replace("[]", f"[{own.at}]")
    return Finding("", paths, got, "key", expected)
