"""The package of one transfer: all that a stranger needs to check it without the gateway (design 05; C2SP tlog-proof, RFC 5280).

    entries/…json, .tlog-proof, .json.spicy   each entry's raw bytes, and its proof (.spicy: without the header line, for `spicy-litetlog`)
    log/checkpoint, log/log.vkey         the signed note that the proofs lead to, and the log's public key
    messages/…                           the bytes as they travelled, `.opened`: what the signature inside an encrypted one covers; `salt` of the digests
    unproven/…                           what no entry covers: the canonical form, what was sent before a transfer was in doubt
    certificates/…                       of those who signed, the authorities above them, revocation lists, and what was known of each
    check.pyz                            the checker of `gateway/audit/verifier`, which knows nothing of the gateway; README: how to do without it
    manifest.json                        SHA-256 of every file, who asked for the package and why, what is missing and why

Invariant: nothing of a package is made up for it; messages, entries and certificates are the bytes that were kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, select

import gateway.audit
from contracts.base.errors import Ours, Theirs
from contracts.base.times import rfc3339
from gateway.audit.errors import AUDIT_NOT_LOGGED
from gateway.audit.evidence import page
from gateway.audit.log import origins
from gateway.audit.log.proofs import Inclusion, inclusions
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.vault.classes import SALT_PART
from gateway.vault.salting import unpack
from gateway.vault.vault import GONE, Vault
from security.pki.authority import certificate_pem

FORMAT: Final = "lgsp-package/1"
_DIGESTED: Final = {"in": "request", "sent": "forwarded", "back": "provider-answer", "out": "answer"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants it, and what for; both stand in the log before the package leaves."""

    actor: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Package:
    files: Mapping[str, bytes]
    entries: int
    missing: Mapping[str, str]


def log_of(engine: Engine, transfer: str) -> origins.Ended | None:
    """The log that ended by a restore in which this transfer stands; None for the one that goes on.

    `audit.not-logged` if it stands in none.
    """
    with engine.connect() as connection:
        past = origins.ended(connection)
    for each in (None, *reversed(past)):
        with suppress(Theirs), origins.within(engine, each.origin if each is not None else None) as connection:
            inclusions(connection, transfer)
            return each
    raise AUDIT_NOT_LOGGED(transfer=transfer)


