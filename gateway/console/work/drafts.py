"""Publishes contracts by two persons: one hands a draft in, a second one confirms or rejects it.

Theory of operation
1. Somebody uploads a contract folder. It is checked as by `lgsp contract check`, and compared with the version in
   force. What cannot be published is told and not kept. The rest is a checked draft, which only its maker sees.
2. With a reason the maker hands it in. From then on others see it, and the log has it.
3. A second person sees findings and differences again. What he confirms is a digest over the bundle, the version in
   force, the accepted fields and the reason. If any of them has changed since, nothing is published.
4. The publication is that of `gateway.registry.changes.publish`, which the command line uses. Its entry names both.
A roll-back is a draft too, without a bundle of its own. So is the version in force, if its workflow was refused or has
lapsed: publishing it proposes that again.
Invariant: whoever made a draft does not confirm it, whatever the roles. A maker who may not publish any more counts as
  nobody. Invariant: the bytes that come into force have the digest that the log has of the draft.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base import jcs
from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.compiled.contract import compile_bundle
from contracts.diff.changes import Change, Level
from contracts.diff.compare import differences, level_of
from contracts.errors import CONTRACT_INVALID
from contracts.folder.bundle import Bundle
from contracts.folder.zipped import unpacked
from contracts.proof.budget import Budget
from contracts.proof.check import Report, check_bundle, layout, refused
from gateway.console.accounts import hands
from gateway.console.accounts import store as accounts
from gateway.console.accounts.records import Account, Viewer
from gateway.console.errors import (
    CONSOLE_NO_PAGE,
    DRAFT_BUSY,
    DRAFT_CLOSED,
    DRAFT_MAKER,
    DRAFT_NOTHING,
    DRAFT_OTHER,
    DRAFT_OWN,
)
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.work import draft_rows
from gateway.console.work.draft_rows import CHECKED, PUBLISH, ROLL_BACK, WAITING, Draft
from gateway.journal.append import append
from gateway.registry import versions
from gateway.registry.changes import publish as publishing
from gateway.registry.changes import workflows
from gateway.registry.changes.publish import Accepted, Publication
from gateway.registry.errors import CONTRACT_DISCLOSES
from gateway.registry.seals.sealing import Act, Seal, changing
from gateway.transfer import entries

NOTE: Final = "contract-draft"
WAIT_SECONDS: Final = 10.0
_checking: Final = threading.Lock()  # one check at a time, so that other pages keep a processor and their threads


@dataclass(frozen=True, slots=True)
class Seen:
    """A draft, or an upload, as somebody sees it. `failure` is why it cannot be published as things stand.

    `disclosed` are the personal fields that signed grants would show newly, with who would see them.
    """

    report: Report | None
    changes: Sequence[Change]
    failure: Failure | None
    disclosed: Sequence[tuple[str, str]]
    draft: Draft | None = None
    before: str | None = None  # the version in force now
    digest: str = ""  # of what is shown: the second person confirms it

    @property
    def level(self) -> Level:
        return level_of(list(self.changes))

    @property
    def usable(self) -> bool:
        """Whether it can be handed in, or confirmed."""
        return self.failure is None and (self.report is None or self.report.ok)


def upload(desk: Desk, viewer: Viewer, raw: bytes) -> Seen:
    """Check a zip archive of a contract folder. The result has a draft if it can be published."""
    report = _uploaded(raw)
    bundle = report.bundle
    if bundle is None or report.compiled is None:
        return Seen(report=report, changes=(), failure=None, disclosed=())
    contract = report.compiled.contract
    with desk.reading() as connection:
        before = versions.in_force(connection).get(contract.name)
        seen = _seen(connection, report, lambda: _planned(connection, report, None, desk.now()))
    if not seen.usable:
        return seen
    made = _made(desk, viewer, PUBLISH, (contract.name, contract.version, bundle.digest))
    draft = draft_rows.keep(desk, made, None if before is None else before.digest, bundle.to_bytes())
    return replace(seen, draft=draft)


def roll_back(desk: Desk, viewer: Viewer, contract: str) -> Draft:
    """Draft a roll-back to the version before the one in force. Raises an error of `contract.`."""
    with desk.reading() as connection:
        done, _ = _planned_roll_back(connection, contract, None, desk.now())
    made = _made(desk, viewer, ROLL_BACK, (contract, done.now.version, done.now.digest))
    return draft_rows.keep(desk, made, done.before.digest if done.before is not None else None, None)


def listed(desk: Desk, viewer: Viewer) -> list[Draft]:
    """Those that wait and one's own, then those that were decided; the newest first."""
    with desk.reading() as connection:
        return [each for each in draft_rows.every(connection, desk.now()) if _visible(each, viewer)]


