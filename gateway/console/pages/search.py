"""Entries of the log: a filter, pages by cursor, and one box that takes any id."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from gateway.audit.search.fields import FIELDS, OUTCOMES
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Moved, Page, Shown
from gateway.console.work import searching

HERE: Final = "/console/search"
LABELS: Final = {
    "system": N_("System"),
    "provider": N_("Provider"),
    "contract": N_("Contract"),
    "operation": N_("Operation"),
    "failure": N_("Error code"),
    "grant": N_("Grant"),
    "actor": N_("Who acted"),
    "kind": N_("Kind of entry"),
}
_TRANSFER: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def search(ask: Ask) -> Shown:
    given = searching.Filter.of(ask.query)
    cursor = ask.query.get("cursor") or None
    found = searching.page(ask.desk, given.query(ask.desk, ask.viewer), cursor)
    following = f"{HERE}?{urlencode({**given.given, 'cursor': found.next})}" if found.next else None
    first = f"{HERE}?{urlencode(given.given)}" if cursor else None
    values = {
        "given": given.given,
        "address": urlencode(given.given),
        "hits": found.hits,
        "next": following,
        "first": first,
        "outcomes": list(OUTCOMES),
        "roles": searching.ROLES,
        "fields": LABELS,
        "disagree": found.disagree,
    }
    return Shown("search.html", values)


def go(ask: Ask) -> Moved:
    """The search box: takes any id to where it belongs."""
    text = ask.query.get("q", "").strip()[:200]
    if _TRANSFER.fullmatch(text):
        return Moved(f"/console/transfers/{text.lower()}")
    snapshot = ask.desk.services.registry.snapshot
    if text in snapshot.systems:
        return Moved(f"{HERE}?{urlencode({'system': text})}")
    if text in snapshot.agencies:
        return Moved(f"{HERE}?{urlencode({'agency': text})}")
    if text in FIELDS:
        return Moved(HERE)
    return Moved(f"{HERE}?{urlencode({'message': text})}" if text else HERE)


PAGES = (
    Page("/search", search, May.SEARCH, N_("Search the log"), Menu.AUDIT),
    Page("/go", go, May.SEARCH),
)
