"""`lgsp ca`: the embedded certification authority."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contracts.base.times import rfc3339
from gateway.commands.output import Exit, emit, fail
from gateway.journal.database import open_engine, writing
from gateway.keeper.tasks import revocation_lists
from gateway.keys.authority import EmbeddedAuthority, Issuer
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Seal, changing
from gateway.settings import Settings
from security.grants.windows import civil
from security.keys import thumbprint

_DAY = 86_400.0
_ISSUERS = "`lgsp ca show` lists them. / Xem danh sách bằng `lgsp ca show`."
_DER = Encoding.DER


def show(settings: Settings, as_json: bool) -> None:
    authority, now = EmbeddedAuthority(settings), time.time()
    found = [_about("root", authority.root, now)] + [
        _about(name, authority.certificate(name), now) for name in authority.names()
    ]
    offline = not authority.root_is_here()
    lines = [
        f"{each['name']:<8} {civil(each['valid_until'])}  {each['days_left']:>5} days  {each['subject']}"
        for each in found
    ]
    lines.append(
        "the root key is offline" if offline else "the root key lies on this machine: take it away in production"
    )
    emit({"ok": True, "certificates": found, "root_key_offline": offline}, as_json, "\n".join(lines))


def renew(settings: Settings, issuer: Issuer, as_json: bool) -> None:
    authority, now = EmbeddedAuthority(settings), time.time()
    before, certificate = authority.renew(issuer, now)
    about = _about(issuer, certificate, now)
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        raise_revision(act.connection)  # so that the doors take up its certificate
        facts = {"changes": [{"what": "authority", "id": issuer, "how": "changed", "fields": [about["thumbprint"]]}]}
        act.note("registry", facts, now)
    text = f"{issuer}: made anew, valid until {civil(about['valid_until'])}; the one before goes on as {before}. Take root.key away again."
    emit({"ok": True, "issuer": issuer, "before": before, "certificate": about}, as_json, text)


def crl(settings: Settings, issuer: str, out: Path | None, as_json: bool) -> None:
    with writing(open_engine(settings.database_url)) as connection:
        revocation_lists.renew(connection, EmbeddedAuthority(settings), time.time())
        found = revocation_lists.stored_list(connection, issuer)
    if found is None:
        fail(
            Exit.USAGE,
            "unknown-issuer",
            f"there is no issuer {issuer} / không có tổ chức phát hành {issuer}",
            _ISSUERS,
            as_json,
        )
    if out is not None:
        out.write_bytes(found)
    read = x509.load_der_x509_crl(found)
    pem = read.public_bytes(Encoding.PEM).decode("ascii")
    until = read.next_update_utc
    result = {
        "ok": True,
        "issuer": issuer,
        "number": read.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number,
        "revoked": len(read),
        "next_update": rfc3339(until.timestamp()) if until is not None else None,
        "crl": pem,
        "file": str(out) if out is not None else None,
    }
    emit(result, as_json, pem if out is None else f"{out}: list {result['number']} of {issuer}, {len(read)} revoked")


def _about(name: str, certificate: x509.Certificate, now: float) -> dict[str, Any]:
    until = certificate.not_valid_after_utc.timestamp()
    return {
        "name": name,
        "subject": certificate.subject.rfc4514_string(),
        "valid_until": rfc3339(until),
        "days_left": int((until - now) // _DAY),
        "thumbprint": thumbprint(certificate.public_bytes(_DER)),
    }