def read(desk: Desk, viewer: Viewer, id: str) -> Seen:
    """A draft with its findings and differences as things stand. Raises `console.no-page`."""
    with desk.reading() as connection:
        draft = _found(connection, viewer, id)
        content = draft_rows.content(connection, id)
        if not draft.is_open(desk.now()):
            return _closed(connection, draft)
        if draft.act == ROLL_BACK:
            return _with(_seen_roll_back(connection, draft, desk.now()), draft, connection)
    report = _proved(content, draft)
    with desk.reading() as connection:
        seen = _seen(connection, report, lambda: _planned(connection, report, draft, desk.now()))
        return _with(seen, draft, connection)


def hand_in(desk: Desk, viewer: Viewer, id: str, accepts: Sequence[str], reason: str) -> Draft:
    """`accepts` are the personal fields whose disclosure is accepted. Raises an error of `contract.` or `draft.`."""
    now = desk.now()
    with desk.reading() as connection:
        draft = _found(connection, viewer, id)
        content = draft_rows.content(connection, id)
    report = None if draft.act == ROLL_BACK else _proved(content, draft)
    _require(report)
    with desk.writing() as connection:
        draft = _found(connection, viewer, id, lock=True)
        if draft.state != CHECKED or not draft.is_open(now):
            raise DRAFT_CLOSED(draft=id, state=draft.state)
        _, disclosed = _plan_of(connection, draft, report, now)
        taken = tuple(field for field, _ in disclosed if field in accepts)
        draft = replace(draft, accepted=taken, actor=viewer.actor, reason=reason)
        draft = draft_rows.hand_in(desk, connection, draft)
        _plan_of(connection, draft, report, now)  # with what was accepted alone
        _note(connection, draft, "handed in", viewer, reason, now)
    return draft


def reject(desk: Desk, viewer: Viewer, id: str, reason: str) -> Draft:
    """By whoever may confirm; by its maker it is a withdrawal. Raises `draft.closed`."""
    now = desk.now()
    with desk.writing() as connection:
        draft = _found(connection, viewer, id, lock=True)
        if draft.state != WAITING or not draft.is_open(now):
            raise DRAFT_CLOSED(draft=id, state=draft.state)
        state = "withdrawn" if draft.account == viewer.account.id else "rejected"
        draft_rows.decide(connection, id, state, viewer.actor, now, reason)
        _note(connection, draft, state, viewer, reason, now)
    return draft


def confirm(desk: Desk, viewer: Viewer, id: str, digest: str) -> Publication:
    """Publish what `digest` was shown of. Raises an error of `contract.` or `draft.`."""
    now = desk.now()
    with desk.reading() as connection:  # the check takes a while: before the transaction
        draft = _found(connection, viewer, id)
        _check_second(desk, draft, viewer, now)
        content = draft_rows.content(connection, id)
    report = None if draft.act == ROLL_BACK else _proved(content, draft)
    _require(report)
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        draft = _found(act.connection, viewer, id, lock=True)
        _check_second(desk, draft, viewer, now)
        if digest != _digest(act.connection, draft):
            raise DRAFT_OTHER(draft=id)
        done = _published(act, draft, report, now)
        facts = {"draft": id, "drafted_by": draft.actor, "confirmed_by": viewer.actor, "reason": draft.reason}
        publishing.record(act, done, now, viewer.actor, **facts)
        draft_rows.decide(act.connection, id, "published", viewer.actor, now)
    desk.follow()
    return done


