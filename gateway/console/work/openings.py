"""Opens bodies for somebody, for a reason and for a few minutes.

The reading of each part is in the log before the address exists under which it is shown. That address has a code that
names session, transfer, parts and end, so every desk of the instance can check it.
Invariant: no body is shown without a note `body-view` of this session, nor after the end.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.base.errors import Failure
from gateway.audit.evidence.reading import Reading, view_body
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_BODY_CLOSED, CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.vault import attachments
from gateway.vault.salting import unpack
from gateway.vault.stores import open_vault
from gateway.vault.vault import GONE, Vault

OPEN_SECONDS: Final = 300
MOST: Final = 1 << 18  # bytes of a part that are shown
SHOWN: Final = (
    "request",
    "request-opened",
    "canonical",
    "forwarded",
    "forwarded-opened",
    "provider-answer",
    "provider-answer-opened",
    "answer",
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What may be read until when (Unix seconds); `code` proves it."""

    transfer: str
    parts: tuple[str, ...]
    until: int
    code: str


@dataclass(frozen=True, slots=True)
class Body:
    """The first bytes of a part. `gone` is the code of why there are none."""

    part: str
    data: bytes
    size: int
    gone: str | None = None


def open_parts(desk: Desk, viewer: Viewer, transfer: str, parts: Sequence[str], reason: str, now: float) -> Opening:
    """Logs the reading of each part. Raises `console.form`, `vault.no-part`, `vault.no-reason`, `vault.expired`."""
    wanted = tuple(each for each in SHOWN if each in parts)
    if not wanted or len(wanted) < len(set(parts)):
        raise CONSOLE_FORM(field="parts", why=", ".join(SHOWN))
    vault = vault_of(desk)
    for part in wanted:
        reading = Reading(transfer=transfer, part=part, reason=reason, actor=viewer.actor, now=now, stop=MOST)
        with view_body(desk.services.engine, vault, reading):
            pass  # it is noted; the page reads it
    until = int(now) + OPEN_SECONDS
    return Opening(transfer, wanted, until, _code(desk, viewer, transfer, wanted, until))


def read_part(desk: Desk, viewer: Viewer, transfer: str, part: str, reason: str) -> Body:
    """The first bytes of a part at once, for a program. Raises as `open_parts`."""
    if part not in SHOWN:
        raise CONSOLE_FORM(field="part", why=", ".join(SHOWN))
    reading = Reading(transfer=transfer, part=part, reason=reason, actor=viewer.actor, now=desk.now(), stop=MOST)
    with view_body(desk.services.engine, vault_of(desk), reading) as view:
        return _body(part, b"".join(view.pieces), view.size)


def check(desk: Desk, viewer: Viewer, transfer: str, given: Mapping[str, str], now: float) -> Opening:
    """Raises `console.body-closed` for what is over, altered, or of another session."""
    parts, text, code = tuple(given.get("parts", "").split()), given.get("until", ""), given.get("code", "")
    until = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
    right = _code(desk, viewer, transfer, parts, until)
    if not viewer.csrf or not hmac.compare_digest(code.encode(), right.encode()) or not now < until:
        raise CONSOLE_BODY_CLOSED()
    return Opening(transfer, parts, until, code)


def bodies(desk: Desk, opening: Opening) -> list[Body]:
    vault, found = vault_of(desk), list[Body]()
    with desk.services.engine.connect() as connection:
        for part in opening.parts:
            try:
                meta = attachments.meta(vault, connection, f"{opening.transfer}/{part}")
                if meta is None:
                    continue
                data, size = b"".join(attachments.view(vault, connection, meta, 0, MOST)), meta.size
            except Failure as failure:
                if failure.code not in GONE:
                    raise
                found.append(Body(part, b"", 0, failure.code))
                continue
            found.append(_body(part, data, size))
    return found


def _body(part: str, stored: bytes, size: int) -> Body:
    data = _unsalted(stored) if part == "request" else stored
    return Body(part, data, size - (len(stored) - len(data)))


def _unsalted(data: bytes) -> bytes:
    """The salt stands before the request; it is no part of the message."""
    try:
        return unpack(data)[1]
    except ValueError:
        return data


def vault_of(desk: Desk) -> Vault:
    return open_vault(desk.services.settings, desk.services.engine)


def _code(desk: Desk, viewer: Viewer, transfer: str, parts: Sequence[str], until: int) -> str:
    """`csrf` is derived from the session's token, and no other session has it."""
    key = HKDF(SHA256(), 32, None, b"lgsp console body view v1").derive(desk.hash_key)
    said = "\n".join([hashlib.sha256(viewer.csrf.encode()).hexdigest(), transfer, " ".join(parts), str(until)])
    return base64.urlsafe_b64encode(hmac.digest(key, said.encode(), "sha256")).decode("ascii").rstrip("=")
