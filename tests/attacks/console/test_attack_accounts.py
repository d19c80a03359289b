"""A stolen token, and one operator who would be several persons."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from gateway.console.accounts import store
from gateway.console.roles import Role
from gateway.registry.seals.accounts import TABLES
from tests.console.people import Desk
from tests.console.test_operations import CALLS, call, filled, token

# What remains of each operation that changes something once its token is revoked. Written by hand, so that none is
# added without this question. "nobody" is let in by any of them.
REMAINS = {
    "setAccountRoles": "fewer roles", "setAccountState": "a closed account", "revokeToken": "a token less",
    "signProposal": "a signature made by the officer's own key", "revokePasskey": "an approving key less",
    "enrolSystem": "a system's certificate, in the log and at its agency; it signs messages in, and nobody to a page",
    "keepKeys": "a system's older keys", "revokeSystemKeys": "fewer keys", "proposeGrant": "what waits for two keys",
    "handInDraft": "what waits for another person", "checkContract": "a draft", "draftRollBack": "a draft",
    "rejectDraft": "a draft less", "refuseProposal": "a proposal less", "recordReview": "a note",
    "applyDocument": "registry rows, of which officers sign what discloses", "previewDocument": "nothing",
    "defineIndicators": "definitions", "setContacts": "addresses that get notices, none of which signs in",
    "openBody": "a note", "makePackage": "a package", "exportEntries": "a table", "exportPersonFeed": "a table",
    "compareCounts": "nothing", "saveFilter": "a search", "deleteFilter": "a search less",
    "settleMessage": "a decision", "decidePush": "a decision",
    "startBulkRetry": "a job", "moveBulkRetry": "a job", "acknowledgeAlarm": "a note",
    "acknowledgeFinding": "a note", "makeReport": "a report", "suspendSystem": "a state", "resumeSystem": "a state",
    "testConnection": "a job", "suspendAgency": "a state", "resumeAgency": "a state", "openCase": "a case",
    "takeCaseStep": "a step", "revokeGrant": "a grant less", "suspendGrant": "a state", "resumeGrant": "a state",
    "verifyLog": "a check", "stampLog": "a stamp", "reindexLog": "a job", "recordDrill": "a note", "addHold": "a hold",
    "releaseHold": "a hold less", "confirmClock": "a note", "askAuthorities": "a job", "tryMessage": "nothing",
    "takeHandlingStep": "a step", "findRoute": "nothing", "readHandlingMessage": "a note",
}  # fmt: skip


def rows(people: Desk) -> dict[str, Any]:
    """All by which anybody signs in."""
    with people.world.engine.connect() as connection:
        return {each.name: [tuple(row) for row in connection.execute(select(each))] for each in TABLES}


def test_each_operation_that_changes_something_says_what_remains() -> None:
    assert {name for method, _, name in CALLS if method != "GET"} == set(REMAINS)


@pytest.mark.attack("token")
async def test_a_token_never_becomes_a_person(people: Desk) -> None:
    people.add("minh", Role.OPERATOR, Role.OFFICER, Role.STEWARD)
    people.add("thief", Role.VENDOR)
    people.add("closed", Role.OFFICER)
    with people.changing() as change:
        store.set_active(change, "closed", False)
    mine = token(people, "minh")
    before = rows(people)
    account = {"id": "new", "agency": "H14.0", "name": "New", "roles": ["officer"], "reason": "wanted by nobody"}
    tries: list[tuple[str, str, Any]] = [
        ("POST", "/api/accounts", account),
        ("POST", "/api/accounts/thief/link", None),
        ("PUT", "/api/accounts/thief/roles", {"roles": ["vendor", "operator"], "reason": "wanted by nobody"}),
        ("PUT", "/api/accounts/closed/state", {"state": "active", "reason": "wanted by nobody"}),
        ("POST", "/api/tokens", {"label": "x", "days": 30}),
    ]
    for method, path, body in tries:
        answer = await call(people, mine, method, path, body)
        assert answer.status in (403, 404, 405), (path, answer.status)
    for method, path, _ in CALLS:
        for account_id in ("thief", "closed"):
            body = {"roles": ["vendor", "officer"], "state": "active", "reason": "wanted by nobody"}
            sent = None if method == "GET" else body
            await call(people, mine, method, filled(path).replace("nobody", account_id), sent)
    assert rows(people) == before
    with people.changing() as change:
        change.by_token = True
        for let_in in (lambda: store.make_link(change, "thief"), lambda: store.set_factors(change, "thief", "x", b"x")):
            with pytest.raises(Exception, match="token") as caught:
                let_in()
            assert getattr(caught.value, "code", "") == "accounts.by-token"
