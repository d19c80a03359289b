"""Derives the facts of a log entry: the values by which it is searched.

Some entries name only the transfer that they concern: its outcome, a doubt, a delay, a repeat. They take agency,
system, contract, operation, grant and message from that transfer's intent, so that "agency X, failed" finds one entry.

Invariant: the facts of an entry follow from it and from the entries before it alone, so they are always the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.audit.search.fields import FIELDS, OUTCOMES, Conditions, Parts, Role, text_in
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.transfer.provider_agencies import agency_of, old_agencies

TROUBLE: Final = 10  # outcomes with a higher code are troubles
PASSED_ON: Final = frozenset({"outcome", "in-doubt", "queued", "try-failed"})  # after a message was sent, or tried
READINGS: Final = frozenset({"feed-read", "log-read"})
_AT_ONCE: Final = 400
_SHOWN: Final = 3
# Tables whose rows are told of in other words: by what came into force, who signed, and where routes lead.
_TOLD_OTHERWISE: Final = frozenset({"registry_proposal", "approval", "route", "notice", "bundle"})
_CHANGES: Final = 12
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
    facts, caller = _part(value, "facts"), _part(value, "caller") or _part(intent, "caller")
    parts = Parts(value=value, transfer=transfer, phase=phase, intent=intent, facts=facts, caller=caller, acting=acting)
    status, count = value.get("status"), value.get("count")
    detail = _DETAILS.get(parts.kind)
    searched: dict[str, Any] = {name: field.read(parts) for name, field in FIELDS.items()}
    return Facts(
        **searched,
        about=_about(value, transfer),
        at=text_in(value, "at") or "",
        status=status if isinstance(status, int) else None,
        source=text_in(value, "source") or text_in(facts, "source"),
        door=text_in(value, "door"),
        times=count if isinstance(count, int) else 1,
        detail=detail(value if parts.kind == "intent" else facts) if detail is not None else None,
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
    for owner in _list(parts.facts, "owners"):
        yield Party(owner, "owner")


def _senders(parts: Parts, caller: str | None, provider: str) -> Iterator[Party]:
    """Whose data another agency got, or may have got: the caller's message went out, the provider's answer came."""
    if caller is None or parts.kind not in PASSED_ON:
        return
    yield Party(caller, "owner")
    if parts.kind == "outcome" and text_in(parts.value, "failure") is None:
        yield Party(provider, "owner")


def _call(facts: Mapping[str, Any]) -> str:
    """Describes a call that a dead process had in hand."""
    size, seconds = facts.get("size"), facts.get("seconds")
    parts = [f"{text_in(facts, 'method') or ''} {text_in(facts, 'path') or ''}".strip()]
    parts += [f"{size} bytes"] if isinstance(size, int) else []
    parts += [f"{name} {text_in(facts, name)}" for name in ("source", "certificate", "process") if text_in(facts, name)]
    parts += [f"{seconds} s in hand"] if isinstance(seconds, int) else []
    return ", ".join(parts)


def _altered(facts: Mapping[str, Any]) -> str:
    return _counted(facts, "differences", [*_list(facts, "schema"), *_list(facts, "registry")])


def _quarantined(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('file')}, {facts.get('size')} bytes, {facts.get('deaths')} processes died with it in hand"


def _accepted(facts: Mapping[str, Any]) -> str:
    return f"{_counted(facts, 'rows', _list(facts, 'differed'))}: {text_in(facts, 'reason') or '–'}"


def _received(intent: Mapping[str, Any]) -> str | None:
    """By which grants the provider receives it; those not confirmed in time are named so."""
    overdue = _list(intent, "overdue")
    grants = [f"{name} (not confirmed in time)" if name in overdue else name for name in _list(intent, "receiving")]
    return f"received by {', '.join(grants)}" if grants else None


def _content(facts: Mapping[str, Any]) -> str | None:
    """What came into force and what waits, who proposed and who signed it."""
    parts = [
        f"{each.get('subject')} {what}{_by(each, 'proposed_by', 'proposed by')}{_by(each, 'signed_by', 'signed by')}"
        for name, what in (("in_force", "in force"), ("waiting", "waits"))
        for each in (facts[name] if isinstance(facts.get(name), list) else ())
        if isinstance(each, dict)
    ]
    return "; ".join([*parts[:_SHOWN], *(["…"] if len(parts) > _SHOWN else [])]) or None


def _registered(facts: Mapping[str, Any]) -> str | None:
    return "; ".join(filter(None, (_content(facts), _changes(facts)))) or None


def _by(facts: Mapping[str, Any], name: str, words: str) -> str:
    value = facts.get(name)
    names = [value] if isinstance(value, str) else _list(facts, name)
    return f", {words} {' and '.join(names)}" if names else ""


def _counted(facts: Mapping[str, Any], what: str, named: Sequence[str]) -> str:
    more = ", …" if len(named) > _SHOWN else ""
    return f"{facts.get('count')} {what}, {', '.join(named[:_SHOWN])}{more}"


def _changes(facts: Mapping[str, Any]) -> str | None:
    """What a change of the registry changed: each object, and each field with its old and new value."""
    listed = facts.get("changes")
    parts = [
        f"{text_in(each, 'what')} {text_in(each, 'id')}: {text_in(each, 'how')}"
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict)
    ]
    changed = _part(_part(facts, "registry"), "changed")
    parts += [
        f"{name} {_value(pair[0])} → {_value(pair[1])}"
        for table in changed
        if table not in _TOLD_OTHERWISE
        for key, fields in _part(changed, table).items()
        for name, pair in (fields.items() if isinstance(fields, dict) else ())
        if isinstance(pair, list) and len(pair) == 2 and not (None in pair and key in map(str, _ids(fields)))
    ]
    parts += _routes(_part(changed, "route"))
    return "; ".join(parts[:_CHANGES]) + ("; …" if len(parts) > _CHANGES else "") if parts else None


def _ids(fields: Mapping[str, Any]) -> Iterator[Any]:
    """The values that a row got or lost: its id is among them if the row is new or gone."""
    return (each for pair in fields.values() if isinstance(pair, list) and None in pair for each in pair)


def _routes(rows: Mapping[str, Any]) -> Iterator[str]:
    """Where messages of each operation went, and go. A table of routes is replaced as a whole."""
    tables: dict[str, tuple[list[tuple[Any, str]], list[tuple[Any, str]]]] = {}
    for row in rows.values():
        for side in (0, 1):
            value = {name: pair[side] for name, pair in row.items()} if isinstance(row, dict) else {}
            if value.get("system") is not None:
                table = tables.setdefault(f"{value.get('contract')} {value.get('operation')}", ([], []))
                table[side].append((value.get("position") or 0, str(value["system"])))
    for name, (old, new) in sorted(tables.items()):
        yield f"{name} to {_systems(old)} → {_systems(new)}"


def _systems(routes: list[tuple[Any, str]]) -> str:
    return ", ".join(system for _, system in sorted(routes)) or "–"


def _contract(facts: Mapping[str, Any]) -> str:
    """The version and the one before; the personal fields that grants show newly."""
    old, disclosed = _part(facts, "before").get("version") or "–", facts.get("discloses")
    parts = [f"{facts.get('how')}: version {old} → {facts.get('version')}"]
    parts += [
        f"{each.get('field')} newly shown by {', '.join(_list(each, 'grants'))} to {', '.join(_list(each, 'agencies'))}"
        for each in disclosed or ()
        if isinstance(each, dict)
    ]
    return "; ".join(parts[:_CHANGES])


def _value(value: Any) -> str:
    """A value as the entry has it; of a long or personal one there is only a digest."""
    return "(…)" if isinstance(value, dict) else "–" if value is None else str(value)


def _list(facts: Mapping[str, Any], name: str) -> list[str]:
    values = facts.get(name)
    return [str(each) for each in values] if isinstance(values, list) else []


def _feed_read(facts: Mapping[str, Any]) -> str:
    """What a session has read, and what it may read until its next entry."""
    parts = [str(facts.get("state") or "")]
    read = ", ".join("–".join(map(str, each)) for each in facts.get("read") or () if isinstance(each, list))
    parts += [f"{facts.get('events')} events: {read}"] if read else []
    parts += [f"may read {facts.get('from')}–{facts.get('to')}"] if "to" in facts else []
    owners = _list(facts, "owners")
    return "; ".join(each for each in [*parts, f"of {', '.join(owners)}" if owners else ""] if each)


_DETAILS: Final[Mapping[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "intent": _received,
    **dict.fromkeys(("access", "registry"), _registered),
    **dict.fromkeys(("suspended", "resumed"), _changes),
    "taken-up": _call,
    "altered": _altered,
    "contract": _contract,
    "feed-read": _feed_read,
    "quarantine": _quarantined,
    "registry-accepted": _accepted,
}


def _looks_back(value: Mapping[str, Any]) -> bool:
    return value.get("kind") not in ("intent", "refusal")


def _about(value: Mapping[str, Any], transfer: str) -> str:
    """The transfer that the entry concerns: a repeat names the first one, a note may name one in its facts."""
    return text_in(value, "of") or text_in(_part(value, "facts"), "transfer") or transfer


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


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}
