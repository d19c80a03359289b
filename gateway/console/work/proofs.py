"""Proofs that a transfer is in the audit log, in forms that a stranger checks without the gateway.

Invariant: only bytes of the log and of its signed checkpoint leave; nothing is made for a proof.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, NamedTuple

import segno
from markupsafe import Markup
from sqlalchemy import func, select

from gateway.audit.errors import AUDIT_NOT_LOGGED
from gateway.audit.evidence import package as packages
from gateway.audit.evidence.package import Request, entry_files
from gateway.audit.log.proofs import Inclusion
from gateway.audit.log.transfer_proofs import as_json, proved
from gateway.audit.log.transfer_proofs import text as base64_of
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import journeys
from gateway.console.work.journeys import OWN
from gateway.console.work.proof_readme import readme
from gateway.journal.schema import tables
from gateway.keeper.tasks.revocation_lists import EVERY
from gateway.keys.keyring import Keyring

_RECEIPT: Final = ("intent", "outcome", "refusal")
_QR_BYTES: Final = 2_900  # of a code of the largest size, with the least error correction


class Lists(NamedTuple):
    """When the oldest of the keeper's revocation lists was signed, and when the keeper signs it again at the latest."""

    signed: float
    again: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry and its proof in one text: the entry is its first line, the rest is what `spicy-litetlog` reads."""

    phase: str
    index: int
    text: str
    leaf: str
    picture: Markup | None  # SVG; None if the text is too long for a QR code


def inclusions(desk: Desk, viewer: Viewer, transfer: str) -> list[Inclusion]:
    """Without notes of others about it, if he sees one agency only. Raises `audit.not-logged`, `console.no-page`."""
    found = proved(desk.services.engine, transfer)
    if viewer.account.scope is not None:
        seen = journeys.find(desk, viewer, transfer)
        party = any(each.facts.kind in OWN for each in seen.journey.steps)  # else only notes of its own concern it
        found = [each for each in found if party and each.phase.partition("#")[0] in OWN]
    if not found:
        raise AUDIT_NOT_LOGGED(transfer=transfer)
    return found


def archive(desk: Desk, viewer: Viewer, transfer: str) -> bytes:
    """Each entry with its proof in both forms, the checkpoint, the log's key, a script that needs openssl alone.

    And how to check them, in both languages. Raises `audit.not-logged`.
    """
    found = inclusions(desk, viewer, transfer)
    files: dict[str, bytes] = {}
    for each in found:
        files |= entry_files(each)
    files |= {
        "log/checkpoint": found[0].note.encode(),
        "log/log.vkey": log_key(desk, transfer).encode() + b"\n",
        "by-hand.sh": resources.files("gateway.audit.evidence").joinpath("by-hand.sh").read_bytes(),
        "proof.json": json.dumps(as_json(transfer, found), ensure_ascii=False, indent=1).encode() + b"\n",
    }
    names = [each.removesuffix(".tlog-proof") for each in files if each.endswith(".tlog-proof")]
    files |= {name: text.encode() for name, text in readme(transfer, names).items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in sorted(files.items()):
            file.writestr(zipfile.ZipInfo(f"proof-{transfer}/{name}"), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def log_key(desk: Desk, transfer: str) -> str:
    """The public key of the log that holds the transfer. Raises `audit.not-logged`."""
    past = packages.log_of(desk.services.engine, transfer)
    return past.vkey if past is not None else Keyring(desk.services.settings).log_vkey.read_text("ascii").strip()


def receipts(proofs: Sequence[Inclusion], label: str) -> tuple[Receipt, ...]:
    """The entries that a receipt names. `label` is the title of their pictures."""
    return tuple(_receipt(each, f"{label} #{each.index}") for each in proofs if each.phase in _RECEIPT)


def package(desk: Desk, viewer: Viewer, transfer: str, reason: str, now: float) -> bytes:
    """The evidence for a stranger, as `lgsp audit package` makes it; noted in the log before a body is opened.

    The desk holds no key of an authority, so the lists of revoked certificates are the keeper's newest.
    """
    request = Request(viewer.actor, reason, now)
    keyring = Keyring(desk.services.settings)
    return packages.as_zip(packages.create(desk.services.engine, keyring, transfer, request), f"package-{transfer}")


def lists(desk: Desk) -> Lists | None:
    """Those that a package has. One that is older than a signature leaves open whether its key was revoked then."""
    with desk.reading() as connection:
        signed = connection.scalar(select(func.min(tables.revocation_list.c.this_update)))
    return None if signed is None else Lists(signed, signed + EVERY)


def _receipt(of: Inclusion, title: str) -> Receipt:
    text = f"{of.entry.decode()}\n{of.text(header=False)}"
    picture: Markup | None = None
    if len(text.encode()) <= _QR_BYTES:
        code = segno.make(text, error="l", boost_error=False, mode="byte", micro=False)
        picture = Markup(code.svg_inline(border=4, svgclass="qr", lineclass=None, title=title, omitsize=True))  # noqa: S704  ours
    return Receipt(of.phase, of.index, text, base64_of(of.leaf), picture)
