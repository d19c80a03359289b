"""A registry document: the present one as a file, the upload, what it would change, and applying it."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Failure
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.page import N_, Answer, Ask, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import documents
from gateway.registry.changes.applying import Applied

HERE: Final = "/console/registry/document"
_MORE: Final = 10_000  # bytes of the form around the document


def blank(ask: Ask) -> Shown:
    return _shown(ask, "", None, None)


def present(ask: Ask) -> Sent:
    """By POST, since the log says that it was taken."""
    return Sent(documents.present(ask.desk, ask.viewer), documents.MEDIA, "registry.yaml")


def preview(ask: Ask) -> Shown:
    """Nothing is changed. A document with faults comes back with each of them."""
    text = _text(ask)
    try:
        return _shown(ask, text, documents.preview(ask.desk, ask.viewer, text), None)
    except Failure as failure:
        return _shown(ask, text, None, failure)


def apply(ask: Ask) -> Answer:
    text, digest, reason = _text(ask), ask.field("digest", 64), ask.reason()
    try:
        documents.apply(ask.desk, ask.viewer, text, digest, reason)
    except Failure as failure:
        if failure.status == 403:
            raise
        return _shown(ask, text, None, failure)
    return Moved(HERE, "applied")


def _text(ask: Ask) -> str:
    """Of the file, else of the field."""
    try:
        text = ask.files.get("file", b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CONSOLE_FORM(field="file", why="not in UTF-8") from None
    return text or ask.form.get("document", "")


def _shown(ask: Ask, text: str, applied: Applied | None, failure: Failure | None) -> Shown:
    values = {
        "text": text,
        "applied": applied,
        "mine": applied is not None and documents.may_apply(ask.viewer, applied),
        "operates": May.OPERATE in ask.viewer.account.may,
        "failure": None if failure is None else failure_values(failure, ask.language),
    }
    return Shown("registry-document.html", values, 200 if failure is None else failure.status)


_UPLOAD: Final = documents.MOST + _MORE
PAGES = (
    Page("/registry/document", blank, May.REGISTRY, N_("Registry document"), Menu.OPERATION),
    Page("/registry/document/present", present, May.REGISTRY, method="POST", operation="readDocument"),
    Page(
        "/registry/document",
        preview,
        May.REGISTRY,
        N_("Registry document"),
        method="POST",
        operation="previewDocument",
        looks=True,
        upload=_UPLOAD,
    ),
    Page(
        "/registry/document/apply",
        apply,
        May.REGISTRY,
        N_("Registry document"),
        method="POST",
        operation="applyDocument",
        upload=_UPLOAD,
    ),
)
