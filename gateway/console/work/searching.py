"""Searches the log for somebody: filters as in `lgsp audit search`, within what he may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from contracts.base.words import Words
from gateway.audit.search.coverage import Coverage, coverage
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.fields import FIELDS, OUTCOMES
from gateway.audit.search.known import resolved
from gateway.audit.search.search import Page, Query, reading, search
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_AMBIGUOUS_NAME, CONSOLE_FORM, CONSOLE_OTHER_AGENCY, CONSOLE_UNKNOWN_NAME
from gateway.console.site.desk import Desk
from gateway.console.work import naming
from gateway.registry.snapshot import Snapshot
from security.grants.windows import VIETNAM
from security.transparency.entry import keyed

ROLES: Final = ("caller", "owner", "provider", "reader")
PAGE: Final = 50
_YEARS: Final = range(1971, 9999)  # others cannot be told as times in every zone
_OF_AN_AGENCY: Final = Words("vai trò là của một cơ quan; hãy nêu cơ quan", "it is the role of an agency; name one")
_WHAT: Final = {
    "agency": Words("Cơ quan", "Agency"),
    "system": Words("Hệ thống", "System"),
    "provider": Words("Bên cung cấp", "Provider"),
    "contract": Words("Hợp đồng dữ liệu", "Contract"),
    "failure": Words("Mã lỗi", "Error code"),
    "grant": Words("Quyền truy cập", "Grant"),
    "kind": Words("Loại mục", "Kind of entry"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions as somebody wrote them: names of `FIELDS`, `role`, `from`, `to`, `order`."""

    given: Mapping[str, str] = field(default_factory=dict)

    NAMES = (*FIELDS, "role", "from", "to", "order")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """Only what is filled in. Raises `console.form` for what is too long."""
        given = {name: text for name in cls.NAMES if (text := query.get(name, "").strip())}
        for name, text in given.items():
            if len(text) > 200:
                raise CONSOLE_FORM(field=name, why="more than 200 characters")
        return cls(given)

    def query(self, desk: Desk, viewer: Viewer) -> Query:
        """The conditions by ids. Somebody who sees his own agency only searches that one.

        Raises `console.form`, `console.unknown-name`, `console.ambiguous-name`, `console.other-agency`.
        """
        scope = viewer.account.scope
        with reading(desk.services.engine) as connection:
            given = {name: text for name, text in self.given.items() if name in FIELDS}
            found, unknown = resolved(connection, given, scope)
        for each in unknown:
            near = each.near if scope is None or each.field != "grant" else ()
            error = CONSOLE_AMBIGUOUS_NAME if each.several else CONSOLE_UNKNOWN_NAME
            raise error(field=_WHAT[each.field], name=each.name, near=", ".join(near) or "–")
        wanted: dict[str, Any] = dict(found)
        role = self.given.get("role")
        for name, text, known in (("role", role, ROLES), ("outcome", wanted.get("outcome"), OUTCOMES)):
            if text is not None and text not in known:
                raise CONSOLE_FORM(field=name, why=" | ".join(known))
        if "message" in wanted:
            wanted["message"] = keyed(desk.hash_key, wanted["message"])
        if "transfer" in wanted:  # lists show the end of an id
            wanted["transfer"] = naming.by_ending(desk, viewer, wanted["transfer"]) or wanted["transfer"]
        if scope is not None and wanted.setdefault("agency", scope) != scope:
            raise CONSOLE_OTHER_AGENCY(agency=wanted["agency"], own=scope)
        if role is not None and "agency" not in wanted:
            raise CONSOLE_FORM(field="role", why=_OF_AN_AGENCY)
        query = Query(
            **wanted,
            role=role,  # type: ignore[arg-type]
            since=moment(self.given.get("from"), "from"),
            until=moment(self.given.get("to"), "to", whole=True),
            oldest_first=self.given.get("order") == "oldest",
        )
        if query.since is not None and query.until is not None and query.since >= query.until:
            raise CONSOLE_FORM(field="to", why="not after `from`")
        return query


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list: an entry, or a transfer's beginning and end in one. `begun` is the index of the beginning."""

    idx: int
    facts: Facts
    begun: int | None = None


def provided(snapshot: Snapshot, agency: str) -> list[str]:
    """The contracts whose data are the agency's: it owns them, or its systems are called by routes as they stand."""
    found = []
    for name, compiled in sorted(snapshot.contracts.items()):
        owner = snapshot.owner(compiled.contract)
        systems = (system for each in compiled.contract.operations for system in snapshot.routed(name, each))
        if (owner is not None and owner.code == agency) or any(system.agency == agency for system in systems):
            found.append(name)
    return found


def rows(hits: Sequence[Logged]) -> list[Row]:
    """The entries in their order, with one row for the intent and the outcome of a transfer if both are here."""
    intents = {each.facts.about: each for each in hits if each.facts.kind == "intent"}
    ended = {each.facts.about for each in hits if each.facts.kind == "outcome"}
    found = []
    for each in hits:
        about, kind = each.facts.about, each.facts.kind
        if kind == "outcome" and about in intents:
            found.append(Row(each.idx, replace(each.facts, at=intents[about].facts.at), intents[about].idx))
        elif kind != "intent" or about not in ended:
            found.append(Row(each.idx, each.facts))
    return found


def moment(text: str | None, name: str, *, whole: bool = False) -> float | None:
    """A day, or a day with a time, in Vietnam. `whole`: a day counts to its end. Raises `console.form`."""
    if text is None:
        return None
    at: datetime | None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.year not in _YEARS:
        raise CONSOLE_FORM(field=name, why="2026-11-24 / 2026-11-24T17:30")
    if at.tzinfo is None:
        at = at.replace(tzinfo=VIETNAM)
    return (at + timedelta(days=1) if whole and len(text) == 10 else at).timestamp()


def covered(desk: Desk) -> Coverage:
    """Up to where a search goes now."""
    with reading(desk.services.engine) as connection:
        return coverage(connection)


def page(desk: Desk, query: Query, cursor: str | None, limit: int = PAGE) -> Page:
    """Raises `audit.bad-cursor`."""
    with reading(desk.services.engine) as connection:
        return search(connection, query, limit=limit, cursor=cursor)