def _require(report: Report | None) -> None:
    """A bundle was checked when it was uploaded, perhaps by an older release."""
    if report is not None and not report.ok:
        raise CONTRACT_INVALID(findings=report.findings, count=len(report.findings))


def _published(act: Act, draft: Draft, report: Report | None, now: float) -> Publication:
    accepted = Accepted(draft.accepted, now, draft.account)
    if report is None:
        done = publishing.roll_back(act.connection, draft.contract, accepted)
    else:
        assert report.bundle is not None and report.compiled is not None
        done = publishing.publish(act.connection, report.bundle, report.compiled, accepted)
    before = done.before.digest if done.before is not None else None
    if not (done.moved or done.workflow.changes) or done.now.digest != draft.bundle or before != draft.before:
        raise DRAFT_OTHER(draft=draft.id)
    return done


def _check_second(desk: Desk, draft: Draft, viewer: Viewer, now: float) -> None:
    if draft.state != WAITING or not draft.is_open(now):
        raise DRAFT_CLOSED(draft=draft.id, state=draft.state)
    draft_rows.check_seal(desk, draft)
    if draft.account == viewer.account.id:
        raise DRAFT_OWN(draft=draft.id)
    with desk.reading() as connection:
        hands.check_two(connection, draft.account, viewer.account.id)
    with desk.accounts() as rows:
        row = accounts.row_of(rows, draft.account)
    if row is None or not (maker := Account.of(row)).active or May.PUBLISH not in maker.may:
        raise DRAFT_MAKER(draft=draft.id, account=draft.account)


# --- what would become of it ------------------------------------------------------------------------------------------
_Plan = tuple[Publication, Sequence[tuple[str, str]]]


def _plan_of(connection: Connection, draft: Draft, report: Report | None, now: float) -> _Plan:
    if report is None:
        return _planned_roll_back(connection, draft.contract, draft, now)
    return _planned(connection, report, draft, now)


def _planned(connection: Connection, report: Report, draft: Draft | None, now: float) -> _Plan:
    """With the personal fields that have to be accepted. Without a draft all of them are."""
    assert report.bundle is not None and report.compiled is not None
    bundle, compiled = report.bundle, report.compiled
    done, disclosed = _accepting(
        lambda accepted: publishing.planned(connection, bundle, compiled, accepted), draft, now
    )
    if not done.moved and not workflows.proposes(connection, compiled, now):
        raise DRAFT_NOTHING(contract=done.now.contract, version=done.now.version)
    return done, disclosed


def _planned_roll_back(connection: Connection, contract: str, draft: Draft | None, now: float) -> _Plan:
    return _accepting(lambda accepted: publishing.planned_roll_back(connection, contract, accepted), draft, now)


def _accepting(plan: Callable[[Accepted], Publication], draft: Draft | None, now: float) -> _Plan:
    if draft is not None and draft.state != CHECKED:
        done = plan(Accepted(draft.accepted, now))
        return done, [(each.field, each.seen_by) for each in done.disclosed]
    try:
        return plan(Accepted((), now)), ()
    except Failure as failure:
        if failure.code != CONTRACT_DISCLOSES.code:
            raise
        fields = [(each.canonical, each.got) for each in failure.findings]
    return plan(Accepted([field for field, _ in fields], now)), fields


def _seen(connection: Connection, report: Report, plan: Callable[[], _Plan]) -> Seen:
    assert report.bundle is not None and report.compiled is not None
    before = versions.in_force(connection).get(report.compiled.contract.name)
    changes: Sequence[Change] = ()
    if before is not None and before.digest != report.digest:
        old = versions.load(connection, before.digest)
        changes = differences((old, compile_bundle(old)), (report.bundle, report.compiled))
    return _judged(report, changes, plan, None if before is None else before.version)


def _seen_roll_back(connection: Connection, draft: Draft, now: float) -> Seen:
    before = versions.in_force(connection)[draft.contract]
    sides = [versions.load(connection, each) for each in (before.digest, draft.bundle)]
    changes = differences(*((each, compile_bundle(each)) for each in sides))
    return _judged(None, changes, lambda: _planned_roll_back(connection, draft.contract, draft, now), before.version)


