"""`lgsp ca`: the embedded certification authority."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from cryptography import x509

commands = typer.Typer(no_args_is_help=True, help="The embedded certification authority.")


class IssuerName(StrEnum):
    TLS = "tls"
    SIGN = "sign"
    VENDORS = "vendors"


_DAY = 86_400.0
_ISSUERS = "`lgsp ca show` lists them. / Xem danh sách bằng `lgsp ca show`."


@commands.command("show")
def ca_show(data: Data = None, as_json: AsJson = False) -> None:
    """Root and issuers: who, how long, and whether the root key is offline."""
    from gateway.keys import overview
    from security.grants.windows import civil

    settings, now = load_instance(data, as_json), time.time()
    every = list(overview.authorities(settings))
    certificates: list[dict[str, Any]] = [
        {
            "name": each.name,
            "subject": each.subject,
            "valid_until": rfc3339(each.valid_until),
            "days_left": each.left(now),
            "thumbprint": each.thumbprint,
        }
        for each in every
    ]
    offline = not every[0].there
    lines = [
        f"{each['name']:<8} {civil(each['valid_until'])}  {each['days_left']:>5} days / ngày  {each['thumbprint']}"
        f"  {each['subject']}"
        for each in certificates
    ]
    lines.append(
        "the root key is offline / khóa gốc được cất ngoại tuyến"
        if offline
        else "the root key lies on this machine: take it away in production"
        " / khóa gốc nằm trên máy này: khi vận hành chính thức phải cất đi nơi khác"
    )
    emit({"ok": True, "certificates": certificates, "root_key_offline": offline}, as_json, "\n".join(lines))


@commands.command("renew")
def ca_renew(issuer: IssuerName, data: Data = None, as_json: AsJson = False) -> None:
    """Make an issuer anew; needs the root key, but for vendors. What the one before has issued stays in force."""
    from gateway.journal.database import open_engine
    from gateway.keys.authority import EmbeddedAuthority
    from gateway.registry.seals.revisions import raise_revision
    from gateway.registry.seals.sealing import Seal, changing
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    authority, now = EmbeddedAuthority(settings), time.time()
    before, certificate = authority.renew(issuer.value, now)
    about = _about(issuer.value, certificate, now)
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        raise_revision(act.connection)  # so that the doors take up its certificate
        facts = {
            "changes": [{"what": "authority", "id": issuer.value, "how": "changed", "fields": [about["thumbprint"]]}]
        }
        act.note("registry", facts, now, actor=actor())
    signed_by_root = issuer is not IssuerName.VENDORS
    text = (
        f"{issuer.value}: made anew, valid until {civil(about['valid_until'])}; the one before"
        f" goes on as {before}.{' Take root.key away again.' if signed_by_root else ''}"
        f" / đã cấp mới; bản cũ tiếp tục với tên {before}.{' Hãy cất root.key đi.' if signed_by_root else ''}"
    )
    emit({"ok": True, "issuer": issuer.value, "before": before, "certificate": about}, as_json, text)


@commands.command("crl")
def ca_crl(
    issuer: Annotated[str, typer.Argument(help="tls, sign, or the number of one that was replaced, as tls-1.")] = "tls",
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it (DER).")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The revocation list of an issuer, made anew if it is not current."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from gateway.journal.database import open_engine, writing
    from gateway.keeper.tasks import revocation_lists
    from gateway.keys.authority import EmbeddedAuthority

    settings = load_instance(data, as_json)
    with writing(open_engine(settings.database_url)) as connection:
        revocation_lists.renew(connection, EmbeddedAuthority(settings), time.time())
        listed = revocation_lists.stored_list(connection, issuer)
    if listed is None:
        fail(
            Exit.USAGE,
            "unknown-issuer",
            f"there is no issuer {issuer} / không có tổ chức phát hành {issuer}",
            _ISSUERS,
            as_json,
        )
    if out is not None:
        out.write_bytes(listed)
    read = x509.load_der_x509_crl(listed)
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
    emit(result, as_json, pem if out is None else _listed(result, out))


def _listed(result: dict[str, Any], out: Path) -> str:
    number, issuer, count = result["number"], result["issuer"], result["revoked"]
    return f"{out}: list {number} of {issuer}, {count} revoked / danh sách số {number} của {issuer}, {count} bị thu hồi"


def _about(name: str, certificate: x509.Certificate, now: float) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding

    from security.keys import thumbprint

    until = certificate.not_valid_after_utc.timestamp()
    return {
        "name": name,
        "subject": certificate.subject.rfc4514_string(),
        "valid_until": rfc3339(until),
        "days_left": int((until - now) // _DAY),
        "thumbprint": thumbprint(certificate.public_bytes(Encoding.DER)),
    }
