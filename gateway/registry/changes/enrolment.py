"""Enrols a system's key: by a certificate request to the embedded authority, or with a certificate from outside.

Invariant: the request is signed with its own key, which proves possession (PKCS#10, RFC 2986).
Invariant: the request names the system that it is enrolled for, and only that system's hosts.
Invariant: only name, key and hosts of a request are used.
Invariant: who states an address does not own it. A tenant's certificate names no host, and comes from the vendors'
  issuer (`gateway.keys.authority`): the gateway knows the tenant's server by its system's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Connection, select

from contracts.base.integers import whole_number
from gateway.journal.schema import tables
from gateway.registry.changes.keys import KeyFacts, add_key
from gateway.registry.errors import REGISTRY_REQUEST_HOST, REGISTRY_REQUEST_SYSTEM, unknown
from gateway.registry.parts.identities import ID_MAX, KEY_ID
from gateway.registry.records import Change, Use
from gateway.registry.tenants import is_tenant
from security.errors import KEY_UNACCEPTABLE
from security.keys import load_certificate
from security.pki import authority
from security.pki.authority import Authority, Requested, read_request, system_of
from security.pki.chains import Trust, authority_of

ISSUER: Final = {"tls": "tls", "sign": "sign", "encrypt": "sign"}  # the issuer for each use
VENDORS: Final = "vendors"  # of the TLS certificates of tenants
Issuers = Callable[[str], Authority]  # by their names


class Enrolled(NamedTuple):
    key_id: str
    certificate: bytes  # PEM; a TLS certificate is followed by its issuer, as TLS peers send them
    authority: str | None
    changes: list[Change]
    unnamed: str | None = None  # the host at which the gateway calls the system, if the TLS certificate lacks it


class Wanted(NamedTuple):
    """The key to be registered; `key_id` None: the next one of the system and the use."""

    system: str
    use: Use
    key_id: str | None = None


def by_request(connection: Connection, issuers: Issuers, wanted: Wanted, request: bytes, now: float) -> Enrolled:
    """Issue a certificate for a request and register it."""
    system, use = wanted.system, wanted.use
    asked = checked(connection, wanted, request)
    agency, hosts = _system(connection, system)
    key_id = _id(connection, wanted)
    if use == "tls" and is_tenant(agency):
        issuer = issuers(VENDORS)
        certificate = authority.issue_tls(issuer, system, asked.public, now, agency=agency, serves=True)
        changes = add_key(connection, key_id, system, use, certificate)
        return Enrolled(key_id, certificate + issuer.pem, None, changes)
    issuer = issuers(ISSUER[use])
    if use == "tls":
        certificate = authority.issue_tls(issuer, system, asked.public, now, hosts=asked.hosts, agency=agency)
        unnamed = hosts[0] if hosts and not asked.hosts else None
        changes = add_key(connection, key_id, system, use, certificate)
        return Enrolled(key_id, certificate + issuer.pem, None, changes, unnamed)
    issue = authority.issue_signing if use == "sign" else authority.issue_encryption
    certificate = issue(issuer, system, asked.public, now, agency=agency)
    return Enrolled(key_id, certificate, None, add_key(connection, key_id, system, use, certificate))


def checked(connection: Connection, wanted: Wanted, request: bytes) -> Requested:
    """What a request asks for, if it may be answered. Needs no key of an authority.

    Raises `key.unacceptable`, `registry.request-system`, `registry.request-host`, `registry.unknown`.
    """
    system = wanted.system
    asked = read_request(request)
    if asked.system != system:
        raise REGISTRY_REQUEST_SYSTEM(named=asked.system, system=system)
    if wanted.use == "encrypt" and not isinstance(asked.public, rsa.RSAPublicKey):  # XML encryption needs RSA
        raise KEY_UNACCEPTABLE(rule="encrypt: RSA")
    _agency, hosts = _system(connection, system)
    strange = [each for each in asked.hosts if each not in hosts]
    if strange:
        raise REGISTRY_REQUEST_HOST(system=system, host=", ".join(strange), known=", ".join(hosts) or "—")
    return asked


def by_certificate(
    connection: Connection,
    trusts: Iterable[Trust],
    wanted: Wanted,
    certificate: bytes,
    now: float,
) -> Enrolled:
    """Register a certificate from an outside authority, if its path leads to one trusted for the use."""
    system, use = wanted.system, wanted.use
    _system(connection, system)
    parsed = load_certificate(certificate)
    named = system_of(parsed)
    if named not in (None, system):
        raise REGISTRY_REQUEST_SYSTEM(named=named, system=system)
    issued_by = authority_of(parsed, trusts, use, now)
    key_id = _id(connection, wanted)
    changes = add_key(connection, key_id, system, use, certificate, KeyFacts(authority=issued_by))
    return Enrolled(key_id, authority.certificate_pem(parsed), issued_by, changes)


def next_id(connection: Connection, system: str, use: Use, also: Iterable[str] = ()) -> str:
    """`<system>.<use>-<n>` with the number after the highest that is used; `also` are ids that are promised."""
    stem = f"{system}.{use}-"
    taken = connection.scalars(
        select(tables.system_key.c.key_id).where(tables.system_key.c.key_id.startswith(stem, autoescape=True))
    )
    names = [each for each in (*taken, *also) if each.startswith(stem)]
    return f"{stem}{1 + max((whole_number(name.removeprefix(stem)) or 0 for name in names), default=0)}"


def _id(connection: Connection, wanted: Wanted) -> str:
    """The requested id, else the next one."""
    if wanted.key_id is not None:
        if not KEY_ID.fullmatch(wanted.key_id) or len(wanted.key_id) > ID_MAX:
            raise KEY_UNACCEPTABLE(rule=f"id: {KEY_ID.pattern}, 1–{ID_MAX}")
        return wanted.key_id
    return next_id(connection, wanted.system, wanted.use)


def _system(connection: Connection, name: str) -> tuple[str, tuple[str, ...]]:
    """The agency and the hosts of a registered system."""
    row = connection.execute(
        select(tables.system.c.agency, tables.system.c.endpoint).where(tables.system.c.id == name)
    ).first()
    if row is None:
        raise unknown("system", name)
    return row.agency, hosts_of(json.loads(row.endpoint).get("url", "") if row.endpoint else "")


def hosts_of(url: str) -> tuple[str, ...]:
    """The hosts that the certificate of a system with this address may name."""
    host = urlsplit(url).hostname
    local = ("localhost", "127.0.0.1") if host in ("localhost", "127.0.0.1") else ()
    return local or ((host,) if host else ())
