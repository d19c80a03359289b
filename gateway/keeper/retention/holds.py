"""Keeps legal holds: what one covers outlives its retention.

A held body is sealed again under the hold's own key of its day and class (`<day>.<class>.<hold>`). So the key of the
day is destroyed on time, with all that is not held. A hold is added in one transaction with its note in the log.
Sealing follows in steps; after a crash the keeper goes on, and before it destroys a key it checks again what is held
under it. When a hold is released, its keys are due by their day and class, like others. What another hold covers is
sealed under that one's key first.
Invariant: a body is under one key at a time; what a hold in force covers is never under a destroyed key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, or_, select, update

from contracts.base.errors import Theirs
from contracts.base.times import moment, rfc3339
from contracts.base.words import Words, WordsFile
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.noted import Noted, read_notes
from gateway.journal.schema import tables
from gateway.keeper.retention import rows
from gateway.transfer import entries
from gateway.vault.classes import HOLD_NAME, KeyName
from gateway.vault.errors import (
    VAULT_HOLD_STANDS,
    VAULT_HOLD_TOO_LATE,
    VAULT_HOLD_UNKNOWN,
    VAULT_HOLD_WRONG,
    VAULT_NO_REASON,
    VAULT_NOTHING_OF,
)
from security.grants.windows import civil
from security.transparency.entry import Json

_words = WordsFile(__file__)

NOTE: Final = "hold"
LEAST_REASON: Final = 10
_PAGE: Final = 500
_NAMED: Final = 5
_hold: Final = tables.vault_hold


@dataclass(frozen=True, slots=True)
class Hold:
    """Covers these transfers, or those that meet all of the other four conditions; None is no condition."""

    name: str
    reason: str
    actor: str
    since: float
    transfers: tuple[str, ...] | None = None
    agency: str | None = None
    contract: str | None = None
    begins: float | None = None
    ends: float | None = None
    released: float | None = None
    sealed: float | None = None

    def covers(self) -> ColumnElement[bool]:
        """The rows of `transfer` that it covers, as SQL. The agency is the caller's or the provider's."""
        table, system = tables.transfer.c, tables.system.c
        if self.transfers is not None:
            return table.id.in_(self.transfers)
        conditions: list[ColumnElement[bool]] = []
        if self.agency is not None:
            own = select(system.id).where(system.agency == self.agency)
            conditions.append(or_(table.caller_agency == self.agency, table.provider.in_(own)))
        if self.contract is not None:
            conditions.append(table.contract == self.contract)
        if self.begins is not None:
            conditions.append(table.id >= rows.first_id(self.begins))
        if self.ends is not None:
            conditions.append(table.id < rows.first_id(self.ends))
        return and_(*conditions)

    def facts(self) -> dict[str, Json]:
        """For the log: what it covers, as ids and codes."""
        span = {
            "from": rfc3339(self.begins) if self.begins is not None else None,
            "to": rfc3339(self.ends) if self.ends is not None else None,
        }
        facts = {"transfers": self.transfers, "agency": self.agency, "contract": self.contract, **span}
        return {name: value for name, value in facts.items() if value is not None}


def check(hold: Hold) -> None:
    """Raises `vault.hold-wrong` if it cannot be added."""
    if HOLD_NAME.fullmatch(hold.name) is None:
        raise VAULT_HOLD_WRONG(what="NAME", why=repr(hold.name))
    if len(hold.reason.strip()) < LEAST_REASON:
        raise VAULT_NO_REASON(length=len(hold.reason.strip()), least=LEAST_REASON)
    others = (hold.agency, hold.contract, hold.begins, hold.ends)
    if hold.transfers is None and all(each is None for each in others):
        raise VAULT_HOLD_WRONG(what="--transfer, --agency, --contract, --from, --to", why=_words("wrong.none"))
    if hold.transfers is not None and any(each is not None for each in others):
        raise VAULT_HOLD_WRONG(what="--transfer", why=_words("wrong.alone"))
    if hold.begins is not None and hold.ends is not None and hold.begins >= hold.ends:
        raise VAULT_HOLD_WRONG(what="--from, --to", why=f"{civil(hold.begins)} >= {civil(hold.ends)}")


def add(connection: Connection, hold: Hold) -> int:
    """Adds it, with its note; returns how many transfers it covers now."""
    check(hold)
    ever = {each.name: each for each in every(connection)}
    if hold.name in ever:
        raise _taken(ever[hold.name], ever)
    for transfer in hold.transfers or ():
        if not rows.parts_of(connection, transfer):
            raise VAULT_NOTHING_OF(transfer=transfer)
    if going := _going(connection, hold):
        raise VAULT_HOLD_TOO_LATE(
            count=len(going), bodies=", ".join(going[:_NAMED]) + (" …" if len(going) > _NAMED else "")
        )
    count = int(connection.execute(select(func.count()).select_from(tables.transfer).where(hold.covers())).scalar_one())
    connection.execute(
        insert(_hold).values(
            name=hold.name,
            reason=hold.reason,
            actor=hold.actor,
            since=hold.since,
            transfers=json.dumps(hold.transfers) if hold.transfers is not None else None,
            agency=hold.agency,
            contract=hold.contract,
            begins=hold.begins,
            ends=hold.ends,
        )
    )
    facts: dict[str, Json] = {"hold": hold.name, "step": "added", "reason": hold.reason, "count": count, **hold.facts()}
    append(connection, [entries.note(NOTE, facts, hold.since, actor=hold.actor)])
    return count


def _taken(hold: Hold, ever: Mapping[str, Hold]) -> Theirs:
    """Names the hold that has the name, its state, and what to do. Keys and entries keep a name: it is used once."""
    told = {
        "transfers": ", ".join(hold.transfers or ()),
        "agency": hold.agency,
        "contract": hold.contract,
        "from": None if hold.begins is None else civil(hold.begins),
        "to": None if hold.ends is None else civil(hold.ends),
    }
    parts = [_words(f"covers.{name}", what=what) for name, what in told.items() if what]
    covers = Words(", ".join(each.vi for each in parts), ", ".join(each.en for each in parts))
    if hold.released is None:
        state, then = _words("hold.stands"), _words("hold.is-it-this", name=hold.name)
    else:
        state, then = _words("hold.released", at=civil(hold.released)), _words("hold.over")
    stem, number = hold.name[:36], 2
    while f"{stem}-{number}" in ever:
        number += 1
    return VAULT_HOLD_STANDS(
        name=hold.name,
        since=civil(hold.since),
        actor=hold.actor,
        covers=covers,
        state=state,
        then=then,
        free=f"{stem}-{number}",
    )


def _going(connection: Connection, hold: Hold) -> list[str]:
    """The bodies that it covers under keys whose destruction has begun."""
    ended = tables.vault_destroyed.c
    begun = connection.scalars(select(ended.key_id).where(ended.destroyed.is_(None)).order_by(ended.key_id)).all()
    names = [name for key in begun if (name := KeyName.of(key)) is not None]
    return [id for name in names for _, ids in under_key(connection, name, [hold]) for id in ids]


def release(connection: Connection, name: str, reason: str, actor: str, now: float) -> int:
    """Releases it, with its note; returns how many bodies were under its keys."""
    if len(reason.strip()) < LEAST_REASON:
        raise VAULT_NO_REASON(length=len(reason.strip()), least=LEAST_REASON)
    step = update(_hold).where(_hold.c.name == name, _hold.c.released.is_(None)).values(released=now)
    if connection.execute(step).rowcount != 1:
        standing = ", ".join(each.name for each in in_force(connection))
        ended = connection.scalar(select(_hold.c.released).where(_hold.c.name == name))
        said = "" if ended is None else _words("ended", at=civil(ended))
        raise VAULT_HOLD_UNKNOWN(name=name, ended=said, standing=standing or "–")
    count = held_bodies(connection, name)
    facts: dict[str, Json] = {"hold": name, "step": "released", "reason": reason, "count": count}
    append(connection, [entries.note(NOTE, facts, now, actor=actor)])
    return count


def every(connection: Connection) -> list[Hold]:
    """All that ever were, oldest first."""
    return [_read(row._asdict()) for row in connection.execute(select(_hold).order_by(_hold.c.since, _hold.c.name))]


def in_force(connection: Connection) -> list[Hold]:
    """By the log: a hold that was released, narrowed or removed in the table alone still holds as it was added."""
    notes = read_notes(connection, (NOTE,))
    released = {str(each.facts.get("hold")) for each in notes if each.facts.get("step") == "released"}
    added = {str(each.facts.get("hold")): each for each in notes if each.facts.get("step") == "added"}
    rows = {hold.name: hold for hold in every(connection)}
    names = [name for name in dict.fromkeys([*rows, *added]) if name not in released]
    return [_as_added(rows.get(name), added.get(name)) for name in names]


def _as_added(hold: Hold | None, note: Noted | None) -> Hold:
    """With the cover that its entry says; a row without an entry holds as it stands."""
    if note is None:
        assert hold is not None
        return replace(hold, released=None)
    facts, transfers = note.facts, note.facts.get("transfers")
    return Hold(
        name=str(facts["hold"]),
        reason=str(facts.get("reason")),
        actor=note.actor,
        since=moment(note.at) or 0.0,
        transfers=None if transfers is None else tuple(transfers),
        agency=facts.get("agency"),
        contract=facts.get("contract"),
        begins=moment(facts.get("from")),
        ends=moment(facts.get("to")),
        sealed=None if hold is None else hold.sealed,
    )


def held_bodies(connection: Connection, name: str) -> int:
    """How many bodies are under the keys of that hold."""
    key = tables.vault.c.key_id
    counts = connection.execute(select(key, func.count()).where(key.like(f"____-__-__.%.{name}")).group_by(key))
    return sum(count for key_id, count in counts if (of := KeyName.of(key_id)) is not None and of.hold == name)


def held_by_others(connection: Connection, hold: Hold) -> int:
    """How many of its bodies are under another hold's keys; they pass to this one when that one is released."""
    vault, transfers = tables.vault.c, hold.transfers or select(tables.transfer.c.id).where(hold.covers())
    covered = rows.covered(connection.dialect.name, transfers)
    query = select(vault.key_id, func.count()).where(
        vault.key_id.like("____-__-__.%.%"), func.length(vault.sealed) > 0, covered
    )
    counts = connection.execute(query.group_by(vault.key_id))
    return sum(
        count for key_id, count in counts if (of := KeyName.of(key_id)) is not None and of.hold not in (None, hold.name)
    )


