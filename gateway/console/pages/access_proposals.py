"""What waits for officers: the list, one proposal with its signatures, and the form that drafts a grant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup

from contracts.base.errors import Failure
from contracts.base.words import Language
from contracts.codecs.mask import PERSONAL
from contracts.faces.pages.workflow import handling
from gateway.console.accounts import passkeys as responses
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.page import N_, Answer, Ask, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import approving, drafting, waiting
from gateway.registry.changes.officers import officers
from security.grants.approvals import TYPE
from security.grants.grants import OFFICERS
from security.grants.passkeys import challenge

HERE: Final = "/console/access/proposals"
_MOST_SIGNATURE: Final = 4096


def listed(ask: Ask) -> Shown:
    snapshot = ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:
        rows = waiting.every(connection, snapshot, ask.viewer.account.scope, ask.now)
        missing = drafting.missing_officers(connection, ask.viewer)
    return Shown("proposals.html", {"rows": rows, "needed": OFFICERS, "missing": missing})


def shown(ask: Ask) -> Shown:
    return _shown(ask, None)


def _shown(ask: Ask, failure: Failure | None) -> Shown:
    path, snapshot = ask.path["subject"], ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:
        detail = waiting.detail(connection, snapshot, path, ask.viewer.account.scope, ask.now)
        known, flow = officers(connection), waiting.workflow_of(connection, detail)
    officer, site = known.get(ask.viewer.account.id), ask.desk.passkeys(ask.origin)
    mine = [] if officer is None else [each for each in officer.passkeys if each.state == "active"]
    here = tuple(each.credential for each in mine if each.origin == ask.origin)
    options = responses.request(site, challenge(detail.asked.content, TYPE), here)
    values = {
        "it": detail,
        "needed": OFFICERS,
        "plain": waiting.plain,
        "officer": officer,
        "mine": mine,
        "usable": here,
        "signs": May.PROPOSE in ask.viewer.account.may,
        "signed": officer is not None and officer.id in detail.waiting.signed,
        "own": officer is not None and officer.id == detail.asked.proposer,
        "officers": [each.id for each in known.values() if each.state == "active" and each.id != detail.asked.proposer],
        "options": json.dumps(options),
        "unable": site.unable,
        "failure": None if failure is None else failure_values(failure, ask.language),
        "given": ask.form,
        # Made from the contract's table alone; every text in it is escaped.
        "workflow": None if flow is None else Markup("\n".join(handling(flow, ask.language))),  # noqa: S704
    }
    return Shown("proposal.html", values, 200 if failure is None else failure.status)


def sign(ask: Ask) -> Answer:
    path = ask.path["subject"]
    try:
        with ask.desk.reading() as connection:  # what concerns another agency alone is unknown
            snapshot = ask.desk.services.registry.snapshot
            waiting.detail(connection, snapshot, path, ask.viewer.account.scope, ask.now)
        if ask.form.get("credential"):
            response = ask.field("credential", responses.MOST_BYTES)
            approving.sign_by_passkey(ask.desk, ask.viewer, path, response)
        else:
            signature = ask.field("signature", _MOST_SIGNATURE)
            approving.sign(ask.desk, path, ask.field("officer", 64), signature, ask.viewer.actor)
    except Failure as failure:
        if failure.code == "registry.unknown":
            raise
        return _shown(ask, failure)
    return Moved(f"{HERE}/{path}" if "/" not in path else HERE, "signed")


def refuse(ask: Ask) -> Moved:
    path, snapshot = ask.path["subject"], ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:  # what concerns another agency alone is unknown
        waiting.detail(connection, snapshot, path, ask.viewer.account.scope, ask.now)
    approving.refuse(ask.desk, ask.viewer, path, ask.reason())
    return Moved(HERE, "proposal-refused")


def content(ask: Ask) -> Sent:
    """The exact bytes that officers sign."""
    path, snapshot = ask.query.get("subject", ""), ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:
        detail = waiting.detail(connection, snapshot, path, ask.viewer.account.scope, ask.now)
    return Sent(detail.asked.content, "application/json", f"{path.replace('/', '_')}.json")


def draft(ask: Ask) -> Shown:
    """The form, filled with what the address names, or with a grant that stands."""
    given = dict(ask.query)
    if name := given.get("grant"):
        with ask.desk.reading() as connection:
            given = drafting.of_grant(connection, ask.viewer, name) | given | {"replaces": name}
    return _draft(ask, given, None)


def _draft(ask: Ask, given: Mapping[str, str], failure: Failure | None) -> Shown:
    snapshot = ask.desk.services.registry.snapshot
    with ask.desk.reading() as connection:
        known, missing = officers(connection), drafting.missing_officers(connection, ask.viewer)
        next_id = drafting.next_id(connection)
    language: Language = ask.language
    scope = ask.viewer.account.scope
    values: dict[str, Any] = {
        "given": {"id": next_id, "fields": f"* {PERSONAL}", **given},
        "agencies": [
            (each.code, each.name.of(language)) for each in snapshot.agencies.values() if scope in (None, each.code)
        ],
        "contracts": drafting.contracts(snapshot),
        "officer": known.get(ask.viewer.account.id),
        "missing": missing,
        "failure": None if failure is None else failure_values(failure, language),
    }
    return Shown("propose.html", values, 200 if failure is None else failure.status)


def propose(ask: Ask) -> Answer:
    try:
        raw = drafting.raw(ask.form)
        if not raw.get("id"):
            raise CONSOLE_FORM(field="id", why="missing")
        grant = approving.propose(ask.desk, ask.viewer, raw, ask.form.get("replaces", ""))
    except Failure as failure:
        if failure.status == 403:
            raise
        return _draft(ask, ask.form, failure)
    return Moved(f"{HERE}/{grant.id}", "proposed")


PAGES = (
    Page("/access/proposals", listed, May.ACCESS, N_("Proposals"), Menu.ACCESS),
    Page("/access/content", content, May.ACCESS),
    Page("/access/proposals/new", draft, May.PROPOSE, N_("Draft a grant")),
    Page("/access/proposals/new", propose, May.PROPOSE, method="POST", operation="proposeGrant"),
    Page("/access/refuse/{subject:path}", refuse, May.RESTRICT, method="POST", operation="refuseProposal"),
    Page("/access/proposals/{subject:path}", shown, May.ACCESS, N_("Proposal")),
    Page("/access/proposals/{subject:path}", sign, May.PROPOSE, method="POST", operation="signProposal"),
)
