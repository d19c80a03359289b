"""An agency's own counts of a day against the log: the form, and each line with what differs."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Failure
from gateway.audit.search.reconcile import Comparison
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import reconciling

_MORE: Final = 10_000  # bytes of the form around the file


def blank(ask: Ask) -> Shown:
    return _shown(ask, None, None)


def compare(ask: Ask) -> Shown:
    """The result is shown at once, and kept nowhere."""
    agency = ask.viewer.account.scope or ask.form.get("agency", "").strip()
    content = ask.files.get("file", b"") or ask.form.get("counts", "").encode()
    try:
        found = reconciling.compared(ask.desk, ask.viewer, agency, ask.form.get("day", "").strip(), content)
    except Failure as failure:
        return _shown(ask, None, failure)
    return _shown(ask, found, None)


def _shown(ask: Ask, found: Comparison | None, failure: Failure | None) -> Shown:
    agencies, scope = ask.desk.services.registry.snapshot.agencies, ask.viewer.account.scope
    values = {
        "it": None if found is None else found.to_json(),
        "scope": scope,
        "names": {code: each.name.of(ask.language) for code, each in agencies.items() if scope in (None, code)},
        "given": {name: ask.form.get(name, "") for name in ("agency", "day", "counts")},
        "failure": None if failure is None else failure_values(failure, ask.language),
    }
    return Shown("reconciliation.html", values, 200 if failure is None else failure.status)


PAGES = (
    Page("/reconciliation", blank, May.SEARCH, N_("Reconciliation"), Menu.AUDIT),
    Page(
        "/reconciliation",
        compare,
        May.SEARCH,
        N_("Reconciliation"),
        method="POST",
        operation="compareCounts",
        upload=reconciling.MOST + _MORE,
    ),
)
