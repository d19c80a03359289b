"""What a person or a system sees of cases.

Invariant: who sees one agency sees the cases of which it is a party, and no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, case, func, select

from contracts.base.times import rfc3339
from gateway.cases import texts
from gateway.cases.acting import is_overdue, possible, step_of, steps_of
from gateway.cases.errors import CASE_UNKNOWN
from gateway.cases.texts import Text
from gateway.journal.schema import tables
from gateway.transfer.case_entries import ANSWERED, CLOSED, RUNNING, WITHDRAWN, Folded, Party, Step, fold
from gateway.vault.vault import Vault

PAGE: Final = 50
VIEWS: Final = ("open", "overdue", "ended", "all")
_case: Final = tables.agency_case
_party: Final = tables.agency_case_party
_step: Final = tables.agency_case_step
_NOTHING: Final = Text()


class Seen(NamedTuple):
    """A case with its texts. `steps` are empty in a list, which has the text of the opening alone."""

    case: Folded
    overdue: bool
    opening: Text
    steps: tuple[tuple[Step, Text | None], ...] = ()

    def acts(self, agency: str) -> tuple[str, ...]:
        return possible(self.case, agency)

    def shown(self) -> dict[str, Any]:
        """For programs."""
        it = self.case
        parties = {
            code: {"acknowledged": each.acknowledged, "answered": each.answered}
            for code, each in it.parties.items()
            if code != it.sender
        }
        steps = [{**_shown(step), **({} if text is None else _of(text))} for step, text in self.steps]
        names = ("id", "kind", "sender", "reference", "opened", "due", "begins", "ends", "state", "changed")
        row = {name: getattr(it, name) for name in names}
        return {**row, "overdue": self.overdue, "receivers": parties, **_of(self.opening), "steps": steps}


class Listed(NamedTuple):
    """`next` is the case after which the next page begins; None at the end."""

    cases: tuple[Seen, ...]
    next: str | None


class Asked(NamedTuple):
    """`agency`: only cases of which it is a party. `view`: one of VIEWS. `after`: the last case of the page before."""

    agency: str | None = None
    view: str = "open"
    kind: str | None = None
    after: str | None = None


def listed(connection: Connection, vault: Vault, asked: Asked, now: float) -> Listed:
    """Overdue ones first, then by deadline; ended ones by when they were opened, the newest first."""
    query = _query(asked, now)
    if asked.after is not None:
        query = _after(connection, query, asked, now)
    cases = _read(connection, query.limit(PAGE + 1))
    ids = [each.id for each in cases[:PAGE]]
    first = select(_step.c.at, _step.c.actor, _step.c.facts).where(_step.c.case_id.in_(ids), _step.c.number == 0)
    opened = texts.opened(connection, vault, [step_of(*row) for row in connection.execute(first)])
    found = [Seen(each, is_overdue(each, now), opened.get((each.id, 0), _NOTHING)) for each in cases[:PAGE]]
    return Listed(tuple(found), ids[-1] if len(cases) > PAGE else None)


def nearest(connection: Connection, agency: str | None, now: float, most: int) -> list[Folded]:
    """The open cases with the nearest deadline, overdue ones first, without their texts."""
    return _read(connection, _query(Asked(agency), now).limit(most))


def one(connection: Connection, vault: Vault, id: str, agency: str | None, now: float) -> Seen:
    """Raises: case.unknown, also for one of which `agency` is no party; case.altered."""
    steps = steps_of(connection, id)
    found = fold(steps) if steps else None
    if found is None or agency is not None and agency not in found.parties:
        raise CASE_UNKNOWN(case=id[:60])
    opened = texts.opened(connection, vault, steps)
    told = tuple((each, opened.get((id, each.number))) for each in steps)
    return Seen(found, is_overdue(found, now), opened.get((id, 0), _NOTHING), told)


def counts(connection: Connection, agency: str | None, now: float, kind: str | None = None) -> dict[str, int]:
    """How many are open, and how many of these are overdue; all of them, or those of one kind."""
    query: Any = select(func.count(), func.count(case((_overdue(now), 1)))).select_from(_case)
    query = query if kind is None else query.where(_case.c.kind == kind)
    row: Any = connection.execute(_of_agency(query.where(_case.c.state.in_((*RUNNING, ANSWERED))), agency)).one()
    return {"open": int(row[0]), "overdue": int(row[1])}


def _overdue(now: float) -> Any:
    return _case.c.state.in_(RUNNING) & _case.c.due.is_not(None) & (_case.c.due <= rfc3339(now))


def _of_agency(query: Select[Any], agency: str | None) -> Select[Any]:
    if agency is None:
        return query
    own = select(_party.c.case_id).where(_party.c.agency == agency)
    return query.where(_case.c.id.in_(own))


def _query(asked: Asked, now: float) -> Select[Any]:
    query = _of_agency(select(_case), asked.agency)
    if asked.kind is not None:
        query = query.where(_case.c.kind == asked.kind)
    if asked.view == "ended":
        return query.where(_case.c.state.in_((CLOSED, WITHDRAWN))).order_by(_case.c.id.desc())
    if asked.view == "all":
        return query.order_by(_case.c.id.desc())
    query = query.where(_overdue(now) if asked.view == "overdue" else _case.c.state.in_((*RUNNING, ANSWERED)))
    return query.order_by(_rank(now), _due(), _case.c.id)


def _rank(now: float) -> Any:
    """Overdue, running, answered."""
    return case((_overdue(now), 0), (_case.c.state.in_(RUNNING), 1), else_=2)


def _due() -> Any:
    return func.coalesce(_case.c.due, "9999")


def _after(connection: Connection, query: Select[Any], asked: Asked, now: float) -> Select[Any]:
    """From the place of the last case of the page before. The place of a case of others is as unknown as that of none:
    else its deadline could be told from what comes behind it.
    """
    if asked.view in ("ended", "all"):
        return query.where(_case.c.id < asked.after)
    place = select(_rank(now), _due(), _case.c.id).where(_case.c.id == asked.after)
    row = connection.execute(_of_agency(place, asked.agency)).first()
    if row is None:
        return query
    rank, due, id = row
    later_due = (_due() > due) | ((_due() == due) & (_case.c.id > id))
    return query.where((_rank(now) > rank) | ((_rank(now) == rank) & later_due))


def _read(connection: Connection, query: Select[Any]) -> list[Folded]:
    rows = connection.execute(query).mappings().all()
    parties = _parties(connection, [row["id"] for row in rows])
    return [_folded(dict(row), parties.get(row["id"], {})) for row in rows]


def _parties(connection: Connection, ids: Sequence[str]) -> Mapping[str, dict[str, Party]]:
    found: dict[str, dict[str, Party]] = {}
    query = select(_party).where(_party.c.case_id.in_(ids)).order_by(_party.c.agency)
    for row in connection.execute(query):
        found.setdefault(row.case_id, {})[row.agency] = Party(row.role, row.acknowledged, row.answered)
    return found


def _folded(row: Mapping[str, Any], parties: dict[str, Party]) -> Folded:
    values = {name: value for name, value in row.items() if name != "remind_at"}
    return Folded(**{**values, "answers": bool(row["answers"])}, parties=parties)


def _shown(step: Step) -> dict[str, Any]:
    facts = {name: step.facts[name] for name in ("decision", "link") if name in step.facts}
    return {"number": step.number, "act": step.act, "agency": step.agency, "at": step.at, **facts}


def _of(text: Text) -> dict[str, Any]:
    return {"subject": text.subject, "text": text.text, "gone": text.gone}
