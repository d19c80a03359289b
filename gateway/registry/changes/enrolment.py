"""Enrolling a system's key: by a certificate request that the embedded authority answers, or with a certificate made outside.

Invariants: the request's own signature proves its maker's possession of the key; it names the system it is enrolled for, and no host but that system's own;
what a request wishes for beyond name, key and hosts has no effect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection, select

from contracts.base.integers import whole_number
from gateway.journal.schema import tables
from gateway.registry.changes.keys import add_key
from gateway.registry.errors import REGISTRY_REQUEST_HOST, REGISTRY_REQUEST_SYSTEM, unknown
from gateway.registry.parts.identities import ID_MAX, KEY_ID
from gateway.registry.records import Change, Use
from security.errors import KEY_UNACCEPTABLE
from security.keys import load_certificate
from security.pki import authority
from security.pki.authority import Authority, read_request, system_of
from security.pki.chains import Trust, authority_of

ISSUER: Final = {"tls": "tls", "sign": "sign", "encrypt": "sign"}  # which issuer answers for a use


class Enrolled(NamedTuple):
    key_id: str
    certificate: bytes  # PEM; of a TLS certificate with its issuer after it, as a TLS peer sends them
    authority: str | None
    changes: list[Change]


def by_request(
    connection: Connection, issuer: Authority, system: str, use: Use, request: bytes, key_id: str | None, now: float
) -> Enrolled:
    """Issue a certificate for a request and register it."""
    asked = read_request(request)
    if asked.system != system:
        raise REGISTRY_REQUEST_SYSTEM(named=asked.system, system=system)
    if use == "encrypt" and not isinstance(
        asked.public, rsa.RSAPublicKey
    ):  # one on P-256 would shut the system out of SOAP
        raise KEY_UNACCEPTABLE(rule="encrypt: RSA")
    agency, hosts = _system(connection, system)
    strange = [each for each in asked.hosts if each not in hosts]
    if strange:
        raise REGISTRY_REQUEST_HOST(system=system, host=", ".join(strange), known=", ".join(hosts) or "—")
    key_id = _id(connection, system, use, key_id)
    if use == "tls":
        made = authority.issue_tls(issuer, system, asked.public, now, hosts=asked.hosts, agency=agency)
        return Enrolled(key_id, made + issuer.pem, None, add_key(connection, key_id, system, use, made))
    issue = authority.issue_signing if use == "sign" else authority.issue_encryption
    made = issue(issuer, system, asked.public, now, agency=agency)
    return Enrolled(key_id, made, None, add_key(connection, key_id, system, use, made))


def by_certificate(
    connection: Connection,
    trusts: Iterable[Trust],
    system: str,
    use: Use,
    certificate: bytes,
    key_id: str | None,
    now: float,
) -> Enrolled:
    """Register a certificate that an authority issued elsewhere: it is taken only with an unbroken path to one that is trusted for the use."""
    _system(connection, system)
    parsed = load_certificate(certificate)
    named = system_of(parsed)
    if named not in (None, system):
        raise REGISTRY_REQUEST_SYSTEM(named=named, system=system)
    vouched = authority_of(parsed, trusts, use, now)
    key_id = _id(connection, system, use, key_id)
    changes = add_key(connection, key_id, system, use, certificate, authority=vouched)
    return Enrolled(key_id, authority.certificate_pem(parsed), vouched, changes)


def _id(connection: Connection, system: str, use: str, wanted: str | None) -> str:
    """The id that was asked for, else `<system>.<use>-<n>` with the first number that was never used."""
    if wanted is not None:
        if not KEY_ID.fullmatch(wanted) or len(wanted) > ID_MAX:
            raise KEY_UNACCEPTABLE(rule=f"id: {KEY_ID.pattern}, 1–{ID_MAX}")
        return wanted
    stem = f"{system}.{use}-"
    taken = connection.scalars(
        select(tables.system_key.c.key_id).where(tables.system_key.c.key_id.startswith(stem, autoescape=True))
    )
    return f"{stem}{1 + max((whole_number(name.removeprefix(stem)) or 0 for name in taken), default=0)}"


def _system(connection: Connection, name: str) -> tuple[str, tuple[str, ...]]:
    """A registered system's agency, and the host at which it is reached."""
    row = connection.execute(
        select(tables.system.c.agency, tables.system.c.endpoint).where(tables.system.c.id == name)
    ).first()
    if row is None:
        raise unknown("system", name)
    url = json.loads(row.endpoint).get("url", "") if row.endpoint else ""
    host = urlsplit(url).hostname
    local = ("localhost", "127.0.0.1") if host in ("localhost", "127.0.0.1") else ()
    return row.agency, local or ((host,) if host else ())