def make(connection: Connection, vault: Vault, keyring: Keyring, transfer: str, asked: Asked, vkey: str) -> Package:
    """`audit.not-logged` if no entry of the transfer is under a checkpoint yet. `vkey` is of the log that the connection shows. The proofs lead to the
    first checkpoint after these entries that was time-stamped (RFC 3161), where there is one; else to the newest."""
    found = inclusions(connection, transfer)
    stamped = _stamped(connection, found)
    if stamped is not None:
        found = inclusions(connection, transfer, (stamped.size, stamped.note))
    entries = [json.loads(each.entry) for each in found]
    messages, missing = _messages(connection, vault, transfer)
    for part in (part for digest, part in _DIGESTED.items() if any(digest in each for each in entries)):
        if _place(part) not in messages:
            missing.setdefault(part, "the contract does not keep it")
    files: dict[str, bytes] = {}
    for each in found:
        files |= _entry(each)
    files |= {"log/checkpoint": found[0].note.encode(), "log/log.vkey": f"{vkey.strip()}\n".encode()}
    if stamped is not None:
        files |= {"log/checkpoint.tsq": bytes(stamped.question), "log/checkpoint.tsr": bytes(stamped.answer)}
    files |= messages
    files |= {f"certificates/{name}": data for name, data in _certificates(connection, keyring, entries).items()}
    files["check.pyz"] = checker()
    files["by-hand.sh"] = resources.files("gateway.audit.evidence").joinpath("by-hand.sh").read_bytes()
    body = bool(files.get("messages/request.http", b"").partition(b"\r\n\r\n")[2])
    facts = page.Facts(
        transfer,
        found[0].note,
        tuple(sorted(files)),
        missing,
        asked.actor,
        asked.reason,
        rfc3339(asked.at),
        entries[0]["at"],
        body,
    )
    files |= {"README.md": page.english(facts).encode(), "README.vi.md": page.vietnamese(facts).encode()}
    manifest = {
        "format": FORMAT,
        "transfer": transfer,
        "made": rfc3339(asked.at),
        "by": asked.actor,
        "reason": asked.reason,
        "missing": missing,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    files["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
    return Package(files, len(found), missing)


def as_zip(package: Package, folder: str) -> bytes:
    """One file; equal packages give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in sorted(package.files.items()):
            file.writestr(zipfile.ZipInfo(f"{folder}/{name}"), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def checker() -> bytes:
    """`gateway/audit/verifier` with the few modules that it needs, as a program in one file."""
    import gateway.audit.verifier as verifier
    import gateway.sample_client as client
    from gateway.audit.verifier import certificates, check, findings, messages
    from gateway.sample_client import audit, errors, fields, httpsig, jsontext, signing, wssec

    modules = [gateway, gateway.audit, verifier, certificates, check, findings, messages]
    modules += [client, audit, errors, fields, httpsig, jsontext, signing, wssec]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for module in modules:
            source = Path(str(module.__file__))
            place = "/".join((*str(module.__package__).split("."), source.name))
            file.writestr(zipfile.ZipInfo(place), source.read_bytes(), zipfile.ZIP_DEFLATED)
        start = f"import sys\n\nfrom {check.__name__} import main\n\nsys.exit(main())\n"
        file.writestr(zipfile.ZipInfo("__main__.py"), start)
    return out.getvalue()


def _stamped(connection: Connection, found: Sequence[Inclusion]) -> Any:
    """The row of the first time-stamp of this log that covers these entries; None if there is none."""
    table, origin = tables.stamp.c, found[0].note.partition("\n")[0]
    query = (
        select(table.size, table.note, table.question, table.answer)
        .where(table.size > found[-1].index)
        .order_by(table.size, table.id)
    )
    return next((row for row in connection.execute(query.limit(16)) if row.note.partition("\n")[0] == origin), None)


def _entry(of: Inclusion) -> dict[str, bytes]:
    name = f"entries/{of.index:09d}-{of.phase.replace('#', '-')}"
    return {
        f"{name}.json": of.entry,
        f"{name}.tlog-proof": of.text().encode(),
        f"{name}.json.spicy": of.text(header=False).encode(),
    }


def _messages(connection: Connection, vault: Vault, transfer: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """What the vault holds of a transfer by the name of its file, and why parts that it held once are not there."""
    table = tables.vault.c
    prefix = f"{transfer}/"
    ids: Sequence[str] = (
        connection.execute(select(table.id).where(table.id >= prefix, table.id < f"{transfer}0").order_by(table.id))
        .scalars()
        .all()
    )
    found: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for id in ids:
        part = id.removeprefix(prefix)
        try:
            data = vault.open(connection, id)
        except Ours as failure:
            if failure.code not in GONE:
                raise
            missing[part] = failure.what("en")
            continue
        if part in ("request", SALT_PART):
            salt, data = unpack(data)
            found["messages/salt"] = salt.hex().encode() + b"\n"
            if part == SALT_PART:
                continue
        found[_place(part)] = data
    return found, missing


def _place(part: str) -> str:
    """The name of a part's file. What no entry's digest covers stands apart, as the gateway's own word."""
    if part.endswith("-opened"):
        return f"messages/{part.removesuffix('-opened')}.opened"
    if part == "answer":
        return "messages/answer.json"
    if part in ("request", "forwarded", "provider-answer"):
        return f"messages/{part}.http"
    return f"unproven/{part}" + (".json" if part == "canonical" else ".http")


def _certificates(connection: Connection, keyring: Keyring, entries: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    systems = {each["caller"]["system"] for each in entries if "caller" in each} | {
        each["provider"] for each in entries if each.get("provider")
    }
    key, said = tables.system_key.c, tables.certificate_status.c
    found: dict[str, bytes] = {}
    status: list[dict[str, Any]] = []
    marks: list[str] = []
    columns = (
        key.key_id,
        key.use,
        key.certificate,
        key.thumbprint,
        key.state,
        key.authority,
        key.valid_from,
        key.valid_until,
        key.revoked,
        key.reason,
    )
    for row in connection.execute(
        select(*columns).where(key.system.in_(systems), key.use != "encrypt").order_by(key.key_id)
    ):
        found[f"{row.key_id}.crt"] = row.certificate.encode()
        marks.append(row.thumbprint)
        status.append({
            "key": row.key_id, "use": row.use, "thumbprint": row.thumbprint, "state": row.state, "authority": row.authority or "embedded",
            "valid_from": rfc3339(row.valid_from), "valid_until": rfc3339(row.valid_until),
            "revoked": rfc3339(row.revoked) if row.revoked is not None else None, "reason": row.reason,
        })  # fmt: skip
    words = [
        {"thumbprint": row.thumbprint, "source": row.source, "authority": row.authority, "status": row.status, "digest": row.digest,
         "this_update": rfc3339(row.this_update), "next_update": rfc3339(row.next_update)}
        for row in connection.execute(select(tables.certificate_status).where(said.thumbprint.in_(marks)).order_by(said.thumbprint, said.source))
    ]  # fmt: skip
    for each in keyring.generations("sign"):
        found[f"{each.key_id}.crt"] = each.pem().split(b"-----END CERTIFICATE-----")[0] + b"-----END CERTIFICATE-----\n"
    outside = connection.execute(select(tables.outside_authority.c.certificates)).scalars()
    found["authorities.pem"] = keyring.trust_anchors.read_bytes() + "".join(outside).encode() + _above(keyring)
    for issuer, crl in connection.execute(select(tables.revocation_list.c.issuer, tables.revocation_list.c.crl)):
        found[f"{issuer}.crl"] = bytes(crl)
    found["status.json"] = (
        json.dumps({"registry": status, "authorities_said": words}, ensure_ascii=False, indent=1).encode() + b"\n"
    )
    return found


def _above(keyring: Keyring) -> bytes:
    """What stands between the gateway's own certificates and their roots."""
    chains = {certificate_pem(link) for each in keyring.published(0.0) for link in each.chain}
    return b"".join(sorted(chains))
