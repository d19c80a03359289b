"""Creates the evidence package of one transfer, which is checked without the gateway (C2SP tlog-proof, RFC 5280).

    entries/…json, .tlog-proof, .json.spicy   each entry and its proof (.spicy: without header, for `spicy-litetlog`)
    log/checkpoint, log/log.vkey   the signed note of the proofs, and the log's public key
    messages/…                     transmitted bytes; `.opened`: what the signature inside covers; `salt` of the digests
    unproven/…                     what no entry covers: canonical form, what was sent before a transfer was in doubt
    certificates/…                 of the signers, their authorities, revocation lists, and the known status of each
    check.pyz                      the independent verifier (`gateway/audit/verifier`); README: checks without it
    manifest.json                  SHA-256 of every file, actor and reason, what is missing and why

Invariant: messages, entries and certificates are the bytes that were kept; nothing is created for a package.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, Engine, select

import gateway.audit
from contracts.base.errors import Ours, Theirs
from contracts.base.times import rfc3339
from gateway.audit.errors import AUDIT_NOT_LOGGED
from gateway.audit.evidence import page
from gateway.audit.evidence.reading import LEAST_REASON
from gateway.audit.log import origins
from gateway.audit.log.proofs import Inclusion, inclusions
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.transfer import entries
from gateway.vault import attachments
from gateway.vault.binding import EVENT_PART
from gateway.vault.classes import SALT_PART
from gateway.vault.errors import VAULT_NO_REASON
from gateway.vault.salting import unpack
from gateway.vault.stores import open_vault
from gateway.vault.vault import GONE, Vault
from security.pki.authority import certificate_pem
from security.transparency.entry import Json

FORMAT: Final = "lgsp-package/1"
_DIGESTED: Final = {"in": "request", "sent": "forwarded", "back": "provider-answer", "out": "answer"}


@dataclass(frozen=True, slots=True)
class Request:
    """The actor and reason, which are in the log before the package leaves; `at` in Unix seconds."""

    actor: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Package:
    files: Mapping[str, bytes]
    entries: int
    missing: Mapping[str, str]


def log_of(engine: Engine, transfer: str) -> origins.Ended | None:
    """The ended log that holds this transfer; None for the current log. Raises `audit.not-logged`."""
    with engine.connect() as connection:
        past = origins.ended(connection)
    for each in (None, *reversed(past)):
        with suppress(Theirs), origins.within(engine, each.origin if each is not None else None) as connection:
            inclusions(connection, transfer)
            return each
    raise AUDIT_NOT_LOGGED(transfer=transfer)


def create(
    engine: Engine,
    keyring: Keyring,
    transfer: str,
    request: Request,
    beside: Callable[[Connection], object] = lambda connection: None,
) -> Package:
    """Notes the request in the log, then creates the package. `beside` runs in the note's transaction.

    So it is known that it was asked for, whatever becomes of it. Raises `vault.no-reason`, `audit.not-logged`.
    """
    length = len(request.reason.strip())
    if length < LEAST_REASON:
        raise VAULT_NO_REASON(length=length, least=LEAST_REASON)
    past = log_of(engine, transfer)
    facts: dict[str, Json] = {"transfer": transfer, "reason": request.reason}
    with writing(engine) as connection:
        append(connection, [entries.note("package", facts, request.at, actor=request.actor)])
        beside(connection)
    vault = open_vault(keyring.settings, engine, keyring.at_rest)
    with origins.within(engine, past.origin if past is not None else None) as connection:
        vkey = past.vkey if past is not None else keyring.log_vkey.read_text("ascii")
        return make(connection, vault, keyring, transfer, request, vkey)


def make(connection: Connection, vault: Vault, keyring: Keyring, transfer: str, request: Request, vkey: str) -> Package:
    """Creates the package; `vkey` is the key of the log that the connection shows.

    The proofs lead to the first time-stamped checkpoint after the entries (RFC 3161), else to the newest. Raises
    `audit.not-logged` if no checkpoint covers an entry of the transfer yet.
    """
    proofs = inclusions(connection, transfer)
    stamped = _stamped(connection, proofs)
    if stamped is not None:
        proofs = inclusions(connection, transfer, (stamped.size, stamped.note))
    logged = [json.loads(each.entry) for each in proofs]
    messages, missing = _messages(connection, vault, transfer)
    for part in (part for digest, part in _DIGESTED.items() if any(digest in each for each in logged)):
        if _place(part) not in messages:
            missing.setdefault(part, "the contract does not keep it")
    files: dict[str, bytes] = {}
    for each in proofs:
        files |= entry_files(each)
    files |= {"log/checkpoint": proofs[0].note.encode(), "log/log.vkey": f"{vkey.strip()}\n".encode()}
    if stamped is not None:
        files |= {"log/checkpoint.tsq": bytes(stamped.question), "log/checkpoint.tsr": bytes(stamped.answer)}
    files |= messages
    files |= {f"certificates/{name}": data for name, data in _certificates(connection, keyring, logged).items()}
    files["check.pyz"] = checker()
    files["by-hand.sh"] = resources.files("gateway.audit.evidence").joinpath("by-hand.sh").read_bytes()
    body = bool(files.get("messages/request.http", b"").partition(b"\r\n\r\n")[2])
    facts = page.Facts(
        transfer=transfer,
        note=proofs[0].note,
        files=tuple(sorted(files)),
        missing=missing,
        actor=request.actor,
        reason=request.reason,
        made=rfc3339(request.at),
        at=logged[0]["at"],
        body=body,
    )
    files |= {"README.md": page.english(facts).encode(), "README.vi.md": page.vietnamese(facts).encode()}
    manifest = {
        "format": FORMAT,
        "transfer": transfer,
        "made": rfc3339(request.at),
        "by": request.actor,
        "reason": request.reason,
        "missing": missing,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    files["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
    return Package(files, len(proofs), missing)


def as_zip(package: Package, folder: str) -> bytes:
    """One zip file; equal packages give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in sorted(package.files.items()):
            file.writestr(zipfile.ZipInfo(f"{folder}/{name}"), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def checker() -> bytes:
    """The verifier and its few modules as a program in one file."""
    import gateway.audit.verifier as verifier
    import gateway.sample_client as client
    from gateway.audit.verifier import certificates, check, findings, heads, messages, reading
    from gateway.sample_client import audit, errors, fields, httpsig, jsontext, signing, wssec

    modules = [gateway, gateway.audit, verifier, certificates, check, findings, heads, messages, reading]
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


def _stamped(connection: Connection, proofs: Sequence[Inclusion]) -> Any:
    """The row of the first time-stamp of this log that covers these entries; None if there is none."""
    table, origin = tables.stamp.c, proofs[0].note.partition("\n")[0]
    query = (
        select(table.size, table.note, table.question, table.answer)
        .where(table.size > proofs[-1].index)
        .order_by(table.size, table.id)
    )
    return next((row for row in connection.execute(query.limit(16)) if row.note.partition("\n")[0] == origin), None)


def entry_files(of: Inclusion) -> dict[str, bytes]:
    """An entry with its proof, also in the form that `spicy-litetlog` takes."""
    name = f"entries/{of.index:09d}-{of.phase.replace('#', '-')}"
    return {
        f"{name}.json": of.entry,
        f"{name}.tlog-proof": of.text().encode(),
        f"{name}.json.spicy": of.text(header=False).encode(),
    }


def _messages(connection: Connection, vault: Vault, transfer: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """The transfer's parts in the vault by file name, and why other parts are missing."""
    table = tables.vault.c
    prefix = f"{transfer}/"
    ids: Sequence[str] = (
        connection.execute(select(table.id).where(table.id >= prefix, table.id < f"{transfer}0").order_by(table.id))
        .scalars()
        .all()
    )
    opened = attachments.of_connection(connection, vault)
    files: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for id in ids:
        part = id.removeprefix(prefix)
        # What the feed tells of the transfer is no evidence of it; its large contents are put back where they were.
        if part == EVENT_PART or part.partition(".")[0] == attachments.PART:
            continue
        try:
            data = b"".join(attachments.restored(opened, transfer, vault.open(connection, id)))
        except Ours as failure:
            if failure.code not in GONE:
                raise
            missing[part] = failure.what("en")
            continue
        if part in ("request", SALT_PART):
            salt, data = unpack(data)
            files["messages/salt"] = salt.hex().encode() + b"\n"
            if part == SALT_PART:
                continue
        files[_place(part)] = data
    return files, missing


def _place(part: str) -> str:
    """The file name of a part. Parts that no entry's digest covers are in `unproven/`."""
    if part.endswith("-opened"):
        return f"messages/{part.removesuffix('-opened')}.opened"
    if part == "answer":
        return "messages/answer.json"
    if part in ("request", "forwarded", "provider-answer"):
        return f"messages/{part}.http"
    return f"unproven/{part}" + (".json" if part in ("canonical", "call") else ".http")


def _certificates(connection: Connection, keyring: Keyring, entries: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    systems = {each["caller"]["system"] for each in entries if "caller" in each} | {
        each["provider"] for each in entries if each.get("provider")
    }
    key, certificate_status = tables.system_key.c, tables.certificate_status.c
    files: dict[str, bytes] = {}
    status: list[dict[str, Any]] = []

    keys = select(tables.system_key).where(key.system.in_(systems), key.use != "encrypt").order_by(key.key_id)
    for row in connection.execute(keys):
        files[f"{row.key_id}.crt"] = row.certificate.encode()
        status.append(
            {
                "key": row.key_id,
                **{name: getattr(row, name) for name in ("use", "thumbprint", "state")},
                "authority": row.authority or "embedded",
                "valid_from": rfc3339(row.valid_from),
                "valid_until": rfc3339(row.valid_until),
                "revoked": rfc3339(row.revoked) if row.revoked is not None else None,
                "reason": row.reason,
            }
        )
    of_keys = select(*certificate_status).where(
        certificate_status.thumbprint.in_([each["thumbprint"] for each in status])
    )
    statements = [
        {
            **{name: getattr(row, name) for name in ("thumbprint", "source", "authority", "status", "digest")},
            "this_update": rfc3339(row.this_update),
            "next_update": rfc3339(row.next_update),
        }
        for row in connection.execute(of_keys.order_by(certificate_status.thumbprint, certificate_status.source))
    ]
    for each in keyring.generations("sign"):
        files[f"{each.key_id}.crt"] = each.pem().split(b"-----END CERTIFICATE-----")[0] + b"-----END CERTIFICATE-----\n"
    outside = connection.execute(select(tables.outside_authority.c.certificates)).scalars()
    signers = [x509.load_pem_x509_certificate(data).issuer for data in files.values()]
    own = keyring.trust_anchors.read_bytes() + "".join(outside).encode() + _above(keyring)
    # The issuer of a sandbox's vendors is no anchor: it comes, with its list, where a vendor is in the transfer.
    vendors = x509.load_pem_x509_certificates(keyring.client_anchors.read_bytes())
    known = x509.load_pem_x509_certificates(own)
    beside = [each for each in vendors if each not in known and each.subject in signers]
    files["authorities.pem"] = own + b"".join(map(certificate_pem, beside))
    issuers = {each.subject for each in (*known, *beside)}
    for issuer, crl in connection.execute(select(tables.revocation_list.c.issuer, tables.revocation_list.c.crl)):
        if x509.load_der_x509_crl(bytes(crl)).issuer in issuers:
            files[f"{issuer}.crl"] = bytes(crl)
    files["status.json"] = (
        json.dumps({"registry": status, "authorities_said": statements}, ensure_ascii=False, indent=1).encode() + b"\n"
    )
    return files


def _above(keyring: Keyring) -> bytes:
    """The certificates between the gateway's own and their roots."""
    chains = {certificate_pem(link) for each in keyring.published(0.0) for link in each.chain}
    return b"".join(sorted(chains))
