"""Registry documents: the present one, what one would change, and applying it, as `lgsp registry apply` does.

Invariant: what is applied is what was previewed. Invariant: who may not operate may propose alone: nothing of his
document takes effect before officers have signed. Stand-in officers of a sandbox sign nothing here.
"""

from __future__ import annotations

from typing import Final

from gateway.console.accounts import store
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORBIDDEN, CONSOLE_FORM, DOCUMENT_OTHER
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes import applying, deciding
from gateway.registry.changes.applying import Applied
from gateway.registry.changes.stating import document_text
from gateway.registry.seals.revisions import revision
from gateway.registry.seals.sealing import Seal, changing
from security.pki.chains import Trust

MOST: Final = 1_000_000  # bytes of a document
MEDIA: Final = "application/yaml"  # RFC 9512


def present(desk: Desk, viewer: Viewer) -> bytes:
    """The registry as a document, to begin from. It leaves the page, so the log says so."""
    with desk.reading() as connection:
        text, number = document_text(connection), revision(connection)
    with desk.writing() as connection:
        facts = {"what": "registry-document", "revision": number}
        store.note(connection, "export", facts, desk.now(), viewer.actor)
    return text.encode()


def preview(desk: Desk, viewer: Viewer, text: str) -> Applied:
    """What applying it would do now. Raises `registry.invalid`, `console.form`."""
    text = _checked(text)
    desk.follow()
    snapshot, embedded = desk.services.registry.snapshot, _embedded(desk)
    with applying.taken_back(desk.services.engine) as connection:
        return applying.apply_text(connection, text, snapshot, embedded, desk.now(), viewer.account.id)


def may_apply(viewer: Viewer, applied: Applied) -> bool:
    """Whether somebody may apply what was previewed."""
    return bool(applied.rows) and (May.OPERATE in viewer.account.may or applied.proposes_only)


def apply(desk: Desk, viewer: Viewer, text: str, digest: str, reason: str) -> Applied:
    """`digest` is that of the preview. Raises `registry.invalid`, `document.other`, `console.forbidden`."""
    text = _checked(text)
    desk.follow()
    snapshot, embedded, now = desk.services.registry.snapshot, _embedded(desk), desk.now()
    with changing(desk.services.engine, Seal.of(desk.services.settings)) as act:
        before = revision(act.connection)
        applied = applying.apply_text(act.connection, text, snapshot, embedded, now, viewer.account.id)
        if applied.digest != digest:
            raise DOCUMENT_OTHER()
        if not may_apply(viewer, applied):
            raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=May.OPERATE)
        if revision(act.connection) != before:
            facts = {**applied.facts(), "waiting": deciding.waiting_rows(act.connection, now), "reason": reason}
            act.note(applying.NOTE, facts, now, actor=viewer.actor)
    desk.follow()
    return applied


def _checked(text: str) -> str:
    """As a form returns it: lines end with a line feed, none is empty at the beginning or the end."""
    text = text.replace("\r\n", "\n").lstrip("\n").rstrip() + "\n"
    if not text.strip() or len(text.encode()) > MOST:
        raise CONSOLE_FORM(field="document", why="missing" if not text.strip() else f"more than {MOST} bytes")
    return text


def _embedded(desk: Desk) -> Trust | None:
    """None for an instance without an authority of its own."""
    settings = desk.services.settings
    return EmbeddedAuthority(settings).trust() if (settings.authority / "root.crt").exists() else None
