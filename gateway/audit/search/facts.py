"""What an entry of the log tells, in the words that are searched by.

Some entries name only the transfer that they are about: how it ended, that it is in doubt, that it was put aside or came again. They take agency,
system, contract, operation, grant and message from that transfer's intent, so that "agency X, failed" is found on one entry.
Invariant: the facts of an entry follow from it and from the entries before it, and from nothing else: they are the same whenever they are derived.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from gateway.journal.logged import parse
from gateway.journal.schema import tables

OUTCOMES: Final[Mapping[str, int]] = {"ok": 1, "repeated": 2, "queued": 3, "in-doubt": 11, "failed": 12, "refused": 13}
TROUBLE: Final = 10  # codes above are what an officer looks at first
_AT_ONCE: Final = 400
_CODE: Final = re.compile(r"[a-z][a-z-]*\.[a-z][a-z-]*")
_PARTY: Final = re.compile(r"([^/\s]+)/([^/\s]+)")


class Facts(NamedTuple):
    """`about` is the transfer concerned; `transfer` the id that the entry itself bears."""

    transfer: str
    about: str
    kind: str  # intent, outcome, refusal, repeat, in-doubt, or what a note is: export, login, …
    at: str = ""
    outcome: str | None = None
    failure: str | None = None
    status: int | None = None
    agency: str | None = None
    system: str | None = None
    provider: str | None = None
    contract: str | None = None
    operation: str | None = None
    grant: str | None = None
    message: str | None = None  # keyed hash
    actor: str | None = None
    source: str | None = None
    door: str | None = None
    times: int = 1  # how many refusals it sums up
    detail: str | None = None  # of a call that a dead process had in hand: what is known of it, in one line

    @property
    def trouble(self) -> bool:
        return self.outcome is not None and OUTCOMES[self.outcome] > TROUBLE


class Logged(NamedTuple):
    """An entry as it stands in the log, and what it tells."""

    idx: int
    sequenced: float
    facts: Facts
    entry: bytes


Row = Sequence[Any]  # idx, transfer, phase, entry, sequenced
COLUMNS: Final = tuple(tables.log_entry.c[name] for name in ("idx", "transfer", "phase", "entry", "sequenced"))


def read(connection: Connection, rows: Iterable[Row]) -> list[Logged]:
    """The facts of entries, in the order given; intents that are not among them are looked up."""
    parsed = [(int(row[0]), str(row[1]), str(row[2]), bytes(row[3]), float(row[4])) for row in rows]
    values = [parse(raw) for _, _, _, raw, _ in parsed]
    intents = {
        transfer: (idx, value)
        for (idx, transfer, phase, _, _), value in zip(parsed, values, strict=True)
        if phase == "intent"
    }
    abouts = {_about(value, row[1]) for row, value in zip(parsed, values, strict=True) if _looks_back(value)}
    intents |= _intents(connection, abouts - intents.keys())
    made = []
    for (idx, transfer, phase, raw, sequenced), value in zip(parsed, values, strict=True):
        before = intents.get(_about(value, transfer)) if _looks_back(value) else None
        party = before[1] if before is not None and before[0] < idx else {}
        made.append(Logged(idx, sequenced, facts_of(value, transfer, phase, party), raw))
    return made


def facts_of(value: Mapping[str, Any], transfer: str, phase: str, party: Mapping[str, Any]) -> Facts:
    told, caller = _part(value, "facts"), _part(value, "caller") or _part(party, "caller")
    kind = _text(value, "what") if value.get("kind") == "note" else _text(value, "kind")
    actor = _text(value, "actor")
    acting = _PARTY.fullmatch(actor) if actor is not None and not value.get("caller") else None
    reason = _text(value, "reason") if kind == "in-doubt" else None
    failure = (
        _text(value, "failure")
        or _text(told, "failure")
        or (reason if reason is not None and _CODE.fullmatch(reason) else None)
    )
    status, count = value.get("status"), value.get("count")
    return Facts(
        transfer,
        _about(value, transfer),
        kind or phase.partition("#")[0],
        _text(value, "at") or "",
        _outcome(kind, failure),
        failure,
        status if isinstance(status, int) else None,
        acting[1] if acting is not None else _text(caller, "agency"),
        acting[2] if acting is not None else _text(caller, "system"),
        _text(value, "provider") or _text(told, "provider") or _text(party, "provider"),
        _text(value, "contract") or _text(told, "contract") or _text(party, "contract"),
        _text(value, "operation") or _text(told, "operation") or _text(party, "operation"),
        _text(value, "grant") or _text(value, "nearest") or _text(told, "grant") or _text(party, "grant"),
        _text(value, "message") or _text(told, "message") or _text(party, "message"),
        actor,
        _text(value, "source") or _text(told, "source"),
        _text(value, "door"),
        count if isinstance(count, int) else 1,
        _detail(told) if kind == "taken-up" else None,
    )


def _outcome(kind: str | None, failure: str | None) -> str | None:
    if kind == "outcome":
        return "ok" if failure is None else "failed"
    return {
        "taken-up": "failed",
        "refusal": "refused",
        "repeat": "repeated",
        "in-doubt": "in-doubt",
        "queued": "queued",
    }.get(kind or "")


def _detail(told: Mapping[str, Any]) -> str:
    size, seconds = told.get("size"), told.get("seconds")
    parts = [f"{_text(told, 'method') or ''} {_text(told, 'path') or ''}".strip()]
    parts += [f"{size} bytes"] if isinstance(size, int) else []
    parts += [f"{name} {_text(told, name)}" for name in ("source", "certificate", "process") if _text(told, name)]
    parts += [f"{seconds} s in hand"] if isinstance(seconds, int) else []
    return ", ".join(parts)


def _looks_back(value: Mapping[str, Any]) -> bool:
    return value.get("kind") not in ("intent", "refusal")


def _about(value: Mapping[str, Any], transfer: str) -> str:
    """A repeat names the transfer that came first; a note may name one among its facts."""
    return _text(value, "of") or _text(_part(value, "facts"), "transfer") or transfer


def _intents(connection: Connection, transfers: Iterable[str]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    table, found, wanted = tables.log_entry.c, dict[str, tuple[int, Mapping[str, Any]]](), sorted(transfers)
    for start in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            select(table.transfer, table.idx, table.entry).where(
                table.transfer.in_(wanted[start : start + _AT_ONCE]), table.phase == "intent"
            )
        )
        found |= {transfer: (int(idx), parse(bytes(entry))) for transfer, idx, entry in rows}
    return found


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) and found else None
