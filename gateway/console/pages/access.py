"""The review of access: who receives a field, the matrix, grants with their history, what changed, reviews."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from contracts.base.errors import Failure
from gateway.console.accounts import passkeys as responses
from gateway.console.accounts import store
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.page import N_, Answer, Ask, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import access, approving, drafting, months, previewing, searching, waiting
from gateway.console.work.exporting import BOM
from gateway.console.work.headers import CODES, header
from gateway.console.work.months import span_of
from gateway.console.work.noticing import notice_of
from gateway.registry.changes.called import Asked
from gateway.registry.changes.officers import officers
from gateway.registry.changes.receivers import COLUMNS, csv_text, given_by
from gateway.registry.reviews import MOST_BYTES
from security.grants.approvals import TYPE
from security.grants.passkeys import challenge, signature_text

_HERE: Final = "/console/access"
_MARKS: Final = ("personal", "sensitive")


def who(ask: Ask) -> Shown:
    asked, at, scope = _asked(ask), ask.query.get("at") or None, ask.viewer.account.scope
    it, when, snapshot = None, ask.now, ask.desk.services.registry.snapshot
    if asked is not None:
        with access.registry_at(ask.desk, at) as (snapshot, when):
            it = access.who(ask.desk, snapshot, asked, scope, when)
    given = {name: ask.query.get(name, "") for name in ("field", "mark", "at")}
    values = {
        "it": it,
        "given": given,
        "at": when,
        "address": urlencode(given),
        "scope": scope,
        "names": {code: each.name.of(ask.language) for code, each in snapshot.agencies.items()},
        "contracts": len(snapshot.contracts),
    }
    return Shown("who.html", values)


def who_csv(ask: Ask) -> Sent:
    """The same rows as a table. It leaves the page, so the log says so."""
    asked, at = _asked(ask), ask.query.get("at") or None
    if asked is None:
        raise CONSOLE_FORM(field="field", why="missing")
    with access.registry_at(ask.desk, at) as (snapshot, when):
        found = access.who(ask.desk, snapshot, asked, ask.viewer.account.scope, when).found
    with ask.desk.writing() as connection:
        facts = {"what": "access-who", "field": ask.query.get("field", "")[:200] or "*", "rows": len(found.rows)}
        store.note(connection, "export", facts, ask.now, ask.viewer.actor)
    named = None if ask.query.get("header") == CODES else ask.language
    content = csv_text(found, header("who", COLUMNS, named)).encode()
    return Sent(content if named is None else BOM + content, "text/csv; charset=utf-8", "who.csv")


def _asked(ask: Ask) -> Asked | None:
    """None if nothing is asked yet."""
    field, mark = ask.query.get("field", "").strip()[:200], ask.query.get("mark", "")
    if not field and mark not in _MARKS:
        return None
    return Asked.of(field, mark)


def matrix(ask: Ask) -> Shown:
    scope, at = ask.viewer.account.scope, ask.query.get("at") or None
    present = ask.desk.services.registry.snapshot
    agency = scope or ask.query.get("agency") or next(iter(sorted(present.agencies)), None)
    contract = ask.query.get("contract") or None
    with access.registry_at(ask.desk, at) as (snapshot, when):
        rows = access.cells(snapshot, agency, contract, when)
        files = [each for each in access.files(snapshot, scope) if each.agency == agency]
        language = ask.language
        known = [each for each in snapshot.agencies.values() if scope in (None, each.code)]
        agencies = [(each.code, each.name.of(language)) for each in known]
        contracts = sorted(snapshot.contracts)
    values = {
        "rows": rows, "files": files, "agencies": agencies, "contracts": contracts, "agency": agency,
        "contract": contract or "", "at": when, "given_at": at or "",
    }  # fmt: skip
    return Shown("matrix.html", values)


def grants(ask: Ask) -> Shown:
    snapshot, scope = ask.desk.services.registry.snapshot, ask.viewer.account.scope
    with ask.desk.reading() as connection:
        rows = access.grants(connection, snapshot, scope, ask.now)
        ended = access.ended(connection) if scope is None else []
    wanted = ask.query.get("agency", "")
    rows = [each for each in rows if wanted in ("", each.grant.agency, f"role {each.grant.role}")]
    names = {code: each.name.of(ask.language) for code, each in snapshot.agencies.items()}
    return Shown("grants.html", {"rows": rows, "ended": ended, "wanted": wanted, "names": names})


def grant(ask: Ask) -> Shown:
    snapshot = ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:
        it = access.grant(connection, snapshot, ask.path["id"], ask.viewer.account.scope, ask.now)
        missing = drafting.missing_officers(connection, ask.viewer)
    notice, given = (
        snapshot.notices.get(("grant", it.name)),
        given_by(snapshot, it.name, ask.now, ask.viewer.account.scope),
    )
    names = {code: each.name.of(ask.language) for code, each in snapshot.agencies.items()}
    values = {"it": it, "plain": waiting.plain, "notice": notice, "given": given, "names": names, "missing": missing}
    return Shown("grant.html", values)


def preview(ask: Ask) -> Shown:
    """A part of the last week at a time; the page names the next part until the week is done."""
    scope, cursor = ask.viewer.account.scope, ask.query.get("cursor") or None
    it = previewing.preview(ask.desk, ask.path["id"], scope, cursor)
    following = f"{_HERE}/grants/{ask.path['id']}/preview?{urlencode({'cursor': it.next})}" if it.next else None
    return Shown("preview.html", {"it": it, "next": following, "first": None})


def revoke(ask: Ask) -> Moved:
    approving.revoke(ask.desk, ask.viewer, ask.path["id"], ask.reason())
    return Moved(f"{_HERE}/grants/{ask.path['id']}", "revoked")


def suspend(ask: Ask) -> Moved:
    approving.suspend(ask.desk, ask.viewer, ask.path["id"], notice_of(ask.form, ask.now))
    return Moved(f"{_HERE}/grants/{ask.path['id']}", "suspended")


def resume(ask: Ask) -> Moved:
    approving.resume(ask.desk, ask.viewer, ask.path["id"], ask.reason())
    return Moved(f"{_HERE}/grants/{ask.path['id']}", "resumed")


def changes(ask: Ask) -> Shown:
    since, month = ask.query.get("since", ""), ask.query.get("month", "")
    cursor, here = ask.query.get("cursor") or None, f"{_HERE}/changes"
    span = span_of(month) if month else (searching.moment(since or None, "since"), None)
    found = access.changes(ask.desk, ask.viewer, span, cursor)
    given = {"month": month} if month else {"since": since}
    following = f"{here}?{urlencode({**given, 'cursor': found.next})}" if found.next else None
    first = f"{here}?{urlencode(given)}" if cursor else None
    with ask.desk.reading() as connection:
        offered = months.known(connection, ask.now)
    values = {"rows": found.rows, "since": since, "month": month, "months": offered, "next": following, "first": first}
    return Shown("changes.html", values)


def reviews(ask: Ask) -> Shown:
    return _reviews(ask, None)


def _reviews(ask: Ask, failure: Failure | None) -> Shown:
    stated, site = access.statement(ask.desk), ask.desk.passkeys(ask.origin)
    with ask.desk.reading() as connection:
        known = officers(connection)
    officer = known.get(ask.viewer.account.id)
    mine = [] if officer is None else [each for each in officer.passkeys if each.state == "active"]
    here = tuple(each.credential for each in mine if each.origin == ask.origin)
    values = {
        "due": access.due(ask.desk),
        "rows": access.recorded(ask.desk),
        "text": stated.content().decode(),
        "stated": stated,
        "officer": officer,
        "usable": here,
        "officers": [each.id for each in known.values() if each.state == "active"],
        "options": json.dumps(responses.request(site, challenge(stated.content(), TYPE), here)),
        "unable": site.unable,
        "signs": May.PROPOSE in ask.viewer.account.may and ask.viewer.account.scope is None,
        "failure": None if failure is None else failure_values(failure, ask.language),
    }
    return Shown("reviews.html", values, 200 if failure is None else failure.status)


def review(ask: Ask) -> Answer:
    text = ask.form.get("statement", "").replace("\r\n", "\n").strip()[:MOST_BYTES]
    try:
        if ask.form.get("credential"):
            signature = signature_text(*responses.assertion(ask.field("credential", responses.MOST_BYTES)))
            access.review(ask.desk, ask.viewer, text, ask.viewer.account.id, signature)
        else:
            signature = ask.field("signature", 4096)
            access.review(ask.desk, ask.viewer, text, ask.field("officer", 64), signature)
    except Failure as failure:
        return _reviews(ask, failure)
    return Moved(f"{_HERE}/reviews", "reviewed")


PAGES = (
    Page("/access/who", who, May.ACCESS, N_("Who receives a field"), Menu.ACCESS),
    Page("/access/who.csv", who_csv, May.EXPORT),
    Page("/access/matrix", matrix, May.ACCESS, N_("The matrix of access"), Menu.ACCESS),
    Page("/access/grants", grants, May.ACCESS, N_("Grants"), Menu.ACCESS),
    Page("/access/grants/{id}", grant, May.ACCESS, N_("A grant")),
    Page("/access/grants/{id}/preview", preview, May.SEARCH, N_("Preview on real traffic")),
    Page("/access/grants/{id}/revoke", revoke, May.RESTRICT, method="POST", operation="revokeGrant"),
    Page("/access/grants/{id}/suspend", suspend, May.RESTRICT, method="POST", operation="suspendGrant"),
    Page("/access/grants/{id}/resume", resume, May.RESTRICT, method="POST", operation="resumeGrant"),
    Page("/access/changes", changes, May.LOG, N_("What changed"), Menu.ACCESS),
    Page("/access/reviews", reviews, May.ACCESS, N_("Reviews"), Menu.ACCESS),
    Page("/access/reviews", review, May.PROPOSE, method="POST", operation="recordReview"),
)
