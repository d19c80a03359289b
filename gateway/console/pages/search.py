"""Entries of the log: a filter, pages by cursor, filters to keep, tables, and one box that takes any id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from contracts.base.errors import Failure
from gateway.audit.search.coverage import MOST_WAITING
from gateway.audit.search.fields import KINDS, OUTCOMES
from gateway.audit.search.search import Page as Found
from gateway.audit.search.search import Query
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import exporting, finding, saved, searching
from gateway.console.work.headers import CODES
from gateway.console.work.searching import Filter
from gateway.registry.snapshot import Snapshot

HERE: Final = "/console/search"
LABELS: Final = {
    "system": N_("System"),
    "provider": N_("Provider"),
    "contract": N_("Contract"),
    "operation": N_("Operation"),
    "failure": N_("Error code"),
    "grant": N_("Grant"),
    "actor": N_("Who acted (id of the person)"),
    "kind": N_("Kind of entry"),
}
_PAGE: Final = "search"
_FILTER: Final = frozenset(
    {"console.form", "console.unknown-name", "console.ambiguous-name", "console.other-agency"}
)  # the form says what is wrong
_UNENDED: Final = "feed-read,log-read,body-view"  # kinds that have no end of their own


def search(ask: Ask) -> Shown:
    given, failure = searching.Filter.of(ask.query), None
    cursor = ask.query.get("cursor") or None
    try:
        query = given.query(ask.desk, ask.viewer)
        found = searching.page(ask.desk, query, cursor)
    except Failure as refused:
        if refused.code not in _FILTER:
            raise
        query, failure, found = None, refused, Found((), None, 0, None, ())
    following = f"{HERE}?{urlencode({**given.given, 'cursor': found.next})}" if found.next else None
    first = f"{HERE}?{urlencode(given.given)}" if cursor else None
    with ask.desk.reading() as connection:
        kept = saved.listed(connection, ask.viewer.account.id, _PAGE)
    unended = None  # the same search with what has no end of that kind: readings, acts of people
    if query is not None and query.agency and query.outcome == "ok" and query.role in (None, "owner", "reader"):
        unended = f"{HERE}?{urlencode({**given.given, 'outcome': '', 'kind': _UNENDED})}"
    snapshot, scope = ask.desk.services.registry.snapshot, ask.viewer.account.scope
    known = snapshot.agencies
    values = {
        "sides": _sides(given.given, snapshot, query) if query is not None and query.agency in known else (),
        "given": given.given,
        "address": urlencode(given.given),
        "rows": searching.rows(found.hits),
        "entries": len(found.hits),
        "next": following,
        "first": first,
        "outcomes": list(OUTCOMES),
        "names": {code: each.name.of(ask.language) for code, each in known.items()},
        "scope": scope,
        "roles": searching.ROLES,
        "fields": LABELS,
        "failure": None if failure is None else failure_values(failure, ask.language),
        "kinds": sorted(KINDS),
        "unended": unended,
        "message_alone": given.given.keys() == {"message"},
        "disagree": found.disagree,
        "covered": searching.covered(ask.desk),
        "most_waiting": MOST_WAITING,
        "saved": kept,
        "cap": exporting.CAP,
    }
    return Shown("search.html", values, 200 if failure is None else failure.status)


def _sides(given: Mapping[str, str], snapshot: Snapshot, query: Query) -> list[tuple[str, str, str]]:
    """Other questions about the agency of a search: what it did, its data, and refused attempts on its data.

    A refusal names no owner, since nothing was called. So the attempts are those on contracts that the agency provides.
    """
    same = {name: text for name, text in given.items() if name in ("agency", "from", "to", "outcome", "order")}
    found = [(role, "", {**same, "role": role}) for role in ("caller", "owner") if query.role != role]
    when = {name: text for name, text in same.items() if name in ("from", "to")}
    if query.agency is not None:
        names = searching.provided(snapshot, query.agency)
        found += [("refused", name, {**when, "outcome": "refused", "contract": name}) for name in names]
    return [(what, name, f"{HERE}?{urlencode(asked)}") for what, name, asked in found]


def go(ask: Ask) -> Moved:
    """The search box: takes any id to where it belongs."""
    return Moved(finding.find(ask.desk, ask.viewer, ask.query.get("q", "").strip()[:200]).address)


def export(ask: Ask) -> Sent:
    form, given = ask.field("form", 10), Filter.of(ask.form)
    query = given.query(ask.desk, ask.viewer)
    named = None if ask.form.get("header") == CODES else ask.language
    table = exporting.export(ask.desk, ask.viewer, query, form, ask.reason(), named)
    return Sent(table.content, table.media_type, f"log.{form}")


def save(ask: Ask) -> Moved:
    given = Filter.of(ask.form)
    given.query(ask.desk, ask.viewer)  # one that cannot be searched is not kept
    with ask.desk.writing() as connection:
        saved.save(connection, ask.viewer.account.id, _PAGE, ask.field("name", 60), given, ask.now)
    return Moved(f"{HERE}?{urlencode(given.given)}", "filter-saved")


def forget(ask: Ask) -> Moved:
    with ask.desk.writing() as connection:
        saved.forget(connection, ask.viewer.account.id, _PAGE, ask.form.get("name", ""))
    return Moved(HERE, "filter-deleted")


PAGES = (
    Page("/search", search, May.SEARCH, N_("Search the log"), Menu.AUDIT),
    Page("/search/export", export, May.EXPORT, method="POST", operation="exportEntries"),
    Page("/search/filters", save, May.SEARCH, method="POST", operation="saveFilter"),
    Page("/search/filters/delete", forget, May.SEARCH, method="POST", operation="deleteFilter"),
    Page("/go", go, May.SEARCH),
)
