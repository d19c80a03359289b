"""Derives the facts of a log entry: the values by which it is searched.

Some entries name only the transfer that they concern: its outcome, a doubt, a delay, a repeat. They take agency,
system, contract, operation, grant and message from that transfer's intent, so that "agency X, failed" finds one entry.

Invariant: the facts of an entry follow from it and from the entries before it alone, so they are always the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.audit.search.details import detail_of, listed, part
from gateway.audit.search.fields import FIELDS, OUTCOMES, Conditions, Parts, Role, text_in
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.transfer.provider_agencies import agency_of, old_agencies

TROUBLE: Final = 10  # outcomes with a higher code are troubles
PASSED_ON: Final = frozenset({"outcome", "in-doubt", "queued", "try-failed"})  # after a message was sent, or tried
READINGS: Final = frozenset({"feed-read", "log-read"})
_AT_ONCE: Final = 400
_PARTY: Final = re.compile(r"(?P<agency>[^/\s]+)/(?P<system>[^/\s]+)")
_PERSON: Final = re.compile(r"(?P<agency>[^/\s]+)/[^/\s:]+: ")  # proved at the command line


class Party(NamedTuple):
    """An agency that an entry concerns, and how."""

    agency: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Conditions):
    """`about` is the transfer concerned, `transfer` the id in the entry itself, `message` a keyed hash."""

    transfer: str
    about: str
    kind: str  # intent, outcome, refusal, repeat, in-doubt, or what a note is: export, login, …
    at: str = ""
    status: int | None = None
    source: str | None = None
    door: str | None = None
    times: int = 1  # how many refusals it sums up
    detail: str | None = None  # further content of the entry, in one line
    parties: tuple[Party, ...] = ()  # the agencies concerned

    @property
    def trouble(self) -> bool:
        return self.outcome is not None and OUTCOMES[self.outcome] > TROUBLE

    @property
    def party(self) -> str | None:
        """The system whose transfer it is, or that did it, with its agency."""
        return f"{self.agency}/{self.system}" if self.system else None

    @property
    def doer(self) -> str | None:
        """Who did what the entry says: the actor of a note, not the party of the transfer that the note is about."""
        return self.actor or self.party or self.source

    def named(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


class Logged(NamedTuple):
    """An entry of the log with its facts."""

    idx: int
    sequenced: float
    facts: Facts
    entry: bytes


Row = Sequence[Any]  # idx, transfer, phase, entry, sequenced
COLUMNS: Final = tuple(tables.log_entry.c[name] for name in ("idx", "transfer", "phase", "entry", "sequenced"))


def read(connection: Connection, rows: Iterable[Row]) -> list[Logged]:
    """The facts of entries, in the given order; intents that are not among them are read too."""
    agencies = old_agencies(connection)
    parsed = [(int(row[0]), str(row[1]), str(row[2]), bytes(row[3]), float(row[4])) for row in rows]
    values = [parse(raw) for _, _, _, raw, _ in parsed]
    intents = {
        transfer: (idx, value)
        for (idx, transfer, phase, _, _), value in zip(parsed, values, strict=True)
        if phase == "intent"
    }
    abouts = {_about(value, row[1]) for row, value in zip(parsed, values, strict=True) if _looks_back(value)}
    intents |= _intents(connection, abouts - intents.keys())
    logged = []
    for (idx, transfer, phase, raw, sequenced), value in zip(parsed, values, strict=True):
        begun = intents.get(_about(value, transfer)) if _looks_back(value) else None
        intent = begun[1] if begun is not None and begun[0] < idx else {}
        logged.append(Logged(idx, sequenced, facts_of(value, transfer, phase, intent, agencies), raw))
    return logged


def facts_of(
    value: Mapping[str, Any],
    transfer: str,
    phase: str,
    intent: Mapping[str, Any],
    agencies: Mapping[str, str] | None = None,
) -> Facts:
    """`agencies` are those of providers, by system, for intents that do not name them (`old_agencies`)."""
    actor = text_in(value, "actor")
    acting = _PARTY.fullmatch(actor) if actor is not None and not value.get("caller") else None
    facts, caller = part(value, "facts"), part(value, "caller") or part(intent, "caller")
    parts = Parts(value=value, transfer=transfer, phase=phase, intent=intent, facts=facts, caller=caller, acting=acting)
    status, count = value.get("status"), value.get("count")
    searched: dict[str, Any] = {name: field.read(parts) for name, field in FIELDS.items()}
    return Facts(
        **searched,
        about=_about(value, transfer),
        at=text_in(value, "at") or "",
        status=status if isinstance(status, int) else None,
        source=text_in(value, "source") or text_in(facts, "source"),
        door=text_in(value, "door"),
        times=count if isinstance(count, int) else 1,
        detail=detail_of(parts.kind, value if parts.kind == "intent" else facts),
        parties=tuple(dict.fromkeys(_parties(parts, searched, agencies or {}))),
    )


def _parties(parts: Parts, searched: Mapping[str, Any], agencies: Mapping[str, str]) -> Iterator[Party]:
    if searched["agency"] is not None:
        yield Party(searched["agency"], "caller")
    provider, agency = searched["provider"], None
    if provider is not None:
        called = parts.value if parts.kind == "intent" else parts.intent
        agency = agency_of(called, provider, agencies)
        if agency is not None:
            yield Party(agency, "provider")
            yield from _senders(parts, searched["agency"], agency)
    if parts.kind in READINGS | {"body-view"}:
        person = _PERSON.match(text_in(parts.value, "actor") or "")
        if (reader := parts.acting or person) is not None:
            yield Party(reader["agency"], "reader")
    if parts.kind == "body-view":
        answer = "answer" in (text_in(parts.facts, "part") or "")
        owner = agency if answer and agency is not None else text_in(parts.caller, "agency")
        if owner is not None:
            yield Party(owner, "owner")
    for owner in listed(parts.facts, "owners"):
        yield Party(owner, "owner")


def _senders(parts: Parts, caller: str | None, provider: str) -> Iterator[Party]:
    """Whose data another agency got, or may have got: the caller's message went out, the provider's answer came."""
    if caller is None or parts.kind not in PASSED_ON:
        return
    yield Party(caller, "owner")
    if parts.kind == "outcome" and text_in(parts.value, "failure") is None:
        yield Party(provider, "owner")


def _looks_back(value: Mapping[str, Any]) -> bool:
    return value.get("kind") not in ("intent", "refusal")


def _about(value: Mapping[str, Any], transfer: str) -> str:
    """The transfer that the entry concerns: a repeat names the first one, a note may name one in its facts."""
    return text_in(value, "of") or text_in(part(value, "facts"), "transfer") or transfer


def _intents(connection: Connection, transfers: Iterable[str]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    table, intents, ids = tables.log_entry.c, dict[str, tuple[int, Mapping[str, Any]]](), sorted(transfers)
    for start in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            select(table.transfer, table.idx, table.entry).where(
                table.transfer.in_(ids[start : start + _AT_ONCE]), table.phase == "intent"
            )
        )
        intents |= {transfer: (int(idx), parse(bytes(entry))) for transfer, idx, entry in rows}
    return intents
