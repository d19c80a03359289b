"""Certificates of conformance: a passed run of a whole suite, as an entry of the log, with its proof and our signature.

Whoever has the key of the log checks one offline (`gateway.audit.verifier.conformance`, or `by-hand.sh`).
Invariant: nothing but a run that passed gets one, and what it says is what the entry says.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any, Final

import segno
from sqlalchemy import Engine

from contracts.base.ids import new_id
from gateway.audit.log.proofs import Inclusion, inclusions
from gateway.journal.append import append
from gateway.journal.database import snapshot, writing
from gateway.keys.keyring import Keyring
from gateway.sandbox.conformance.results import Run
from gateway.transfer import entries
from security import jose

NOTE: Final = "conformance"
FORMAT: Final = "lgsp-conformance/1"
MEDIA_TYPE: Final = "application/vnd.lgsp.conformance+json"
QR_BYTES: Final = 2_900  # of a code of the largest size, with the least error correction


def enter(engine: Engine, run: Run, now: float, actor: str) -> str:
    """The id of the certificate, which is that of its entry. ValueError for a run that did not pass."""
    if not run.passed or not run.software.name or not run.software.version:
        raise ValueError("only a whole run that passed, of a named software and version")
    id = new_id(int(now * 1000))
    with writing(engine) as connection:
        append(connection, [entries.note(NOTE, facts_of(run), now, actor=actor, about=id)])
    return id


def facts_of(run: Run) -> dict[str, Any]:
    """What the entry says: which software kept which contract, and the digests of suite and report."""
    suite = run.suite
    return {
        "software": run.software.name,
        "version": run.software.version,
        "system": run.software.system,
        "agency": run.software.agency,
        "contract": suite.contract,
        "contractVersion": suite.version,
        "bundle": suite.digest,
        "role": suite.role,
        "protocols": ", ".join(sorted({each.kind for each in suite.cases})),
        "formats": ", ".join(sorted({each.format for each in suite.cases})),
        "operations": ", ".join(sorted({each.operation for each in suite.cases})),
        "cases": len(run.results),
        "suite": _digest(suite.to_json()),
        "report": _digest(run.to_json()),
    }


def document(engine: Engine, keyring: Keyring, id: str) -> dict[str, Any]:
    """The certificate as JSON. Raises `audit.not-logged` for one that is unknown, or not in a checkpoint yet."""
    found = _entry(engine, id)
    return {
        "format": FORMAT,
        "certificate": id,
        "entry": found.entry.decode(),
        "proof": found.text(),
        "signature": jose.sign(found.entry, MEDIA_TYPE, keyring.signing_key()).decode("ascii"),
    }


def picture(engine: Engine, id: str) -> str | None:
    """A QR code as SVG: the entry in its first line, its proof in the rest. None if that is too long for one."""
    found = _entry(engine, id)
    text = f"{found.entry.decode()}\n{found.text(header=False)}"
    if len(text.encode()) > QR_BYTES:
        return None
    code = segno.make(text, error="l", boost_error=False, mode="byte", micro=False)
    drawn = io.BytesIO()  # with its namespace: it is a file of its own, and no part of a page
    code.save(drawn, kind="svg", xmldecl=False, nl=False, border=4, omitsize=True)
    return drawn.getvalue().decode()


def _entry(engine: Engine, id: str) -> Inclusion:
    with snapshot(engine) as connection:
        return inclusions(connection, id)[0]


def _digest(content: Any) -> str:
    raw = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(raw.encode()).hexdigest()