def under_key(connection: Connection, name: KeyName, holds: Sequence[Hold]) -> list[tuple[Hold, list[str]]]:
    """Which of a key's bodies these holds cover; each body belongs to the first hold that covers it."""
    taken = set[str]()
    covers: list[tuple[Hold, list[str]]] = []
    for hold in holds:
        if hold.name == name.hold:
            continue
        transfers = select(tables.transfer.c.id).where(hold.covers()) if hold.transfers is None else hold.transfers
        covered = rows.covered(connection.dialect.name, transfers)
        ids = [id for id, _ in rows.under(connection, name.id, covered) if id not in taken]
        taken.update(ids)
        if ids:
            covers.append((hold, ids))
    return covers


def bodies_of(engine: Engine, hold: Hold) -> Iterator[str]:
    """The ids of all bodies that it covers and that no hold's key seals yet."""
    if hold.transfers is not None:
        yield from _unheld(engine, hold.transfers)
        return
    table, after = tables.transfer.c, ""
    while True:
        query = select(table.id).where(table.id > after, hold.covers()).order_by(table.id).limit(_PAGE)
        with engine.connect() as connection:
            page = list(connection.scalars(query))
        yield from _unheld(engine, page)
        if len(page) < _PAGE:
            return
        after = page[-1]


def _unheld(engine: Engine, transfers: Sequence[str]) -> Iterator[str]:
    vault = tables.vault.c
    for transfer in transfers:
        with engine.connect() as connection:
            query = select(vault.id, vault.key_id).where(func.length(vault.sealed) > 0)
            own = (vault.id > transfer) & (vault.id < rows.after_transfer(transfer))
            bodies = list(connection.execute(query.where(own)))
            files = rows.files_of(connection, transfer)
            for at in range(0, len(files), _PAGE):
                bodies += connection.execute(query.where(vault.id.in_(files[at : at + _PAGE])))
        yield from (id for id, key_id in bodies if (name := KeyName.of(key_id)) is not None and name.hold is None)


def seal_again(
    bodies: rows.Bodies, hold: Hold, now: float, on_done: Callable[[int], object] = lambda count: None
) -> int:
    """Seals what it covers under its keys; returns how many bodies. After a crash, call it again."""
    covered = bodies_of(bodies.engine, hold)
    done = rows.reseal(bodies, covered, lambda key_id: key_of(key_id, hold.name), on_done)
    with writing(bodies.engine, bodies.lock) as connection:
        bodies.check(connection)
        connection.execute(update(_hold).where(_hold.c.name == hold.name, _hold.c.sealed.is_(None)).values(sealed=now))
    return done


def key_of(key_id: str, hold: str) -> str:
    """The id of the hold's key for what that key seals."""
    day, retention = key_id.partition("~")[0].split(".")[:2]
    return f"{day}.{retention}.{hold}"


def _read(row: dict[str, object]) -> Hold:
    transfers = row.pop("transfers")
    return Hold(**row, transfers=tuple(json.loads(str(transfers))) if transfers is not None else None)  # type: ignore[arg-type]
