"""Drafts of contracts: an upload with its findings, what waits for a second person, the decision."""

from __future__ import annotations

from typing import Final

from contracts.folder.zipped import MAX_ZIP
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.page import N_, Answer, Ask, Menu, Moved, Page, Shown
from gateway.console.work import drafts

HERE: Final = "/console/contracts/drafts"
_MORE: Final = 10_000  # bytes of the form around the archive


def listed(ask: Ask) -> Shown:
    return Shown("drafts.html", {"drafts": drafts.listed(ask.desk, ask.viewer), "now": ask.now})


def new(ask: Ask) -> Shown:
    return _new(None)


def _new(seen: drafts.Seen | None) -> Shown:
    return Shown("draft-new.html", {"seen": seen, "most": MAX_ZIP // 1_000_000}, 200 if seen is None else 422)


def upload(ask: Ask) -> Answer:
    """What cannot be handed in is told here; the rest has a page of its own."""
    archive = ask.files.get("archive", b"")
    if not archive:
        raise CONSOLE_FORM(field="archive", why="missing")
    seen = drafts.upload(ask.desk, ask.viewer, archive)
    return _new(seen) if seen.draft is None else Moved(f"{HERE}/{seen.draft.id}")


def one(ask: Ask) -> Shown:
    seen = drafts.read(ask.desk, ask.viewer, ask.path["draft"])
    assert seen.draft is not None
    mine = seen.draft.account == ask.viewer.account.id
    return Shown("draft.html", {"seen": seen, "mine": mine, "open": seen.draft.is_open(ask.now), "now": ask.now})


def hand_in(ask: Ask) -> Moved:
    accepts = ask.form.get("accepts", "").splitlines()
    draft = drafts.hand_in(ask.desk, ask.viewer, ask.path["draft"], accepts, ask.reason())
    return Moved(f"{HERE}/{draft.id}", "handed-in")


def confirm(ask: Ask) -> Moved:
    done = drafts.confirm(ask.desk, ask.viewer, ask.path["draft"], ask.field("digest", 64))
    if done.workflow.proposal is not None:
        there = f"/console/access/proposals/{done.workflow.proposal.subject.path}"
        return Moved(there, "workflow-proposed")
    return Moved(f"/console/contracts/{done.now.contract}", "published")


def reject(ask: Ask) -> Moved:
    draft = drafts.reject(ask.desk, ask.viewer, ask.path["draft"], ask.reason())
    return Moved(f"{HERE}/{draft.id}", "withdrawn" if draft.account == ask.viewer.account.id else "rejected")


def roll_back(ask: Ask) -> Moved:
    draft = drafts.roll_back(ask.desk, ask.viewer, f"{ask.path['id']}/v{ask.path['major']}")
    return Moved(f"{HERE}/{draft.id}")


_ONE: Final = "/contracts/drafts/{draft}"
PAGES = (
    Page("/contracts/drafts", listed, May.CONFIRM, N_("Drafts of contracts"), Menu.CONTRACTS),
    Page("/contracts/drafts/new", new, May.PUBLISH, N_("Upload a contract")),
    Page(
        "/contracts/drafts/new",
        upload,
        May.PUBLISH,
        N_("Upload a contract"),
        method="POST",
        operation="checkContract",
        upload=MAX_ZIP + _MORE,
    ),
    Page(_ONE, one, May.CONFIRM, N_("Draft of a contract")),
    Page(f"{_ONE}/hand-in", hand_in, May.PUBLISH, method="POST", operation="handInDraft"),
    Page(f"{_ONE}/reject", reject, May.CONFIRM, method="POST", operation="rejectDraft"),
    Page(
        f"{_ONE}/confirm",
        confirm,
        May.CONFIRM,
        method="POST",
        page_only="a person reads what he confirms; a token never approves",
    ),
    Page("/contracts/{id}/v{major}/roll-back", roll_back, May.PUBLISH, method="POST", operation="draftRollBack"),
)