def _judged(report: Report | None, changes: Sequence[Change], plan: Callable[[], _Plan], before: str | None) -> Seen:
    try:
        _, disclosed = plan()
    except Failure as failure:
        return Seen(report=report, changes=changes, failure=failure, disclosed=(), before=before)
    return Seen(report=report, changes=changes, failure=None, disclosed=disclosed, before=before)


def _with(seen: Seen, draft: Draft, connection: Connection) -> Seen:
    """With the draft, and the digest of what is shown of it. It was checked against the version in force then."""
    before = versions.in_force(connection).get(draft.contract)
    same = draft.before == (None if before is None else before.digest)
    failure = seen.failure if same else DRAFT_OTHER(draft=draft.id)
    return replace(seen, draft=draft, failure=failure, digest=_digest(connection, draft))


def _digest(connection: Connection, draft: Draft) -> str:
    """Of what is shown of a draft, with the version that is in force."""
    before = versions.in_force(connection).get(draft.contract)
    shown = [draft.id, draft.act, draft.contract, draft.version, draft.bundle, list(draft.accepted), draft.reason]
    return hashlib.sha256(jcs.encode([*shown, None if before is None else before.digest])).hexdigest()


def _uploaded(raw: bytes) -> Report:
    try:
        given = unpacked(raw)
    except Failure as failure:
        return refused(failure)
    report = _alone(given.bundle.to_bytes())
    if report.compiled is None or not given.folder:
        return report
    return replace(report, findings=[*report.findings, *layout(report.compiled, given.folder)])


def _proved(content: bytes | None, draft: Draft) -> Report:
    """The report on a stored bundle. Raises `draft.other` if its bytes are others."""
    if content is None or hashlib.sha256(content).hexdigest() != draft.bundle.removeprefix("sha256:"):
        raise DRAFT_OTHER(draft=draft.id)
    return _alone(content)


def _alone(content: bytes) -> Report:
    """Raises `draft.busy`."""
    if not _checking.acquire(timeout=WAIT_SECONDS):
        raise DRAFT_BUSY(seconds=round(WAIT_SECONDS))
    try:
        return _report(content)
    finally:
        _checking.release()


@lru_cache(maxsize=2)
def _report(content: bytes) -> Report:
    """The same bytes have the same findings."""
    return check_bundle(Bundle.from_bytes(content), Budget(time.thread_time))


# --- rows -------------------------------------------------------------------------------------------------------------
def _found(connection: Connection, viewer: Viewer, id: str, *, lock: bool = False) -> Draft:
    draft = draft_rows.find(connection, id, lock=lock)
    if draft is None or not _visible(draft, viewer):
        raise CONSOLE_NO_PAGE(path=f"/console/contracts/drafts/{id}")
    return draft


def _visible(draft: Draft, viewer: Viewer) -> bool:
    return draft.state != CHECKED or draft.account == viewer.account.id


def _closed(connection: Connection, draft: Draft) -> Seen:
    before = versions.in_force(connection).get(draft.contract)
    version = None if before is None else before.version
    return Seen(report=None, changes=(), failure=None, disclosed=(), draft=draft, before=version)


def _made(desk: Desk, viewer: Viewer, act: str, what: tuple[str, str, str]) -> dict[str, Any]:
    now = desk.now()
    contract, version, bundle = what
    return {
        "id": new_id(int(now * 1000)),
        "act": act,
        "contract": contract,
        "version": version,
        "bundle": bundle,
        "account": viewer.account.id,
        "actor": viewer.actor,
        "created": now,
    }


def _note(connection: Connection, draft: Draft, how: str, viewer: Viewer, reason: str, now: float) -> None:
    facts = {
        "draft": draft.id,
        "how": how,
        "act": draft.act,
        "contract": draft.contract,
        "version": draft.version,
        "bundle": draft.bundle,
        "accepted": list(draft.accepted),
        "reason": reason,
    }
    append(connection, [entries.note(NOTE, facts, now, actor=viewer.actor)])
